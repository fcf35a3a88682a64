"""The fit of single-photoelectron spectra: truth put in, other minimisers, troubles.

Charges are drawn avalanche by avalanche (`spe_flashes`), not from the formula that is fitted.
"""

import math

import numpy as np
import pytest
from helpers.spe_flashes import TROUBLES, Sipm, as_spectra, draw_charges, draw_spectra
from scipy import optimize, stats

from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.likelihood import Spectra, likelihood, maximise
from pixelcal.charge.spe.search import SAME, _prepared, best_fit, first_fit
from pixelcal.charge.spe.start import all_starts
from pixelcal.numerics.goodness_of_fit import moment_table
from pixelcal.status import ChargeStatus, has_valid_fit

N_PIXELS = 150
TRUTH = {"PE": 30.0, "SIGMA_PED": 6.0, "SIGMA_PE": 3.0, "OPCT": 0.15}
LIGHT = (0.6, 1.2, 2.4)


def fit(spectra, options=None, first_pixel=0):
    counts, start, width = spectra
    pixel = first_pixel + np.arange(len(counts))
    return fit_pixels(counts, start, width, pixel, options or SpeOptions())


@pytest.fixture(scope="module")
def healthy():
    rng = np.random.default_rng(2)
    pixels = [Sipm(eped=rng.uniform(4000, 5000)) for _ in range(N_PIXELS)]
    return pixels, draw_spectra(rng, pixels)


@pytest.fixture(scope="module")
def fits(healthy):
    return fit(healthy[1])


def recovered(fits, pixels):
    """Every quantity: values, errors and truth of all pixels."""
    for name, true in TRUTH.items():
        yield name, fits[name], fits[f"{name}_ERR"], true
    for run, true in enumerate(LIGHT):
        yield f"LAMBDA_{run}", fits["LAMBDA"][:, run], fits["LAMBDA_ERR"][:, run], true
        eped = np.array([pixel.eped for pixel in pixels])
        yield f"EPED_{run}", fits["EPED"][:, run], fits["EPED_ERR"][:, run], eped


def test_healthy_pixels_are_good(fits):
    assert (fits["STATUS"] == 0).all()


def test_truth_is_recovered_within_honest_errors(fits, healthy):
    """Means within 4 standard errors, widths within 4 of theirs, for ten quantities."""
    for name, value, error, true in recovered(fits, healthy[0]):
        pull = (value - true) / error
        assert abs(pull.mean()) < 4 / math.sqrt(N_PIXELS), name
        assert abs(pull.std(ddof=1) - 1) < 4 / math.sqrt(2 * N_PIXELS), name


def information(theta, start, width, n_bins, flashes):
    """Fisher information of `flashes` (R,) in bins: it depends on the counts through their sum."""
    counts = np.zeros((len(flashes), n_bins))
    counts[:, 0] = flashes
    score, matrix = np.empty(len(theta)), np.empty((len(theta), len(theta)))
    room = np.empty(n_bins), np.empty((6, n_bins))
    likelihood(theta, Spectra(counts, start, width), *room, score, matrix)
    return matrix


def test_errors_are_the_information_bound(fits):
    """The inverse of the information at the truth, in bins much finer than those of the fit."""
    theta = np.array([36.0, 30.0, 9.0, 0.15, *(x for mean in LIGHT for x in (0.0, mean))])
    bound = np.linalg.inv(information(theta, np.full(3, -40.0), 1.0, 700, np.full(3, 10_000)))
    scale = {"SIGMA_PED": 1 / 12.0, "PE": 1.0, "SIGMA_PE": 1 / 6.0, "OPCT": 1.0}
    for i, (name, jacobian) in enumerate(scale.items()):
        expected = math.sqrt(bound[i, i]) * jacobian
        # Quoted at the fitted values; grouping to four bins a width loses half a per cent.
        assert np.median(fits[f"{name}_ERR"]) == pytest.approx(expected, rel=0.03), name
        rms = np.sqrt(np.mean((fits[name] - TRUTH[name]) ** 2))
        assert rms < expected * (1 + 4 / math.sqrt(2 * N_PIXELS)), name


