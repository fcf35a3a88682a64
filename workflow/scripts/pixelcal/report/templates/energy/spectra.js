// Spectra in blocks: the stack of the camera with the learnt response, and the fit of one pixel.

// Labels of the lines of a block, on as many levels as they need not to touch.
function add_labels(frame, lines, n, label_keV) {
  const {soft} = theme(), ends = [], xref = `x${n}`, yref = `y${n} domain`;
  for (const {label, energy} of lines) {
    let level = ends.findIndex(end => energy > end);
    if (level < 0) level = ends.length;
    ends[level] = energy + label_keV;
    frame.shapes.push({
      type: "line", xref, yref, x0: energy, x1: energy, y0: 0, y1: 1.02, line: {color: soft, width: 1, dash: "dot"},
    });
    frame.annotations.push({
      xref, yref, x: energy, y: 1.02 + .075 * level, yanchor: "bottom", text: label, showarrow: false,
      font: {size: 11, color: soft},
    });
  }
}

// Traces of one block: data as steps; model and continuum through the middles; residuals below.
function block_traces(block, n, m, showlegend) {
  const {ink, soft, main, second, grid} = theme(), steps = values => [...values, values.at(-1)];
  const middle = block.counts.map((_, k) => (block.edges[k] + block.edges[k + 1]) / 2);
  const position = {xaxis: `x${n}`, yaxis: `y${n}`, showlegend};
  const traces = [curve(block.edges, steps(block.counts), "data", {color: soft, width: 1, shape: "hv"},
    {...position, fill: "tozeroy", fillcolor: grid})];
  if (!block.model) return traces;
  return [
    ...traces,
    curve(middle, block.model, "model", {color: main, width: 2}, position),
    curve(middle, block.continuum, "continuum", {color: second, width: 1.5, dash: "dash"}, position),
    curve(block.edges, steps(block.residuals), "residual", {color: ink, width: 1, shape: "hv"},
      {...position, yaxis: `y${m}`, showlegend: false}),
  ];
}

// Blocks side by side, each as wide as its part of the energies.
function draw_blocks(id, heading, blocks, labels, y_title) {
  const gap = .045, widths = blocks.map(block => Math.max(block.edges.at(-1) - block.edges[0], 5));
  const unit = (1 - gap * (blocks.length - 1)) / widths.reduce((a, b) => a + b, 0);
  const label_keV = 48 / (unit * Math.max(element(id).clientWidth - 76, 200));
  const with_model = blocks.every(block => block.model);
  const traces = [], frame = {
    annotations: [], shapes: [], margin: {t: 84, r: 14, b: 40, l: 62}, legend: {orientation: "h", y: -.16},
  };
  let left = 0;
  blocks.forEach((block, i) => {
    const n = i ? i + 1 : "", m = blocks.length + i + 1, right = Math.min(left + widths[i] * unit, 1);
    traces.push(...block_traces(block, n, m, i === 0));
    frame[`xaxis${n}`] = axis(i === Math.floor(blocks.length / 2) ? "Energy (keV)" : "", {
      domain: [left, right], range: [block.edges[0], block.edges.at(-1)], anchor: `y${with_model ? m : n}`, nticks: 6,
    });
    frame[`yaxis${n}`] = axis(i ? "" : y_title, {
      domain: with_model ? [.34, 1] : [0, 1], anchor: `x${n}`, rangemode: "tozero", nticks: 6,
    });
    if (with_model) {
      frame[`yaxis${m}`] = axis(i ? "" : "Residual (σ)", {
        domain: [0, .26], anchor: `x${n}`, zeroline: true, range: [-4.5, 4.5], tickvals: [-3, 0, 3],
      });
    }
    add_labels(frame, labels[block.name] ?? [], n, label_keV);
    left = right + gap;
  });
  plot(id, traces, layout(heading, frame));
}

