// The numbers of the history.

const NOTHING = -32768;

const energy_of = (steps, step = data.step) => steps === NOTHING ? NaN : steps * step;
const sigma_of = steps => steps ? data.sigma[0] * Math.exp(steps * data.sigma[1]) : NaN;
const far_of = steps => steps ? Math.sinh((steps - 128) / data.far) : NaN;

// What is known of a pixel at one of the two energies that drift: k is 0 or 1.
function pixel_history(row, k) {
  return Array.from({length: T}, (_, t) => {
    const i = row * T + t, flags = pixels.flags[i];
    const ratio = kind => k ? 1 : pixels[`${kind}_ratio`][row];
    const best = energy_of(pixels.best[2 * i + k]), sigma = sigma_of(pixels.best_sigma[i]) * ratio("best");
    const single_sigma = sigma_of(pixels.single_sigma[i]) * ratio("single");
    return {
      best, sigma, single_sigma, single: best + far_of(pixels.far[2 * i + k]) * single_sigma,
      used: (pixels.used[i >> 3] >> (i & 7) & 1) === 1, status: data.status[flags >> 4],
      jump: (flags & 7) !== 0, wild: (flags & 8) !== 0,
    };
  });
}

function module_history(row, k) {
  return Array.from({length: T}, (_, t) => {
    const i = row * T + t;
    return {best: energy_of(modules.change[2 * i + k], data.module_step), sigma: sigma_of(modules.sigma[2 * i + k]), jump: modules.jump[i] !== 0};
  });
}

function camera_history(m) {
  const {change, sigma, sys, jump} = data.camera, or_nan = value => value ?? NaN;
  return change[m].map((value, t) => ({
    best: or_nan(value), sigma: or_nan(sigma[m][t]), sys: or_nan(sys[m][t]), jump: (jump[t] ?? 0) > 0,
  }));
}

function fixed(value, digits) {
  if (!Number.isFinite(value)) return "–";
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}
