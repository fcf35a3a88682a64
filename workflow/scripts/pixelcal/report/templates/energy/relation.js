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

// How the energies of a bent relation leave its straight line, as pixelcal/energy/curve.py has it.
function bent(exposure) {
  if (!exposure.curve_ends) return straight => straight;
  const [middle, at_low] = columns(exposure, "curve_mid", "curve_low"), [low, high] = exposure.curve_ends;
  const added = (row, energy) => 4 * middle[row] * (energy - low) * (high - energy) / (high - low) ** 2
    + at_low[row] * Math.exp(-(Math.max(energy, 0) - low) / 4);
  return (straight, row) => {
    let energy = straight;
    for (let i = 0; i < 16; i++) energy = straight + added(row, energy);
    return energy;
  };
}

// What the fitted relation says where another one puts `energy`, minus `energy`; photons may be displaced before.
function difference(exposure, energy, other_gain, other_offset, displaced) {
  const [gain, offset] = columns(exposure, "gain", "offset"), energy_at = bent(exposure);
  return each(row => {
    const place = (energy + (displaced ? displaced[row] : 0) - other_offset[row]) / other_gain[row];
    return energy_at(gain[row] * place + offset[row], row) - energy;
  });
}

// Systematic uncertainty at the reference energies; null where the page knows none.
function systematic(exposure, index) {
  if (!exposure.values[`sys_${index}`]) return null;
  const [gain, values] = columns(exposure, "gain", `sys_${index}`);
  return each(row => Number.isFinite(gain[row]) ? values[row] : NaN);
}

// Where a pixel is worst: the size of its error over what is allowed, and the index of the energy.
// Without truth the size is that of two predicted standard deviations: an error in 20 is larger.
const WORST = new Map();
function worst(exposure) {
  if (!WORST.has(exposure)) {
    const sizes = data.energies.map(energy => has_truth(exposure) ? error(exposure, energy) : sigma(exposure, energy).map(value => 2 * value));
    const ratio = new Float64Array(N), at = new Uint8Array(N);
    for (let row = 0; row < N; row++) {
      const parts = sizes.map((values, i) => Math.abs(values[row]) / data.requirement[i]);
      ratio[row] = Math.max(...parts);
      at[row] = parts.indexOf(ratio[row]);
    }
    WORST.set(exposure, {ratio, at});
  }
  return WORST.get(exposure);
}

// The same in a word, where there is no room for more.
function requirement_word(exposure, row) {
  const ratio = worst(exposure).ratio[row], known = has_truth(exposure);
  if (!Number.isFinite(ratio)) return "not known";
  return ratio <= 1 ? known ? "met" : "predicted" : known ? "missed" : "not sure";
}

// Whether a pixel meets the requirement: another question than whether its fit is good.
function requirement_words(exposure, row) {
  const {ratio, at} = worst(exposure), known = has_truth(exposure);
  if (!Number.isFinite(ratio[row])) return "not known";
  if (ratio[row] <= 1) return known ? "met at all reference energies" : "predicted to be met (2 σ within it)";
  const times = `${fixed(ratio[row], 2)} times what is allowed at ${data.energies[at[row]]} keV`;
  return known ? `missed: ${times}` : `not sure to be met: 2 σ is ${times}`;
}

function error(exposure, energy) {
  const key = `displaced_${data.energies.indexOf(energy)}`;
  const [displaced] = key in exposure.values ? columns(exposure, key) : [];
  return difference(exposure, energy, ...columns(exposure, "gain_true", "offset_true"), displaced);
}
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
      lines.push(`gain ${with_error(gain[row], gain_err[row], 6)} keV/channel`,
        `offset ${with_error(offset[row], offset_err[row], 3)} keV`);
    }
    return [...lines, `fit: ${status_words(status[row])}`, `requirement: ${requirement_words(exposure, row)}`].join("<br>");
  });
}

function draw_changes() {
  const exposure = current(), quantity = quantities.find(item => item.key === "significance");
  plot("changes", [heatmap(exposure, quantity), ...overlay(quantity, BORDERS)],
    camera_layout(`${exposure.name}: change of gain and offset together / error of the fit`));
}

// --- the pixel that is looked at ------------------------------------------------------------------

const EXPOSURES_HEAD = ["Exposure", "Gain (keV/channel)", "Offset (keV)", "Fit", "Requirement"];

function relation_words(exposure, row) {
  const [gain, gain_err, offset, offset_err] = columns(exposure, "gain", "gain_err", "offset", "offset_err").map(values => values[row]);
  return [with_error(gain, gain_err, 6), with_error(offset, offset_err, 4)];
}

