"""Fits of single-photoelectron spectra with noise: whether there is any, which, and how much.

Noise is what `late_charges` describes: dark counts, afterpulses, delayed crosstalk. `explain`
begins at the fit without noise. Where the camera is known to have noise (`learn`), that is in
the model of every pixel. Elsewhere, where the score of some noise says that the likelihood would
rise (Rao's test), all of them are fitted, and those that are not clear are left out again.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from pixelcal.charge.spe.likelihood import Maximum, Spectra, is_at_limit
from pixelcal.charge.spe.noise.climb import (
    HOPELESS_MISFIT,
    NoisyMaximum,
    ascend,
    maximise,
    regrouped,
)
from pixelcal.charge.spe.noise.evidence import noise_evidence, noise_pulls
from pixelcal.charge.spe.noise.late_charges import DECAY, SPENT
from pixelcal.charge.spe.noise.priors import (
    DECAY_PRIOR,
    KINDS,
    NEIGHBOURS,
    PLACES,
    CameraNoise,
    NoisePrior,
    asked_and_possible,
    fitted_noise,
    general_prior,
    linear,
    no_noise,
)
from pixelcal.charge.spe.noise.spectrum import N_COMMON, peak_to_valley
from pixelcal.charge.spe.parameters import N_SHARED
from pixelcal.charge.spe.search import SAME

TRIED_SIGMA = 3.5
"""Noise is fitted where the score of some kind stands out by more: in one of 1000 pixels by chance.
The bias that less noise leaves is smaller than the statistical errors."""
KEPT_SIGMA = 3.0
"""Noise is kept where without it the deviance is larger by more than the square."""

START = 0.02
"""Of each kind, in avalanches per window or per avalanche."""
DECAY_STARTS = (0.3, 0.1, 0.9)
"""Where the search begins again."""
DOUBTFUL_SIGMA = 3.1
"""It does where the deviance is larger than expected by more."""
POOR_MISFIT = 0.1
"""It does not where a climb converged and the MISFIT is larger, beyond what is doubtful: no noise
explains such spectra."""
BEYOND_NOISE = 1.5
"""MISFIT of a fit without noise above which none is tried. Noise of all kinds makes 1.2 at most,
with a pedestal as narrow as 0.01 photoelectrons."""
TRIAL_ITERATIONS = 4
SETTLED_PEAK_VALLEY = 1.5
"""Peaks that rise over the valley by as much leave no doubt where they are."""


class FirstFits:
    """Fits with noise that begin at one fit without it, each made when it is first asked for.

    Parameters
    ----------
    counts : (R, n) float
    start : (R,) float
    width : float
    clean : (4 + 2 R,) float
        The fit without noise.
    moments : (m, 2) float
        `goodness_of_fit.moment_table()`.
    allowed : mapping of str to bool or None
        For each of `KINDS` whether it is in the model; None: the spectra decide. That cells have a
        limited number of neighbours (`NEIGHBOURS`) only a camera can show.
    camera : CameraNoise, optional
        What all pixels have. A pixel that it does not explain is fitted as if nothing were known.
    general : NoisePrior, optional
        Of any SiPM; without it `general_prior()`.
    """

    def __init__(
        self, counts, start, width: float, clean, moments, allowed, camera=None, general=None
    ):
        self.given, self.clean = (counts, start, width), clean
        self.moments, self.camera = moments, camera
        self.allowed, self.general = allowed, general or general_prior()
        self._peaks: dict[int, tuple[NoisyMaximum, tuple]] = {}
        self.asked, self.possible = asked_and_possible(allowed)
        if allowed.get(NEIGHBOURS):
            self.asked, self.possible = (*self.asked, NEIGHBOURS), (*self.possible, NEIGHBOURS)

    def moved_to(self, first: Maximum, clean: Maximum) -> FirstFits:
        """Those that begin at another fit `clean` than the `first`, where these began.

        A fit that is poor is not made again where both are at the same maximum.
        """
        if (first.theta == clean.theta).all():
            return self
        settings = self.moments, self.allowed, self.camera, self.general
        moved = FirstFits(*self.given, clean.theta, *settings)
        if abs(first.deviance - clean.deviance) < SAME:
            for name in ("usual", "alone"):
                found = self.__dict__.get(name)  # only where it was asked for
                if found is not None and _is_doubtful(found):
                    setattr(moved, name, found)
        return moved

    @cached_property
    def spectra(self) -> Spectra:
        """In bins that suit the fit without noise."""
        return regrouped(*self.given, self.clean)

    @cached_property
    def usual(self) -> NoisyMaximum | None:
        """With the noise of the camera; None where it has none."""
        if self.camera is None:
            return None
        return fit_with(self.camera, self.spectra, self.clean, self.asked, self.moments)

    @cached_property
    def alone(self) -> NoisyMaximum | None:
        """With all that is possible; None where the spectra show no noise."""
        possible = self.possible
        if not possible or not (self.asked or is_noisy(self.clean, self.spectra, possible)):
            return None
        theta = _with_noise(self.clean, possible, linear(self.general.centre)[DECAY])
        theta[N_SHARED + SPENT] = self.general.centre[SPENT]
        return maximise(theta, self.spectra, possible, self.general, self.moments)

    def peak_to_valley(self, found: NoisyMaximum) -> tuple[np.ndarray, np.ndarray]:
        """`spectrum.peak_to_valley` of a fit of this pixel, computed once."""
        if id(found) not in self._peaks:  # which is kept, so that its number is of no other
            flashes = self.given[0].sum(axis=1)
            self._peaks[id(found)] = found, peak_to_valley(found.theta, flashes)
        return self._peaks[id(found)][1]


def explain(
    counts,
    start,
    width: float,
    clean,
    more_starts,
    moments,
    allowed,
    camera=None,
    general=None,
) -> NoisyMaximum | None:
    """The fit with the noise of the camera, or that the spectra show; None where they show none.

    Parameters are those of `FirstFits`, and `more_starts`: returns points (m, 4 + 2 R) to begin at
    where the fit without noise is at the wrong place.
    """
    begun = FirstFits(counts, start, width, clean, moments, allowed, camera, general)
    return explain_further(begun, more_starts)


def explain_further(begun: FirstFits, more_starts) -> NoisyMaximum | None:
    """As `explain`, with the fits that are made already."""
    usual = begun.usual
    if usual is not None and not _is_doubtful(usual):
        return usual
    found = _explain_alone(begun, more_starts)
    both = usual is not None and found is not None and usual.converged
    return usual if both and _excess(usual) <= _excess(found) else found


def explain_at_once(begun: FirstFits, clean: Maximum) -> NoisyMaximum | None:
    """As `explain`, from one start; None where that does not settle it.

    `clean` is the fit without noise of `begun`, and it is not convincing. The fit with noise is, if
    its deviance is that of chance and its peaks are resolved.
    """
    if not clean.converged or is_at_limit(clean) or clean.at_limit[N_SHARED:].any():
        return None
    if is_beyond_noise(clean, begun.given[0]):
        return None
    if begun.usual is not None and _is_settled(begun.usual, begun):
        return begun.usual
    if begun.alone is None or not _is_settled(begun.alone, begun):
        return None
    return _clear_noise(begun.alone, begun, begun.spectra)


def _is_settled(found: NoisyMaximum, begun: FirstFits) -> bool:
    """Whether no other start needs to be tried."""
    return not _is_doubtful(found) and begun.peak_to_valley(found)[0].min() >= SETTLED_PEAK_VALLEY


def fit_with(camera: CameraNoise, spectra: Spectra, clean, asked, moments) -> NoisyMaximum:
    """The fit of a pixel with the noise of its camera, and with what is `asked` for."""
    kinds = tuple(kind for kind in PLACES if kind in camera.kinds or kind in asked)
    theta = _with_noise(clean, kinds, DECAY_PRIOR)
    typical = np.flatnonzero(fitted_noise(camera.kinds))
    theta[N_SHARED + typical] = linear(camera.prior.centre)[typical]
    return maximise(theta, spectra, kinds, camera.prior, moments)


def _explain_alone(begun: FirstFits, more_starts) -> NoisyMaximum | None:
    """The fit with the noise that the spectra of this pixel show, as `explain`."""
    found, spectra = begun.alone, begun.spectra
    if found is None:
        return None
    if _is_given_up(found, spectra):
        return None
    if _is_doubtful(found) and not _is_poor(found, spectra):
        starts = (begun.clean, *more_starts())
        best = _best_start(starts, spectra, begun.possible, begun.general)
        spectra = regrouped(*begun.given, _plain(best))
        other = maximise(best, spectra, begun.possible, begun.general, begun.moments)
        found = other if other.converged and _excess(other) < _excess(found) else found
    if _is_doubtful(found):
        # No noise explains these spectra: as poor with it as without.
        return found if found.converged or begun.asked else None
    return _clear_noise(found, begun, spectra)


def _clear_noise(found: NoisyMaximum, begun: FirstFits, spectra) -> NoisyMaximum | None:
    """The fit without the noise that is not clear, if it was not asked for.

    Afterpulses and delayed crosstalk go together: where the spectra show one of them they do not
    say surely which, and the errors must know both.
    """
    for group in (("dark_counts",), ("afterpulses", "delayed_crosstalk")):
        left_out = [kind for kind in group if kind in found.kinds and kind not in begun.asked]
        if not left_out or not found.converged:
            continue
        theta = found.theta.copy()
        for kind in left_out:
            theta[N_SHARED + np.array(KINDS[kind])] = 0.0
        kinds = tuple(kind for kind in found.kinds if kind not in left_out)
        without = maximise(theta, spectra, kinds, begun.general, begun.moments)
        if without.deviance - found.deviance < KEPT_SIGMA**2:
            found = without
    return found if found.kinds else None


def _best_start(starts, spectra: Spectra, kinds, prior: NoisePrior) -> np.ndarray:
    """Where some steps lead from the best of the starts (4 + 2 R,), with the best decay."""
    theta = _first_of(
        (_with_noise(theta, kinds, DECAY_STARTS[0]) for theta in starts), spectra, kinds, prior
    )
    begun = []
    for decay in DECAY_STARTS:
        begun.append(theta.copy())
        begun[-1][N_SHARED + DECAY] = decay
    return _first_of(begun, spectra, kinds, prior)


def _first_of(starts, spectra: Spectra, kinds, prior: NoisePrior) -> np.ndarray:
    """The best of the points to which some steps lead from the starts (p,)."""
    begun = [ascend(theta, spectra, kinds, prior, TRIAL_ITERATIONS) for theta in starts]
    return min(begun, key=lambda found: found[1])[0]


def _excess(found: NoisyMaximum) -> float:
    """By how many standard deviations the deviance is larger than expected."""
    deviance, mean, variance, _ = found.goodness
    return (deviance - mean) / math.sqrt(variance)


def _is_doubtful(found: NoisyMaximum) -> bool:
    """Whether there may be a better maximum elsewhere."""
    return not found.converged or _excess(found) > DOUBTFUL_SIGMA


def is_beyond_noise(clean: Maximum, counts) -> bool:
    """Whether counts (R, n) are so far from their fit without noise that no noise explains them."""
    return _excess_per_flash(clean, counts) > BEYOND_NOISE**2


def _is_given_up(found: NoisyMaximum, spectra: Spectra) -> bool:
    """Whether a climb ended far from any acceptable fit, without a maximum."""
    return not found.converged and _excess_per_flash(found, spectra.counts) > HOPELESS_MISFIT**2


def _is_poor(found: NoisyMaximum, spectra: Spectra) -> bool:
    """Whether a maximum is so far from the spectra that no other will be near."""
    return found.converged and _excess_per_flash(found, spectra.counts) > POOR_MISFIT**2


def _excess_per_flash(found, counts) -> float:
    deviance, mean, _, _ = found.goodness
    return (deviance - mean) / float(counts.sum())


def _plain(theta) -> np.ndarray:
    return np.r_[theta[:N_SHARED], theta[N_COMMON:]]


def _with_noise(theta, kinds, decay: float) -> np.ndarray:
    """A start (N_COMMON + 2 R,) at a fit without noise (4 + 2 R,)."""
    noise = no_noise(decay)
    for kind in kinds:
        if kind in KINDS:
            noise[KINDS[kind]] = START / len(KINDS[kind])
    return np.r_[theta[:N_SHARED], noise, theta[N_SHARED:]]


def is_noisy(clean, spectra: Spectra, kinds) -> bool:
    """Whether the likelihood rises with some of the kinds, at the fit without any noise."""
    places = np.concatenate([KINDS[kind] for kind in kinds if kind in KINDS]).astype(int)
    return bool((noise_pulls(*noise_evidence(clean, spectra))[places] > TRIED_SIGMA).any())
