"""The population prior: how much the pixels of a camera scatter, learnt from their fits.

The prior is hierarchical and empirical Bayes. The logarithm of a pixel's resolution factor follows
Student's t distribution around 0. The normalisations of a pixel follow it around a location that is
free for each pixel, because its efficiency may be anything. Most pixels differ from the camera a
little; some, those with a line missing or far too wide, differ a lot. The scales of these
distributions are properties of the camera. With them the fit of a faint line does not follow a
fluctuation, while the heavy tails still let a missing line be recognised. The factor on the
strength of the low-energy tail follows the same distribution around 1: holes are lost where the
crystal has traps, and these differ from pixel to pixel.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.lines import LineTable, line_groups

STUDENT_T_DOF = 4.0
"""Degrees of freedom of the distribution."""

WIDE_LOG_RESOLUTION = 0.3
WIDE_TAIL = 0.3
WIDE_NORMALISATION = 0.5
"""Scales before anything is learnt."""

LOWEST_CONTINUUM = 0.02
"""Smallest normalisation of a continuum: where nothing is expected a count is impossible."""

EXPECTED_SCATTER = 0.05
"""A learnt scale is that of the pixels and of one more that deviates by this much: otherwise a few
pixels could seem to be all the same."""

SCALES = np.geomspace(0.01, 1.0, 81)
"""Scales that are tried."""

WEIGHT_ITERATIONS = 10
"""How often the weights of the pixels at a scale are updated: they have converged then."""

N_OF_SHAPE = 2
"""Scales of what is not a normalisation: the resolution and the tail come first."""

MAX_LOCATION_ITERATIONS = 100
LOCATION_TOLERANCE = 1e-10
"""Change of the robust location that ends its iterations."""

LEAST_INFORMATION = 1e-4
"""Least information of the data, relative to that of the prior."""


def wide_population_scale(table: LineTable) -> np.ndarray:
    """Scales (2 + n_blocks + n_groups,) before anything is learnt.

    Resolution, tail, continua, line groups.
    """
    n_normalisations = table.n_blocks + len(line_groups(table))
    return np.array([WIDE_LOG_RESOLUTION, WIDE_TAIL, *[WIDE_NORMALISATION] * n_normalisations])


def population_weight(deviation, scale):
    """Weight of a deviation: -ln of the prior has the gradient weight * deviation / scale^2.

    Lange, Little & Taylor, J. Am. Stat. Assoc. 84 (1989) 881.
    """
    return (STUDENT_T_DOF + 1.0) / (STUDENT_T_DOF + (deviation / scale) ** 2)


def robust_location(normalisation, scale):
    """The location at which the prior of all normalisations (k,) together is most probable.

    Iteratively reweighted mean, from the plain mean on; in loops, because it is compiled too.
    """
    n = len(normalisation)
    found = 0.0
    for k in range(n):
        found += normalisation[k] / n
    for _ in range(MAX_LOCATION_ITERATIONS):
        total, sum_of_weights = 0.0, 0.0
        for k in range(n):
            square = ((normalisation[k] - found) / scale[k]) ** 2
            weight = (STUDENT_T_DOF + 1.0) / ((STUDENT_T_DOF + square) * scale[k] ** 2)
            total += weight * normalisation[k]
            sum_of_weights += weight
        moved = total / sum_of_weights - found
        found += moved
        if abs(moved) < LOCATION_TOLERANCE:
            break
    return found


def prior_information(deviation, scale) -> np.ndarray:
    """Information (2 + k, 2 + k) in the population prior at deviations (2 + k,): its curvature.

    That of the normal distributions of the same gradients. There is none on the location.
    """
    weight = population_weight(deviation, scale) / scale**2
    information = np.diag(weight)
    of_norms = weight[N_OF_SHAPE:]
    information[N_OF_SHAPE:, N_OF_SHAPE:] -= np.outer(of_norms, of_norms) / of_norms.sum()
    return information


def learn_population_scale(deviation, variance, scale) -> np.ndarray:
    """Scales of the population prior from fits that were made with the scales `scale`.

    The prior that each fit was made with is taken out of its estimate. The new scale is the fixed
    point of the expectation-maximisation (EM) algorithm, in which the expected square of a pixel's
    true deviation, given the data and the prior, replaces the unknown one (Lange, Little & Taylor
    1989). It is looked for among `SCALES`, because EM takes thousands of steps where pixels hardly
    differ.

    Parameters
    ----------
    deviation, variance : (n, k) float
        Deviations from the camera as fitted, and their variances, the prior included.
    scale : (k,) float

    Returns
    -------
    (k,) float
        `scale` itself where there is no pixel.
    """
    if len(deviation) == 0:
        return scale
    of_prior = population_weight(deviation, scale) / scale**2
    information = np.maximum(1.0 / variance - of_prior, LEAST_INFORMATION * of_prior)
    weighted = deviation / variance
    found = np.full(len(scale), SCALES[0])
    undecided = np.arange(len(scale))
    for trial in SCALES[::-1]:
        left = (values.take(undecided, axis=1) for values in (information, weighted))
        grows = _next_scale(*left, trial) >= trial
        found[undecided[grows]] = trial
        undecided = undecided[~grows]
        if not len(undecided):
            break
    return found


def _next_scale(information, weighted, scale: float) -> np.ndarray:
    """The scales (k,) that an EM step makes of `scale`."""
    weight = 1.0
    for _ in range(WEIGHT_ITERATIONS):
        posterior = 1.0 / (information + weight / scale**2)
        square = (weighted * posterior) ** 2 + posterior
        weight = (STUDENT_T_DOF + 1.0) / (STUDENT_T_DOF + square / scale**2)
    total = (weight * square).sum(axis=0) + EXPECTED_SCATTER**2
    return np.sqrt(total / (len(information) + 1))
