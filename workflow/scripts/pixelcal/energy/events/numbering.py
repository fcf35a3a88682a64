"""How event files number the pixels: from 0, or from 1 as some cameras' files do.

A wrong guess shifts every pixel by one, and nothing else shows it. So the least and the largest
number of each file are kept in the pass over the events, and held against those of the camera.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.events.reader import EventFile
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.numerics.jit import njit

KINDS = ("pixel", "row", "column")
"""What may number the pixels."""
NO_NUMBER = (2**31, -1)
"""Least and largest number where there is none."""

Ranges = dict[str, tuple[int, int]]
"""Least and largest number, as the file has them, by `KINDS`."""


@njit
def wider(span, values, first):
    """A span (least, largest) with the numbers `values` (n,) in it, after `first` is added.

    Negative numbers are none: pixels that are not told.
    """
    least, largest = span
    for value in values:
        number = value + first
        if number >= 0:
            least, largest = min(least, number), max(largest, number)
    return least, largest


def add_numbers(ranges: Ranges, block: dict, file: EventFile) -> None:
    """Widen the ranges of a file by a block of its events, as `reader.stream` yields them."""
    for key in KINDS:
        if key in file.columns and block.get(key) is not None:
            ranges[key] = wider(ranges.get(key, NO_NUMBER), block[key], file.first_pixel)


def check_numbers(
    files: list[EventFile],
    ranges: list[Ranges],
    detnum: np.ndarray,
    detnum_of_position: np.ndarray | None = None,
    *,
    instrument: Instrument,
) -> list[str]:
    """What to warn of where pixels may not be numbered as `events.first_pixel` says.

    Parameters
    ----------
    files : list of EventFile
    ranges : list of Ranges
        Of each file.
    detnum : (n,) int
        The pixels wanted.
    detnum_of_position : (n_rows * n_columns,) int, optional
        As for `reader.stream`.
    instrument : Instrument

    Raises
    ------
    InputError
        Where numbers run from 1 to the camera's last and one, and are said to run from 0.
    """
    wanted, last = _wanted(detnum, detnum_of_position, instrument), _last(instrument)
    told = [_checked(file, found, wanted, last) for file, found in zip(files, ranges, strict=True)]
    if len(files) > 1 and not any(told):  # each may have only some of the pixels
        told.append(_checked(files[0], _union(ranges), wanted, last))
    return [line for line in told if line]


def check_dealt(files: list[EventFile], n_pixels: int) -> list[str]:
    """What to warn of where files name no pixel, so that their events are dealt to all of them.

    All spectra are then samples of one, and what is found of a pixel is not of that pixel.
    """
    if files[0].has_pixels or n_pixels == 1:
        return []
    return [
        f"event file {files[0].path}: has no column with the pixel; its events are dealt to the"
        f" {n_pixels} pixels at random, so no pixel has a spectrum that is its own; name the"
        " column in events.columns.pixel if there is one"
    ]


def _last(instrument: Instrument) -> dict[str, int]:
    """The largest number of each kind, from 0; the least is 0."""
    return {
        "pixel": instrument.n_pixels - 1,
        "row": instrument.n_rows - 1,
        "column": instrument.n_columns - 1,
    }


def _wanted(
    detnum: np.ndarray, detnum_of_position: np.ndarray | None, instrument: Instrument
) -> Ranges:
    """Least and largest number, row and column of the pixels `detnum` (n,), from 0."""
    of_position = detnum_of_position
    if of_position is None:
        of_position = np.arange(instrument.n_pixels)
    row, column = np.divmod(
        np.flatnonzero(np.isin(of_position, detnum)), max(instrument.n_columns, 1)
    )
    numbers = {"pixel": np.asarray(detnum), "row": row, "column": column}
    return {
        key: (int(found.min()), int(found.max())) for key, found in numbers.items() if len(found)
    }


def _union(ranges: list[Ranges]) -> Ranges:
    """The ranges of all files together."""
    union: Ranges = {}
    for found in ranges:
        for key, (least, largest) in found.items():
            before = union.get(key, NO_NUMBER)
            union[key] = min(before[0], least), max(before[1], largest)
    return union


def _checked(file: EventFile, ranges: Ranges, wanted: Ranges, last: dict[str, int]) -> str:
    """What to warn of in the numbers of a file; "" where they may be right."""
    keys = [key for key in KINDS if key in ranges and ranges[key] != NO_NUMBER]
    if not keys:
        return ""
    said = " and ".join(
        f"{file.columns[key].name} from {ranges[key][0]} to {ranges[key][1]}" for key in keys
    )
    line = f"event file {file.path}: numbers its pixels ({said})"
    from_0 = all(ranges[key] == (0, last[key]) for key in keys)
    if file.first_pixel == 1:
        return f"{line} as if from 0; set events.first_pixel: 0" if from_0 else ""
    if any(ranges[key][0] == 0 for key in keys):
        return ""
    if all(ranges[key] == (1, last[key] + 1) for key in keys):
        raise InputError(f"{line} from 1, not from 0; set events.first_pixel: 1")
    within = all(ranges[key][0] <= last[key] for key in keys)
    if within and any(ranges[key][1] > last[key] for key in keys):
        return (
            f"{line} beyond the last of the camera; set events.first_pixel: 1 if they count from 1"
        )
    shifted = [tuple(number + 1 for number in wanted.get(key, NO_NUMBER)) for key in keys]
    if shifted == [ranges[key] for key in keys] and any(least == 1 for least, _ in shifted):
        return (
            f"{line} as the selected pixels would be if they counted from 1; set"
            " events.first_pixel: 1 if they do"
        )
    return ""
