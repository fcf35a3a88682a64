"""How the pages of both cameras write numbers where a person reads them.

The minus sign is a real one, a value has as many decimals as its uncertainty, and a duration is in
s below 1000 s, in ks from there on. `templates/numbers.js` has the same rules for what the page
itself derives.
"""

from __future__ import annotations

import math
import re

ABSENT = "–"
"""Shown in place of a number that is not known."""
MINUS = "\N{MINUS SIGN}"
ERROR_DIGITS = 2
"""Significant digits of an uncertainty."""
SMALL_PVALUE = 1e-3
"""Smaller p-values are written as powers of ten."""
KILOSECOND_S = 1000.0

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value, form: str) -> str:
    """A number in its format, with a minus sign and a blank before a per cent sign.

    ABSENT where there is none.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return form.format(value).replace("%", " %").replace("-", MINUS)


def with_minus(text: str) -> str:
    """A sentence with minus signs instead of the hyphens before numbers."""
    return re.sub(r"(?<![\w-])-(?=\.?\d)", MINUS, text)


def percent(fraction: float, digits: int) -> str:
    """A fraction in per cent, with the unit."""
    return number(fraction, f"{{:.{digits}%}}")


def decimals_of(error: float) -> int:
    """Decimals that show ERROR_DIGITS significant digits of an uncertainty above 0."""
    rounded = float(f"{error:.{ERROR_DIGITS - 1}e}")  # 0.0996 is 0.10, not 0.100
    return max(ERROR_DIGITS - 1 - math.floor(math.log10(rounded)), 0)


def with_error(value, error, form: str, unit: str = "") -> str:
    """A value with its standard error, both to the same decimals: two digits of the error.

    Parameters
    ----------
    value, error : float or None
    form : format of the value alone, where no error is known or it is 0; a "+" in it has the sign
        shown, a "%" multiplies both by 100
    unit : follows both, after a blank
    """
    after = f" {unit}" if unit else ""
    if value is None or not math.isfinite(value):
        return ABSENT
    if error is None or not math.isfinite(error) or error <= 0.0:
        return number(value, form) + after
    if "%" in form:
        value, error, after = 100.0 * value, 100.0 * error, " %"
    decimals = decimals_of(error)
    sign = "+" if "+" in form else ""
    return f"{number(value, f'{{:{sign}.{decimals}f}}')} ± {error:.{decimals}f}{after}"


def pvalue(value) -> str:
    """A probability to two digits; small ones as powers of ten."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0.0 or value >= SMALL_PVALUE:
        return f"{value:.2g}"
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(power)).translate(SUPERSCRIPTS)}"


def duration(seconds: float, digits: int = 3) -> str:
    """A duration with its unit: s below 1000 s, ks from there on."""
    rounded = float(f"{seconds:.{digits}g}")
    if rounded < KILOSECOND_S:
        return f"{rounded:g} s"
    return f"{float(f'{rounded / KILOSECOND_S:.{digits}g}'):g} ks"
