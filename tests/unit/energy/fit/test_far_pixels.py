"""Faint pixels far from the prior: never a relation near it with a block left out."""

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels

N, FAR, SECONDS = 500, 100, 3_000.0


def test_a_pixel_far_off_is_not_taken_for_one_with_a_spoilt_block():
    """Gains 15 to 22 % off, in 3 ks: one in seven was, where no far relation was tried against it.

    None of 100 has a probability of 2e-7 then. A pixel that ends near the prior must say so.
    """
    camera, prior, table = (
        cameras.make_camera(N, SECONDS, 51),
        cameras.prior(N),
        cameras.line_table(),
    )
    response = learn_camera(
        camera.counts, *prior, table, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
    )
    random = np.random.default_rng(52)
    gain = cameras.NOMINAL_GAIN * random.uniform(1.15, 1.22, FAR)
    expected = [cameras.expected_spectrum(one, 3.0, SECONDS) for one in gain]
    counts = random.poisson(expected).astype(np.int32)
    first_half = random.binomial(counts, 0.5).astype(np.int32)
    start = cameras.prior(FAR)
    options = cameras.OPTIONS
    fits = fit_pixels(counts, np.arange(FAR), *start, table, response, options, first_half)
    off = np.abs(fits["GAIN"] / gain - 1.0) > 0.02
    assert not (off & (fits["STATUS"] == 0)).any(), fits["GAIN"][off & (fits["STATUS"] == 0)]


def test_a_pixel_whose_lines_lie_on_others_is_not_taken_for_one_near_the_prior():
    """Gains 24 to 36 % off, in 3 ks: lines then lie near others of the search window.

    14 of 1000 had STATUS 0 there, most of them with a block left out. None of 400 has a
    probability of 0.4 % then. Most pixels of the camera are near the prior.
    """
    prior, table, random = cameras.prior(N), cameras.line_table(), np.random.default_rng(62)
    learnt_from = cameras.make_camera(N, SECONDS, 51).counts
    known = {"expected": EXPECTED, "search": SEARCH}
    response = learn_camera(learnt_from, *prior, table, cameras.MIN_COUNTS, **known)
    gain = cameras.NOMINAL_GAIN * random.uniform(1.24, 1.36, 400)
    far = random.poisson([cameras.expected_spectrum(one, 3.0, SECONDS) for one in gain])
    counts = np.concatenate([cameras.make_camera(N, SECONDS, 162).counts, far]).astype(np.int32)
    first_half = random.binomial(counts, 0.5).astype(np.int32)
    n = len(counts)
    known = np.arange(n), *cameras.prior(n), table, response, cameras.OPTIONS, first_half
    fits = fit_pixels(counts, *known)
    near, far = np.split(fits, [N])
    off = np.abs(far["GAIN"] / gain - 1.0) > 0.02
    assert not (off & (far["STATUS"] == 0)).any(), far["GAIN"][off & (far["STATUS"] == 0)]
    # 0.1 % of healthy pixels have a STATUS: more than 5 of 500 have a probability of 1e-5.
    assert (near["STATUS"] != 0).sum() <= 5
