"""What `pixelcal.api` takes from its caller, as the arrays that the package works with.

A notebook hands over whatever it has: columns of FITS files, masked arrays, quantities. The
functions here make plain arrays of them, in the units of the package, or say in one line why not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.io import check_table, read_responses
from pixelcal.energy.response.model import Response
from pixelcal.errors import InputError


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
        Where values are masked: an array without its mask would have numbers there.
    """
    if np.ma.is_masked(values):
        raise InputError(
            f"{where} has masked values; leave them out, or fill them with what they are"
        )
    array = np.asarray(values)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


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
