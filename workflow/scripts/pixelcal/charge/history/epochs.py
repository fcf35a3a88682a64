"""The gains of a camera at many dates: tables of fits, read into arrays and checked to be alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelcal.charge.extraction.io import lab_values
from pixelcal.charge.runs.dates import mjd_of, utc_of_mjd
from pixelcal.charge.runs.pixel_columns import check_numbers, unique_numbers
from pixelcal.charge.spe.columns import SHARED, SPE_EXTENSION
from pixelcal.errors import InputError
from pixelcal.io.provenance import file_sha256
from pixelcal.io.tables import read_columns
from pixelcal.status import ChargeStatus, has_valid_fit

LOGGER = logging.getLogger("pixelcal")

VALUES = ("PE", "OPCT", "DARK")
"""Quantities of a pixel, each with its error; EPED, of the darkest run, is one more."""

ALIKE = {
    "UNITSAMP": "units of a sample",
    "WINDOW": "windows",
    "BASELINE": "baselines",
    "NBASE": "samples of the baseline",
}
"""Cards that the sets of a history have in common: gains of others cannot be compared."""

RELATION = "RELATION"
"""Extension of a relation of channels to energies, which belongs to another history."""

LARGEST_CORRELATION = 0.99


@dataclass(frozen=True)
class Epochs:
    """Fits of n pixels at t epochs, by rising time; an epoch is one set of runs.

    Attributes
    ----------
    names, files, checksums : t str each
        Of the set (its run), of the file, and its SHA-256.
    start, stop : (t,) float, MJD (UTC)
        Dates of the first and the last run of the set.
    lab : dict
        Means (t,) over the runs of a set of the further columns of table.csv, by name; NaN where a
        set has no such column.
    pixel : (n,) int, rising
    place : (2, n) float, m
        X and Y, of the last set that has the pixel.
    values, errors : dict
        (n, t) float of `VALUES` and EPED, by name; NaN without a valid fit.
    covariance : (n, t) float
        Of PE and OPCT.
    status : (n, t) int
        MASKED for a pixel that is not in the set.
    unit : str
        Of a charge.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    checksums: tuple[str, ...]
    start: np.ndarray
    stop: np.ndarray
    lab: Mapping[str, np.ndarray]
    pixel: np.ndarray
    place: np.ndarray
    values: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    covariance: np.ndarray
    status: np.ndarray
    unit: str

    def __len__(self) -> int:
        return len(self.names)

    @property
    def middle(self) -> np.ndarray:
        """Middle (t,) of each epoch, MJD (UTC)."""
        return 0.5 * (self.start + self.stop)

    @property
    def days(self) -> np.ndarray:
        """Days (t,) from the middle of the epoch before to that of each; 0 for the first."""
        return np.diff(self.middle, prepend=self.middle[:1])


def read_epochs(paths: Sequence[str | Path]) -> Epochs:
    """The sets in files (`spe.fits`), sorted by date.

    Raises
    ------
    InputError
        One line, where there is no file, one is none of these, one has no date, two are of the same
        time, or charges were made in different ways.
    """
    if not paths:
        raise InputError(
            "sstcam.history: has no set of runs; name sstcam.history.files, or sstcam.spe.folder"
        )
    sets = [_read_set(str(path)) for path in paths]
    sets.sort(key=lambda one: (one["span"], one["path"]))
    for before, after in zip(sets, sets[1:], strict=False):
        if after["span"][0] <= before["span"][1]:
            raise InputError(
                f"sstcam.history: {before['path']} and {after['path']} are of the same time"
                f" ({utc_of_mjd(after['span'][0])}); name one of them, or correct the dates in"
                " table.csv"
            )
        _check_alike(sets[0], after)
    _check_different(sets)
    return _stacked(sets)


def _check_different(sets: Sequence[dict]) -> None:
    """Raise InputError where two sets hold the same fits, though their dates differ."""
    seen: dict[bytes, str] = {}
    for one in sets:
        table = one["table"]
        valid = has_valid_fit(np.asarray(table["STATUS"]))
        content = np.ascontiguousarray(np.asarray(table["PE"], float)[valid]).tobytes()
        if content and content in seen:
            raise InputError(
                f"sstcam.history: {seen[content]} and {one['path']} hold the same fits, though"
                " their dates differ; name one of them"
            )
        seen[content] = one["path"]


