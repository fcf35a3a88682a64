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

from pixelcal.charge.runs.hdf5_file import Hdf5File, open_hdf5, other_form
from pixelcal.charge.runs.waveforms import (
    FLAGS,
    UNITS,
    Block,
    RunProperties,
    empty_events,
    event_flags,
    wanted_types,
)
from pixelcal.errors import InputError

BLOCK_BYTES = 16 * 2**20


class OpenRun(Hdf5File):
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
        self,
        path: Path,
        file: h5py.File,
        event_types: Sequence[str] | None = None,
        dark: bool = False,
    ) -> None:
        super().__init__(path)
        self._waveforms = self._dataset(file, "waveforms")
        if self._waveforms is None:
            raise InputError(
                f"{self._where}: has no dataset waveforms (event, pixel, sample); it has"
                f" {', '.join(file) or 'nothing'}{other_form(file)}"
            )
        self._check_waveforms()
        self.attributes = self._texts(file)
        self.n_events, n_pixels, _ = self._waveforms.shape
        self._event_id = self._dataset(file, "event_ids", (self.n_events,), "iu")
        self._flags = self._dataset(file, "event_flags", (self.n_events,), "iu")
        self._true_pe = self._dataset(file, "true_pe", (self.n_events, n_pixels), "iu")
        self._type = self._types(file, self.n_events, event_types)
        self._wanted_types = wanted_types(event_types, self._types_of_dark_run(self._type, dark))
        self.properties = RunProperties(
            pixel=self._pixels(file, n_pixels),
            n_samples=self._waveforms.shape[2],
            dtype=self._waveforms.dtype.newbyteorder("="),
            unit=self._unit(),
            sample_ns=self._sample_ns(),
            adc_range=self._adc_range(self._waveforms),
            places=self._places(file, n_pixels),
            failing=self._failing(file, n_pixels),
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
            types = None if self._type is None else self._read(self._type, rows, np.int64)
            yield Block(
                waveforms,
                self._ids(self._event_id, rows),
                self._event_flags(rows, waveforms, types),
                None if self._true_pe is None else self._read(self._true_pe, rows, np.int32),
                types,
            )

    def _event_flags(self, rows: slice, waveforms: np.ndarray, types) -> np.ndarray:
        """Flags of events: those of the file, and what their samples and types say."""
        flags = self._read(self._flags, rows, np.int64, len(waveforms))
        flags = event_flags(flags, types, self._wanted_types)
        flags[empty_events(waveforms)] |= FLAGS["empty"]
        return flags

    def _block_events(self, block_bytes: int) -> int:
        """Events of a block: whole chunks, so that none is decompressed twice."""
        data = self._waveforms
        event_bytes = data.dtype.itemsize * data.shape[1] * data.shape[2]
        wanted = max(1, block_bytes // event_bytes)
        chunk = data.chunks[0] if data.chunks else 1
        return max(chunk, wanted // chunk * chunk)

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

    def _unit(self) -> str:
        unit = self._attribute(self._waveforms, "unit")
        if not isinstance(unit, str) or unit not in UNITS:
            said = "no unit" if unit is None else f"the unit {str(unit)!r}"
            raise InputError(
                f"{self._where}: waveforms has {said}; its attribute unit is one of"
                f" {', '.join(UNITS)}"
            )
        return unit

    def _sample_ns(self) -> float:
        value = self._attribute(self._waveforms, "sample_ns")
        try:
            sample_ns = 1.0 if value is None else float(value)
        except (TypeError, ValueError):
            sample_ns = np.nan
        if not 0.0 < sample_ns < np.inf:
            raise InputError(
                f"{self._where}: the attribute sample_ns of waveforms is {value}, not a time (ns)"
            )
        return sample_ns


@contextmanager
def open_run(
    path: str | Path, event_types: Sequence[str] | None = None, dark: bool = False
) -> Iterator[OpenRun]:
    """Open a run in the open layout and check it.

    Parameters
    ----------
    path : path
    event_types : names of `waveforms.EVENT_TYPES`, optional
        Events of other types are flagged, where the file says their types; without it pedestals
        are.
    dark : bool
        A run without light: of a file that has pedestals these are used, whatever `event_types`.

    Raises
    ------
    InputError
        One line, where the file is missing, not HDF5, cut short, or not in the layout.
    """
    with open_hdf5(path) as file:
        yield OpenRun(Path(path), file, event_types, dark)
