"""The report's pixels in question: which they are, why, and what their fits look like."""

from __future__ import annotations

import numpy as np

from pixelcal.camera import rows_of
from pixelcal.energy.fit.columns import has_second_state, is_bent
from pixelcal.energy.fit.model_spectra import BlockView, data_blocks, pixel_blocks
from pixelcal.energy.kinds import kind_of_row, of_kind
from pixelcal.energy.line_labels import line_labels
from pixelcal.energy.lines import LineTable
from pixelcal.energy.report.products import Products
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.response.tables import make_templates
from pixelcal.report.frame import packed, scaled
from pixelcal.report.numbers import ABSENT, number, pvalue, with_error
from pixelcal.status import ENERGY_WORDS, EnergyStatus

MOST_PIXELS = 100
"""Pixels in the table of one exposure, each with its fit: some 4 kB in the page."""
MOST_FLAGGED = 70
"""Of them with a STATUS, where there are others to show."""
LEAST_WORST = 20
"""So many of the worst are shown even where all of them meet the requirement."""

HEADINGS = (
    ("DETNUM", "number of the pixel"),
    ("X", "position on the detection plane"),
    ("Y", "position on the detection plane"),
    ("Module", ""),
    ("Why it is here", ""),
    ("Worst at (keV)", "the reference energy at which error over requirement is largest"),
    ("Error (keV)", "against truth, at that energy; without truth the predicted one"),
    ("Error / allowed", ""),
    ("Error / predicted", "the pull at that energy"),
    ("p-value", "probability of a fit at least as bad where the model is right"),
    ("Counts", "in the channels that were fitted"),
)


def choose(exposure: Products) -> tuple[np.ndarray, str]:
    """Rows of the pixels to list, the most serious first, and a sentence on how they were chosen.

    Pixels with a STATUS, by the most serious of its bits, and those with a block left out; then, of
    the others, those with the largest error for what is allowed. Pixels that the user masked are
    not in question.
    """
    status = exposure.status
    excess = _largest(exposure)
    without_block = np.asarray(exposure.relation["BLOCKS_OUT"]) != 0
    flagged = np.flatnonzero(((status != 0) | without_block) & exposure.wanted)
    rank = ENERGY_WORDS.rank(status[flagged])
    flagged = flagged[np.lexsort((-excess[flagged], rank))]
    good = np.flatnonzero((status == 0) & ~without_block)
    good = good[np.argsort(-excess[good], kind="stable")]
    over = int((excess[good] > 1).sum())
    n_worst = min(len(good), max(over, LEAST_WORST))
    n_flagged = min(len(flagged), max(MOST_FLAGGED, MOST_PIXELS - n_worst))
    n_worst = min(n_worst, MOST_PIXELS - n_flagged)
    rows = np.concatenate([flagged[:n_flagged], good[:n_worst]])
    return rows, _how_chosen(exposure, n_flagged, len(flagged), n_worst, over)


def _largest(exposure: Products) -> np.ndarray:
    """Largest error over what is allowed (n,) at the reference energies; 0 without a valid fit."""
    return np.nan_to_num(exposure.excess().max(axis=0), nan=0.0)


def _how_chosen(exposure: Products, n_flagged, all_flagged, n_worst, over) -> str:
    """What the table holds, in a sentence."""
    if not n_flagged + n_worst:
        return "No pixel is in question: none has a STATUS, and none has a valid fit."
    part = "" if n_flagged == all_flagged else f" {n_flagged} of the"
    also = " or a block left out" if np.any(exposure.relation["BLOCKS_OUT"]) else ""
    first = f"{part} {all_flagged} with a STATUS other than 0{also} (masked ones apart)"
    if exposure.truth is None:
        second = f"of the others the {n_worst} with the largest predicted error for what is allowed"
    elif over:
        second = f"of the {over} others over the requirement at any energy the {n_worst} worst"
    else:
        second = f"the {n_worst} with the largest error of the others, which all meet it"
    n = n_flagged + n_worst
    return f"{n} {'pixel is' if n == 1 else 'pixels are'} listed:{first}, and {second}."


def reason(exposure: Products, row: int) -> str:
    """Why the pixel in `row` is in question, in words."""
    relation = exposure.relation[row]
    status = int(relation["STATUS"])
    words = []
    for bit, label in ENERGY_WORDS.labels.items():
        if bit and status & bit:
            words.append(label + _detail(exposure, bit, relation))
    names = exposure.lines.block_names
    out = [name for b, name in enumerate(names) if int(relation["BLOCKS_OUT"]) >> b & 1]
    if out:
        words.append(f"fitted without {' and '.join(out)}")
    excess = exposure.excess()[:, row]
    if np.isfinite(excess).all() and (not words or excess.max() > 1):
        at = int(np.argmax(excess))
        energy = exposure.energies_keV[at]
        allowed = float(requirement_keV(energy, exposure.requirement))
        if exposure.truth is None:
            text = f"predicted error {exposure.sigma()[at, row]:.3f} keV at {energy:g} keV"
        else:
            over = "over" if excess[at] > 1 else "within"
            error = number(exposure.error()[at, row], "{:+.3f}")
            text = f"{over} the requirement: {error} keV at {energy:g} keV"
        # Beside another reason it is enough to name it: the numbers are in the columns that follow.
        words.append("over the requirement" if words else f"{text} ({allowed:g} allowed)")
    return "; ".join(words)


