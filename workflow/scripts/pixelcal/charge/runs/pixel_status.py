"""Which pixels of a run do not work, as the source that ctapipe opens says."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from pixelcal.charge.runs.pixel_columns import MOST_NAMED

GAINS_STORED = 0b1100
"""Bits of a pixel's status that say that the high and the low gain are there (CTAO's DL0 model)."""
MONITORED = (
    ("monitoring", "camera", "coefficients", "outlier_mask"),
    ("mon", "pixel_status", "hardware_failing_pixels"),
)
"""Masks (gain, pixel) of pixels to leave out, in ctapipe 0.28 and before."""
FEW_FAILING, MANY_FAILING = 10, 0.01
"""More events, and a larger fraction of them, in which a pixel fails: it does not work."""

LOGGER = logging.getLogger("pixelcal")


def failing_pixels(event, telescope: int, n_pixels: int) -> np.ndarray:
    """Pixels (n_pixels,) bool of an event that do not work, as its source says.

    By `pixel_status` of R1 or DL0, in which neither gain is stored, and by the monitoring of the
    camera. A source that has no status of any pixel says nothing.
    """
    found = np.zeros(n_pixels, bool)
    for level in ("r1", "dl0"):
        camera = _of_telescope(event, level, telescope)
        status = np.asarray(getattr(camera, "pixel_status", None))
        if status.shape == (n_pixels,) and status.dtype.kind in "iu":
            stored = (status & GAINS_STORED) != 0
            found |= ~stored & stored.any()
    for place, *path in MONITORED:
        mask = _of_telescope(event, place, telescope)
        for name in path:
            mask = getattr(mask, name, None)
        mask = np.asarray(mask)
        if mask.dtype == bool and mask.shape[-1:] == (n_pixels,):
            found |= mask.reshape(-1, n_pixels).all(axis=0)
    return found


def tell_failing(pixel: np.ndarray, n_spoilt: int, n_events: int, run: str) -> None:
    """Warn of the pixels (n,) that do not work, and of events in which others do not."""
    if len(pixel):
        named = ", ".join(map(str, pixel[:MOST_NAMED])) + (
            ", ..." if len(pixel) > MOST_NAMED else ""
        )
        LOGGER.warning(
            "run %s: pixel %s does not work, according to its source (%d such pixels); it is left"
            " out",
            run, named, len(pixel),
        )  # fmt: skip
    if n_spoilt:
        LOGGER.warning(
            "run %s: in %d of %d events another pixel does not work; they are left out",
            run, n_spoilt, n_events,
        )  # fmt: skip


def _of_telescope(event, level: str, telescope: int):
    return getattr(getattr(event, level, None), "tel", {}).get(telescope)


def failing_of_run(events: Sequence[np.ndarray], n_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n_pixels,) bool that do not work, and events (n,) bool to leave out.

    A pixel that fails in many events does not work; an event in which another fails is spoilt.
    `events` are the pixels that fail in each, as packed bits.
    """
    number = np.zeros(n_pixels, int)
    for packed in events:
        number += np.unpackbits(packed, count=n_pixels)
    often = number > max(MANY_FAILING * len(events), FEW_FAILING)
    often |= (number > 0) & (number == len(events))
    spoilt = [np.unpackbits(packed, count=n_pixels)[~often].any() for packed in events]
    return often, np.array(spoilt, bool)
