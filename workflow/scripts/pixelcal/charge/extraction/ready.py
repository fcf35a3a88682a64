"""Ready charges as ours: bad events left out, missing values counted, whole numbers found."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pixelcal.charge.extraction.charges import (
    Charges,
    many_not_finite,
    piled_up,
    spoilt_events,
)
from pixelcal.charge.extraction.checks import MANY_LOST
from pixelcal.charge.extraction.placeholders import without_placeholders
from pixelcal.charge.extraction.steps import FEWEST_EVENTS, has_few_values
from pixelcal.charge.runs.pixel_columns import MOST_NAMED
from pixelcal.charge.runs.ready_charges import ReadyCharges
from pixelcal.charge.runs.waveforms import FLAGS, count_reasons
from pixelcal.errors import InputError

LOGGER = logging.getLogger("pixelcal")

WHOLE = 0.01
"""How far a charge may be from a whole number of steps, as numbers are rounded in files."""
COARSE = 0.01
"""Resolution of 32 bits, over the standard deviation of the charges, that would widen peaks."""
LARGEST_WHOLE = 2**24
"""Whole numbers beyond are not exact as float32."""


class Taken(NamedTuple):
    """Charges of the pixels wanted, and how they came about.

    charges : Charges
    step : float, 0 where charges are no multiples of anything
    missing : (n,) int, events used in which the charge of a pixel is missing
    placeholder : (n,) float, the number that stood for a missing charge; NaN in other pixels
    """

    charges: Charges
    step: float
    missing: np.ndarray
    placeholder: np.ndarray


def take_charges(ready: ReadyCharges, rows: np.ndarray, live: np.ndarray, path: object) -> Taken:
    """The charges of some pixels in the good events.

    An event in which a charge is missing (NaN, infinite, or a number that stands for it) is left
    out where few are such; where many are, and in a pixel that misses many, a value that is missing
    is left out alone, as NaN.

    Parameters
    ----------
    ready : ReadyCharges
    rows : (n,) int
        Rows of the pixels wanted.
    live : (n,) bool
        False: masked, with charges of 0.
    path : path, for what is said

    Raises
    ------
    InputError
        Where charges are not multiples of the step that the file names, or beyond 32 bits.
    """
    good = ready.flags == 0
    values, placeholder = without_placeholders(ready.charges[rows][:, good], live)
    values, step = _in_steps(np.where(live[:, None], values, values.dtype.type(0)), ready, path)
    flags, finite = ready.flags.copy(), np.isfinite(values)
    present = ~spoilt_events(finite, live)
    missing = (~finite[:, present]).sum(axis=1)
    few = missing <= many_not_finite(np.count_nonzero(present))
    whole = finite[few].all(axis=0) & present
    if (present & ~whole).sum() > MANY_LOST * len(whole):
        whole[:] = finite[live].any(axis=0) & present
    flags[np.flatnonzero(good)[~whole]] |= FLAGS["other"]
    values, finite = values[:, whole], finite[:, whole]
    if step and finite.all():
        values = values.astype(np.int32)
    true_pe = None if ready.true_pe is None else ready.true_pe[rows][:, good][:, whole]
    charges = Charges(
        charges=values,
        event_id=ready.event_id[good][whole],
        true_pe=true_pe,
        n_read=len(flags),
        bad=count_reasons(flags),
        clipped=_clipped(ready, rows, values, step, live),
        not_finite=missing,
    )
    return Taken(charges, step, (~finite).sum(axis=1), placeholder)


def _in_steps(values: np.ndarray, ready: ReadyCharges, path) -> tuple[np.ndarray, float]:
    """Charges (n, m) as whole numbers of steps, and the step; float32 and 0 where there is none."""
    step = ready.step
    if values.dtype.kind in "iu" and (step is None or ready.counts_steps):
        return _in_32_bits(values, path), step or 1.0
    values = values.astype(float)
    number = values if ready.counts_steps or step is None else values / step
    finite = number[np.isfinite(number)]
    whole = np.abs(finite - np.rint(finite)) <= (WHOLE if step else 0.0)
    if step and not whole.all():
        raise InputError(
            f"run {path}: the charge {finite[~whole][0] * step:g} is not a multiple of"
            f" {step:g}, the attribute step of charges; correct the attribute, or leave it out"
        )
    if not step and (not whole.all() or not finite.any()):
        return _in_float32(values, path), 0.0
    if np.abs(finite).max(initial=0.0) > LARGEST_WHOLE and len(finite) < number.size:
        raise InputError(
            f"run {path}: charges reach {np.abs(finite).max():g} steps and some are missing; leave"
            " these events out, or write charges above their pedestal"
        )
    rounded = np.rint(number)
    if len(finite) == number.size:
        return _in_32_bits(rounded, path), step or 1.0
    return rounded.astype(np.float32), step or 1.0


def _in_float32(values: np.ndarray, path) -> np.ndarray:
    known = [one[np.isfinite(one)] for one in values]
    largest = max((np.abs(one).max(initial=0.0) for one in known), default=0.0)
    spread = [one.std() for one in known if len(one) and one.std() > 0]
    resolved = np.spacing(np.float32(largest))
    if spread and resolved > COARSE * np.median(spread):
        raise InputError(
            f"run {path}: charges reach {largest:g}, where 32 bits resolve {resolved:g}; write"
            " charges above their pedestal"
        )
    return values.astype(np.float32)


def _in_32_bits(values: np.ndarray, path) -> np.ndarray:
    limit = np.iinfo(np.int32).max
    if values.size and max(float(values.max()), -float(values.min())) > limit:
        raise InputError(
            f"run {path}: a charge has more steps than 32 bits hold; write charges"
            " above their pedestal, or in larger units"
        )
    return values.astype(np.int32)


def _clipped(ready: ReadyCharges, rows, values, step: float, live) -> np.ndarray | None:
    """Clipped events (n,): as the file counts them, at the ends that it names, or by the pile."""
    if ready.clipped is not None:
        return np.where(live, ready.clipped[rows], 0)
    if ready.adc_range is None:
        piled = piled_up(values[live])
        if piled is None:
            return None
        found = np.zeros(len(values), np.int64)
        found[live] = piled
        return found
    low, high = (end / (step or 1.0) for end in ready.adc_range)
    with np.errstate(invalid="ignore"):
        found = ((values <= low) | (values >= high)).sum(axis=1)
    return np.where(live, found, 0)


# --- in words -------------------------------------------------------------------------------------


def check_any_finite(taken: Taken, live: np.ndarray, path: object) -> None:
    """Raise InputError where no live pixel has a charge."""
    n_used = taken.charges.charges.shape[1]
    if n_used and live.any() and (taken.missing[live] == n_used).all():
        raise InputError(
            f"run {path}: no pixel has finite charges: all are NaN or infinite; obtain a fresh copy"
        )


def tell_missing(taken: Taken, pixel: np.ndarray, live: np.ndarray, run: str) -> None:
    """Say how many charges are missing, and warn of the pixels that miss many."""
    n_used = taken.charges.charges.shape[1]
    before = taken.charges.not_finite
    n_missing = int(before[live].sum())
    if n_missing:
        LOGGER.warning(
            "run %s: %d charges are missing (NaN or infinite) in %d of %d pixels; %d events are"
            " left out for it or another reason",
            run, n_missing, np.count_nonzero(before[live]), live.sum(),
            taken.charges.bad["other"],
        )  # fmt: skip
    many = np.flatnonzero(live & (taken.missing > many_not_finite(n_used)))
    for i in many[:MOST_NAMED]:
        LOGGER.warning(
            "run %s: pixel %d misses the charge of %d of %d events (%d such pixels); if the large"
            " charges are missing, its light is underestimated",
            run, pixel[i], taken.missing[i], n_used, len(many),
        )  # fmt: skip


def tell_unknown_step(taken: Taken, pixel: np.ndarray, live: np.ndarray, run: str) -> None:
    """Warn where charges are those of an ADC in another unit: bins then hold uneven numbers."""
    charges = taken.charges.charges
    if taken.step or charges.shape[1] < FEWEST_EVENTS:
        return
    for i in np.flatnonzero(live):
        if has_few_values(charges[i]):
            LOGGER.warning(
                "run %s: pixel %d has few distinct charges, like those of an ADC in another unit;"
                " write the distance between them as the attribute step of charges, or bins"
                " are uneven",
                run, pixel[i],
            )  # fmt: skip
            return


def ready_cards(ready: ReadyCharges, taken: Taken, settings: Mapping) -> list[tuple]:
    """Header cards of ready charges."""
    return [
        ("UNITSAMP", ready.unit, "unit of a charge"),
        ("MAXEV", settings["max_events"] or 0, "events read at most; 0: all"),
        (
            "NMISSING",
            int(taken.charges.not_finite.sum()),
            "charges that are missing in good events",
        ),
    ]
