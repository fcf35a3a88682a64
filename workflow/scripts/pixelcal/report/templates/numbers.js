// Numbers of the camera, and statistics of them.

const camera = {};
for (const [key, array] of Object.entries(data.camera)) if (array.data) camera[key] = unpack(array);
const N = camera.pixel.length;
const row_of = new Map(Array.from(camera.pixel, (pixel, row) => [pixel, row]));

// A page of one exposure has no list to choose it from.
const shown_exposure = () => element("exposure")?.value ?? "0";
const current = () => data.exposures[shown_exposure()];
const columns = (exposure, ...keys) => keys.map(key => unpack(exposure.values[key]));
const column = (exposure, key) => columns(exposure, key)[0];
const each = value_of => Float64Array.from({length: N}, (_, row) => value_of(row));

const finite = values => Array.from(values).filter(Number.isFinite);
const rising = values => finite(values).sort((a, b) => a - b);
const quantile = (sorted, fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
const median = values => quantile(rising(values), .5);
const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

// Numbers as a person reads them, by the rules of pixelcal/report/numbers.py.
const ABSENT = "–";
const with_minus = text => text.replace("-", "−");

// A number with so many decimals, a dash where there is none.
function fixed(value, digits, signed = false) {
  if (!Number.isFinite(value)) return ABSENT;
  return (signed && value >= 0 ? "+" : "") + with_minus(value.toFixed(digits));
}

// Decimals that show two significant digits of an uncertainty.
const decimals_of = error => Math.max(1 - Math.floor(Math.log10(Number(error.toExponential(1)))), 0);

// A value with its uncertainties, one or several, all to the same decimals: two digits of the
// smallest, but no more than three of the largest. `digits` are those of a value without any.
function with_error(value, errors, digits, signed = false) {
  const known = [errors].flat().filter(error => error > 0);
  if (!Number.isFinite(value) || !known.length) return fixed(value, digits, signed);
  const decimals = Math.min(decimals_of(Math.min(...known)), decimals_of(Math.max(...known)) + (known.length > 1 ? 1 : 0));
  return [fixed(value, decimals, signed), ...[errors].flat().map(error => fixed(error, decimals))].join(" ± ");
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function pvalue_words(value) {
  if (!Number.isFinite(value)) return ABSENT;
  if (value === 0 || value >= .001) return String(Number(value.toPrecision(2)));
  const [mantissa, power] = value.toExponential(1).split("e-");
  return `${mantissa} × 10⁻${Array.from(power, digit => SUPERSCRIPTS[digit]).join("")}`;
}

// A duration with its unit: s below 1000 s, ks from there on.
const duration = seconds => seconds < 1000 ? `${seconds} s` : `${Number((seconds / 1000).toPrecision(3))} ks`;

function status_words(bits) {
  const found = data.status.filter(item => item.bit && (bits & item.bit)).map(item => item.label);
  return found.length ? found.join(", ") : data.status[0].label;
}

// Index into data.status of the most serious bit.
function dominant(bits) {
  const bit = data.most_serious_first.find(one => bits & one);
  return bit ? data.status.findIndex(item => item.bit === bit) : 0;
}
