// The gains against time: what is known, what the reader chooses, the map and the tables.

function unpack_all(group) {
  return Object.fromEntries(Object.entries(group).map(([key, value]) => [key, value?.data !== undefined ? unpack(value) : value]));
}

const pixels = unpack_all(data.pixels), modules = unpack_all(data.modules), place = unpack_all(data.map);
const T = data.epochs.ms.length, N = pixels.number.length, TIMES = [...Array(T).keys()];
const row_of = new Map(Array.from(pixels.number, (number, row) => [number, row]));
const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
const or_nan = value => value ?? NaN;
let chosen = 0;  // row of the pixel that is looked at

// What can be drawn: `of` gives value and error of a pixel at a set; `best` where there is one.
const QUANTITIES = [
  {key: "gain", label: "Gain", unit: "Change of the gain (%)", column: "pe", scale: (value, first) => 100 * (value / first - 1),
    size: (sigma, first) => 100 * sigma / first},
  {key: "opct", label: "Crosstalk", unit: "Change of the crosstalk (0.01)", column: "opct",
    scale: (value, first) => 100 * (value - first), size: sigma => 100 * sigma},
  ...(pixels.dark ? [{key: "dark", label: "Dark counts", unit: "Dark counts per window", column: "dark", scale: value => value, size: sigma => sigma}] : []),
  {key: "eped", label: "Pedestal", unit: `Change of the pedestal (${data.unit})`, column: "eped",
    scale: (value, first) => value - first, size: sigma => sigma},
];
const quantity = () => QUANTITIES.find(({key}) => key === element("quantity").value);

function first_known(values) {
  const found = values.find(Number.isFinite);
  return found ?? NaN;
}

function pixel_history(row, {column, scale, size}) {
  const at = name => TIMES.map(t => pixels[name] ? pixels[name][row * T + t] : NaN);
  const best = at(`best_${column}`), single = at(column), errors = at(`${column}_err`), sigmas = at(`best_${column}_err`);
  const first = first_known(best.some(Number.isFinite) ? best : single);
  return TIMES.map(t => {
    const i = row * T + t, flags = pixels.jump[i];
    return {
      best: scale(best[t], first), sigma: size(sigmas[t], first), single: scale(single[t], first), single_sigma: size(errors[t], first),
      used: pixels.used[i] === 1, status: data.status[pixels.status[i]], jump: (flags & 7) !== 0, wild: (flags & 8) !== 0,
    };
  });
}

function camera_history({key}) {
  const {jump} = data.camera, values = data.camera[key].map(or_nan), sigma = data.camera[`${key}_sigma`];
  if (!sigma) return values.map(single => ({best: NaN, sigma: NaN, single, single_sigma: 0, used: true, jump: false}));
  return values.map((best, t) => ({best, sigma: or_nan(sigma[t]), jump: jump[t]}));
}

function module_history(row) {
  return TIMES.map(t => {
    const i = row * T + t;
    return {best: modules.gain[i], sigma: modules.sigma[i], jump: modules.jump[i] !== 0};
  });
}

function number_text(value, digits) {
  if (!Number.isFinite(value)) return "–";
  return (value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);
}

// A value with its error, both to two digits of the error.
function with_error(value, error) {
  if (!Number.isFinite(value)) return "–";
  if (!(error > 0)) return number_text(value, 3);
  const digits = Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(Number(error.toExponential(1))))));
  return `${number_text(value, digits)} ± ${error.toFixed(digits)}`;
}

function draw_camera() {
  draw_chart("camera-plot", camera_history(quantity()), quantity().unit);
  data.lab.forEach(([name, values], i) => {
    const known = values.filter(value => value !== null), middle = known.length ? known[0] : 0;
    const points = values.map(value => ({best: NaN, sigma: NaN, single: value === null ? NaN : value - middle, single_sigma: 0, used: true, jump: false}));
    draw_chart(`lab-${i}`, points, `${name} − ${number_text(middle, 3)}`);
  });
}

function draw_module() {
  if (!modules.number.length) {
    element("module-plot").innerHTML = "<p class=\"empty\">There are too few modules to compare them with the camera.</p>";
    return;
  }
  draw_chart("module-plot", module_history(Number(element("module").value)), "Change of the gain against the camera (%)");
}

function draw_pixel() {
  const points = pixel_history(chosen, quantity()), at = (name, t) => pixels[name]?.[chosen * T + t];
  element("pixel-title").textContent = `Pixel ${pixels.number[chosen]}, module ${pixels.module[chosen]}`;
  draw_chart("pixel-plot", points, quantity().unit);
  const pair = (name, t) => with_error(at(name, t), at(`${name}_err`, t));
  const rows = points.map((point, t) => {
    const notes = [point.status, point.jump ? "jump" : "", point.wild ? "wild" : ""].filter(Boolean).join(", ");
    const dark_counts = pixels.dark ? [at("dark", t) > 0 ? pair("dark", t) : "–"] : [];
    const row = document.createElement("tr");
    [data.epochs.name[t], data.epochs.date[t], pair("pe", t), pair("best_pe", t), pair("opct", t), ...dark_counts, pair("eped", t), notes]
      .forEach(text => { row.insertCell().textContent = text; });
    return row;
  });
  element("pixel-table").tBodies[0].replaceChildren(...rows);
}

// --- the map ----------------------------------------------------------------------------------------

