"""Whether spectra show noise, at the fit without any (Rao's score test)."""

from __future__ import annotations

from functools import cache

import numpy as np

from pixelcal.charge.spe import likelihood as without_noise
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise.late_charges import N_NOISE
from pixelcal.charge.spe.noise.priors import DECAY_PRIOR
from pixelcal.charge.spe.noise.spectrum import noise_slopes
from pixelcal.charge.spe.parameters import N_PARAMETERS, N_PER_RUN, N_SHARED

LEAST_EXPECTED = 0.3
"""Flashes in a bin; bins that expect fewer count as if they did, in the test for noise."""
LEAST_LEFT = 1e-3
"""Of the information about some noise that the other parameters must leave: with less, rounding
decides."""


def noise_evidence(clean, spectra: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Score and expected information of the noise, the other parameters at their best for it.

    Parameters
    ----------
    clean : (4 + 2 R,) float
        The fit without noise.
    spectra : Spectra
        As `climb.regrouped` gives them.

    Returns
    -------
    score : (N_NOISE,) float
        Its standard deviation is the root of the diagonal of the information. 0, as the
        information, where the other parameters leave nothing, and for the decay of the pulse.
    information : (N_NOISE, N_NOISE) float
    """
    slopes = noise_slopes(clean, DECAY_PRIOR, spectra)
    n_runs, n = spectra.counts.shape
    n_clean = len(clean)
    score = np.zeros(n_clean + N_NOISE)
    information = np.zeros((len(score), len(score)))
    probability, gradient = np.empty(n), np.empty((N_PARAMETERS, n))
    parameters = np.empty(N_PARAMETERS)
    for run in range(n_runs):
        total = without_noise.model_run(clean, spectra, run, parameters, probability, gradient)
        at = _places_of(run, n_clean)
        by = np.concatenate([gradient, slopes[run]])
        # Where no flash is expected the slopes are those of a transform cut short: not used.
        slope = by / np.maximum(probability, LEAST_EXPECTED / total)
        # Against what is expected: the mean is then 0 however good the slopes are.
        score[at] += slope @ (spectra.counts[run] - total * probability)
        information[at[:, None], at] += total * (slope @ by.T)
    return profiled(score, information, n_clean)


@cache
def _places_of(run: int, n_clean: int) -> np.ndarray:
    """Places (6 + N_NOISE,) of what a run depends on: shared, its two, the noise."""
    first = N_SHARED + N_PER_RUN * run
    return np.r_[0:N_SHARED, first : first + N_PER_RUN, n_clean : n_clean + N_NOISE]


def profiled(score, information, n_clean: int) -> tuple[np.ndarray, np.ndarray]:
    """What the first `n_clean` parameters leave of score and information of the others.

    0 where they leave nothing, as of what changes nothing: the decay where there is no noise.
    """
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    information = information / np.outer(scale, scale)
    score = score / scale
    cross = information[:n_clean, n_clean:]
    explained = np.linalg.lstsq(information[:n_clean, :n_clean], cross, rcond=1e-10)[0]
    left = information[n_clean:, n_clean:] - explained.T @ cross
    pull = score[n_clean:] - explained.T @ score[:n_clean]
    kept = scale[n_clean:] * (np.diag(left) > LEAST_LEFT)
    return pull * kept, left * np.outer(kept, kept)


def noise_pulls(score, information) -> np.ndarray:
    """Score (N_NOISE,) in standard deviations; 0 where nothing is known."""
    deviation = np.sqrt(np.diag(information))
    return np.divide(score, deviation, out=np.zeros(len(score)), where=deviation > 0)
