"""Residuals of all pixels together: chance where the model is right, a misfit where it is not."""

import numpy as np
import pytest

from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise import late_charges as late
from pixelcal.charge.spe.noise.adequacy import Adequacy, adequacy_of
from pixelcal.charge.spe.noise.learn import LearntNoise, tell_adequacy
from pixelcal.charge.spe.noise.population import climb_together
from pixelcal.charge.spe.noise.priors import no_noise
from pixelcal.charge.spe.noise.spectrum import bin_probabilities
from pixelcal.charge.spe.parameters import N_SHARED

N_PIXELS, FLASHES = 24, 30_000
KINDS = ("dark_counts",)


def counts_of(rng, expected, theta, bins):
    """Multinomial counts of the bins of each run, after `expected` changed their probabilities."""
    probability = expected(bin_probabilities(theta, bins)[0])
    probability /= probability.sum(axis=1, keepdims=True)
    return np.array([rng.multinomial(FLASHES, run) for run in probability]).astype(float)


def fitted(expected, seed):
    """Adequacy of pixels that are drawn and fitted with the noise that they have."""
    rng, noise = np.random.default_rng(seed), no_noise(0.3)
    noise[late.DARK] = 0.1
    spectra, begin = [], []
    for _ in range(N_PIXELS):
        pe = 30.0 * (1 + 0.03 * rng.standard_normal())
        theta = np.array([16.0, pe, 4.0, 0.15, *noise, 0.0, 0.8, 0.0, 1.6])
        bins = Spectra(np.zeros((2, 420)), np.full(2, -30.0), 1.0)
        spectra.append(bins._replace(counts=counts_of(rng, expected, theta, bins)))
        begin.append(np.r_[theta[:N_SHARED], theta[N_SHARED + late.N_NOISE :]])
    shared = climb_together(spectra, np.array(begin), noise, KINDS)
    return adequacy_of(spectra, shared.clean, shared.noise)


def test_where_the_model_is_right_the_residuals_are_those_of_chance():
    found = [fitted(lambda probability: probability, seed) for seed in (1, 2, 3)]
    chi_square, dof = (sum(getattr(each, name) for each in found) for name in ("chi_square", "dof"))
    # What the noise takes, two parameters of each camera, is not taken off.
    assert abs(chi_square - dof + 6) < 4 * np.sqrt(2 * dof)
    assert not any(each.is_clear for each in found) and all(each.scale == 1.0 for each in found)


def test_counts_that_no_pixel_shows_are_seen_in_all():
    """Two flashes of 1000 more between two peaks: hardly seen in a pixel, clear in all together."""

    def with_more(probability):
        more = np.zeros(probability.shape[1])
        more[73:77] = 0.25  # around 1.5 photoelectrons
        return 0.998 * probability + 0.002 * more

    found = fitted(with_more, 4)
    assert found.is_clear and found.scale > 1.2
    assert found.misfit == pytest.approx(np.sqrt((found.chi_square - found.dof) / found.flashes))


def test_it_is_told_in_one_line():
    wrong, right = Adequacy(800.0, 250, 1e6), Adequacy(260.0, 250, 1e6)
    words = tell_adequacy(LearntNoise(None, 64, wrong), 0.01)
    assert "chi-square 800 for 250, misfit 2.3 %" in words and "\n" not in words
    assert tell_adequacy(LearntNoise(None, 64, right), 0.01) == ""
    assert tell_adequacy(LearntNoise(None, 64, wrong), 0.03) == ""
    assert tell_adequacy(LearntNoise(None, 3), 0.01) == ""
