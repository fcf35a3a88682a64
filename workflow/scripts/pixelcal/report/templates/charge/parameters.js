// What the page knows of the fits of single photoelectrons: maps, histograms, the pixel looked at.

const RUNS = data.runs;
const has_truth = exposure => "pe_true" in exposure.values;
const relative = (exposure, key) => {
  const [value, error] = columns(exposure, key, `${key}_err`);
  return each(row => 100 * error[row] / value[row]);
};
// Against truth: in per cent of it, or as it is.
function deviation(exposure, key, in_percent) {
  const [value, truth] = columns(exposure, key, `${key}_true`);
  return each(row => in_percent ? 100 * (value[row] / truth[row] - 1) : value[row] - truth[row]);
}
const of_runs = make => RUNS.flatMap((name, run) => make(name, run));

const quantities = [
  {key: "pe", group: "Single photoelectrons", label: "Gain, charge of a photoelectron", unit: data.unit, digits: 3},
  {key: "sigma_ped", group: "Single photoelectrons", label: "Width of the pedestal", unit: data.unit, digits: 3},
  {key: "sigma_pe", group: "Single photoelectrons", label: "Width of a photoelectron", unit: data.unit, digits: 3},
  {key: "opct", group: "Single photoelectrons", label: "Optical crosstalk", unit: "", digits: 4},
  ...of_runs((name, run) => [
    {key: `lambda_${run}`, group: "Runs", label: `Illumination λ, ${name}`, unit: "p.e.", digits: 4},
    {key: `eped_${run}`, group: "Runs", label: `Pedestal, ${name}`, unit: data.unit, digits: 2},
  ]),
  ...[["pe", "gain"], ["sigma_ped", "width of the pedestal"], ["sigma_pe", "width of a photoelectron"],
    ["opct", "crosstalk"], ...RUNS.map((name, run) => [`lambda_${run}`, `illumination, ${name}`])].map(([key, words]) => ({
    key: `relative_${key}`, group: "Relative errors", label: `Error of the ${words}`, unit: "%", digits: 3,
    of: exposure => relative(exposure, key),
  })),
  ...check_quantities,
  {key: "status", group: "Fit", label: "Status", unit: ""},
  {key: "pvalue", group: "Fit", label: "p-value of the fit", unit: "", digits: 4, log: true, range: [-4, 0]},
  {key: "chi", group: "Fit", label: "Deviance / degrees of freedom", unit: "", digits: 3},
  {key: "misfit", group: "Fit", label: "Misfit", unit: "%", digits: 2, of: misfit},
  ...RUNS.map((name, run) => (
    {key: `peak_valley_${run}`, group: "Fit", label: `Peak to valley, ${name}`, unit: "", digits: 2})),
  {key: "peak", group: "Fit", label: "Sample of the peak", unit: "", digits: 0},
  ...(data.exposures.every(has_truth) ? [
    ...[["pe", "gain"], ["sigma_ped", "width of the pedestal"], ["sigma_pe", "width of a photoelectron"]].map(
      ([key, words]) => ({key: `true_${key}`, group: "Error against truth", label: `Error of the ${words}`, unit: "%",
        digits: 2, signed: true, of: exposure => deviation(exposure, key, true)})),
    {key: "true_opct", group: "Error against truth", label: "Error of the crosstalk", unit: "", digits: 4, signed: true,
      of: exposure => deviation(exposure, "opct", false)},
    ...RUNS.map((name, run) => ({key: `true_lambda_${run}`, group: "Error against truth",
      label: `Error of the illumination, ${name}`, unit: "%", digits: 2, signed: true,
      of: exposure => deviation(exposure, `lambda_${run}`, true)})),
  ] : []),
];
const FIRST_QUANTITY = "pe";

// Which values a scale has to span: those of the good pixels, as a dead one may have any.
function for_scale(exposure, values) {
  const status = column(exposure, "status"), good = values.filter((_, row) => status[row] === 0);
  return finite(good).length ? good : values;
}

