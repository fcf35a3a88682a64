"""What `pixelcal.api` takes from its caller, as the arrays that the package works with.

A notebook hands over whatever it has: columns of FITS files, masked arrays, quantities. The
functions here make plain arrays of them, in the units of the package, or say in one line why not.
"""

from __future__ import annotations

import numpy as np

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
