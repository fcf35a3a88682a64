"""The residuals of the camera in `relation.fits`, and what they say in numbers and sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.energy.fit.columns import RESIDUAL_EXTENSION, RESIDUAL_UNITS
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import LineShape
from pixelcal.energy.results.adequacy import (
    CHANCE,
    RELEVANT,
    Bins,
    Discrepancy,
    Region,
    as_residuals,
    bins_of,
    by_module,
    discrepancy,
    discrepancy_of_modules,
    find_regions,
    summed,
    typical_pixels,
)
from pixelcal.energy.results.channels.product import (
    BY_WIDTHS,
    channel_hdu,
    widths_numbers,
    widths_words,
)
from pixelcal.energy.results.channels.widths import CLEAR_SIGMA, compare_channels
from pixelcal.energy.results.foreign_lines import Candidate, Series, candidates
from pixelcal.io.tables import table_hdu

MODULE_EXTENSION = "RESIDUALS_MODULES"
UNITS = {"E_MIN": "keV", "E_MAX": "keV", **RESIDUAL_UNITS}

MOST_REGIONS = 8
"""Regions that are named; with very many counts all bins are off."""

COMMENTS = {
    "CHI": "chi-square of the residuals",
    "DOF": "what it is on average where the model is right",
    "P": "probability of a larger one by chance",
    "MIS": "rms of what exceeds chance, over the model",
}
"""Of the cards ADEQ_..., the camera, and MODU_..., the modules against it."""

NONE_EXPLAINS = (
    "no line of the catalogue explains it: relations that are not straight, another line shape or"
    " another continuum than the model's would"
)


def residual_hdus(
    rows: np.ndarray, status: np.ndarray, module: np.ndarray, table: LineTable, channels=None
) -> list[fits.BinTableHDU]:
    """Extensions RESIDUALS, a row for each bin of energy, and RESIDUALS_MODULES, for each module.

    With `channels` also RESIDUALS_CHANNELS, with a row for each channel.

    Parameters
    ----------
    rows : (n,) structured
        Extension RESIDUALS of all chunks.
    status : (n,) int
        STATUS of the relation.
    module : (n,) int
    table : LineTable
        That of the fits.
    channels : tuple, optional
        Counts and expected counts (n, n_channels), gain and offset (n,) of the pixels.
    """
    bins, of_pixels = bins_of(table.block_limits_keV), as_residuals(rows)
    chosen = typical_pixels(of_pixels, status)
    camera = summed(of_pixels, chosen)
    modules, of_modules = by_module(of_pixels, chosen, module)
    each, together = discrepancy_of_modules(of_modules, camera)
    names, more = ("E_MIN", "E_MAX", *RESIDUAL_UNITS), []
    columns = [("BLOCK", "i2"), *((name, "f8") for name in names)]
    if channels is not None:
        widths = compare_channels(*(part[chosen] for part in channels), module[chosen], bins)
        more, columns = [channel_hdu(widths)], [*columns, (BY_WIDTHS, "f8", (len(bins.low),))]
    whole = np.zeros(len(bins.low), columns)
    if channels is not None:
        whole[BY_WIDTHS] = widths.covariance
    for name, values in zip(names, (bins.low, bins.high, *camera), strict=True):
        whole[name] = values
    whole["BLOCK"] = bins.block
    cards = [("ADEQ_N", int(chosen.sum()), "pixels that are added up")]
    cards += [*_cards("ADEQ", discrepancy(camera)), *_cards("MODU", together)]
    numbers = ("CHISQ", "DOF", "PVALUE", "MISFIT")
    types = [("MODULE", "i4"), ("NPIXELS", "i4"), *((name, "f8") for name in numbers)]
    types += [(name, "f8", (len(bins.low),)) for name in ("COUNTS", "EXPECTED")]
    parts = np.zeros(len(modules), types)
    parts["MODULE"] = modules
    parts["NPIXELS"] = [(chosen & (module == number)).sum() for number in modules]
    for name, values in zip(numbers, each, strict=True):
        parts[name] = values
    parts["COUNTS"], parts["EXPECTED"] = of_modules.counts, of_modules.expected
    counts = {name: RESIDUAL_UNITS[name] for name in ("COUNTS", "EXPECTED")}
    return [
        table_hdu(whole, RESIDUAL_EXTENSION, UNITS, cards),
        table_hdu(parts, MODULE_EXTENSION, counts),
        *more,
    ]


def _cards(prefix: str, found: Discrepancy) -> list[tuple]:
    """Header cards of a discrepancy; none of a number that is not known."""
    named = zip(COMMENTS.items(), found, strict=True)
    return [
        (f"{prefix}_{key}", float(value), comment)
        for (key, comment), value in named
        if np.isfinite(value)
    ]


def adequacy_numbers(
    whole: Table,
    modules: Table,
    table: LineTable,
    catalogue: Sequence[Series],
    shape: LineShape,
    energies_keV: Sequence[float],
    channels: Table | None = None,
) -> dict:
    """What the extensions RESIDUALS and RESIDUALS_MODULES say, for validation.json.

    `channels` is RESIDUALS_CHANNELS; without it nothing is said of the widths of channels.

    Returns
    -------
    dict
        `n_pixels`; `chi_square`, `dof`, `pvalue` and `misfit` (relative) of the camera; the same of
        the `modules` together, how many there are, and those that deviate (`worst`);
        `channel_widths`, as `channels.product.widths_numbers` gives them;
        `regions` of energy that are off with their candidates in words, and how many there are
        (`n_regions`); the `candidates`, with what the energies (`energies_keV`) change by were they
        included, and the rows of a line table that would do so; `warnings`, sentences on what is
        significant and matters.
    """
    bins = Bins(*(np.asarray(whole[name]) for name in ("E_MIN", "E_MAX", "BLOCK")))
    camera, widths = as_residuals(whole), widths_numbers(channels)
    by_widths = np.asarray(whole[BY_WIDTHS]) if BY_WIDTHS in whole.colnames else None
    regions = find_regions(bins, camera, by_widths)
    named = candidates(regions, bins, camera, table, catalogue, shape, by_widths)
    likely = _by_significance(named)
    of_camera, of_modules = _from_header(whole.meta, "ADEQ"), _from_header(whole.meta, "MODU")
    limit = CHANCE / max(len(modules), 1)
    worst = [
        {
            "module": int(row["MODULE"]),
            "pvalue": float(row["PVALUE"]),
            "misfit": float(row["MISFIT"]),
        }
        for row in modules
        if row["PVALUE"] < limit
    ]
    worst.sort(key=lambda one: one["pvalue"])
    return {
        "n_pixels": int(whole.meta["ADEQ_N"]),
        **of_camera,
        "modules": {"n": len(modules), **of_modules, "worst": worst},
        "regions": [
            _numbers_of(*pair) for pair in zip(regions[:MOST_REGIONS], named, strict=False)
        ],
        "n_regions": len(regions),
        "candidates": [_candidate_numbers(candidate, energies_keV) for candidate in likely],
        "channel_widths": widths,
        "warnings": _warnings_of_widths(widths)
        + _warnings_of_camera(of_camera, regions, likely, energies_keV, widths)
        + _warnings_of_modules(of_modules, worst, widths),
    }


def _warnings_of_widths(widths: dict | None) -> list[str]:
    """A sentence where channels clearly differ in width, and by enough to matter."""
    relevant = widths and widths["unequal"] and widths["width"] > RELEVANT
    return [f"{widths_words(widths)}."] if relevant else []


def _by_significance(named: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Each candidate of all regions once, by significance."""
    # Of the same lines in several regions that of the most significant one.
    of_names = {candidate.name: candidate for ones in reversed(named) for candidate in ones}
    return sorted(of_names.values(), key=lambda candidate: -candidate.sigma)


