// Which plots the page has.

const draw = {
  camera: draw_camera, values: draw_values, bands: draw_bands, correlation: draw_correlation, pulls: draw_pulls,
  stack: draw_stack, fit: draw_fit, passes: draw_passes, sigmas: draw_sigmas, changes: draw_changes,
};
const CLICKABLE = ["camera", "changes", "correlation"], OF_ONE_PIXEL = ["camera", "changes", "fit"];
