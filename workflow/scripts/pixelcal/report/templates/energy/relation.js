// What the page knows of a relation. The formulae are those of docs/joint-fit.md:
// x = (E - OFFSET) / GAIN, errors from the full covariance.

const prior = {gain: unpack(data.prior.gain), offset: unpack(data.prior.offset)};
const has_truth = exposure => "gain_true" in exposure.values;
const all_have_truth = data.exposures.every(has_truth);

function sigma(exposure, energy) {
  const [gain, offset, gain_err, offset_err, covariance] =
    columns(exposure, "gain", "offset", "gain_err", "offset_err", "covariance");
  return each(row => {
    const x = (energy - offset[row]) / gain[row];
    return Math.sqrt((x * gain_err[row]) ** 2 + 2 * x * covariance[row] + offset_err[row] ** 2);
  });
}

// What the fitted relation says where another one puts `energy`, less `energy`.
function difference(exposure, energy, other_gain, other_offset) {
  const [gain, offset] = columns(exposure, "gain", "offset");
  return each(row => gain[row] * (energy - other_offset[row]) / other_gain[row] + offset[row] - energy);
}

const error = (exposure, energy) => difference(exposure, energy, ...columns(exposure, "gain_true", "offset_true"));
const change = (exposure, energy) => difference(exposure, energy, prior.gain, prior.offset);

// Change of gain and offset together in units of the fit's error: sqrt(d' C^-1 d).
function significance(exposure) {
  const [gain, offset, gain_err, offset_err, covariance] =
    columns(exposure, "gain", "offset", "gain_err", "offset_err", "covariance");
  return each(row => {
    const g = gain[row] - prior.gain[row], o = offset[row] - prior.offset[row];
    const square = (g * offset_err[row]) ** 2 - 2 * g * o * covariance[row] + (o * gain_err[row]) ** 2;
    return Math.sqrt(square / ((gain_err[row] * offset_err[row]) ** 2 - covariance[row] ** 2));
  });
}

// --- the camera map ----------------------------------------------------------------------------------

const quantities = [
  {key: "gain", group: "Relation", label: "Gain", unit: "keV/channel", digits: 6},
  {key: "offset", group: "Relation", label: "Offset", unit: "keV", digits: 4},
  ...data.energies.map((energy, i) => ({
    key: `sigma_${energy}`, group: "Predicted error", label: `Predicted error σ at ${energy} keV`, unit: "keV",
    digits: 4, limit: data.requirement[i], of: exposure => sigma(exposure, energy),
  })),
  ...(all_have_truth ? data.energies : []).map((energy, i) => ({
    key: `error_${energy}`, group: "Error against truth", label: `Error at ${energy} keV`, unit: "keV",
    digits: 4, signed: true, limit: data.requirement[i], of: exposure => error(exposure, energy),
  })),
  {key: "fwhm", group: "Fit", label: "Resolution (FWHM) at 60 keV", unit: "keV", digits: 3},
  {key: "counts", group: "Fit", label: "Counts", unit: "", digits: 0},
  {key: "pvalue", group: "Fit", label: "p-value of the fit", unit: "", digits: 4, log: true, range: [-4, 0]},
  {key: "status", group: "Fit", label: "Status", unit: ""},
  {key: "significance", group: "Change", label: "Change / error of the fit", unit: "", digits: 1, of: significance},
  ...data.energies.map(energy => ({
    key: `change_${energy}`, group: "Change", label: `Change at ${energy} keV`, unit: "keV",
    digits: 4, signed: true, of: exposure => change(exposure, energy),
  })),
];
const FIRST_QUANTITY = `${all_have_truth ? "error" : "sigma"}_${data.first_energy}`;

// Which values a scale has to span: all.
const for_scale = (exposure, values) => values;

function hover_texts(exposure, quantity) {
  const values = values_of(quantity, exposure);
  const [gain, gain_err, offset, offset_err, status] =
    columns(exposure, "gain", "gain_err", "offset", "offset_err", "status");
  const is_basic = ["gain", "offset", "status"].includes(quantity.key);
  return Array.from({length: N}, (_, row) => {
    const {pixel, x, y, module, sector} = camera;
    const place = `X ${x[row]}, Y ${y[row]}, module ${module[row]}, sector ${sector[row]}`;
    const lines = [`<b>DETNUM ${pixel[row]}</b>  ${place}`];
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

function draw_changes() {
  const exposure = current(), quantity = quantities.find(item => item.key === "significance");
  plot("changes", [heatmap(exposure, quantity), ...overlay(quantity, BORDERS)],
    camera_layout(`${exposure.name}: change of gain and offset together / error of the fit`));
}

// --- the pixel that is looked at ------------------------------------------------------------------

function show_pixel() {
  if (selected === null) return element("pixel").replaceChildren();
  const exposure = current(), value = key => column(exposure, key)[selected], {pixel, x, y, module, sector} = camera;
  const heading = document.createElement("h3");
  heading.textContent = `Pixel ${pixel[selected]} in ${exposure.name}: ${status_words(value("status"))}`;
  const basic = document.createElement("table");
  const pvalue = value("pvalue");
  basic.createTBody().append(...[
    ["Place", `X ${x[selected]}, Y ${y[selected]}, module ${module[selected]}, sector ${sector[selected]}`],
    ["Gain (keV/channel)", `${fixed(value("gain"), 6)} ± ${fixed(value("gain_err"), 6)}`],
    ["Offset (keV)", `${fixed(value("offset"), 4)} ± ${fixed(value("offset_err"), 4)}`],
    ["FWHM at 60 keV (keV)", fixed(value("fwhm"), 3)],
    ["Counts, p-value", `${value("counts")}, ${Number.isFinite(pvalue) ? pvalue.toPrecision(2) : "–"}`],
  ].map(texts => table_row("td", texts)));
  const table = document.createElement("table"), known = has_truth(exposure);
  table.createTHead().append(
    table_row("th", ["Energy (keV)", "Allowed", "σ predicted", ...(known ? ["Error"] : []), "Change"]));
  table.createTBody().append(...data.energies.map((energy, i) => table_row("td", [
    energy, data.requirement[i], fixed(sigma(exposure, energy)[selected], 4),
    ...(known ? [fixed(error(exposure, energy)[selected], 4, true)] : []), fixed(change(exposure, energy)[selected], 4, true),
  ])));
  element("pixel").replaceChildren(heading, basic, table);
}
