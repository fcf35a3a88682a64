"use strict";
// What the page holds, unpacked.

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
