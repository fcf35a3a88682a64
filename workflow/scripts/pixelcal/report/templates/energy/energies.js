// All pixels together: error against energy, pulls, gain against offset, and how long to observe.

function draw_bands() {
  const exposure = current(), {ink, main, second, band} = theme();
  const {energies: x, requirement, error: ends, sigma: typical, sigma_high} = exposure.bands;
  if (!typical) return say("bands", `${exposure.name}: no pixel has a valid fit.`);
  const negative = values => values.map(value => -value);
  const between = (low, high, fillcolor, name) => [
    guide(x, low, {width: 0}),
    {...guide(x, high, {width: 0}), fill: "tonexty", fillcolor, name, showlegend: true},
  ];
  const both = (y, name, line) => [curve(x, y, name, line), {...curve(x, negative(y), name, line), showlegend: false}];
  const traces = ends
    ? [...between(ends[0], ends[4], band[0], "95 % of the pixels"), ...between(ends[1], ends[3], band[1], "68 %"),
      curve(x, ends[2], "median error", {color: main, width: 2})]
    : between(negative(sigma_high), sigma_high, band[0], "±σ of 97.5 % of the pixels");
  traces.push(...both(typical, "median ±σ predicted", {color: second, width: 2, dash: "dash"}),
    ...both(requirement, "requirement", {color: ink, width: 2.2, shape: "vh"}));
  const reach = 1.7 * Math.max(...requirement);
  plot("bands", traces, layout(`${exposure.name}: ${ends ? "error" : "predicted error"} of the energy over the pixels`, {
    xaxis: axis("Energy (keV)", {range: [x[0], x.at(-1)]}),
    yaxis: axis("Error of the energy (keV)", {range: [-reach, reach], zeroline: true}),
  }));
}

function draw_pulls() {
  const exposure = current(), {ink, energies} = theme(), place = element("pulls");
  if (!exposure.pulls.length) return say("pulls", `${exposure.name}: no pixel has STATUS 0.`);
  const x = Array.from({length: 101}, (_, i) => (i - 50) / 10);
  const normal = x.map(value => Math.exp(-value * value / 2) / Math.sqrt(2 * Math.PI));
  if (!place.querySelector(".plot")) {
    place.replaceChildren(...exposure.pulls.map(pull =>
      Object.assign(document.createElement("div"), {id: `pull-${pull.energy}`, className: "plot"})));
  }
  exposure.pulls.forEach((pull, i) => {
    const step = pull.edges[1] - pull.edges[0], top = Math.max(.5, ...pull.density);
    const heading = `<b>${pull.energy} keV</b>: mean ${fixed(pull.mean, 3, true)}, width ${fixed(pull.width, 3)}`;
    plot(`pull-${pull.energy}`, [{
      type: "bar", x: pull.density.map((_, k) => pull.edges[k] + step / 2), y: pull.density, width: step,
      marker: {color: energies[i]}, opacity: .75, showlegend: false, hovertemplate: "%{x:.2f}: %{y:.3f}<extra></extra>",
    }, guide(x, normal, {color: ink, width: 2})], layout("", {
      title: {text: heading, font: {size: 12}, x: .03, xref: "container", xanchor: "left", y: .97},
      bargap: 0, margin: {t: 34, r: 8, b: 30, l: 34},
      xaxis: axis("", {range: [-5, 5], dtick: 2}), yaxis: axis("", {range: [0, 1.1 * top], nticks: 4}),
    }));
  });
}

function correlation(x, y) {
  const mx = mean(x), my = mean(y), moment = (u, v) => mean(u.map((value, i) => value * v[i]));
  const dx = x.map(value => value - mx), dy = y.map(value => value - my);
  return moment(dx, dy) / Math.sqrt(moment(dx, dx) * moment(dy, dy));
}

