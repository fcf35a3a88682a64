"""The page on the adequacy of the model: sentences and tables from numbers that are put in."""

from types import SimpleNamespace

import numpy as np
from astropy.table import Table

from pixelcal.energy.report import adequacy
from pixelcal.energy.report.verdict import verdict

FOUND = {
    "n_pixels": 640,
    "chi_square": 838.0,
    "dof": 98.7,
    "pvalue": 0.0,
    "misfit": 0.0176,
    "modules": {
        "n": 2,
        "chi_square": 240.0,
        "dof": 98.0,
        "pvalue": 1.2e-9,
        "misfit": 0.02,
        "worst": [{"module": 1, "pvalue": 1e-9, "misfit": 0.03}],
    },
    "regions": [
        {
            "low_keV": 86.1,
            "high_keV": 88.1,
            "excess": 1234.4,
            "fraction": 0.1021,
            "sigma": 11.62,
            "candidates": ["Bi K (Kb1 at 87.34 keV)"],
        },
        {
            "low_keV": 81.6,
            "high_keV": 85.6,
            "excess": -500.0,
            "fraction": -0.036,
            "sigma": -6.4,
            "candidates": [],
        },
    ],
    "n_regions": 7,
    "candidates": [
        {
            "name": "Bi K",
            "counts": 20457.0,
            "sigma": 18.7,
            "change_keV": {"4": -0.004, "150": -0.065},
            "table_rows": ["Bi,Ka1,77.1092,0.4861,lead-alpha,70.6,78,materials.csv"],
        }
    ],
    "warnings": ["The model does not describe the spectra of all pixels."],
}


def exposure(found):
    residuals = Table({"E_MIN": [86.0, 86.5], "E_MAX": [86.5, 87.0], "BLOCK": [0, 1]})
    residuals["COUNTS"], residuals["EXPECTED"] = [110.0, 0.0], [100.0, 0.0]
    residuals["VARIANCE"] = [64.0, 0.0]
    return SimpleNamespace(
        validation={"adequacy": found},
        residuals=residuals,
        detnum=np.arange(4),
        has_valid_fit=np.array([True, True, True, False]),
        relation=Table({"X": [0, 1, 2, 3], "Y": [0, 0, 0, 0]}),
    )


def test_the_sentence_says_how_much_and_how_many():
    text = adequacy.sentence(exposure(FOUND))
    assert "chi-square 838 (99 expected, p below 10⁻³⁰⁰, 1.76 % of the model" in text
    assert "240 (98 expected, p 1.2 × 10⁻⁹" in text
    assert text.endswith("7 regions of energy are off, of which the 2 most significant are below.")


def test_nothing_that_is_off():
    text = adequacy.sentence(exposure(FOUND | {"regions": [], "n_regions": 0}))
    assert text.endswith("No region of energy is off by more than chance.")
    assert "There are no residuals" in adequacy.sentence(exposure(None))
    for part in (adequacy.table, adequacy.candidates):
        assert part(exposure(None)) == []
    assert adequacy.module_map(exposure(None), None, 0) == []


def test_the_table_names_lines_and_says_where_counts_are_missing():
    first, second = adequacy.table(exposure(FOUND))
    assert first == ["86.1 to 88.1", "+1234", "+10.2 %", "+11.6", "Bi K (Kb1 at 87.34 keV)"]
    assert second[1:] == ["−500", "−3.6 %", "−6.4", "counts are missing"]


def test_what_including_lines_changes():
    (one,) = adequacy.candidates(exposure(FOUND))
    assert "−4 eV at 4 keV, −65 eV at 150 keV" in one["words"]
    assert one["rows"].startswith("Bi,Ka1,77.1092")


def test_what_is_drawn():
    drawn = adequacy.residuals(exposure(FOUND))
    assert drawn["sigma"] == [1.25, None] and drawn["percent"] == [10.0, None]
    assert drawn["named"] == [{"energy": 87.1, "sigma": 11.6, "text": "Bi K"}]


def test_modules_that_stand_off_are_on_a_map():
    pixel_map = Table({"DETNUM": np.arange(4), "MODULE": [0, 0, 1, 1]})
    parts = adequacy.module_map(exposure(FOUND), pixel_map, 0)
    assert [part["n"] for part in parts] == [2, 1, 1]


def test_it_is_told_beside_the_verdict_and_does_not_decide_it():
    numbers = {
        "truth": False, "energies": {}, "n_answers": 0, "n_no_answer": 0, "n_pixels": 4,
        "n_doubtful": 0, "n_masked": 0,
        "status_counts": {"TOO_FEW_COUNTS": 0, "NOT_CONVERGED": 0},
    }  # fmt: skip
    without, with_it = verdict(numbers, {}), verdict(numbers | {"adequacy": FOUND}, {})
    assert without["told"] == [] and with_it["told"] == FOUND["warnings"]
    assert without["meets"] == with_it["meets"]
