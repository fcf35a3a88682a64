// The camera: maps of every quantity, how its values spread, and the pixel that is looked at.

let selected = null;  // row of the pixel that is looked at
let by_hand = false;  // whether the reader chose it

const quantities = [
  {key: "gain", group: "Relation", label: "Gain", unit: "keV/channel", digits: 6},
  {key: "offset", group: "Relation", label: "Offset", unit: "keV", digits: 4},
  ...data.energies.map((energy, i) => ({
    key: `sigma_${energy}`, group: "Predicted error", label: `Predicted error σ at ${energy} keV`, unit: "keV",
    digits: 4, limit: data.requirement[i], of: own => sigma(own, energy),
  })),
  ...(all_have_truth ? data.energies : []).map((energy, i) => ({
    key: `error_${energy}`, group: "Error against truth", label: `Error at ${energy} keV`, unit: "keV",
    digits: 4, signed: true, limit: data.requirement[i], of: own => error(own, energy),
  })),
  {key: "fwhm", group: "Fit", label: "Resolution (FWHM) at 60 keV", unit: "keV", digits: 3},
  {key: "counts", group: "Fit", label: "Counts", unit: "", digits: 0},
  {key: "pvalue", group: "Fit", label: "p-value of the fit", unit: "", digits: 4, log: true, range: [-4, 0]},
  {key: "status", group: "Fit", label: "Status", unit: ""},
  {key: "significance", group: "Change", label: "Change / error of the fit", unit: "", digits: 1, of: significance},
  ...data.energies.map(energy => ({
    key: `change_${energy}`, group: "Change", label: `Change at ${energy} keV`, unit: "keV",
    digits: 4, signed: true, of: own => change(own, energy),
  })),
];
const title_of = quantity => quantity.label + (quantity.unit ? ` (${quantity.unit})` : "");
const values_of = (quantity, own) => quantity.of ? quantity.of(own) : column(own, quantity.key);
const chosen_quantity = () => quantities.find(quantity => quantity.key === element("quantity").value);

// What the colours show: a p-value by its logarithm, as it is the small ones that matter.
function coloured(quantity, own) {
  const values = values_of(quantity, own);
  return quantity.log ? Float64Array.from(values, value => Math.log10(Math.max(value, 1e-6))) : values;
}
const POWERS_OF_TEN = {dtick: 1, tickprefix: "10<sup>", ticksuffix: "</sup>"};

// One value a pixel as rows of an image; nothing where there is no number.
function image(values) {
  const rows = Array.from({length: data.camera.height}, () => Array(data.camera.width).fill(null));
  values.forEach((value, row) => {
    if (typeof value !== "number" || Number.isFinite(value)) rows[camera.y[row]][camera.x[row]] = value;
  });
  return rows;
}

// Ends of the colours: a single wild pixel does not bleach the map.
function span(values, signed) {
  const known = rising(signed ? Array.from(values, Math.abs) : values);
  if (!known.length) return signed ? [-1, 1] : [0, 1];
  if (signed) return [-1, 1].map(sign => sign * (at_share(known, .99) || 1));
  const [low, high] = [at_share(known, .01), at_share(known, .99)];
  return high > low ? [low, high] : [low - .5, low + .5];
}

function hover_texts(own, quantity) {
  const values = values_of(quantity, own);
  const [gain, gain_err, offset, offset_err, status] =
    columns(own, "gain", "gain_err", "offset", "offset_err", "status");
  const is_basic = ["gain", "offset", "status"].includes(quantity.key);
  return Array.from({length: N}, (_, row) => {
    const {detnum, x, y, module, sector} = camera;
    const place = `X ${x[row]}, Y ${y[row]}, module ${module[row]}, sector ${sector[row]}`;
    const lines = [`<b>DETNUM ${detnum[row]}</b>  ${place}`];
    if (!is_basic) {
      lines.push(`${quantity.label}: ${fixed(values[row], quantity.digits, quantity.signed)} ${quantity.unit}`);
    }
    if (Number.isFinite(gain[row])) {
      lines.push(`gain ${fixed(gain[row], 6)} ± ${fixed(gain_err[row], 6)} keV/channel`,
        `offset ${fixed(offset[row], 3)} ± ${fixed(offset_err[row], 3)} keV`);
    }
    return [...lines, status_words(status[row])].join("<br>");
  });
}

