// The charge resolution: against the requirement and the Poisson limit, its bias, and the charges themselves.

const SCAN = data.resolution;
const EXPECTED = "Expected charge (p.e.)";
const readable = value => String(Number(value.toPrecision(3)));
const DASHES = ["solid", "dot", "dashdot", "longdash"];

// A function that draws where there is a run to draw.
function of_scan(id, draw_it) {
  return () => {
    if (!SCAN.runs.length) return say(id, "No run of the scan can judge.");
    draw_it(SCAN.runs.map(run => run.expected));
  };
}

const charge_axis = () => log_axis(EXPECTED, ...SCAN.range, readable);

// Where 68 % of the good pixels lie.
function pixel_band(x, key) {
  const known = SCAN.runs.map((run, i) => [x[i], ...run[key]]).filter(point => point.every(Number.isFinite));
  if (known.length < 2) return [];
  const at = k => known.map(point => point[k]);
  return [guide(at(0), at(1), {width: 0}),
    {...guide(at(0), at(2), {width: 0}), fill: "tonexty", fillcolor: theme().band[0], name: "68 % of the good pixels", showlegend: true}];
}

function points(x, key, name, color, extra) {
  return {
    type: "scatter", mode: "markers", x, y: SCAN.runs.map(run => run[key]), name, marker: {color, size: 7},
    error_y: {array: SCAN.runs.map(run => run[`${key}_err`]), color, thickness: 1.2, width: 3},
    text: SCAN.runs.map(run => run.name), hovertemplate: `%{text}: %{x:.4g} p.e., %{y:.4g}<extra>${name}</extra>`, ...extra,
  };
}

const all_valid_fits = (x, key) => ({
  type: "scatter", mode: "markers", x, y: SCAN.runs.map(run => run[`${key}_answer`]), name: "all with a valid fit",
  marker: {symbol: "x-thin", size: 8, color: theme().soft, line: {width: 1.5, color: theme().soft}}, hoverinfo: "skip",
});

const draw_resolution = of_scan("resolution", x => {
  const {ink, main, soft, mark, second} = theme(), colours = [ink, mark, second, soft];
  const all = [...SCAN.runs.map(run => run.resolution), ...SCAN.requirements.flatMap(limit => finite(limit.resolution))];
  plot("resolution", [
    ...pixel_band(x, "resolution_band"),
    ...SCAN.requirements.map((limit, i) => curve(limit.charge, limit.resolution, `requirement, NSB ${limit.nsb} p.e./ns`,
      {color: colours[i % 4], width: 2, dash: DASHES[i % 4]})),
    curve(SCAN.poisson.charge, SCAN.poisson.resolution, "Poisson limit", {color: soft, width: 1.5, dash: "dash"}),
    all_valid_fits(x, "resolution"), points(x, "resolution", "good pixels", main),
  ], layout("Charge resolution", {
    xaxis: charge_axis(),
    yaxis: log_axis("σ(Q) / Q", .5 * Math.min(...all), 1.5 * Math.max(...all), readable),
  }));
});

const draw_ratio = of_scan("ratio", x => {
  const {ink, mark, second, soft} = theme(), colours = [ink, mark, second, soft];
  const at = (limit, charge) => {
    const i = limit.charge.findIndex(value => value >= charge);
    if (charge < limit.charge[0] || i < 0) return NaN;
    if (i === 0) return limit.resolution[0];
    const part = Math.log(charge / limit.charge[i - 1]) / Math.log(limit.charge[i] / limit.charge[i - 1]);
    return limit.resolution[i - 1] * (limit.resolution[i] / limit.resolution[i - 1]) ** part;
  };
  const traces = SCAN.requirements.map((limit, i) => {
    const required = x.map(charge => at(limit, charge)), color = colours[i % 4];
    return points(x, "resolution", `NSB ${limit.nsb} p.e./ns`, color, {
      y: SCAN.runs.map((run, k) => run.resolution / required[k]), marker: {color, size: 7, symbol: SYMBOLS[i % SYMBOLS.length]},
      error_y: {array: SCAN.runs.map((run, k) => run.resolution_err / required[k]), color, thickness: 1.2, width: 3},
    });
  });
  const known = traces.flatMap(trace => trace.y).filter(Number.isFinite);
  if (!known.length) return say("ratio", "No run lies where there is a requirement.");
  plot("ratio", traces, layout("Resolution / requirement: below 1 it is met", {
    xaxis: charge_axis(), yaxis: axis("Resolution / requirement", {range: [0, Math.max(1.3, 1.15 * Math.max(...known))]}),
    shapes: [{type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: {color: soft, width: 1.5, dash: "dash"}}],
  }));
});

const draw_bias = of_scan("bias", x => {
  const {main} = theme();
  const ends = SCAN.runs.flatMap(run => [run.bias - run.bias_err, run.bias + run.bias_err, ...finite(run.bias_band)]);
  const reach = 1.2 * Math.max(.02, ...finite(ends).map(Math.abs));
  plot("bias", [...pixel_band(x, "bias_band"), all_valid_fits(x, "bias"), points(x, "bias", "good pixels", main)],
    layout("Bias: mean extracted / expected charge − 1", {
      xaxis: charge_axis(), yaxis: axis("Bias", {zeroline: true, range: [-reach, reach]}),
    }));
});

const draw_extracted = of_scan("extracted", () => {
  const {extracted} = SCAN, {mark, paper, ink, absent} = theme();
  if (!extracted) return say("extracted", "There are no charges to show.");
  const ends = [extracted.x[0], extracted.x.at(-1)];
  plot("extracted", [{
    type: "heatmap", x: extracted.x, y: extracted.y, z: extracted.fraction, colorscale: "Viridis", hoverongaps: false,
    colorbar: {thickness: 14, outlinewidth: 0, title: {text: "fraction", side: "right"}, ...POWERS_OF_TEN},
    hovertemplate: "expected %{x:.4g}, extracted %{y:.4g} p.e.: 10^%{z:.1f} of the charges<extra></extra>",
  }, curve(ends, ends, "equal", {color: mark, width: 1.5}),
  {type: "scatter", mode: "markers", x: extracted.charge, y: extracted.mean, name: "mean",
    marker: {color: paper, size: 7, line: {color: ink, width: 1.2}}, hovertemplate: "mean %{y:.4g} p.e.<extra></extra>"}],
  layout("Extracted against expected charge", {
    plot_bgcolor: absent, xaxis: log_axis(EXPECTED, ...ends, readable),
    yaxis: log_axis("Extracted charge (p.e.)", extracted.y[0], extracted.y.at(-1), readable),
  }));
});
