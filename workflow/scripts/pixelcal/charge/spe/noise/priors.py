"""What is known of noise before the spectra of a pixel are looked at."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE,
    DARK,
    DECAY,
    DELAY,
    DELAYED,
    LOSS,
    N_NOISE,
    SPENT,
)

KINDS = {
    "dark_counts": [DARK],
    "afterpulses": list(range(AFTERPULSE, DELAYED)),
    "delayed_crosstalk": [DELAYED],
}
"""How much there is of each kind of noise."""
NEIGHBOURS = "neighbours"
"""That cells have a limited number of neighbours, which is in the model like a kind of noise."""
PLACES = {**KINDS, NEIGHBOURS: [SPENT]}

LOGARITHMIC = [DECAY, DELAY]
"""Parameters whose logarithm has a normal prior: times."""

DECAY_PRIOR, DECAY_SPREAD = 0.25, 0.7
"""Decay of the pulse: a log-normal prior, a factor of 2 to each side. Charges say little about it
where there is little noise, and then little depends on it."""
DELAY_PRIOR, DELAY_SPREAD = 0.3, 0.7
"""Time constant of delayed crosstalk, likewise."""
PULSE_SPREAD = 0.05
"""Relative error of a decay that is known from elsewhere."""
LOSS_PRIOR, LOSS_SPREAD, LOSS_FIXED = 1.0, 0.5, 1e-3
"""What the crosstalk of an afterpulse lacks: as much as its charge; less where a camera says so."""
SPENT_SPREAD, SPENT_FIXED = 0.25, 1e-4
"""One over the number of neighbours: between that of four, and 0."""
FOLLOWING_SCALE = {"afterpulses": 0.2, "delayed_crosstalk": 0.03}
"""Standard deviation of a normal prior of each weight, per avalanche: SiPMs have less. It decides
where charges say as little about delayed crosstalk as for pulses that are much shorter than the
window; the error of a clear measurement is a tenth of it."""


def asked_and_possible(allowed, kinds=tuple(KINDS)) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which of some kinds the user wants in the model, and which may be in it.

    `allowed` says of each whether it is in the model; None: the spectra decide.
    """
    return (
        tuple(kind for kind in kinds if allowed.get(kind)),
        tuple(kind for kind in kinds if allowed.get(kind) is not False),
    )


class NoisePrior(NamedTuple):
    """A normal prior of the noise of a pixel: of `logarithmic` noise, times by their logarithm.

    centre : (N_NOISE,) float
    precision : (N_NOISE, N_NOISE) float, inverse of the covariance; 0 where nothing is known
    """

    centre: np.ndarray
    precision: np.ndarray

    def of(self, fitted) -> NoisePrior:
        """The prior of what is `fitted` (N_NOISE,) alone."""
        return NoisePrior(self.centre, self.precision * np.outer(fitted, fitted))

    def penalty(self, noise) -> tuple[float, np.ndarray, np.ndarray]:
        """What it adds to deviance, score (N_NOISE,) and information (N_NOISE, N_NOISE)."""
        slope = slope_of_logarithm(noise)
        pull = self.precision @ (logarithmic(noise) - self.centre)
        off = logarithmic(noise) - self.centre
        return float(off @ pull), -pull * slope, self.precision * np.outer(slope, slope)


class CameraNoise(NamedTuple):
    """Noise that all pixels of a camera have: what the fit of a pixel begins with.

    kinds : those of `PLACES` that are in the model of every pixel
    prior : of a pixel around the mean of the camera, as pixels differ
    systematic : (N_NOISE, N_NOISE) float, covariance of that mean, `logarithmic`
    """

    kinds: tuple[str, ...]
    prior: NoisePrior
    systematic: np.ndarray


def logarithmic(noise) -> np.ndarray:
    """Noise (..., N_NOISE) with the logarithms of times in place of the times."""
    changed = np.array(noise, float)
    changed[..., LOGARITHMIC] = np.log(changed[..., LOGARITHMIC])
    return changed


def linear(noise) -> np.ndarray:
    """Inverse of `logarithmic`."""
    changed = np.array(noise, float)
    changed[..., LOGARITHMIC] = np.exp(changed[..., LOGARITHMIC])
    return changed


def slope_of_logarithm(noise) -> np.ndarray:
    """Derivatives (N_NOISE,) of `logarithmic` by the noise."""
    slope = np.ones(N_NOISE)
    slope[LOGARITHMIC] = 1.0 / noise[LOGARITHMIC]
    return slope


def fitted_noise(kinds) -> np.ndarray:
    """Which noise (N_NOISE,) is fitted, with some of `PLACES` in the model."""
    fitted = np.zeros(N_NOISE, bool)
    for kind in kinds:
        fitted[PLACES[kind]] = True
    fitted[DECAY], fitted[DELAY] = (
        any(kind in KINDS for kind in kinds),
        "delayed_crosstalk" in kinds,
    )
    fitted[LOSS] = "afterpulses" in kinds
    return fitted


def no_noise(decay: float = DECAY_PRIOR) -> np.ndarray:
    """Noise (N_NOISE,) of which there is none, with the times that some would have."""
    noise = np.zeros(N_NOISE)
    noise[DECAY], noise[DELAY], noise[LOSS] = decay, DELAY_PRIOR, LOSS_PRIOR
    return noise


def general_prior(
    pulse_decay: float | None = None,
    neighbours: float | None = None,
    loss_spread: float = LOSS_FIXED,
) -> NoisePrior:
    """Of any SiPM: the decay within a factor of 2, not more that follows than SiPMs have.

    `pulse_decay`, in windows, is that of a pulse that is known; `neighbours`, the number that a
    cell can fire, where it is known; `loss_spread`, how far the loss of crosstalk of afterpulses
    may be from `LOSS_PRIOR`.
    """
    centre, precision = np.zeros(N_NOISE), np.zeros(N_NOISE)
    centre[DECAY], precision[DECAY] = math.log(DECAY_PRIOR), DECAY_SPREAD**-2
    if pulse_decay is not None:
        centre[DECAY], precision[DECAY] = math.log(pulse_decay), PULSE_SPREAD**-2
    centre[DELAY], precision[DELAY] = math.log(DELAY_PRIOR), DELAY_SPREAD**-2
    centre[LOSS], precision[LOSS] = LOSS_PRIOR, loss_spread**-2
    precision[SPENT] = SPENT_SPREAD**-2
    if neighbours:
        centre[SPENT], precision[SPENT] = 1.0 / neighbours, SPENT_FIXED**-2
    for kind, scale in FOLLOWING_SCALE.items():
        precision[KINDS[kind]] = scale**-2
    return NoisePrior(centre, np.diag(precision))
