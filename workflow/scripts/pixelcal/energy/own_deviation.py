"""How far energies of single pixels are from their straight relations, beyond counting.

Channels of a pixel are not quite linear, and its response is not quite that of the camera. Its
lines are then displaced by a function d(E) of its own, the straight line that is fitted to them
moves by h(E) . d(E_blocks), and an energy is off by d(E) minus that. What pixels of a kind have of
it is described by two variances:

    a random walk,   <(d(E) - d(E'))^2> = V(E) - V(E'), E > E',   as edges of unequal channels make
                     it, where V rises by WALK^2 per keV: of each gap between two blocks, or of all;
    a parabola,      d(E) = BEND (1 - ((E - middle) / half)^2),   0 at the outermost lines.

Lines say it only by what is left of them beside a straight line: contrasts of the blocks, of which
a table of n blocks has n - 2. Their variances and covariances over many pixels, beyond those of
counting, determine the variances by maximum likelihood (variance components: Harville 1977, J. Am.
Stat. Assoc. 72, 320). Whether gaps differ, and whether there is a parabola, the likelihood decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import minimize
from scipy.special import gammainccinv

from pixelcal.energy.curve import parabola

MIN_PIXELS = 20
"""Fewer do not tell how much pixels deviate."""

LEAST_LEFT = 0.02
"""Where the fit leaves less of a block's displacement to be seen, blocks cannot be compared."""

LEAST_BLOCKS = 3
"""Blocks from which on a walk can be told from chance."""

SICK_PVALUE = 1e-3
"""A pixel whose contrasts are less probable does not count: it is sick, not typical."""

WORTHWHILE = 1.0
"""Gain of ln L by one more parameter from which on it describes better than it costs (Akaike 1974,
IEEE Trans. Autom. Control 19, 716)."""

TOLD_APART = 1e-3
"""Least singular value, of components of norm 1, where they are not taken for one another."""

MOST_ROUNDS = 20


class OwnDeviation(NamedTuple):
    """What the pixels of a kind deviate by themselves; arrays may have pixels in front.

    Attributes
    ----------
    walk : (..., n_blocks) float, sqrt(keV)
        Standard deviation, keV, of the change of d per square root of energy: between the lines of
        each block and those of the next. The last one is that beyond all lines.
    bend : (...) float, keV
        Standard deviation of the height of the parabola in the middle of the lines.
    lever : (..., n_blocks, 2) float
        Stretch (per keV) and shift (keV per keV) of the relation where the lines of a block stand
        1 keV higher.
    centre : (..., n_blocks) float, keV
        Where the lines of each block are, rising.
    ends : (..., 2) float, keV
        Lowest and highest line.
    """

    walk: np.ndarray
    bend: np.ndarray
    lever: np.ndarray
    centre: np.ndarray
    ends: np.ndarray

    def sigma(self, energy_keV: float) -> np.ndarray:
        """Standard deviation (...), keV, of an energy.

        With h = stretch E + shift of each block, which sum to 1 where the fit is of straight lines,

            variance = sum_b h_b |V(E) - V(E_b)| - 1/2 sum_bc h_b h_c |V(E_b) - V(E_c)|
                       + BEND^2 (p(E) - sum_b h_b p(E_b))^2
        """
        weight = self.lever[..., 0] * energy_keV + self.lever[..., 1]
        rise = self.walk**2
        # V from the lowest block on: at the blocks, and at this energy.
        of_blocks = np.cumsum(rise[..., :-1] * np.diff(self.centre), axis=-1)
        of_blocks = np.concatenate([0.0 * rise[..., :1], of_blocks], axis=-1)
        first, last = self.centre[..., 0], self.centre[..., -1]
        outside = np.minimum(energy_keV - first, 0.0) + np.maximum(energy_keV - last, 0.0)
        passed = _passed(energy_keV, self.centre)
        here = (rise[..., :-1] * passed).sum(axis=-1) + rise[..., -1] * outside
        away = (weight * np.abs(here[..., None] - of_blocks)).sum(axis=-1)
        apart = np.abs(of_blocks[..., :, None] - of_blocks[..., None, :])
        walked = away - 0.5 * np.einsum("...b,...bc,...c->...", weight, apart, weight)
        low, high = self.ends[..., 0], self.ends[..., 1]
        of_lines = _height(self.centre, (low[..., None], high[..., None]))
        bent = _height(energy_keV, (low, high)) - (weight * of_lines).sum(axis=-1)
        return np.sqrt(np.maximum(walked, 0.0) + self.bend**2 * bent**2)


