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

// A number with so many decimals, a dash where there is none.
function fixed(value, digits, signed = false) {
  if (!Number.isFinite(value)) return "–";
  return (signed && value >= 0 ? "+" : "") + value.toFixed(digits);
}

function status_words(bits) {
  const found = data.status.filter(item => item.bit && (bits & item.bit)).map(item => item.label);
  return found.length ? found.join(", ") : data.status[0].label;
}

// Index into data.status of the most serious bit.
function dominant(bits) {
  const bit = data.most_serious_first.find(one => bits & one);
  return bit ? data.status.findIndex(item => item.bit === bit) : 0;
}
