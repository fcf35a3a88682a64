"""The pixels in question of the SSTCAM's report: which, why, what to do, and their spectra."""

from __future__ import annotations

import numpy as np

from pixelcal.charge.report.products import Products
from pixelcal.charge.report.validation import QUANTITIES
from pixelcal.charge.spe.checks.outliers import COMPARED, deviations, furthest
from pixelcal.charge.spe.columns import SHARED
from pixelcal.charge.spe.fit import PE_ERROR_LIMIT
from pixelcal.charge.spe.model_spectra import (
    RunView,
    peak_curves,
    peak_fractions,
    pixel_views,
    stands_on_dark_run,
)
from pixelcal.report.frame import packed, scaled
from pixelcal.report.numbers import ABSENT, number, pvalue
from pixelcal.status import CHARGE_WORDS, ChargeStatus

MOST_FLAGGED = 40
"""Pixels with a STATUS in the table, each with its spectra: some 5 kB in the page."""
MOST_WORST = 6
"""Good ones with the lowest p-values, and as many with the largest deviation."""

HEADINGS = (
    ("Pixel", "number of the pixel"),
    ("Module", ""),
    ("Why it is here", ""),
    ("What to do", ""),
    ("Gain", "charge of a photoelectron"),
    ("± %", "relative error of the gain"),
    ("Crosstalk", ""),
    ("Peak / valley", "the lowest of the runs"),
    ("p-value", "probability of a fit at least as bad where the model is right"),
    ("Furthest off", "largest deviation from the camera, in robust standard deviations"),
)

ADVICE = {
    ChargeStatus.TOO_FEW: "take more flashes, or lower sstcam.fit.min_flashes",
    ChargeStatus.NOT_CONVERGED: "look at its spectra; give sstcam.fit.pe_guess",
    ChargeStatus.AT_LIMIT: "do not use it; look at its spectra: no peaks, or no light?",
    ChargeStatus.UNRESOLVED: "lower its noise, try another sstcam.charges.window, or use a darker"
    " run",
    ChargeStatus.POOR_FIT: "compare its residuals with those of all pixels; if only this pixel has"
    " large ones, look for drift or pick-up in it",
    ChargeStatus.CHANGES: "check its bias voltage and temperature; take runs in which it is steady",
    ChargeStatus.CLIPPED: "lower the light or the gain of the electronics; the end of the ADC cuts"
    " its charges off",
    ChargeStatus.GAINS_DISAGREE: "do not use it; its spectra show another spacing of the peaks, or"
    " another width",
    ChargeStatus.OUTLIER: "check its bias voltage and its channel; mask it if this persists",
}
DEAD_ADVICE = "check its connection and bias voltage; list it in sstcam.bad_pixels"


def choose(products: Products) -> tuple[np.ndarray, str, dict[int, str]]:
    """Rows of the pixels to list, a sentence on how they were chosen, and why the good ones are in.

    Pixels with a STATUS, the most serious first; of the good ones those with the lowest p-values,
    those furthest from the camera, and a typical one. Masked pixels are not in question.
    """
    off = np.nan_to_num(furthest(products.spe), nan=0.0)
    flagged = np.flatnonzero((products.status != 0) & products.wanted)
    rank = CHARGE_WORDS.rank(products.status[flagged])
    flagged = flagged[np.lexsort((-off[flagged], rank))]
    good, why = np.flatnonzero(products.good), {}
    if len(good):
        pvalue = products.column("PVALUE")[good]
        for row in good[np.argsort(pvalue, kind="stable")][:MOST_WORST].tolist():
            why[row] = "good; among the lowest p-values of the good pixels"
        for row in good[np.argsort(-off[good], kind="stable")][:MOST_WORST].tolist():
            why.setdefault(row, "good; among the furthest from the camera")
        row = int(good[np.argmin(off[good])])
        if len(good) > 1:
            why.pop(row, None)
        why.setdefault(row, "good; a typical pixel, for comparison")
    shown = flagged[:MOST_FLAGGED]
    rows = np.concatenate([shown, np.array(list(why), int)])
    part = "" if len(shown) == len(flagged) else f" {len(shown)} of the"
    words = (
        f"{len(rows)} {'pixel is' if len(rows) == 1 else 'pixels are'} listed:{part}"
        f" {len(flagged)} with a STATUS other than 0 (masked ones apart), and {len(why)} good"
        f" {'one' if len(why) == 1 else 'ones'}."
    )
    return rows, words, why


def reason(products: Products, row: int, off: np.ndarray) -> str:
    """Why the pixel in `row` is in question, in words; `off` as `deviations` gives it."""
    status = int(products.status[row])
    words = [
        label + _detail(products, bit, row, off)
        for bit, label in CHARGE_WORDS.labels.items()
        if bit and status & bit
    ]
    if products.dead[row]:
        words.append("no light seen in the brightest run")
    return "; ".join(words)


