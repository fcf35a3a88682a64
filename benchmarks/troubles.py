"""What becomes of sick pixels, of healthy ones, and of pixels whose relation has gone far.

python benchmarks/troubles.py [--pixels 6400] [--exposures 3 10 30 100] [--capture 10 100]

A tenth of the camera is sick (kinds and strengths: sick_pixels.py), the rest is healthy; all go the
way of the workflow, with the first half of their counts, to the final STATUS. The response is
learnt from the same camera. A pixel has an undetected bias where STATUS is 0 and its energy at one
of the five reference energies is off by more than 5 sigma and 0.3 keV. Sigma is the total
uncertainty of the products, statistical and systematic; "statistical" counts the same by the
statistical one alone. The truth of a pixel whose gain changes is its mean over the exposure. The
capture range is that of a separate camera, gains
up to 5 % and offsets up to 1 keV off.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import ECLAIRS, KNOWN, MIN_COUNTS, OPTIONS, REQUIREMENT
from sick_pixels import KINDS, bend

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.own_deviation import deviations_of_pixels
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.energy_scale import line_ends
from pixelcal.energy.results.merge import complete_status
from pixelcal.energy.results.systematics import Systematics, with_second_states
from pixelcal.energy.simulation import spectra as cameras
from pixelcal.status import is_published

SICK_FRACTION = 0.1
UNDETECTED_SIGMA, UNDETECTED_KEV = 5.0, 0.3


class SickCamera(NamedTuple):
    """Counts and truth of a camera with sick pixels.

    Attributes
    ----------
    counts, first_half : (n, 1024) int
    gain, offset, bend_keV : (n,) float
        Truth, as in `sick_pixels.Sick`.
    kind : (n,) int
        Index into `KINDS`; -1 of healthy pixels.
    """

    counts: np.ndarray
    first_half: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    bend_keV: np.ndarray
    kind: np.ndarray


def sick_camera(n, seconds, seed) -> SickCamera:
    """Draw a camera of `n` pixels, `SICK_FRACTION` of which are sick, the kinds in turn."""
    rng = np.random.default_rng(seed)
    camera = cameras.make_camera(n, seconds, seed)
    counts, gain, offset = camera.counts, camera.gain_true.copy(), camera.offset_true.copy()
    first_half = rng.binomial(counts, 0.5).astype(counts.dtype)
    bend_keV, kind = np.zeros(n), np.full(n, -1)
    sick = rng.choice(n, int(SICK_FRACTION * n), replace=False)
    for k, i in enumerate(sick):
        kind[i] = k % len(KINDS)
        pixel = KINDS[kind[i]](rng, gain[i], offset[i], seconds)
        gain[i], offset[i], bend_keV[i] = pixel.gain, pixel.offset, pixel.bend_keV
        first_half[i] = rng.poisson(pixel.early)
        counts[i] = first_half[i] + rng.poisson(pixel.late)
    return SickCamera(counts, first_half, gain, offset, bend_keV, kind)


def pulls(rows, gain, offset, bend_keV=0.0):
    """Energy errors (keV) and pulls, (5, n)."""
    energy = np.array(REQUIREMENT.energies_keV)[:, None]
    error = energy_error(energy, rows["GAIN"], rows["OFFSET"], gain, offset)
    # What a straight relation gives at the channel where a bent one has `energy`.
    error = error - bend(energy, bend_keV)
    return error, error / energy_sigma(energy, *relation_columns(rows))


def is_undetected(rows, camera: SickCamera, systematics: Systematics | None = None):
    """Pixels with STATUS 0 that are far off, (n,) bool.

    By the total uncertainty with `systematics`, by the statistical one without.
    """
    error, pull = pulls(rows, camera.gain, camera.offset, camera.bend_keV)
    if systematics is not None:
        known = with_second_states(systematics, rows)
        of_all = np.array([known.sigma(energy) for energy in REQUIREMENT.energies_keV])
        pull = error / np.hypot(error / pull, of_all)
    off = (np.abs(pull) > UNDETECTED_SIGMA) & (np.abs(error) > UNDETECTED_KEV)
    return off.any(axis=0) & (rows["STATUS"] == 0)


def fit_camera(counts, first_half=None):
    """Learn the response from all pixels and fit them, from the nominal relation.

    With `first_half` STATUS is completed. Second are the systematic uncertainties, of one pixel.
    """
    gain, offset = cameras.prior(len(counts))
    table = cameras.line_table()
    response = learn_camera(counts, gain, offset, table, MIN_COUNTS, **KNOWN)
    detnum = np.arange(len(counts))
    rows = fit_pixels(counts, detnum, gain, offset, table, response, OPTIONS, first_half)
    each = deviations_of_pixels([response.own_deviation])
    beyond = line_ends(table), ECLAIRS.nonlinearity
    known = response.systematic_covariance[None], each, *beyond, response.low_bend
    systematics = Systematics(*known)
    if first_half is None:
        return rows, systematics
    y, x = np.divmod(detnum, ECLAIRS.n_columns)
    return complete_status(rows, x, y, np.array([], int), requirement=REQUIREMENT), systematics


LINE = "{:>6}  {:<10}{:>8}{:>10}{:>14}{:>10}{:>12}{:>13}{:>12}"


def report_sick(n, exposures, seed):
    """Print what became of each kind."""
    print(f"{n} pixels, {100 * SICK_FRACTION:g} % of them sick; numbers of pixels")
    head = (
        "ks",
        "kind",
        "pixels",
        "STATUS 0",
        "no valid fit",
        "flagged",
        "undetected",
        "statistical",
    )
    print(LINE.format(*head, "BLOCKS_OUT"))
    for exposure in exposures:
        camera = sick_camera(n, 1e3 * exposure, seed)
        rows, systematics = fit_camera(camera.counts, camera.first_half)
        status, undetected = rows["STATUS"], is_undetected(rows, camera, systematics)
        statistical = is_undetected(rows, camera)
        invalid, left_out = np.isnan(rows["GAIN"]), rows["BLOCKS_OUT"] != 0
        for k, name in enumerate(["healthy", *(kind.__name__ for kind in KINDS)], -1):
            chosen = camera.kind == k
            flagged = (status != 0) & ~invalid
            numbers = (status == 0, invalid, flagged, undetected, statistical, left_out)
            print(
                LINE.format(
                    f"{exposure:g}", name, chosen.sum(), *(sum(chosen & own) for own in numbers)
                )
            )
        healthy = camera.kind < 0
        print(
            f"{exposure:>6g}  undetected: {undetected.sum()} of {n}; healthy pixels:"
            f" {100 * np.mean(status[healthy] != 0):.2f} % flagged,"
            f" {100 * np.mean(~is_published(status[healthy])):.2f} % not published,"
            f" {100 * np.mean(left_out[healthy]):.2f} % with a block left out\n",
            flush=True,
        )


def report_capture(n, exposures):
    """Print how many pixels are recovered from far off."""
    print("gain within 5 %, offset within 1 keV of the prior, uniformly: pixels recovered")
    for exposure in exposures:
        rng = np.random.default_rng(4)
        gain = cameras.NOMINAL_GAIN * (1 + rng.uniform(-0.05, 0.05, n))
        offset = cameras.NOMINAL_OFFSET + rng.uniform(-1, 1, n)
        pairs = zip(gain, offset, strict=True)
        expected = np.array([cameras.expected_spectrum(*pair, 1e3 * exposure) for pair in pairs])
        rows, _ = fit_camera(rng.poisson(expected).astype(np.int32))
        good = (np.abs(pulls(rows, gain, offset)[1]) < 6).all(axis=0)
        print(f"{exposure:>6g} ks  {good.sum()} of {n} ({100 * good.mean():.2f} %)", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=6400)
    parser.add_argument("--exposures", type=float, nargs="*", default=[3, 10, 30, 100])
    parser.add_argument("--capture", type=float, nargs="*", default=[10, 100], help="exposures")
    parser.add_argument("--seed", type=int, default=2, help="of the camera with sick pixels")
    options = parser.parse_args()
    report_sick(options.pixels, options.exposures, options.seed)
    report_capture(options.pixels, options.capture)


if __name__ == "__main__":
    main()
