// A plot against time: points with errors, a line with its band, jumps and files.

const HEIGHT = 300, LEFT = 64, RIGHT = 12, TOP = 12, BOTTOM = 44;

// About `wanted` round numbers between two.
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(n => n * power >= rough);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + 1e-9 * step; n++) found.push(n * step);
  return found;
}

function limits(points) {
  let low = 0, high = 0;
  for (const {best, sigma, sys, single, single_sigma, used} of points) {
    const wide = Number.isFinite(sys) ? Math.hypot(sigma, sys) : sigma;
    for (const value of [best - wide, best + wide]) if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (used) for (const value of [single - single_sigma, single + single_sigma]) {
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  const margin = .06 * (high - low) || .01;
  return [low - margin, high + margin];
}

// Stretches of neighbouring points that are known and that no jump divides.
function stretches(points) {
  const parts = [[]];
  points.forEach((point, t) => {
    if (!Number.isFinite(point.best)) return parts.push([]);
    if (point.jump) parts.push([]);
    parts.at(-1).push(t);
  });
  return parts.filter(part => part.length);
}

function draw_chart(id, points, unit) {
  const box = element(id), width = Math.max(Math.round(box.clientWidth), 260);
  const times = data.epochs.ms, first = times[0], last = times[T - 1], room = width - LEFT - RIGHT;
  const [low, high] = limits(points), span = last - first;
  const x = t => LEFT + (span ? (times[t] - first) / span : .5) * (room - 16) + 8;
  const y = value => TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
  const inside = value => Math.min(Math.max(value, low), high);
  const parts = [];
  const marks = ticks(low, high, 6), digits = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(marks[1] - marks[0] || 1))));
  for (const value of marks) {
    const height = y(value).toFixed(1);
    parts.push(`<line class="${Math.abs(value) < 1e-12 ? "zero" : "grid"}" x1="${LEFT}" x2="${width - RIGHT}" y1="${height}" y2="${height}"/>`);
    parts.push(`<text x="${LEFT - 6}" y="${height}" dy=".35em" text-anchor="end">${value < -1e-12 ? "−" : ""}${Math.abs(value).toFixed(digits)}</text>`);
  }
  const labels = Math.max(1, Math.min(T, Math.floor(room / 130)));
  for (let n = 0; n < labels; n++) {
    const t = labels === 1 ? 0 : Math.round(n * (T - 1) / (labels - 1));
    const anchor = n === 0 ? "start" : n === labels - 1 ? "end" : "middle";
    parts.push(`<text x="${x(t).toFixed(1)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="${anchor}">${data.epochs.date[t]}</text>`);
  }
  parts.push(`<text class="soft-text" x="${LEFT + 4}" y="${HEIGHT - 6}">${unit}</text>`);
  const band = (part, of) => part.map(t => `${x(t).toFixed(1)},${y(inside(points[t].best + of(t))).toFixed(1)}`)
    .concat(part.toReversed().map(t => `${x(t).toFixed(1)},${y(inside(points[t].best - of(t))).toFixed(1)}`)).join(" ");
  for (const part of stretches(points)) {
    if (Number.isFinite(points[part[0]].sys)) {
      parts.push(`<polygon class="band wide-band" points="${band(part, t => Math.hypot(points[t].sigma, points[t].sys))}"/>`);
    }
    parts.push(`<polygon class="band" points="${band(part, t => points[t].sigma)}"/>`);
    parts.push(`<polyline class="best" points="${part.map(t => `${x(t).toFixed(1)},${y(points[t].best).toFixed(1)}`).join(" ")}"/>`);
    if (part.length === 1) parts.push(`<circle class="best" cx="${x(part[0]).toFixed(1)}" cy="${y(points[part[0]].best).toFixed(1)}" r="3"/>`);
  }
  points.forEach((point, t) => {
    const at = x(t).toFixed(1);
    if (point.jump && t) {
      const middle = ((x(t) + x(t - 1)) / 2).toFixed(1);
      parts.push(`<line class="jump" x1="${middle}" x2="${middle}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`);
    }
    if (data.epochs.published[t]) parts.push(`<path class="file" d="M${at} ${HEIGHT - BOTTOM}l-4 7h8z"/>`);
    if (!Number.isFinite(point.single)) return;
    const [upper, lower] = [1, -1].map(sign => y(inside(point.single + sign * point.single_sigma)).toFixed(1));
    const kind = point.used ? "single" : "single hollow";
    parts.push(`<line class="${kind}" x1="${at}" x2="${at}" y1="${upper}" y2="${lower}"/>`);
    parts.push(`<circle class="${kind}" cx="${at}" cy="${y(inside(point.single)).toFixed(1)}" r="2.6"/>`);
  });
  box.innerHTML = `<svg viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}">${parts.join("")}</svg>`;
}
