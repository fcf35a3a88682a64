// What the reader chooses, the map, and the tables.

let chosen = 0;  // row of the pixel that is looked at
const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
const energy_index = () => Number(element("energy").value);

// Pixels and modules drift at two energies: any other is on the line through them.
function at_energy(history_of, row) {
  const energy = Number(data.energies[energy_index()]), [low, high] = data.pivots;
  const [a, b] = [0, 1].map(k => history_of(row, k)), w = [(high - energy) / (high - low), (energy - low) / (high - low)];
  if (w[0] === 1) return {points: a, energy};
  if (w[1] === 1) return {points: b, energy};
  // The errors of the two are not on the page together: the nearer of the two is shown.
  return w[0] > w[1] ? {points: a, energy: low} : {points: b, energy: high};
}

function draw_camera() {
  const m = energy_index();
  draw_chart("camera-plot", camera_history(m), `Change at ${data.energies[m]} keV (keV)`);
}

function draw_module() {
  if (!modules.number.length) {
    element("module-plot").innerHTML = "<p class=\"empty\">The run has too few modules to compare them with the camera.</p>";
    return;
  }
  const {points, energy} = at_energy(module_history, Number(element("module").value));
  draw_chart("module-plot", points, `Change against the camera at ${energy} keV (keV)`);
}

function draw_pixel() {
  const {points, energy} = at_energy(pixel_history, chosen);
  element("pixel-title").textContent = `Pixel ${pixels.number[chosen]}, module ${pixels.module[chosen]}, X ${place.x[chosen]}, Y ${place.y[chosen]}`;
  draw_chart("pixel-plot", points, `Energy minus ${energy} keV at a fixed place (keV)`);
  const rows = points.map((point, t) => {
    const notes = [point.status, point.jump ? "jump" : "", point.wild ? "wild" : ""].filter(Boolean).join(", ");
    const value = (one, sigma) => Number.isFinite(one) ? `${fixed(one, 3)} ± ${sigma.toFixed(3)}` : "–";
    const row = document.createElement("tr");
    [data.epochs.name[t], data.epochs.date[t], value(point.single, point.single_sigma), value(point.best, point.sigma), notes]
      .forEach(text => { row.insertCell().textContent = text; });
    return row;
  });
  element("pixel-table").tBodies[0].replaceChildren(...rows);
}

// Change of each pixel since the first epoch, with the motion of the camera or without it.
function changes() {
  const t = Number(element("epoch").value), energy = at_energy(() => null, 0).energy;
  const k = energy === data.pivots[0] ? 0 : 1;
  const m = data.energies.findIndex(text => Number(text) === energy);
  const common = element("without-camera").checked ? data.camera.change[m][t] ?? 0 : 0;
  const best = (row, s) => energy_of(pixels.best[2 * (row * T + s) + k]);
  return Float64Array.from({length: N}, (_, row) => best(row, t) - best(row, 0) - common);
}

const LIGHT = [[0, 103, 165], [247, 247, 247], [179, 71, 0]], DARK = [[92, 184, 255], [32, 38, 44], [255, 154, 61]];

function colour(value, largest) {
  if (!Number.isFinite(value)) return dark.matches ? "#59636d" : "#a6aeb5";
  const [low, middle, high] = dark.matches ? DARK : LIGHT, part = Math.max(-1, Math.min(1, value / largest));
  const end = part < 0 ? low : high;
  return `rgb(${middle.map((from, i) => Math.round(from + Math.abs(part) * (end[i] - from))).join(",")})`;
}

function draw_map() {
  const canvas = element("map"), {width, height, borders} = data.map, values = changes();
  const size = Math.max(2, Math.floor(1120 / Math.max(width, height)));
  canvas.width = width * size;
  canvas.height = height * size;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const brush = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  brush.fillStyle = style.getPropertyValue("--panel");
  brush.fillRect(0, 0, canvas.width, canvas.height);
  const known = Array.from(values, Math.abs).filter(Number.isFinite).sort((a, b) => a - b);
  const largest = known[Math.floor(.99 * (known.length - 1))] || .001;
  const top = row => (height - 1 - place.y[row]) * size;
  values.forEach((value, row) => {
    brush.fillStyle = colour(value, largest);
    brush.fillRect(place.x[row] * size, top(row), size, size);
  });
  brush.strokeStyle = style.getPropertyValue("--soft");
  brush.lineWidth = 1;
  brush.beginPath();
  borders.x.forEach((x, i) => {
    if (x === null) return;
    const point = [(x + .5) * size, (height - .5 - borders.y[i]) * size];
    if (i === 0 || borders.x[i - 1] === null) brush.moveTo(...point);
    else brush.lineTo(...point);
  });
  brush.stroke();
  brush.strokeStyle = style.getPropertyValue("--ink");
  brush.lineWidth = 3;
  brush.strokeRect(place.x[chosen] * size - 2, top(chosen) - 2, size + 4, size + 4);
  const t = Number(element("epoch").value), energy = at_energy(() => null, 0).energy;
  element("epoch-name").textContent = `${data.epochs.name[t]}, ${data.epochs.date[t]}`;
  element("scale").textContent = `Change at ${energy} keV since the first epoch${element("without-camera").checked ? ", minus that of the camera" : ""}, in the epoch chosen above. Blue: −${largest.toFixed(3)} keV or less; orange: +${largest.toFixed(3)} keV or more. Grey: not known.`;
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
  data.energies.forEach((energy, m) => element("energy").append(new Option(`${energy} keV`, m)));
  const wanted = data.energies.findIndex(energy => Number(energy) === data.pivots[1]);
  element("energy").value = Math.max(wanted, 0);
  Array.from(modules.number).forEach((number, row) => element("module").append(new Option(number, row)));
  element("epoch").max = T - 1;
  element("epoch").value = T - 1;
  element("energy").addEventListener("change", draw_all);
  element("module").addEventListener("change", draw_module);
  for (const id of ["epoch", "without-camera"]) element(id).addEventListener("input", draw_map);
  element("pixel").addEventListener("change", () => {
    const text = element("pixel").value.trim(), row = /^\d+$/.test(text) ? row_of.get(Number(text)) : undefined;
    if (row !== undefined) return choose(row);
    element("said").textContent = `There is no pixel ${text}.`;
  });
  element("map").addEventListener("click", event => {
    const box = element("map").getBoundingClientRect(), {width, height} = data.map;
    const x = Math.floor((event.clientX - box.left) / box.width * width);
    const y = height - 1 - Math.floor((event.clientY - box.top) / box.height * height);
    const row = Array.from(place.x).findIndex((value, i) => value === x && place.y[i] === y);
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
const jumping = Array.from(pixels.flags).findIndex(flags => flags & 1);
choose(jumping < 0 ? 0 : Math.floor(jumping / T));
draw_camera();
draw_module();
follow_address();
window.addEventListener("hashchange", follow_address);
