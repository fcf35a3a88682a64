"""The open layout of a run: an HDF5 file of waveforms, documented in docs/sstcam-runs.md.

    with open_run(path) as run:
        for block in run.blocks():
            block.waveforms, block.flags

A run is read in blocks of whole HDF5 chunks: memory does not grow with its length. What a file says
of other files (external links, external storage, virtual data) is refused, not followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from pixelcal.charge.runs.waveforms import (
    FLAGS,
    UNITS,
    Block,
    RunProperties,
    empty_events,
    wanted_types,
)
from pixelcal.errors import InputError

BLOCK_BYTES = 16 * 2**20

LARGEST_PLACE_M = 5.0
"""No camera is larger: positions beyond are in another unit than m."""

_ANEW = "get the file anew"


class OpenRun:
    """A run in the open layout, opened and checked; see `open_run`.

    Attributes
    ----------
    path : Path
    properties : RunProperties
    n_events : int
    attributes : dict
        Texts among the attributes of the file, as `source`, what it was converted from.
    """

    def __init__(
        self, path: Path, file: h5py.File, event_types: Sequence[str] | None = None
    ) -> None:
        self.path = path
        self._where = f"run {path}"
        self._waveforms = self._dataset(file, "waveforms")
        if self._waveforms is None:
            raise InputError(
                f"{self._where}: has no dataset waveforms (event, pixel, sample); it has"
                f" {', '.join(file) or 'nothing'}"
            )
        self._check_waveforms()
        self.attributes = self._texts(file)
        self.n_events, n_pixels, _ = self._waveforms.shape
        self._event_id = self._dataset(file, "event_ids", (self.n_events,), "iu")
        self._flags = self._dataset(file, "event_flags", (self.n_events,), "u")
        self._true_pe = self._dataset(file, "true_pe", (self.n_events, n_pixels), "iu")
        self._types = self._dataset(file, "event_types", (self.n_events,), "iu")
        self._wanted_types = wanted_types(event_types)
        if event_types is not None and self._types is None:
            raise InputError(
                f"{self._where}: has no dataset event_types, but sstcam.source.event_types names"
                f" {', '.join(event_types)}; leave it null, or write the types"
            )
        self.properties = RunProperties(
            pixel=self._pixels(file, n_pixels),
            n_samples=self._waveforms.shape[2],
            dtype=self._waveforms.dtype.newbyteorder("="),
            unit=self._unit(),
            sample_ns=self._sample_ns(),
            adc_range=self._adc_range(),
            places=self._places(file, n_pixels),
        )

    def blocks(
        self, max_events: int | None = None, block_bytes: int = BLOCK_BYTES
    ) -> Iterator[Block]:
        """Blocks of events in the order of the file, good and bad ones.

        Parameters
        ----------
        max_events : int, optional
            No more than this many events, bad ones among them.
        block_bytes : int
            Size of the waveforms of a block, rounded to whole chunks of the file.

        Raises
        ------
        InputError
            Where the data are damaged.
        """
        n_events = min(self.n_events, max_events or self.n_events)
        step = self._block_events(block_bytes)
        for first in range(0, n_events, step):
            rows = slice(first, min(first + step, n_events))
            waveforms = self._read(self._waveforms, rows)
            types = None if self._types is None else self._read(self._types, rows, np.int64)
            yield Block(
                waveforms,
                self._ids(rows),
                self._event_flags(rows, waveforms, types),
                None if self._true_pe is None else self._read(self._true_pe, rows, np.int32),
                types,
            )

    def _event_flags(self, rows: slice, waveforms: np.ndarray, types) -> np.ndarray:
        """Flags of events: those of the file, and what their samples and types say."""
        flags = self._read(self._flags, rows, np.int64, len(waveforms))
        known = FLAGS["stale"] | FLAGS["incomplete"] | FLAGS["other"] | FLAGS["gain"]
        flags = (flags & known) | np.where(flags & ~known, FLAGS["other"], 0)
        flags[empty_events(waveforms)] |= FLAGS["empty"]
        if types is not None:
            flags[~self._wanted_types[np.clip(types, 0, 255)]] |= FLAGS["type"]
        return flags.astype(np.uint8)

    def _block_events(self, block_bytes: int) -> int:
        """Events of a block: whole chunks, so that none is decompressed twice."""
        data = self._waveforms
        event_bytes = data.dtype.itemsize * data.shape[1] * data.shape[2]
        wanted = max(1, block_bytes // event_bytes)
        chunk = data.chunks[0] if data.chunks else 1
        return max(chunk, wanted // chunk * chunk)

    def _ids(self, rows: slice) -> np.ndarray:
        if self._event_id is None:
            return np.arange(rows.start, rows.stop, dtype=np.int64)
        return self._read(self._event_id, rows, np.int64)

    def _read(self, data, rows: slice, dtype=None, n_absent: int = 0) -> np.ndarray:
        """Rows of a dataset in the byte order of the machine; zeros where there is none."""
        if data is None:
            return np.zeros(n_absent, dtype)
        try:
            values = data[rows]
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{self._where}: {data.name.lstrip('/')} cannot be read from event {rows.start} on"
                f" ({_first_line(error)}); {_ANEW}"
            ) from None
        return values.astype(dtype or values.dtype.newbyteorder("="), copy=False)

    def _dataset(self, file, name: str, shape: tuple | None = None, kinds: str = ""):
        """A dataset that is in this file itself; None where there is none of that name."""
        try:
            link = file.get(name, getlink=True)
            if link is None:
                return None
            data = file[name] if isinstance(link, h5py.HardLink) else None
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise InputError(f"{self._where}: is damaged ({_first_line(error)}); {_ANEW}") from None
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
            raise InputError(
                f"{self._where}: {name} is no dataset of the file itself; links, external and"
                " virtual data are not followed"
            )
        if shape is not None and data.shape != shape:
            raise InputError(
                f"{self._where}: {name} has the shape {data.shape}, the waveforms ask for {shape}"
            )
        if kinds and data.dtype.kind not in kinds:
            wanted = "floating-point numbers" if kinds == "f" else "integers"
            raise InputError(f"{self._where}: {name} has the type {data.dtype}; write {wanted}")
        return data

    def _check_waveforms(self) -> None:
        data = self._waveforms
        if data.ndim != 3:
            raise InputError(
                f"{self._where}: waveforms has the shape {data.shape}; write (event, pixel, sample)"
            )
        if data.dtype.kind not in "iuf" or data.dtype.itemsize > 4:
            raise InputError(
                f"{self._where}: waveforms has the type {data.dtype}; write integers of at most 32"
                " bits, or float32"
            )
        if 0 in data.shape:
            empty = ("event", "pixel", "sample")[data.shape.index(0)]
            raise InputError(f"{self._where}: holds no {empty}; give a run with flashes")

    def _places(self, file, n_pixels: int) -> np.ndarray | None:
        """x and y (2, n_pixels) of the pixels (m), where the file has them."""
        data = [self._dataset(file, name, (n_pixels,), "f") for name in ("pixel_x", "pixel_y")]
        if all(axis is None for axis in data):
            return None
        if any(axis is None for axis in data):
            raise InputError(
                f"{self._where}: has one of pixel_x and pixel_y; write both, or leave both out"
            )
        places = np.array([self._read(axis, slice(None), np.float64) for axis in data])
        if np.nanmax(np.abs(places), initial=0.0) > LARGEST_PLACE_M:
            raise InputError(
                f"{self._where}: pixel_x and pixel_y have values beyond {LARGEST_PLACE_M:g}; write"
                " the positions of the pixels in m"
            )
        return places

    def _pixels(self, file, n_pixels: int) -> np.ndarray:
        data = self._dataset(file, "pixels", (n_pixels,), "iu")
        if data is None:
            raise InputError(
                f"{self._where}: has no dataset pixels with the numbers of its {n_pixels} pixels"
            )
        pixel = self._read(data, slice(None), np.int64)
        if pixel.min() < 0 or pixel.max() > 32767:
            raise InputError(f"{self._where}: pixels must be numbers from 0 to 32767")
        values, counts = np.unique(pixel, return_counts=True)
        if len(values) < n_pixels:
            raise InputError(
                f"{self._where}: pixel {values[counts > 1][0]} stands twice in pixels; give each"
                " pixel one row"
            )
        return pixel.astype(np.int32)

    def _unit(self) -> str:
        unit = self._attribute("unit")
        unit = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else unit
        if unit not in UNITS:
            said = "no unit" if unit is None else f"the unit {str(unit)!r}"
            raise InputError(
                f"{self._where}: waveforms has {said}; its attribute unit is one of"
                f" {', '.join(UNITS)}"
            )
        return unit

    def _sample_ns(self) -> float:
        value = self._attribute("sample_ns")
        try:
            sample_ns = 1.0 if value is None else float(value)
        except (TypeError, ValueError):
            sample_ns = np.nan
        if not 0.0 < sample_ns < np.inf:
            raise InputError(
                f"{self._where}: the attribute sample_ns of waveforms is {value}, not a time (ns)"
            )
        return sample_ns

    def _adc_range(self) -> tuple[float, float] | None:
        """Lowest and highest value of a sample; None where the file does not say the highest."""
        lowest, highest = self._attribute("adc_min", 0), self._attribute("adc_max")
        if highest is None:
            return None
        try:
            low, high = float(lowest), float(highest)
        except (TypeError, ValueError):
            low = high = np.nan
        if not 0.0 < high - low < np.inf:
            raise InputError(
                f"{self._where}: waveforms has adc_min {lowest} and adc_max {highest}; write the"
                " lowest and highest value of a sample"
            )
        return low, high

    def _texts(self, file) -> dict[str, str]:
        """The attributes of the file that are plain ASCII text."""
        try:
            found = dict(file.attrs)
        except (OSError, RuntimeError, TypeError) as error:
            raise InputError(f"{self._where}: is damaged ({_first_line(error)}); {_ANEW}") from None
        return {
            name: value
            for name, value in found.items()
            if isinstance(value, str) and value.isascii() and value.isprintable()
        }

    def _attribute(self, name: str, default=None):
        try:
            return self._waveforms.attrs.get(name, default)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{self._where}: is damaged ({_first_line(error)}); {_ANEW}") from None


@contextmanager
def open_run(path: str | Path, event_types: Sequence[str] | None = None) -> Iterator[OpenRun]:
    """Open a run in the open layout and check it.

    Parameters
    ----------
    path : path
    event_types : names of `waveforms.EVENT_TYPES`, optional
        Events of other types are flagged, where the file says their types; without it pedestals
        are.

    Raises
    ------
    InputError
        One line, where the file is missing, not HDF5, cut short, or not in the layout.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"run {path}: no such file; check the folder and its table.csv")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = _first_line(error)
        if "truncated" in reason:
            raise InputError(f"run {path}: is cut short; {_ANEW}") from None
        raise InputError(
            f"run {path}: is not an HDF5 file that can be read ({reason}); {_ANEW}"
        ) from None
    with file:
        yield OpenRun(path, file, event_types)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
