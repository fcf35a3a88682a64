"""Checks of the relations of a history, which may be files of other runs, or of other people."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from pixelcal.energy.units import relation_in_keV
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.status import has_valid_fit

BEYOND = 2.0
"""How far a fitted relation may lie beyond what is allowed for a prior one, a factor."""
OF_ERRORS = 1e-3
"""By how much a covariance may exceed the product of the errors, as numbers are rounded."""

LOGGER = logging.getLogger(__name__)


def check_relations(columns: Mapping, header, path: str, instrument: Instrument) -> None:
    """Raise InputError where relations are in other units, or ones that no pixel has.

    `columns` as `read_epochs` takes them; `header` of their table.
    """
    names = {header.get(f"TTYPE{n}"): n for n in range(1, header.get("TFIELDS", 0) + 1)}
    texts = tuple(header.get(f"TUNIT{names.get(name)}") for name in ("GAIN", "OFFSET"))
    one = relation_in_keV(np.ones(1), np.ones(1), texts, f"history: {path}")
    if not np.allclose(one, 1.0, rtol=1e-9):
        raise InputError(
            f"history: {path}: GAIN is in '{texts[0]}' and OFFSET in '{texts[1]}', but its errors"
            " belong to keV/chan and keV; give the relation.fits of the run"
        )
    valid = has_valid_fit(columns["STATUS"])
    least, most = instrument.gain_range_keV
    furthest = BEYOND * max(map(abs, instrument.offset_range_keV))
    for name, low, high in (
        ("GAIN", least / BEYOND, most * BEYOND),
        ("OFFSET", -furthest, furthest),
    ):
        values = columns[name]
        wrong = valid & np.isfinite(values) & ~((values >= low) & (values <= high))
        if wrong.any():
            raise InputError(
                f"history: {path}: pixel {columns['DETNUM'][wrong][0]} has {name}"
                f" {values[wrong][0]:g}, which no pixel of {instrument.title} has ({low:g} to"
                f" {high:g}, in keV); obtain a fresh copy"
            )


def without_impossible(columns: dict[str, np.ndarray], path: str) -> dict[str, np.ndarray]:
    """The columns with NaN as the gain of pixels that are called valid but have no usable values.

    Their relation is not finite, an error is not above 0, or the covariance exceeds the product of
    the errors. A warning counts them.
    """
    errors = columns["GAIN_ERR"], columns["OFFSET_ERR"]
    with np.errstate(invalid="ignore"):
        possible = np.isfinite(columns["GAIN"]) & np.isfinite(columns["OFFSET"])
        possible &= (errors[0] > 0) & (errors[1] > 0)
        limit = (1 + OF_ERRORS) * errors[0] * errors[1]
        possible &= np.abs(columns["GAIN_OFFSET_COV"]) <= limit
    lost = has_valid_fit(columns["STATUS"]) & ~possible
    if not lost.any():
        return columns
    LOGGER.warning(
        "history: %s: %d pixels with a valid fit by their STATUS have values or errors that no fit"
        " gives, the first is DETNUM %d; they are left out",
        path, lost.sum(), columns["DETNUM"][lost][0],
    )  # fmt: skip
    return columns | {"GAIN": np.where(lost, np.nan, columns["GAIN"])}


def check_different(paths: Sequence[str], tables: Mapping[str, Mapping]) -> None:
    """Raise InputError where two files hold the same relations, though their dates differ."""
    seen: dict[bytes, str] = {}
    for path in paths:
        columns = tables[path]
        valid = has_valid_fit(columns["STATUS"]) & np.isfinite(columns["GAIN"])
        if not valid.any():
            continue
        content = [np.ascontiguousarray(columns[name][valid]) for name in ("GAIN", "OFFSET")]
        digest = hashlib.sha256(b"".join(part.tobytes() for part in content)).digest()
        if digest in seen:
            raise InputError(
                f"history: {seen[digest]} and {path} hold the same relations, though their dates"
                " differ; name one of them"
            )
        seen[digest] = path
