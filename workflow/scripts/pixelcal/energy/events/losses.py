"""Events that are lost: left out, although no setting asks for it; energies that are rounded."""

from __future__ import annotations

import numpy as np

from pixelcal.energy.events.binning import Spectra
from pixelcal.energy.events.good_times import SLACK_S, header_limits
from pixelcal.energy.events.order import JITTER_S
from pixelcal.energy.events.reader import EventFile, stream
from pixelcal.energy.events.tally import ADVICE, WARN_FRACTION, lost_out_of, meaning
from pixelcal.errors import InputError

REFUSE_FRACTION = 0.90
"""Fraction of the events, lost for one reason, above which there is an error."""

MOST_ZERO = 0.5
"""Most events are single ones: a larger fraction of multiplicity 0 is theirs."""

FEWEST_EXPECTED = 20.0
"""A stretch of good time is empty by chance with a probability of exp(-20)."""

FEWEST_ENERGIES = 1000
"""Energies that are no multiples lie closer than a channel by then, beyond any doubt."""
STEP_BYTES = 2**20
"""Of each file that is looked at: tens of thousands of events."""
SAME_ENERGY = 1e-4
"""Relative difference, of 32 bits, that is rounding."""
MOST_STEP, WARN_STEP = 1.01, 0.25
"""Steps, in channels, above which events are refused and warned of. Above one, channels stay empty
between the steps, and lines are found by the steps. Above a quarter, neighbouring channels hold
numbers of steps that differ by up to a third."""


def check_lost(spectra: Spectra, files: list[EventFile]) -> list[str]:
    """What to warn of: a line for each reason for which more than `WARN_FRACTION` are lost.

    Reasons are: no finite time, a pixel that the camera does not have, and an energy that is not
    finite or in no channel. Events that fail an earlier test, of what is asked for (good time,
    multiplicity, selected pixels), are left out of the fraction.

    Raises
    ------
    InputError
        Where more than `REFUSE_FRACTION` are lost for one reason.
    """
    tally, column = spectra.tally, files[0].columns["value"].name
    n_channels = spectra.halves.shape[2]
    lost = [
        (
            spectra.n_untimed,
            spectra.n_read,
            "events without a finite time",
            "check events.columns.time",
        ),
        *(
            (
                tally[word],
                n_all,
                meaning(word, n_channels),
                ADVICE[word].format(column),
            )
            for word, n_all in lost_out_of(tally, spectra.n_read).items()
        ),
    ]
    told = []
    for n, n_all, what, advice in lost:
        if n <= WARN_FRACTION * n_all:
            continue
        line = (
            f"event file {files[0].path}: {100 * n / n_all:.1f} % of the events are lost ({n} of"
            f" {n_all} are {what}); {advice}"
        )
        if n > REFUSE_FRACTION * n_all:
            raise InputError(line)
        told.append(line)
    return told


def check_multiplicity(spectra: Spectra, files: list[EventFile]) -> list[str]:
    """What to warn of where more than `WARN_FRACTION` of the events, which are chosen by their
    multiplicity, have 0 or none.

    Raises
    ------
    InputError
        Where it is 0 in more than `MOST_ZERO` of the events: then it counts the pixels besides the
        first, and 1 would be a double event. Where more than `REFUSE_FRACTION` have none.
    """
    n_read, column = spectra.n_read, files[0].columns.get("multiplicity")
    if column is None or not n_read:
        return []
    where = f"event file {files[0].path}: column {column.name}"
    zero, none = (n / n_read for n in (spectra.n_multiplicity_0, spectra.n_no_multiplicity))
    told = [
        (
            zero,
            MOST_ZERO,
            f"{where} is 0 for {100 * zero:.1f} % of the events, but 1 is a single event; add 1"
            " where it counts from 0, or name another column in events.columns.multiplicity",
        ),
        (
            none,
            REFUSE_FRACTION,
            f"{where} says no multiplicity for {100 * none:.1f} % of the events (negative or no"
            " whole number); they are left out; check events.columns.multiplicity",
        ),
    ]
    for fraction, most, line in told:
        if fraction > most:
            raise InputError(line)
    return [line for fraction, _, line in told if fraction > WARN_FRACTION]


def check_spans(spectra: Spectra, files: list[EventFile]) -> list[str]:
    """What to warn of where the times of a file do not agree with its header.

    More than `WARN_FRACTION` of its events are not between TSTART and TSTOP, or 32 bits do not
    resolve its times.

    Raises
    ------
    InputError
        Where more than `REFUSE_FRACTION` are not between them.
    """
    told = []
    for file, n_outside, (first, last) in zip(files, spectra.n_outside, spectra.spans, strict=True):
        if not file.has_times or not first <= last:
            continue
        fraction = n_outside / file.n_events
        low, high = header_limits(file)
        line = (
            f"event file {file.path}: {100 * fraction:.1f} % of its events are not between its"
            f" TSTART and TSTOP ({low + SLACK_S:g} to {high - SLACK_S:g} s; their times run from"
            f" {first:g} to {last:g} s); check the unit of column {file.columns['time'].name}, or"
            " correct the header"
        )
        if fraction > REFUSE_FRACTION:
            raise InputError(line)
        if fraction > WARN_FRACTION:
            told.append(line)
        step = _resolution_s(file, max(abs(first), abs(last)))
        if step > JITTER_S:
            told.append(
                f"event file {file.path}: column {file.columns['time'].name} has 32 bits, which"
                f" resolve {step:g} s at these times; write it with 64 bits"
            )
    return told