// The energy at each reference energy with both its uncertainties, and what is required.
function energies_table(exposure, row) {
  const known = has_truth(exposure), with_sys = systematic(exposure, 0) !== null;
  const head = ["At (keV)", `Energy ± statistical${with_sys ? " ± systematic" : ""} (keV)`, "Allowed", ...(known ? ["Error"] : [])];
  const rows = data.energies.map((energy, i) => {
    const errors = [sigma(exposure, energy)[row], ...(with_sys ? [systematic(exposure, i)[row]] : [])];
    const value = energy + change(exposure, energy)[row];
    return [energy, with_error(value, errors, 3), data.requirement[i], ...(known ? [fixed(error(exposure, energy)[row], 3, true)] : [])];
  });
  return table_of(head, rows);
}

// Where the fit can be seen, and where the pixel is through time.
function pixel_links(exposure, row) {
  const detnum = camera.pixel[row], line = words_in("p", "", "note");
  const file = `${data.folder.split("/").at(-1)}/${exposure.name}/pixels/${String(detnum).padStart(4, "0")}.png`;
  if (exposure.fits[detnum]) line.append(link_to("#fit", "The fit of this pixel"), " is on this page. ");
  line.append(link_to(file, "Picture of its fit"), `, once made by: snakemake ${data.folder.split("/").slice(0, -1).join("/")}/${file}. `);
  if (data.history) line.append(link_to(`${data.history}#pixel=${detnum}`, "Its history"), ", once made by: snakemake history.");
  return line;
}

function pixel_parts(exposure, row) {
  const value = key => column(exposure, key)[row], {pixel, x, y, module, sector} = camera;
  const basic = table_of(null, [
    ["Fit", status_words(value("status"))],
    ["Requirement", requirement_words(exposure, row)],
    ["Gain (keV/channel)", relation_words(exposure, row)[0]],
    ["Offset (keV)", relation_words(exposure, row)[1]],
    ["FWHM at 60 keV (keV)", fixed(value("fwhm"), 3)],
    ["Counts, p-value", `${value("counts")}, ${pvalue_words(value("pvalue"))}`],
    ["Place", `X ${x[row]}, Y ${y[row]}, module ${module[row]}, sector ${sector[row]}`],
  ]);
  basic.className = "pairs";
  const note = "The energy is what this relation gives where the relation before has the energy in the first column.";
  const parts = [words_in("h3", `Pixel ${pixel[row]} in ${exposure.name}`), basic, energies_table(exposure, row), words_in("p", note, "note")];
  if (data.exposures.length > 1) {
    const all = table_of(EXPOSURES_HEAD, data.exposures.map(other => [
      other.name, ...relation_words(other, row), status_words(column(other, "status")[row]), requirement_word(other, row),
    ]), "In all exposures of this page");
    all.className = "words";
    parts.push(words_in("div", "", "wide"));
    parts.at(-1).append(all);
  }
  return [...parts, pixel_links(exposure, row)];
}

const csv_name = exposure => `${data.folder.split("/").at(-1)}-${exposure.name}-pixels`;

// The columns of relation.fits that the page holds, by their names, and what it derives of them.
function csv_columns(exposure) {
  const {pixel, x, y, module, sector} = camera, held = key => column(exposure, key);
  const rows = Array.from({length: N}, (_, row) => row), status = held("status");
  return [
    ["DETNUM", pixel], ["X", x], ["Y", y], ["MODULE", module], ["SECTOR", sector],
    ["GAIN", held("gain")], ["OFFSET", held("offset")], ["GAIN_ERR", held("gain_err")], ["OFFSET_ERR", held("offset_err")],
    ["GAIN_OFFSET_COV", held("covariance")], ["FWHM_60", held("fwhm")], ["COUNTS", held("counts")], ["PVALUE", held("pvalue")],
    ["STATUS", status], ["FIT", rows.map(row => status_words(status[row]))],
    ["REQUIREMENT", rows.map(row => requirement_words(exposure, row))],
    ...data.energies.flatMap((energy, i) => [
      [`ENERGY_${energy}`, change(exposure, energy).map(value => energy + value)],
      [`STAT_${energy}`, sigma(exposure, energy)],
      ...(systematic(exposure, i) ? [[`SYS_${energy}`, systematic(exposure, i)]] : []),
      ...(has_truth(exposure) ? [[`ERROR_${energy}`, error(exposure, energy)]] : []),
    ]),
  ];
}