// Gain against offset, minus the truth (or the previous relation), with the ellipses of a typical fit.
function draw_correlation() {
  const exposure = current(), {main, second} = theme(), known = has_truth(exposure);
  const [gain, offset, gain_err, offset_err, covariance] =
    columns(exposure, "gain", "offset", "gain_err", "offset_err", "covariance");
  const [other_gain, other_offset] = known ? columns(exposure, "gain_true", "offset_true") : [prior.gain, prior.offset];
  const rows = Array.from({length: N}, (_, row) => row).filter(row => Number.isFinite(gain[row]));
  if (!rows.length) return say("correlation", `${exposure.name}: no pixel has a valid fit.`);
  const x = rows.map(row => 1000 * (gain[row] - other_gain[row])), y = rows.map(row => offset[row] - other_offset[row]);
  const a = 1000 * median(gain_err), b = median(offset_err);
  const r = median(each(row => covariance[row] / gain_err[row] / offset_err[row]));
  const turn = Array.from({length: 73}, (_, i) => i * Math.PI / 36), many = rows.length > 1000;
  // Two standard normal numbers lie within 1.515 in 68.3 % of all cases, within 2.448 in 95 %.
  const ellipse = (size, name, dash) => curve(
    turn.map(t => size * a * Math.cos(t)),
    turn.map(t => size * b * (r * Math.cos(t) + Math.sqrt(1 - r * r) * Math.sin(t))),
    name, {color: second, width: 2, dash});
  const ellipses = [ellipse(1.515, "68 % by the fit's error", "solid"), ellipse(2.448, "95 %", "dash")];
  const reach = (values, size) => [-1, 1].map(sign => sign * Math.max(1.4 * span(values, true)[1], 3 * size));
  const found = fixed(correlation(x, y), 3), minus = known ? "fitted minus true" : "new minus previous";
  plot("correlation", [{
    type: "scatter", mode: "markers", x, y, customdata: rows, name: "pixel",
    marker: {color: main, size: many ? 3 : 5, opacity: many ? .4 : .8},
    text: rows.map(row => `DETNUM ${camera.pixel[row]}`),
    hovertemplate: "%{text}<br>%{x:.3f} eV/channel, %{y:.3f} keV<extra></extra>",
  }, ...ellipses], layout(`${exposure.name}: gain and offset, correlation ${found} (by the fits ${fixed(r, 3)})`, {
    xaxis: axis(`Gain, ${minus} (eV/channel)`, {range: reach(x, a), zeroline: true}),
    yaxis: axis(`Offset, ${minus} (keV)`, {range: reach(y, b), zeroline: true}),
  }));
}

// --- how long to observe --------------------------------------------------------------------------

// Measured points of all exposures under `measured`, and the prediction from this one under `predicted`.
function draw_observing(id, measured, predicted, heading, frame) {
  const {energies, ink} = theme(), exposure = current(), {observing} = data, prediction = observing.predicted[exposure.name];
  const names = measured === "passed" ? [...observing.energies, observing.together] : observing.energies;
  const traces = names.flatMap((energy, i) => {
    const color = energies[i] ?? ink, name = energies[i] ? `${energy} keV` : energy;
    const line = {color, width: energies[i] ? 1.6 : 2.6};
    const points = observing.measured.filter(point => Number.isFinite(point[measured][energy]));
    const parts = [];
    if (prediction[predicted][energy]) {
      parts.push(curve(prediction.seconds, prediction[predicted][energy], `${name}, predicted`, line,
        {legendgroup: name, showlegend: !points.length}));
    }
    if (points.length) {
      parts.push(curve(points.map(point => point.seconds), points.map(point => point[measured][energy]), name, line, {
        legendgroup: name, mode: "markers", text: points.map(point => point.name),
        marker: {color, symbol: SYMBOLS[i] ?? "star", size: 9},
        hovertemplate: `%{text}: %{y:.4g}<extra>${name}</extra>`,
      }));
    }
    return parts;
  });
  const longest = Math.max(...observing.measured.map(point => point.seconds));
  const seconds = traces.flatMap(trace => trace.x).filter(value => value <= 10 * longest);
  const from = ` (curves: predicted from ${exposure.name})`;
  plot(id, traces, layout(heading + from, {
    ...frame, xaxis: log_axis("Good time", .9 * Math.min(...seconds), 1.1 * Math.max(...seconds), duration),
  }));
}

function draw_passes() {
  const {soft} = theme(), {measured, wanted} = data.observing;
  const percents = finite(measured.flatMap(point => Object.values(point.passed)));
  const low = Math.max(0, Math.min(80, 10 * Math.floor(Math.min(...percents, 90) / 10) - 10));
  const heading = `Pixels ${all_have_truth ? "that" : "predicted to"} meet the requirement`;
  draw_observing("passes", "passed", "passed", heading, {
    yaxis: axis("Fraction of the pixels (%)", {range: [low, 100.5]}),
    shapes: [{
      type: "line", xref: "paper", x0: 0, x1: 1, y0: wanted, y1: wanted, line: {color: soft, width: 1.5, dash: "dash"},
    }],
    annotations: [{
      xref: "paper", x: 1, y: wanted, xanchor: "right", yanchor: "top", text: `${wanted} % required`, showarrow: false,
      font: {color: soft, size: 11},
    }],
  });
}

function draw_sigmas() {
  const heading = `${all_have_truth ? "Error" : "Predicted error"} of the energy, RMS over the pixels`;
  const sizes = finite(data.observing.measured.flatMap(point => Object.values(point.rms)));
  const [low, high] = sizes.length ? [Math.min(...sizes) / 4, 2 * Math.max(...sizes)] : [.01, 1];
  draw_observing("sigmas", "rms", "sigma", heading, {
    yaxis: log_axis("Error of the energy (keV)", low, high, value => String(Number(value.toPrecision(1)))),
  });
}
