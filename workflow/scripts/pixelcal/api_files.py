"""The part of `pixelcal.api` that works on files of a run; import it from there.

A run of the workflow leaves a folder for each exposure. These functions fit pixels of it again, and
follow pixels over many epochs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.time import Time

from pixelcal.api_checks import camera_of, pixel_numbers, prior_relation
from pixelcal.camera import read_pixel_map
from pixelcal.energy.fit.columns import FIT_UNITS
from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.history.alarms import write_lines
from pixelcal.energy.history.assembly import assemble
from pixelcal.energy.history.epochs import read_epochs, utc
from pixelcal.energy.history.query import RelationAt, find_relation, row_of_pixel
from pixelcal.energy.history.tables import read_history
from pixelcal.energy.kinds import fit_by_kind, kinds_of, of_kind
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.relation_table import Relation
from pixelcal.energy.response.io import read_responses
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.io.resources import shipped_or_given
from pixelcal.io.schema_defaults import filled
from pixelcal.io.tables import has_extension, read_columns, with_units, write_fits
from pixelcal.workflow.schema_errors import check_schema


def _limits(default: float) -> dict:
    """Schema of a number above 0."""
    return {"type": "number", "exclusiveMinimum": 0, "default": default}


def _keys(**properties: dict) -> dict:
    """Schema of keys with values."""
    return {
        "type": "object",
        "additionalProperties": False,
        "default": {},
        "properties": properties,
    }


HISTORY_SCHEMA = _keys(
    false_alarms=_limits(0.1) | {"maximum": 100},
    alarms=_keys(camera_keV=_limits(0.05), module_keV=_limits(0.1), pixel_keV=_limits(0.3)),
    publication=_keys(
        requirement_fraction=_limits(0.5) | {"maximum": 10},
        pixels={"type": "integer", "minimum": 1, "default": 1},
    ),
)
"""As in the schema of the configuration, which the library does not have; a test compares them."""

HISTORY_SETTINGS = filled({}, HISTORY_SCHEMA, HISTORY_SCHEMA)
"""What `write_history` does without settings."""

PIXEL_COLUMNS = {
    "GAIN": "gain", "OFFSET": "offset", "GAIN_ERR": "gain_err", "OFFSET_ERR": "offset_err",
    "BEST_GAIN": "best_gain", "BEST_OFFSET": "best_offset", "BEST_GAIN_ERR": "best_gain_err",
    "BEST_OFFSET_ERR": "best_offset_err", "STATUS": "status", "JUMP": "jump",
}  # fmt: skip
"""Columns of history.fits and their names in `pixel_history`."""


def refit_pixels(
    folder: str | Path,
    pixel,
    *,
    gain=None,
    offset=None,
    instrument: Instrument | str = "eclairs",
    min_counts: int = 200,
    pvalue_limit: float = 1e-4,
) -> Relation:
    """Fit pixels of an exposure again, with the spectra and the response in its folder.

    With the settings of the run, the numbers are those of `relation.fits`. What the merge adds is
    missing: outliers against the neighbours, systematic uncertainties, X and Y.

    Parameters
    ----------
    folder : path
        Of the exposure, with spectra.fits, response.fits and lines.csv of the joint fit.
    pixel : int or (n,) int
        Numbers of pixels, DETNUM.
    gain, offset : float or (n,) float, optional, keV/channel and keV
        The prior relation; by default the nominal one of the instrument.
    instrument : Instrument, name or path
        The camera of the run.
    min_counts, pvalue_limit
        As for `calibrate_spectra`.

    Returns
    -------
    Relation of the n pixels, in the order asked for

    Raises
    ------
    InputError
        Where a file is missing or damaged, or a pixel or its prior relation cannot be.

    Examples
    --------
    >>> again = refit_pixels("results/eclairs/3ks", 42, min_counts=100)  # doctest: +SKIP
    >>> again.gain, again.gain_err  # doctest: +SKIP
    (array([0.14517]), array([9.8e-05]))
    """
    camera = camera_of(instrument)
    folder, pixel = Path(folder), pixel_numbers(pixel, "refit_pixels")
    gain = camera.gain_keV if gain is None else gain
    offset = camera.offset_keV if offset is None else offset
    gain, offset = prior_relation(gain, offset, len(pixel), camera, "refit_pixels")
    table = read_line_table(folder / "lines.csv")
    responses = read_responses(folder / "response.fits", table)
    counts, halves, kinds = _spectra_of(folder / "spectra.fits", pixel)
    judged = camera.requirement.energies_keV
    options = JointOptions(min_counts, pvalue_limit, camera.search, judged)

    def fit(kind, rows):
        half = None if halves is None else halves[rows]
        data = counts[rows], pixel[rows], gain[rows], offset[rows]
        return fit_pixels(*data, table, of_kind(responses, kind), options, half)

    return Relation(with_units(fit_by_kind(kinds, fit), FIT_UNITS))


def _spectra_of(path: Path, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Counts (n, n_channels) of pixels (n,), those of the first half if known, and kinds (n,)."""
    spectra = read_columns(path, "SPECTRA")
    known = np.asarray(spectra["DETNUM"], int)
    missing = pixel[~np.isin(pixel, known)]
    if len(missing):
        raise InputError(
            f"refit_pixels: pixel {missing[0]} is not in {path}; it has {len(known)} pixels from"
            f" {known.min()} to {known.max()}"
        )
    place = np.array([np.flatnonzero(known == number)[0] for number in pixel])
    halves = None
    if has_extension(path, "FIRST_HALF"):
        halves = np.asarray(read_columns(path, "FIRST_HALF")["COUNTS"])[place]
    return np.asarray(spectra["COUNTS"])[place], halves, kinds_of(spectra)[place]


