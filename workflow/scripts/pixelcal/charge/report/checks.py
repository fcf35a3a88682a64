"""The report on the gain in two other ways, and on the noise that the spectra show.

Both are columns of `spe.fits`: the page holds them for every pixel, and says here what they are of
the camera.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.report.products import Products
from pixelcal.charge.spe.checks.cross_checks import MOMENTS_DIFFER, PEAKS_DIFFER, Check
from pixelcal.charge.spe.columns import CROSSTALK, KINDS_OF_NUMBERS, NOISE
from pixelcal.charge.spe.noise.late_charges import DECAY, DELAY
from pixelcal.numerics.statistics import MEDIAN_ERROR, finite, median, robust_std
from pixelcal.report.frame import packed
from pixelcal.report.numbers import number, percent, with_error

WAYS = {
    "PE_PEAKS": ("Distances of the peaks", "by the peaks", PEAKS_DIFFER),
    "PE_MOMENTS": ("Mean and variance", "by mean and variance", MOMENTS_DIFFER),
}
"""Names of the two ways in the table and in a sentence, and by what fraction one may differ."""

GAIN_HEADINGS = (
    "Good pixels",
    "Median of gain / fit − 1 (%)",
    "Scatter (%)",
    "Typical error (%)",
    "Pixels that disagree",
)

KINDS = {
    "DARK": "Dark counts per window",
    "AFTERPULSE": "Afterpulses per avalanche",
    "DELAYED": "Delayed crosstalk per avalanche",
}
NOISE_HEADINGS = ("Pixels", "Median", "Scatter", "Typical error", "Common uncertainty")
"""Medians are over the pixels that have the kind in their fit; the last is the systematic
uncertainty that all pixels have in common."""

MANY = 0.05
"""Fraction of the pixels with noise from which on it is drawn as a map."""


class Way(NamedTuple):
    """One way to the gain, over the camera.

    name : column of `spe.fits`
    n : good pixels in which it says something
    median, error, scatter : of its gain over that of the fit, minus 1; NaN without a pixel
    typical : error of a typical pixel
    n_disagree : pixels with a valid fit that differ beyond errors and tolerance
    """

    name: str
    n: int
    median: float
    error: float
    scatter: float
    typical: float
    n_disagree: int


def ratios(products: Products, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Gain of a way over that of the fit, (n,), and its standard error; NaN where there is none."""
    pe = products.column("PE")
    with np.errstate(divide="ignore", invalid="ignore"):
        return products.column(name) / pe, products.column(f"{name}_ERR") / pe


def ways(products: Products) -> list[Way]:
    """Both ways over the camera; none where neither says anything in any pixel."""
    made = []
    wanted = products.has_valid_fit & products.wanted
    for name, (_, _, least) in WAYS.items():
        ratio, error = ratios(products, name)
        known = products.good & np.isfinite(ratio)
        off, scatter = ratio[known] - 1.0, robust_std(ratio[known])
        with np.errstate(invalid="ignore"):
            n = sum(
                Check(*pair).disagrees(least)
                for pair in zip(ratio[wanted], error[wanted], strict=True)
            )
        of_median = MEDIAN_ERROR * scatter / math.sqrt(max(len(off), 1))
        made.append(
            Way(name, len(off), median(off), of_median, scatter, median(error[known]), int(n))
        )
    return [way for way in made if way.n or way.n_disagree]


def gain_rows(products: Products) -> list[list[str]]:
    """Rows of the table of the two ways: its name, then the cells under GAIN_HEADINGS."""
    return [
        [
            WAYS[way.name][0],
            str(way.n),
            with_error(100 * way.median, 100 * way.error, "{:+.2f}"),
            number(100 * way.scatter, "{:.2g}"),
            number(100 * way.typical, "{:.2g}"),
            str(way.n_disagree),
        ]
        for way in ways(products)
    ]


def gain_text(products: Products) -> str:
    """What the card of the gains says of the two ways, in a sentence; "" where there is nothing."""
    parts = [
        f"{with_error(way.median, way.error, '{:+.2%}')} {WAYS[way.name][1]}"
        for way in ways(products)
        if way.n
    ]
    return (
        f"In two other ways, the gain differs in the median by {' and '.join(parts)}."
        if parts
        else ""
    )


def shown_kinds(products: Products) -> list[str]:
    """Which of NOISE some pixel with a valid fit shows."""
    shown = products.has_valid_fit & products.wanted
    return [name for name in NOISE if (products.column(name)[shown] > 0).any()]


