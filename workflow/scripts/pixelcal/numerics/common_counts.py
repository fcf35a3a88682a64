"""Events that are in two spectra at once, told from how the two fluctuate.

Counts of different events are independent Poisson numbers: given the sum of the two in a bin, the
first is a binomial number. Events that are in both move both in the same direction, so the first
scatters by less than a binomial number does. Spectra that differ for another reason (gain, rate)
scatter by more, never by less.
"""

from __future__ import annotations

import numpy as np

BINS_TOGETHER = 64
"""Channels of a spectrum with broad features, such as one of energies."""
ROUNDED_ABOVE = 100
"""Counts above it are looked at for whether they are rounded: lower ones are so by less than they
scatter."""
FEWEST_PAIRS = 10
NEXT_OVER_EQUAL = 0.5
"""Of counts as they are, twice as many pairs differ by 1 as are equal; of rounded ones none do."""


def common_counts(
    a: np.ndarray, b: np.ndarray, together: int = BINS_TOGETHER
) -> tuple[float, float]:
    """How many events are in both of two spectra of the same pixels, and its standard error.

    With n = a + b in a bin, N events in the `together` bins around it and p the fraction of a
    in these, (a - p n)^2 / (n p q) is (N - n) / (N - 1) in the mean (hypergeometric distribution, q
    = 1 - p), with a variance of 2 + (1 - 6 p q) / (n p q) (binomial distribution), or less where
    one of the two has few events. With o common events in the bin its mean is lower by 2 o / n.

    Parameters
    ----------
    a, b : (n_pixels, n_channels) int
    together : int
        Neighbouring bins in which the two spectra are taken to have one ratio.

    Returns
    -------
    n_common, error : float
        Events of all bins together; negative where the spectra differ by more than chance. 0 and
        inf where the counts cannot tell, as where they are rounded.
    """
    if _is_rounded(a) or _is_rounded(b):
        return 0.0, np.inf
    a, b = _groups(a, together), _groups(b, together)
    total = a + b
    of_a, of_both = a.sum(axis=1), total.sum(axis=1)
    mixed = (of_a > 0) & (of_a < of_both)
    a, total, of_both = a[mixed], total[mixed], of_both[mixed, None]
    used = total > 1  # a single event is in one of them, whatever the other events do
    if not used.any():
        return 0.0, np.inf
    n, p, all_n = (
        np.broadcast_to(values, a.shape)[used].astype(float)
        for values in (total, of_a[mixed, None] / of_both, of_both)
    )
    pq = p * (1 - p)
    lacking = (all_n - n) / (all_n - 1) - (a[used] - p * n) ** 2 / (n * pq)
    error = np.sqrt((2 + (1 - 6 * pq) / (n * pq)).sum())
    per_bin = 0.5 * float(total.sum()) / len(n)
    return float(per_bin * lacking.sum()), float(per_bin * error)


def _groups(counts: np.ndarray, together: int) -> np.ndarray:
    """Counts (n_pixels, n_channels) as rows of `together` bins of one pixel, filled by 0."""
    lack = -counts.shape[1] % together
    return np.pad(counts, ((0, 0), (0, lack))).reshape(-1, together)


def _is_rounded(counts: np.ndarray) -> bool:
    """Whether large counts come in steps, as by a compression on board: they scatter by these."""
    value, times = np.unique(counts[counts > ROUNDED_ABOVE], return_counts=True)
    equal = (times * (times - 1)).sum() / 2
    following = (times[:-1] * times[1:])[np.diff(value) == 1].sum()
    return bool(equal >= FEWEST_PAIRS and following < NEXT_OVER_EQUAL * equal)
