"""What `pixelcal.api` takes from its caller, as the arrays that the package works with.

A notebook hands over whatever it has: columns of FITS files, masked arrays, quantities. The
functions here make plain arrays of them, in the units of the package, or say in one line why not.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from pixelcal.charge.spe.fit import SpeOptions
from pixelcal.energy.lines import LineTable
from pixelcal.energy.prior import check_detnum
from pixelcal.energy.response.io import check_table, read_responses
from pixelcal.energy.response.model import Response
from pixelcal.energy.units import relation_in_keV
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument, instrument_of
from pixelcal.workflow.instruments import instrument_settings


def camera_of(instrument: Instrument | str | Path) -> Instrument:
    """An instrument as it is, or that of a name or file, checked as the workflow checks it.

    Files that an instrument file names may lie beside it.

    Raises
    ------
    InputError
        As `workflow.instruments.instrument_settings`; where it is none of these.
    """
    if isinstance(instrument, Instrument):
        return instrument
    if not isinstance(instrument, str | Path):
        raise InputError(
            f"instrument: {instrument!r} is neither an instrument of pixelcal nor a file; give a"
            " name, the path of an instrument file, or an Instrument"
        )
    return instrument_of(instrument_settings(str(instrument)))


def plain_array(values, where: str) -> np.ndarray:
    """Values as an array in the byte order of the machine, as `numpy.asarray` otherwise.

    FITS files are big-endian, and so are the arrays that astropy reads from them; compiled code
    takes no others than those of the machine.

    Parameters
    ----------
    values : array-like
    where : str
        Name of function and argument, for the error.

    Raises
    ------
    InputError
        Where values are masked: an array without its mask would have numbers there. Where they are
        rows of different lengths.
    """
    if np.ma.is_masked(values):
        raise InputError(
            f"{where} has masked values; leave them out, or fill them with what they are"
        )
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{where} has rows of different lengths; give an array") from None
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def checked_number(
    value, where: str, least: float = -math.inf, most: float = math.inf, *, whole: bool = False
) -> None:
    """Raise InputError where a setting is no number from `least` to `most`, as the schema of the
    configuration has them; of another type it would be an error deep in the fit, or none."""
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not (number and least <= value <= most):
        kind = "a whole number" if whole else "a number"
        upper = "" if math.isinf(most) else f" to {most:g}"
        allowed = "" if math.isinf(least) else f" from {least:g}{upper or ' on'}"
        raise InputError(f"{where} must be {kind}{allowed}, and is {value!r}")


def checked_limits(min_counts: int, pvalue_limit: float = 0.0) -> tuple[int, float]:
    """The two as they are; InputError where the configuration would refuse one."""
    checked_number(min_counts, "calibrate_spectra: min_counts", 0, whole=True)
    checked_number(pvalue_limit, "calibrate_spectra: pvalue_limit", 0, 1)
    return min_counts, pvalue_limit


def checked_options(
    pe_guess: float, min_flashes: int, pvalue_limit: float, peak_to_valley: float
) -> SpeOptions:
    """The options of `fit_spe_charges`; InputError where the configuration would refuse one."""
    where = "fit_spe_charges:"
    checked_number(min_flashes, f"{where} min_flashes", 0, whole=True)
    checked_number(pvalue_limit, f"{where} pvalue_limit", 0, 1)
    checked_number(peak_to_valley, f"{where} peak_to_valley", 1)
    if not (isinstance(pe_guess, Real) and math.isnan(pe_guess)):
        checked_number(pe_guess, f"{where} pe_guess", 0)
    return SpeOptions(pe_guess, min_flashes, pvalue_limit, peak_to_valley)


def pixel_numbers(pixel, where: str) -> np.ndarray:
    """Numbers (n,) int of pixels, of which there is one at least.

    Raises
    ------
    InputError
        Where there is none, or one is there twice or cannot be a number of a pixel.
    """
    numbers = np.atleast_1d(plain_array(pixel, f"{where}: pixel"))
    if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: pixel must be the number of a pixel, or a list of them, and is of type"
            f" {numbers.dtype} and shape {numbers.shape}"
        )
    check_detnum(numbers.astype(float), where)
    return numbers.astype(int)


def prior_relation(
    gain, offset, n_pixels: int, camera: Instrument, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """The prior relation of each pixel, in keV: what the configuration and prior files may say.

    Parameters
    ----------
    gain, offset : float, (n_pixels,) float, Quantity or column
        In keV/channel and keV, or in the unit that they have.
    n_pixels : int
    camera : Instrument
    where : str
        Name of the function, for errors.

    Returns
    -------
    gain, offset : (n_pixels,) float, keV/channel and keV

    Raises
    ------
    InputError
        Where there are more or fewer, a unit is of another kind, or no pixel of the camera has
        such a relation.
    """
    texts = tuple(str(getattr(values, "unit", None) or "") for values in (gain, offset))
    try:
        given = [
            np.broadcast_to(np.ma.filled(np.ma.asarray(values).astype(float), np.nan), n_pixels)
            for values in (gain, offset)
        ]
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: gain and offset must be numbers, one for all or one value for each of the"
            f" {n_pixels} pixels"
        ) from None
    converted = relation_in_keV(*given, texts, where)
    for name, values, (least, most), unit in (
        ("gain", converted[0], camera.gain_range_keV, "keV/channel"),
        ("offset", converted[1], camera.offset_range_keV, "keV"),
    ):
        outside = ~((values >= least) & (values <= most))
        if outside.any():
            raise InputError(
                f"{where}: the {name} {values[outside][0]:g} is outside of the range of"
                f" {camera.title}; allowed: {least:g} to {most:g} {unit}"
            )
    gain, offset = (np.ascontiguousarray(values) for values in converted)
    return gain, offset


def checked_response(response, table: LineTable) -> Response:
    """The response that was given, itself or by its path, for a line table.

    Raises
    ------
    InputError
        Where it is neither, was learnt with another line table, or the file has the responses of
        several kinds of pixels.
    """
    if isinstance(response, str | Path):
        of_kinds = read_responses(response, table)
        if len(of_kinds) > 1:
            raise InputError(
                f"{response}: has responses of {len(of_kinds)} kinds of pixels, and nothing says"
                " which one is meant; use refit_pixels, which knows the kinds"
            )
        (response,) = of_kinds.values()
    if not isinstance(response, Response):
        raise InputError(
            "calibrate_spectra: response must be what learn_response returned, or the path of a"
            f" response.fits, and is {type(response).__name__}"
        )
    check_table(response, table, "calibrate_spectra: response")
    return response
