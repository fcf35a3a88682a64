"""Random streams that belong to one pixel, whatever else is simulated."""

from __future__ import annotations

import numpy as np


def pixel_stream(seed: int, label: str, number: int) -> np.random.Generator:
    """The random stream of one pixel: it depends on (seed, label, number) and nothing else.

    `label` is the name of the run, or of what is simulated: pixel 17 is the same pixel in a run of
    64 and in a run of all pixels.
    """
    return np.random.default_rng([seed, number, *label.encode()])
