"""The systematic uncertainty of each pixel's energies, as columns of its relation.

What is known of it is common to the pixels of a kind (`response.energy_scale`): counting of the
stack, energies of lines, a bend, blocks of lines that disagree. No statistical error contains it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib import recfunctions

from pixelcal.energy.kinds import of_kind
from pixelcal.energy.response.energy_scale import systematic_sigmas
from pixelcal.energy.response.extensions import common_covariances
from pixelcal.instrument import Requirement
from pixelcal.status import has_valid_fit


def covariance_of_pixels(response: str | Path, kinds: np.ndarray) -> np.ndarray:
    """Covariances (n, 3, 3) of stretch, shift (keV) and bend (keV) of pixels of some kinds (n,).

    `response` is the path of the learnt response.
    """
    known = common_covariances(response)
    return np.array([of_kind(known, str(kind)) for kind in kinds]).reshape(-1, 3, 3)


def column_name(energy_keV: float) -> str:
    """Name of the column of an energy, as SYS_80."""
    return f"SYS_{energy_keV:g}"


def with_systematics(
    rows: np.ndarray, covariances: np.ndarray | None, requirement: Requirement
) -> np.ndarray:
    """The rows (n,) of a relation with a column (keV) for each reference energy, after the others.

    NaN without a valid fit, and for all pixels where nobody looked (`covariances` None).
    """
    valid = has_valid_fit(rows["STATUS"])
    names, columns = [], []
    for energy in requirement.energies_keV:
        sigma = np.full(len(rows), np.nan)
        if covariances is not None and len(rows):
            sigma = np.where(valid, systematic_sigmas(energy, covariances), np.nan)
        names.append(column_name(energy))
        columns.append(sigma)
    return recfunctions.append_fields(rows, names, columns, usemask=False)
