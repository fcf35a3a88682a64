// Which plots the page has.

const draw = {
  camera: draw_camera, values: draw_values, bands: draw_bands, correlation: draw_correlation, pulls: draw_pulls,
  stack: draw_stack, residuals: draw_residuals, fit: draw_fit, passes: draw_passes, sigmas: draw_sigmas, changes: draw_changes,
};
draw.rate = draw_rate;
// The page has no place for what none of its exposures has: a rate, residuals, pulls without truth.
for (const id of Object.keys(draw)) if (!element(id)) delete draw[id];
const MAPS = ["camera", "changes"];
const CLICKABLE = ["camera", "changes", "correlation"], OF_ONE_PIXEL = ["camera", "changes", "fit"];
