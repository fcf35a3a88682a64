"""Sets of single-photoelectron runs with something wrong: which pixels are wrong and called good.

python benchmarks/spe_runs.py [--pixels 2000]

A lamp that is not as bright in one flash as in the next, events without light among the flashes, a
run of another gain, pixels whose gain changes, charges clipped at the end of the ADC. Each set is a
camera of its own, 3 runs x 20 000 flashes, pixels of different gain, crosstalk and light. Charges
go the way of the workflow: spectra, fit, checks of the runs, lamp, gains of the runs, final STATUS.
A pixel is wrong where its pe is off by more than 5 % or its crosstalk by more than 10 %; where the
gain changes between the runs, the truth is its mean over the runs.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from astropy.io import fits

from pixelcal.charge.extraction.charges import UNKNOWN
from pixelcal.charge.extraction.io import ChargeFile
from pixelcal.charge.simulation.flashes import REFERENCE_SHIFT, REFERENCE_WINDOW, make_pulse
from pixelcal.charge.spe.checks.run_checks import UNSTABLE_JITTER, RunChecks, with_checks
from pixelcal.charge.spe.checks.run_gains import run_gains
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.merge import complete_status
from pixelcal.charge.spe.spectra import bin_widths, fill_run, spectra_rows
from pixelcal.status import ChargeStatus, has_valid_fit

LIGHT = (0.6, 1.2, 2.4)
FLASHES = 20_000
"""In each run: the error of a crosstalk is then 2 %, and 10 % is not reached by chance."""
PE, SIGMA_PE, SIGMA_PED, OPCT, EPED = 30.0, 3.0, 6.0, 0.15, 4500.0
GAIN_SCATTER, OPCT_SCATTER, LIGHT_SCATTER = 0.05, 0.05, 0.1
"""How pixels differ, relative standard deviations."""
WRONG_PE, WRONG_OPCT = 0.05, 0.10
PULSE_FWHM = 10.0
FRACTION = 0.1
"""Pixels of a camera that something is wrong with, where it is not the whole camera."""
N_RUNS = len(LIGHT)


class RunSet(NamedTuple):
    """What is wrong with a set of runs; a number for each run, or one for all.

    Attributes
    ----------
    jitter : relative standard deviation of the brightness of the lamp
    unlit : fraction of the events without light
    gain : relative gain of all pixels
    changing : relative change of the gain of single pixels in one run, (least, most)
    clipping : height at which samples of single pixels end (photoelectrons), (least, most)
    range_known : whether the range of the ADC is known, so that clipped flashes are counted
    """

    jitter: tuple = (0.0,) * N_RUNS
    unlit: float = 0.0
    gain: tuple = (1.0,) * N_RUNS
    changing: tuple | None = None
    clipping: tuple | None = None
    range_known: bool = True


SETS = {
    "in order": RunSet(),
    **{f"lamp jitter {own:.0%}": RunSet(jitter=(own,) * 3) for own in (0.1, 0.2, 0.4)},
    "lamp jitter 30%, one run": RunSet(jitter=(0.0, 0.0, 0.3)),
    **{f"{own:.0%} of events unlit": RunSet(unlit=own) for own in (0.02, 0.1, 0.3)},
    **{f"a run of {own - 1:+.0%} gain": RunSet(gain=(1.0, own, 1.0)) for own in (1.03, 0.9, 1.2)},
    "pixels change by 3-20%": RunSet(changing=(0.03, 0.2)),
    "clipped at 1-12 pe": RunSet(clipping=(1.0, 12.0)),
    "the same, range unknown": RunSet(clipping=(1.0, 12.0), range_known=False),
}


class Pixels(NamedTuple):
    """Truth of the pixels (n,): charge of a photoelectron in each run (n, R), crosstalk, light,
    and the height at which samples end (photoelectrons; inf where they do not)."""

    pe: np.ndarray
    opct: np.ndarray
    light: np.ndarray
    highest: np.ndarray


def draw_pixels(rng, n, runs: RunSet) -> Pixels:
    """Pixels of a camera, some of them with what the set of runs has wrong with single pixels."""
    pe = PE * (1 + GAIN_SCATTER * rng.standard_normal(n))[:, None] * np.array(runs.gain)
    highest, some = np.full(n, np.inf), rng.permutation(n) < FRACTION * n
    if runs.changing:
        change = rng.choice([-1, 1], n) * rng.uniform(*runs.changing, n)
        pe[some, rng.integers(N_RUNS, size=n)[some]] *= 1 + change[some]
    if runs.clipping:
        highest[some] = rng.uniform(*runs.clipping, n)[some]
    opct = OPCT * (1 + OPCT_SCATTER * rng.standard_normal(n))
    return Pixels(pe, opct, np.exp(LIGHT_SCATTER * rng.standard_normal(n)), highest)


def draw_run(rng, number, pixels: Pixels, runs: RunSet) -> ChargeFile:
    """Charges of one run."""
    n, jitter = len(pixels.pe), runs.jitter[number]
    bright = rng.gamma(jitter**-2, jitter**2, FLASHES) if jitter else np.ones(FLASHES)
    bright = np.where(rng.random(FLASHES) < runs.unlit, 0.0, bright)
    fired = rng.poisson(LIGHT[number] * pixels.light[:, None] * bright)
    youngest = fired
    while youngest.any():
        youngest = rng.poisson(pixels.opct[:, None] * youngest)
        fired = fired + youngest
    pe = pixels.pe[:, number, None]
    charge = pe * (fired + SIGMA_PE / PE * np.sqrt(fired) * rng.standard_normal(fired.shape))
    clipped = np.zeros(n, np.int32)
    for i in np.flatnonzero(np.isfinite(pixels.highest)):
        end = pixels.highest[i] * PE
        clipped[i] = (charge[i] > end).sum()
        charge[i] = clip(charge[i], end)
    charge += EPED + SIGMA_PED * rng.standard_normal(charge.shape)
    if not runs.range_known:
        clipped[:] = UNKNOWN
    none, numbers = np.zeros(n, bool), np.arange(n, dtype=np.int32)
    charges, events = np.rint(charge).astype(np.int32), np.arange(FLASHES)
    return ChargeFile(
        charges, 1.0, numbers, none, none, 0 * numbers, clipped, events, None, fits.Header()
    )


def clip(charge, end):
    """What is left of charges (m,) where samples end at the height of a pulse of charge `end`."""
    pulse = make_pulse(PULSE_FWHM).at(np.arange(REFERENCE_WINDOW) - REFERENCE_SHIFT)
    grid = end * np.geomspace(1.0, 1e3, 400)
    left = np.minimum(grid[:, None] * pulse, end * pulse.max()).sum(axis=1)
    return np.where(charge > end, np.interp(charge, grid, left), charge)


def fit_set(charges: list[ChargeFile]):
    """The table of fits of a set of runs as the rules make it, with the checks of the runs."""
    first = charges[0]
    width = bin_widths(first.charges, first.step)
    spectra = [fill_run(run.charges, run.step, width) for run in charges]
    table = spectra_rows(first.pixel, width, spectra)
    columns = table["COUNTS"], table["START"], table["WIDTH"]
    rows = fit_pixels(*columns, table["PIXEL"], SpeOptions())
    checks = RunChecks(np.zeros(len(rows), bool))
    for run in charges:
        checks.add(run, rows)
    gains = run_gains(*columns, rows, has_valid_fit(rows["STATUS"]) & ~checks.clipped)
    rows = complete_status(with_checks(rows, checks, gains), np.array([], int), first.off)
    return rows, checks, gains


def alarms(checks: RunChecks, gains) -> str:
    """What the terminal is told of the whole set."""
    unstable = any(
        clear and lamp.jitter > UNSTABLE_JITTER
        for clear, lamp in zip(checks.jitter_is_clear, checks.lamps, strict=True)
    )
    said = (
        ("lamp", unstable),
        ("gains", gains.camera_changes),
        ("clipped", checks.clipped.any()),
    )
    return ", ".join(name for name, is_said in said if is_said) or "-"


def main() -> None:
    """Print a row for each set of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=2000, help="over all sets")
    each = math.ceil(parser.parse_args().pixels / len(SETS))
    print(f"{len(SETS)} sets of {N_RUNS} runs x {FLASHES} flashes, {each} pixels each\n")
    line = "{:<26}{:>6}{:>9}{:>9}{:>9}{:>16}{:>10}  {}"
    head = ("", "good", "clipped", "changes", "poor fit", "wrong and good", "ms/pixel", "alarms")
    print(line.format(*head))
    fit_pixels(np.ones((1, 1, 2000), np.int32), np.zeros((1, 1)), np.ones(1), [0], SpeOptions())
    total, bits = 0, (ChargeStatus.CLIPPED, ChargeStatus.CHANGES, ChargeStatus.POOR_FIT)
    for number, (name, runs) in enumerate(SETS.items()):
        rng = np.random.default_rng([5, number])
        pixels = draw_pixels(rng, each, runs)
        charges = [draw_run(rng, run, pixels, runs) for run in range(N_RUNS)]
        begin = time.process_time()
        rows, checks, gains = fit_set(charges)
        cost = 1e3 * (time.process_time() - begin) / each
        good = rows["STATUS"] == 0
        wrong = np.abs(rows["PE"] / pixels.pe.mean(axis=1) - 1) > WRONG_PE
        wrong |= np.abs(rows["OPCT"] / pixels.opct - 1) > WRONG_OPCT
        flagged = [int((rows["STATUS"] & bit != 0).sum()) for bit in bits]
        bad = int((wrong & good).sum())
        total += bad
        row = (name, good.sum(), *flagged, bad, f"{cost:.1f}", alarms(checks, gains))
        print(line.format(*row), flush=True)
    print(f"wrong and called good: {total} of {each * len(SETS)}")


if __name__ == "__main__":
    main()
