"""What later products take from ready charges and histograms: units, and what is known of a camera.

Where there are waveforms the peaks say the latter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.units import Unit

from pixelcal.charge.extraction.io import pixel_places, read_peaks
from pixelcal.charge.spe.columns import CHARGE
from pixelcal.io.tables import as_rows, has_extension, read_columns

PLACES_EXTENSION = "PLACES"
"""Table beside the spectra with the positions of the pixels, where ready histograms bring them."""
SPECTRA_UNITS = {"WIDTH": CHARGE, "START": CHARGE, "COUNTS": "count"}


def places_rows(pixel: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of the table PLACES: PIXEL, X and Y (m)."""
    return as_rows(PIXEL=pixel.astype("i2"), X=places[0].astype(float), Y=places[1].astype(float))


def charge_units(units: Mapping[str, str], unit: str) -> dict[str, str]:
    """Units of columns, those of charges being `unit`; none where FITS has no such unit."""
    given = {name: unit if value == CHARGE else value for name, value in units.items()}
    return {name: value for name, value in given.items() if value != unit or _is_unit(unit)}


def _is_unit(text: str) -> bool:
    try:
        Unit(text, format="fits")
    except ValueError:
        return False
    return True


# --- what is known of the camera ------------------------------------------------------------------


class KnownCamera(NamedTuple):
    """What runs say of the pixels beside their charges.

    off : (m,) int, pixels that are ignored on purpose
    pixel : (k,) int
    places : (2, k) float, m, or None
    run : name of the run that says it
    """

    off: np.ndarray
    pixel: np.ndarray
    places: np.ndarray | None
    run: str


def known_camera(peaks, charges: Sequence, spectra, runs: Sequence[str]) -> KnownCamera:
    """What is known from the peaks, where there are any, else from ready charges or histograms.

    Parameters
    ----------
    peaks : path, or None
    charges : paths, by rising light
    spectra : path
    runs : names of the runs, in the same order
    """
    off = np.array([], int)
    if peaks is not None:
        found, header = read_peaks(peaks)
        off = found.pixel[found.off]
        return KnownCamera(off, found.pixel, found.places, header.get("RUNNAME", ""))
    if charges:
        table = read_columns(charges[-1], "PIXELS")
        off = np.asarray(table["PIXEL"])[np.asarray(table["OFF"])]
        pixel, places = pixel_places(table)
    elif has_extension(spectra, PLACES_EXTENSION):
        pixel, places = pixel_places(read_columns(spectra, PLACES_EXTENSION))
    else:
        pixel, places = off, None
    return KnownCamera(off, pixel, places, runs[-1])
