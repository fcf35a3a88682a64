"""The report's list of what changed against the relation known before."""

from __future__ import annotations

import numpy as np

from pixelcal.energy.report.products import Products
from pixelcal.energy.requirement import inner_energies_keV
from pixelcal.energy.results.changes import CHANGE_LABELS, change_classes, find_changes
from pixelcal.instrument import Requirement
from pixelcal.report.numbers import ABSENT, number

MOST_CHANGES = 50
"""Pixels in the list of one exposure."""

HEADINGS = (
    ("DETNUM", "number of the pixel"),
    ("X", "position on the detection plane"),
    ("Y", "position on the detection plane"),
    ("Change / error", "of gain and offset together, in units of the fit's error"),
    ("Gain (eV/channel)", "new minus previous"),
    ("Offset (keV)", "new minus previous"),
    ("Energy at {:g} keV (keV)", "new minus previous"),
    ("Energy at {:g} keV (keV)", "new minus previous"),
    ("Against the camera", "beyond the threshold times the scatter of the changes in the camera"),
)


def headings(requirement: Requirement) -> list[tuple[str, str]]:
    """`HEADINGS` with the two energies at which changes are told."""
    at = iter(inner_energies_keV(requirement))
    return [(words.format(next(at)) if "{" in words else words, title) for words, title in HEADINGS]


def significance(exposure: Products) -> np.ndarray:
    """Change (n,) of gain and offset together in units of the fit's error; NaN without a valid fit.

    sqrt(d' C^-1 d) for the change d and the covariance C of the fit: 1.2 is the median of pure
    scatter, 3.0 is exceeded by 1 pixel in 90 then.
    """
    gain = exposure.column("GAIN") - exposure.prior[0]
    offset = exposure.column("OFFSET") - exposure.prior[1]
    gain_var, offset_var = exposure.column("GAIN_ERR") ** 2, exposure.column("OFFSET_ERR") ** 2
    covariance = exposure.column("GAIN_OFFSET_COV")
    square = gain**2 * offset_var - 2 * gain * offset * covariance + offset**2 * gain_var
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(square / (gain_var * offset_var - covariance**2))


def changes(exposure: Products, threshold_sigma: float) -> dict:
    """List and numbers of the changes of one exposure.

    Returns
    -------
    dict
        `text`: what changed, in sentences; `rows`: the pixels with the most significant changes, as
        `pixels.table` gives them.
    """
    size = significance(exposure)
    known = np.isfinite(size)
    if not known.any():
        return {"text": "No pixel has a valid fit, so nothing can be compared.", "rows": []}
    found = find_changes(exposure.relation, exposure.prior, threshold_sigma)
    classes = change_classes(*found)
    order = np.flatnonzero(known)
    order = order[np.argsort(-size[order], kind="stable")][:MOST_CHANGES]
    energies = inner_energies_keV(exposure.requirement)
    low, high = exposure.change(np.array(energies))
    rows = []
    for row in order.tolist():
        relation = exposure.relation[row]
        numbers = [int(relation[name]) for name in ("DETNUM", "X", "Y")]
        gain, offset = 1000 * float(found[0].values[row]), float(found[1].values[row])
        words = CHANGE_LABELS[classes[row]] if classes[row] else ABSENT
        cells = [
            *((str(value), value) for value in numbers),
            (number(size[row], "{:.1f}"), float(size[row])),
            (number(gain, "{:+.3f}"), gain),
            (number(offset, "{:+.3f}"), offset),
            (number(low[row], "{:+.3f}"), float(low[row])),
            (number(high[row], "{:+.3f}"), float(high[row])),
            (words, words),
        ]
        rows.append({"pixel": numbers[0], "cells": cells})
    text = _text(size[known], classes[known], energies, (low, high), threshold_sigma)
    return {"text": text, "rows": rows}


def _text(size, classes, energies, changed, threshold_sigma) -> str:
    typical = [float(np.sqrt(np.nanmean(values**2))) for values in changed]
    text = (
        f"{int((size > 3).sum())} of {len(size)} pixels with a valid fit changed by more than 3"
        f" times the error of their fit; the energy changed by {typical[0]:.3f} keV at"
        f" {energies[0]:g} keV and {typical[1]:.3f} keV at {energies[1]:g} keV (rms). Against the"
        f" scatter of the changes in the camera, {int((classes > 0).sum())} change by more than"
        f" {threshold_sigma:g} sigma."
    )
    listed = min(len(size), MOST_CHANGES)
    return f"{text} Listed are the {listed} with the largest change for their error."