function hover_texts(exposure, quantity) {
  const values = values_of(quantity, exposure), [pe, pe_err, opct, status] = columns(exposure, "pe", "pe_err", "opct", "status");
  const {pixel, module, x_m, y_m} = camera, is_basic = ["pe", "opct", "status"].includes(quantity.key);
  return Array.from({length: N}, (_, row) => {
    const place = `module ${module[row]}, ${fixed(1000 * x_m[row], 1)} mm, ${fixed(1000 * y_m[row], 1)} mm`;
    const lines = [`<b>Pixel ${pixel[row]}</b>  ${place}`];
    if (!is_basic) lines.push(`${quantity.label}: ${fixed(values[row], quantity.digits, quantity.signed)} ${quantity.unit}`);
    if (Number.isFinite(pe[row])) {
      lines.push(`gain ${with_error(pe[row], pe_err[row], 2)} ${data.unit}`, `crosstalk ${fixed(opct[row], 3)}`);
    }
    return [...lines, status_words(status[row])].join("<br>");
  });
}

function pixel_parts(exposure, row) {
  const value = key => column(exposure, key)[row], {pixel, module, x_m, y_m} = camera;
  const pair = (key, digits) => with_error(value(key), value(`${key}_err`), digits);
  const known = has_truth(exposure), truth = (key, digits) => known ? [fixed(value(`${key}_true`), digits)] : [];
  const [ways, noise] = check_rows(exposure, row);
  const basic = table_of(["", "Fitted", ...(known ? ["True"] : [])], [
    ["Fit", status_words(value("status"))],
    [`Gain (${data.unit})`, pair("pe", 3), ...truth("pe", 3)],
    ...ways,
    [`Width of the pedestal (${data.unit})`, pair("sigma_ped", 3), ...truth("sigma_ped", 3)],
    [`Width of a photoelectron (${data.unit})`, pair("sigma_pe", 3), ...truth("sigma_pe", 3)],
    ["Crosstalk", pair("opct", 4), ...truth("opct", 4)],
    ...noise,
    ["p-value, misfit (%)", `${pvalue_words(value("pvalue"))}, ${fixed(100 * value("misfit"), 2)}`],
    ["Module, sample of the peak", `${module[row]}, ${fixed(value("peak"), 0)}`],
    ["Place (mm)", `${fixed(1000 * x_m[row], 1)}, ${fixed(1000 * y_m[row], 1)}`],
  ]);
  const runs = table_of(["Run", "Illumination λ", ...(known ? ["True"] : []), "Pedestal", "Peak / valley"], RUNS.map((name, run) => [
    name, pair(`lambda_${run}`, 4), ...truth(`lambda_${run}`, 4), pair(`eped_${run}`, 2), fixed(value(`peak_valley_${run}`), 2),
  ]));
  return [words_in("h3", `Pixel ${pixel[row]}`), basic, runs, pixel_links(exposure, row)];
}

// Where the spectra can be seen.
function pixel_links(exposure, row) {
  const number = camera.pixel[row], line = words_in("p", "", "note");
  const file = `sstcam/pixels/${String(number).padStart(4, "0")}.png`;
  if (exposure.fits[number]) line.append(link_to("#fit", "The spectra of this pixel"), " are on this page. ");
  line.append(link_to(file, "Picture of its fit"), `, once made by: snakemake ${data.results}/${file}.`);
  return line;
}

const csv_name = () => "sstcam-pixels";

// The columns of spe.fits that the page holds, by their names; those of a run end in its number.
function csv_columns(exposure) {
  const held = key => column(exposure, key), status = held("status"), {pixel, module, x_m, y_m} = camera;
  const both = key => [[key.toUpperCase(), held(key)], [`${key}_err`.toUpperCase(), held(`${key}_err`)]];
  return [
    ["PIXEL", pixel], ["MODULE", module], ["X_M", x_m], ["Y_M", y_m],
    ...["pe", "sigma_ped", "sigma_pe", "opct"].flatMap(both), ...check_columns(exposure), ["PVALUE", held("pvalue")],
    ["STATUS", status], ["FIT", Array.from(status, status_words)],
    ...RUNS.flatMap((_, run) => [...both(`lambda_${run}`), ...both(`eped_${run}`), [`PEAK_VALLEY_${run}`, held(`peak_valley_${run}`)]]),
  ];
}

