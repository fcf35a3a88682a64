"""Writes a run of flashes in the open layout, see `hdf5`, which reads it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from pixelcal.charge.runs.waveforms import FLAGS, Block, RunProperties
from pixelcal.io.tables import atomic

LAYOUT = "pixelcal waveforms"
VERSION = 1
CHUNK_BYTES = 2**20
COMPRESSION = 1
"""Level of gzip, after shuffling bytes. Noise does not get smaller with more."""


class RunWriter:
    """Writes a run in the open layout, block after block; use as `with RunWriter(...) as run`.

    The file has its name only after the body has ended well. Its bytes depend on the events
    alone, not on the size of the blocks.

    Parameters
    ----------
    path : path
    properties : RunProperties
    with_truth : bool
        Whether the blocks bring `true_pe`.
    with_types : bool
        Whether they bring `event_type`.
    attributes : dict, optional
        What else is known of the run: numbers and texts, attributes of the file.
    compression : int or None
        Level of gzip; None for a file that does not stay.
    charges : bool
        The one sample of each waveform is a charge: the file has `charges` instead.
    """

    def __init__(
        self,
        path: str | Path,
        properties: RunProperties,
        *,
        with_truth: bool,
        with_types: bool = False,
        attributes: dict[str, float | str] | None = None,
        compression: int | None = COMPRESSION,
        charges: bool = False,
    ) -> None:
        self._main = "charges" if charges else "waveforms"
        self._atomic = atomic(path)
        self._properties = properties
        self._with_truth = with_truth
        self._with_types = with_types
        self._attributes = attributes or {}
        self._compression = compression
        self.chunk_events = _chunk_events(properties)

    def __enter__(self) -> RunWriter:
        self._file = h5py.File(self._atomic.__enter__(), "w", libver=("earliest", "v110"))
        self._n_written = 0
        self._waiting: list[Block] = []
        self._late: tuple[np.ndarray, np.ndarray] | None = None
        properties, n_pixels = self._properties, len(self._properties.pixel)
        self._file.attrs["layout"] = LAYOUT
        self._file.attrs["version"] = VERSION
        for name, value in sorted(self._attributes.items()):
            self._file.attrs[name] = value
        self._file.create_dataset("pixels", data=properties.pixel.astype(np.int32))
        if properties.places is not None:
            for name, values in zip(("pixel_x", "pixel_y"), properties.places, strict=True):
                self._file.create_dataset(name, data=values.astype(np.float64))
        of_charges = self._main == "charges"
        shape = (n_pixels,) if of_charges else (n_pixels, properties.n_samples)
        self._create(self._main, shape, properties.dtype)
        self._file[self._main].attrs["unit"] = properties.unit
        if not of_charges:
            self._file[self._main].attrs["sample_ns"] = properties.sample_ns
        for name, value in zip(("adc_min", "adc_max"), properties.adc_range or (), strict=False):
            self._file[self._main].attrs[name] = value
        self._create("event_ids", (), np.int64, 4096)
        self._create("event_flags", (), np.uint8, 4096)
        if self._with_truth:
            self._create("true_pe", (n_pixels,), np.int32)
        if self._with_types:
            self._create("event_types", (), np.uint8, 4096)
        return self

    def _create(self, name: str, shape: tuple, dtype, chunk_events: int = 0) -> None:
        chunks = (chunk_events or self.chunk_events, *shape)
        options = {} if self._compression is None else {"compression": "gzip", "shuffle": True}
        if options:
            options["compression_opts"] = self._compression
        self._file.create_dataset(
            name, (0, *shape), dtype, chunks=chunks, maxshape=(None, *shape), **options
        )

    def append(self, block: Block) -> None:
        """Add events; whole chunks are written, the rest waits for more."""
        self._waiting.append(block)
        n_whole = self._n_waiting() // self.chunk_events * self.chunk_events
        if n_whole:
            joined = _joined(self._waiting)
            for first in range(0, n_whole, self.chunk_events):
                self._write(_part(joined, slice(first, first + self.chunk_events)))
            self._waiting = [_part(joined, slice(n_whole, None))]

    def leave_out(self, events: np.ndarray, failing: np.ndarray) -> None:
        """Flag events (n,) bool of all that have been added, and write which pixels do not work.

        It is done when the file is closed; `failing` is (n_pixels,) bool.
        """
        self._late = events, failing

    def _write_late(self) -> None:
        events, failing = self._late
        if events.any():
            flags = self._file["event_flags"]
            flags[:] = flags[:] | np.where(events, FLAGS["other"], 0).astype(np.uint8)
        if failing.any():
            self._file.create_dataset("pixel_failing", data=failing.astype(np.uint8))

    def _n_waiting(self) -> int:
        return sum(len(block.event_id) for block in self._waiting)

    def _write(self, block: Block) -> None:
        first, self._n_written = self._n_written, self._n_written + len(block.event_id)
        values = {
            self._main: block.waveforms[..., 0] if self._main == "charges" else block.waveforms,
            "event_ids": block.event_id,
            "event_flags": block.flags,
        }
        if self._with_truth:
            values["true_pe"] = block.true_pe
        if self._with_types:
            values["event_types"] = block.event_type
        for name, rows in values.items():
            data = self._file[name]
            data.resize(self._n_written, axis=0)
            data[first:] = rows

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._n_waiting():
                self._write(_joined(self._waiting))
            if kind is None and self._late is not None:
                self._write_late()
            self._file.close()
        except BaseException as late:
            self._atomic.__exit__(type(late), late, late.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)


def _chunk_events(properties: RunProperties) -> int:
    """Events of a chunk of the file; it depends on the camera alone."""
    event_bytes = len(properties.pixel) * properties.n_samples * properties.dtype.itemsize
    return int(np.clip(CHUNK_BYTES // event_bytes, 1, 1024))


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    parts = zip(*blocks, strict=True)
    return Block(*(None if part[0] is None else np.concatenate(part) for part in parts))


def _part(block: Block, rows: slice) -> Block:
    return Block(*(None if value is None else value[rows] for value in block))
