// The gains against time, and what the map shows of them.

const TIMES = [...Array(T).keys()];
const or_nan = value => value ?? NaN;

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

const mapped = () => ({what: "of the gain", since: "set", unit: "%", digits: 2});

QUANTITIES.forEach(({key, label}) => element("quantity").append(new Option(label, key)));
begin("quantity", pixels.jump);
