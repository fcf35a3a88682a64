"""How much pixels differ from the camera, learnt from their fits.

The logarithm of a pixel's resolution follows Student's t law around 0, and so do its normalisations
relative to the camera's around a centre that is the pixel's own, as its efficiency may be anything:
most pixels differ a little, some of them, those with a line missing or far too wide, a lot. The
scales of these laws are what a camera's pixels share; with them the fit of a faint line is not
drawn away by a fluctuation, and a missing line still is seen to be missing.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.lines import LineTable, line_groups

STUDENT_T_DOF = 4.0
"""Degrees of freedom of the law."""

WIDE_LOG_RESOLUTION = 0.3
WIDE_NORMALISATION = 0.5
"""Scales where nothing was learnt yet."""

LOWEST_CONTINUUM = 0.02
"""Smallest normalisation of a continuum: where nothing is expected a count is impossible."""

EXPECTED_SCATTER = 0.05
"""A learnt scale is that of the pixels and of one more that deviates by so much: a few pixels could
seem to be all the same."""

SCALES = np.geomspace(0.01, 1.0, 81)
"""Scales that are tried."""

WEIGHT_ROUNDS = 10
"""How often the weights of the pixels at a scale are computed anew: then they stand."""

CENTRE_ROUNDS = 100
CENTRE_TOLERANCE = 1e-10
"""Change of the centre that ends the rounds."""

LEAST_INFORMATION = 1e-4
"""Information of the data relative to the law's below which a pixel has nothing to say."""


def wide_population_scale(table: LineTable) -> np.ndarray:
    """Scales (1 + n_blocks + n_groups,) where nothing was learnt: resolution, continua, groups."""
    n_normalisations = table.n_blocks + len(line_groups(table))
    return np.append(WIDE_LOG_RESOLUTION, np.full(n_normalisations, WIDE_NORMALISATION))


def population_weight(deviation, spread):
    """Weight of a deviation: -ln of the law has the gradient weight * deviation / spread^2.

    Lange, Little & Taylor, J. Am. Stat. Assoc. 84 (1989) 881.
    """
    return (STUDENT_T_DOF + 1.0) / (STUDENT_T_DOF + (deviation / spread) ** 2)


def centre(normalisation, spread):
    """The normalisation at which the laws of all (k,) together are most probable.

    Weighted means from the plain one on; in loops, as compiled code takes it too.
    """
    n = len(normalisation)
    found = 0.0
    for k in range(n):
        found += normalisation[k] / n
    for _ in range(CENTRE_ROUNDS):
        total, sum_of_weights = 0.0, 0.0
        for k in range(n):
            square = ((normalisation[k] - found) / spread[k]) ** 2
            weight = (STUDENT_T_DOF + 1.0) / ((STUDENT_T_DOF + square) * spread[k] ** 2)
            total += weight * normalisation[k]
            sum_of_weights += weight
        moved = total / sum_of_weights - found
        found += moved
        if abs(moved) < CENTRE_TOLERANCE:
            break
    return found


def shared_information(deviation, spread) -> np.ndarray:
    """Information (1 + k, 1 + k) in the laws at deviations (1 + k,): their curvature.

    That of the normal laws of the same gradients. None on the centre.
    """
    weight = population_weight(deviation, spread) / spread**2
    information = np.diag(weight)
    own = weight[1:]
    information[1:, 1:] -= np.outer(own, own) / own.sum()
    return information


def learn_population_scale(deviation, variance, spread) -> np.ndarray:
    """Scales of the laws from fits that were made with the scales `spread`.

    The law that each fit was made with is taken out of its estimate. The scale is then the fixed
    point of the EM algorithm, in which each pixel's expected square of the true deviation, given
    the data and the law, stands for the unknown one (Lange, Little & Taylor 1989). It is looked for
    among `SCALES`: where pixels hardly differ, EM steps take thousands of rounds.

    Parameters
    ----------
    deviation, variance : (n, k) float
        Deviations from the camera as fitted, and their variances, the law included.
    spread : (k,) float

    Returns
    -------
    (k,) float
        `spread` itself where there is no pixel.
    """
    if len(deviation) == 0:
        return spread
    law = population_weight(deviation, spread) / spread**2
    information = np.maximum(1.0 / variance - law, LEAST_INFORMATION * law)
    weighted = deviation / variance
    found = np.full(len(spread), SCALES[0])
    undecided = np.ones(len(spread), bool)
    for scale in SCALES[::-1]:
        grows = _next_scale(information, weighted, scale) >= scale
        found[undecided & grows] = scale
        undecided &= ~grows
    return found


def _next_scale(information, weighted, scale: float) -> np.ndarray:
    """The scales (k,) that an EM step makes of `scale`."""
    weight = 1.0
    for _ in range(WEIGHT_ROUNDS):
        posterior = 1.0 / (information + weight / scale**2)
        square = (weighted * posterior) ** 2 + posterior
        weight = (STUDENT_T_DOF + 1.0) / (STUDENT_T_DOF + square / scale**2)
    total = (weight * square).sum(axis=0) + EXPECTED_SCATTER**2
    return np.sqrt(total / (len(information) + 1))