def noise_rows(products: Products) -> list[list[str]]:
    """Rows of the table of the noise: its kind, then the cells under NOISE_HEADINGS."""
    kinds, rows = shown_kinds(products), []
    use = products.has_valid_fit & products.wanted
    for name in kinds:
        has = use & (products.column(name) > 0)
        numbers = (products.column(f"{name}{kind}")[has] for kind in KINDS_OF_NUMBERS)
        rows.append(_noise_row(KINDS[name], *numbers))
    rate = _dark_rate(products)
    if rate is not None and "DARK" in kinds:
        has = use & (products.column("DARK") > 0)
        numbers = (rate * products.column(f"DARK{kind}")[has] for kind in KINDS_OF_NUMBERS)
        rows.insert(1, _noise_row("Dark counts (MHz)", *numbers))
    if "DELAYED" in kinds:
        has = use & (products.column("DELAYED") > 0)
        numbers = (products.column(f"{CROSSTALK}{kind}")[has] for kind in KINDS_OF_NUMBERS)
        rows.append(_noise_row("Crosstalk, prompt and delayed", *numbers))
    if kinds:
        none = np.array([math.nan])
        delay = np.where(products.column("DELAYED") > 0, products.column("NOISE")[:, DELAY], 0.0)
        for words, values in (
            ("Time constant of delayed crosstalk (windows)", delay),
            ("Delay of afterpulses (windows)", products.column("AP_DELAY")),
            ("Charge after an avalanche", products.column("LATE")),
            ("Decay of the pulse (windows)", products.column("NOISE")[:, DECAY]),
        ):
            values = finite(values[use])
            if (values > 0).any():
                rows.append(_noise_row(words, values[values > 0], none, none))
        rows += _common_rows(products, use)
    return rows


def _common_rows(products: Products, use) -> list[list[str]]:
    """What the noise of the camera makes uncertain in all pixels alike: gain and crosstalk."""
    rows = []
    for words, name in (("Gain (relative)", "PE"), ("Prompt crosstalk", "OPCT")):
        values, _, common = (products.column(f"{name}{kind}")[use] for kind in KINDS_OF_NUMBERS)
        if name == "PE":
            common = common / values
        if (common > 0).any():
            rows.append([words, str(len(values)), "", "", "", number(median(common), "{:.2g}")])
    return rows


def _noise_row(words: str, values, errors, common) -> list[str]:
    """Its name, then the cells under NOISE_HEADINGS, of pixels (n,)."""
    scatter = robust_std(values)
    error = MEDIAN_ERROR * scatter / math.sqrt(len(values))
    typical = number(median(errors), "{:.2g}")
    shared = number(median(common), "{:.2g}") if (common > 0).any() else ""
    cells = with_error(median(values), error, "{:.3g}"), number(scatter, "{:.2g}"), typical
    return [words, str(len(values)), *cells, shared]


def _dark_rate(products: Products) -> float | None:
    """MHz of one dark count in a window; None where the length of the window is not known."""
    meta = products.spe.meta
    if not ("WINDOW" in meta and "SAMPLENS" in meta and products.lamp_is_checked):
        return None
    window_ns = float(meta["WINDOW"]) * float(meta["SAMPLENS"])
    return 1e3 / window_ns if window_ns > 0 else None


def noise_text(products: Products) -> str:
    """How many pixels show noise, in a sentence; "" where none does."""
    shown = products.has_valid_fit & products.wanted
    has = shown & np.any([products.column(name) > 0 for name in NOISE], axis=0)
    n, of = int(has.sum()), int(shown.sum())
    if not n:
        return ""
    return (
        f"{n} of {of} pixels ({percent(n / of, 1)}) show charges between the peaks that their fit"
        " explains by dark counts, afterpulses or delayed crosstalk."
    )


def mapped_kind(products: Products) -> str | None:
    """The kind of noise that most pixels show, where these are many; else None."""
    shown = products.has_valid_fit & products.wanted
    counts = {name: int((products.column(name)[shown] > 0).sum()) for name in shown_kinds(products)}
    most = max(counts, key=counts.get, default=None)
    return most if most and counts[most] > MANY * shown.sum() else None


def content(products: Products) -> dict:
    """What the template shows of both, under the names that it uses."""
    return {
        "peaks_differ": PEAKS_DIFFER,
        "moments_differ": MOMENTS_DIFFER,
        "gain_headings": GAIN_HEADINGS,
        "gain_rows": gain_rows(products),
        "noise_headings": NOISE_HEADINGS,
        "noise_rows": noise_rows(products),
        "noise_text": noise_text(products),
        "noise_map": mapped_kind(products) is not None,
    }


def values(products: Products) -> dict:
    """Packed columns (n,) of the page: both ways, the misfit, and the noise where there is any."""
    names = [f"{name}{kind}" for name in WAYS for kind in ("", "_ERR")]
    if shown_kinds(products):
        names += [f"{name}{kind}" for name in (*NOISE, CROSSTALK) for kind in ("", "_ERR")]
        names += ["AP_DELAY", "LATE"]
    return {name.lower(): packed(products.column(name), "f4") for name in [*names, "MISFIT"]}
