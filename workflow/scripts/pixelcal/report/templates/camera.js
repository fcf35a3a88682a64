// The camera: maps of every quantity, how its values spread, and the pixel that is looked at.

let selected = null;  // row of the pixel that is looked at
let by_hand = false;  // whether the reader chose it

const title_of = quantity => quantity.label + (quantity.unit ? ` (${quantity.unit})` : "");
const values_of = (quantity, exposure) => quantity.of ? quantity.of(exposure) : column(exposure, quantity.key);
const chosen_quantity = () => quantities.find(quantity => quantity.key === element("quantity").value);

// What the colours show: a p-value by its logarithm, as it is the small ones that matter.
function coloured(quantity, exposure) {
  const values = values_of(quantity, exposure);
  return quantity.log ? Float64Array.from(values, value => Math.log10(Math.max(value, 1e-6))) : values;
}
const POWERS_OF_TEN = {dtick: 1, tickprefix: "10<sup>", ticksuffix: "</sup>"};

// One value per pixel as rows of an image; nothing where there is no number.
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
  if (signed) return [-1, 1].map(sign => sign * (quantile(known, .99) || 1));
  const [low, high] = [quantile(known, .01), quantile(known, .99)];
  return high > low ? [low, high] : [low - .5, low + .5];
}

const SQUARE_PX = 560, MOST_STRETCHED = 4, LEAST_HEIGHT_PX = 240, FRAME_PX = 13;

// What a map shows: the rectangle of the pixels that there are, and nothing of the camera around it.
const view = (() => {
  const ends = values => [Math.min(...values) - .5, Math.max(...values) + .5];
  const [x, y] = [ends(camera.x), ends(camera.y)], columns = x[1] - x[0], rows = y[1] - y[0];
  return {x, y, columns, rows, ratio: columns / rows, longest: Math.max(columns, rows)};
})();
// A strip of pixels is drawn higher, or wider, than it is: its pixels have to be seen and clicked.
const is_strip = view.ratio > MOST_STRETCHED || view.ratio < 1 / MOST_STRETCHED;

// A map of few rows is less high.
function map_height(full) {
  if (view.ratio <= 1) return full;
  return Math.max(Math.round(full / Math.min(view.ratio, MOST_STRETCHED)), Math.min(LEAST_HEIGHT_PX, full));
}

// The map of one number per pixel; pixels that are in no rows and columns have a mark each.
function map_of(values, texts, zmin, zmax, colorscale, bar) {
  const hover = {hovertemplate: "%{text}<extra></extra>"};
  if (!data.camera.scattered) {
    return {
      type: "heatmap", colorbar: bar, hoverongaps: false, text: image(texts), ...hover, z: image(values), zmin, zmax,
      colorscale,
    };
  }
  const rows = Array.from(camera.x, (_, row) => row), size = .9 * SQUARE_PX / view.longest;
  return {
    type: "scatter", mode: "markers", x: camera.x, y: camera.y, customdata: rows, text: texts, ...hover, showlegend: false,
    marker: {symbol: "square", size, color: Array.from(values), cmin: zmin, cmax: zmax, colorscale, colorbar: bar},
  };
}

function heatmap(exposure, quantity) {
  const bar = {thickness: 14, outlinewidth: 0, len: .95}, texts = hover_texts(exposure, quantity);
  if (quantity.key === "status") {
    const n = data.status.length;
    Object.assign(bar, {tickvals: data.status.map((_, i) => i), ticktext: data.status.map(item => item.label)});
    const colorscale = data.status.flatMap((item, i) => [[i / n, item.colour], [(i + 1) / n, item.colour]]);
    return map_of(Array.from(column(exposure, "status"), dominant), texts, -.5, n - .5, colorscale, bar);
  }
  const values = coloured(quantity, exposure), [zmin, zmax] = quantity.range ?? span(for_scale(exposure, values), quantity.signed);
  if (quantity.log) Object.assign(bar, POWERS_OF_TEN);
  return map_of(values, texts, zmin, zmax, quantity.signed ? theme().signed : "Viridis", bar);
}

const BORDERS = Object.keys(data.camera.borders);
const BORDER_WIDTH = {module: .5, sector: 2};

// Borders of the kinds `shown`, and a frame around the pixel that is looked at.
function overlay(quantity, shown) {
  const {ink, paper, mark} = theme(), {borders} = data.camera;
  const color = quantity.signed || quantity.key === "status" ? ink : "#ffffff";  // on dark maps
  const traces = shown.map(name => guide(borders[name].x, borders[name].y, {color, width: BORDER_WIDTH[name]}));
  if (selected === null) return traces;
  // Around the pixel, or wider where it is small.
  const half = Math.max(.5, FRAME_PX / 2 * view.longest / SQUARE_PX), [x, y] = [camera.x[selected], camera.y[selected]];
  const [half_x, half_y] = is_strip ? [.5, .5] : [half, half];
  const frames = [[paper, 4], [mark, 2]].map(([color, width]) => guide(
    [x - half_x, x + half_x, x + half_x, x - half_x, x - half_x], [y - half_y, y - half_y, y + half_y, y + half_y, y - half_y],
    {color, width}));
  return [...traces, ...frames];
}

function camera_layout(heading) {
  const square = {showgrid: false, constrain: "domain"}, {axes} = data.camera;
  const along = length => ({...square, ...(length <= 10 ? {dtick: 1} : {})});
  return layout(heading, {
    plot_bgcolor: theme().absent, margin: {t: 40, r: 10, b: 45, l: 50},
    xaxis: axis(axes[0], {...along(view.columns), range: view.x}),
    yaxis: axis(axes[1], {...along(view.rows), range: view.y, ...(is_strip ? {} : {scaleanchor: "x"})}),
  });
}

function draw_camera() {
  const exposure = current(), quantity = chosen_quantity();
  const shown = BORDERS.filter(name => element(`${name}s`).checked);
  plot("camera", [heatmap(exposure, quantity), ...overlay(quantity, shown)],
    camera_layout(`${exposure.name}: ${title_of(quantity)}`));
}

function draw_status_counts(exposure) {
  const counts = data.status.map(() => 0);
  column(exposure, "status").forEach(bits => counts[dominant(bits)]++);
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
  const exposure = current(), quantity = chosen_quantity(), {main, second} = theme();
  if (quantity.key === "status") return draw_status_counts(exposure);
  const all = coloured(quantity, exposure), values = finite(all), scale = for_scale(exposure, all);
  if (!values.length) return say("values", "No pixel has a value to count.");
  const [first, last] = quantity.range ?? span(scale, quantity.signed), margin = .15 * (last - first);
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

function select(row, chosen_by_hand) {
  selected = row;
  by_hand = by_hand || chosen_by_hand;
  document.querySelectorAll("tr.chosen").forEach(line => line.classList.remove("chosen"));
  const lines = row === null ? [] : document.querySelectorAll(`tr[data-pixel="${camera.pixel[row]}"]`);
  lines.forEach(line => line.classList.add("chosen"));
  show_pixel();
  if (chosen_by_hand) write_address();
  refresh(OF_ONE_PIXEL);
}
