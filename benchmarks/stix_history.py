"""STIX: the published calibrations of a file as a history, with what the temperature does.

python benchmarks/stix_history.py CALIBRATIONS [--picture docs/images/stix-history.png]
    [--output FOLDER]

CALIBRATIONS is the published calibration_meta.fits.gz. With --output, history.fits and alarms.txt
are written as the workflow writes them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal.camera import read_pixel_map
from pixelcal.energy.history.alarms import write_lines
from pixelcal.energy.history.assembly import assemble
from pixelcal.energy.history.daily import read_daily_epochs
from pixelcal.energy.history.epochs import utc
from pixelcal.io.instruments import load_instrument
from pixelcal.io.tables import write_fits, write_text
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO

SETTINGS = {
    "false_alarms": 0.1,
    "alarms": {"camera_keV": 0.05, "module_keV": 0.1, "pixel_keV": 0.3},
    "publication": {"requirement_fraction": 0.5, "pixels": 100},
}
NEAR_KEV = 1.0
"""Runs whose energies are further off were taken with other settings of the detectors."""


def analyse(calibrations: Path):
    """What `assemble` gives for a file of calibrations, with the temperature of each run (t,)."""
    instrument = load_instrument("stix")
    epochs, temperature = read_daily_epochs(calibrations, instrument)
    pixel_map = read_pixel_map(instrument.pixel_map)
    found = assemble(
        epochs, instrument, pixel_map, SETTINGS, "stix_history",
        regressor=("AVERAGE_TEMP", temperature),
    )  # fmt: skip
    return found, temperature


@plots.style()
def draw(history, temperature, response):
    """The camera against time, and its energy against the temperature."""
    figure = plots.new_figure(12.0, 4.2, "STIX, April to June 2020: the published calibrations")
    time, against = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    days = (history.epochs.middle_s - history.epochs.start_s[0]) / 86400.0
    change, _ = history.motion("camera", 31.0)
    series = history.drift.camera
    measured = series.used[0]
    time.plot(
        days[measured], change[0][measured], ".", color=OKABE_ITO["blue"], label="camera at 31 keV"
    )
    for epoch in np.flatnonzero(series.opened[0]):
        time.axvline(days[epoch], color=OKABE_ITO["vermilion"], linewidth=0.8, alpha=0.7)
    time.set_yscale("symlog", linthresh=1.0)
    time.set_xlabel(f"Days since {utc(history.epochs.start_s[0])[:10]}")
    time.set_ylabel("Change of the mean energy (keV)")
    time.set_title("Lines: the camera changed")
    near = measured & (np.abs(change[0]) < NEAR_KEV)
    values, degrees = change[0][near], temperature[near]
    against.plot(degrees, values, ".", color=OKABE_ITO["blue"])
    ends = np.array([degrees.min(), degrees.max()])
    middle = np.median(values), np.median(degrees)
    against.plot(ends, middle[0] + response * (ends - middle[1]), color=OKABE_ITO["vermilion"])
    against.set_xlabel("Temperature (°C)")
    against.set_ylabel("Change at 31 keV (keV)")
    against.set_ylim(middle[0] - 0.25, middle[0] + 0.25)
    against.set_title(f"{plots.signed_text(1000 * response, 1)} eV/K")
    return figure


def main() -> None:
    """Print what was found, draw the picture and write the products where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calibrations", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    found, temperature = analyse(given.calibrations)
    history, camera = found.history, found.history.drift.camera
    names = history.epochs.names
    rows = found.hdus[-1].data
    print(f"{len(names)} runs that are apart, {names[0]} to {names[-1]}")
    for energy in (31, 81):
        value, sigma = rows[f"COEF_{energy}"][0], rows[f"SIGMA_{energy}"][0]
        print(f"{energy} keV: {1000 * value:.1f} +- {1000 * sigma:.1f} eV/K, the camera")
    walk = 1000 * np.sqrt(history.drift.pixels.walk.base[[0, 2]])
    print(f"a typical pixel walks {walk[0]:.1f} and {walk[1]:.1f} eV in a day (31, 81 keV)")
    print("the camera changed:")
    for epoch in np.flatnonzero(camera.opened[0]).tolist():
        steps = camera.best[0, epoch] - camera.best[0, epoch - 1]
        print(f"  {names[epoch]}  {steps[0]:+8.3f} {steps[1]:+8.3f} keV")
    print(f"single runs apart from their neighbours: {int(camera.wild.sum())}")
    if given.picture:
        plots.save_figure(draw(history, temperature, float(rows["COEF_31"][0])), given.picture)
    if given.output:
        write_fits(given.output / "history.fits", found.hdus)
        write_text(given.output / "alarms.txt", write_lines(found.alarms))


if __name__ == "__main__":
    main()
