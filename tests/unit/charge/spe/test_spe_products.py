"""Spectra of charges, the merged table of fits, and the numbers of its validation."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_charges, draw_spectra

from pixelcal.charge.spe.columns import fit_dtype
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.merge import FINITE, complete_status
from pixelcal.charge.spe.spectra import bin_widths, fill_run, spectra_rows
from pixelcal.charge.spe.validation import validate
from pixelcal.errors import InputError
from pixelcal.io.merge import merge_chunks, placed_rows
from pixelcal.status import ChargeStatus

NONE = np.array([], int)


# --- spectra --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def charges():
    """Charges (n_pixels, n_flashes) in steps, of pixels that differ."""
    rng = np.random.default_rng(1)
    pixels = [Sipm(eped=4000 + 40 * i, pe=25 + i, flashes=3000, light=(0.8,)) for i in range(6)]
    return np.array([draw_charges(rng, pixel)[0] for pixel in pixels], np.int32)


def test_each_charge_is_counted_in_the_bin_it_is_in(charges):
    width = bin_widths(charges, 1.0)
    found = fill_run(charges, 1.0, width)
    assert (width == 1.0).all()
    for row, start, flashes in zip(found.counts, found.start, charges, strict=True):
        value, number = np.unique(flashes, return_counts=True)
        assert row[(value - start).astype(int)].tolist() == number.tolist()
        assert row.sum() == len(flashes)


@pytest.mark.parametrize("step", [1 / 16, 1 / 8])
def test_bins_are_whole_numbers_of_steps_and_aligned_with_them(charges, step):
    """No bin holds more of the possible charges than the next one."""
    fine = np.rint(charges / step).astype(np.int64) + np.random.default_rng(2).integers(
        -8, 9, charges.shape
    )
    width = bin_widths(fine, step)
    found = fill_run(fine, step, width)
    whole = width / step
    assert whole == pytest.approx(np.rint(whole)) and (whole > 1).any()
    edge = found.start / step - 0.5
    assert edge == pytest.approx(np.rint(edge), abs=1e-6)
    mean = [(row @ (np.arange(len(row)) + 0.5)) / row.sum() for row in found.counts]
    centre = found.start + mean * width
    # A bin is w steps wide; its centre stands for charges that are spread evenly over it.
    error = width / math.sqrt(12 * fine.shape[1])
    assert (np.abs(centre - step * fine.mean(axis=1)) < 5 * error).all()


def test_charges_without_a_step(charges):
    values = charges / 7.0
    width = bin_widths(values, 0.0)
    found = fill_run(values, 0.0, width)
    for row, start, bin_width, flashes in zip(
        found.counts, found.start, width, values, strict=True
    ):
        edges = start + bin_width * np.arange(len(row) + 1)
        expected, _ = np.histogram(flashes, edges)
        inside = slice(1, -1)  # a value on an edge may fall to either side by rounding
        assert np.abs(row[inside] - expected[inside]).sum() <= 4
        assert row.sum() == len(flashes)


def test_stray_charges_go_into_the_end_bins_and_not_into_memory(charges):
    stray = charges.copy()
    stray[0, :2] = (-(10**7), 10**7)
    found = fill_run(stray, 1.0, bin_widths(stray, 1.0))
    assert found.counts.shape[1] < 3000
    assert found.counts[0].sum() == charges.shape[1]


def test_a_pixel_does_not_depend_on_the_others(charges):
    width = bin_widths(charges, 1.0)
    together = spectra_rows(np.arange(6), width, [fill_run(charges, 1.0, width)])
    alone = spectra_rows(np.array([3]), width[3:4], [fill_run(charges[3:4], 1.0, width[3:4])])
    n = alone["COUNTS"].shape[2]
    assert together["START"][3] == alone["START"][0]
    assert together["COUNTS"][3, 0, :n].tolist() == alone["COUNTS"][0, 0].tolist()
    assert not together["COUNTS"][3, 0, n:].any()


def test_no_run_is_refused():
    with pytest.raises(InputError, match="no run"):
        spectra_rows(np.arange(2), np.ones(2), [])


# --- the merged table -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(3)
    pixels = [Sipm(pe=30 * math.exp(0.03 * rng.standard_normal()), flashes=4000) for _ in range(60)]
    pixels[11] = Sipm(pe=60.0, sigma_ped=12.0, sigma_pe=6.0, flashes=4000)
    pixels[12] = Sipm(flashes=100)
    counts, start, width = draw_spectra(rng, pixels)
    return fit_pixels(counts, start, width, np.arange(60), SpeOptions())


def test_chunks_in_any_order_make_the_same_table(fits):
    order = np.random.default_rng(4).permutation(60)
    parts = [fits[rows] for rows in np.array_split(order, 7)]
    merged = merge_chunks(parts, np.arange(60), [""] * 7, fit_dtype(3), "PIXEL")
    assert merged.tobytes() == fits.tobytes()


def test_masked_pixels_outliers_and_invalid_fits(fits):
    off = np.zeros(60, bool)
    off[20] = True
    rows = complete_status(fits, np.array([5]), off)
    flagged = {int(pixel): int(status) for pixel, status in rows[["PIXEL", "STATUS"]] if status}
    assert flagged == {
        5: ChargeStatus.MASKED,
        11: ChargeStatus.OUTLIER,
        12: ChargeStatus.TOO_FEW,
        20: ChargeStatus.MASKED,
    }
    for pixel in (5, 12, 20):
        assert np.isnan(rows["PE"][pixel]) and np.isnan(rows["COVARIANCE"][pixel]).all()
    assert np.isfinite(rows["PE"][11])
    assert (fits["STATUS"][[5, 11, 20]] == 0).all()  # the fits themselves are not touched


@pytest.mark.parametrize("name", FINITE)
def test_a_number_that_is_missing_has_a_bit(fits, name, caplog):
    """With STATUS 0 every number is one; a fit that lacks one is NaN, and the log says of what."""
    silent = fits.copy()
    silent[name][0] = np.nan
    with caplog.at_level("WARNING", logger="pixelcal"):
        rows = complete_status(silent, NONE, np.zeros(60, bool))
    assert rows["STATUS"][0] == ChargeStatus.NOT_CONVERGED
    assert np.isnan(rows["PE"][0]) and np.isfinite(rows["PE"][1])
    assert f"pixel 0: its fit has no number for {name} (1 such" in caplog.text
    for column in FINITE:
        assert np.isfinite(rows[column][rows["STATUS"] == 0]).all()


def test_places_stand_beside_the_pixels(fits):
    rows = placed_rows(fits, np.linspace(-0.1, 0.1, 60), np.zeros(60))
    assert rows.dtype.names[:4] == ("PIXEL", "X", "Y", "PE")
    assert rows["X"][59] == 0.1


# --- validation -----------------------------------------------------------------------------------


def make_rows(n, rng, wrong=0, flagged=False):
    """A table whose errors are as they should be; the first `wrong` pixels are off by 20 %."""
    rows, truth = np.zeros(n, fit_dtype(2)), {}
    for name, value in (("PE", 30.0), ("SIGMA_PED", 6.0), ("SIGMA_PE", 3.0), ("OPCT", 0.2)):
        truth[name] = value * np.ones(n)
        rows[f"{name}_ERR"] = 0.01 * value
        rows[name] = value * (1 + 0.01 * rng.standard_normal(n))
    for name in ("EPED", "LAMBDA"):
        truth[name] = np.full((n, 2), 2.0)
        rows[f"{name}_ERR"] = 0.1
        rows[name] = 2.0 + 0.1 * rng.standard_normal((n, 2))
    rows["PE"][:wrong] *= 1.2
    rows["STATUS"][:wrong] = 32 if flagged else 0
    return rows, truth


def test_right_errors_give_unit_pulls():
    n = 4000
    numbers = validate(*make_rows(n, np.random.default_rng(5)))
    assert numbers["n_good"] == n and numbers["n_wrong"] == 0
    assert set(numbers["quantities"]) == {
        "SIGMA_PED", "PE", "SIGMA_PE", "OPCT", "EPED_0", "EPED_1", "LAMBDA_0", "LAMBDA_1",
    }  # fmt: skip
    for quantity in numbers["quantities"].values():
        assert abs(quantity["pull_mean"]) < 4 / math.sqrt(n)
        assert abs(quantity["pull_std"] - 1) < 4 / math.sqrt(2 * n)
        assert abs(quantity["rms_over_bound"] - 1) < 4 / math.sqrt(2 * n)
        assert abs(quantity["bias"]) < 4 * quantity["bias_err"]


def test_wrong_pixels_are_counted_and_those_called_good_among_them():
    rng = np.random.default_rng(6)
    called_good = validate(*make_rows(100, rng, wrong=3))
    noticed = validate(*make_rows(100, rng, wrong=3, flagged=True))
    assert (called_good["n_wrong"], called_good["n_wrong_good"]) == (3, 3)
    assert (noticed["n_wrong"], noticed["n_wrong_good"]) == (3, 0)


def test_without_truth_there_is_what_the_fits_predict():
    rows, _ = make_rows(50, np.random.default_rng(7))
    numbers = validate(rows)
    assert not numbers["truth"] and "n_wrong" not in numbers
    assert numbers["quantities"]["PE"]["sigma_median"] == pytest.approx(0.3)
    assert "pull_std" not in numbers["quantities"]["PE"]
