"""Whether charges are those of an ADC, in whole steps; nothing here needs a file."""

from __future__ import annotations

import numpy as np

FEW_VALUES = 0.5
"""Fraction of the charges of a pixel that may differ from each other, below which they are of an
ADC whose step is not known."""
FEWEST_EVENTS = 100
"""Fewer charges do not tell."""


def has_few_values(charges: np.ndarray) -> bool:
    """Whether charges (n,) without a step are those of an ADC in another unit."""
    values = charges[np.isfinite(charges)]
    return len(values) > 0 and len(np.unique(values)) < FEW_VALUES * len(values)
