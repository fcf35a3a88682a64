"""Charge resolution against the closed form, and its errors against their own scatter.

The charges are drawn photon by photon; the closed form knows only moments.
"""

import numpy as np
import pytest
from helpers.flashes import TRUTH, draw_charges, draw_photoelectrons, spread_truth

from pixelcal.charge.resolution.estimator import QUANTITIES, measure_run
from pixelcal.charge.resolution.transfer import SpeConversion
from pixelcal.charge.simulation.expected_resolution import expected_resolution

N_PIXELS, N_FLASHES = 80, 2500


def arrays(truth, n_pixels):
    return {name: np.broadcast_to(value, n_pixels) + 0.0 for name, value in truth.items()}


def converter(truth, n_pixels):
    columns = arrays(truth, n_pixels)
    return SpeConversion(columns["pedestal"], columns["pe"], columns["opct"])


def measure(charges, conversion, expected, convention, chosen=None):
    chosen = np.ones(len(charges), bool) if chosen is None else chosen
    return measure_run(
        lambda rows: conversion.to_pe(rows, charges[rows]), expected, convention, {"": chosen}
    )


# --- against truth --------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["lab", "simulation"])
@pytest.mark.parametrize("charge", [0.4, 3.0, 40.0, 900.0])
@pytest.mark.parametrize("spread", [False, True], ids=["equal", "different"])
def test_within_one_percent_of_the_truth(convention, charge, spread):
    """200 000 charges know a resolution to 0.2 % (0.4 % at 0.4 p.e., where tails are long)."""
    random = np.random.default_rng(int(10 * charge))
    truth = spread_truth(random, N_PIXELS) if spread else TRUTH
    light = np.full(N_PIXELS, charge)
    photoelectrons = draw_photoelectrons(random, light, N_FLASHES)
    charges = draw_charges(random, photoelectrons, truth)
    camera = measure(
        charges,
        converter(truth, N_PIXELS),
        charge if convention == "lab" else photoelectrons,
        convention,
    ).cameras[""]
    expected, bias = expected_resolution(charge, light, truth | {"step": 1.0}, convention)
    assert camera["RESOLUTION_ERR"] / expected < 0.0045
    assert camera["RESOLUTION"] == pytest.approx(expected, rel=0.01)
    assert bias == pytest.approx(0, abs=1e-12)
    assert abs(camera["BIAS"]) < 4.5 * camera["BIAS_ERR"]


def test_both_conventions_measure_the_same():
    random = np.random.default_rng(5)
    light = np.full(N_PIXELS, 12.0)
    photoelectrons = draw_photoelectrons(random, light, N_FLASHES)
    charges = draw_charges(random, photoelectrons)
    conversion = converter(TRUTH, N_PIXELS)
    lab, simulation = (
        measure(charges, conversion, expected, name).cameras[""]["RESOLUTION"]
        for name, expected in (("lab", 12.0), ("simulation", photoelectrons))
    )
    assert lab == pytest.approx(simulation, rel=0.01)
    predicted = [expected_resolution(12.0, light, TRUTH, name)[0] for name in ("lab", "simulation")]
    assert predicted[0] == pytest.approx(predicted[1], rel=1e-12)


@pytest.mark.parametrize("convention", ["lab", "simulation"])
def test_a_wrong_conversion_background_and_jitter(convention):
    """What the conversion gets wrong, uneven light, and background are in the closed form."""
    random = np.random.default_rng(6)
    light = 20 * (1 + 0.1 * random.standard_normal(N_PIXELS))
    wrong = spread_truth(random, N_PIXELS, 0.1)
    truth = TRUTH | {"background_pe": 1.5, "jitter": 0.05, "step": 1.0}
    photoelectrons = draw_photoelectrons(random, light, 20_000, 0.05)
    background = random.poisson(1.5, photoelectrons.shape)
    charges = draw_charges(random, photoelectrons + background)
    camera = measure(
        charges,
        converter(wrong, N_PIXELS),
        20.0 if convention == "lab" else photoelectrons,
        convention,
    ).cameras[""]
    used = tuple(wrong[name] for name in ("pedestal", "pe", "opct"))
    resolution, bias = expected_resolution(20.0, light, truth, convention, used)
    assert camera["RESOLUTION"] == pytest.approx(resolution, rel=0.01)
    assert abs(camera["BIAS"] - bias) < 4.5 * camera["BIAS_ERR"]
    assert bias > 0.02


