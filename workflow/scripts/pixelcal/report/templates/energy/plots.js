// Which plots the page has.

const draw = {
  camera: draw_camera, values: draw_values, bands: draw_bands, correlation: draw_correlation, pulls: draw_pulls,
  stack: draw_stack, residuals: draw_residuals, fit: draw_fit, passes: draw_passes, sigmas: draw_sigmas, changes: draw_changes,
};
// A page made from older spectra has no place for their rate.
if (element("rate")) draw.rate = draw_rate;
const CLICKABLE = ["camera", "changes", "correlation"], OF_ONE_PIXEL = ["camera", "changes", "fit"];
