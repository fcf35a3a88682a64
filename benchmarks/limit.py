"""How near the joint fit comes to the information limit, and how true its errors are.

python benchmarks/limit.py [--pixels 6400] [--exposures 3 10 30 100 1000] [--variant default ...]

Spectra are drawn from the exact density of a simulated camera with hole tails and escape peaks, and
with spread between the pixels. The bound is the Fisher information of the generating spectrum over
the channels of the blocks, normalisations free, shape known: no fit is in it. "common" is the
quoted error that all pixels have in common over their own: pull means scatter by so much.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import KNOWN, MIN_COUNTS, OPTIONS, REQUIREMENT

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.lines import line_groups
from pixelcal.energy.relation import energy_error, energy_sigma, position, relation_columns
from pixelcal.energy.response.energy_scale import systematic_sigma
from pixelcal.energy.simulation import spectra as cameras
from pixelcal.energy.simulation.detector import Detector, expected_counts

VARIANTS = {
    "default": (Detector(), {}),
    "tail x 2": (Detector(tail_60=0.24), {}),
    "tail / 2": (Detector(tail_60=0.06), {}),
    "resolution x 2": (Detector(fwhm_0=2.2, fwhm_60=3.2), {}),
    "resolution / 2": (Detector(fwhm_0=0.55, fwhm_60=0.8), {}),
    "pixels differ": (Detector(), {"line_spread": 0.15, "resolutions": (0.85, 1.0, 1.15)}),
}


def bound_keV(detector: Detector, resolution: float) -> np.ndarray:
    """Cramer-Rao bound (5,) of the energy error (keV) of a nominal pixel in 1 s."""
    table, background = cameras.line_table(), cameras.background()
    gain, offset, step = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET, 1e-3
    x = np.arange(1025)

    def spectrum(edges, own=background):
        return expected_counts(edges, own, detector, 1.0, resolution=resolution)

    edges = gain * x + offset
    mu = spectrum(edges)
    columns = [
        (spectrum(edges + gain * step * x) - spectrum(edges - gain * step * x)) / (2 * gain * step),
        (spectrum(edges + step) - spectrum(edges - step)) / (2 * step),
    ]
    used = np.zeros(1024, bool)
    for block, (low, high) in enumerate(table.block_limits_keV):
        inside = (edges[:-1] >= low) & (edges[1:] <= high)
        used |= inside
        continuum = np.where(inside, mu, 0.0)
        for at, element in line_groups(table):
            if at != block:
                continue
            own = (table.block == at) & (np.array(table.element) == element)
            lines = dataclasses.replace(
                background,
                continuum_per_s=0 * background.continuum_per_s,
                line_energy_keV=background.line_energy_keV[own],
                line_per_s=background.line_per_s[own],
            )
            columns.append(np.where(inside, spectrum(edges, lines), 0.0))
            continuum = continuum - columns[-1]
        columns.append(continuum)
    columns = np.array(columns)[:, used]
    covariance = np.linalg.inv((columns / mu[used]) @ columns.T)[:2, :2]
    at = position(np.array(REQUIREMENT.energies_keV), gain, offset)
    jacobian = np.array([at, np.ones_like(at)])
    return np.sqrt(np.einsum("ie,ij,je->e", jacobian, covariance, jacobian))


def measure(variant: str, n: int, seconds: float, seed: int = 1) -> dict:
    """Learn and fit a camera; numbers (5,) by energy."""
    detector, options = VARIANTS[variant]
    camera, table = cameras.make_camera(n, seconds, seed, detector, **options), cameras.line_table()
    gain, offset = cameras.prior(n)
    response = learn_camera(camera.counts, gain, offset, table, MIN_COUNTS, **KNOWN)
    rows = fit_pixels(camera.counts, np.arange(n), gain, offset, table, response, OPTIONS)
    good = rows["STATUS"] == 0
    rows = rows[good]
    truth = camera.gain_true[good], camera.offset_true[good]
    energy = np.array(REQUIREMENT.energies_keV)[:, None]
    error = energy_error(energy, rows["GAIN"], rows["OFFSET"], *truth)
    sigma = energy_sigma(energy, *relation_columns(rows))
    squares = [bound_keV(detector, r) ** 2 for r in options.get("resolutions", cameras.RESOLUTIONS)]
    bound = np.sqrt(np.mean(squares, axis=0) * np.mean(1 / camera.efficiency) / seconds)
    pull = error / sigma
    return {
        "flagged": 1 - good.mean(),
        "bias": error.mean(axis=1),
        "rms": np.sqrt((error**2).mean(axis=1)),
        "over bound": np.sqrt((error**2).mean(axis=1)) / bound,
        "pull mean": pull.mean(axis=1),
        "pull width": pull.std(axis=1),
        "coverage": (np.abs(pull) < 1).mean(axis=1),
        "common": systematic_sigma(energy[:, 0], response.scale_covariance) / sigma.mean(axis=1),
    }


def main() -> None:
    """Print a table for each variant of the detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=6400)
    parser.add_argument("--exposures", type=float, nargs="*", default=[3, 10, 30, 100, 1000])
    parser.add_argument("--variant", nargs="*", default=list(VARIANTS)[:1], choices=VARIANTS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    head = "{:<16}{:>7}{:>8}{:>9}{:>10}{:>9}{:>12}{:>11}{:>9}{:>12}{:>10}"
    titles = ("ks", "keV", "flagged", "bias", "rms", "over bound", "pull mean", "common")
    titles += ("width", "68 %")
    print(head.format("detector", *titles))
    for variant in options.variant:
        for exposure in options.exposures:
            own = measure(variant, options.pixels, 1e3 * exposure, options.seed)
            for k, energy in enumerate(REQUIREMENT.energies_keV):
                print(
                    f"{variant:<16}{exposure:>7g}{energy:>8g}{100 * own['flagged']:>7.2f} %"
                    f"{own['bias'][k]:>+10.4f}{own['rms'][k]:>9.4f}{own['over bound'][k]:>12.3f}"
                    f"{own['pull mean'][k]:>+11.3f}{own['common'][k]:>9.3f}"
                    f"{own['pull width'][k]:>12.3f}"
                    f"{own['coverage'][k]:>10.3f}"
                )
            print(flush=True)


if __name__ == "__main__":
    main()
