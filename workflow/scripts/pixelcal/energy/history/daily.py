"""The published daily calibrations of STIX as a history: gains and offsets without errors.

The errors are told by the scatter. Three neighbouring runs of a pixel, the middle one minus the
mean of its neighbours, leave what drifts slowly out: their variance is 1.5 times that of one run.
Part of it does not fall with the live time, so that it is learnt for short and for long runs apart.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np

from pixelcal.energy.history.energies import to_energies, to_relation, typical_relation
from pixelcal.energy.history.epochs import SAME_MOMENT_S, Epochs
from pixelcal.energy.history.query import mission_seconds
from pixelcal.energy.requirement import inner_energies_keV
from pixelcal.energy.stix_relations import daily_runs
from pixelcal.instrument import Instrument
from pixelcal.io.provenance import file_sha256
from pixelcal.status import EnergyStatus

OF_A_TRIPLE = 1.5
"""Variance of the middle of three minus the mean of its neighbours, over that of one."""

MAD_TO_SIGMA = 1.4826

LONG_S = 7200.0
"""Runs of STIX are of minutes or of a day."""

LEAST_TRIPLES = 8

LEAST_SIGMA_KEV = 0.002
"""Gains are published with so many digits."""

LOGGER = logging.getLogger(__name__)


def read_daily_epochs(path: str | Path, instrument: Instrument) -> tuple[Epochs, np.ndarray]:
    """The runs of a file of daily calibrations, by rising time, and the temperature of each (t,).

    A run that is in several rows counts once. One that begins before the run before it has ended is
    left out; a log message says how many.

    Raises
    ------
    InputError
        Where the file has no such table.
    """
    rows, began, gain, offset = daily_runs(path)
    start = np.array([mission_seconds(text) for text in began])
    duration = np.asarray(rows["DURATION"], float)
    kept = _one_after_the_other(start, start + duration)
    LOGGER.info("%s: %d rows, %d runs that are apart", path, len(rows), len(kept))
    rows, start, duration = rows[kept], start[kept], duration[kept]
    gain, offset = gain[kept].T.copy(), offset[kept].T.copy()
    # A run of the short kind measures the large pixels alone.
    status = np.where(np.isfinite(gain), 0, int(EnergyStatus.MASKED)).astype(np.int16)
    covariance = scatter_covariance(gain, offset, duration, instrument)
    lost = ~np.isfinite(covariance).all(axis=2)
    status[lost & (status == 0)] = int(EnergyStatus.TOO_FEW_COUNTS)
    gain[lost], offset[lost] = np.nan, np.nan
    n, n_epochs = gain.shape
    systematic = np.full((n, n_epochs, len(instrument.requirement.energies_keV)), np.nan, "f4")
    digest, names = file_sha256(path), [began[row][:16] for row in kept]
    epochs = Epochs(
        tuple(names), (Path(path).name,) * n_epochs, (digest,) * n_epochs, start, start + duration,
        np.arange(n), gain, offset, covariance, status, systematic,
        {"TELESCOP": "SOLO", "INSTRUME": "STIX"},
    )  # fmt: skip
    return epochs, np.asarray(rows["AVERAGE_TEMP"], float)


def _one_after_the_other(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Rows, by rising time, that begin after the row before has ended."""
    kept: list[int] = []
    for row in np.argsort(start, kind="stable").tolist():
        if not kept or start[row] >= stop[kept[-1]] - SAME_MOMENT_S:
            kept.append(row)
    return np.array(kept)


def scatter_covariance(
    gain: np.ndarray, offset: np.ndarray, seconds: np.ndarray, instrument: Instrument
) -> np.ndarray:
    """Covariance (n, t, 3) of gains and offsets (n, t), by how neighbouring runs scatter.

    `seconds` (t,) are the lengths of the runs. Of triples of neighbours that are all short, or all
    long, the robust variances of both energies, of their sum and of their difference give the
    covariance of each pixel; that of the typical pixel where a pixel has fewer than
    `LEAST_TRIPLES`. The motion common to the camera is subtracted before.
    """
    known = np.isfinite(gain)
    pivots = inner_energies_keV(instrument.requirement)
    reference = typical_relation(gain, offset, known, pivots)
    y, _ = to_energies(gain, offset, np.zeros((*gain.shape, 3)), reference)
    result = np.full((*gain.shape, 3), np.nan)
    for chosen in (seconds < LONG_S, seconds >= LONG_S):
        rows = np.flatnonzero(chosen)
        if len(rows) < 3:
            continue
        parts = y[:, rows]
        middle = parts[:, 1:-1] - 0.5 * (parts[:, :-2] + parts[:, 2:])
        middle = middle - _median(middle, axis=0)
        variances = [
            _robust_variance(values) / OF_A_TRIPLE
            for values in (middle[..., 0], middle[..., 1], middle[..., 0] + middle[..., 1])
        ]
        n_known = np.isfinite(middle[..., 0]).sum(axis=1)
        for values in variances:
            typical = np.nanmedian(np.where(n_known >= LEAST_TRIPLES, values, np.nan))
            values[n_known < LEAST_TRIPLES] = typical
        first, second = (np.maximum(values, LEAST_SIGMA_KEV**2) for values in variances[:2])
        both = 0.5 * (variances[2] - first - second)
        most = 0.9 * np.sqrt(first * second)
        r = np.stack([first, np.clip(both, -most, most), second], axis=1)
        result[:, rows] = np.repeat(r[:, None], len(rows), axis=1)
    _, _, covariance = to_relation(y, result, reference)
    covariance[~known] = np.nan
    return covariance


def _median(values: np.ndarray, axis: int) -> np.ndarray:
    """Median of what is known, NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(values, axis=axis, keepdims=True)


def _robust_variance(values: np.ndarray) -> np.ndarray:
    """Squared standard deviation (n,) of rows (n, t), by the median of absolute deviations."""
    return (MAD_TO_SIGMA * _median(np.abs(values), axis=1)[:, 0]) ** 2