def _candidate_numbers(candidate: Candidate, energies_keV: Sequence[float]) -> dict:
    numbers = {name: getattr(candidate, name) for name in ("name", "counts", "sigma")}
    change = {f"{energy:g}": change_keV(candidate, energy) for energy in energies_keV}
    return numbers | {"change_keV": change, "table_rows": list(candidate.table_rows)}


def change_keV(candidate: Candidate, energy: float) -> float:
    """What an energy (keV) changes by where the lines of a candidate are included."""
    return candidate.stretch * energy + candidate.shift_keV


def _from_header(header, prefix: str) -> dict:
    keys = zip(("chi_square", "dof", "pvalue", "misfit"), COMMENTS, strict=True)
    return {name: float(header.get(f"{prefix}_{key}", np.nan)) for name, key in keys}


def _numbers_of(region: Region, named: Sequence[Candidate]) -> dict:
    """A region as numbers, with its candidates in words."""
    numbers = {name: getattr(region, name) for name in Region._fields if "_keV" in name}
    numbers |= {name: getattr(region, name) for name in ("excess", "fraction", "sigma")}
    return numbers | {"candidates": [candidate.words for candidate in named]}


def _warnings_of_camera(of_camera, regions, likely, energies_keV, widths) -> list[str]:
    """A sentence where the camera is off significantly, and by what matters.

    Chi-square alone says nothing more where channels differ in width.
    """
    relevant = [region for region in regions if abs(region.fraction) > RELEVANT]
    if relevant:
        off = ", ".join(region_words(region) for region in relevant[:3])
        more = f" and {len(relevant) - 3} more" if len(relevant) > 3 else ""
        reason = _reason(likely, energies_keV)
        return [f"The model does not describe the spectra of all pixels: {off}{more}; {reason}."]
    unequal = widths and widths["unequal"]
    if not unequal and of_camera["pvalue"] < CHANCE and of_camera["misfit"] > RELEVANT:
        return [
            "The model does not describe the spectra of all pixels:"
            f" {_chi_square_words(of_camera)}, but no single region of energy is beyond chance."
        ]
    return []


