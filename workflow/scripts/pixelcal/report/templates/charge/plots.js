// Which plots the page has, and what chooses among them.

const draw = {
  camera: draw_camera, values: draw_values, histograms: draw_histograms, waveform: draw_waveform, fit: draw_fit,
  ...(HAS_WAYS ? {ways: draw_ways} : {}), ...(data.noise_map ? {noise: draw_noise} : {}), together: draw_together,
  ...(SCAN ? {resolution: draw_resolution, ratio: draw_ratio, bias: draw_bias, extracted: draw_extracted} : {}),
};
const MAPS = data.noise_map ? ["camera", "noise"] : ["camera"];
const CLICKABLE = MAPS, OF_ONE_PIXEL = [...MAPS, "fit"];

for (const id of ["run", "which"]) element(id).addEventListener("change", () => refresh(["histograms"]));
element("logarithmic").addEventListener("change", () => refresh(["fit"]));
