"""The exponential of many complex numbers, compiled so that a processor works at several at once.

The library's takes one after another. Taylor's series after Cody and Waite's reduction (Software
Manual for the Elementary Functions, 1980), up to the term below a rounding, are right to 1e-15 of
the value, and a rounding of the argument.
"""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.jit import njit

LN_2_HIGH, LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
QUARTER_HIGH, QUARTER_LOW = 1.57079632673412561417e00, 6.07710050650619224932e-11
"""ln 2 and pi / 2 in two parts, the first with 33 bits: its whole multiples are exact."""
FARTHEST = 700.0
"""Real parts beyond count as this, which is nothing, or far too much, for every purpose."""


@njit
def exponentials(power, out):
    """exp of the complex `power` (n,), into `out` (n,); phases below 1e5. NaN remains NaN.

    Long because a loop is worked at several numbers at once only where it calls nothing.
    """
    n = power.shape[0]
    wholes, bits = np.empty(n), np.empty(n, np.int64)
    for i in range(n):
        x = power[i].real
        x = FARTHEST if x > FARTHEST else x
        x = -FARTHEST if x < -FARTHEST else x
        wholes[i] = np.floor(x * (1.0 / np.log(2.0)) + 0.5)
        bits[i] = np.int64(np.int32(wholes[i]) + 1023) << 52
    scale = bits.view(np.float64)  # two to the whole part
    for i in range(n):
        x, whole = power[i].real, wholes[i]
        x = FARTHEST if x > FARTHEST else x
        x = -FARTHEST if x < -FARTHEST else x
        r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW
        size = 1.0 / 6227020800.0
        size = size * r + 1.0 / 479001600.0
        size = size * r + 1.0 / 39916800.0
        size = size * r + 1.0 / 3628800.0
        size = size * r + 1.0 / 362880.0
        size = size * r + 1.0 / 40320.0
        size = size * r + 1.0 / 5040.0
        size = size * r + 1.0 / 720.0
        size = size * r + 1.0 / 120.0
        size = size * r + 1.0 / 24.0
        size = size * r + 1.0 / 6.0
        size = (((size * r + 0.5) * r + 1.0) * r + 1.0) * scale[i]
        turns = np.floor(power[i].imag * (2.0 / np.pi) + 0.5)
        r = (power[i].imag - turns * QUARTER_HIGH) - turns * QUARTER_LOW
        w = r * r
        sine = -1.0 / 1307674368000.0
        sine = sine * w + 1.0 / 6227020800.0
        sine = sine * w - 1.0 / 39916800.0
        sine = sine * w + 1.0 / 362880.0
        sine = sine * w - 1.0 / 5040.0
        sine = sine * w + 1.0 / 120.0
        sine = r + r * w * (sine * w - 1.0 / 6.0)
        cosine = 1.0 / 20922789888000.0
        cosine = cosine * w - 1.0 / 87178291200.0
        cosine = cosine * w + 1.0 / 479001600.0
        cosine = cosine * w - 1.0 / 3628800.0
        cosine = cosine * w + 1.0 / 40320.0
        cosine = cosine * w - 1.0 / 720.0
        cosine = 1.0 - 0.5 * w + w * w * (cosine * w + 1.0 / 24.0)
        quarter = turns - 4.0 * np.floor(0.25 * turns)
        odd = (quarter == 1.0) | (quarter == 3.0)
        up, along = (cosine, sine) if odd else (sine, cosine)
        up = -up if quarter >= 2.0 else up
        along = -along if (quarter == 1.0) | (quarter == 2.0) else along
        out[i] = complex(size * along, size * up)
