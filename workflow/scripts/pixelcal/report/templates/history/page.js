// The energies against time, and what the map shows of them.

const energy_index = () => Number(element("energy").value);

// Pixels and modules drift at two energies: any other is on the line through them.
function at_energy(history_of, row) {
  const energy = Number(data.energies[energy_index()]), [low, high] = data.pivots;
  const [a, b] = [0, 1].map(k => history_of(row, k)), w = [(high - energy) / (high - low), (energy - low) / (high - low)];
  if (w[0] === 1) return {points: a, energy};
  if (w[1] === 1) return {points: b, energy};
  // The errors of the two are not on the page together: the nearer of the two is shown.
  return w[0] > w[1] ? {points: a, energy: low} : {points: b, energy: high};
}

function draw_camera() {
  const m = energy_index();
  draw_chart("camera-plot", camera_history(m), `Change at ${data.energies[m]} keV (keV)`);
}

function draw_module() {
  if (!modules.number.length) {
    element("module-plot").innerHTML = "<p class=\"empty\">The run has too few modules to compare them with the camera.</p>";
    return;
  }
  const {points, energy} = at_energy(module_history, Number(element("module").value));
  draw_chart("module-plot", points, `Change against the camera at ${energy} keV (keV)`);
}

function draw_pixel() {
  const {points, energy} = at_energy(pixel_history, chosen);
  element("pixel-title").textContent = `Pixel ${pixels.number[chosen]}, module ${pixels.module[chosen]}, X ${place.x[chosen]}, Y ${place.y[chosen]}`;
  draw_chart("pixel-plot", points, `Energy minus ${energy} keV at a fixed place (keV)`);
  const rows = points.map((point, t) => {
    const notes = [point.status, point.jump ? "jump" : "", point.wild ? "wild" : ""].filter(Boolean).join(", ");
    const value = (one, sigma) => Number.isFinite(one) ? `${fixed(one, 3)} ± ${sigma.toFixed(3)}` : "–";
    const row = document.createElement("tr");
    [data.epochs.name[t], data.epochs.date[t], value(point.single, point.single_sigma), value(point.best, point.sigma), notes]
      .forEach(text => { row.insertCell().textContent = text; });
    return row;
  });
  element("pixel-table").tBodies[0].replaceChildren(...rows);
}

// Change of each pixel since the first epoch, with the motion of the camera or without it.
function changes() {
  const t = Number(element("epoch").value), energy = at_energy(() => null, 0).energy;
  const k = energy === data.pivots[0] ? 0 : 1;
  const m = data.energies.findIndex(text => Number(text) === energy);
  const common = element("without-camera").checked ? data.camera.change[m][t] ?? 0 : 0;
  const best = (row, s) => energy_of(pixels.best[2 * (row * T + s) + k]);
  return Float64Array.from({length: N}, (_, row) => best(row, t) - best(row, 0) - common);
}

const mapped = () => ({what: `at ${at_energy(() => null, 0).energy} keV`, since: "epoch", unit: "keV", digits: 3});

data.energies.forEach((energy, m) => element("energy").append(new Option(`${energy} keV`, m)));
element("energy").value = Math.max(data.energies.findIndex(energy => Number(energy) === data.pivots[1]), 0);
begin("energy", pixels.flags);
