"""What the fits of simulated pixels should find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from pixelcal.charge.extraction.options import window_of
from pixelcal.charge.simulation.flashes import true_parameters


def true_values(
    pixels: Table, peak: np.ndarray, charges: Mapping, light: Sequence[float], fwhm_ns: float
) -> dict[str, np.ndarray]:
    """True parameters of the spectra, by the names of the columns of the fits.

    Parameters
    ----------
    pixels : Table
        Of `flash_simulation.make_pixels`, n rows.
    peak : (n,) int
        Sample of the peak that the window stands at.
    charges : dict
        Options of the extraction.
    light : (R,) float
        Mean photoelectrons of each run in a pixel of efficiency 1.
    fwhm_ns : float
        Of the pulse.

    Returns
    -------
    dict
        SIGMA_PED, PE, SIGMA_PE (adu), OPCT, (n,) each; EPED (adu) and LAMBDA (n, R).
    """
    truth = true_parameters(pixels, peak, window_of(charges), fwhm_ns)
    light = np.asarray(light, float)
    truth["LAMBDA"] = np.asarray(pixels["EFFICIENCY"])[:, np.newaxis] * light
    truth["EPED"] = np.repeat(truth["EPED"][:, np.newaxis], len(light), axis=1)
    return truth
