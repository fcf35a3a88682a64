// The rate of the camera against time.

const HOUR_S = 3600, HOURS_FROM_S = 3 * HOUR_S;
// What the vertical axis has to hold: bins that are good for less of their length scatter too much.
const LEAST_GOOD = .1;

// Rate and Poisson error of each bin (1/s); null where there is no good time.
function rates({step, seconds, counts}) {
  const good = unpack(seconds), n = Array.from(unpack(counts));
  const per_second = numbers => numbers.map((number, i) => good[i] > 0 ? number / good[i] : null);
  return {
    x: n.map((_, i) => (i + .5) * step), y: per_second(n),
    error: per_second(n.map(number => Math.sqrt(Math.max(number, 1)))),
  };
}

function draw_rate() {
  const {name, rate} = current(), {main, second} = theme();
  if (!rate) return say("rate", `${name}: the spectra do not hold the rate; they were made before it was recorded.`);
  const {x, y, error} = rates(rate), good = unpack(rate.seconds), total = Array.from(good).reduce((a, b) => a + b, 0);
  if (!(total > 0)) return say("rate", `${name}: there is no good time.`);
  const average = Array.from(unpack(rate.counts)).reduce((a, b) => a + b, 0) / total;
  const hours = x.length * rate.step > HOURS_FROM_S, unit = hours ? HOUR_S : 1, time = x.map(value => value / unit);
  const long_enough = y.map((_, i) => i).filter(i => good[i] >= LEAST_GOOD * rate.step);
  const ends = [average, ...long_enough.flatMap(i => [y[i] - error[i], y[i] + error[i]])];
  const low = Math.min(...ends), high = Math.max(...ends), margin = .05 * (high - low);
  plot("rate", [{
    type: "scatter", mode: "markers", x: time, y, name: "rate", connectgaps: false,
    error_y: {type: "data", array: error, color: main, thickness: 1, width: 0}, marker: {color: main, size: 3.5},
    hovertemplate: `%{x:.4g} ${hours ? "h" : "s"}: %{y:.4g} ± %{error_y.array:.2g} per second<extra></extra>`,
  }, curve([0, x.length * rate.step / unit], [average, average], "mean", {color: second, width: 2, dash: "dash"})],
  layout(`${name}: rate of the camera, mean ${Number(average.toPrecision(4))} per second`, {
    xaxis: axis(`Time since the start (${hours ? "h" : "s"})`, {range: [0, x.length * rate.step / unit]}),
    yaxis: axis("Events per second", {range: [Math.max(low - margin, 0), high + margin]}),
  }));
}