def _resolution_s(file: EventFile, time: float) -> float:
    """Step (s) between neighbouring times of 32 bits; 0 of others."""
    column = file.columns["time"]
    if file.row_dtype[column.field].kind != "f" or file.row_dtype[column.field].itemsize > 4:
        return 0.0
    stored = (time - column.zero) / column.scale
    return float(np.spacing(np.float32(abs(stored)))) * abs(column.scale)


def check_covered(spectra: Spectra, files: list[EventFile]) -> list[str]:
    """What to warn of where no event is counted for more than `WARN_FRACTION` of the good time.

    A stretch of the rate of the camera without an event counts where `FEWEST_EXPECTED` are expected
    at the mean rate. The exposure is longer than the data then.

    Raises
    ------
    InputError
        Where it is more than `REFUSE_FRACTION` of it.
    """
    rate = spectra.rate
    seconds, empty = rate.seconds, rate.counts == 0
    total, n_counted = seconds.sum(), rate.counts.sum()
    if not total > 0 or not n_counted:
        return []
    starts = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(int)))
    gaps = [
        (first, stop)
        for first, stop in starts.reshape(-1, 2)
        if seconds[first:stop].sum() * n_counted / total > FEWEST_EXPECTED
    ]
    missing = sum(seconds[first:stop].sum() for first, stop in gaps)
    if missing <= WARN_FRACTION * total:
        return []
    first, stop = max(gaps, key=lambda gap: seconds[gap[0] : gap[1]].sum())
    line = (
        f"event file {files[0].path}: no event is counted in {missing:.6g} of {total:.6g} s of good"
        f" time, the longest stretch from {rate.edges[first]:.6g} to {rate.edges[stop]:.6g} s: the"
        " exposure is longer than the data; give the good times in events.gti.file, or correct"
        " TSTART and TSTOP"
    )
    if missing > REFUSE_FRACTION * total:
        raise InputError(line)
    return [line]


# --- energies in steps ----------------------------------------------------------------------------


def energy_step(energy: np.ndarray) -> float:
    """Least distance (keV) of different energies (n,); 0 where there are too few to say.

    Energies that differ by less than `SAME_ENERGY` of their size are the same.
    """
    known, times = np.unique(energy[np.isfinite(energy)], return_counts=True)
    # The most frequent one may stand for no energy.
    if times.sum() - times.max(initial=0) < FEWEST_ENERGIES:
        return 0.0
    distance = np.diff(known)
    distance = distance[distance > SAME_ENERGY * np.abs(known[1:])]
    return float(distance.min()) if len(distance) else 0.0


def check_steps(files: list[EventFile], gain: np.ndarray) -> list[str]:
    """What to warn of where energies come in steps, from the first block of each file.

    Parameters
    ----------
    files : list of EventFile
        With energies.
    gain : (n_pixels,) float, keV/channel
        Of the prior relation.

    Raises
    ------
    InputError
        Where steps are wider than a channel.
    """
    channel, told = float(np.median(gain)), []
    for file in files:
        block = next(stream(file, ("value",), block_bytes=STEP_BYTES), None)
        step = 0.0 if block is None else energy_step(_resolved(block["value"], channel))
        if not step > WARN_STEP * channel or _fills_channels(step, channel):
            continue
        line = (
            f"event file {file.path}: energies come in steps of {step:.4g} keV, and a channel is"
            f" {channel:.4g} keV wide; write energies that are not rounded, or give the"
            " channels with events.columns.channel"
        )
        if step > MOST_STEP * channel:
            raise InputError(line)
        told.append(line)
    return told


def check_whole_channels(files: list[EventFile]) -> list[str]:
    """What to warn of where channels are not whole, from the first block of each file: an event
    counts in the channel below, which is another one where numbers are of the middle of a channel.
    """
    told = []
    for file in files:
        block = next(stream(file, ("value",), block_bytes=STEP_BYTES), None)
        value = np.empty(0) if block is None else block["value"][np.isfinite(block["value"])]
        fraction = np.count_nonzero(value % 1) / max(len(value), 1)
        if fraction > WARN_FRACTION:
            told.append(
                f"event file {file.path}: {100 * fraction:.3g} % of the channels are not whole,"
                f" such as {value[value % 1 != 0][0]:g}; each counts in the channel below; write"
                " whole channels, or energies with events.columns.energy"
            )
    return told


def _resolved(energy: np.ndarray, channel: float) -> np.ndarray:
    """Energies (n,) of which different ones may be closer than a channel (keV)."""
    return energy[np.abs(energy) < channel / SAME_ENERGY]


def _fills_channels(step: float, channel: float) -> bool:
    """Whether each channel holds the same number of steps, as where energies are of channels."""
    number = channel / step
    return abs(number - round(number)) < (MOST_STEP - 1) * number and round(number) > 0