def _read_set(path: str) -> dict:
    """Table, header, span and path of one file."""
    try:
        table = read_columns(path, SPE_EXTENSION)
    except InputError as error:
        if RELATION in str(error).partition("it has")[2]:
            raise InputError(
                f"sstcam.history.files: {path} is a relation of channels to energies; name spe.fits"
                " files here, and relations in history.files (snakemake history)"
            ) from None
        raise
    header = table.meta
    lacking = {"PIXEL", "STATUS", "COVARIANCE", "X", "Y", *VALUES} - {*table.colnames}
    if lacking:
        raise InputError(f"{path}: lacks the column(s) {', '.join(sorted(lacking))}")
    where = f"sstcam.history: {path}"
    check_numbers(np.asarray(table["PIXEL"], float), where, "PIXEL")
    unique_numbers(np.asarray(table["PIXEL"]), where, "PIXEL")
    _leave_out_impossible(table, where)
    if "DATE-OBS" not in header:
        raise InputError(
            f"{path}: does not say when its runs were taken; write a column date (UTC, as"
            " 2026-03-01T12:00:00) in the table.csv of its runs, and make it again"
        )
    try:
        dates = header["DATE-OBS"], header.get("DATE-END", header["DATE-OBS"])
        span = mjd_of(str(dates[0])), mjd_of(str(dates[1]))
    except ValueError:
        raise InputError(f"{path}: DATE-OBS {header['DATE-OBS']!r} is no date (UTC)") from None
    if span[1] < span[0]:
        raise InputError(f"{path}: DATE-END {dates[1]} is before DATE-OBS {dates[0]}; correct them")
    return {"path": path, "table": table, "header": header, "span": span}


def _leave_out_impossible(table, where: str) -> None:
    """Without a valid fit are pixels of a set whose gain or its error is not above 0; told."""
    valid = has_valid_fit(np.asarray(table["STATUS"]))
    values = (np.asarray(table[name], float) for name in ("PE", "PE_ERR"))
    with np.errstate(invalid="ignore"):
        lost = valid & ~np.all([np.isfinite(each) & (each > 0) for each in values], axis=0)
    if lost.any():
        LOGGER.warning(
            "%s: %d pixels with a valid fit by their STATUS have a gain or an error that no fit"
            " gives, the first is pixel %d; they are left out",
            where, lost.sum(), table["PIXEL"][lost][0],
        )  # fmt: skip
        table["STATUS"][lost] |= int(ChargeStatus.NOT_CONVERGED)


def _check_alike(first: dict, other: dict) -> None:
    """Raise InputError where the charges of two sets were made in different ways."""
    for key, what in ALIKE.items():
        given = [one["header"].get(key) for one in (first, other)]
        if given[0] != given[1]:
            raise InputError(
                f"sstcam.history: {first['path']} and {other['path']} have different {what}"
                f" ({given[0]}, {given[1]}); their gains are not comparable, take sets of one kind"
            )


def check_on_map(epochs: Epochs, n_pixels: int) -> None:
    """Raise InputError where a set has a pixel that the map of the camera does not have."""
    if epochs.pixel.max(initial=0) >= n_pixels:
        raise InputError(
            f"sstcam.history: a set has pixel {epochs.pixel.max()}, but the map of the camera has"
            f" the pixels 0 to {n_pixels - 1}; name its map in sstcam.pixel_map"
        )


def name_of_set(path: str) -> str:
    """The run in results/[RUN/]sstcam/spe/spe.fits, or the folder of the file."""
    parts = Path(path).parts
    if parts[-3:-1] == ("sstcam", "spe") and len(parts) > 3:
        return parts[-4]
    return Path(path).parent.name or Path(path).stem


def _stacked(sets: Sequence[dict]) -> Epochs:
    """Arrays of all epochs, over all pixels that any of them has."""
    pixel = np.unique(np.concatenate([np.asarray(one["table"]["PIXEL"], int) for one in sets]))
    shape = (len(pixel), len(sets))
    names = (*VALUES, "EPED")
    values = {name: np.full(shape, np.nan) for name in names}
    errors = {name: np.full(shape, np.nan) for name in names}
    covariance = np.full(shape, np.nan)
    status = np.full(shape, int(ChargeStatus.MASKED), np.int32)
    place = np.full((2, len(pixel)), np.nan)
    pair = SHARED.index("PE"), SHARED.index("OPCT")
    for number, one in enumerate(sets):
        table = one["table"]
        row = np.searchsorted(pixel, np.asarray(table["PIXEL"], int))
        status[row, number] = table["STATUS"]
        valid = has_valid_fit(np.asarray(table["STATUS"]))
        for name in names:
            for into, column in ((values, name), (errors, f"{name}_ERR")):
                found = np.asarray(table[column], float).reshape(len(table), -1)[:, 0]
                into[name][row, number] = np.where(valid, found, np.nan)
        covariance[row, number] = np.asarray(table["COVARIANCE"], float)[:, pair[0], pair[1]]
        place[:, row] = [table["X"], table["Y"]]
    limit = LARGEST_CORRELATION * errors["PE"] * errors["OPCT"]
    labs = [lab_values(one["header"]) for one in sets]
    lab_names = dict.fromkeys(name for lab in labs for name in lab)
    spans = np.array([one["span"] for one in sets])
    return Epochs(
        names=tuple(name_of_set(one["path"]) for one in sets),
        files=tuple(one["path"] for one in sets),
        checksums=tuple(file_sha256(one["path"]) for one in sets),
        start=spans[:, 0],
        stop=spans[:, 1],
        lab={name: np.array([lab.get(name, np.nan) for lab in labs], float) for name in lab_names},
        pixel=pixel,
        place=place,
        values=values,
        errors=errors,
        covariance=np.clip(covariance, -limit, limit),
        status=status,
        unit=str(sets[0]["header"].get("UNITSAMP", "adu")),
    )
