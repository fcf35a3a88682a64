// Spectra run below run: those of one pixel with its fit, and those of all good pixels together.

const ROW_PX = 250, MOST_PEAKS = 12;

const middle_of = edges => edges.slice(1).map((edge, k) => (edges[k] + edge) / 2);

// One run: data as steps, the model through the middles, peaks one by one, residuals below.
function run_traces(run, n, m, showlegend) {
  const {ink, soft, main, second, grid} = theme(), steps = values => [...values, values.at(-1)];
  const middle = middle_of(run.edges), place = {xaxis: `x${n}`, yaxis: `y${n}`};
  const traces = [curve(run.edges, steps(run.counts), "data", {color: soft, width: 1, shape: "hv"},
    {...place, showlegend, fill: "tozeroy", fillcolor: grid})];
  if (!run.model) return traces;
  for (const [k, peak] of (run.peaks ?? []).entries()) {
    traces.push(curve(peak.x, peak.y, "one peak", {color: second, width: 1}, {...place, showlegend: showlegend && k === 0}));
  }
  return [
    ...traces,
    curve(middle, run.model, "model", {color: main, width: 2}, {...place, showlegend}),
    curve(run.edges, steps(run.residuals), "residual", {color: ink, width: 1, shape: "hv"},
      {xaxis: `x${n}`, yaxis: `y${m}`, showlegend: false}),
  ];
}

function draw_runs(id, heading, runs, x_title, logarithmic) {
  const n_runs = runs.length, gap = .07, unit = 1 / n_runs, traces = [];
  element(id).style.height = `${110 + ROW_PX * n_runs}px`;
  const frame = {annotations: [], margin: {t: 50, r: 14, b: 50, l: 66}, legend: {orientation: "h", y: -.04 - .02 * n_runs, yanchor: "top"}};
  runs.forEach((run, i) => {
    const n = i ? i + 1 : "", m = n_runs + i + 1, top = 1 - i * unit, low = top - unit + (i < n_runs - 1 ? gap : 0);
    const split = low + .3 * (top - low), {soft} = theme();
    traces.push(...run_traces(run, n, m, i === 0));
    frame[`xaxis${n}`] = axis(i === n_runs - 1 ? x_title : "", {
      anchor: `y${run.model ? m : n}`, range: [run.edges[0], run.edges.at(-1)],
    });
    const largest = Math.max(...run.counts, ...(run.model ?? []), 1);
    frame[`yaxis${n}`] = axis("Flashes", {
      domain: [run.model ? split + .03 : low, top], anchor: `x${n}`, nticks: 5,
      ...(logarithmic ? {type: "log", range: [Math.log10(.5), Math.log10(2 * largest)], dtick: 1} : {range: [0, 1.08 * largest]}),
    });
    if (run.model) {
      const reach = Math.max(4.5, 1.1 * Math.max(...run.residuals.map(Math.abs)));
      frame[`yaxis${m}`] = axis("σ", {domain: [low, split - .01], anchor: `x${n}`, zeroline: true, range: [-reach, reach], nticks: 5});
    }
    frame.annotations.push({xref: "paper", yref: "paper", x: .995, y: top, xanchor: "right", yanchor: "top", showarrow: false,
      text: run.title, font: {color: soft, size: 12}});
  });
  plot(id, traces, layout(heading, frame));
}

// Peaks of a run of the chosen pixel: the page has the fraction in each, the fit their positions.
// On the pedestal of a dark run they have its form: the page has them as they are.
function peaks_of(exposure, run, {fractions, curves, width}, flashes, middle) {
  if (curves) return curves.slice(0, MOST_PEAKS).map(peak => ({x: middle, y: Array.from(unpack(peak))}));
  const [pe, sigma_ped, sigma_pe, eped] = ["pe", "sigma_ped", "sigma_pe", `eped_${run}`].map(key => column(exposure, key)[selected]);
  return fractions.slice(0, MOST_PEAKS).map((fraction, k) => {
    const sigma = Math.hypot(sigma_ped, Math.sqrt(k) * sigma_pe), centre = eped + k * pe;
    const x = Array.from({length: 41}, (_, i) => centre + (i - 20) / 5 * sigma);
    const top = fraction * flashes * width / Math.sqrt(2 * Math.PI) / sigma;
    return {x, y: x.map(value => top * Math.exp(-.5 * ((value - centre) / sigma) ** 2))};
  });
}

// Signed root of the Poisson deviance of counts n where m are expected.
function signed_deviance(n, m) {
  const deviance = 2 * ((n > 0 ? n * Math.log(n / Math.max(m, 1e-9)) : 0) - n + m);
  return Math.sign(n - m) * Math.sqrt(Math.max(deviance, 0));
}

function draw_fit() {
  if (selected === null) return say("fit", "No pixel is selected.");
  const exposure = current(), pixel = camera.pixel[selected], fit = exposure.fits[pixel];
  if (!fit) {
    const file = `${data.results}/sstcam/pixels/${String(pixel).padStart(4, "0")}.png`;
    element("fit").style.height = "auto";
    return say("fit", `The page holds the spectra of the pixels in the table. For pixel ${pixel}: snakemake ${file}`);
  }
  const runs = fit.runs.map((run, i) => {
    const counts = Array.from(unpack(run.counts)), flashes = counts.reduce((sum, n) => sum + n, 0);
    const edges = Array.from({length: counts.length + 1}, (_, k) => run.start + k * run.width);
    const drawn = {edges, counts, title: `${RUNS[i]}: ${flashes} flashes`};
    if (run.model) {
      drawn.model = Array.from(unpack(run.model));
      drawn.residuals = counts.map((n, k) => signed_deviance(n, drawn.model[k]));
      drawn.peaks = peaks_of(exposure, i, run, flashes, middle_of(edges));
      const light = column(exposure, `lambda_${i}`)[selected];
      drawn.title += `, λ = ${fixed(light, 3)}`;
    }
    return drawn;
  });
  if (!runs.some(run => run.counts.some(n => n > 0))) return say("fit", `Pixel ${pixel} has no flash in any run.`);
  const status = status_words(column(exposure, "status")[selected]), note = fit.model ? "" : ", data alone";
  draw_runs("fit", `Pixel ${pixel} (${status}${note})`, runs, `Charge (${data.unit})`, element("logarithmic").checked);
}

function draw_together() {
  if (!data.model.length) return say("together", "There is no good pixel to add up.");
  const runs = data.model.map(run => ({...run, title: run.name}));
  draw_runs("together", "All good pixels", runs, "Charge (p.e.)", true);
}
