"""The uncertainty by a second gain that may be there: Bayes' theorem by drawing, and a mixture."""

import numpy as np
from helpers.synthetic import make_fits

from pixelcal.energy.results.systematics import (
    HEALTHY_SECONDS,
    SECOND_FRACTION,
    SECOND_RANGE,
    Systematics,
    chance_of_second_state,
    with_second_states,
)


def test_the_chance_is_the_fraction_of_pixels_drawn_that_have_a_second_gain():
    """Significances of healthy and of other pixels drawn; counted in bins, without a formula."""
    random, n = np.random.default_rng(1), 4_000_000
    has = random.random(n) < SECOND_FRACTION
    # Chance exceeds z in HEALTHY_SECONDS exp(-z^2 / 2) of the healthy ones, from 1 downwards.
    by_chance = np.sqrt(-2.0 * np.log(random.random(n) / HEALTHY_SECONDS))
    sigma = np.where(has, SECOND_RANGE * random.random(n), by_chance)
    for low in (2.0, 3.0, 3.5, 4.0):
        inside = (sigma > low) & (sigma < low + 0.1)
        counted, error = has[inside].mean(), np.sqrt(0.25 / inside.sum())
        assert abs(counted - chance_of_second_state(np.array([low + 0.05]))[0]) < 4 * error + 0.01


def test_no_second_gain_adds_nothing_and_a_clear_one_all_of_the_difference():
    rows, _ = make_fits(400, 2)
    rows["SECOND_SIGMA"] = np.random.default_rng(3).normal(1.5, 0.6, 400)
    rows["SECOND_GAIN"], rows["SECOND_OFFSET"] = np.nan, np.nan
    none = Systematics(np.zeros((400, 3, 3)))
    assert (with_second_states(none, rows).sigma(80.0) == 0.0).all()
    rows["SECOND_SIGMA"][:2] = 7.0, 3.4
    rows["SECOND_GAIN"][:2] = 0.99 * rows["GAIN"][:2]
    rows["SECOND_OFFSET"][:2] = rows["OFFSET"][:2]
    sigma = with_second_states(none, rows).sigma(80.0)
    off = (80.0 - rows["OFFSET"][:2]) * (1 / 0.99 - 1)
    assert abs(sigma[0] / off[0] - 1) < 0.01
    assert 0.1 * off[1] < sigma[1] < 0.4 * off[1]
    assert (sigma[2:] == 0.0).all()
