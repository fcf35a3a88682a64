"""What becomes of sick pixels, of healthy ones, and of pixels whose relation has gone far.

python benchmarks/troubles.py [--pixels 6400] [--exposures 10 30 100]

Sick pixels, a tenth of the camera, among healthy ones: dead, noisy, of 2 % efficiency, of 3.5 keV
FWHM, without a line, with a gain jump halfway, with a module's offset 2 keV off. A pixel is
silently wrong where its energy at one of the five energies is off by more than 5 sigma and 0.3 keV
with STATUS 0. The capture range is a separate camera, gains up to 5 % and offsets up to 1 keV off.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import MIN_COUNTS, OPTIONS

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.simulation import spectra as cameras
from pixelcal.instrument import REFERENCE_ENERGIES_KEV

SICK_SHARE = 0.1


def dead(rng, gain, offset, seconds):
    """No event at all."""
    return np.zeros(1024), gain, offset


def noisy(rng, gain, offset, seconds):
    """Electronic noise of ten times the counts, falling steeply from the threshold."""
    spectrum = cameras.expected_spectrum(gain, offset, seconds)
    return spectrum + 10 * spectrum.sum() * 0.1 * np.exp(-np.arange(1024) / 10.0), gain, offset


def faint(rng, gain, offset, seconds):
    """2 % of the efficiency."""
    return cameras.expected_spectrum(gain, offset, seconds, efficiency=0.02), gain, offset


def wide(rng, gain, offset, seconds):
    """3.5 keV FWHM at 60 keV."""
    spectrum = cameras.expected_spectrum(gain, offset, seconds, resolution=3.5 / 1.6)
    return spectrum, gain, offset


def lineless(rng, gain, offset, seconds):
    """Without the tungsten lines."""
    return cameras.expected_spectrum(gain, offset, seconds, without=("W",)), gain, offset


def jumping(rng, gain, offset, seconds):
    """A gain that is 2 % larger in the second half; the truth is the mean relation."""
    halves = [cameras.expected_spectrum(gain * f, offset, seconds / 2) for f in (0.99, 1.01)]
    return sum(halves), gain, offset


def shifted(rng, gain, offset, seconds):
    """A module whose offset is 2 keV off, either way."""
    offset = offset + rng.choice([-2.0, 2.0])
    return cameras.expected_spectrum(gain, offset, seconds), gain, offset


TROUBLES = (dead, noisy, faint, wide, lineless, jumping, shifted)


def pulls(rows, gain, offset):
    """Energy errors (keV) and pulls, (5, n)."""
    energy = np.array(REFERENCE_ENERGIES_KEV)[:, None]
    error = energy_error(energy, rows["GAIN"], rows["OFFSET"], gain, offset)
    return error, error / energy_sigma(energy, *relation_columns(rows))


def fit_camera(counts):
    """Learn the response from all pixels and fit them, from the nominal relation."""
    gain, offset = cameras.prior(len(counts))
    table = cameras.line_table()
    response = learn_camera(counts, gain, offset, table, MIN_COUNTS)
    return fit_pixels(counts, np.arange(len(counts)), gain, offset, table, response, OPTIONS)


def sick_camera(n, seconds, seed=2):
    """Counts, truths and the trouble (-1: none) of each pixel."""
    rng = np.random.default_rng(seed)
    camera = cameras.make_camera(n, seconds, seed)
    counts, gain, offset = camera.counts, camera.gain_true.copy(), camera.offset_true.copy()
    trouble = np.full(n, -1)
    sick = rng.choice(n, int(SICK_SHARE * n), replace=False)
    for k, i in enumerate(sick):
        trouble[i] = k % len(TROUBLES)
        spectrum, gain[i], offset[i] = TROUBLES[trouble[i]](rng, gain[i], offset[i], seconds)
        counts[i] = rng.poisson(spectrum)
    return counts, gain, offset, trouble


def report_sick(n, exposures):
    """Print what became of each kind."""
    print(f"{n} pixels, {100 * SICK_SHARE:g} % of them sick; counts of pixels")
    line = "{:>6}  {:<10}{:>8}{:>10}{:>12}{:>10}{:>16}"
    print(line.format("ks", "kind", "pixels", "STATUS 0", "no answer", "flagged", "silently wrong"))
    for exposure in exposures:
        counts, gain, offset, trouble = sick_camera(n, 1e3 * exposure)
        rows = fit_camera(counts)
        error, pull = pulls(rows, gain, offset)
        wrong = ((np.abs(pull) > 5) & (np.abs(error) > 0.3)).any(axis=0) & (rows["STATUS"] == 0)
        for k in range(-1, len(TROUBLES)):
            own = trouble == k
            status = rows["STATUS"][own]
            without = np.isnan(rows["GAIN"][own])
            name = "healthy" if k < 0 else TROUBLES[k].__name__
            numbers = (np.sum(status == 0), without.sum(), np.sum((status != 0) & ~without))
            print(line.format(f"{exposure:g}", name, own.sum(), *numbers, wrong[own].sum()))
        print(flush=True)


def report_capture(n, exposures):
    """Print how many pixels are recovered from far off."""
    print("gain within 5 %, offset within 1 keV of the prior, uniformly: pixels recovered")
    for exposure in exposures:
        rng = np.random.default_rng(4)
        gain = cameras.NOMINAL_GAIN * (1 + rng.uniform(-0.05, 0.05, n))
        offset = cameras.NOMINAL_OFFSET + rng.uniform(-1, 1, n)
        pairs = zip(gain, offset, strict=True)
        expected = np.array([cameras.expected_spectrum(*pair, 1e3 * exposure) for pair in pairs])
        rows = fit_camera(rng.poisson(expected).astype(np.int32))
        good = (np.abs(pulls(rows, gain, offset)[1]) < 6).all(axis=0)
        print(f"{exposure:>6g} ks  {good.sum()} of {n} ({100 * good.mean():.2f} %)", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=6400)
    parser.add_argument("--exposures", type=float, nargs="*", default=[10, 30, 100])
    options = parser.parse_args()
    report_sick(options.pixels, options.exposures)
    report_capture(options.pixels, options.exposures)


if __name__ == "__main__":
    main()
