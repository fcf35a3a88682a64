"""What the SSTCAM's report says first: whether gains and charge resolution can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pixelcal.charge.report import adequacy as report_adequacy
from pixelcal.charge.report import checks as report_checks
from pixelcal.charge.report import resolution as report_resolution
from pixelcal.charge.report.model import Cause, Pooled, likely_cause
from pixelcal.charge.report.products import Products
from pixelcal.charge.resolution.requirement import State
from pixelcal.numerics.statistics import robust_std
from pixelcal.report.numbers import number, percent
from pixelcal.status import CHARGE_WORDS, ChargeStatus

ENOUGH_GOOD = 0.95
"""Fraction of the pixels from which on the gains of a camera count as usable."""
ALL_MASKED = "Every pixel is masked by the user: there is nothing to assess."
MANY = 0.05
"""Fraction of the pixels from which on a trouble is the camera's and not the pixels'."""

PATTERNS = {
    Cause.LIGHT_AT_ANY_TIME: "The darkest run has charges between the pedestal and the first"
    " photoelectron: light at any time in the window (night sky, dark counts).",
    Cause.AFTERPULSES: "The darkest run has charges between the peaks above the first"
    " photoelectron, none below it: afterpulses or late crosstalk.",
    Cause.UNKNOWN: "It has neither the pattern of light at any time nor that of afterpulses.",
}
REMEDIES = {
    Cause.LIGHT_AT_ANY_TIME: "Take the runs in the dark, or colder; a shorter window holds less of"
    " it.",
    Cause.AFTERPULSES: "A shorter window holds fewer afterpulses.",
    Cause.UNKNOWN: "See the residuals of all pixels together.",
}


def cards(products: Products, pooled: Sequence[Pooled]) -> list[dict]:
    """What to say of gains, model, charge resolution and truth: title, text, more, whether it is
    well (`meets`), and whether the small map of the camera is beside it (`map`)."""
    found = [_gain_card(products), _model_card(products, pooled), _resolution_card(products)]
    return [*found, _truth_card(products)]


def summary(content: Mapping) -> dict:
    """What sstcam.json holds of the content of the page: `camera`, `headline`, and `title`, `meets`
    (None where it cannot be said), `text` and `more` of each of the `cards`."""
    names = ("title", "meets", "text", "more")
    cards = [{name: card[name] for name in names} for card in content["cards"]]
    return {"camera": "SSTCAM", "headline": content["headline"], "cards": cards}


def good_fraction(products: Products) -> float:
    """Fraction of good pixels among those that are not masked."""
    return float(products.good.sum() / max(products.wanted.sum(), 1))


def gain_numbers(products: Products) -> tuple[float, float, float] | None:
    """Median gain, its robust relative spread, the typical relative error; None without a good
    pixel."""
    pe, error = products.column("PE")[products.good], products.column("PE_ERR")[products.good]
    if not len(pe):
        return None
    centre = float(np.median(pe))
    spread = robust_std(pe) / centre
    return centre, spread, float(np.median(error / pe))


def gains_differ(products: Products) -> bool:
    """Whether the gains of the runs differ in the median over the camera."""
    return bool(products.spe.meta.get("RGAINDIF", False))


def reasons(products: Products) -> str:
    """How many pixels are not good, and why, in a sentence."""
    counts = products.validation["status_counts"]
    words = [
        f"{counts[bit.name]} {CHARGE_WORDS.labels[bit]}"
        for bit in ChargeStatus
        if counts[bit.name] and bit != ChargeStatus.MASKED
    ]
    n = int((products.wanted & ~products.good).sum())
    if not products.wanted.any():
        return ""
    text = f"{n} in question ({', '.join(words)})." if n else "None is in question."
    dead = int((products.dead & products.wanted).sum())
    if dead:
        text += f" {dead} {'sees' if dead == 1 else 'see'} no light."
    if products.validation["n_masked"]:
        text += f" {products.validation['n_masked']} more are masked and not counted."
    return text


def _gain_card(products: Products) -> dict:
    n, wanted, numbers = (
        int(products.good.sum()),
        int(products.wanted.sum()),
        gain_numbers(products),
    )
    more = reasons(products)
    if numbers:
        centre, spread, error = numbers
        more += (
            f" Gain: median {centre:.4g} {products.unit} per photoelectron; scatter between"
            f" the good pixels {percent(spread, 1)}, error of a typical pixel {percent(error, 2)}."
        )
    beside = report_checks.gain_text(products)
    if beside:
        more += f" {beside}"
    if gains_differ(products):
        more += " The gains of the runs differ: see the table of runs."
    if not products.lamp_is_checked:
        more += " Lamp and clipped flashes are not checked: the runs are ready histograms."
    if not wanted:
        text, meets = ALL_MASKED, None
    else:
        text = f"{n} of {wanted} pixels are good ({percent(good_fraction(products), 1)})."
        meets = good_fraction(products) >= ENOUGH_GOOD and not gains_differ(products)
    return {
        "title": "Gains",
        "meets": meets,
        "text": text,
        "more": more,
        "map": True,
    }


def _model_card(products: Products, pooled: Sequence[Pooled]) -> dict:
    if not pooled:
        return {
            "title": "Model",
            "meets": None,
            "text": "There is no good pixel to compare the model with.",
            "more": "",
            "map": False,
        }
    cause = likely_cause(pooled)
    worst = max(run.misfit for run in pooled)
    text = "does not describe the spectra of all pixels" if cause else "describes the spectra"
    more = f"Largest misfit of a run: {percent(worst, 2)}."
    more += f" {report_adequacy.sentence(pooled, products.runs)}"
    if cause:
        more += f" {PATTERNS[cause]}"
    noise = report_checks.noise_text(products)
    if noise:
        more += f" {noise}"
    return {
        "title": "Model",
        "meets": not cause,
        "text": f"The model {text}.",
        "more": more,
        "map": False,
    }


def _resolution_card(products: Products) -> dict:
    title = "Charge resolution"
    if products.resolution is None:
        text = "Not measured: no dynamic-range scan is configured."
        return {"title": title, "meets": None, "text": text, "more": "", "map": False}
    state = report_resolution.state_of(products.resolution)
    at = report_resolution.levels_text(products.resolution)
    words = {
        State.NOT_MEASURED: "No run of the scan can be assessed.",
        State.UNCLEAR: f"Undecided at {at}: some run is closer to the requirement than two"
        " standard errors.",
        State.MEETS: f"Meets the requirement in every run at {at}.",
        State.MISSES: f"Does not meet the requirement in some run at {at}.",
    }
    verdicts = products.resolution.summary["verdicts"]
    return {
        "title": title,
        "meets": {State.MEETS: True, State.MISSES: False}.get(state),
        "text": words[state],
        "more": " ".join(report_resolution.verdict_text(verdict) for verdict in verdicts),
        "map": False,
    }


def _truth_card(products: Products) -> dict:
    numbers, title = products.validation, "Against truth"
    if not numbers["truth"]:
        text = "There is no truth for these runs: errors are those that the fits predict."
        return {"title": title, "meets": None, "text": text, "more": "", "map": False}
    wrong, good = numbers["n_wrong"], numbers["n_wrong_good"]
    pe = numbers["quantities"]["PE"]
    more = ""
    if pe["pull_std"] is not None:
        more = (
            f"Gain of the good pixels: bias {number(pe['relative_bias'], '{:+.3%}')}, RMS"
            f" {pe['rms_over_bound']:.2f} times the bound, mean of the pulls"
            f" {number(pe['pull_mean'], '{:+.2f}')}, width {pe['pull_std']:.2f}."
        )
    return {
        "title": title,
        "meets": good == 0,
        "text": f"{good} of {wrong} pixels with a gain wrong by over 5 % are called good."
        if wrong
        else "No pixel has a gain that is wrong by over 5 %.",
        "more": more,
        "map": False,
    }


def _misses(products: Products) -> bool:
    return report_resolution.state_of(products.resolution) is State.MISSES


def headline(products: Products) -> str:
    """What the page is opened for, in a sentence."""
    numbers = gain_numbers(products)
    if not products.wanted.any():
        return ALL_MASKED
    if not products.has_valid_fit.any():
        return "No pixel has a valid fit."
    if numbers is None:
        return "No pixel is good: none of the gains should be used."
    enough = good_fraction(products) >= ENOUGH_GOOD
    said = "The gains can be used" if enough else "Many gains are in question"
    if gains_differ(products):
        said = "The gains of the runs differ"
    text = f"{said}: {int(products.good.sum())} of {int(products.wanted.sum())} pixels are good"
    if products.resolution is None:
        return text + "."
    state = report_resolution.state_of(products.resolution)
    at = report_resolution.levels_text(products.resolution)
    ends = {
        State.NOT_MEASURED: "the charge resolution could not be assessed",
        State.UNCLEAR: f"of the charge resolution at {at} it cannot be said whether it"
        " fulfils the requirement: it is too close to it",
        State.MEETS: f"the charge resolution meets the requirement at {at}",
        State.MISSES: f"the charge resolution misses the requirement at some charges, at {at}",
    }
    return f"{text}; {ends[state]}."


def what_to_do(products: Products, pooled: Sequence[Pooled], results: str = "results") -> list[str]:
    """Advice in sentences, the most important first; `results` is the folder of the run."""
    status, n = products.status, max(int(products.wanted.sum()), 1)
    flagged = lambda bit: ((status & int(bit)) != 0).sum() / n  # noqa: E731
    advice = []
    if not products.wanted.any():
        return ["List fewer pixels in sstcam.bad_pixels."]
    if gains_differ(products):
        advice.append(
            "The gains of the runs differ from each other: compare bias voltage and temperature in"
            " the table of runs, and fit runs of one state together."
        )
    if flagged(ChargeStatus.CHANGES) > MANY:
        advice.append(
            "Many pixels change within a run or between runs: the log of merge_spe says in which;"
            " take these again at a steady bias voltage and temperature."
        )
    if flagged(ChargeStatus.CLIPPED) > MANY:
        advice.append(
            "Many pixels are clipped at the end of the ADC: lower the light, or the gain of the"
            " electronics."
        )
    if not products.has_valid_fit.any():
        advice.append(
            f"Look at the charges of the runs (snakemake {results}/sstcam/figures/charges.png):"
            " is there light, and does the window hold the pulse?"
        )
    if flagged(ChargeStatus.TOO_FEW) > MANY:
        advice.append("Many pixels have too few flashes: take longer runs.")
    if flagged(ChargeStatus.UNRESOLVED) > MANY:
        advice.append(
            "In many pixels the peaks are not resolved: try another window"
            " (sstcam.charges.window) or subtract a baseline, and use runs of 0.5 to 2"
            " photoelectrons per flash."
        )
    if flagged(ChargeStatus.NOT_CONVERGED) > MANY or flagged(ChargeStatus.AT_LIMIT) > MANY:
        advice.append(
            "Many fits did not converge: give the gain to start from (sstcam.fit.pe_guess)."
        )
    cause = likely_cause(pooled)
    if cause:
        advice.append(
            "The model lacks an effect that all pixels have; gain and crosstalk may be off by more"
            f" than their errors. {REMEDIES[cause]}"
        )
    dead = products.pixel[products.dead & products.wanted]
    if len(dead):
        listed = ", ".join(map(str, dead[:12].tolist())) + (" …" if len(dead) > 12 else "")
        advice.append(f"Check what sees no light, or list it in sstcam.bad_pixels: pixel {listed}.")
    if products.resolution is not None and _misses(products):
        advice.append(
            "Where the charge resolution misses the requirement, the table of runs shows whether"
            " bias, scatter within the pixels or differences between them dominate: bias or"
            " differences at high charge point to saturation (conversion: transfer), at low charge"
            " to the pedestal."
        )
    n_rest = int((products.wanted & ~products.good).sum())
    if n_rest and not advice:
        advice.append("Leave the pixels in question out, or look at them below, one by one.")
    return advice or ["Nothing: use the good pixels."]