def _detail(products: Products, bit: int, row: int, off: np.ndarray) -> str:
    """The numbers behind a STATUS bit."""
    spe = products.spe[row]
    if bit == ChargeStatus.TOO_FEW:
        if _lacks_flashes(products, row):
            flashes, wanted = np.asarray(spe["FLASHES"]), products.settings["fit"]["min_flashes"]
            run = int(np.argmin(flashes))
            return f": {flashes[run]} in {products.runs[run]}, {wanted} needed"
        return " with light in them"
    if bit == ChargeStatus.AT_LIMIT:
        held = [QUANTITIES[name] for name in SHARED if not float(spe[f"{name}_ERR"]) > 0]
        return f": {', '.join(held).lower()}" if held else ""
    if bit == ChargeStatus.UNRESOLVED:
        valley = float(np.nanmin(spe["PEAK_VALLEY"]))
        error = float(spe["PE_ERR"]) / float(spe["PE"])
        parts = []
        if not valley >= products.settings["fit"]["peak_to_valley"]:
            parts.append(f"peak to valley {valley:.2f}")
        if not error <= PE_ERROR_LIMIT:
            parts.append(f"gain known to {100 * error:.2g} % only")
        return f": {', '.join(parts)}" if parts else ""
    if bit == ChargeStatus.POOR_FIT:
        return f": p-value {pvalue(float(spe['PVALUE']))}"
    if bit == ChargeStatus.GAINS_DISAGREE:
        words = [
            f"{float(spe[name]):.4g} ± {float(spe[f'{name}_ERR']):.2g} by {by}"
            for name, by in (("PE_PEAKS", "the peaks"), ("PE_MOMENTS", "mean and variance"))
            if np.isfinite(spe[name])
        ]
        return f": {', '.join(words)}"
    if bit == ChargeStatus.OUTLIER:
        deviation = off[:, row]
        if np.isfinite(deviation).any():
            at = int(np.nanargmax(np.abs(deviation)))
            return f": {COMPARED[at]} {number(deviation[at], '{:+.0f}')} σ from the camera"
    return ""


def advice(products: Products, row: int) -> str:
    """What to do about the pixel, by what is most serious."""
    status = int(products.status[row])
    if products.dead[row] and status:
        return DEAD_ADVICE
    for bit in CHARGE_WORDS.most_serious_first:
        if status & bit and bit in ADVICE:
            if bit == ChargeStatus.TOO_FEW and not _lacks_flashes(products, row):
                return DEAD_ADVICE
            return ADVICE[bit]
    return "nothing; it can be used"


def _lacks_flashes(products: Products, row: int) -> bool:
    wanted = products.settings["fit"]["min_flashes"]
    return bool(np.asarray(products.spe["FLASHES"])[row].min() < wanted)


def table(products: Products, rows: np.ndarray, why: dict[int, str]) -> list[dict]:
    """Rows of the table: `pixel`, and `cells` of (text, value to sort by)."""
    off = deviations(products.spe)
    content = []
    for row in rows.tolist():
        spe = products.spe[row]
        pixel = int(products.pixel[row])
        module = int(products.grid.module[pixel])
        words, what = why.get(row) or reason(products, row, off), advice(products, row)
        numbers = [(ABSENT, -1.0)] * 5
        if products.has_valid_fit[row]:
            pe, error = float(spe["PE"]), 100 * float(spe["PE_ERR"]) / float(spe["PE"])
            valley, fit_pvalue = float(np.nanmin(spe["PEAK_VALLEY"])), float(spe["PVALUE"])
            numbers = [
                (f"{pe:.4g}", pe),
                (f"{error:.2g}", error),
                (f"{float(spe['OPCT']):.3f}", float(spe["OPCT"])),
                (f"{valley:.2f}", valley) if np.isfinite(valley) else (ABSENT, -1.0),
                (pvalue(fit_pvalue), fit_pvalue if np.isfinite(fit_pvalue) else 2.0),
            ]
        far = (ABSENT, -1.0)
        if np.isfinite(off[:, row]).any():
            at = int(np.nanargmax(np.abs(off[:, row])))
            far = (f"{number(off[at, row], '{:+.1f}')} {COMPARED[at]}", abs(float(off[at, row])))
        cells = [
            (str(pixel), pixel),
            (str(module), module),
            (words, words),
            (what, what),
            *numbers,
            far,
        ]
        content.append({"pixel": pixel, "cells": cells})
    return content


def fits(products: Products, rows: np.ndarray) -> dict[str, dict]:
    """Spectra of the pixels in `rows` with their fits, by PIXEL: `runs`, and whether `model`."""
    content = {}
    for row in rows.tolist():
        spe = products.spe[row]
        runs = []
        for run_row, view in enumerate(pixel_views(products.spectra[row], spe)):
            run = {
                "start": round(float(view.start), 4),
                "width": round(float(view.width), 6),
                "counts": packed(view.counts, "u4"),
            }
            if np.isfinite(view.model).all():
                run["model"] = scaled(view.model)
                run |= _peaks(spe, run_row, view)
            runs.append(run)
        content[str(int(products.pixel[row]))] = {
            "runs": runs,
            "model": all("model" in run for run in runs),
        }
    return content


def _peaks(spe, run: int, view: RunView) -> dict:
    """Peaks one by one: what is in each, which are normal, or `curves` on the bins of the view."""
    if stands_on_dark_run(spe):
        middle = 0.5 * (view.edges[1:] + view.edges[:-1])
        expected = view.counts.sum() * view.width * peak_curves(spe, run, middle)
        return {"curves": [scaled(np.maximum(curve, 0.0)) for curve in expected]}
    return {"fractions": [float(f"{fraction:.5g}") for fraction in peak_fractions(spe, run)]}
