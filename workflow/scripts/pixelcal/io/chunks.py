"""Which pixels are calibrated, and how they are cut into the chunks that are one job each.

A chunk is a run of rows of `spectra.fits`, named by a counter of four digits: "0000", "0001", ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pixelcal.errors import InputError

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_ALLOWED = 'allowed: "all", ranges such as "0-63,128", or a list of numbers'


def parse_pixels(spec: str | int | Iterable, n_pixels: int) -> tuple[int, ...]:
    """The chosen pixel numbers, rising and each once.

    Parameters
    ----------
    spec : "all", a text of comma-separated numbers and ranges (ends included), a number, or a list
        of such numbers and ranges
    n_pixels : int
        Pixels of the camera; they are numbered from 0.

    Raises
    ------
    InputError
        Where the choice cannot be read, is empty, or names a pixel that the camera lacks.
    """
    if spec == "all":
        return tuple(range(n_pixels))
    parts = spec.split(",") if isinstance(spec, str) else spec
    if isinstance(parts, int) and not isinstance(parts, bool):
        parts = [parts]
    if isinstance(parts, bool) or not isinstance(parts, Iterable):
        raise InputError(f"pixels: {spec!r} does not select pixels; {_ALLOWED}")
    chosen: set[int] = set()
    for part in parts:
        chosen.update(_parse_part(part, n_pixels))
    if not chosen:
        raise InputError(f"pixels: {spec!r} selects no pixel; {_ALLOWED}")
    return tuple(sorted(chosen))


def _parse_part(part: str | int, n_pixels: int) -> range:
    """One number or one range of a choice of pixels."""
    match = None if isinstance(part, bool) else _RANGE.fullmatch(str(part).strip())
    if match is None:
        raise InputError(f"pixels: {str(part)!r} is not a number or a range; {_ALLOWED}")
    first = int(match[1])
    last = int(match[2] or first)
    if first > last:
        raise InputError(f"pixels: the range {part} runs backwards; write {last}-{first}")
    if last >= n_pixels:
        raise InputError(
            f"pixels: {part} is out of range; the camera has the pixels 0 to {n_pixels - 1}"
        )
    return range(first, last + 1)


def chunk_names(n_selected: int, chunk_pixels: int) -> tuple[str, ...]:
    """Names of the chunks that `n_selected` pixels make, `chunk_pixels` at most in each."""
    return tuple(f"{number:04d}" for number in range(-(-n_selected // chunk_pixels)))


def chunk_slice(name: str, chunk_pixels: int) -> slice:
    """The rows of the spectra that belong to the chunk `name`; the last chunk may be shorter."""
    start = int(name) * chunk_pixels
    return slice(start, start + chunk_pixels)
