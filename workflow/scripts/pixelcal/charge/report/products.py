"""What the report of the SSTCAM reads: the products of its chain, as its files have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.charge.extraction.io import read_peaks
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.runs.pixel_grid import PixelGrid, grid_of
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.charge.spe.columns import SPE_EXTENSION, SPECTRA_EXTENSION, run_names
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns, read_json, read_table
from pixelcal.status import ChargeStatus, has_valid_fit


@dataclass(frozen=True)
class Resolution:
    """Tables CAMERA and PIXELS of resolution.fits, and the JSON beside it."""

    camera: Table
    pixels: Table
    summary: Mapping


@dataclass(frozen=True)
class Products:
    """All products, n pixels each in the same order.

    Attributes
    ----------
    spe : table SPE, its header as `meta`
    spectra : table SPECTRA
    validation : content of validation.json
    peaks : Peaks, or None where charges or histograms were ready
    grid : PixelGrid of all pixels of the map
    truth : table of SIGMA_PED, PE, SIGMA_PE, OPCT (n,) and EPED, LAMBDA (n, R), or None
    resolution : Resolution, or None where there is no scan
    charges : headers of the charges of each run, those of `spe` first; ready histograms have none
    settings : resolved settings
    """

    spe: Table
    spectra: Table
    validation: Mapping
    peaks: Peaks | None
    grid: PixelGrid
    truth: Table | None
    resolution: Resolution | None
    charges: Sequence[fits.Header]
    settings: Mapping

    @property
    def pixel(self) -> np.ndarray:
        """Numbers (n,) of the pixels."""
        return np.asarray(self.spe["PIXEL"]).astype(int)

    @property
    def status(self) -> np.ndarray:
        """STATUS (n,)."""
        return np.asarray(self.spe["STATUS"])

    @property
    def good(self) -> np.ndarray:
        """Which pixels (n,) have STATUS 0."""
        return self.status == 0

    @property
    def has_valid_fit(self) -> np.ndarray:
        """Which pixels (n,) have a valid fit."""
        return has_valid_fit(self.status)

    @property
    def wanted(self) -> np.ndarray:
        """Which pixels (n,) the user has not masked."""
        return (self.status & int(ChargeStatus.MASKED)) == 0

    @property
    def dead(self) -> np.ndarray:
        """Which pixels (n,) see no light in the brightest run."""
        if self.peaks is None:
            return np.zeros(len(self.spe), bool)
        return np.isin(self.pixel, self.peaks.pixel[self.peaks.dead])

    @property
    def lamp_is_checked(self) -> bool:
        """Whether there were charges, in which pixels can be compared flash by flash."""
        return bool(self.spe.meta.get("LAMPCHK", True))

    @property
    def runs(self) -> list[str]:
        """Names of the runs of single photoelectrons, by rising light."""
        return run_names(self.spe.meta)

    @property
    def unit(self) -> str:
        """Unit of a charge: that of a sample, times samples."""
        return str(self.spe.meta.get("UNITSAMP", "adu"))

    def column(self, name: str) -> np.ndarray:
        """A column (n,) or (n, R) of the table of fits as float."""
        return np.asarray(self.spe[name], float)


def read_products(paths: Mapping, settings: Mapping) -> Products:
    """Read the products.

    Parameters
    ----------
    paths : dict
        Paths under spe, spectra, validation, pixel_map, charges (list), and where they exist peaks,
        truth, resolution and summary.
    settings : dict
        Resolved settings.

    Raises
    ------
    InputError
        Where a product is missing or damaged, or the tables are of different pixels.
    """
    spe = read_columns(paths["spe"], SPE_EXTENSION)
    spectra = read_columns(paths["spectra"], SPECTRA_EXTENSION)
    if not np.array_equal(np.asarray(spe["PIXEL"]), np.asarray(spectra["PIXEL"])):
        raise InputError(f"{paths['spe']}: has other pixels than {paths['spectra']}; make it again")
    peaks = read_peaks(paths["peaks"])[0] if paths.get("peaks") else None
    places = np.asarray(spe["PIXEL"]), np.array([spe["X"], spe["Y"]], float)
    resolution = None
    if paths.get("resolution"):
        tables = (read_columns(paths["resolution"], name) for name in ("CAMERA", "PIXELS"))
        resolution = Resolution(*tables, read_json(paths["summary"]))
    return Products(
        spe=spe,
        spectra=spectra,
        validation=read_json(paths["validation"]),
        peaks=peaks,
        grid=grid_of(read_pixel_map(paths["pixel_map"]), *places),
        truth=read_table(paths["truth"]) if paths.get("truth") else None,
        resolution=resolution,
        charges=[fits.getheader(path, "CHARGES") for path in paths["charges"]],
        settings=settings,
    )
