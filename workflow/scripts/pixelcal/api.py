"""What a notebook or a script imports: one call for each thing that a physicist wants.

>>> from pixelcal.api import calibrate_spectra, read_relation

Nothing in the package imports this module. Energies are in keV, gains in keV/channel, times in s,
charges in the unit of the input (adu). Errors are statistical standard deviations. A mistake in the
input is a `pixelcal.errors.InputError` with one line that says what to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table

from pixelcal.api_checks import (
    camera_of,
    checked_limits,
    checked_options,
    checked_response,
    pixel_numbers,
    plain_array,
    prior_relation,
)
from pixelcal.api_files import (
    pixel_history,
    refit_pixels,
    relation_at,
    write_history,
)
from pixelcal.api_relations import read_relation, write_relation
from pixelcal.charge.resolution.requirement import required_resolution
from pixelcal.charge.spe import columns as spe_columns
from pixelcal.charge.spe.dark_run.rows import fit_pixels_with_dark_runs
from pixelcal.charge.spe.given_charges import checked_dark, checked_pixels, checked_runs
from pixelcal.charge.spe.noise.learn import learn_camera_noise
from pixelcal.charge.spe.spectra import columns_of, spectra_of_charges
from pixelcal.energy import lines as line_tables
from pixelcal.energy.events.good_times import read_good_time
from pixelcal.energy.fit.columns import FIT_UNITS
from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation_table import Relation
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.energy.response.model import Response
from pixelcal.energy.simulation.spectra import expected_spectrum, make_camera
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.io.resources import RESOURCES, shipped_or_given
from pixelcal.io.tables import with_units

__all__ = [
    "Relation",
    "calibrate_spectra",
    "expected_spectrum",
    "fit_spe_charges",
    "learn_response",
    "make_camera",
    "pixel_history",
    "read_good_times",
    "read_line_table",
    "read_relation",
    "refit_pixels",
    "relation_at",
    "required_charge_resolution",
    "write_history",
    "write_relation",
]


# --- energies -------------------------------------------------------------------------------------


def calibrate_spectra(
    counts,
    gain,
    offset,
    lines: LineTable | str | Path | None = None,
    *,
    instrument: Instrument | str = "eclairs",
    pixel=None,
    response: Response | str | Path | None = None,
    min_counts: int = 200,
    pvalue_limit: float = 1e-4,
) -> Relation:
    """Gain and offset of pixels from the lines in their spectra, by the joint fit.

    What the pixels share is learnt from all of them together: give as many as there are.

    Parameters
    ----------
    counts : (n_pixels, n_channels) int
        Spectra, with all channels of the instrument.
    gain, offset : float or (n_pixels,) float, keV/channel and keV
        The prior relation, with any unit; how far around it is searched, the instrument says.
    lines : LineTable, name or path, optional
        As for `read_line_table`; by default that of the instrument.
    instrument : Instrument, name or path
    pixel : (n_pixels,) int, optional
        Their numbers; 0, 1, 2 and so on by default.
    response : Response or path, optional
        One that was learnt before with the same line table, for one kind of pixels.
    min_counts : int
        A pixel with fewer counts in the blocks of lines has no valid fit.
    pvalue_limit : float
        A smaller p-value sets the STATUS bit of a poor fit.

    Returns
    -------
    Relation, without outliers against neighbours marked

    Raises
    ------
    InputError
        Where shapes or channels do not fit, no pixel has such a prior relation or number, the line
        table is not in order, or the response was learnt with another one.

    Examples
    --------
    >>> camera = make_camera(64, seconds=10_000, seed=1)
    >>> relation = calibrate_spectra(camera.counts, gain=0.145, offset=3.0)
    >>> float(abs(relation.gain / camera.gain_true - 1).max()) < 0.02
    True
    """
    camera, table = _camera_and_lines(instrument, lines)
    counts, gain, offset, detnum = _checked_spectra(counts, gain, offset, pixel, camera)
    limits = checked_limits(min_counts, pvalue_limit)
    options = JointOptions(*limits, camera.search, camera.requirement.energies_keV)
    if response is None:
        response = _learnt(counts, gain, offset, table, camera, min_counts)
    response = checked_response(response, table)
    rows = fit_pixels(counts, detnum, gain, offset, table, response, options)
    return Relation(with_units(rows, FIT_UNITS))


def learn_response(
    counts,
    gain,
    offset,
    lines: LineTable | str | Path | None = None,
    *,
    instrument: Instrument | str = "eclairs",
    min_counts: int = 200,
) -> Response:
    """What the pixels of a camera share: the line shape, the continua and the population prior.

    `calibrate_spectra` calls it. Called alone, it serves to fit single pixels or other data.

    Parameters
    ----------
    counts, gain, offset, lines, instrument, min_counts
        As for `calibrate_spectra`.

    Returns
    -------
    Response
        For the keyword `response` of `calibrate_spectra`, with the same line table.

    """
    camera, table = _camera_and_lines(instrument, lines)
    counts, gain, offset, _ = _checked_spectra(counts, gain, offset, None, camera)
    checked_limits(min_counts)
    return _learnt(counts, gain, offset, table, camera, min_counts)


def _learnt(counts, gain, offset, table, camera, min_counts) -> Response:
    """The response that the spectra of a camera teach."""
    known = {"expected": expected_shape(camera), "search": camera.search}
    learnt = learn_camera(counts, gain, offset, table, min_counts, **known)
    return replace(learnt, table=table)


def _camera_and_lines(instrument, lines) -> tuple[Instrument, LineTable]:
    """The instrument, and the line table or that of the instrument."""
    camera = camera_of(instrument)
    chosen = shipped_or_given(camera.lines) if lines is None else lines
    return camera, chosen if isinstance(chosen, LineTable) else read_line_table(chosen)


def _checked_spectra(counts, gain, offset, pixel, camera) -> tuple[np.ndarray, ...]:
    """Counts (n, n_channels), gains, offsets and pixel numbers (n,); InputError where not so."""
    counts = plain_array(counts, "calibrate_spectra: counts")
    if counts.ndim != 2 or counts.dtype.kind not in "iu" or counts.min(initial=0) < 0:
        raise InputError(
            "calibrate_spectra: counts must be whole numbers from 0 on, of the shape (n_pixels,"
            f" n_channels), and are {counts.dtype} {counts.shape}"
        )
    if not counts.size:
        raise InputError("calibrate_spectra: counts has no pixel; give one at least")
    if counts.shape[1] != camera.n_channels:
        raise InputError(
            f"calibrate_spectra: counts has {counts.shape[1]} channels, and {camera.title} has"
            f" {camera.n_channels}; give spectra (n_pixels, n_channels) of all of them from channel"
            " 0 on, or an instrument with as many"
        )
    if counts.max() > np.iinfo(np.int32).max:
        raise InputError("calibrate_spectra: counts has more than 2^31 in a channel; give fewer")
    detnum = np.arange(len(counts))
    if pixel is not None:
        detnum = pixel_numbers(pixel, "calibrate_spectra")
        if len(detnum) != len(counts):
            raise InputError(
                "calibrate_spectra: pixel must have one number for each of the"
                f" {len(counts)} pixels"
            )
        if detnum.max() >= camera.n_pixels:
            raise InputError(
                f"calibrate_spectra: pixel {detnum.max()} is not one of {camera.title}, which has 0"
                f" to {camera.n_pixels - 1}; give the instrument that it is of"
            )
    gain, offset = prior_relation(gain, offset, len(counts), camera, "calibrate_spectra")
    return counts, gain, offset, detnum


def read_line_table(name_or_path: str | Path = "all_blocks") -> LineTable:
    """A line table: one that pixelcal brings, by its name, or any CSV file.

    Parameters
    ----------
    name_or_path : str or path
        "all_blocks", "strongest", "ba133", ... (docs/line-tables.md), or a path.

    Returns
    -------
    LineTable

    Raises
    ------
    InputError
        With file, row and reason, where the table is missing or malformed.

    Examples
    --------
    >>> table = read_line_table("all_blocks")
    >>> print(table.block_names[0], table.energy_keV[0])
    copper 8.0278
    """
    if not isinstance(name_or_path, str | Path):
        raise InputError(
            "line table: give a LineTable, the name of a table of pixelcal, or a path, not"
            f" {name_or_path!r}"
        )
    shipped = RESOURCES / "lines" / f"{name_or_path}.csv"
    path = shipped if shipped.is_file() else shipped_or_given(name_or_path)
    return line_tables.read_line_table(path)


def read_good_times(path: str | Path, criteria: Iterable[str] = ()) -> np.ndarray:
    """Time in a file of good times that is good by every one of the criteria.

    Parameters
    ----------
    path : path
        FITS with an extension for each criterion, with columns START and STOP.
    criteria : iterable of str
        Names of extensions, as "GTICAL-NEO"; may be empty where the file has only one.

    Returns
    -------
    (n, 2) float, s
        START and STOP of intervals that are apart, rising.

    Raises
    ------
    InputError
        Where the file or an extension is missing or broken.

    Examples
    --------
    >>> good = read_good_times("results/eclairs/events/gti.fits",
    ...     ["GTICAL-NEO", "GTICAL-NSA"])  # doctest: +SKIP
    >>> seconds = (good[:, 1] - good[:, 0]).sum()  # doctest: +SKIP
    """
    return read_good_time(path, list(criteria))


# --- charges --------------------------------------------------------------------------------------


def fit_spe_charges(
    charges: Sequence,
    step: float | None = None,
    *,
    pixel=None,
    pe_guess: float = math.nan,
    min_flashes: int = 500,
    pvalue_limit: float = 1e-4,
    peak_to_valley: float = 1.08,
    dark: Sequence[bool] | None = None,
) -> Table:
    """Charge of a photoelectron in SiPM pixels, from flashes of low illumination.

    Parameters
    ----------
    charges : sequence of (n_pixels, n_flashes) arrays
        Charges of each run, whose numbers of flashes may differ. All runs of a pixel are fitted
        together. Noise that eight pixels or more have in common is learnt from them first. Charges
        that are not finite, or masked, are left out and counted in a warning.
    step : float, optional
        Charges are multiples of it; 0: of nothing. By default 1 for whole numbers, else 0.
    pixel : (n_pixels,) int, optional
        Their numbers, from 0 to 32767; 0, 1, 2 and so on by default.
    pe_guess : float
        Charge of a photoelectron to begin with; NaN: from the data alone.
    min_flashes : int
        A pixel with fewer flashes in any run has no valid fit.
    pvalue_limit : float
        A smaller p-value sets the STATUS bit of a poor fit.
    peak_to_valley : float
        Below it the peaks count as unresolved.
    dark : (n_runs,) bool, optional
        Runs without light, which show the pedestal with night sky and dark counts.

    Returns
    -------
    astropy Table, a row for each pixel
        PE, SIGMA_PED, SIGMA_PE, OPCT and, for each run in the order given, EPED and LAMBDA, all
        with errors; COVARIANCE, PVALUE, STATUS and more (docs/spe-fit.md). NaN without a valid fit.

    Raises
    ------
    InputError
        Where no run has light or finite charges, events are there twice, or an input cannot be.

    Examples
    --------
    >>> from pixelcal.charge.simulation.charges import Sipm, draw_charges
    >>> pixels = [draw_charges(np.random.default_rng(i), Sipm(pe=30.0)) for i in range(4)]
    >>> fits = fit_spe_charges([np.array(run) for run in zip(*pixels, strict=True)])
    >>> bool(np.all(abs(fits["PE"] - 30.0) < 5 * fits["PE_ERR"]))
    True
    """
    runs, step = checked_runs(charges, step)
    unlit = checked_dark(dark, len(runs))
    options = checked_options(pe_guess, min_flashes, pvalue_limit, peak_to_valley)
    data = columns_of(spectra_of_charges(runs, step, checked_pixels(pixel, len(runs[0])), unlit))
    camera = None if unlit.any() else learn_camera_noise(*data[:3], options).camera
    rows = fit_pixels_with_dark_runs(*data, unlit, options, camera=camera)
    return with_units(rows, spe_columns.units_of(rows))


def required_charge_resolution(charge_pe, nsb: float) -> np.ndarray:
    """The largest charge resolution that CTAO allows (B-TEL-1010).

    Parameters
    ----------
    charge_pe : float or array of float
        Charge in photoelectrons.
    nsb : float
        Night-sky background in photoelectrons per ns and pixel.

    Returns
    -------
    float array
        Resolution relative to the charge; NaN outside of 1 to 1000 photoelectrons, where there is
        no requirement.

    Raises
    ------
    InputError
        Where the night-sky background is not a number from 0 on.

    Examples
    --------
    >>> print(required_charge_resolution([1.0, 100.0], nsb=0.125).round(3))
    [2.039 0.157]
    """
    try:
        levels = np.asarray(nsb, float)
    except (TypeError, ValueError):
        levels = np.array(np.nan)
    if not (np.isfinite(levels) & (levels >= 0)).all():
        raise InputError(
            f"required_charge_resolution: nsb must be photoelectrons per ns and pixel, from 0 on,"
            f" and is {nsb}"
        )
    return required_resolution(np.asarray(charge_pe, float), levels)
