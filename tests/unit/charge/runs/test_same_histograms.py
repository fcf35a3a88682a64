"""Ready histograms of two runs that are the same, and those that may be."""

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_charges

from pixelcal.charge.runs.ready_histograms import ReadyHistograms
from pixelcal.charge.runs.same_histograms import check_different
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


def histograms_of(charges, first=0):
    """A run of whole charges (pixel, flash), in bins one wide from the charge `first` on."""
    edges = np.arange(first, 1200) - 0.5
    counts = np.array([np.histogram(row, edges)[0] for row in charges])
    n = len(charges)
    return ReadyHistograms(np.arange(n), counts, np.full(n, edges[0]), np.ones(n))


def drawn(seed, light, n_flashes=3000, n_pixels=16):
    """Whole charges (pixel, flash) of runs of another brightness."""
    pixel = Sipm(eped=100.0, light=(light,), flashes=n_flashes)
    random = [np.random.default_rng([seed, k]) for k in range(n_pixels)]
    return np.array([draw_charges(one, pixel)[0] for one in random])


FLASHES = {
    "not reset": (lambda a, b: (a, np.hstack([a, b])), True),
    "not reset, other first bin": (lambda a, b: (a, np.hstack([a, b])), True),
    "a half again": (lambda a, b: (a, np.hstack([a[:, 1500:], b])), True),
    "another light": (lambda a, b: (a, b), False),
    "the same light": (lambda a, b: (a, drawn(3, 0.7)), False),
    "many more flashes": (lambda a, b: (a, drawn(4, 1.5, 60000)), False),
}


@pytest.mark.parametrize("kind", FLASHES)
def test_flashes_of_one_run_in_another_are_refused(kind):
    """Without a reset between runs crosstalk was 0.26 for 0.15, with STATUS 0."""
    make, refused = FLASHES[kind]
    one, other = make(drawn(1, 0.7), drawn(2, 2.0))
    runs = histograms_of(one), histograms_of(other, -7 if "first" in kind else 0)
    if refused:
        with pytest.raises(InputError, match="runs a and b: their counts fluctuate together"):
            check_different(runs, ["a", "b"])
    else:
        check_different(runs, ["a", "b"])
