"""The report's verdict on an exposure, and its tables of errors."""

from __future__ import annotations

from collections.abc import Mapping

from pixelcal.report.numbers import ABSENT, number, percent, with_error

REQUIRED_PASS_FRACTION = 0.95
"""A camera meets the requirement where this fraction of its pixels does, at every energy."""

COLUMNS = (
    ("Bias (keV)", "bias_keV", "{:+.4f}"),
    ("RMS (keV)", "rms_keV", "{:.4f}"),
    ("Predicted RMS (keV)", "rms_bound_keV", "{:.4f}"),
    ("Systematic (keV)", "common_sigma_keV", "{:.4f}"),
    ("RMS / bound", "rms_over_bound", "{:.3f}"),
    ("Pull mean", "pull_mean", "{:+.3f}"),
    ("Pull width", "pull_std", "{:.3f}"),
    ("68 % coverage", "coverage_68", "{:.1%}"),
    ("Pass fraction", "pass_fraction", "{:.2%}"),
    ("Predicted pass fraction", "predicted_pass_fraction", "{:.2%}"),
    ("Change from prior, RMS (keV)", "change_rms_keV", "{:.4f}"),
)
"""Heading, key in validation.json and format of the table's columns."""

ERRORS = {
    "bias_keV": "bias_err_keV",
    "pull_mean": "pull_mean_err",
    "pull_std": "pull_std_err",
    "coverage_68": "coverage_68_err",
    "pass_fraction": "pass_fraction_err",
}
"""Key of the standard error of a column, where it has one."""


MOST_DOUBTFUL = 0.25
"""With a larger fraction of doubtful fits among the valid ones nothing can be said."""
MOST_CHI_SQUARE = 1.5
"""Nor with a larger chi-square per degree of freedom of the stack: the common shape is wrong, and
all pixels may be off together."""


def verdict(
    numbers: Mapping, labels: Mapping[str, str], chi_square_per_dof: float | None = None
) -> dict:
    """What to say first about an exposure.

    A model that does not describe the spectra is told beside it, and does not decide it: what that
    does to an energy is in the systematic uncertainty, as far as the blocks of lines show it.

    Parameters
    ----------
    numbers : validation of one exposure
    labels : words for the names of the STATUS bits
    chi_square_per_dof : of the stack against the learnt response, where there is one

    Returns
    -------
    dict
        `meets` (bool; None where it cannot be said), `text` (whether the camera meets the
        requirement, judged by the fits that can be trusted), `reasons` (how many pixels have no
        valid fit, and why) and `told` (list of str: where the model does not describe the spectra).
    """
    told = (numbers.get("adequacy") or {"warnings": []})["warnings"]
    return _judged(numbers, labels, chi_square_per_dof) | {"told": told}


def _judged(numbers: Mapping, labels: Mapping[str, str], chi_square_per_dof) -> dict:
    """`meets`, `text` and `reasons` of `verdict`."""
    key = "pass_fraction" if numbers["truth"] else "predicted_pass_fraction"
    fractions = {e: values["trusted"][key] for e, values in numbers["energies"].items()}
    known = {energy: fraction for energy, fraction in fractions.items() if fraction is not None}
    reasons = _reasons(numbers, labels)
    if not numbers["n_answers"]:
        return {"meets": False, "text": "No pixel has a valid fit.", "reasons": reasons}
    doubts = _doubts(numbers, chi_square_per_dof)
    if doubts:
        text = f"It cannot be said whether the requirement is met: {' and '.join(doubts)}."
        return {"meets": None, "text": text, "reasons": reasons}
    if not known:
        return {"meets": False, "text": "No pixel has a valid fit.", "reasons": reasons}
    worst = min(known, key=lambda energy: (known[energy], float(energy)))
    meets = len(known) == len(fractions) and known[worst] >= REQUIRED_PASS_FRACTION
    unsure = [] if numbers["truth"] else _unsure(numbers)
    if meets and unsure:
        text = (
            "It cannot be said whether the requirement is met: the systematic uncertainty common to"
            f" all pixels is {' and '.join(unsure)}; see the response, and the blocks of lines."
        )
        return {"meets": None, "text": text, "reasons": reasons}
    words = "of the pixels pass" if numbers["truth"] else "of the pixels are predicted to pass"
    text = (
        f"{'Meets' if meets else 'Does not meet'} the requirement: at the worst energy,"
        f" {worst} keV, {percent(known[worst], 2)} {words}"
        f" ({percent(REQUIRED_PASS_FRACTION, 0)} required)."
    )
    return {"meets": meets, "text": text, "reasons": reasons}