def test_p_values_are_uniform(fits):
    """Kolmogorov and Smirnov at 1e-4: a wrong count of degrees of freedom shifts them all."""
    assert stats.kstest(fits["PVALUE"], "uniform").pvalue > 1e-4


def negative_log_likelihood(theta, counts, start, width):
    """Written anew with scipy: a normal distribution function for each peak, in each bin."""
    sigma_ped, pe, sigma_pe, opct, *per_run = theta
    total = 0.0
    k = np.arange(40)[:, np.newaxis]
    for run, (eped, mean) in enumerate(zip(per_run[::2], per_run[1::2], strict=True)):
        edges = start[run] + width * np.arange(counts.shape[1] + 1)
        edges[0], edges[-1] = -np.inf, np.inf
        rate = mean + k * opct
        log_weight = np.log(mean) + (k - 1) * np.log(rate) - rate - np.vectorize(math.lgamma)(k + 1)
        below = stats.norm.cdf(edges, eped + k * pe, np.sqrt(sigma_ped**2 + k * sigma_pe**2))
        probability = (np.exp(log_weight) * np.diff(below, axis=1)).sum(axis=0)
        total -= counts[run] @ np.log(np.maximum(probability, 1e-300))
    return total


def test_no_other_minimiser_finds_more(fits, healthy):
    """From a start beside it, scipy's simplex ends at the same place; it cannot go lower."""
    counts, start, width = (part[0] for part in healthy[1])
    row = fits[0]
    shared = np.array([row[name] for name in ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT")])
    ours = np.concatenate([shared, np.column_stack([row["EPED"], row["LAMBDA"]]).ravel()])
    error = np.sqrt(np.diag(row["COVARIANCE"]))
    # Grouped four to one no finer than the bins of the fit: compare both there.
    arguments = (counts, start, width)
    at = negative_log_likelihood(ours, *arguments)
    found = optimize.minimize(
        negative_log_likelihood,
        ours + 0.3 * error,
        arguments,
        method="L-BFGS-B",
        bounds=[(1e-3, None)] * 4 + [(None, None), (1e-3, None)] * 3,
    )
    assert found.fun > at - 0.05  # in units of a likelihood: a thirtieth of an error
    assert np.abs(found.x - ours) == pytest.approx(0, abs=0.35 * error.max())


def test_starts_that_are_given_up_lead_nowhere_better():
    """Against climbing from every start to the end, with many flashes and so large deviances."""
    pixel = Sipm(**TROUBLES["night sky 5"]).changed(flashes=200_000)
    moments, improved = moment_table(), 0
    for counts, start, width in zip(
        *draw_spectra(np.random.default_rng(9), [pixel] * 4), strict=True
    ):
        given = counts.astype(float), start, width, math.nan
        first, _, _ = first_fit(*given, moments)
        best, _ = best_fit(*given, moments, first)
        spectra, spacings, _, group, _ = _prepared(*given)
        all_ends = [
            maximise(theta, spectra, group, moments) for theta in all_starts(spectra, spacings)
        ]
        assert best.deviance < min(end.deviance for end in all_ends) + SAME
        improved += best.deviance < first.deviance - 1.0
    assert improved > 0  # else nothing was decided


@pytest.mark.parametrize("factor", [1 / 3, 3.0])
def test_a_wrong_guess_changes_nothing(fits, healthy, factor):
    counts, start, width = healthy[1]
    few = slice(0, 20)
    guessed = fit((counts[few], start[few], width[few]), SpeOptions(pe_guess=30.0 * factor))
    assert guessed.tobytes() == fits[few].tobytes()


def test_a_pixel_does_not_depend_on_the_others(fits, healthy):
    counts, start, width = healthy[1]
    alone = slice(7, 9)
    again = fit((counts[alone], start[alone], width[alone]), first_pixel=7)
    assert again.tobytes() == fits[alone].tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        dict(opct=0.02),
        dict(opct=0.5),
        dict(pe=100.0, sigma_ped=15.0, sigma_pe=8.0),
        dict(pe=12.0, sigma_ped=2.0, sigma_pe=1.0),
        dict(light=(0.1, 0.2, 0.4)),
        dict(light=(2.0, 4.0, 8.0)),
        dict(light=(1.2,)),
        dict(light=(0.5, 0.7, 1.0, 1.5, 2.2)),
        dict(eped=-300.0),
    ],
    ids=str,
)
def test_other_pixels_are_recovered_too(changes):
    rng = np.random.default_rng(3)
    pixel = Sipm(**changes)
    fits = fit(draw_spectra(rng, [pixel] * 12))
    assert (fits["STATUS"] == 0).all()
    assert np.abs((fits["PE"] - pixel.pe) / fits["PE_ERR"]).max() < 5
    assert np.abs((fits["OPCT"] - pixel.opct) / fits["OPCT_ERR"]).max() < 5
    assert np.abs((fits["LAMBDA"] - pixel.light) / fits["LAMBDA_ERR"]).max() < 5