def _reason(likely: Sequence[Candidate], energies_keV: Sequence[float]) -> str:
    """The likeliest candidates, and the largest change that the first with lines would make."""
    if not likely:
        return NONE_EXPLAINS
    reason = f"perhaps {', '.join(candidate.words for candidate in likely[:3])}"
    first = next((candidate for candidate in likely if candidate.table_rows), None)
    if first is None:
        return reason
    changes = [(energy, change_keV(first, energy)) for energy in energies_keV]
    energy, change = max(changes, key=lambda pair: abs(pair[1]))
    return (
        f"{reason}; with {first.name} in the line table an energy of {energy:g} keV would change"
        f" by about {1e3 * change:+.0f} eV"
    )


def _warnings_of_modules(of_modules, worst, widths) -> list[str]:
    """A sentence where modules deviate from the camera significantly, and by enough to matter."""
    if not (of_modules["pvalue"] < CHANCE and of_modules["misfit"] > RELEVANT):
        return []
    names = ", ".join(str(one["module"]) for one in worst[:5])
    more = f" and {len(worst) - 5} more" if len(worst) > 5 else ""
    which = f"; the worst: modules {names}{more}" if worst else ""
    reason = "Channels of unequal width, or another line shape, would do that"
    if widths:
        told = widths["modules"]["sigma"] > CLEAR_SIGMA
        reason = "Their channels differ in width" if told else "Another line shape would do that"
    return [
        "The spectra of modules differ from what the camera's model allows:"
        f" {_chi_square_words(of_modules)}{which}. {reason}."
    ]


def region_words(region: Region) -> str:
    """Where a region is, and by how much it is off."""
    middle = (region.low_keV + region.high_keV) / 2.0
    return f"{100 * region.fraction:+.1f} % at {middle:.1f} keV ({abs(region.sigma):.0f} sigma)"


def _chi_square_words(found: dict) -> str:
    return (
        f"chi-square {found['chi_square']:.0f} where {found['dof']:.0f} is expected, or"
        f" {100 * found['misfit']:.1f} % of the model beyond chance"
    )
