"""The noise of a camera as a FITS product."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.charge.spe.noise.late_charges import N_NOISE
from pixelcal.charge.spe.noise.learn import LearntNoise
from pixelcal.charge.spe.noise.priors import (
    CameraNoise,
    NoisePrior,
    fitted_noise,
    general_prior,
)
from pixelcal.io.tables import as_rows, read_columns, table_hdu, write_fits

EXTENSION = "NOISE"
CARDS = {
    "dark_counts": "HASDARK",
    "afterpulses": "HASAFTER",
    "delayed_crosstalk": "HASDELAY",
    "neighbours": "HASNEIGH",
}
NAMES = (
    "DARK",
    "LOG_DECAY",
    "AFTERPULSE_FAST",
    "AFTERPULSE_SLOW",
    "DELAYED",
    "LOG_DELAY",
    "AP_LOSS",
    "SPENT",
)


def write_noise(path: str | Path, learnt: LearntNoise, cards: list[tuple], date) -> None:
    """Write the noise of a camera: a row for each parameter, in the order of the fit.

    Columns: NAME; MEAN of the camera (the natural logarithm for times), its MEAN_ERR and
    COVARIANCE; SPREAD, the standard deviation of the pixels; all 0 of noise that the pixels do not
    show. HASDARK, HASAFTER and HASDELAY say which kinds every pixel has, HASNEIGH whether its cells
    have a limited number of neighbours, SPENT one over it; STACKCHI, STACKDOF and STACKMIS, whether
    the spectra are those of the model (`adequacy`).
    """
    mean, spread, covariance = np.zeros(N_NOISE), np.zeros(N_NOISE), np.zeros((N_NOISE, N_NOISE))
    camera = learnt.camera
    if camera is not None:
        fitted = fitted_noise(camera.kinds)
        mean[fitted] = camera.prior.centre[fitted]
        spread[fitted] = np.diag(camera.prior.precision)[fitted] ** -0.5
        covariance = camera.systematic
    rows = as_rows(
        NAME=np.array(NAMES, "S"),
        MEAN=mean,
        MEAN_ERR=np.sqrt(np.diag(covariance)),
        SPREAD=spread,
        COVARIANCE=covariance,
    )
    found = () if camera is None else camera.kinds
    cards = [
        *cards,
        *((card, kind in found, f"{kind} in all pixels") for kind, card in CARDS.items()),
        ("NTEACHER", learnt.n_teachers, "pixels that it was learnt from"),
    ]
    if learnt.adequacy is not None:
        cards += [
            ("STACKCHI", learnt.adequacy.chi_square, "chi-square of residuals of these together"),
            ("STACKDOF", learnt.adequacy.dof, "its degrees of freedom"),
            ("STACKMIS", learnt.adequacy.misfit, "misfit of the model, relative rms"),
        ]
    write_fits(path, [table_hdu(rows, EXTENSION, {}, cards)], date)


def read_noise(path: str | Path) -> CameraNoise | None:
    """The noise of a camera, as `write_noise` writes it; None where the pixels show none.

    Raises
    ------
    InputError
        Where the file is not one of these.
    """
    table = read_columns(path, EXTENSION)
    kinds = tuple(kind for kind, card in CARDS.items() if table.meta[card])
    if not kinds:
        return None
    fitted, general = fitted_noise(kinds), general_prior()
    precision = np.diag(general.precision).copy()
    precision[fitted] = np.asarray(table["SPREAD"], float)[fitted] ** -2
    centre = np.where(fitted, np.asarray(table["MEAN"], float), general.centre)
    prior = NoisePrior(centre, np.diag(precision))
    return CameraNoise(kinds, prior, np.asarray(table["COVARIANCE"], float))