def write_history(
    path: str | Path,
    relations: Iterable[str | Path],
    *,
    settings: Mapping | None = None,
    instrument: Instrument | str = "eclairs",
) -> list[str]:
    """The history of a camera from its relations at many epochs, as `snakemake history` makes it.

    Parameters
    ----------
    path : path
        history.fits, which is written.
    relations : iterable of paths
        relation.fits of each epoch, in any order.
    settings : dict, optional
        Keys of `history` in the configuration that differ from their defaults: false_alarms,
        alarms, publication.
    instrument : Instrument, name or path

    Returns
    -------
    list of str
        The alarms, as lines of alarms.txt, the most serious first.

    Raises
    ------
    InputError
        Where a file or a setting cannot be used, or epochs overlap.

    Examples
    --------
    >>> alarms = write_history("history.fits", ["week11/relation.fits",
    ...     "week12/relation.fits"])  # doctest: +SKIP
    """
    camera = camera_of(instrument)
    chosen = _history_settings(settings)
    epochs = read_epochs(_paths(relations), camera)
    pixel_map = read_pixel_map(shipped_or_given(camera.pixel_map))
    found = assemble(epochs, camera, pixel_map, chosen, "write_history")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_fits(path, found.hdus)
    return write_lines(found.alarms).splitlines()


def _paths(relations) -> list[str | Path]:
    """The paths that were given; a single one would be taken for its letters."""
    if isinstance(relations, Iterable) and not isinstance(relations, str | Path | Mapping):
        paths = list(relations)
        if all(isinstance(path, str | Path) for path in paths):
            return paths
    raise InputError("write_history: relations must be a list of paths of relation.fits files")


def _history_settings(settings: Mapping | None) -> dict:
    """The settings of a history with their defaults, checked as the configuration checks them."""
    where = "write_history: settings"
    try:  # plain numbers for the schema, which does not know those of numpy
        text = json.dumps(settings or {}, allow_nan=False, default=lambda value: value.item())
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            f"{where} must be keys with finite numbers, as `history` in the configuration"
        ) from None
    given = json.loads(text)
    try:
        check_schema(given, HISTORY_SCHEMA)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return filled(given, HISTORY_SCHEMA, HISTORY_SCHEMA)


def pixel_history(history: str | Path, pixel: int) -> Table:
    """A pixel at every epoch: the single fits, and the best relation from all epochs together.

    Parameters
    ----------
    history : path
        history.fits, of `snakemake history` or of `write_history`.
    pixel : int
        DETNUM.

    Returns
    -------
    astropy Table, a row for each epoch, by rising time
        epoch; time (UTC, the middle); gain, offset, gain_err, offset_err and status of the single
        fit, NaN without a valid one; best_gain, best_offset, best_gain_err and best_offset_err;
        jump (bits: 1 pixel, 2 module, 4 camera, 8 a wild epoch). Gains are in keV/channel, offsets
        in keV.

    Raises
    ------
    InputError
        Where the file is no history, or lacks the pixel.

    Examples
    --------
    >>> table = pixel_history("results/history/history.fits", 1234)  # doctest: +SKIP
    >>> table["time", "best_gain", "best_gain_err", "jump"]  # doctest: +SKIP
    """
    tables = read_history(history)
    try:
        row = row_of_pixel(tables, pixel)
    except InputError as error:
        raise InputError(f"{history}: {error}") from None
    epochs = tables.epochs
    middle = 0.5 * (np.asarray(epochs["TSTART"]) + np.asarray(epochs["TSTOP"]))
    found = Table({"epoch": [str(name) for name in epochs["NAME"]]})
    found["time"] = Time([utc(seconds) for seconds in middle], scale="utc")
    for column, name in PIXEL_COLUMNS.items():
        found[name] = tables.column(column)[row]
        found[name].unit = tables.rows[column].unit
    return found


def relation_at(history: str | Path, detnum: int, date) -> RelationAt:
    """The best relation of a pixel on a date, its errors, and the calibration file in force.

    Parameters
    ----------
    history : path
        history.fits, as `snakemake history` makes it.
    detnum : int
    date : str, date, datetime, astropy Time or numpy datetime64
        UTC; a text as "2025-03-20" or "2025-03-20T12:00:00".

    Returns
    -------
    RelationAt

    Raises
    ------
    InputError
        Where the file is no history, lacks the pixel, or begins after the date.

    Examples
    --------
    >>> found = relation_at("results/history/history.fits", 1234, "2025-03-20")  # doctest: +SKIP
    >>> found.gain, found.gain_err, found.published  # doctest: +SKIP
    (0.14512, 3.1e-05, 'AUX-ECL-PIX-CAL-20250317')
    """
    return find_relation(read_history(history), detnum, date)