def _doubts(numbers: Mapping, chi_square_per_dof: float | None) -> list[str]:
    """Why nothing can be said of a camera with valid fits; empty where something can."""
    doubts = []
    n, n_valid = numbers["n_doubtful"], numbers["n_answers"]
    if n > MOST_DOUBTFUL * n_valid:
        doubts.append(f"{n} of {n_valid} valid fits are doubtful")
    if chi_square_per_dof is not None and chi_square_per_dof > MOST_CHI_SQUARE:
        doubts.append(
            f"the stacked spectra do not follow the response, with {chi_square_per_dof:.2f} for"
            " chi-square per degree of freedom"
        )
    return doubts


def _unsure(numbers: Mapping) -> list[str]:
    """Energies at which the systematic uncertainty takes the prediction below what is wanted."""
    unsure = []
    for energy in sorted(numbers["energies"], key=float):
        values = numbers["energies"][energy]
        fraction = values["trusted"].get("predicted_pass_fraction_total")
        is_known = values["common_sigma_keV"] is not None  # not so by the method two-step
        if is_known and fraction is not None and fraction < REQUIRED_PASS_FRACTION:
            unsure.append(f"{values['common_sigma_keV']:.2f} keV at {energy} keV")
    return unsure


def _reasons(numbers: Mapping, labels: Mapping[str, str]) -> str:
    """How many pixels have no valid fit and why, in a sentence."""
    counts = numbers["status_counts"]
    lost = [
        f"{counts[name]} {labels[name]}"
        for name in ("TOO_FEW_COUNTS", "NOT_CONVERGED")
        if counts[name]
    ]
    n, n_pixels = numbers["n_no_answer"], numbers["n_pixels"]
    if n:
        text = f"{n} of {n_pixels} pixel{'s have' if n_pixels > 1 else ' has'} no valid fit"
        text += f" ({', '.join(lost)})." if lost else "."
    else:
        text = "Every pixel has a valid fit."
    if numbers["n_doubtful"]:
        text += f" Of the valid fits {numbers['n_doubtful']} are doubtful and not counted."
    if numbers["n_masked"]:
        text += f" {numbers['n_masked']} more are masked by the user and not counted."
    return text


def energy_table(numbers: Mapping, part: str | None = None) -> list[list[str]]:
    """Cells of the table of one exposure: energy, requirement and COLUMNS, one row per energy.

    `part` may be "good": the pixels with STATUS 0 alone.
    """
    rows = []
    for energy in sorted(numbers["energies"], key=float):
        values = numbers["energies"][energy]
        values = {**values, **values[part]} if part else values  # the systematic one is of all
        cells = [energy, f"{values['requirement_keV']:g}"]
        for _, key, form in COLUMNS:
            if key in ERRORS:
                cells.append(with_error(values[key], values[ERRORS[key]], form))
            else:
                cells.append(number(values[key], form))
        rows.append(cells)
    return rows


def passed(numbers: Mapping, has_truth: bool) -> dict:
    """Pass fraction at one energy as text, and whether it is enough."""
    fraction = numbers["pass_fraction" if has_truth else "predicted_pass_fraction"]
    text = ABSENT if fraction is None else percent(fraction, 1)
    return {"text": text, "meets": fraction is not None and fraction >= REQUIRED_PASS_FRACTION}