function heatmap(own, quantity) {
  const bar = {thickness: 14, outlinewidth: 0, len: .95};
  const trace = {
    type: "heatmap", colorbar: bar, hoverongaps: false,
    text: image(hover_texts(own, quantity)), hovertemplate: "%{text}<extra></extra>",
  };
  if (quantity.key === "status") {
    const n = data.status.length;
    Object.assign(bar, {tickvals: data.status.map((_, i) => i), ticktext: data.status.map(item => item.label)});
    const colorscale = data.status.flatMap((item, i) => [[i / n, item.colour], [(i + 1) / n, item.colour]]);
    return {...trace, z: image(Array.from(column(own, "status"), gravest)), zmin: -.5, zmax: n - .5, colorscale};
  }
  const values = coloured(quantity, own), [zmin, zmax] = quantity.range ?? span(values, quantity.signed);
  if (quantity.log) Object.assign(bar, POWERS_OF_TEN);
  return {...trace, z: image(values), zmin, zmax, colorscale: quantity.signed ? theme().signed : "Viridis"};
}

// Borders, and a frame around the pixel that is looked at.
function overlay(quantity, modules, sectors) {
  const {ink, paper, mark} = theme(), {module, sector} = data.camera.borders, traces = [];
  const color = quantity.signed || quantity.key === "status" ? ink : "#ffffff";  // on dark maps
  if (modules) traces.push(guide(module.x, module.y, {color, width: .5}));
  if (sectors) traces.push(guide(sector.x, sector.y, {color, width: 2}));
  if (selected === null) return traces;
  const frames = [[paper, 4], [mark, 2]].map(([frame, width]) => ({
    ...guide([camera.x[selected]], [camera.y[selected]]), mode: "markers",
    marker: {symbol: "square-open", size: 13, color: frame, line: {width}},
  }));
  return [...traces, ...frames];
}

function camera_layout(heading) {
  const square = {showgrid: false, constrain: "domain"}, {width, height} = data.camera;
  return layout(heading, {
    plot_bgcolor: theme().absent, margin: {t: 40, r: 10, b: 45, l: 50},
    xaxis: axis("X (pixel)", {...square, range: [-.5, width - .5]}),
    yaxis: axis("Y (pixel)", {...square, range: [-.5, height - .5], scaleanchor: "x"}),
  });
}

function draw_camera() {
  const own = current(), quantity = chosen_quantity();
  plot("camera", [heatmap(own, quantity), ...overlay(quantity, element("modules").checked, element("sectors").checked)],
    camera_layout(`${own.name}: ${title_of(quantity)}`));
}

function draw_changes() {
  const own = current(), quantity = quantities.find(item => item.key === "significance");
  plot("changes", [heatmap(own, quantity), ...overlay(quantity, true, true)],
    camera_layout(`${own.name}: change of gain and offset together / error of the fit`));
}

function draw_status_counts(own) {
  const counts = data.status.map(() => 0);
  column(own, "status").forEach(bits => counts[gravest(bits)]++);
  const shown = data.status.map((item, i) => ({...item, n: counts[i]})).filter(item => item.n).reverse();
  plot("values", [{
    type: "bar", orientation: "h", hoverinfo: "skip", cliponaxis: false,
    x: shown.map(item => item.n), y: shown.map(item => item.label), text: shown.map(item => item.n),
    marker: {color: shown.map(item => item.colour), line: {color: theme().ink, width: .5}},
  }], layout("All pixels", {
    margin: {t: 34, r: 40, b: 40, l: 20},
    xaxis: axis("Pixels", {type: "log"}), yaxis: axis("", {showgrid: false}),
  }));
}

