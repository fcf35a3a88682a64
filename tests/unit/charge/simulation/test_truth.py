"""The table of what the fits of simulated pixels should find."""

import numpy as np
import pytest
from helpers.sstcam_runs import SIMULATION

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.simulation.flashes import Light, flash_blocks, make_pixels
from pixelcal.charge.simulation.truth import true_parameters, truth_table
from pixelcal.io.tables import read_table, write_ecsv

LIGHT = (0.5, 2.0, 0.1 + 0.2)


def test_the_table_holds_every_quantity_to_the_last_digit(tmp_path):
    pixels, peak = make_pixels(np.arange(7), SIMULATION), np.full(7, 30)
    window = Window(16, 6, 0)
    path = tmp_path / "truth.ecsv"
    write_ecsv(path, truth_table(pixels, peak, window, LIGHT, SIMULATION["fwhm_ns"]))
    table = read_table(path)
    true = true_parameters(pixels, peak, window, SIMULATION["fwhm_ns"])
    assert table.colnames[0] == "PIXEL" and table["PIXEL"].tolist() == list(range(7))
    for name in ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT"):
        assert np.array_equal(table[name], true[name])
    assert np.array_equal(table["LAMBDA"], np.outer(pixels["EFFICIENCY"], LIGHT))
    assert np.array_equal(table["EPED"], np.repeat(true["EPED"][:, None], len(LIGHT), axis=1))


@pytest.mark.parametrize("n_baseline", [0, 12])
def test_night_sky_is_in_the_pedestal_of_a_dark_run(n_baseline):
    """Mean and scatter of the charges of simulated waveforms, summed here, without light."""
    nsb, n_pixels, n_events = 0.05, 12, 6000
    pixels, window = make_pixels(np.arange(n_pixels), SIMULATION), Window(16, 6, n_baseline)
    peak = np.rint(np.asarray(pixels["TIME"])).astype(int)
    charges = []
    for block in flash_blocks(pixels, Light(0.0, nsb), SIMULATION, "dark", n_events, 1000):
        waves = block.waveforms.astype(float)
        base = waves[:, :, :n_baseline].mean(axis=2) if n_baseline else 0.0
        at = (peak - 6)[:, None] + np.arange(16)
        summed = np.take_along_axis(waves, at[None].repeat(len(waves), axis=0), axis=2).sum(axis=2)
        charges.append(summed - 16 * base)
    charges = np.concatenate(charges)
    table = truth_table(pixels, peak, window, (0.0, 1.0), SIMULATION["fwhm_ns"], nsb)
    mean, sigma = np.asarray(table["EPED"])[:, 0], np.asarray(table["SIGMA_PED"])
    pull = (charges.mean(axis=0) - mean) / sigma * np.sqrt(n_events)
    assert abs(pull).max() < 4 and abs(pull.mean()) < 4 / np.sqrt(n_pixels)
    # The variance of a sample variance follows from its fourth moment.
    square = (charges - mean) ** 2
    pull = (square.mean(axis=0) - sigma**2) / square.std(axis=0) * np.sqrt(n_events)
    assert abs(pull).max() < 4 and abs(pull.mean()) < 4 / np.sqrt(n_pixels)
    # Without a dark run the pedestal is its peak, whatever the night sky.
    lit = truth_table(pixels, peak, window, (0.5, 1.0), SIMULATION["fwhm_ns"], nsb)
    still = truth_table(pixels, peak, window, (0.5, 1.0), SIMULATION["fwhm_ns"])
    assert np.array_equal(lit["SIGMA_PED"], still["SIGMA_PED"])
    assert np.all(sigma > 1.5 * np.asarray(lit["SIGMA_PED"]))
