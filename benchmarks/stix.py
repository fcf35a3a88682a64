"""STIX: our relation beside the mission's own calibration of the same run.

python benchmarks/stix.py RELATION CALIBRATIONS [--row 125] [--picture docs/images/stix.png]

RELATION is results/stix/day/relation.fits, CALIBRATIONS the published calibration_meta.fits.gz; its
row 125 is the run of 5 May 2020.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.stats import mad_std

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal.energy.relation import energy_sigma, relation_columns
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO

ENERGIES_KEV = (31.0, 53.0, 81.0)


def differences(rows, own) -> np.ndarray:
    """Our energy minus the mission's (3, n), keV, where its relation puts `ENERGIES_KEV`."""
    energy = np.array(ENERGIES_KEV)[:, None]
    channel = energy * own["GAIN"].ravel() + own["OFFSET"].ravel()
    return rows["GAIN"] * channel + rows["OFFSET"] - energy


@plots.style()
def draw(difference, large):
    """Histograms of the differences of large and small pixels."""
    figure = plots.new_figure(12.0, 3.8, "STIX, 5 May 2020: our energy minus the mission's")
    for axes, energy, values in zip(figure.subplots(1, 3), ENERGIES_KEV, difference, strict=True):
        middle = np.median(values)
        edges = np.linspace(middle - 0.15, middle + 0.15, 41)
        for chosen, colour, name in ((large, "blue", "large"), (~large, "orange", "small")):
            axes.hist(
                np.clip(values[chosen], edges[0], edges[-1]),
                edges,
                color=OKABE_ITO[colour],
                alpha=0.7,
                label=f"{chosen.sum()} {name} pixels, median"
                f" {plots.signed_text(np.median(values[chosen]), 3)} keV",
            )
        axes.set_title(f"{energy:g} keV")
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
        axes.set_xlabel("Energy difference (keV)")
        axes.set_ylabel("Pixels")
        axes.legend(loc="upper left", fontsize=8)
    return figure


def main() -> None:
    """Print the table, and draw the picture where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("relation", type=Path)
    parser.add_argument("calibrations", type=Path)
    parser.add_argument("--row", type=int, default=125)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    rows = fits.getdata(given.relation, "RELATION")
    own = fits.getdata(given.calibrations, 1)[given.row]
    difference, large = differences(rows, own), rows["KIND"] == "large"
    print(f"{np.isfinite(rows['GAIN']).sum()} of {len(rows)} pixels with a valid fit")
    print(f"{'keV':>6}{'pixels':>8}{'median':>10}{'scatter':>10}{'sigma':>10}")
    for energy, values in zip(ENERGIES_KEV, difference, strict=True):
        for name, chosen in (("large", large), ("small", ~large)):
            sigma = energy_sigma(energy, *relation_columns(rows[chosen]))
            numbers = np.median(values[chosen]), mad_std(values[chosen]), np.median(sigma)
            print(f"{energy:>6g}{name:>8}" + "".join(f"{number:>10.4f}" for number in numbers))
    if given.picture:
        plots.save_figure(draw(difference, large), given.picture)


if __name__ == "__main__":
    main()
