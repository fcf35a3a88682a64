"""A relation is in keV, whoever made its table; what cannot be one is refused in one line."""

import numpy as np
import pytest
from astropy import units
from astropy.table import MaskedColumn, QTable, Table

from pixelcal.energy.relation_table import Relation
from pixelcal.errors import InputError

ERRORS = {"GAIN_ERR": [1e-4, 1e-4], "OFFSET_ERR": [0.03, 0.03], "GAIN_OFFSET_COV": [-2e-6, -2e-6]}


def table(**columns):
    """Two pixels, with other columns; None leaves a column out."""
    given = {"DETNUM": [3, 7], "GAIN": [0.15, 0.14], "OFFSET": [3.0, 2.5], "STATUS": [0, 0]}
    return Table({name: v for name, v in (given | columns).items() if v is not None})


def with_units(given, **named):
    """A table whose columns have units."""
    for name, unit in named.items():
        given[name].unit = unit
    return given


@pytest.mark.parametrize(
    "given",
    [
        with_units(table(GAIN=[150.0, 140.0]), GAIN="eV/chan"),
        with_units(table(GAIN=[150.0, 140.0], OFFSET=[3000.0, 2500.0]), GAIN="eV/adu", OFFSET="eV"),
        with_units(
            table(GAIN=[1 / 0.15, 1 / 0.14], OFFSET=[-20.0, -2.5 / 0.14]),
            GAIN="chan/keV",
            OFFSET="chan",
        ),
        QTable(
            {
                "DETNUM": [3, 7],
                "GAIN": [150.0, 140.0] * units.eV / units.chan,
                "OFFSET": [3000.0, 2500.0] * units.eV,
            }
        ),
        Table({"detnum": [3, 7], "Gain": [0.15, 0.14], "offset": [3.0, 2.5]}),
    ],
)
def test_any_unit_and_any_capitals(given):
    relation = Relation(given)
    assert np.allclose(relation.energy([3, 7], 100), [18.075, 16.57])
    assert np.allclose(relation.gain, [0.15, 0.14])


def test_errors_come_along():
    scaled = table(
        GAIN=[150.0, 140.0],
        GAIN_ERR=[0.1, 0.1],
        OFFSET_ERR=[0.03, 0.03],
        GAIN_OFFSET_COV=[-2e-3, -2e-3],
    )
    named = {"GAIN": "eV/chan", "GAIN_ERR": "eV/chan", "GAIN_OFFSET_COV": "eV keV/chan"}
    relation = Relation(with_units(scaled, **named, OFFSET_ERR="keV"))
    plain = Relation(table(**ERRORS))
    assert np.allclose(relation.sigma([3, 7], 60.0), plain.sigma([3, 7], 60.0))
    assert str(relation.table["GAIN_ERR"].unit) == "keV / chan"


def test_a_table_in_keV_stays_what_it_is():
    given = with_units(table(GAIN=np.array([0.15, 0.14], "f4"), **ERRORS), GAIN="keV/chan")
    found = Relation(given).table
    assert found["GAIN"].dtype == np.float32 and found.colnames == given.colnames
    for name in given.colnames:
        assert np.array_equal(found[name], given[name])


def test_a_masked_value_is_none():
    gain = MaskedColumn([0.15, 0.14], mask=[False, True])
    assert np.isnan(Relation(table(GAIN=gain)).gain).tolist() == [False, True]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (table(GAIN=None), "lacks GAIN; it has DETNUM, OFFSET, STATUS"),
        (table(DETNUM=[3, 3]), "pixel 3 occurs twice"),
        (table(DETNUM=[3, -7]), "DETNUM -7 is not the number of a pixel"),
        (table(DETNUM=[3, 7.5]), "DETNUM 7.5 is not the number of a pixel"),
        (table(GAIN=[0.15, 0.0]), "pixel 7 has GAIN 0 and OFFSET 2.5; a gain is above 0"),
        (table(GAIN=[0.15, np.inf]), "a gain is above 0"),
        (table(GAIN=[[1, 2], [3, 4]]), "does not hold one number per row"),
        (table(STATUS=[0, np.nan]), "STATUS has no value for some pixels"),
        (with_units(table(), GAIN="m"), "GAIN has the unit 'm', which is no energy per channel"),
        (with_units(table(), OFFSET="s"), "OFFSET has the unit 's'"),
        (with_units(table(**ERRORS), GAIN_ERR="s"), "GAIN_ERR has the unit 's'"),
        (with_units(table(**ERRORS), GAIN="eV/chan"), "GAIN_ERR is not known in keV"),
        (
            with_units(table(**ERRORS), GAIN="chan/keV", OFFSET="chan"),
            "GAIN_ERR is not known in keV",
        ),
        (table(CURVE_MID=[0.1, 0.1]), "has CURVE_MID but lacks CURVE_LOW, CURVE_E1, CURVE_E2"),
    ],
)
def test_what_is_no_relation(given, said):
    with pytest.raises(InputError, match=said):
        Relation(given)


def test_without_status_no_pixel_is_called_good():
    with pytest.raises(InputError, match="the relation has no column STATUS"):
        _ = Relation(table(STATUS=None)).status