def no_deviation(lever: np.ndarray, centre: np.ndarray, ends) -> OwnDeviation:
    """That of pixels whose relations are straight; parameters as the fields of OwnDeviation."""
    walk = np.zeros(len(centre))
    return OwnDeviation(walk, np.array(0.0), lever, centre, np.asarray(ends, float))


def deviations_of_pixels(of_pixels: list[OwnDeviation]) -> OwnDeviation:
    """Those of pixels, one after the other, as one with pixels in front."""
    return OwnDeviation(*(np.array(values) for values in zip(*of_pixels, strict=True)))


def measure_own_deviation(shift, shift_err, lever, centre, ends) -> OwnDeviation:
    """What the pixels of a kind deviate by themselves, from where their blocks stand.

    With the displacements d of the blocks, the fit without a block b shows it at

        s_b = (d_b - (H d)_b) / (1 - H_bb),   H_ab = (E_a, 1) . l_b

    H d is a straight line at the blocks, so that contrasts which no straight line has take it out
    of (1 - H_bb) s_b: what is left is that of d alone. Divided by the errors sqrt(1 - H_bb) err_b
    of the blocks alone, their covariance by counting is 1.

    Parameters
    ----------
    shift, shift_err : (n, n_blocks) float, keV
        Where the lines of each block stand by the relation of the others, and its error by
        counting; NaN where not known.
    lever, centre, ends :
        As the fields of OwnDeviation, without pixels in front. A block with a lever of 0 is not
        compared.

    Returns
    -------
    OwnDeviation
        Without deviations where blocks cannot be compared: with fewer than `LEAST_BLOCKS` of
        them, with one that alone decides on the relation, with fewer than `MIN_PIXELS` pixels.
    """
    lever, centre = np.asarray(lever, float), np.asarray(centre, float)
    none = no_deviation(lever, centre, ends)
    left = 1.0 - (centre * lever[:, 0] + lever[:, 1])
    compared = (lever != 0.0).any(axis=1)
    if compared.sum() < LEAST_BLOCKS or not (left[compared] > LEAST_LEFT).all():
        return none
    shift, shift_err = (np.asarray(values)[:, compared] for values in (shift, shift_err))
    known = np.isfinite(shift).all(axis=1) & np.isfinite(shift_err).all(axis=1)
    if known.sum() < MIN_PIXELS:
        return none
    left, places = left[compared], centre[compared]
    shift = shift[known] - np.median(shift[known], axis=0)
    typical = np.median(shift_err[known], axis=0)
    counting = ((shift_err[known] / typical) ** 2).mean(axis=1)
    error = np.sqrt(left) * typical
    straight = np.column_stack([np.ones(len(places)), places]) / error[:, None]
    contrasts = null_space(straight.T).T / error
    seen = (left * shift) @ contrasts.T
    of_gaps = [contrasts @ covariance @ contrasts.T for covariance in _walks(places)]
    of_bend = contrasts @ _height(places, ends)
    rise, bend_variance = _best_components(seen, counting, of_gaps, np.outer(of_bend, of_bend))
    return none._replace(
        walk=np.sqrt(_of_all_gaps(rise, places, centre)), bend=np.sqrt(bend_variance)
    )


def _passed(energy_keV, centre: np.ndarray) -> np.ndarray:
    """How much of each gap between blocks (..., n) is below an energy, (..., n - 1), keV."""
    return np.clip(energy_keV - centre[..., :-1], 0.0, np.diff(centre))


def _walks(centre: np.ndarray) -> np.ndarray:
    """Covariances of walks of 1 keV per keV in one gap between blocks, (n_gaps, n, n) at the blocks
    (n,), up to what is common to all blocks: -1/2 of how much they differ."""
    passed = _passed(centre[:, None], centre).T
    return -0.5 * np.abs(passed[:, :, None] - passed[:, None, :])