// Change of the best gain of each pixel since it is known, with the motion of the camera or without.
function changes() {
  const t = Number(element("epoch").value), camera = data.camera.gain.map(or_nan);
  const common = element("without-camera").checked && Number.isFinite(camera[t]) ? camera[t] : 0;
  return Float64Array.from({length: N}, (_, row) => {
    const values = pixels.best_pe.subarray(row * T, (row + 1) * T), first = values.find(Number.isFinite);
    return first === undefined ? NaN : 100 * (values[t] / first - 1) - common;
  });
}

const LIGHT = [[0, 103, 165], [247, 247, 247], [179, 71, 0]], DARK = [[92, 184, 255], [32, 38, 44], [255, 154, 61]];

function colour(value, largest) {
  if (!Number.isFinite(value)) return dark.matches ? "#59636d" : "#a6aeb5";
  const [low, middle, high] = dark.matches ? DARK : LIGHT, part = Math.max(-1, Math.min(1, value / largest));
  const end = part < 0 ? low : high;
  return `rgb(${middle.map((from, i) => Math.round(from + Math.abs(part) * (end[i] - from))).join(",")})`;
}

const column_of = row => place.x[row] - data.map.left, row_from_top = row => data.map.height - 1 - (place.y[row] - data.map.low);

function draw_map() {
  const canvas = element("map"), {width, height, borders, left, low} = data.map, values = changes();
  const size = Math.max(2, Math.floor(1120 / Math.max(width, height)));
  canvas.width = Math.ceil(width * size);
  canvas.height = Math.ceil(height * size);
  canvas.style.aspectRatio = `${width} / ${height}`;
  const brush = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  brush.fillStyle = style.getPropertyValue("--panel");
  brush.fillRect(0, 0, canvas.width, canvas.height);
  const known = Array.from(values, Math.abs).filter(Number.isFinite).sort((a, b) => a - b);
  const largest = known[Math.floor(.99 * (known.length - 1))] || .01;
  values.forEach((value, row) => {
    brush.fillStyle = colour(value, largest);
    brush.fillRect(column_of(row) * size, row_from_top(row) * size, size, size);
  });
  brush.strokeStyle = style.getPropertyValue("--soft");
  brush.lineWidth = 1;
  brush.beginPath();
  borders.x.forEach((x, i) => {
    if (x === null) return;
    const point = [(x + .5 - left) * size, (height - .5 - (borders.y[i] - low)) * size];
    if (i === 0 || borders.x[i - 1] === null) brush.moveTo(...point);
    else brush.lineTo(...point);
  });
  brush.stroke();
  brush.strokeStyle = style.getPropertyValue("--ink");
  brush.lineWidth = 3;
  brush.strokeRect(column_of(chosen) * size - 2, row_from_top(chosen) * size - 2, size + 4, size + 4);
  const t = Number(element("epoch").value);
  element("epoch-name").textContent = `${data.epochs.name[t]}, ${data.epochs.date[t]}`;
  element("scale").textContent = `Change of the gain since the first set${element("without-camera").checked ? ", minus that of the camera" : ""}, in the set chosen above. Blue: −${largest.toFixed(2)} % or less; orange: +${largest.toFixed(2)} % or more. Grey: not known.`;
}

function choose(row) {
  chosen = row;
  element("pixel").value = pixels.number[row];
  element("said").textContent = "";
  draw_pixel();
  draw_map();
}

function draw_all() {
  draw_camera();
  draw_module();
  draw_pixel();
  draw_map();
}

function listen() {
  QUANTITIES.forEach(({key, label}) => element("quantity").append(new Option(label, key)));
  Array.from(modules.number).forEach((number, row) => element("module").append(new Option(number, row)));
  element("epoch").max = T - 1;
  element("epoch").value = T - 1;
  element("quantity").addEventListener("change", draw_all);
  element("module").addEventListener("change", draw_module);
  for (const id of ["epoch", "without-camera"]) element(id).addEventListener("input", draw_map);
  element("pixel").addEventListener("change", () => {
    const text = element("pixel").value.trim(), row = /^\d+$/.test(text) ? row_of.get(Number(text)) : undefined;
    if (row !== undefined) return choose(row);
    element("said").textContent = `There is no pixel ${text}.`;
  });
  element("map").addEventListener("click", event => {
    const box = element("map").getBoundingClientRect(), {width, height} = data.map;
    const x = (event.clientX - box.left) / box.width * width, y = (event.clientY - box.top) / box.height * height;
    const inside = row => x >= column_of(row) && x < column_of(row) + 1 && y >= row_from_top(row) && y < row_from_top(row) + 1;
    const row = Array.from(place.x).findIndex((_, i) => inside(i));
    if (row >= 0) choose(row);
  });
  dark.addEventListener("change", draw_all);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) draw_all();
    width = window.innerWidth;
  });
}

// history.html#pixel=1234
function follow_address() {
  const asked = new URLSearchParams(window.location.hash.slice(1)).get("pixel");
  if (asked === null) return;
  const row = row_of.get(Number(asked));
  if (row === undefined) element("said").textContent = `There is no pixel ${asked}.`;
  else choose(row);
  element("one-pixel").scrollIntoView();
}

listen();
// A pixel that jumped is worth a look before any other.
const jumping = Array.from(pixels.jump).findIndex(flags => flags & 1);
choose(jumping < 0 ? 0 : Math.floor(jumping / T));
draw_camera();
draw_module();
follow_address();
window.addEventListener("hashchange", follow_address);
