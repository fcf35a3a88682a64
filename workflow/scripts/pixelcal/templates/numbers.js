"use strict";
// Numbers of the page, and what follows from them. The formulae are those of docs/joint-fit.md:
// x = (E - OFFSET) / GAIN, errors from the full covariance.

const data = JSON.parse(document.getElementById("data").textContent);
const element = id => document.getElementById(id);

const TYPES = {
  f4: Float32Array, i2: Int16Array, i4: Int32Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array,
};
const unpacked = new Map();

// An array of the page: base64 of numbers, times a step where it has one.
function unpack(array) {
  if (!unpacked.has(array)) {
    const bytes = Uint8Array.from(atob(array.data), letter => letter.charCodeAt(0));
    const numbers = new TYPES[array.type](bytes.buffer);
    unpacked.set(array, array.step ? Float64Array.from(numbers, n => n * array.step) : numbers);
  }
  return unpacked.get(array);
}

const camera = {};
for (const key of ["detnum", "x", "y", "module", "sector"]) camera[key] = unpack(data.camera[key]);
const N = camera.detnum.length;
const row_of = new Map(Array.from(camera.detnum, (detnum, row) => [detnum, row]));
const prior = {gain: unpack(data.prior.gain), offset: unpack(data.prior.offset)};

const current = () => data.exposures[element("exposure").value];
const has_truth = own => "gain_true" in own.values;
const all_have_truth = data.exposures.every(has_truth);
const columns = (own, ...keys) => keys.map(key => unpack(own.values[key]));
const column = (own, key) => columns(own, key)[0];
const each = value_of => Float64Array.from({length: N}, (_, row) => value_of(row));

function sigma(own, energy) {
  const [gain, offset, gain_err, offset_err, covariance] =
    columns(own, "gain", "offset", "gain_err", "offset_err", "covariance");
  return each(row => {
    const x = (energy - offset[row]) / gain[row];
    return Math.sqrt((x * gain_err[row]) ** 2 + 2 * x * covariance[row] + offset_err[row] ** 2);
  });
}

// What the fitted relation says where another one puts `energy`, less `energy`.
function difference(own, energy, other_gain, other_offset) {
  const [gain, offset] = columns(own, "gain", "offset");
  return each(row => gain[row] * (energy - other_offset[row]) / other_gain[row] + offset[row] - energy);
}

const error = (own, energy) => difference(own, energy, ...columns(own, "gain_true", "offset_true"));
const change = (own, energy) => difference(own, energy, prior.gain, prior.offset);

// Change of gain and offset together in units of the fit's error: sqrt(d' C^-1 d).
function significance(own) {
  const [gain, offset, gain_err, offset_err, covariance] =
    columns(own, "gain", "offset", "gain_err", "offset_err", "covariance");
  return each(row => {
    const g = gain[row] - prior.gain[row], o = offset[row] - prior.offset[row];
    const square = (g * offset_err[row]) ** 2 - 2 * g * o * covariance[row] + (o * gain_err[row]) ** 2;
    return Math.sqrt(square / ((gain_err[row] * offset_err[row]) ** 2 - covariance[row] ** 2));
  });
}

const finite = values => Array.from(values).filter(Number.isFinite);
const rising = values => finite(values).sort((a, b) => a - b);
const at_share = (sorted, share) => sorted[Math.round(share * (sorted.length - 1))];
const median = values => at_share(rising(values), .5);
const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

// A number with so many decimals, a dash where there is none.
function fixed(value, digits, signed = false) {
  if (!Number.isFinite(value)) return "–";
  return (signed && value >= 0 ? "+" : "") + value.toFixed(digits);
}

function status_words(bits) {
  const found = data.status.filter(own => own.bit && (bits & own.bit)).map(own => own.label);
  return found.length ? found.join(", ") : data.status[0].label;
}

// Index into data.status of the bit that says most.
function gravest(bits) {
  const bit = data.gravest.find(own => bits & own);
  return bit ? data.status.findIndex(own => own.bit === bit) : 0;
}
