"""Ready histograms of two runs that are the same, and those that may be."""

import numpy as np
import pytest

from pixelcal.charge.runs.ready_histograms import ReadyHistograms, check_different
from pixelcal.errors import InputError

N_PIXELS = 6


def run_of(seed, light=1.5, flashes=2000, first=0.0, padding=0):
    """A run of pixels whose charges are Poisson numbers."""
    charge = np.random.default_rng(seed).poisson(light, (N_PIXELS, flashes))
    counts = np.array([np.bincount(row, minlength=20) for row in charge])
    counts = np.pad(counts, ((0, 0), (padding, 0)))
    start = np.full(N_PIXELS, first - 10.0 * padding)
    return ReadyHistograms(np.arange(N_PIXELS), counts, start, np.full(N_PIXELS, 10.0))


def mixed(n_equal):
    """The run 1 with other histograms in all pixels but `n_equal`."""
    one, other = run_of(1), run_of(2)
    counts = np.where(np.arange(N_PIXELS)[:, None] < n_equal, one.counts, other.counts)
    return ReadyHistograms(one.pixel, counts, one.start, one.width)


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (run_of(1), True),
        (run_of(1, padding=3), True),
        (mixed(4), True),
        (mixed(3), False),
        (run_of(2), False),
        (run_of(1, first=10.0), False),
    ],
)
def test_runs_with_the_same_histograms_are_refused(other, refused):
    runs, paths = [run_of(5, light=0.1), run_of(1), other], ["dark", "one", "two"]
    if refused:
        with pytest.raises(InputError, match="runs one and two: hold the same histograms"):
            check_different(runs, paths)
    else:
        check_different(runs, paths)


@pytest.mark.parametrize(("light", "flashes"), [(0.01, 2000), (2.0, 50)])
def test_few_bins_or_flashes_may_be_equal(light, flashes):
    check_different([run_of(1, light, flashes)] * 2, ["one", "two"])
