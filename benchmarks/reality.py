"""How the joint fit bears the imperfections of real cameras, one at a time and together.

python benchmarks/reality.py [--preset law tails all law+bend ...] [--pixels 1280]
    [--exposures 10 100 1000] [--seed 1] [--bend quadratic] [--free Pb] [--include] [--markdown]

Spectra are those of `simulation.real_camera`, in which the truth is known. Of the pixels that are
healthy (not noisy, sick, hot or off) a line for each energy tells: how many pass (the error is
within the requirement), the mean error and the systematic uncertainty quoted for it; the robust and
the plain width, and the 68 % coverage, of the error over the quoted total (statistical and
systematic) uncertainty, and the robust width over the statistical one alone. `--markdown` also has
it over the statistical and the own systematic one: what pixels have in common makes none of them
scatter, so that this one is 1 where what is said of single pixels is right. Flags are by STATUS
bit; a pixel without a valid fit does not pass. What is told of where lines stand follows. `--bend`,
`--free` and `--include` are the keys fit.bend, fit.free_elements and fit.include_lines.
`--markdown` writes a row for each camera instead, as in docs/real-cameras.md.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import ECLAIRS, KNOWN, MIN_COUNTS, OPTIONS, REQUIREMENT

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.own_deviation import deviations_of_pixels
from pixelcal.energy.relation import energy_sigma, relation_columns
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.response.energy_scale import line_ends
from pixelcal.energy.response.scale_tests import told
from pixelcal.energy.response.stack_fit import BENDS, terms_of
from pixelcal.energy.results.found_lines import by_unlisted_lines, include_lines
from pixelcal.energy.results.merge import complete_status
from pixelcal.energy.results.systematics import Systematics
from pixelcal.energy.simulation.imperfections import PRESETS, Imperfections, combine
from pixelcal.energy.simulation.real_camera import make_real_camera
from pixelcal.energy.simulation.spectra import LINE_TABLE, prior
from pixelcal.numerics.statistics import COVERAGE_1_SIGMA, robust_std
from pixelcal.status import EnergyStatus, has_valid_fit

CATALOGUE = PROJECT / "resources" / "lines" / "materials.csv"
NUMBERS = ("pass", "mean", "common", "total", "robust", "width", "stat", "coverage")
SHOWN_KEV = (4, 50, 80, 150)
"""Energies of the rows in Markdown."""

MARKDOWN = (
    "| Camera | ks | over statistical | over own | over total | inside 68 % | "
    + " | ".join(f"{energy} keV" for energy in SHOWN_KEV)
    + " | flagged |\n"
    + (8 + len(SHOWN_KEV) - 1) * "|---"
    + "|"
)

TITLES = ("pass", "mean eV", "quoted eV", "sys eV", "robust", "width", "stat only", "68 %")


def measure(
    preset: str | Imperfections,
    n: int,
    seconds: float,
    seed: int = 1,
    table=LINE_TABLE,
    *,
    bend: str = "none",
    free=(),
    include: bool = False,
) -> dict:
    """Learn and fit a camera with the imperfections of `preset`, or these; numbers (5,) by energy.

    `table` is the line table that is fitted with; `bend`, `free` and `include` are the keys of what
    is found with the response. "rows" are the fits with STATUS completed, "camera" is the truth.
    """
    imperfections = combine(preset) if isinstance(preset, str) else preset
    camera, table = make_real_camera(n, seconds, seed, imperfections), read_line_table(table)
    gain, offset = prior(n)
    started = time.perf_counter()
    terms, catalogue = terms_of(bend, free, table), read_catalogue(CATALOGUE)

    def learn(table, chosen, agreement=False):
        data = camera.counts[chosen], gain[chosen], offset[chosen], table, MIN_COUNTS
        unlisted = by_unlisted_lines(table, catalogue, KNOWN["expected"])
        return learn_camera(*data, **KNOWN, terms=terms, agreement=agreement, unlisted=unlisted)

    if include:
        known = catalogue, OPTIONS, KNOWN["expected"]
        table = include_lines(learn, camera.counts, gain, offset, table, *known)
    response = learn(table, np.arange(n), agreement=True)
    learnt = time.perf_counter()
    rows = fit_pixels(
        camera.counts, np.arange(n), gain, offset, table, response, OPTIONS, camera.first_half
    )
    fitted = time.perf_counter()
    rows = complete_status(rows, camera.x, camera.y, np.zeros(0, int), REQUIREMENT, camera.module)
    each = deviations_of_pixels([response.own_deviation])
    known = response.systematic_covariance[None], each, line_ends(table)
    systematics = Systematics(*known, low_bend=response.low_bend)
    numbers = assess(rows, camera, systematics, response.curve)
    numbers |= {"learn s": learnt - started, "fit s": fitted - learnt}
    return numbers | {"rows": rows, "camera": camera, "response": response}


def assess(rows, camera, systematics, curve=None) -> dict:
    """What the fits of the healthy pixels are worth: numbers (5,) by energy, and flags by bit.

    `systematics` are those of one pixel, which all share; `curve` is how relations leave straight
    lines.
    """
    energies = np.array(REQUIREMENT.energies_keV)
    limit = requirement_keV(energies, REQUIREMENT)
    error = camera_error(rows, camera, curve)
    sigma = energy_sigma(energies[:, None], *relation_columns(rows))
    common, each, total = (
        np.array([sigma(energy) for energy in energies]).reshape(-1, 1)
        for sigma in (systematics.common_sigma, systematics.own_sigma, systematics.sigma)
    )
    passed = np.abs(error) <= limit[:, None]
    healthy, status = camera.healthy, rows["STATUS"]
    judged = healthy & has_valid_fit(status)
    alone, pull = ((error / np.hypot(sigma, other))[:, judged] for other in (each, total))
    return {
        "pass": passed[:, healthy].mean(axis=1),
        "pass all": passed[:, camera.pixels.efficiency > 0].mean(axis=1),
        "pass noisy": passed[:, camera.noisy].mean(axis=1) if camera.noisy.any() else None,
        "mean": 1e3 * error[:, judged].mean(axis=1),
        "common": 1e3 * common[:, 0],
        "total": 1e3 * total[:, 0],
        "robust": np.array([robust_std(values) for values in pull]),
        "width": pull.std(axis=1),
        "own": np.array([robust_std(values) for values in alone]),
        "stat": np.array([robust_std(values) for values in (error / sigma)[:, judged]]),
        "coverage": (np.abs(pull) < 1).mean(axis=1),
        "flagged": (status[healthy] != 0).mean(),
        "bits": {bit.name: (status[healthy] & bit != 0).mean() for bit in EnergyStatus},
    }


def camera_error(rows, camera, curve=None) -> np.ndarray:
    """Errors (5, n) of the energies (keV) of all pixels; `curve` as in `assess`."""
    energies = np.array(REQUIREMENT.energies_keV)
    error = camera.energy_error(energies, rows["GAIN"], rows["OFFSET"])
    if curve is None:
        return error
    return curve.energy(energies[:, None] + error) - energies[:, None]


def main() -> None:
    """Print a table for each preset and exposure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=1280)
    parser.add_argument("--exposures", type=float, nargs="*", default=[10, 100, 1000])
    parser.add_argument(
        "--preset", nargs="*", default=["all"], help=f"of {', '.join(PRESETS)}; several joined by +"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", default=LINE_TABLE, help="line table that is fitted with")
    parser.add_argument("--bend", default="none", choices=BENDS, help="fit.bend")
    parser.add_argument("--free", nargs="*", default=[], help="fit.free_elements")
    parser.add_argument("--include", action="store_true", help="fit.include_lines")
    parser.add_argument("--markdown", action="store_true", help="write rows of a table instead")
    options = parser.parse_args()
    known = f"{ECLAIRS.title}; healthy pixels; an honest 68 % is {COVERAGE_1_SIGMA:.3f}"
    print(MARKDOWN if options.markdown else known)
    show = show_row if options.markdown else show_table
    for preset in options.preset:
        for exposure in options.exposures:
            seconds = 1e3 * exposure
            camera = preset, options.pixels, seconds, options.seed, options.lines
            keys = {"bend": options.bend, "free": options.free, "include": options.include}
            numbers = measure(*camera, **keys)
            show(preset, exposure, numbers)


def show_row(preset: str, exposure: float, numbers: dict) -> None:
    """Print the numbers of a camera as a row in Markdown."""
    spans = [
        f"{numbers[name].min():.2f} to {numbers[name].max():.2f}"
        for name in ("stat", "own", "robust", "coverage")
    ]
    places = [REQUIREMENT.energies_keV.index(energy) for energy in SHOWN_KEV]
    errors = [f"{numbers['mean'][k]:+.0f} / {numbers['common'][k]:.0f}" for k in places]
    errors = [error.replace("-", "\N{MINUS SIGN}") for error in errors]
    cells = f"`{preset}`", f"{exposure:g}", *spans, *errors, f"{100 * numbers['flagged']:.1f} %"
    print(f"| {' | '.join(cells)} |", flush=True)


def show_table(preset: str, exposure: float, numbers: dict) -> None:
    """Print the numbers of a camera, a line for each energy."""
    print(f"{'preset':<16}{'ks':>6}{'keV':>6}" + "".join(f"{title:>10}" for title in TITLES))
    for k, energy in enumerate(REQUIREMENT.energies_keV):
        values = [numbers[name][k] for name in NUMBERS]
        print(
            f"{preset:<16}{exposure:>6g}{energy:>6g}{values[0]:>10.4f}{values[1]:>+10.1f}"
            + "".join(f"{value:>10.1f}" for value in values[2:4])
            + "".join(f"{value:>10.2f}" for value in values[4:])
        )
    bits = ", ".join(f"{name} {100 * x:.2f} %" for name, x in numbers["bits"].items() if x)
    print(f"flagged {100 * numbers['flagged']:.2f} %: {bits or 'none'}")
    for name in ("pass all", "pass noisy"):
        if numbers[name] is not None:
            print(f"{name}: " + " ".join(f"{value:.4f}" for value in numbers[name]))
    if words := told(numbers["response"].explanations):
        print(words)
    learning, fitting = numbers["learn s"], numbers["fit s"]
    print(f"learning {learning:.1f} s, fitting {fitting:.1f} s\n", flush=True)


if __name__ == "__main__":
    main()
