"""Mean errors of cameras over the uncertainty that is quoted for all their pixels: 60 cameras.

python benchmarks/common_error.py [--pixels 640] [--exposures 3 10 100 1000] [--seed 1]
    [--preset ideal law ...] [--markdown] [--energies]

A camera is an imperfection (`reality.py`) at an exposure, each with a seed of its own; with the
defaults they are 60. The mean error is that over its healthy pixels whose values are published. It
is divided by the common systematic uncertainty that the products quote (`common_sigma_keV`), and in
quadrature by what the mean of so many pixels scatters by itself. For each camera and energy the
ratio is printed, then how many of all are below 2. The line table has K beta 2 where the simulated
camera has it.
With `--energies` the lines of each element are where a draw puts them, with the standard deviation
that is quoted for their energies, 20 eV. Without, most cameras have them where the table does.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import ECLAIRS, REQUIREMENT
from reality import camera_error, measure

from pixelcal.energy.lines import elements_of, read_line_table
from pixelcal.energy.response.energy_scale import element_energy_sigma
from pixelcal.energy.results.systematics import Systematics
from pixelcal.energy.simulation.imperfections import combine
from pixelcal.energy.simulation.spectra import LINE_TABLE
from pixelcal.status import is_published

CAMERAS = (
    "ideal", "law", "tails", "hecht", "bend", "bend_low", "bend_pixels", "inl", "dnl", "drift",
    "strengths", "bi30", "pb20", "sharing", "all",
)  # fmt: skip
COMPLETE = PROJECT / "resources" / "lines" / "complete.csv"
LIMIT = 2.0


def ratios(preset: str, n: int, seconds: float, seed: int, energies: bool = False) -> dict:
    """Numbers (5,) by energy of one camera: mean error and quoted uncertainty (eV), their ratio.

    With `energies` those of the elements are drawn.
    """
    path = COMPLETE if combine(preset).complete_lines else LINE_TABLE
    table, imperfections = read_line_table(path), combine(preset)
    if energies:
        shifts = np.random.default_rng(seed).normal(0.0, element_energy_sigma(table))
        moved = tuple(zip(elements_of(table)[0], shifts.tolist(), strict=True))
        imperfections = replace(imperfections, line_shift=moved)
    numbers = measure(imperfections, n, seconds, seed, path)
    rows, camera, response = numbers["rows"], numbers["camera"], numbers["response"]
    energies = np.array(REQUIREMENT.energies_keV)
    used = camera.healthy & is_published(rows["STATUS"])
    error = camera_error(rows, camera, response.curve)[:, used]
    ends = float(table.energy_keV.min()), float(table.energy_keV.max())
    covariance = response.systematic_covariance[None]
    quoted = Systematics(covariance, None, ends, ECLAIRS.nonlinearity, response.low_bend)
    common = np.array([quoted.common_sigma(energy)[0] for energy in energies])
    by_lines = quoted._replace(nonlinearity=(0.0, 0.0))
    without = np.array([by_lines.common_sigma(energy)[0] for energy in energies])
    mean, of_mean = error.mean(axis=1), error.std(axis=1) / np.sqrt(used.sum())
    return {
        "mean": 1e3 * mean,
        "common": 1e3 * common,
        "ratio": np.abs(mean) / np.hypot(common, of_mean),
        "by lines": np.abs(mean) / np.hypot(without, of_mean),
    }


def show(preset: str, exposure: float, found: dict, markdown: bool) -> None:
    """Print a camera: mean error and quoted uncertainty (eV), and their ratio, at each energy."""
    pairs = [
        f"{mean:+.0f} / {common:.0f}: {ratio:.1f}"
        for mean, common, ratio in zip(found["mean"], found["common"], found["ratio"], strict=True)
    ]
    if markdown:
        cells = f"`{preset}`", f"{exposure:g}", *pairs
        print(f"| {' | '.join(cells)} |".replace("-", "\N{MINUS SIGN}"), flush=True)
    else:
        print(f"{preset:<12}{exposure:>6g}" + "".join(f"{pair:>18}" for pair in pairs), flush=True)


def show_largest(presets, exposures, found: list[dict]) -> None:
    """Print the largest ratio of each camera, with its energy, as a table in Markdown."""
    titles = " | ".join(f"{exposure:g} ks" for exposure in exposures)
    print(f"\n| Camera | {titles} |\n{(1 + len(exposures)) * '|---'}|")
    largest = iter(found)
    for preset in presets:
        cells = []
        for ratio in (next(largest)["ratio"] for _ in exposures):
            at = REQUIREMENT.energies_keV[int(np.argmax(ratio))]
            cells.append(f"{ratio.max():.1f} at {at:g} keV")
        print(f"| `{preset}` | {' | '.join(cells)} |")


def main() -> None:
    """Print a row for each camera, and how many are below the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=640)
    parser.add_argument("--exposures", type=float, nargs="*", default=[3, 10, 100, 1000])
    parser.add_argument("--preset", nargs="*", default=CAMERAS)
    parser.add_argument("--seed", type=int, default=1, help="of the first camera")
    parser.add_argument("--markdown", action="store_true", help="write rows of a table")
    parser.add_argument("--energies", action="store_true", help="draw the energies of the elements")
    options = parser.parse_args()
    titles = [f"{energy:g} keV" for energy in REQUIREMENT.energies_keV]
    if options.markdown:
        print(f"| Camera | ks | {' | '.join(titles)} |\n{(2 + len(titles)) * '|---'}|")
    else:
        print(f"{'camera':<12}{'ks':>6}" + "".join(f"{title:>18}" for title in titles))
    cameras = [(preset, ks) for preset in options.preset for ks in options.exposures]
    found = []
    for k, (preset, exposure) in enumerate(cameras):
        drawn = options.seed + k, options.energies
        found.append(ratios(preset, options.pixels, 1e3 * exposure, *drawn))
        show(preset, exposure, found[-1], options.markdown)
    show_largest(options.preset, options.exposures, found)
    for name, words in (("ratio", "as quoted"), ("by lines", "without the allowance")):
        below = np.array([one[name] < LIMIT for one in found])
        at_each = ", ".join(
            f"{share:.0%} at {title}" for share, title in zip(below.mean(0), titles, strict=True)
        )
        print(
            f"\nbelow {LIMIT:g} {words}: {at_each}; of all {below.mean():.0%};"
            f" at every energy {below.all(axis=1).sum()} of {len(found)} cameras"
        )
        rms = np.sqrt(np.mean([one[name] ** 2 for one in found], axis=0))
        print("rms of the ratio: " + ", ".join(f"{value:.2f}" for value in rms))


if __name__ == "__main__":
    main()