function draw_stack() {
  const exposure = current(), {name, method, stack} = exposure;
  if (method !== "joint") return say("stack", `${name}: the method ${method} learns no response.`);
  if (!stack) return say("stack", `${name}: no valid fit to add up, or nothing was learnt.`);
  draw_blocks("stack", `${name}: ${stack.n_pixels} pixels added up`, stack.blocks, exposure.labels, "Counts in 0.1 keV");
}

// Residuals of all pixels' fits in bins of energy; a gap between blocks.
function draw_residuals() {
  const {name, residuals} = current(), {ink, soft, grid} = theme();
  if (!residuals) return say("residuals", `${name}: no residuals were kept.`);
  const {low, high, block, sigma, percent, named} = residuals, x = [], y = [], text = [];
  low.forEach((energy, k) => {
    x.push(energy); y.push(sigma[k]); text.push(`${fixed(percent[k], 2, true)} % of the model`);
    if (block[k] !== block[k + 1]) { x.push(high[k], high[k]); y.push(sigma[k], null); text.push("", ""); }
  });
  const most = Math.max(4, ...sigma.map(value => 1.15 * Math.abs(value ?? 0)));
  plot("residuals", [{
    type: "scatter", mode: "lines", x, y, text, line: {color: ink, width: 1.2, shape: "hv"}, connectgaps: false,
    hovertemplate: "%{x:.4g} keV: %{y:.3g} σ, %{text}<extra></extra>", showlegend: false,
  }], layout(`${name}: residuals of all pixels together`, {
    xaxis: axis("Energy (keV)"), yaxis: axis("Residual (σ)", {range: [-most, most], zeroline: true}),
    shapes: [{type: "rect", xref: "paper", x0: 0, x1: 1, y0: -3, y1: 3, fillcolor: grid, line: {width: 0}, layer: "below"}],
    annotations: named.map(({energy, text}) => ({
      x: energy, yref: "paper", y: 1, yanchor: "bottom", text, showarrow: false, font: {size: 11, color: soft},
    })),
  }));
}

// The blocks of a pixel, which the page holds one after the other.
function blocks_of(fit) {
  const counts = unpack(fit.counts), model = fit.model && unpack(fit.model);
  const continuum = fit.continuum && unpack(fit.continuum);
  let start = 0;
  return fit.sizes.map((size, i) => {
    const part = array => Array.from(array.subarray(start, start + size));
    const edges = Array.from({length: size + 1}, (_, k) => fit.gain * (fit.first[i] + k) + fit.offset);
    const block = {name: fit.names[i], edges, counts: part(counts)};
    if (model) {
      Object.assign(block, {model: part(model), continuum: part(continuum)});
      block.residuals = block.counts.map((n, k) => (n - block.model[k]) / Math.sqrt(Math.max(block.model[k], 1e-9)));
    }
    start += size;
    return block;
  });
}

function draw_fit() {
  if (selected === null) return say("fit", "No pixel is selected.");
  const exposure = current(), detnum = camera.pixel[selected], fit = exposure.fits[detnum];
  if (!fit) {
    const file = `${data.folder}/${exposure.name}/pixels/${String(detnum).padStart(4, "0")}.png`;
    return say("fit", `The page holds the fits of the pixels in the table. For pixel ${detnum}: snakemake ${file}`);
  }
  if (!fit.sizes.length || !unpack(fit.counts).some(n => n > 0)) {
    return say("fit", `Pixel ${detnum} in ${exposure.name} has no count in any block.`);
  }
  const notes = [`fit: ${status_words(column(exposure, "status")[selected])}`];
  if (!Number.isFinite(column(exposure, "gain")[selected])) notes.push("no valid fit: data by the previous relation");
  else if (!fit.model) notes.push("data alone");
  const heading = `Pixel ${detnum} in ${exposure.name} (${notes.join(", ")})`;
  draw_blocks("fit", heading, blocks_of(fit), exposure.labels, "Counts per channel");
}
