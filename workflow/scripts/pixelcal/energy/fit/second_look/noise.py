"""Electronic noise in the lowest block of lines: fitted with it, where it may be there.

Noise rises steeply towards low energy, and the threshold cuts it off. What is left looks like a
line; where it reaches into the lowest block, a fit takes it for one of the block's, and no other
block need contradict, for with few counts they cannot tell. Pixels in whose spectrum noise may hide
are therefore fitted with it as a component of the block: an exponential above the threshold, of
several scales, from the relation that was found and from a seed that does not know the block.

The alternatives are weighed by their posterior probabilities, and their relations averaged: the
covariance is the mean one and that of their scatter (Bayesian model averaging, Hoeting et al. 1999,
Statistical Science 14, 382). Where noise can be neither seen nor excluded the errors say so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.checks.threshold import LOWEST, has_near_threshold, has_spoilt_edge
from pixelcal.energy.fit.joint import Deviations, fit_joint, unlikeness
from pixelcal.energy.fit.model import PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.relation import put_covariance, relation_covariance
from pixelcal.energy.response.line_shape import FWHM_PER_SIGMA
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.energy.response.tables import (
    Templates,
    continuum_counts,
    place_of_noise,
    with_noise,
)
from pixelcal.status import has_valid_fit

SCALES = (0.27, 0.4, 0.6, 0.85, 1.25)
"""Scales of the exponential that are tried, in FWHM of the lowest line: what is much steeper is
gone above the threshold, what is flatter is continuum."""

FIRST_SCALE = 2
"""The scale that is tried first."""

NOISY = 0.2
"""Fraction of the pixels with noise in the lowest block, before their counts are seen."""

TRIED = 2.0 * np.log((1.0 - NOISY) / (NOISY / len(SCALES)))
"""What one of the scales has to make up for."""

FEWEST_COUNTS = 0.5
"""Less noise is none."""

LEAST_GAIN = 2.0
"""Noise counts where it lowers -2 ln L by more: by less it is by chance, and moves nothing."""

FAR_FWHM = 0.3
"""From a seed that is nearer than this to the fit, in FWHM of the lowest line, fits end where they
do from there."""

SAME_KEV = 0.01
"""Fits that end so near to each other are one."""

EXCLUDED = 0.01
"""Noise that is less probable is not there."""


class Alternative(NamedTuple):
    """Fits of m pixels by one hypothesis.

    Attributes
    ----------
    relation : (m, 2) float
        Gain (keV/channel) and offset (keV).
    covariance : (m, 2, 2) float
    nearby : (m, 2 + n_blocks + n_groups) float
        The other parameters, as `fit_joint` takes them.
    noise : (m,) float
        Counts of noise in the lowest block.
    badness : (m,) float
        Minus twice the logarithm of the posterior probability, but for a constant; infinite without
        a valid fit.
    """

    relation: np.ndarray
    covariance: np.ndarray
    nearby: np.ndarray
    noise: np.ndarray
    badness: np.ndarray


def fit_noise(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """Fit the pixels in whose lowest block noise may hide with it; replaces rows (n,) of both.

    NOISE is then the counts of noise in the block; 0 of the others.
    """
    fits["NOISE"] = np.where(has_valid_fit(fits["STATUS"]), 0.0, np.nan)
    if len(data.templates.limits) < 2:
        return
    fwhm_keV = FWHM_PER_SIGMA * float(data.shape.sigma(data.templates.ends[0]))
    rows = np.flatnonzero(may_hide_noise(fits, found, data))
    if not len(rows):
        return
    plain = _without_noise(rows, fits, found, data)
    seeds = data.starts_without(LOWEST, rows)
    scales = [with_noise(data.templates, LOWEST, part * fwhm_keV) for part in SCALES]
    likely = np.zeros(len(rows), bool)
    first = _from_both(rows, plain, seeds, scales[FIRST_SCALE], fwhm_keV, data)
    for one in first:
        likely |= np.isfinite(one.badness) & (one.badness < plain.badness + TRIED - LEAST_GAIN)
    rows, seeds, plain = rows[likely], seeds[likely], _taken(plain, likely)
    if not len(rows):
        return
    fitted = [
        [_taken(one, likely) for one in first]
        if k == FIRST_SCALE
        else _from_both(rows, plain, seeds, templates, fwhm_keV, data)
        for k, templates in enumerate(scales)
    ]
    _keep_average(rows, plain, fitted, scales, fits, found, data)


def may_hide_noise(fits: np.ndarray, found: Deviations, data: Doubtful) -> np.ndarray:
    """In which pixels (n,) noise may hide in the lowest block, bool.

    Whatever relation the noise has led to: a threshold is near to the lines then, or noise below
    them. And pixels whose fit has a STATUS.
    """
    valid = has_valid_fit(fits["STATUS"])
    gain = np.where(valid, fits["GAIN"], data.gain)
    offset = np.where(valid, fits["OFFSET"], data.offset)
    lowest, level = fits["LOWEST_CHANNEL"], found.normalisation[:, LOWEST]
    suspect = has_spoilt_edge(data.counts, gain, offset, lowest, level, data.templates)
    tried = has_near_threshold(data.counts, gain, offset, data.templates)
    tried &= fits["COUNTS"] >= data.options.min_counts
    return tried & (suspect | (fits["STATUS"] != 0))


def _taken(one: Alternative, rows) -> Alternative:
    """An alternative for some of its pixels."""
    return Alternative(*(values[rows] for values in one))


def _badness(fits, found: Deviations, scale: np.ndarray) -> np.ndarray:
    """As of `Alternative`, without its prior probability; `scale` is that of the population prior.

    What is expected of a deviance is taken off: a threshold may leave out other channels.
    """
    total = found.block_misfit.sum(axis=1) + unlikeness(found.value, scale)
    return np.where(has_valid_fit(fits["STATUS"]), total, np.inf)


def _without_noise(rows, fits, found: Deviations, data: Doubtful) -> Alternative:
    """The alternative that there is none: the fits `rows` (m,) as they are."""
    found, fits = Deviations(*(values[rows] for values in found)), fits[rows]
    badness = _badness(fits, found, data.templates.population_scale) - 2.0 * np.log(1.0 - NOISY)
    relation = np.column_stack([fits["GAIN"], fits["OFFSET"]])
    return Alternative(
        relation, relation_covariance(fits), found.nearby, np.zeros(len(fits)), badness
    )


def _from_both(rows, plain: Alternative, seeds, templates: Templates, fwhm_keV: float, data):
    """The two fits with noise: from the fit without, and from the seed, where that is elsewhere."""
    known = np.isfinite(plain.badness)
    start = np.where(known[:, None], plain.relation, seeds)
    one = _with_noise(rows, start, plain.nearby, templates, data)
    other = Alternative(*(np.full_like(values, np.nan) for values in one))
    other.badness[:] = np.inf
    far = np.flatnonzero(_apart(start, seeds) > FAR_FWHM * fwhm_keV)
    if len(far):
        from_seed = _with_noise(rows[far], seeds[far], None, templates, data)
        same = _apart(from_seed.relation, one.relation[far]) < SAME_KEV
        from_seed.badness[same] = np.inf
        for values, new in zip(other, from_seed, strict=True):
            values[far] = new
    for alternative in (one, other):
        # Without noise it is the fit that is known already.
        alternative.badness[known & ~(alternative.noise > FEWEST_COUNTS)] = np.inf
    return [one, other]


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far (m,), keV, relations (m, 2) are from each other at most between the pivots."""
    gain, offset = (one - other).T
    return np.maximum(*(np.abs(gain * pivot + offset) for pivot in (PIVOT_LOW, PIVOT_HIGH)))