def test_charges_that_are_no_whole_numbers():
    rng = np.random.default_rng(4)
    charges = [
        charge / 7.0 for charge in draw_charges(rng, Sipm(pe=210.0, sigma_ped=42.0, sigma_pe=21))
    ]
    counts, start, _ = as_spectra([[np.floor(charge * 4).astype(int) for charge in charges]])
    row = fit((counts, (start + 0.5) / 4, np.array([0.25])))[0]
    assert row["STATUS"] == 0
    assert abs(row["PE"] - 30.0) < 5 * row["PE_ERR"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_pixel_in_trouble_is_wrong_and_called_good(trouble):
    """tests/long has the same over 2000 pixels."""
    rng = np.random.default_rng(5)
    pixel = Sipm(**TROUBLES[trouble])
    fits = fit(draw_spectra(rng, [pixel] * 3))
    good = fits["STATUS"] == 0
    assert (np.abs(fits["PE"][good] / pixel.pe - 1) < 0.05).all()
    invalid = ~has_valid_fit(fits["STATUS"])
    assert np.isnan(fits["PE"][invalid]).all()
    assert np.isfinite(fits["PE"][~invalid]).all()


def test_a_wrong_model_is_a_poor_fit():
    rng = np.random.default_rng(6)
    for name in ("window misses", "saturates at 3 pe", "stray events"):
        fits = fit(draw_spectra(rng, [Sipm(**TROUBLES[name])] * 3))
        assert (fits["STATUS"] & int(ChargeStatus.POOR_FIT) != 0).all(), name


def test_few_flashes_and_dead_pixels_have_no_valid_fit():
    rng = np.random.default_rng(7)
    fits = fit(draw_spectra(rng, [Sipm(flashes=499), Sipm(light=(0.0, 0.0, 0.0))]))
    assert fits["STATUS"].tolist() == [int(ChargeStatus.TOO_FEW)] * 2
    assert np.isnan(fits["PE"]).all() and np.isnan(fits["COVARIANCE"]).all()


def test_one_charge_only_has_no_valid_fit():
    counts = np.full((1, 2, 1), 5000, np.int32)
    row = fit((counts, np.zeros((1, 2)), np.ones(1)))[0]
    assert not has_valid_fit(row["STATUS"])
    assert np.isnan(row["PE"])


def test_a_sensor_without_crosstalk_is_good():
    """OPCT is 0 in half of the pixels, with the error that a little has; pe is right."""
    n = 64
    fits = fit(draw_spectra(np.random.default_rng(31), [Sipm(opct=0.0)] * n))
    assert (fits["STATUS"] == 0).sum() >= n - 2
    none = fits["OPCT"] == 0.0
    assert abs(none.mean() - 0.5) < 4 * 0.5 / math.sqrt(n)
    assert fits["OPCT_ERR"][none].mean() == pytest.approx(fits["OPCT_ERR"][~none].mean(), rel=0.2)
    pull = (fits["PE"] - 30.0) / fits["PE_ERR"]
    assert abs(pull.mean()) < 4 / math.sqrt(n) and abs(pull.std() - 1) < 4 / math.sqrt(2 * n)
