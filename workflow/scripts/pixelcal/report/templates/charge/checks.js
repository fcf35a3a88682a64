// The gain in two other ways, and the noise between the peaks, beside the fit.

// Column and name of each.
const WAYS = [["pe_peaks", "the peaks"], ["pe_moments", "mean and variance"]];
const NOISE = [["dark", "Dark counts per window"], ["afterpulse", "Afterpulses per avalanche"], ["delayed", "Delayed crosstalk per avalanche"]];
const ALL_CROSSTALK = "Crosstalk, prompt and delayed";
const HAS_WAYS = element("ways") !== null, HAS_NOISE = "dark" in data.exposures[0].values;

// In per cent of the gain of the fit.
function against_fit(exposure, key) {
  const [value, pe] = columns(exposure, key, "pe");
  return each(row => 100 * (value[row] / pe[row] - 1));
}

const misfit = exposure => Float64Array.from(column(exposure, "misfit"), value => 100 * value);

const check_quantities = [
  ...(HAS_WAYS ? WAYS.flatMap(([key, words]) => [
    {key, group: "The gain in two other ways", label: `Gain by ${words}`, unit: data.unit, digits: 3},
    {key: `against_${key}`, group: "The gain in two other ways", label: `Gain by ${words} / fit − 1`, unit: "%", digits: 2,
      signed: true, of: exposure => against_fit(exposure, key)},
  ]) : []),
  ...(HAS_NOISE ? [
    ...NOISE.map(([key, label]) => ({key, group: "Noise", label, unit: "", digits: 3})),
    {key: "crosstalk", group: "Noise", label: ALL_CROSSTALK, unit: "", digits: 4},
    {key: "late", group: "Noise", label: "Charge after an avalanche", unit: "", digits: 3},
  ] : []),
];

// Rows of the pixel: value ± error, in the unit of the gain where it is one.
function check_rows(exposure, row) {
  const value = key => column(exposure, key)[row], pair = (key, digits) => with_error(value(key), value(`${key}_err`), digits);
  const ways = HAS_WAYS ? WAYS.map(([key, words]) => [`Gain by ${words} (${data.unit})`, pair(key, 3)]) : [];
  if (!HAS_NOISE) return [ways, []];
  return [ways, [
    ...NOISE.filter(([key]) => value(key) > 0).map(([key, words]) => [words, pair(key, 3)]),
    ...(value("delayed") > 0 ? [[ALL_CROSSTALK, pair("crosstalk", 4)]] : []),
    ...(value("afterpulse") > 0 ? [["Delay of afterpulses (windows)", fixed(value("ap_delay"), 2)]] : []),
    ...(value("late") > 0 ? [["Charge after an avalanche", fixed(value("late"), 4)]] : []),
  ]];
}

// Columns of the table to keep; a page without noise holds no zeros, the table does.
function check_columns(exposure) {
  const held = key => column(exposure, key), valid = held("pe"), zero = each(row => Number.isFinite(valid[row]) ? 0 : NaN);
  const noise = key => HAS_NOISE ? held(key) : key === "ap_delay" ? each(() => NaN) : zero;
  const both = (key, of) => [[key.toUpperCase(), of(key)], [`${key}_err`.toUpperCase(), of(`${key}_err`)]];
  const crosstalk = key => held(HAS_NOISE ? key : key.replace("crosstalk", "opct"));
  return [
    ...WAYS.flatMap(([key]) => both(key, held)), ...NOISE.flatMap(([key]) => both(key, noise)), ...both("crosstalk", crosstalk),
    ["AP_DELAY", noise("ap_delay")], ["LATE", noise("late")], ["MISFIT", held("misfit")],
  ];
}

const N_WAY_BINS = 50;

// How the gains of both ways differ from that of the fit, over all pixels with a valid fit.
function draw_ways() {
  const exposure = current(), {main, second, soft} = theme(), status = column(exposure, "status");
  const off = WAYS.map(([key]) => against_fit(exposure, key));
  const good = off.flatMap(values => finite(values.filter((_, row) => status[row] === 0)));
  const known = good.length ? good : off.flatMap(finite);
  if (!known.length) return say("ways", "No pixel has a gain in another way.");
  const reach = 1.3 * span(known, true)[1] || 1, step = 2 * reach / N_WAY_BINS;
  const edges = Array.from({length: N_WAY_BINS + 1}, (_, i) => i * step - reach);
  const traces = off.map((values, i) => {
    const counts = Array(N_WAY_BINS).fill(0);
    for (const value of finite(values)) counts[Math.min(Math.max(Math.floor((value + reach) / step), 0), N_WAY_BINS - 1)]++;
    return curve(edges, [...counts, counts.at(-1)], WAYS[i][1], {color: [main, second][i], width: 2, shape: "hv", dash: ["solid", "dot"][i]}, {showlegend: true});
  });
  plot("ways", traces, layout("Gain in another way, against the fit", {
    legend: {orientation: "h", y: -.3}, margin: {t: 46, r: 12, b: 76, l: 58}, xaxis: axis("Gain / fit − 1 (%)"), yaxis: axis("Pixels", {rangemode: "tozero"}),
    shapes: [{type: "line", x0: 0, x1: 0, y0: 0, y1: 1, yref: "paper", line: {color: soft, width: 1, dash: "dash"}}],
  }));
}

// The kind of noise that most pixels show.
function draw_noise() {
  const exposure = current(), quantity = quantities.find(({key}) => key === data.noise_map.toLowerCase());
  plot("noise", [heatmap(exposure, quantity), ...overlay(quantity, BORDERS)], camera_layout(quantity.label));
}
