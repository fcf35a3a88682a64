"""How fast a pixel is fitted: the joint fit beside the two-step fit, on the same pixels in one run.

python benchmarks/fits.py [pixels, 640 by default]

Spectra of 100 ks are drawn from the exact density of the simulated camera. The two-step fit takes
part with a share of the pixels; times are per pixel on one core, compilation and the learning of
the response apart.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import KNOWN, MIN_COUNTS, OPTIONS, TWO_STEP_OPTIONS

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.fit.two_step import fit_two_step
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.simulation import spectra as cameras
from pixelcal.status import has_valid_fit

SECONDS = 100_000.0
TWO_STEP_SHARE = 0.1
REPEATS = 3


def timed(function, repeats):
    """Shortest time (s) of several runs, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def checked_seconds(counts, detnum, gain, offset, table, response, first_half):
    """Least processor time (s) of all fits without and with the checks, in turn."""
    arguments = counts, detnum, gain, offset, table, response, OPTIONS
    times = [], []
    for _ in range(REPEATS):
        for of_kind, extra in zip(times, ((), (first_half,)), strict=True):
            start = time.process_time()
            fit_pixels(*arguments, *extra)
            of_kind.append(time.process_time() - start)
    return [min(of_kind) for of_kind in times]


def summary(rows, camera, energy=50.0):
    """rms of the energy error (keV), width of the pulls and share of answers at `energy`."""
    n = len(rows)
    answered = has_valid_fit(rows["STATUS"])
    error = energy_error(
        energy, rows["GAIN"], rows["OFFSET"], camera.gain_true[:n], camera.offset_true[:n]
    )[answered]
    sigma = energy_sigma(energy, *relation_columns(rows[answered]))
    return np.sqrt(np.mean(error**2)), np.std(error / sigma), answered.mean()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pixels", nargs="?", type=int, default=640)
    n = parser.parse_args().pixels
    camera, table = cameras.make_camera(n, SECONDS, 1), cameras.line_table()
    detnum, (gain, offset) = np.arange(n), cameras.prior(n)
    start = time.perf_counter()
    response = learn_camera(camera.counts, gain, offset, table, MIN_COUNTS, **KNOWN)
    learning = time.perf_counter() - start
    joint_seconds, joint = timed(
        lambda: fit_pixels(camera.counts, detnum, gain, offset, table, response, OPTIONS),
        REPEATS,
    )
    first_half = np.random.default_rng(1).binomial(camera.counts, 0.5).astype(np.int32)
    processor_seconds = checked_seconds(
        camera.counts, detnum, gain, offset, table, response, first_half
    )
    few = slice(0, max(4, int(TWO_STEP_SHARE * n)))
    two_step_seconds, two_step = timed(
        lambda: fit_two_step(
            camera.counts[few],
            detnum[few],
            gain[few],
            offset[few],
            table,
            TWO_STEP_OPTIONS,
        ),
        1,
    )
    joint_ms, two_step_ms = 1e3 * joint_seconds / n, 1e3 * two_step_seconds / len(two_step)
    print(f"Fitting {n} pixels of {SECONDS / 1e3:g} ks on one core")
    print(f"{table.n_lines} lines in {table.n_blocks} blocks")
    print(f"learning the response, once for all of them: {learning:.1f} s\n")
    line = "{:<12}{:>10}{:>12}{:>18}{:>16}{:>14}"
    print(line.format("", "ms/pixel", "faster by", "rms at 50 keV", "pull width", "answers"))
    for name, ms, rows in (("joint", joint_ms, joint), ("two-step", two_step_ms, two_step)):
        rms, width, share = summary(rows, camera)
        print(
            line.format(
                name,
                f"{ms:.3f}",
                f"{two_step_ms / ms:.0f}",
                f"{rms:.4f} keV",
                f"{width:.2f}",
                f"{100 * share:.1f} %",
            )
        )
    unchecked, checked = (1e3 * seconds / n for seconds in processor_seconds)
    print(
        f"\nprocessor time of the joint fit: {unchecked:.3f} ms/pixel unchecked, {checked:.3f} with"
        f" the checks of halves and blocks, {checked / unchecked:.2f} times"
    )


if __name__ == "__main__":
    main()
