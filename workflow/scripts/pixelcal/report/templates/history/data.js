// What the page of a history brings with it: pixels, modules, the map.

function unpack_all(group) {
  return Object.fromEntries(Object.entries(group).map(([key, value]) => [key, value?.data !== undefined ? unpack(value) : value]));
}

const pixels = unpack_all(data.pixels), modules = unpack_all(data.modules), place = unpack_all(data.map);
const T = data.epochs.ms.length, N = pixels.number.length;
const row_of = new Map(Array.from(pixels.number, (number, row) => [number, row]));
