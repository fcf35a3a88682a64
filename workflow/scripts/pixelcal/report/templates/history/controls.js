// What the reader does with the page of a history: the map, the pixel that is looked at, the address.
// A page brings `changes`, what each pixel is coloured by; `mapped`, how the legend says it; and
// `draw_camera`, `draw_module`, `draw_pixel`.

let chosen = 0;  // row of the pixel that is looked at
const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");

const LIGHT = [[0, 103, 165], [247, 247, 247], [179, 71, 0]], DARK = [[92, 184, 255], [32, 38, 44], [255, 154, 61]];

function colour(value, largest) {
  if (!Number.isFinite(value)) return dark.matches ? "#59636d" : "#a6aeb5";
  const [low, middle, high] = dark.matches ? DARK : LIGHT, part = Math.max(-1, Math.min(1, value / largest));
  const end = part < 0 ? low : high;
  return `rgb(${middle.map((from, i) => Math.round(from + Math.abs(part) * (end[i] - from))).join(",")})`;
}

// The lower left corner of the map is where the first pixel is.
const {left = 0, low = 0} = data.map;
const column_of = row => place.x[row] - left, row_from_top = row => data.map.height - 1 - (place.y[row] - low);

function draw_map() {
  const {what, since, unit, digits} = mapped();
  const canvas = element("map"), {width, height, borders} = data.map, values = changes();
  const size = Math.max(2, Math.floor(1120 / Math.max(width, height)));
  canvas.width = Math.ceil(width * size);
  canvas.height = Math.ceil(height * size);
  canvas.style.aspectRatio = `${width} / ${height}`;
  const brush = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  brush.fillStyle = style.getPropertyValue("--panel");
  brush.fillRect(0, 0, canvas.width, canvas.height);
  const known = Array.from(values, Math.abs).filter(Number.isFinite).sort((a, b) => a - b);
  const largest = known[Math.floor(.99 * (known.length - 1))] || 10 ** -digits;
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
  element("scale").textContent = `Change ${what} since the first ${since}${element("without-camera").checked ? ", minus that of the camera" : ""}, in the ${since} chosen above. Blue: −${largest.toFixed(digits)} ${unit} or less; orange: +${largest.toFixed(digits)} ${unit} or more. Grey: not known.`;
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

function listen(choice) {
  Array.from(modules.number).forEach((number, row) => element("module").append(new Option(number, row)));
  element("epoch").max = T - 1;
  element("epoch").value = T - 1;
  element(choice).addEventListener("change", draw_all);
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

// `choice` is the list that all charts depend on. A pixel that jumped is worth a look before any other.
function begin(choice, jumps) {
  listen(choice);
  const jumping = Array.from(jumps).findIndex(flags => flags & 1);
  choose(jumping < 0 ? 0 : Math.floor(jumping / T));
  draw_camera();
  draw_module();
  follow_address();
  window.addEventListener("hashchange", follow_address);
}