def _of_all_gaps(rise: np.ndarray, places: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Variance per keV above each block (n,) from that in gaps between the `places` (k,) compared.

    A gap over blocks that are not compared is that of each part of it; beyond all lines it is the
    mean, as for blocks beyond all that are compared.
    """
    mean = (rise * np.diff(places)).sum() / (places[-1] - places[0])
    gap = np.searchsorted(places, centre, side="right") - 1
    between = (gap >= 0) & (gap < len(rise))
    return np.where(between, rise[np.clip(gap, 0, len(rise) - 1)], mean)


def _height(energy_keV, ends):
    """The parabola d(E) of the module's docstring, of height 1 in the middle; broadcasts."""
    return -4.0 * parabola(energy_keV, ends)


def _best_components(seen, counting, of_gaps, of_bend) -> tuple[np.ndarray, float]:
    """Variances per keV in the gaps (n_gaps,), and that of the bend; 0 where there is none.

    Of one walk of all gaps or one of each, with and without a parabola, the one with the largest
    ln L less its price, of those whose variances the contrasts can tell apart. A parabola that goes
    on beyond the lines says much of energies there: by chance too much, where the counts hardly
    tell it from a walk. It costs `WORTHWHILE`. Walks of gaps that differ have to be clear, because
    no energy is special to an electronics: each costs ln(n) / 2 (Schwarz 1978, Ann. Stat. 6, 461).
    """
    even, n_gaps = [sum(of_gaps)], len(of_gaps)
    variances, least, typical = _typical_components(seen, counting, even)
    uneven = 0.5 * np.log(typical.sum()) * (n_gaps - 1)
    others = [*even, of_bend], of_gaps, [*of_gaps, of_bend]
    best = even
    for components, price in zip(others, (WORTHWHILE, uneven, uneven + WORTHWHILE), strict=True):
        if not _are_told_apart(components):
            continue
        cost = _variance_components(seen[typical], counting[typical], components)[1] + price
        if cost < least:
            best, least = components, cost
    if best is not even:
        variances, *_ = _typical_components(seen, counting, best)
    bent = best[-1] is of_bend
    rise = variances[:-1] if bent else variances
    return np.broadcast_to(rise, n_gaps), float(variances[-1]) if bent else 0.0


def _are_told_apart(components) -> bool:
    """Whether covariances (m, m) of contrasts tell the variances of components (k of (m, m))."""
    flat = np.array([matrix / np.linalg.norm(matrix) for matrix in components])
    return np.linalg.matrix_rank(flat.reshape(len(flat), -1), TOLD_APART) == len(flat)


def _typical_components(seen, counting, components) -> tuple[np.ndarray, float, np.ndarray]:
    """Variance components (k,) of the `seen` (n, m) of typical pixels, by maximum likelihood.

    Their covariances are counting (n,) times the unit matrix, plus a non-negative sum of the
    `components`, k of (m, m). Sick pixels are those improbable by what is found without them.
    Then -ln L of the typical pixels, and which these are, (n,) bool.
    """
    n, m = seen.shape
    # Quantiles of chi-square with m degrees of freedom, from above.
    limit, middle = 2.0 * gammainccinv(0.5 * m, [SICK_PVALUE, 0.5])
    distance = (seen**2).sum(axis=1) / counting
    typical = distance / max(np.median(distance) / middle, 1.0) < limit
    for _ in range(MOST_ROUNDS):
        used = typical
        found, value = _variance_components(seen[used], counting[used], components)
        inverse = np.linalg.inv(_covariances(counting, found, components))
        typical = np.einsum("ni,nij,nj->n", seen, inverse, seen) < limit
        if (typical == used).all():
            break
    return found, value, used


def _variance_components(seen, counting, components) -> tuple[np.ndarray, float]:
    """Variance components (k,) that maximise the likelihood, and -ln L there; parameters as above.

    The gradient of -ln L by a variance with the matrix A is

        1/2 sum over pixels (tr(S^-1 A) - x^T S^-1 A S^-1 x)
    """
    size = np.array([np.trace(matrix) for matrix in components]) / seen.shape[1]
    matrices = [matrix / scale for matrix, scale in zip(components, size, strict=True)]

    def minus_log_likelihood(variances):
        covariances = _covariances(counting, variances, matrices)
        inverse = np.linalg.inv(covariances)
        pulled = np.einsum("nij,nj->ni", inverse, seen)
        value = np.linalg.slogdet(covariances)[1].sum() + (pulled * seen).sum()
        slopes = [
            (inverse * matrix).sum() - np.einsum("ni,ij,nj->", pulled, matrix, pulled)
            for matrix in matrices
        ]
        return value / 2.0, np.array(slopes) / 2.0

    start = np.full(len(matrices), 0.1 * np.median(counting))
    limits = [(0.0, None)] * len(matrices)
    best = minimize(minus_log_likelihood, start, jac=True, bounds=limits)
    return best.x / size, float(best.fun)


def _covariances(counting, variances, matrices) -> np.ndarray:
    """Covariances (n, m, m) of pixels."""
    unit = np.eye(len(matrices[0]))
    return counting[:, None, None] * unit + np.tensordot(variances, matrices, 1)
