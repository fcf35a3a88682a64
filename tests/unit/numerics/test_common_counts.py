"""Events in two spectra at once: as many are found as were put in, by an error that is right."""

import numpy as np
import pytest

from pixelcal.numerics.common_counts import common_counts

N_SETS, SHAPE = 200, (8, 256)


def drawn(seed, a, b, common):
    """Two spectra with so many events per bin of one, of the other and of both."""
    random = np.random.default_rng(seed)
    both = random.poisson(common, SHAPE)
    return random.poisson(a, SHAPE) + both, random.poisson(b, SHAPE) + both


@pytest.mark.parametrize(
    ("a", "b", "common"), [(3, 3, 0), (0.3, 0.3, 0), (0.5, 20, 0), (3, 3, 1), (0, 5, 5), (9, 50, 4)]
)
def test_the_number_of_common_events(a, b, common):
    found = np.array([common_counts(*drawn(k, a, b, common)) for k in range(N_SETS)])
    truth = common * np.prod(SHAPE)
    # With common events the scatter is no longer binomial: the mean alone is compared.
    error = found[:, 0].std(ddof=1) / np.sqrt(N_SETS)
    bias = 0.15 * truth  # bins with one event say nothing, and those with many say the same
    assert abs(found[:, 0].mean() - truth) < 4 * error + bias
    if not common:  # the error of a standard deviation from N_SETS is 5 %
        pulls = found[:, 0] / found[:, 1]
        chance = 4 / np.sqrt(2 * N_SETS)
        assert pulls.std(ddof=1) < 1 + chance
        assert a != b or pulls.std(ddof=1) > 1 - chance  # too large where one has few events
        assert pulls.max() < 4.5  # 1e-3 for all sets by chance


def test_spectra_that_differ_have_nothing_in_common():
    random = np.random.default_rng(1)
    a, b = random.poisson(5.0, SHAPE), random.poisson(np.linspace(0.1, 9, SHAPE[1]), SHAPE)
    assert common_counts(a, b)[0] < 0


@pytest.mark.parametrize(
    ("a", "b"), [(np.zeros((1, 4), int), np.ones((1, 4), int)), (np.full((1, 9), 128),) * 2]
)
def test_counts_that_cannot_tell(a, b):
    assert common_counts(a, b) == (0.0, np.inf)


@pytest.mark.parametrize("step", [1, 16, 7])
def test_rounded_counts_are_not_compared(step):
    """Rounded by more than they scatter, counts of different events are equal more often."""
    random = np.random.default_rng(step)
    a, b = (random.poisson(np.geomspace(101, 900, SHAPE[1]), SHAPE) for _ in range(2))
    rounded = [step * np.rint(one / step).astype(int) + step // 2 for one in (a, b)]
    assert np.isfinite(common_counts(*rounded)[1]) == (step == 1)