def test_parts_add_up_and_pixels_agree_with_the_camera():
    random = np.random.default_rng(7)
    charges = draw_charges(random, draw_photoelectrons(random, np.full(150, 8.0), 300))
    measured = measure(charges, converter(spread_truth(random, 150), 150), 8.0, "lab")
    camera, pixels = measured.cameras[""], measured.pixels
    assert camera["RESOLUTION"] ** 2 == pytest.approx(camera["BIAS"] ** 2 + camera["SPREAD"] ** 2)
    assert camera["SPREAD"] ** 2 == pytest.approx(camera["WITHIN"] ** 2 + camera["BETWEEN"] ** 2)
    assert np.mean(pixels["RESOLUTION"] ** 2) == pytest.approx(camera["RESOLUTION"] ** 2)
    assert np.mean(pixels["SPREAD"] ** 2) == pytest.approx(camera["WITHIN"] ** 2)
    assert np.std(pixels["BIAS"]) == pytest.approx(camera["BETWEEN"])
    assert np.mean(pixels["MEAN_PE"]) == pytest.approx(camera["MEAN_PE"])
    assert measured.histogram.sum() == charges.size


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["lab", "simulation"])
@pytest.mark.parametrize("jitter", [0.0, 0.15], ids=["steady", "jitter"])
def test_errors_are_as_large_as_the_scatter(convention, jitter):
    """400 runs: a pull width is known to 3.5 %, a mean to 0.05.

    With jitter all pixels of a flash rise and fall together: an error of the bias from independent
    charges would be too small by nearly a factor of 2 here.
    """
    random = np.random.default_rng(8)
    n_pixels, n_flashes, n_runs, light = 12, 400, 400, np.linspace(15, 25, 12)
    wrong = spread_truth(random, n_pixels, 0.1)
    found, errors = np.empty((2, n_runs, len(QUANTITIES)))
    pixel_found, pixel_errors = np.empty((2, n_runs, 3))
    for run in range(n_runs):
        photoelectrons = draw_photoelectrons(random, light, n_flashes, jitter)
        charges = draw_charges(random, photoelectrons)
        expected = 20.0 if convention == "lab" else photoelectrons
        measured = measure(charges, converter(wrong, n_pixels), expected, convention)
        camera = measured.cameras[""]
        found[run] = [camera[name] for name in QUANTITIES]
        errors[run] = [camera[f"{name}_ERR"] for name in QUANTITIES]
        names = ("RESOLUTION", "BIAS", "SPREAD")
        pixel_found[run] = [measured.pixels[name][3] for name in names]
        pixel_errors[run] = [measured.pixels[f"{name}_ERR"][3] for name in names]
    for values, sigma in ((found, errors), (pixel_found, pixel_errors)):
        width = values.std(axis=0, ddof=1) / np.sqrt((sigma**2).mean(axis=0))
        assert width == pytest.approx(1, abs=4.5 / np.sqrt(2 * n_runs))
    used = tuple(wrong[name] for name in ("pedestal", "pe", "opct"))
    truth = TRUTH | {"jitter": jitter, "step": 1.0}
    expected = expected_resolution(20.0, light, truth, convention, used)
    for k, value in enumerate(expected):
        error = errors[:, k].mean()
        # The root of a mean square is low by half of its relative variance.
        low = 0.5 * (errors[:, 0] ** 2 / found[:, 0]).mean() if k == 0 else 0.0
        assert abs(found[:, k].mean() + low - value) < 4.5 * error / np.sqrt(n_runs)


def test_few_flashes_have_no_error():
    random = np.random.default_rng(9)
    charges = draw_charges(random, draw_photoelectrons(random, np.full(3, 5.0), 9))
    camera = measure(charges, converter(TRUTH, 3), 5.0, "lab").cameras[""]
    assert np.isfinite(camera["RESOLUTION"]) and np.isnan(camera["RESOLUTION_ERR"])


# --- what is left out -----------------------------------------------------------------------------


def test_who_is_not_chosen_or_not_finite_does_not_count():
    random = np.random.default_rng(10)
    charges = draw_charges(random, draw_photoelectrons(random, np.full(70, 5.0), 50)) + 0.0
    conversion = converter(TRUTH, 70)
    chosen = np.arange(70) < 66
    alone = measure(charges[:65], converter(TRUTH, 65), 5.0, "lab")
    charges[65] = np.nan
    charges[66:] = 1e6
    measured = measure(charges, conversion, 5.0, "lab", chosen)
    assert measured.cameras[""] == pytest.approx(alone.cameras[""], rel=1e-12)
    assert (measured.histogram == alone.histogram).all()
    assert np.isnan(measured.pixels["RESOLUTION"][65])


@pytest.mark.filterwarnings("error")
def test_no_pixel_and_no_light():
    charges = np.full((4, 20), 200.0)
    conversion = converter(TRUTH, 4)
    nobody = measure(charges, conversion, 5.0, "lab", np.zeros(4, bool)).cameras[""]
    assert nobody["N_PIXELS"] == 0 and np.isnan(nobody["RESOLUTION"])
    for convention, expected in (("lab", 0.0), ("simulation", np.zeros((4, 20), int))):
        dark = measure(charges, conversion, expected, convention).cameras[""]
        assert np.isnan(dark["RESOLUTION"]) and np.isnan(dark["BIAS"]) and dark["MEAN_PE"] == 0
