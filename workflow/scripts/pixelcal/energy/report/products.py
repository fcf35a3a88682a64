"""What the report reads: the products of one exposure, as its files have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from pixelcal.energy.fit.columns import RESIDUAL_EXTENSION
from pixelcal.energy.lines import LineTable, read_line_table
from pixelcal.energy.relation import curve_of, energy_error, energy_sigma, relation_columns
from pixelcal.energy.requirement import fraction_of_requirement
from pixelcal.energy.response.io import read_responses
from pixelcal.energy.response.model import Response
from pixelcal.energy.truth import Truth, read_truth
from pixelcal.instrument import Instrument, Requirement
from pixelcal.io.tables import has_extension, read_columns, read_json
from pixelcal.status import EnergyStatus, has_valid_fit


@dataclass(frozen=True)
class Products:
    """Products of one exposure, n pixels each in the same order.

    Attributes
    ----------
    settings : resolved settings: name, seconds, multiplicity, lines, method, min_counts
    relation : table RELATION, its header as `meta`
    validation : content of validation.json
    spectra : table SPECTRA, its header as `meta`
    prior : gain and offset before the fit, (n,) each, keV/channel and keV
    truth : Truth, or None
    lines : LineTable
    responses : dict of kind of pixel to Response, empty where the method has none
    prediction : content of observing_time.json
    instrument : Instrument
    rate : table RATE of the spectra, or None where they are older than it
    residuals : table RESIDUALS of the relation, or None where it has none
    """

    settings: Mapping
    relation: Table
    validation: Mapping
    spectra: Table
    prior: tuple[np.ndarray, np.ndarray]
    truth: Truth | None
    lines: LineTable
    responses: Mapping[str, Response]
    prediction: Mapping
    instrument: Instrument
    rate: Table | None = None
    residuals: Table | None = None

    @property
    def requirement(self) -> Requirement:
        """What the camera is required to do."""
        return self.instrument.requirement

    @property
    def energies_keV(self) -> np.ndarray:
        """Reference energies (m,) at which a relation is judged."""
        return np.array(self.requirement.energies_keV)

    @property
    def response(self) -> Response | None:
        """The response of the most frequent kind of pixel; None where the method has none."""
        return next(iter(self.responses.values()), None)

    @property
    def name(self) -> str:
        """Name of the exposure."""
        return self.settings["name"]

    @property
    def seconds(self) -> float:
        """Good time that was used, s."""
        return float(self.relation.meta["EXPOSURE"])

    def column(self, name: str) -> np.ndarray:
        """A column (n,) of the relation as float."""
        return np.asarray(self.relation[name], float)

    @property
    def detnum(self) -> np.ndarray:
        """Numbers (n,) of the pixels."""
        return np.asarray(self.relation["DETNUM"])

    @property
    def status(self) -> np.ndarray:
        """STATUS (n,) of the pixels."""
        return np.asarray(self.relation["STATUS"])

    @property
    def has_valid_fit(self) -> np.ndarray:
        """Which pixels (n,) have a valid fit."""
        return has_valid_fit(self.status)

    @property
    def wanted(self) -> np.ndarray:
        """Which pixels (n,) the user has not masked: those that count."""
        return (self.status & int(EnergyStatus.MASKED)) == 0

    def sigma(self, energies_keV=None) -> np.ndarray:
        """Predicted standard deviation (m, n) of the energy, keV; NaN without a valid fit.

        At the reference energies, where none are given; so for errors and changes.
        """
        energies = self._asked(energies_keV)
        return energy_sigma(energies, *relation_columns(self.relation))

    def error(self, energies_keV=None) -> np.ndarray | None:
        """Signed error (m, n) of the energy against truth, keV; None where there is no truth."""
        if self.truth is None:
            return None
        straight = self.column("GAIN"), self.column("OFFSET")
        return self.truth.error(self._asked(energies_keV), *straight, curve_of(self.relation))

    def change(self, energies_keV=None) -> np.ndarray:
        """Change (m, n) of the energy against the relation known before, keV."""
        straight = self.column("GAIN"), self.column("OFFSET")
        known = *self.prior, curve_of(self.relation)
        return energy_error(self._asked(energies_keV), *straight, *known)

    def _asked(self, energies_keV) -> np.ndarray:
        """The energies asked for, or the reference energies, (m, 1)."""
        energies = self.energies_keV if energies_keV is None else np.asarray(energies_keV)
        return energies[:, None]

    def excess(self) -> np.ndarray:
        """How the size of the error compares with what is allowed, (m, n); NaN without a valid fit.

        Without truth the size is that of the predicted standard deviation.
        """
        size = self.sigma() if self.truth is None else self.error()
        return fraction_of_requirement(size, self.energies_keV, self.requirement)


def read_products(settings, paths: Mapping, prior, instrument: Instrument) -> Products:
    """Read the products of one exposure.

    Parameters
    ----------
    settings : as `Products.settings`; `lines` is the path of the line table
    paths : dict
        Paths under relation, validation, spectra, prediction, and where they exist truth and
        response (None or absent otherwise).
    prior : function of DETNUM (n,) to gain and offset before the fit, (n,) each
    instrument : Instrument
    """
    relation = read_columns(paths["relation"], "RELATION")
    detnum = np.asarray(relation["DETNUM"])
    lines = read_line_table(settings["lines"])
    truth, response = paths.get("truth"), paths.get("response")
    return Products(
        settings=settings,
        relation=relation,
        validation=read_json(paths["validation"]),
        spectra=read_columns(paths["spectra"], "SPECTRA"),
        prior=prior(detnum),
        truth=read_truth(truth, detnum) if truth else None,
        lines=lines,
        responses=read_responses(response, lines) if response else {},
        prediction=read_json(paths["prediction"]),
        instrument=instrument,
        rate=_read_if_there(paths["spectra"], "RATE"),
        residuals=_read_if_there(paths["relation"], RESIDUAL_EXTENSION),
    )


def _read_if_there(path, extension: str) -> Table | None:
    """A table of a file that is known to be whole; None where there is none."""
    return read_columns(path, extension) if has_extension(path, extension) else None