// How the values of the map spread over the pixels.
function draw_values() {
  const own = current(), quantity = chosen_quantity(), {main, second} = theme();
  if (quantity.key === "status") return draw_status_counts(own);
  const values = finite(coloured(quantity, own));
  if (!values.length) return say("values", "No pixel has a value to count.");
  const [first, last] = quantity.range ?? span(values, quantity.signed), margin = .15 * (last - first);
  const low = first - margin, high = last + margin, bins = 40, step = (high - low) / bins;
  const inside = values.filter(value => value >= low && value < high), outside = values.length - inside.length;
  const counts = Array(bins).fill(0);
  inside.forEach(value => { counts[Math.min(Math.floor((value - low) / step), bins - 1)]++; });
  const limits = (quantity.signed ? [-quantity.limit, quantity.limit] : [quantity.limit])
    .filter(limit => limit > low && limit < high);
  const notes = [outside ? `, ${outside} outside of the range` : "", limits.length ? ", requirement dashed" : ""];
  plot("values", [{
    type: "bar", x: counts.map((_, i) => low + (i + .5) * step), y: counts, width: step,
    marker: {color: main}, hovertemplate: "%{x:.4g}: %{y} pixels<extra></extra>",
  }], layout("All pixels" + notes.join(""), {
    bargap: 0, margin: {t: 34, r: 12, b: 44, l: 50},
    xaxis: axis(title_of(quantity), {range: [low, high], ...(quantity.log ? POWERS_OF_TEN : {})}),
    yaxis: axis("Pixels"),
    shapes: limits.map(limit => ({
      type: "line", x0: limit, x1: limit, y0: 0, y1: 1, yref: "paper", line: {color: second, dash: "dash", width: 1.5},
    })),
  }));
}

// --- the pixel that is looked at ------------------------------------------------------------------

function table_row(tag, texts) {
  const row = document.createElement("tr");
  texts.forEach((text, i) => {
    const cell = document.createElement(i ? tag : "th");
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

function show_pixel() {
  if (selected === null) return element("pixel").replaceChildren();
  const own = current(), value = key => column(own, key)[selected], {detnum, x, y, module, sector} = camera;
  const heading = document.createElement("h3");
  heading.textContent = `Pixel ${detnum[selected]} in ${own.name}: ${status_words(value("status"))}`;
  const basic = document.createElement("table");
  const pvalue = value("pvalue");
  basic.createTBody().append(...[
    ["Place", `X ${x[selected]}, Y ${y[selected]}, module ${module[selected]}, sector ${sector[selected]}`],
    ["Gain (keV/channel)", `${fixed(value("gain"), 6)} ± ${fixed(value("gain_err"), 6)}`],
    ["Offset (keV)", `${fixed(value("offset"), 4)} ± ${fixed(value("offset_err"), 4)}`],
    ["FWHM at 60 keV (keV)", fixed(value("fwhm"), 3)],
    ["Counts, p-value", `${value("counts")}, ${Number.isFinite(pvalue) ? pvalue.toPrecision(2) : "–"}`],
  ].map(texts => table_row("td", texts)));
  const table = document.createElement("table"), known = has_truth(own);
  table.createTHead().append(
    table_row("th", ["Energy (keV)", "Allowed", "σ predicted", ...(known ? ["Error"] : []), "Change"]));
  table.createTBody().append(...data.energies.map((energy, i) => table_row("td", [
    energy, data.requirement[i], fixed(sigma(own, energy)[selected], 4),
    ...(known ? [fixed(error(own, energy)[selected], 4, true)] : []), fixed(change(own, energy)[selected], 4, true),
  ])));
  element("pixel").replaceChildren(heading, basic, table);
}

function select(row, chosen_by_hand) {
  selected = row;
  by_hand = by_hand || chosen_by_hand;
  document.querySelectorAll("tr.chosen").forEach(line => line.classList.remove("chosen"));
  const lines = row === null ? [] : document.querySelectorAll(`tr[data-pixel="${camera.detnum[row]}"]`);
  lines.forEach(line => line.classList.add("chosen"));
  show_pixel();
  refresh(["camera", "changes", "fit"]);
}
