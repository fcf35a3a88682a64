"""The fit with a dark run: against the truth of a simulation, a closed form, and other people's."""

import numpy as np
import pytest
from helpers.digicamtoy import GAIN, digicamtoy
from scipy.stats import norm, poisson

from pixelcal.charge.simulation.flashes import Light, flash_blocks, make_pixels
from pixelcal.charge.spe.columns import dark_runs, fit_dtype, run_cards
from pixelcal.charge.spe.dark_run.pedestal import Pedestal, narrowest_width, nodes_of
from pixelcal.charge.spe.dark_run.rows import fit_pixels_with_dark_runs
from pixelcal.charge.spe.dark_run.spectrum import (
    DarkNoise,
    bin_probabilities,
    frequencies,
    model_runs,
)
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.model_spectra import (
    expected_counts,
    noise_of,
    peak_curves,
    run_parameters,
)
from pixelcal.charge.spe.noise.late_charges import N_NOISE
from pixelcal.charge.spe.spectra import bin_widths, fill_run, spectra_rows
from pixelcal.errors import InputError
from pixelcal.status import ChargeStatus

SIMULATION = {
    "seed": 3,
    "samples": 64,
    "fwhm_ns": 8.0,
    "pe_adu": 20.0,
    "sigma_pe_adu": 2.4,
    "sigma_ped_adu": 3.0,
    "opct": 0.15,
    "baseline_adu": 300.0,
    "peak_sample": 30.0,
    "stale_fraction": 0.0,
    "incomplete_fraction": 0.0,
    "dead_fraction": 0.0,
    "spread": {
        "efficiency": 0.05,
        "gain": 0.03,
        "opct": 0.1,
        "noise": 0.05,
        "baseline_adu": 2.0,
        "time_ns": 0.0,
    },
}
WINDOW = slice(24, 40)
LIGHTS, FLASHES = (0.0, 0.6, 1.5, 3.0), (8000, 4000, 4000, 4000)
DARK = np.array([True, False, False, False])
SHIFT = 4
"""Of the pedestal from run to run, a fifth of a photoelectron."""


def flashes(n_pixels, nsb):
    """Pixels and the charges (n_pixels, n) of each run, from waveforms with night sky."""
    pixels, runs = make_pixels(np.arange(n_pixels), SIMULATION), []
    for run, (light, n) in enumerate(zip(LIGHTS, FLASHES, strict=True)):
        blocks = flash_blocks(pixels, Light(light, nsb), SIMULATION, f"run {run}", n, 1000)
        charges = [block.waveforms[:, :, WINDOW].sum(axis=2, dtype=np.int64).T for block in blocks]
        runs.append(np.concatenate(charges, axis=1) + SHIFT * run)
    return pixels, runs


def spectra_of(runs, dark=DARK):
    width = bin_widths(runs[list(dark).index(False)], 1.0)
    filled = [fill_run(run, 1.0, width, of) for run, of in zip(runs, dark, strict=True)]
    rows = spectra_rows(np.arange(len(width)), width, filled)
    return tuple(rows[name] for name in ("COUNTS", "START", "WIDTH", "PIXEL"))


@pytest.fixture(scope="module")
def night():
    """Pixels under 0.03 photoelectrons per ns of night sky, their charges and their fits."""
    pixels, runs = flashes(24, 0.03)
    return pixels, runs, fit_pixels_with_dark_runs(*spectra_of(runs), DARK, SpeOptions())


def test_the_truth_is_found_under_night_sky_with_right_errors(night):
    pixels, _, fits = night
    n = len(fits)
    assert (fits["STATUS"] == 0).sum() >= n - 2
    light = np.asarray(pixels["EFFICIENCY"])[:, None] * LIGHTS
    truth = {"PE": pixels["GAIN"], "OPCT": pixels["OPCT"], "LAMBDA": light[:, 2]}
    for name, true in truth.items():
        value, error = fits[name], fits[f"{name}_ERR"]
        if name == "LAMBDA":
            value, error = value[:, 2], error[:, 2]
        pull = (value - np.asarray(true)) / error
        assert abs(pull.mean()) < 4 / np.sqrt(n), name
        assert abs(pull.std() - 1) < 4 / np.sqrt(2 * n), name
    # Without the dark run as what it is, the same spectra are not understood.
    assert abs(fits["PE"] / pixels["GAIN"] - 1).max() < 0.03