// --- histograms -----------------------------------------------------------------------------------

const HISTOGRAMS = [
  {key: "pe", label: "Gain"}, {key: "sigma_ped", label: "Width of the pedestal"},
  {key: "sigma_pe", label: "Width of a photoelectron"}, {key: "opct", label: "Optical crosstalk", unit: ""},
  {key: "lambda", label: "Illumination λ", unit: "p.e.", run: true}, {key: "eped", label: "Pedestal", run: true},
  {key: "peak_valley", label: "Peak to valley", unit: "", run: true}, {key: "pvalue", label: "log₁₀ p-value", unit: "", log: true},
];
const N_BINS = 40;

// Good pixels below, those in question on top of them: together all.
function draw_histograms() {
  const exposure = current(), {main, mark, ink} = theme(), place = element("histograms");
  const run = element("run").value, which = element("which").value, status = column(exposure, "status");
  if (!finite(column(exposure, "pe")).length) return say("histograms", "No pixel has a valid fit.");
  if (!place.querySelector(".plot")) {
    place.replaceChildren(...HISTOGRAMS.map(({key}) =>
      Object.assign(document.createElement("div"), {id: `histogram-${key}`, className: "plot"})));
  }
  for (const {key, label, unit = data.unit, run: of_run, log} of HISTOGRAMS) {
    const raw = column(exposure, of_run ? `${key}_${run}` : key);
    const values = log ? Float64Array.from(raw, value => Math.log10(Math.max(value, 1e-6))) : raw;
    const good = finite(values.filter((_, row) => status[row] === 0)), bad = finite(values.filter((_, row) => status[row] !== 0));
    const shown = which === "good" ? good : which === "bad" ? bad : [...good, ...bad];
    const [first, last] = span(which === "bad" ? bad : good.length ? good : bad, false), margin = .25 * (last - first);
    const low = first - margin, step = (last - first + 2 * margin) / N_BINS;
    const count = list => {
      const counts = Array(N_BINS).fill(0);
      for (const value of list) counts[Math.min(Math.max(Math.floor((value - low) / step), 0), N_BINS - 1)]++;
      return counts;
    };
    const bars = (list, name, color) => ({
      type: "bar", x: Array.from({length: N_BINS}, (_, i) => low + (i + .5) * step), y: count(list), width: step, name,
      marker: {color}, showlegend: false, hovertemplate: `%{x:.4g}: %{y} ${name}<extra></extra>`,
    });
    const traces = [];
    if (which !== "bad") traces.push(bars(good, "good", main));
    if (which !== "good") traces.push(bars(bad, "in question", mark));
    const middle = shown.length ? `median ${with_minus(String(Number(median(shown).toPrecision(4))))}` : "none";
    plot(`histogram-${key}`, traces, layout("", {
      title: {text: `<b>${label}</b>: ${middle}`, font: {size: 12, color: ink}, x: .03, xref: "container", xanchor: "left", y: .97},
      barmode: "stack", bargap: 0, margin: {t: 34, r: 8, b: 44, l: 40},
      xaxis: axis(unit, {nticks: 5}), yaxis: axis("", {nticks: 4}),
    }));
  }
}

function draw_waveform() {
  const {mean: y, low, high, window: [first, last]} = data.waveform, {main, band, second} = theme();
  if (!y.length) return say("waveform", "There is no mean waveform.");
  const x = y.map((_, i) => i);
  plot("waveform", [
    guide(x, low, {width: 0}), {...guide(x, high, {width: 0}), fill: "tonexty", fillcolor: band[0]},
    curve(x, y, "median", {color: main, width: 2}, {showlegend: false}),
  ], layout("Mean waveform of the brightest run", {
    margin: {t: 40, r: 12, b: 44, l: 58}, xaxis: axis("Sample"), yaxis: axis(`Amplitude (${data.unit})`),
    shapes: [{type: "rect", x0: first - .5, x1: last + .5, y0: 0, y1: 1, yref: "paper", fillcolor: second, opacity: .12, line: {width: 0}}],
  }));
}
