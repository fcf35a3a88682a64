"""Charges at which all pixels together differ from the model: chance, and truth put in."""

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_spectra
from scipy.stats import binom

from pixelcal.charge.report import adequacy
from pixelcal.charge.report.model import (
    RELEVANT,
    Cause,
    Pooled,
    chosen_pixels,
    likely_cause,
    pool,
)
from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.status import ChargeStatus

NAMES = ("dark", "bright")


def made(model, excess=None, random=None) -> Pooled:
    """A run with Poisson counts of the model (m,), or with exactly an `excess` over it."""
    counts = model + excess if random is None else random.poisson(model).astype(float)
    edges = 0.05 * np.arange(len(model) + 1) - 0.5
    n = int(model.sum())
    chi_square = float(((counts - model) ** 2 / model).sum())
    misfit = float(np.sqrt(max(chi_square - len(model), 0.0) / n))
    return Pooled(edges, counts, model, 100, n, chi_square, misfit)


def spectrum(flashes):
    """Expected counts of peaks at whole photoelectrons, at least 25 in each bin."""
    charge = 0.05 * (np.arange(100) + 0.5) - 0.5
    peaks = sum(np.exp(-0.5 * ((charge - k) / 0.2) ** 2) / (k + 1) for k in range(5))
    return 25.0 + flashes * peaks / peaks.sum()


def test_a_right_model_has_a_region_as_rarely_as_chance_says():
    """Of 400 cameras with Poisson counts, by the binomial law once in 10 000 tests more."""
    random, n = np.random.default_rng(1), 400
    models = spectrum(2e4), spectrum(2e6)
    found = [
        bool(adequacy.find_regions([made(each, random=random) for each in models]))
        for _ in range(n)
    ]
    assert sum(found) <= binom.isf(1e-4, n, adequacy.CHANCE)


@pytest.mark.parametrize(("share", "matters"), [(0.4 * RELEVANT, False), (3 * RELEVANT, True)])
def test_what_is_put_in_is_found_where_it_is(share, matters):
    """Flashes between the first two peaks: their number and place; a million do not condemn."""
    model = spectrum(2e6)
    excess = np.zeros(len(model))
    excess[38:42] = share * model.sum() / 4  # 1.4 to 1.6 photoelectrons
    regions = adequacy.find_regions([made(model, 0.0 * model), made(model, excess)])
    assert len(regions) == 1 and regions[0].run == 1
    assert (regions[0].low, regions[0].high) == pytest.approx((1.4, 1.6))
    assert regions[0].of_all == pytest.approx(share) and regions[0].is_relevant == matters
    assert regions[0].sigma == pytest.approx(excess.sum() / np.sqrt(model[38:42].sum()))
    words = adequacy.sentence([made(model, 0.0 * model), made(model, excess)], NAMES)
    assert "1 range of charge" in words and "1.40 to 1.60 photoelectrons, bright" in words
    assert ("too little to matter" in words) == (not matters)
    assert adequacy.rows([made(model, excess)], NAMES)[0][1] == "1.40 to 1.60"


def test_a_pattern_of_a_few_flashes_does_not_condemn_the_model():
    """The same first valley, of half a thousandth of the flashes and of more."""
    model = spectrum(1e7)
    excess = np.zeros(len(model))
    excess[19:24] = 0.5 * RELEVANT * model.sum() / 5
    assert excess[18:25].sum() / np.sqrt(model[18:25].sum()) > 5
    assert likely_cause([made(model, excess)]) is None
    assert likely_cause([made(model, 4.0 * excess)]) == Cause.LIGHT_AT_ANY_TIME


def test_poor_fits_are_added_up_where_they_are_more_than_the_good_ones():
    poor, other = int(ChargeStatus.POOR_FIT), int(ChargeStatus.UNRESOLVED)
    few, many = np.array([0, 0, poor, other, 0]), np.array([0, poor, poor, other, poor | other])
    assert chosen_pixels(few).tolist() == [True, True, False, False, True]
    assert chosen_pixels(many).tolist() == [True, True, True, False, False]


def camera(noise, flashes, n, seed):
    """Spectra of pixels with afterpulses or none, and their fits without noise in the model."""
    trouble = late_avalanches(**noise) if noise else None
    pixels = [Sipm(trouble=trouble, eped=4000.0, flashes=flashes)] * n
    counts, start, width = draw_spectra(np.random.default_rng(seed), pixels)
    options = SpeOptions(dark_counts=False, afterpulses=False, delayed_crosstalk=False)
    fits = fit_pixels(counts, start, width, np.arange(n), options)
    return pool({"COUNTS": counts, "START": start, "WIDTH": width}, fits)


def test_a_clean_camera_has_no_region_and_one_with_afterpulses_left_out_has():
    runs = ("a", "b", "c")
    clean = camera({}, 20_000, 32, 5)
    assert likely_cause(clean) is None and not adequacy.find_regions(clean)
    assert adequacy.sentence(clean, runs).startswith("At no charge")
    noisy = camera({"afterpulses": 0.15}, 20_000, 32, 6)
    regions = adequacy.find_regions(noisy)
    assert likely_cause(noisy) is not None and regions[0].is_relevant
    # Too many flashes between the peaks above the first.
    between = [region for region in regions if region.low > 1.2 and region.high < 1.9]
    assert any(region.excess > 0 for region in between)