def test_the_pedestal_is_the_mean_of_the_dark_charges(night):
    _, runs, fits = night
    mean, scatter = runs[0].mean(axis=1), runs[0].std(axis=1)
    error = scatter / np.sqrt(runs[0].shape[1])
    # The runs with light share the pedestal, and so lower the error a little.
    assert np.all(abs(fits["EPED"][:, 0] - mean) < 1.5 * error)
    assert np.all(abs(fits["EPED_ERR"][:, 0] / error - 1) < 0.3)
    assert np.all(abs(fits["SIGMA_PED"] / scatter - 1) < 0.05)
    shifted = fits["EPED"] - fits["EPED"][:, :1] - SHIFT * np.arange(len(LIGHTS))
    pull = shifted[:, 1:] / np.hypot(fits["EPED_ERR"][:, 1:], fits["EPED_ERR"][:, :1])
    assert abs(pull).max() < 4.5
    assert np.all(fits["LAMBDA"][:, 0] == 0) and np.all(fits["DARK"] == 0)


def test_what_is_drawn_is_what_was_fitted(night):
    """The model from the columns of a row: as near to the counts as one of about 30 parameters."""
    _, runs, fits = night
    counts, start, width, _ = spectra_of(runs)
    chi = []
    for i, row in enumerate(fits):
        for run, parameters in enumerate(run_parameters(row)):
            n, flashes_of = counts.shape[2], counts[i, run].sum()
            model = expected_counts(
                parameters, start[i, run], width[i], n, flashes_of, noise_of(row)
            )
            assert model.sum() == pytest.approx(flashes_of)
            use = model > 20
            chi.append(((counts[i, run] - model)[use] ** 2 / model[use]).mean())
    assert 0.8 < np.mean(chi) < 1.02


def test_peaks_that_are_drawn_add_up_to_the_model(night):
    """Each has the skew form of the pedestal: normal peaks of its width would be 5 % off."""
    _, runs, fits = night
    counts, start, width, _ = spectra_of(runs)
    row = next(row for row in fits if row["STATUS"] == 0 and not np.any(row["NOISE"]))
    i, tops = int(row["PIXEL"]), []
    for run, parameters in enumerate(run_parameters(row)):
        n = counts.shape[2]
        model = expected_counts(parameters, start[i, run], width[i], n, 1.0, noise_of(row))
        middle = start[i, run] + width[i] * (np.arange(n) + 0.5)
        together = peak_curves(row, run, middle).sum(axis=0) * width[i]
        # The ends of the model hold what lies beyond; peaks of less than 0.001 are left out, each
        # no higher than the pedestal of the dark run, which is the first.
        tops.append(model.max())
        assert np.abs(together - model)[1:-1].max() < 1.5e-3 * tops[0]
        assert together.sum() == pytest.approx(1.0, abs=6e-3)


def test_no_dark_run_changes_nothing():
    rng = np.random.default_rng(1)
    charge = 20 * rng.poisson(1.0, (3, 4000)) + rng.normal(0, 3, (3, 4000))
    spectra = spectra_of([np.rint(charge).astype(int)], [False])
    plain = fit_pixels(*spectra, SpeOptions())
    assert fit_pixels_with_dark_runs(*spectra, [False], SpeOptions()).tobytes() == plain.tobytes()
    assert plain.dtype == fit_dtype(1)
    assert not any(name.startswith("DARK") for name, *_ in run_cards(["a", "b"], [False, False]))


def test_a_set_of_dark_runs_alone_is_a_mistake():
    spectra = spectra_of([np.arange(1000).reshape(1, -1)], [False])
    with pytest.raises(InputError, match="every run is dark"):
        fit_pixels_with_dark_runs(*spectra, [True], SpeOptions())


def test_light_that_is_none_is_too_few():
    rng = np.random.default_rng(2)
    runs = [np.rint(rng.normal(300, 4, (2, 3000))).astype(int) for _ in range(2)]
    fits = fit_pixels_with_dark_runs(*spectra_of(runs, [True, False]), [True, False], SpeOptions())
    assert np.all(fits["STATUS"] == int(ChargeStatus.TOO_FEW)) and np.isnan(fits["PE"]).all()


def test_a_pedestal_that_is_no_noise_and_pulses_is_said_to_be_poor():
    """Two levels, as of pick-up: no Poisson process of pulses has them."""
    rng = np.random.default_rng(4)

    def run(light, n):
        jump = 60.0 * (rng.random(n) < 0.5)
        return 300 + jump + 20 * rng.poisson(light, n) + rng.normal(0, 3, n)

    runs = [np.rint(run(light, 20_000))[None].astype(int) for light in (0.0, 1.0)]
    fits = fit_pixels_with_dark_runs(*spectra_of(runs, [True, False]), [True, False], SpeOptions())
    assert fits["STATUS"][0] != 0


