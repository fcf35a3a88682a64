"""Numbers as the pages write them: by hand, and the page's script against the library."""

import numpy as np
import pytest

from pixelcal.report.frame import without_empty
from pixelcal.report.numbers import (
    ABSENT,
    duration,
    number,
    percent,
    pvalue,
    with_error,
    with_minus,
)


@pytest.mark.parametrize(
    ("value", "error", "form", "text"),
    [
        (0.0037, 0.012, "{:+.4f}", "+0.004 ± 0.012"),
        (-0.0037, 0.0012, "{:+.4f}", "−0.0037 ± 0.0012"),
        (0.144697, 0.000388, "{:.6f}", "0.14470 ± 0.00039"),
        (1.0, 0.0996, "{:.3f}", "1.00 ± 0.10"),  # not 0.100: that would be three digits
        (1.0, 0.0994, "{:.3f}", "1.000 ± 0.099"),
        (1234.4, 321.0, "{:.1f}", "1234 ± 321"),
        (0.9531, 0.0026, "{:.2%}", "95.31 ± 0.26 %"),
        (1.0, 0.0, "{:.2%}", "100.00 %"),
        (-2.5, None, "{:+.1f}", "−2.5"),
        (-2.5, np.nan, "{:+.1f}", "−2.5"),
        (None, 0.1, "{:.1f}", ABSENT),
        (np.nan, 0.1, "{:.1f}", ABSENT),
    ],
)
def test_a_value_has_the_decimals_of_its_error(value, error, form, text):
    assert with_error(value, error, form) == text


def test_a_unit_follows_both():
    assert with_error(-0.1, 0.02, "{:+.3f}", "keV") == "−0.100 ± 0.020 keV"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (500, "500 s"),
        (842.4, "842 s"),
        (999.4, "999 s"),
        (999.6, "1 ks"),
        (3000, "3 ks"),
        (7470, "7.47 ks"),
        (12345, "12.3 ks"),
        (1e6, "1000 ks"),
    ],
)
def test_durations_follow_one_rule(seconds, text):
    assert duration(seconds) == text


def test_durations_may_be_exact():
    assert duration(13421.5, 6) == "13.4215 ks" and duration(842.4, 6) == "842.4 s"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (0.0123, "0.012"), (2.04e-6, "2.0 × 10⁻⁶"), (3.1e-12, "3.1 × 10⁻¹²"),
     (0.0, "0"), (np.nan, ABSENT)],
)  # fmt: skip
def test_p_values(value, text):
    assert pvalue(value) == text


def test_signs_and_per_cent():
    assert number(-1.5e-7, "{:.1e}") == "−1.5e−07"
    assert number(0.123, "{:+.1%}") == "+12.3 %" and percent(0.95, 0) == "95 %"
    assert number(None, "{:.1f}") == number(float("inf"), "{:.1f}") == ABSENT


def test_columns_without_anything_are_left_out():
    rows = [["a", "1", ABSENT, ABSENT], ["b", "2", ABSENT, "3"]]
    kept = [["a", "1", ABSENT], ["b", "2", "3"]]
    assert without_empty(["x", "y", "z"], rows) == (["x", "z"], kept)  # "a" stands before all
    assert without_empty(["w", "x", "y", "z"], rows) == (["w", "x", "z"], kept)
    assert without_empty(["x"], []) == (["x"], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("changes by about -9 eV", "changes by about −9 eV"),
        ("(-0.5 keV)", "(−0.5 keV)"),
        ("from 2025-03-17 to two-step", "from 2025-03-17 to two-step"),
        ("block-2, 10-20 keV", "block-2, 10-20 keV"),
    ],
)
def test_only_a_hyphen_before_a_number_is_a_minus(text, said):
    assert with_minus(text) == said
