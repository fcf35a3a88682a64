"""The systematic uncertainty of each pixel's energies, as columns of its relation.

Part of it is common to the pixels of a kind (`response.energy_scale`): counting of the stack,
energies of lines, a bend, blocks of lines that disagree. Part of it each pixel has by itself
(`energy.own_deviation`): its channels are not linear, or its response is not that of the camera.
No statistical error contains either. Beyond the outermost lines nothing tells whether energies go
on straight: an allowance that the instrument file states is added there.

Counts of a pixel at another gain that are not clear enough to flag it may be there nonetheless. Its
relation is then that of one gain where the mean over both is meant. The square of the difference
times the probability that they are there is the variance of such a mixture (Hoeting et al. 1999,
Statistical Science 14, 382: Bayesian model averaging).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import recfunctions

from pixelcal.energy.curve import falling
from pixelcal.energy.kinds import of_kind
from pixelcal.energy.lines import LineTable
from pixelcal.energy.own_deviation import OwnDeviation, deviations_of_pixels
from pixelcal.energy.response.energy_scale import line_ends, systematic_sigmas
from pixelcal.energy.response.extensions import systematics_by_kind
from pixelcal.energy.results.outliers import second_significance
from pixelcal.instrument import Instrument, Requirement
from pixelcal.numerics.model_averaging import chance_of_being_there
from pixelcal.status import has_valid_fit

SECOND_FRACTION, SECOND_RANGE = 0.01, 10.0
HEALTHY_SECONDS = 1.6
"""A pixel in a hundred is taken to have a second gain, of any significance up to this; of the
others a part of `HEALTHY_SECONDS` exp(-z^2 / 2) exceeds z by chance, 4 in 10 000 at 4.1 (as many
were counted in 27 cameras of 3, 10 and 30 ks)."""


class Systematics(NamedTuple):
    """What is uncertain in the energies of pixels beside counting.

    Attributes
    ----------
    common : (n, 3, 3) float
        Covariance of stretch, shift (keV) and bend (keV), as `energy_scale.systematic_sigma` takes
        it, that is common to the pixels of a kind.
    deviation : OwnDeviation, or None
        What each pixel has by itself, with pixels in front; None for nothing.
    ends_keV : (2,) float
        Lowest and highest line.
    nonlinearity : (2,) float, keV/keV
        Allowance below and above them, `Instrument.nonlinearity`.
    low_bend : (n,) float, keV, or 0
        What a bend of all relations at low energy that is not known makes at the lowest line.
    second : (n, 3, 3) float, or 0
        The covariance by a second gain of a pixel that may be there.
    """

    common: np.ndarray
    deviation: OwnDeviation | None = None
    ends_keV: tuple[float, float] = (-np.inf, np.inf)
    nonlinearity: tuple[float, float] = (0.0, 0.0)
    low_bend: np.ndarray | float = 0.0
    second: np.ndarray | float = 0.0

    def sigma(self, energy_keV: float) -> np.ndarray:
        """Standard deviations (n,), keV, of an energy, by all of them together."""
        covered = systematic_sigmas(energy_keV, self.common + self.second)
        return np.hypot(np.hypot(covered, self.own_sigma(energy_keV)), self._curved(energy_keV))

    def common_sigma(self, energy_keV: float) -> np.ndarray:
        """Standard deviations (n,), keV, of the systematic uncertainty common to all pixels."""
        covered = systematic_sigmas(energy_keV, self.common)
        return np.hypot(covered, self._curved(energy_keV))

    def own_sigma(self, energy_keV: float) -> np.ndarray:
        """Standard deviations (n,), keV, of the systematic uncertainty of each pixel alone."""
        if self.deviation is None:
            return 0.0 * self.common[:, 0, 0]  # NaN where nothing is known
        return self.deviation.sigma(energy_keV)

    def _curved(self, energy_keV: float):
        """What no stretch, shift or parabola describes, (n,) or a number, keV."""
        low = self.low_bend * falling(energy_keV, self.ends_keV)
        return np.hypot(low, self.allowance(energy_keV))

    def allowance(self, energy_keV: float) -> float:
        """What energies (keV) beyond the outermost lines may be off, keV."""
        (low, high), (below, above) = self.ends_keV, self.nonlinearity
        return below * max(low - energy_keV, 0.0) + above * max(energy_keV - high, 0.0)


def unknown_systematics(n: int) -> Systematics:
    """Those of `n` pixels where it is not known: NaN."""
    return Systematics(np.full((n, 3, 3), np.nan))


def systematics_of(
    response: str | Path,
    rows: np.ndarray,
    kinds: np.ndarray,
    table: LineTable,
    instrument: Instrument,
) -> Systematics:
    """The systematic uncertainties of pixels of some kinds (n,).

    From the learnt `response` (a path), from where the lines of `table` end, and from second gains
    that the fits `rows` (n,) of all pixels of the camera do not exclude.
    """
    known = systematics_by_kind(response)
    of_pixels = [of_kind(known, str(kind)) for kind in kinds]
    common = np.array([one.common for one in of_pixels]).reshape(-1, 3, 3)
    each = deviations_of_pixels([one.deviation for one in of_pixels]) if of_pixels else None
    low = np.array([one.low_bend for one in of_pixels])
    found = Systematics(common, each, line_ends(table), instrument.nonlinearity, low)
    return with_second_states(found, rows)


def chance_of_second_state(significance: np.ndarray) -> np.ndarray:
    """Probability (n,) that pixels have a second gain; 0 where its significance (n,) is NaN.

    A `SECOND_FRACTION` of them has, with a significance up to `SECOND_RANGE`.
    """
    z = np.maximum(np.nan_to_num(significance), 0.0)
    by_chance = HEALTHY_SECONDS * z * np.exp(-0.5 * z**2)
    return chance_of_being_there(z, by_chance, SECOND_FRACTION, SECOND_RANGE)


def with_second_states(systematics: Systematics, rows: np.ndarray) -> Systematics:
    """The systematic uncertainties with what a second gain of each pixel that may be there adds.

    `rows` (n,) are the fits of all pixels of a camera. The mean relation of both gains stretches
    and shifts the energies; nothing is added where no second gain was fitted.
    """
    known = (rows[name] for name in ("SECOND_SIGMA", "TAIL", "TAIL_ERR"))
    chance = chance_of_second_state(second_significance(*known))
    columns = ("GAIN", "OFFSET", "SECOND_GAIN", "SECOND_OFFSET")
    gain, offset, mean_gain, mean_offset = (np.asarray(rows[name], float) for name in columns)
    off = np.zeros((len(chance), 3))
    off[:, 0] = gain / mean_gain - 1.0
    off[:, 1] = offset - gain / mean_gain * mean_offset
    off = np.sqrt(chance)[:, None] * np.nan_to_num(off)
    return systematics._replace(second=off[:, :, None] * off[:, None])


def column_name(energy_keV: float) -> str:
    """Name of the column of an energy, as SYS_80."""
    return f"SYS_{energy_keV:g}"


def with_systematics(
    rows: np.ndarray, systematics: Systematics | None, requirement: Requirement
) -> np.ndarray:
    """The rows (n,) of a relation with a column (keV) for each reference energy, after the others.

    NaN without a valid fit, and for all pixels where it is not known (None).
    """
    valid = has_valid_fit(rows["STATUS"])
    known = systematics or unknown_systematics(len(rows))
    energies = requirement.energies_keV
    columns = [np.where(valid, known.sigma(energy), np.nan) for energy in energies]
    names = [column_name(energy) for energy in energies]
    return recfunctions.append_fields(rows, names, columns, usemask=False)
