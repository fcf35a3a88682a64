"""The page says how the energies of all pixels bend and shift, and which blocks are left out."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.instruments import ECLAIRS, REQUIREMENT
from helpers.report_pages import TABLE, known_response
from helpers.synthetic import GAIN, OFFSET, make_fits

from pixelcal.energy.report import pixels as report_pixels
from pixelcal.energy.report import response as report_response
from pixelcal.energy.report.products import Products
from pixelcal.energy.report.verdict import COLUMNS, energy_table
from pixelcal.energy.response.energy_scale import bend_coefficients
from pixelcal.energy.response.io import read_response, write_response
from pixelcal.energy.results.systematics import Systematics
from pixelcal.energy.results.validation import validate
from pixelcal.status import EnergyStatus

NAMES = TABLE.block_names
COPPER = NAMES.index("copper")


def rows_of(response):
    return dict(report_response.shape_table(response, NAMES))


def test_the_bend_in_the_middle_of_the_lines():
    """Against the parabola itself, and its distance from the chord in the middle."""
    rows = rows_of(replace(known_response(), bend=-0.4, bend_err=0.08))
    low, high = TABLE.energy_keV.min(), TABLE.energy_keV.max()
    stretch, shift, quadratic = -0.4 * bend_coefficients(TABLE)

    def stack(energy):
        return stretch * energy + shift + quadratic * (energy / 80.0) ** 2

    # The lines of the stack stand as much too low as the relation is above the straight one.
    sag = (stack(low) + stack(high)) / 2 - stack((low + high) / 2)
    assert sag == pytest.approx(-0.1)
    assert rows["Bend of all relations, in the middle of the lines"] == "−0.100 ± 0.020 keV"


def test_the_shift_of_each_block_where_it_is_known(tmp_path):
    shift = np.array([0.0594, -0.0225, np.nan, 0.0, 0.0616])
    error = np.array([0.0079, 0.0063, np.nan, 0.006, 0.0099])
    response = replace(known_response(), block_shift=shift, block_shift_err=error)
    write_response(tmp_path / "response.fits", response, TABLE, [], None)
    rows = rows_of(read_response(tmp_path / "response.fits", TABLE))
    words = "Lines of block {}, by the relation of the others"
    assert rows[words.format("copper")] == "+0.0594 ± 0.0079 keV"
    assert rows[words.format(NAMES[1])] == "−0.0225 ± 0.0063 keV"
    assert words.format(NAMES[2]) not in rows
    assert len([name for name in rows if name.startswith("Lines of block")]) == 4


def test_what_nobody_measured_is_not_told():
    rows = rows_of(known_response())
    assert not [name for name in rows if "Bend" in name or "block" in name]


@pytest.mark.parametrize("part", [None, "good"])
def test_the_systematic_uncertainty_stands_beside_the_statistical(part):
    """A stretch of 0.1 % and a shift of 30 eV without correlation: 3, 4, 5 at 40 keV."""
    rows, truth = make_fits(64)
    common = np.zeros((64, 3, 3))
    common[:] = np.diag([1e-6, 9e-4, 0.0])
    prior = np.full(64, GAIN), np.full(64, OFFSET)
    numbers = validate(
        rows,
        prior,
        truth,
        Systematics(common),
        requirement=replace(REQUIREMENT, energies_keV=(40.0, 4.0)),
    )
    headings = [heading for heading, *_ in COLUMNS]
    at = 2 + headings.index("Systematic (keV)")
    assert headings[at - 3] == "Predicted RMS (keV)"
    assert [cells[at] for cells in energy_table(numbers, part)] == ["0.0303", "0.0500"]


# --- pixels ---------------------------------------------------------------------------------------


def exposure_of(rows):
    """Products of pixels whose prior is the nominal relation, without truth."""
    prior = np.full(len(rows), GAIN), np.full(len(rows), OFFSET)
    return Products(
        {"min_counts": 200}, rows, {}, None, prior, None, TABLE, {}, {}, instrument=ECLAIRS
    )


def test_a_pixel_says_which_block_was_left_out():
    rows, _ = make_fits(8, sigma_slope=1e-4)
    rows["BLOCKS_OUT"][3] = 1 << COPPER
    rows["BLOCKS_OUT"][4] = 0b10010
    exposure = exposure_of(rows)
    assert report_pixels.reason(exposure, 3) == "fitted without copper"
    assert report_pixels.reason(exposure, 4) == f"fitted without {NAMES[1]} and {NAMES[4]}"
    chosen, words = report_pixels.choose(exposure)
    assert set(chosen[:2]) == {3, 4} and len(chosen) == len(set(chosen)) == 8
    assert " 2 with a STATUS other than 0 or a block left out" in words


def test_a_pixel_says_how_wide_it_is():
    rows, _ = make_fits(8, sigma_slope=1e-4)
    rows["STATUS"][2] = EnergyStatus.WIDTH
    rows["WIDTH_RATIO"][2], rows["WIDTH_RATIO_ERR"][2] = 2.347, 0.214
    words = "width unlike the camera's: 2.35 ± 0.21 of it"
    assert report_pixels.reason(exposure_of(rows), 2).startswith(words)
