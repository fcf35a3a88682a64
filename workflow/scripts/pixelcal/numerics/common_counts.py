"""Events that are in two spectra at once, told from how the two fluctuate.

Counts of different events are independent Poisson numbers: given the sum of the two in a bin, the
first is a binomial number. Events that are in both move both in the same direction, so the first
scatters by less than a binomial number does. Spectra that differ for another reason (gain, rate)
scatter by more, never by less.
"""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.jit import njit

COMMON_SIGMA = 6.0
"""Two spectra have events in common where these exceed so many standard errors, ..."""
COMMON_FRACTION = 0.05
"""... and this fraction of the smaller of the two."""
BINS_TOGETHER = 64
"""Channels of a spectrum with broad features, such as one of energies."""
ROUNDED_ABOVE = 100
"""Counts above it are looked at for whether they are rounded: lower ones are so by less than they
scatter."""
FEWEST_PAIRS = 10
NEXT_OVER_EQUAL = 0.5
"""Of counts as they are, twice as many pairs differ by 1 as are equal; of rounded ones none do."""


def common_fraction(a: np.ndarray, b: np.ndarray, together: int = BINS_TOGETHER) -> float:
    """Fraction of the events of the smaller of two spectra that are in both, at most 1; 0 where it
    is not clear. Parameters as `common_counts`."""
    n_common, error = common_counts(a, b, together)
    fewer = min(int(a.sum()), int(b.sum()))
    clear = n_common > max(COMMON_SIGMA * error, COMMON_FRACTION * fewer)
    return min(n_common / fewer, 1.0) if clear else 0.0


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
    whole = np.ascontiguousarray(a, np.int64), np.ascontiguousarray(b, np.int64)
    lacking, variance, n_events, n_bins = _lacking_scatter(*whole, together)
    if not n_bins:
        return 0.0, np.inf
    per_bin = 0.5 * n_events / n_bins
    return per_bin * lacking, per_bin * float(np.sqrt(variance))


@njit
def _lacking_scatter(a, b, together):
    """By how much the sum of (a - p n)^2 / (n p q) of `common_counts` is too small, its variance,
    the events of all bins, and how many bins have more than one.

    In bins where both spectra have events nearby; a single event is in one of them, whatever the
    other events do. In loops: there are millions of bins for each pair of files.
    """
    lacking, variance, n_events, n_bins = 0.0, 0.0, 0, 0
    for row in range(a.shape[0]):
        for first in range(0, a.shape[1], together):
            last = min(first + together, a.shape[1])
            of_a, of_both = 0, 0
            for j in range(first, last):
                of_a += a[row, j]
                of_both += a[row, j] + b[row, j]
            if not 0 < of_a < of_both:
                continue
            n_events += of_both
            p = of_a / of_both
            pq = p * (1.0 - p)
            for j in range(first, last):
                n = a[row, j] + b[row, j]
                if n > 1:
                    n_bins += 1
                    scatter = (a[row, j] - p * n) ** 2 / (n * pq)
                    lacking += (of_both - n) / (of_both - 1) - scatter
                    variance += 2.0 + (1.0 - 6.0 * pq) / (n * pq)
    return lacking, variance, n_events, n_bins


def _is_rounded(counts: np.ndarray) -> bool:
    """Whether large counts come in steps, as by a compression on board: they scatter by these."""
    value, times = np.unique(counts[counts > ROUNDED_ABOVE], return_counts=True)
    equal = (times * (times - 1)).sum() / 2
    following = (times[:-1] * times[1:])[np.diff(value) == 1].sum()
    return bool(equal >= FEWEST_PAIRS and following < NEXT_OVER_EQUAL * equal)