def _detail(exposure: Products, bit: int, relation) -> str:
    """The numbers behind a STATUS bit, where the relation has them."""
    if bit == EnergyStatus.TOO_FEW_COUNTS:
        return f": {int(relation['COUNTS'])} of the {exposure.settings['min_counts']} needed"
    if bit == EnergyStatus.NOT_CONVERGED:
        return ": the fit found no minimum"
    if bit == EnergyStatus.OUTLIER:
        return " against its neighbours"
    if bit == EnergyStatus.POOR_FIT and is_bent(relation["BEND"], relation["BEND_ERR"]):
        return f": bent by {with_error(relation['BEND'], relation['BEND_ERR'], '{:+.2f}', 'keV')}"
    if bit == EnergyStatus.POOR_FIT:
        by_camera = float(relation["PVALUE_CAMERA"])  # NaN of the method two-step
        value = by_camera if np.isfinite(by_camera) else float(relation["PVALUE"])
        return f": p-value {pvalue(value)}"
    if bit in (EnergyStatus.CHANGED, EnergyStatus.WIDTH) and has_second_state(relation):
        return f": counts at a gain that is {number(relation['SECOND_STRETCH'], '{:+.2%}')} off"
    if bit == EnergyStatus.WIDTH:
        ratio, error = float(relation["WIDTH_RATIO"]), float(relation["WIDTH_RATIO_ERR"])
        return f": {with_error(ratio, error, '{:.2f}')} of it"
    return ""


def table(exposure: Products, rows: np.ndarray, pixel_map) -> list[dict]:
    """Rows of the table: `pixel`, and `cells` of (text, value to sort by)."""
    excess, sigma, error = exposure.excess(), exposure.sigma(), exposure.error()
    size, energies = sigma if error is None else error, exposure.energies_keV
    module = np.asarray(pixel_map["MODULE"])[rows_of(exposure.detnum, pixel_map)]
    content = []
    for row in rows.tolist():
        relation = exposure.relation[row]
        numbers = [(ABSENT, -1.0)] * 4
        if np.isfinite(excess[:, row]).all():
            at = int(np.argmax(excess[:, row]))
            value, pull = float(size[at, row]), float(size[at, row] / sigma[at, row])
            numbers = [
                (f"{energies[at]:g}", float(energies[at])),
                (number(value, "{:.3f}" if error is None else "{:+.3f}"), abs(value)),
                (f"{excess[at, row]:.2f}", float(excess[at, row])),
                (number(pull, "{:+.1f}"), abs(pull)) if error is not None else (ABSENT, -1.0),
            ]
        fit_pvalue = float(relation["PVALUE"])
        integers = [int(relation[name]) for name in ("DETNUM", "X", "Y")] + [int(module[row])]
        words = reason(exposure, row)
        cells = [
            *((str(value), value) for value in integers),
            (words, words),
            *numbers,
            (pvalue(fit_pvalue), fit_pvalue if np.isfinite(fit_pvalue) else 2.0),
            (str(int(relation["COUNTS"])), int(relation["COUNTS"])),
        ]
        content.append({"pixel": integers[0], "cells": cells})
    return content


def fits(exposure: Products, rows: np.ndarray) -> dict[str, dict]:
    """Data, model and continuum of the pixels in `rows`, by DETNUM.

    The two-step method has no model of the spectrum that would be quick to find again: its pixels,
    and those without a valid fit, have the data alone.
    """
    counts = np.asarray(exposure.spectra["COUNTS"])
    # The tables take a quarter of a second; the fits of all pixels share them.
    templates = {
        kind: make_templates(response, exposure.lines)
        for kind, response in exposure.responses.items()
    }
    content = {}
    for row in rows.tolist():
        relation = exposure.relation[row]
        prior = (float(exposure.prior[0][row]), float(exposure.prior[1][row]))
        if templates:
            kind = kind_of_row(relation)
            response = of_kind(exposure.responses, kind)
            learnt = response, prior, of_kind(templates, kind)
            blocks = pixel_blocks(counts[row], relation, exposure.lines, *learnt)
        else:
            known = np.isfinite(relation["GAIN"])
            fitted = (float(relation["GAIN"]), float(relation["OFFSET"]))
            blocks = data_blocks(counts[row], exposure.lines, fitted if known else prior)
        content[str(int(relation["DETNUM"]))] = _packed_blocks(blocks)
    return content


def _packed_blocks(blocks: list[BlockView]) -> dict:
    """All blocks of a pixel, one after the other; energies as a straight line of the channel."""
    used = [block for block in blocks if len(block.counts)]
    if not used:
        return {"sizes": []}
    first, last = used[0], used[-1]
    channels = last.first + len(last.counts) - first.first
    gain = float(last.edges_keV[-1] - first.edges_keV[0]) / channels
    content = {
        "gain": round(gain, 8),
        "offset": round(float(first.edges_keV[0]) - gain * first.first, 6),
        "names": [block.name for block in used],
        "first": [int(block.first) for block in used],
        "sizes": [len(block.counts) for block in used],
        "counts": packed(np.concatenate([block.counts for block in used]), "u4"),
    }
    model = np.concatenate([block.model for block in used])
    if np.isfinite(model).all():
        content["model"] = scaled(model)
        content["continuum"] = scaled(np.concatenate([block.continuum for block in used]))
    return content


def labels_of_blocks(table: LineTable) -> dict[str, list[dict]]:
    """Labels of the lines, `label` and `energy` (keV), by the name of the block."""
    labels: dict[str, list[dict]] = {name: [] for name in table.block_names}
    for text, energy, block in line_labels(table):
        labels[table.block_names[block]].append({"label": text, "energy": round(energy, 3)})
    return labels