# --- the model ------------------------------------------------------------------------------------


def compound(edges, eped, noise, node, rate):
    """Closed form for pulses of one charge: a Poisson sum of normal peaks."""
    number = np.arange(60)
    weight = poisson.pmf(number, rate)
    peaks = norm.cdf(edges[:, None], eped + node * number, noise)
    return np.diff(peaks @ weight)


def test_the_spectrum_of_a_dark_run_is_a_poisson_sum_of_peaks():
    pedestal = Pedestal(np.array([7.0]), 9.0, np.array([1.3]))
    edges = 280.0 + np.arange(121)
    spectra = Spectra(np.zeros((1, 120)), edges[:1], 1.0)
    parameters = np.array([[pedestal.variance, 20.0, 4.0, 0.1, 310.0 + pedestal.mean, 0.0]])
    found, _ = model_runs(parameters, DarkNoise(np.zeros(N_NOISE), pedestal), spectra)
    exact = compound(edges, 310.0, 3.0, 7.0, 1.3)
    assert np.allclose(found[0][1:-1], exact[1:-1], atol=1e-8)
    coarse = Spectra(np.zeros((1, 12)), edges[:1], 10.0)
    found, _ = model_runs(parameters, DarkNoise(np.zeros(N_NOISE), pedestal), coarse)
    assert np.allclose(found[0][1:-1], exact.reshape(12, 10).sum(axis=1)[1:-1], atol=1e-8)


def test_derivatives_are_those_of_finite_differences():
    pedestal = Pedestal(np.array([-4.0, 5.0, 9.0]), 9.0, np.array([0.1, 0.5, 0.3]))
    spectra = Spectra(np.zeros((2, 150)), np.array([280.0, 280.0]), 1.0)
    at = frequencies(spectra, pedestal)
    common = np.r_[9.0, 20.0, 4.0, 0.15, 0.0, 0.25, 0.03, 0.02, 0.04, 0.2, 0.6, 0.125]
    theta = np.concatenate([common, pedestal.rate, [305.0, 0.0, 306.0, 1.5]])
    _, gradient = bin_probabilities(theta, spectra, at)
    places = {1: [*range(len(common) + 3), -2, -1]}
    for place, row in zip(places[1], gradient[1], strict=True):
        if place == 4:
            continue  # dark counts are in the pedestal
        step = np.zeros(len(theta))
        step[place] = 1e-4 * max(abs(theta[place]), 0.1)
        up, down = (bin_probabilities(theta + s, spectra, at)[0][1] for s in (step, -step))
        assert np.allclose((up - down) / (2 * step[place]), row, atol=1e-6 * max(1, abs(row).max()))


def test_the_narrowest_width_is_that_of_the_noise_below_the_pulses():
    rng = np.random.default_rng(5)
    charge = rng.normal(0, 3.0, 50_000) + 20.0 * rng.poisson(0.1, 50_000)
    counts = np.bincount(np.rint(charge).astype(int) + 30)
    assert narrowest_width(counts, -30.5, 1.0) == pytest.approx(3.0, rel=0.1)
    node = nodes_of(counts, 1.0, 3.0)
    assert np.all(np.diff(node) > 0) and 0.0 not in node and node.max() > charge.max() - 3


def test_the_header_says_which_runs_are_dark():
    header = {name: value for name, value, _ in run_cards(["a", "b"], [True, False])}
    assert list(dark_runs(header)) == [True, False]


# --- another group's simulator --------------------------------------------------------------------


@pytest.mark.parametrize("nsb", [0, 125])
def test_digicamtoy_with_its_dark_run(nsb):
    """The true gain is the slope of the charge on the true photoelectrons of the brightest run."""
    runs = [digicamtoy(nsb, pe)[0] for pe in (0, 1, 10)]
    bright, true = digicamtoy(nsb, 100)
    gain = np.polyfit(true, bright[0], 1)[0]
    dark = np.array([True, False, False])
    row = fit_pixels_with_dark_runs(*spectra_of(runs, dark), dark, SpeOptions())[0]
    if nsb == 0:
        assert row["STATUS"] == 0 and abs(row["PE"] / GAIN - 1) < 0.01
        assert abs(row["PE"] - gain) < 3 * row["PE_ERR"]
    else:
        # Photoelectrons are not told apart at 7 pulses of night sky per window, and it is said.
        assert row["STATUS"] & ChargeStatus.UNRESOLVED
        assert gain / GAIN == pytest.approx(0.904, abs=0.005)
