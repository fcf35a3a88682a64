"""Blocks left out in turn: against a table without the block, and against a wrong line energy."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.leave_one_out import leave_blocks_out, without_block
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.relation import RELATION_COLUMNS, energy_error, energy_sigma
from pixelcal.energy.response.tables import make_templates
from pixelcal.status import EnergyStatus

N, SECONDS = 60, 100_000.0
BLOCK_OF_PB = 3


@lru_cache
def fitted(shift_keV=0.0):
    """Counts, table, response and fits; with the lines of one block `shift_keV` off in the table.

    The response is that of the right table.
    """
    counts = cameras.make_camera(N, SECONDS, 41).counts
    table, prior = cameras.line_table(), cameras.prior(N)
    response = learn_camera(
        counts, *prior, table, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
    )
    off = np.where(table.block == BLOCK_OF_PB, shift_keV, 0.0)
    table = replace(table, energy_keV=table.energy_keV + off)
    return (
        counts,
        table,
        response,
        fit_pixels(counts, np.arange(N), *prior, table, response, cameras.OPTIONS),
    )


def test_it_is_the_fit_of_the_other_blocks():
    counts, table, response, fits = fitted()
    rows = leave_blocks_out(counts, fits, table, response, cameras.OPTIONS)
    without, _ = fit_joint(
        counts, fits["DETNUM"], fits["GAIN"], fits["OFFSET"],
        without_block(make_templates(response, table), 1), cameras.OPTIONS,
    )  # fmt: skip
    for name in RELATION_COLUMNS:
        np.testing.assert_array_equal(rows[name][:, 1], without[name])
    assert np.all(rows["GAIN_ERR"] >= 0.99 * fits["GAIN_ERR"][:, None]), "a block less knows less"


def test_changes_have_the_variance_of_hausman():
    """Over pixels and blocks: widths of change / sqrt(difference of variances) are 1.

    300 changes, five of a pixel correlated: 60 pixels know a width to 9 %, four times that.
    """
    counts, table, response, fits = fitted()
    rows = leave_blocks_out(counts, fits, table, response, cameras.OPTIONS)
    for energy in (15.0, 80.0):
        whole = energy_sigma(energy, *(fits[name] for name in RELATION_COLUMNS))
        for block in range(table.n_blocks):
            part = energy_sigma(energy, *(rows[name][:, block] for name in RELATION_COLUMNS))
            relation = rows["GAIN"][:, block], rows["OFFSET"][:, block]
            change = energy_error(energy, *relation, fits["GAIN"], fits["OFFSET"])
            variance = part**2 - whole**2
            tells = variance > 0.05 * whole**2
            if tells.sum() > 30:
                width = np.std(change[tells] / np.sqrt(variance[tells]))
                assert abs(width - 1) < 4 / np.sqrt(2 * tells.sum())


def test_a_wrong_line_energy_shows_where_it_is_left_out():
    """Lead 0.3 keV off in the table: only without its block is 80 keV right again."""
    counts, table, response, fits = fitted(0.3)
    truth = cameras.make_camera(N, SECONDS, 41)
    rows = leave_blocks_out(counts, fits, table, response, cameras.OPTIONS)
    error = [
        np.mean(
            energy_error(80.0, rows["GAIN"][:, b], rows["OFFSET"][:, b], truth.gain_true,
                         truth.offset_true)
        )
        for b in range(table.n_blocks)
    ]  # fmt: skip
    assert abs(error[BLOCK_OF_PB]) < 0.05
    assert all(abs(error[b]) > 0.1 for b in range(table.n_blocks) if b != BLOCK_OF_PB)


def test_a_pixel_without_a_valid_fit_keeps_its_reason():
    counts, table, response, fits = fitted()
    dead = fits[:2].copy()
    dead["STATUS"][0], dead["GAIN"][0] = int(EnergyStatus.TOO_FEW_COUNTS), np.nan
    rows = leave_blocks_out(counts[:2], dead, table, response, cameras.OPTIONS)
    assert np.isnan(rows["GAIN"][0]).all() and np.isfinite(rows["GAIN"][1]).all()
    assert rows["STATUS"][0].tolist() == [int(EnergyStatus.TOO_FEW_COUNTS)] * table.n_blocks