def _with_noise(rows, start, nearby, templates: Templates, data: Doubtful) -> Alternative:
    """The fits with the noise of `templates`, from relations `start` (m, 2)."""
    place = len(templates.limits) + place_of_noise(templates, LOWEST)
    if nearby is not None:
        nearby = np.insert(nearby, N_OF_SHAPE + place, 0.0, axis=1)
    pixels = data.counts[rows], rows, *start.T, templates, data.options
    fits, found = fit_joint(*pixels, nearby=nearby, added_up=False)
    noise = found.normalisation[:, place] * continuum_counts(templates, LOWEST)
    badness = _badness(fits, found, templates.population_scale) - 2.0 * np.log(NOISY / len(SCALES))
    relation = np.column_stack([fits["GAIN"], fits["OFFSET"]])
    return Alternative(relation, relation_covariance(fits), found.nearby, noise, badness)


def _keep_average(rows, plain, fitted, scales, fits, found: Deviations, data: Doubtful) -> None:
    """Put the best alternative of each pixel in `fits` and `found`, with the mean relation of all.

    `fitted` has the alternatives of each of the `scales`.
    """
    alternatives = [plain, *(one for pair in fitted for one in pair)]
    badness = np.array([one.badness for one in alternatives])
    weights = np.exp(0.5 * (badness.min(axis=0) - badness))
    weights /= sum(weights)  # one after the other, as in `_averaged`
    noisy = weights[0] < 1.0 - EXCLUDED
    weights, best = weights[:, noisy], badness[:, noisy].argmin(axis=0)
    rows, alternatives = rows[noisy], [_taken(one, noisy) for one in alternatives]
    for k, one in enumerate(alternatives[1:]):
        of_best = np.flatnonzero(best == k + 1)
        if len(of_best):
            known = _taken(one, of_best)
            _fit_again(rows[of_best], known, scales[k // 2], fits, found, data)
    fits["NOISE"][rows] = _averaged(weights, [one.noise for one in alternatives])
    relation = _averaged(weights, [one.relation for one in alternatives])
    apart = [one.relation - relation for one in alternatives]
    scatter = [one[:, :, None] * one[:, None, :] for one in apart]
    of_each = [one.covariance for one in alternatives]
    covariance = _averaged(weights, of_each) + _averaged(weights, scatter)
    fits["GAIN"][rows], fits["OFFSET"][rows] = relation.T
    put_covariance(fits, rows, covariance)


def _averaged(weights: np.ndarray, values: list[np.ndarray]) -> np.ndarray:
    """Mean over k alternatives of values (m, ...), with `weights` (k, m); 0 of what is not known
    where the weight is 0.

    Summed one after the other: numpy adds in an order that goes with the shape, and so with how
    many pixels there are."""
    pairs = zip(weights, values, strict=True)
    return sum(np.nan_to_num(value).T * weight for weight, value in pairs).T


def _fit_again(rows, known: Alternative, templates, fits, found: Deviations, data) -> None:
    """Replace the rows by fits that are checked, from a known one."""
    place = len(templates.limits) + place_of_noise(templates, LOWEST)
    pixels = rows, fits["DETNUM"][rows], *known.relation.T, templates
    fits[rows], deviations = data.fit(*pixels, nearby=known.nearby)
    deviations = deviations._replace(
        value=np.delete(deviations.value, N_OF_SHAPE + place, axis=1),
        variance=np.delete(deviations.variance, N_OF_SHAPE + place, axis=1),
        normalisation=np.delete(deviations.normalisation, place, axis=1),
    )
    for values, new in zip(found, deviations, strict=True):
        if values.shape[1:] == new.shape[1:]:
            values[rows] = new
