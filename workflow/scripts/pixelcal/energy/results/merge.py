"""The fits of all chunks as one relation: the full product with its header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.lib import recfunctions

from pixelcal.camera import rows_of
from pixelcal.energy.fit.columns import FIT_UNITS
from pixelcal.energy.relation import relation_columns
from pixelcal.energy.requirement import inner_energies_keV
from pixelcal.energy.results.outliers import (
    MOST_DRIFT_KEV,
    camera_drift,
    drifts_as_the_camera,
    find_bent,
    find_outliers,
    find_second_states,
    find_unsteady,
    find_wide,
    second_matters,
)
from pixelcal.instrument import UNKNOWN, Requirement
from pixelcal.io.merge import placed_rows
from pixelcal.io.provenance import carried_cards, provenance_cards
from pixelcal.io.tables import table_hdu
from pixelcal.status import EnergyStatus, bit_comments, blank_invalid, has_valid_fit

RELATION_EXTENSION = "RELATION"
RELATION_UNITS = {"X": "pixel", "Y": "pixel", **FIT_UNITS}

IN_KEV = "SYS_", "CURVE_"
"""How the names of columns begin that are appended to those of the fits, all in keV."""

CARRIED = ("EXPNAME", "EXPOSURE", "ONTIME", "MULTIPLI", "LAYOUT")
"""Keywords of the spectra that their relation repeats."""


def complete_status(
    rows: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    bad: np.ndarray,
    requirement: Requirement,
    module: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of the fits (n,) with masked pixels, outliers, and NaN without a valid fit.

    Parameters
    ----------
    rows : (n,) structured array of FIT_DTYPE
    x, y : (n,) int
        Position of each pixel.
    bad : (m,) int
        DETNUM of the pixels that the user leaves out: they get STATUS bit 1 and no values, and are
        no neighbours to compare with.
    requirement : Requirement
        With the energies at which pixels are compared.
    module : (n,) int, optional
        Module of each pixel.
    """
    rows = rows.copy()
    rows["STATUS"][np.isin(rows["DETNUM"], bad)] |= EnergyStatus.MASKED
    blank_invalid(rows, ("GAIN", "OFFSET"))
    as_all = drifts_as_the_camera(rows["DRIFT"])
    rows["STATUS"] &= np.where(as_all, ~int(EnergyStatus.CHANGED), -1).astype(np.int32)
    if abs(camera_drift(rows["DRIFT"])) >= MOST_DRIFT_KEV:
        rows["STATUS"][has_valid_fit(rows["STATUS"])] |= int(EnergyStatus.CHANGED)
    judged = inner_energies_keV(requirement)
    second = find_second_states(*(rows[name] for name in ("SECOND_SIGMA", "TAIL", "TAIL_ERR")))
    second &= second_matters(rows, judged)
    at_once = rows["SECOND_PART"] == 0
    for unlike, bit in (
        (
            find_outliers(x, y, *relation_columns(rows), judged_keV=judged, module=module),
            EnergyStatus.OUTLIER,
        ),
        (find_wide(rows["WIDTH_RATIO"], rows["WIDTH_RATIO_ERR"]), EnergyStatus.WIDTH),
        (find_bent(rows["BEND"], rows["BEND_ERR"]), EnergyStatus.POOR_FIT),
        (second & at_once, EnergyStatus.WIDTH),
        (second & ~at_once, EnergyStatus.CHANGED),
        (find_unsteady(rows["FIRST_FRACTION"], rows["COUNTS"]), EnergyStatus.CHANGED),
    ):
        rows["STATUS"] |= np.where(unlike, int(bit), 0).astype(np.int32)
    return rows


def position_of(detnum: np.ndarray, pixel_map) -> tuple[np.ndarray, np.ndarray]:
    """X and Y (n,) of the pixels `detnum` (n,) from the pixel map."""
    found = rows_of(detnum, pixel_map)
    return np.asarray(pixel_map["X"])[found], np.asarray(pixel_map["Y"])[found]


def relation_cards(
    rows: np.ndarray,
    spectra: fits.Header,
    settings: Mapping,
    *,
    line_table: str | Path,
    response: str | Path | None = None,
    bad_pixels: str | Path | None = None,
    code: str | None = None,
) -> list[tuple]:
    """Header that both products of a relation have: telescope, exposure, where it comes from.

    Parameters
    ----------
    rows : (n,) structured array
        As `complete_status` gives it.
    spectra : header of the spectra
        TELESCOP and INSTRUME are those of the spectra where they have them.
    settings : all that the relation depends on
    line_table, response, bad_pixels : paths
    code : hash of the code behind the relation, if known

    The last card counts the valid fits.
    """
    cards = [
        ("TELESCOP", spectra.get("TELESCOP", UNKNOWN), "mission"),
        ("INSTRUME", spectra.get("INSTRUME", UNKNOWN), "instrument"),
        ("ORIGIN", "pixelcal", "who made this file"),
        *((card.keyword, card.value, card.comment) for card in spectra.cards
          if card.keyword in CARRIED),
        *provenance_cards(
            "merge_relation",
            line_table=line_table,
            response=response,
            bad_pixels=bad_pixels,
            settings=settings,
            code=code,
        ),
        *carried_cards(spectra),
        ("HISTORY", f"relations of {len(rows)} pixels"),
    ]  # fmt: skip
    if bad_pixels:
        n_masked = int(((rows["STATUS"] & EnergyStatus.MASKED) != 0).sum())
        cards.append(("HISTORY", f"{n_masked} pixels masked by {Path(bad_pixels).name}"))
    drift = camera_drift(rows["DRIFT"])
    if drift:
        cards.append(("CAMDRIFT", drift, "[keV] first half minus second, a typical pixel"))
    n_valid = int(has_valid_fit(rows["STATUS"]).sum())
    text = f"{n_valid} pixels with a valid fit, {len(rows) - n_valid} without"
    return [*cards, ("HISTORY", text)]


def relation_hdu(
    rows: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    cards: list[tuple],
    kinds: np.ndarray | None = None,
) -> fits.BinTableHDU:
    """Extension RELATION: X and Y (n,) after DETNUM, then the columns of the fits (n,).

    KIND (n,) is the last column where the camera has kinds of pixels.
    """
    placed = placed_rows(rows, x.astype(np.int16), y.astype(np.int16))
    if kinds is not None:
        text = np.char.encode(kinds, "ascii")
        placed = recfunctions.append_fields(placed, "KIND", text, usemask=False)
    units = {name: unit for name, unit in RELATION_UNITS.items() if name in placed.dtype.names}
    units |= {name: "keV" for name in placed.dtype.names if name.startswith(IN_KEV)}
    return table_hdu(placed, RELATION_EXTENSION, units, [*cards, *status_comments()])


def status_comments() -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean."""
    without = "GAIN and OFFSET are NaN with bit 1, 2 or 4: no valid fit."
    return bit_comments(EnergyStatus, without)
