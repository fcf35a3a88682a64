"""Noise that all pixels of a camera have, learnt from some of them: `learn_camera_noise`.

A single pixel shows only noise that is large. What all pixels have in common is seen in many of
them together, and is then in the model of each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.fit import SpeOptions
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise.adequacy import Adequacy, adequacy_of
from pixelcal.charge.spe.noise.climb import regrouped
from pixelcal.charge.spe.noise.evidence import noise_evidence
from pixelcal.charge.spe.noise.fit import (
    DECAY_STARTS,
    START,
    TRIED_SIGMA,
    explain,
    is_beyond_noise,
)
from pixelcal.charge.spe.noise.late_charges import DECAY, LOSS, N_NOISE, SPENT
from pixelcal.charge.spe.noise.population import (
    MAX_ITERATIONS,
    UNUSUAL_SIGMA,
    Shared,
    camera_noise,
    climb_together,
    gain_of,
    unusual,
)
from pixelcal.charge.spe.noise.priors import (
    KINDS,
    LOSS_SPREAD,
    NEIGHBOURS,
    CameraNoise,
    NoisePrior,
    asked_and_possible,
    general_prior,
    linear,
    logarithmic,
    no_noise,
)
from pixelcal.charge.spe.noise.spectrum import N_COMMON, goodness_of_fit
from pixelcal.charge.spe.parameters import N_SHARED, V_PED
from pixelcal.charge.spe.search import LIGHT_EVIDENCE, fit_pixel, other_starts
from pixelcal.numerics.goodness_of_fit import moment_table

MOST_TEACHERS = 128
"""Pixels that are looked at, evenly over the camera: the mean is then known 11 times as well as in
a single pixel."""
FEWEST_TEACHERS = 8
N_EXPLAINED = 12
"""Pixels whose noise is found without any knowledge; the starts of the others are tried on them."""
TRIAL_ITERATIONS, SETTLING_ITERATIONS = 12, 6
SEEN_SIGMA = 5.0
"""Noise is fitted where the scores of all pixels together stand out by more. Charges of waveforms
are not quite what the model says: a few sigma of many pixels are no noise yet."""
LEAST_GAIN = 0.02
"""By which the deviance of a pixel must be lower in the mean with some noise: less shifts no
quantity by more than 0.14 of its error."""
KEPT_SIGMA = 3.0
FIRST_SPENT = 0.1
"""One over the number of neighbours that the search begins with."""
KNOWN_DECAY = 0.1
"""Relative error of the decay of a pulse that is known."""
GROUPS = (("dark_counts",), ("afterpulses", "delayed_crosstalk"))
"""Kinds that are in the model together, since spectra hardly tell them apart."""
OBVIOUS = 10.0
"""A deviance that is larger without some noise by this factor of what is needed, by the parabola at
the maximum, need not be computed."""


class LearntNoise(NamedTuple):
    """What is known of the noise of a camera.

    camera : CameraNoise or None
        None where the pixels show no noise.
    n_teachers : int
        Pixels that it was learnt from.
    adequacy : Adequacy, or None
        Whether their spectra are those of the model; None with fewer than `FEWEST_TEACHERS`.
    """

    camera: CameraNoise | None
    n_teachers: int
    adequacy: Adequacy | None = None


class Teacher(NamedTuple):
    """A pixel to learn from: its spectra, as given and as fitted, and its fit without noise."""

    counts: np.ndarray
    start: np.ndarray
    width: float
    spectra: Spectra
    clean: np.ndarray


def learn_camera_noise(counts, start, width, options: SpeOptions) -> LearntNoise:
    """Learn the noise of a camera from the spectra of its pixels.

    Parameters
    ----------
    counts, start, width
        As for `fit.fit_pixels`.
    options : SpeOptions
    """
    moments = moment_table()
    teachers = choose_teachers(counts, start, width, options, moments)
    allowed, general = options.allowed, options.general
    _, kinds = asked_and_possible(allowed)
    if len(teachers) < FEWEST_TEACHERS:
        return LearntNoise(None, len(teachers))
    pull = _pull_together(teachers)
    if not kinds or not _is_noisy(pull, kinds, len(teachers)):
        return _without_noise(teachers, pull, options)
    if allowed[NEIGHBOURS]:
        kinds = (*kinds, NEIGHBOURS)
    shared, teachers = _fit_together(teachers, kinds, allowed, moments, general)
    for group in GROUPS:
        left_out = [kind for kind in group if kind in kinds and not allowed[kind]]
        fewer = tuple(kind for kind in kinds if kind not in left_out)
        needed = max(KEPT_SIGMA**2, LEAST_GAIN * len(teachers))
        if not left_out or gain_of(shared, kinds, left_out, general) > OBVIOUS * needed:
            continue
        without = _climb(teachers, shared.clean, shared.noise, fewer, general)
        if without.deviance - shared.deviance < needed:
            shared, kinds = without, fewer
    if not any(kind in KINDS for kind in kinds) or not shared.converged:
        return _without_noise(teachers, pull, options)
    shared, general = _with_loss(teachers, shared, kinds, general, options)
    shared, kinds = _with_neighbours(teachers, shared, kinds, general, allowed)
    # What the crosstalk of afterpulses lacks may be clear only beside the right law of crosstalk.
    shared, general = _with_loss(teachers, shared, kinds, general, options)
    return _learnt(teachers, shared, kinds, general)


def _learnt(teachers: list[Teacher], shared: Shared, kinds, general: NoisePrior) -> LearntNoise:
    camera = camera_noise(shared, kinds, general)
    spectra = [teacher.spectra for teacher in teachers]
    adequacy = adequacy_of(spectra, shared.clean, shared.noise)
    # As for measurements that scatter by more than their errors: these are too small by the same.
    camera = camera._replace(systematic=adequacy.scale * camera.systematic)
    return LearntNoise(camera, len(teachers), adequacy)


def _without_noise(teachers: list[Teacher], pull, options: SpeOptions) -> LearntNoise:
    """What is learnt of a camera without noise: whether its cells have few neighbours."""
    spectra = [teacher.spectra for teacher in teachers]
    clean, none = np.array([teacher.clean for teacher in teachers]), no_noise()
    allowed, general = options.allowed, options.general
    if allowed[NEIGHBOURS] or pull[SPENT] > _needed_pull(len(teachers)):
        shared = _climb(teachers, clean, none, (), general)
        shared, kinds = _with_neighbours(teachers, shared, (), general, allowed)
        if kinds and shared.converged:
            return _learnt(teachers, shared, kinds, general)
    return LearntNoise(None, len(teachers), adequacy_of(spectra, clean, none))


def _with_neighbours(teachers, shared: Shared, kinds, general: NoisePrior, allowed):
    """The fits with a limited number of neighbours of a cell, where spectra show it; the kinds."""
    if NEIGHBOURS in kinds or allowed[NEIGHBOURS] is False:
        return shared, kinds
    begin = shared.noise.copy()
    begin[SPENT] = general.centre[SPENT] or FIRST_SPENT
    more = (*kinds, NEIGHBOURS)
    found = _climb(teachers, shared.clean, begin, more, general)
    needed = max(KEPT_SIGMA**2, LEAST_GAIN * len(teachers))
    clear = found.converged and shared.deviance - found.deviance > needed
    return (found, more) if clear or allowed[NEIGHBOURS] else (shared, kinds)


def describe(learnt: LearntNoise) -> str:
    """One line on what was found."""
    if learnt.camera is None:
        return f"no noise in common in {learnt.n_teachers} pixels"
    noise = linear(learnt.camera.prior.centre)
    parts = [
        f"{name} {noise[KINDS[kind]].sum():.4f}"
        for kind, name in zip(
            KINDS, ("dark counts", "afterpulses", "delayed crosstalk"), strict=True
        )
        if kind in learnt.camera.kinds
    ]
    if parts:
        parts.append(f"decay {noise[DECAY]:.3f} windows")
    if noise[SPENT] > 0.0:
        parts.append(f"crosstalk to {1.0 / noise[SPENT]:.1f} neighbours")
    return f"noise of {learnt.n_teachers} pixels: {', '.join(parts)}"


def tell_adequacy(learnt: LearntNoise, misfit_limit: float) -> str:
    """What is to be said where the spectra are not quite those of the model; else ""."""
    of = learnt.adequacy
    if of is None or not of.is_clear or of.misfit <= misfit_limit:
        return ""
    wider = (
        f"; the uncertainties _SYS from the noise are {math.sqrt(of.scale):.1f} times as large as"
        " otherwise"
        if learnt.camera is not None
        else ""
    )
    return (
        f"the spectra of {learnt.n_teachers} pixels together are not those of the model within"
        f" counting errors (chi-square {of.chi_square:.0f} for {of.dof}, misfit"
        f" {100 * of.misfit:.1f} %): crosstalk may be off by more than its error{wider}"
    )


def choose_teachers(counts, start, width, options: SpeOptions, moments) -> list[Teacher]:
    """Pixels with a fit without noise, evenly over the camera."""
    flashes = counts.sum(axis=2).min(axis=1)
    possible = np.flatnonzero(flashes >= max(options.min_flashes, 1))
    n = min(len(possible), MOST_TEACHERS)
    chosen = possible[np.linspace(0, len(possible) - 1, n).round().astype(int)] if n else []
    teachers = []
    for pixel in chosen:
        given = counts[pixel].astype(float), start[pixel], float(width[pixel])
        found, evidence = fit_pixel(*given, options.pe_guess, moments)
        lit = found.converged and evidence >= LIGHT_EVIDENCE
        if lit and not is_beyond_noise(found, given[0]):
            teachers.append(Teacher(*given, regrouped(*given, found.theta), found.theta))
    return teachers


def _is_noisy(pull, kinds, n_teachers: int) -> bool:
    """Whether the pixels together show noise of some kind, and enough of it to matter."""
    places = np.concatenate([KINDS[kind] for kind in kinds]).astype(int)
    return bool((pull[places] > _needed_pull(n_teachers)).any())


def _needed_pull(n_teachers: int) -> float:
    return max(SEEN_SIGMA, math.sqrt(LEAST_GAIN * n_teachers))


def _pull_together(teachers: list[Teacher]) -> np.ndarray:
    """Scores (N_NOISE,) of the noise in all pixels together, in standard deviations."""
    each = [noise_evidence(teacher.clean, teacher.spectra) for teacher in teachers]
    score = np.array([score for score, _ in each])
    variance = np.array([np.diag(information) for _, information in each])
    pull = np.divide(score, np.sqrt(variance), out=np.zeros_like(score), where=variance > 0)
    weight = np.minimum(TRIED_SIGMA / np.maximum(np.abs(pull), 1e-12), 1.0)
    together = np.sum(weight * score, axis=0)
    deviation = np.sqrt(np.sum(weight**2 * variance, axis=0))
    return np.divide(together, deviation, out=np.zeros(N_NOISE), where=deviation > 0)


def _with_loss(teachers, shared: Shared, kinds, general: NoisePrior, options: SpeOptions):
    """What the crosstalk of afterpulses lacks as fitted, where spectra tell: fits and prior.

    They do where the pulse is known, so that a charge tells how far its cell had recovered.
    """
    decay = camera_noise(shared, kinds, general).systematic[DECAY, DECAY]
    fixed = general.precision[LOSS, LOSS] > LOSS_SPREAD**-2
    if "afterpulses" not in kinds or decay > KNOWN_DECAY**2 or not fixed:
        return shared, general
    free = general_prior(options.pulse_decay, options.crosstalk_neighbours, LOSS_SPREAD)
    found = _climb(teachers, shared.clean, shared.noise, kinds, free)
    if not found.converged or shared.deviance - found.deviance < KEPT_SIGMA**2:
        return shared, general
    return found, free


def _fit_together(
    teachers, kinds, allowed, moments, general: NoisePrior
) -> tuple[Shared, list[Teacher]]:
    """The noise that the teachers share, and those of them that share it.

    Each start is tried twice: all at once, and the other parameters of the pixels first.
    """
    clean = np.array([teacher.clean for teacher in teachers])
    some = slice(None, None, max(len(teachers) // N_EXPLAINED, 1))
    begun = []
    for noise in _starts(teachers[some], allowed, moments, general):
        settled = _climb(
            teachers[some], clean[some], noise, kinds, general, SETTLING_ITERATIONS, frozen=True
        )
        begun += [
            _climb(teachers[some], each, noise, kinds, general, TRIAL_ITERATIONS)
            for each in (clean[some], settled.clean)
        ]
    best = min(begun, key=lambda shared: shared.deviance)
    # The noise is near its place: the other parameters follow first, or it would leave again.
    settled = _climb(teachers, clean, best.noise, kinds, general, SETTLING_ITERATIONS, frozen=True)
    shared = _climb(teachers, settled.clean, best.noise, kinds, general)
    strange = unusual(shared, kinds) | _fits_worse(teachers, shared, moments)
    if strange.any() and len(teachers) - strange.sum() >= FEWEST_TEACHERS:
        teachers = [each for each, left_out in zip(teachers, strange, strict=True) if not left_out]
        shared = _climb(teachers, shared.clean[~strange], shared.noise, kinds, general)
    return shared, teachers


def _climb(
    teachers, clean, noise, kinds, general, max_iterations: int = MAX_ITERATIONS, frozen=False
) -> Shared:
    spectra = [teacher.spectra for teacher in teachers]
    return climb_together(spectra, clean, noise, kinds, max_iterations, frozen, general)


def _starts(teachers, allowed, moments, general: NoisePrior) -> list[np.ndarray]:
    """Noise to begin with: what the pixels show by themselves, or a little, and other decays."""
    found = []
    for teacher in teachers:
        noisy = explain(
            teacher.counts, teacher.start, teacher.width, teacher.clean,
            lambda teacher=teacher: other_starts(
                teacher.counts, teacher.start, teacher.width, np.nan
            ),
            moments, allowed, general=general,
        )  # fmt: skip
        if noisy is not None and noisy.converged:
            found.append(logarithmic(noisy.theta[N_SHARED:N_COMMON]))
    little = np.where(no_noise() > 0.0, no_noise(), START)
    starts = [linear(np.median(found, axis=0))] if found else [little]
    for decay in DECAY_STARTS:
        starts.append(np.maximum(starts[0], 0.2 * little))
        starts[-1][DECAY] = decay
    return starts


def _fits_worse(teachers, shared: Shared, moments) -> np.ndarray:
    """Which pixels (n,) the shared noise fits worse than the others."""
    excess = np.empty(len(teachers))
    for i, (teacher, clean) in enumerate(zip(teachers, shared.clean, strict=True)):
        theta = np.concatenate([clean[:N_SHARED], shared.noise, clean[N_SHARED:]])
        group = max(int(np.sqrt(theta[V_PED]) / teacher.spectra.width), 1)
        deviance, mean, variance, _ = goodness_of_fit(theta, teacher.spectra, group, moments)
        excess[i] = (deviance - mean) / np.sqrt(variance)
    middle = np.median(excess)
    scatter = 1.4826 * np.median(np.abs(excess - middle))
    return excess > middle + UNUSUAL_SIGMA * max(scatter, 1.0)
