"""The table of what the fits of simulated pixels should find."""

import numpy as np
from helpers.sstcam_runs import SIMULATION

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.simulation.flashes import make_pixels
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
