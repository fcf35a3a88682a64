"""How long to observe: measured and predicted pass fractions against exposure, for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.energy.report.energies import PASSES, pass_classes
from pixelcal.energy.report.products import Products
from pixelcal.energy.report.verdict import REQUIRED_PASS_FRACTION
from pixelcal.report.frame import decimals
from pixelcal.report.numbers import ABSENT, duration, percent

TOGETHER = "all"


def measured(exposure: Products) -> dict:
    """What an exposure reached: good time, pass fraction (per cent) and RMS at each energy.

    The numbers are those of validation.json; `TOGETHER` is the fraction of the pixels that meet the
    requirement at every reference energy at once.
    """
    numbers = exposure.validation["energies"]
    has_truth = exposure.truth is not None
    fraction, size = (
        ("pass_fraction", "rms_keV") if has_truth else ("predicted_pass_fraction", "rms_bound_keV")
    )
    energies = [f"{energy:g}" for energy in exposure.energies_keV]
    passed = {energy: _percent(numbers[energy][fraction]) for energy in energies}
    n_wanted = int(exposure.wanted.sum())
    if has_truth and n_wanted:
        together = float((pass_classes(exposure) == PASSES).sum()) / n_wanted
        passed[TOGETHER] = _percent(together)
    return {
        "name": exposure.name,
        "seconds": round(exposure.seconds, 3),
        "passed": passed,
        "rms": {energy: numbers[energy][size] for energy in energies},
    }


def predicted(exposure: Products) -> dict:
    """The prediction that starts from one exposure, as curves.

    Returns
    -------
    dict
        `seconds`; by energy `passed` (per cent, also of `TOGETHER`) and `sigma` (keV, root mean
        square over the pixels, to be compared with the RMS of the errors).
    """
    content = exposure.prediction
    energies = [f"{energy:g}" for energy in content["energies_keV"]]
    fractions = [*content["pass_fraction"], content["pass_fraction_all"]]
    sigma = content["sigma_keV"]["rms"]
    return {
        "seconds": decimals(content["seconds"], 1),
        "passed": {
            key: decimals(100 * np.array(fraction, float), 3)
            for key, fraction in zip([*energies, TOGETHER], fractions, strict=True)
        },
        "sigma": {
            key: decimals(np.array(curve, float), 5)
            for key, curve in zip(energies, sigma, strict=True)
        },
    }


def _percent(fraction):
    return None if fraction is None else round(100 * fraction, 3)


def shortest_table(exposures: Sequence[Products]) -> tuple[list[str], list[list[str]]]:
    """Shortest exposures by fraction of the pixels, a row per exposure they are predicted from.

    Returns
    -------
    headings, rows : list of str, list of list of str
    """
    fractions = sorted(exposures[0].prediction["shortest_seconds"], key=float)
    rows = [
        [exposure.name, *(_shortest(exposure.prediction, fraction) for fraction in fractions)]
        for exposure in exposures
    ]
    return [f"{100 * float(fraction):g} % of the pixels" for fraction in fractions], rows


def content(exposures: Sequence[Products]) -> dict:
    """What the template shows of it, under the names that it uses."""
    headings, rows = shortest_table(exposures)
    return {
        "shortest_headings": headings,
        "shortest_rows": rows,
        "basis": exposures[0].prediction["basis"],
        "differs": how_it_differs(REQUIRED_PASS_FRACTION),
    }


def how_it_differs(required_fraction: float) -> str:
    """Why the table may name another time than the verdict, in sentences."""
    wanted = percent(required_fraction, 0)
    return (
        "The verdict at the top chooses among the exposures that there are, and asks that"
        f" {wanted} of the pixels meet the requirement at each reference energy, not always the"
        " same pixels. The table predicts any exposure, and counts a pixel only where it meets the"
        f" requirement at all of them at once. Its time for {wanted} can therefore be shorter or"
        " longer than the exposure that the verdict names."
    )


def _shortest(prediction, fraction: str) -> str:
    """The shortest exposure for a fraction of the pixels, or why there is none."""
    seconds = prediction["shortest_seconds"][fraction]
    if seconds is not None:
        return duration(seconds)
    return f"{ABSENT} {prediction['why'][fraction]}"


def observing(exposures: Sequence[Products]) -> dict:
    """What the page draws: measured points by rising exposure, and the curves of each exposure."""
    order = sorted(exposures, key=lambda exposure: exposure.seconds)
    return {
        "energies": [f"{energy:g}" for energy in exposures[0].energies_keV],
        "together": TOGETHER,
        "measured": [measured(exposure) for exposure in order],
        "predicted": {exposure.name: predicted(exposure) for exposure in exposures},
        "wanted": 100 * REQUIRED_PASS_FRACTION,
    }
