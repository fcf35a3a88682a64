"""What a pixel gives depends on its data, its prior and the camera: not on its chunk."""

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit.camera_prior import pixels_of_camera
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_with_residuals
from pixelcal.energy.fit.start import find_starts

N, SECONDS = 240, 10_000.0


def camera_with_scattered_priors(seed, gain_off=1.0):
    """Counts, those of the first half, and priors of a camera whose truth they scatter about.

    By 2 % and 0.5 keV, in ramps along the camera, so that its chunks differ; the sick ones, one in
    eight, have noise on a line, a step of the gain, or one far from the prior.
    """
    rng = np.random.default_rng(seed)
    camera = cameras.make_camera(N, SECONDS, seed)
    gain = camera.gain_true * (1.0 + np.linspace(-0.02, 0.02, N))
    offset = camera.offset_true + rng.normal(0.0, 0.5, N)
    first_half = rng.binomial(camera.counts, 0.5)
    late = camera.counts - first_half
    channel = np.arange(camera.counts.shape[1])
    for k, pixel in enumerate(range(3, N, 8)):
        true_gain, true_offset = camera.gain_true[pixel], camera.offset_true[pixel]
        if k % 3 == 0:
            middle = (rng.uniform(8.0, 60.0) - true_offset) / true_gain
            bump = 20.0 * np.exp(-0.5 * ((channel - middle) / 2.5) ** 2)
            first_half[pixel] += rng.poisson(bump)
            late[pixel] += rng.poisson(bump)
            continue
        factors = (1.0, 1.04) if k % 3 == 1 else (1.25, 1.25)
        for half, factor in zip((first_half, late), factors, strict=True):
            spectrum = cameras.expected_spectrum(true_gain * factor, true_offset, SECONDS / 2)
            half[pixel] = rng.poisson(spectrum)
    counts = (first_half + late).astype(np.int32)
    return counts, first_half.astype(np.int32), gain * gain_off, offset


def fit_in_chunks(data, response, camera, n_chunks):
    """Fits, residuals and expected counts of all pixels, from so many calls."""
    counts, first_half, gain, offset = data
    table, parts = cameras.line_table(), []
    for rows in np.array_split(np.arange(N), n_chunks):
        pixels = counts[rows], rows, gain[rows], offset[rows]
        known = table, response, cameras.OPTIONS, first_half[rows], camera
        parts.append(fit_with_residuals(*pixels, *known))
    return [np.concatenate(one).tobytes() for one in zip(*parts, strict=True)]


def learnt(data):
    """The response of a camera by its priors."""
    counts, _, gain, offset = data
    pixels = counts, gain, offset, cameras.line_table(), cameras.MIN_COUNTS
    return learn_camera(*pixels, expected=EXPECTED, search=SEARCH)


def test_chunks_change_no_byte():
    """Priors that scatter, and pixels of all kinds that are looked at again."""
    data = camera_with_scattered_priors(71)
    (counts, _, gain, offset), response = data, learnt(data)
    camera = pixels_of_camera(counts, gain, offset)
    whole = fit_in_chunks(data, response, camera, 1)
    assert fit_in_chunks(data, response, camera, 3) == whole
    assert fit_in_chunks(data, response, camera, 16) == whole


def test_chunks_change_no_byte_where_the_prior_of_all_is_far_off():
    """Whether it is, is asked of the camera: a chunk of 15 pixels cannot always tell."""
    data = camera_with_scattered_priors(72)
    (counts, first_half, gain, offset), response = data, learnt(data)
    far = counts, first_half, 1.2 * gain, offset
    camera = pixels_of_camera(counts, 1.2 * gain, offset)
    whole = fit_in_chunks(far, response, camera, 1)
    assert fit_in_chunks(far, response, camera, 16) == whole


def test_a_seed_knows_no_other_prior():
    """Beside pixels whose priors have gains of 0.7 to 1.4 times its own."""
    data = camera_with_scattered_priors(73)
    counts, _, gain, offset = data
    known = cameras.line_table(), EXPECTED, SEARCH
    alone = [find_starts(*(v[i : i + 1] for v in (counts, gain, offset)), *known) for i in range(9)]
    others = np.concatenate([gain[:9], gain[9:] * np.linspace(0.7, 1.4, N - 9)])
    together = find_starts(counts, others, offset, *known)
    for i, one in enumerate(alone):
        assert (one[0][0], one[1][0]) == (together[0][i], together[1][i])
