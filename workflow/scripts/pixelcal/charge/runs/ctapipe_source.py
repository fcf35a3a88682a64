"""Runs that ctapipe opens: simtel files of any camera, or others where their plug-in is installed.

ctapipe is in the environment of the one rule that needs it, and is imported only here. A run is
streamed, event by event, and never whole in memory.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pixelcal.charge.runs.pixel_status import failing_of_run, failing_pixels
from pixelcal.charge.runs.waveforms import FLAGS, Block, RunProperties, type_number
from pixelcal.errors import InputError

UNKNOWN = -1
"""In place of the true photoelectrons of an event that has none, in a run that has them."""

INSTALL = "install ctapipe and eventio (envs/sstcam_source.yaml)"


class SourceRun:
    """A run that ctapipe has opened; see `open_source`.

    Attributes
    ----------
    properties : RunProperties
    level : str
        "r0", samples as they were digitised, where the run has them; else "r1", calibrated ones.
    telescope : int
    has_truth : bool
        Whether the first event has the true number of photoelectrons of each pixel.
    """

    def __init__(
        self,
        path: Path,
        source,
        telescope: int | None,
        gain_channel: int | None,
        images: bool = False,
    ) -> None:
        self._where = f"run {path}"
        self._what, self._levels = ("image", ("dl1",)) if images else ("waveform", ("r0", "r1"))
        self._source = source
        self.telescope = self._telescope(telescope)
        self._events = iter(source)
        self._first = self._first_event()
        self._named = gain_channel
        self._names_gains = _selected_gain(self._camera(self._first)) is not None
        self._channel = self._gain_channel(gain_channel)
        self.has_truth = self._true_image(self._first) is not None
        self._failing: list[np.ndarray] = []
        data = self._waveform(self._first)
        camera = source.subarray.tel[self.telescope].camera
        pixel = self._pixels(camera.geometry.pix_id, len(data))
        rate = float(camera.readout.sampling_rate.to_value("GHz"))
        whole = data.dtype.kind in "iu" and data.dtype.itemsize <= 4
        self.properties = RunProperties(
            pixel=pixel,
            n_samples=data.shape[1],
            dtype=data.dtype.newbyteorder("=") if whole else np.dtype(np.float32),
            unit=self._unit(),
            sample_ns=1.0 / rate if rate > 0 else 1.0,
            places=_places(camera.geometry),
        )

    def blocks(self, block_events: int, max_events: int | None = None) -> Iterator[Block]:
        """Blocks of events in their order; one without whole waveforms is incomplete.

        Parameters
        ----------
        block_events : int
            Events of a block.
        max_events : int, optional
            No more than this many events.
        """
        n_left = max_events or sys.maxsize
        while block := self._next_block(min(block_events, n_left)):
            n_left -= len(block)
            waveforms, ids, flags, truths, types = zip(*block, strict=True)
            yield Block(
                np.stack(waveforms),
                np.array(ids, np.int64),
                np.array(flags, np.uint8),
                np.stack(truths).astype(np.int32) if self.has_truth else None,
                np.array(types, np.uint8),
            )

    def _unit(self) -> str:
        if self.level == "r0":
            return "adu"
        return "pe" if self.level == "dl1" or self._source.is_simulation else "mV"

    def _next_block(self, block_events: int) -> list[tuple]:
        rows = []
        while len(rows) < block_events:
            event = self._first if self._first is not None else self._next_event()
            self._first = None
            if event is None:
                break
            rows.append(self._row(event))
        return rows

    def _row(self, event) -> tuple:
        """Waveforms, event id, flags, true photoelectrons and type of an event."""
        properties = self.properties
        data, flags = self._waveform(event), 0
        shape = len(properties.pixel), properties.n_samples
        if data is None or data.shape != shape:
            data, flags = np.zeros(shape, properties.dtype), FLAGS["incomplete"]
        elif not self._is_of_gain(event):
            flags = FLAGS["gain"]
        self._failing.append(np.packbits(failing_pixels(event, self.telescope, shape[0])))
        truth = self._true_image(event) if self.has_truth else None
        if self.has_truth and (truth is None or len(truth) != shape[0]):
            truth = np.full(shape[0], UNKNOWN)
        waveforms = data.astype(properties.dtype, copy=False)
        return waveforms, event.index.event_id, flags, truth, _type_of(event)

    def failing(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (n_pixels,) that do not work, and events (n,) read so far that others spoil."""
        return failing_of_run(self._failing, len(self.properties.pixel))

    def _pixels(self, pix_id, n_rows: int) -> np.ndarray:
        """Numbers (n_rows,) of the pixels; those of the camera, as waveforms bring none."""
        pixel = np.asarray(pix_id, np.int32)
        values, counts = np.unique(pixel, return_counts=True)
        if len(values) < len(pixel):
            raise InputError(
                f"{self._where}: pixel {values[counts > 1][0]} occurs twice in the camera's"
                " pixel ids, so that no row can be told from another; correct the description"
            )
        if len(pixel) != n_rows:
            raise InputError(
                f"{self._where}: has waveforms of {n_rows} pixels, but the camera has {len(pixel)};"
                " it does not say which are missing; fill their rows, or write the open layout with"
                " the numbers of its pixels"
            )
        return pixel

    def _next_event(self):
        """The next event; None at the end. What a damaged file raises is the user's to mend."""
        try:
            return next(self._events, None)
        except Exception as error:
            raise InputError(
                f"{self._where}: cannot be read further ({_reason(error)}); obtain a fresh copy"
            ) from None

    def _telescope(self, wanted: int | None) -> int:
        there = [int(tel_id) for tel_id in self._source.subarray.tel]
        if wanted is None and len(there) == 1:
            return there[0]
        if wanted not in there:
            chosen = "several" if wanted is None else f"no telescope {wanted}"
            raise InputError(
                f"{self._where}: has {chosen} (there is {', '.join(map(str, there))}); name one in"
                " sstcam.source.telescope"
            )
        return wanted

    def _first_event(self):
        """The first event with waveforms; those before it are not of this telescope."""
        while (event := self._next_event()) is not None:
            for level in self._levels:
                camera = getattr(event, level).tel.get(self.telescope)
                values = getattr(camera, self._what, None)
                if values is not None:
                    self.level, self._n_channels = level, _channels(values)
                    return event
        raise InputError(
            f"{self._where}: holds no event with {self._what}s; give a run with flashes"
        )

    def _gain_channel(self, wanted: int | None) -> int:
        """The channel that is read, from the first event; a run of one gain may not name it."""
        if self._n_channels > 1 and wanted is None:
            raise InputError(self._several_gains(self._n_channels))
        selected = _selected_gain(self._camera(self._first))
        if self._n_channels > 1 or selected is None:
            if wanted is not None and wanted >= self._n_channels:
                raise InputError(
                    f"{self._where}: has no gain channel {wanted}; it has {self._n_channels}, from"
                    " 0"
                )
            return wanted or 0
        there = np.unique(selected)
        if wanted is None and len(there) > 1:
            raise InputError(
                f"{self._where}: has different gain channels in different pixels; name one"
                " in sstcam.source.gain_channel (0 is the high gain): events with it in every pixel"
                " are used"
            )
        return int(there[0]) if wanted is None else wanted

    def _several_gains(self, number: int) -> str:
        return (
            f"{self._where}: has {number} gain channels; name one in"
            " sstcam.source.gain_channel (0 is the high gain)"
        )

    def _camera(self, event):
        """What an event has of the telescope, or None."""
        return getattr(event, self.level).tel.get(self.telescope)

    def _waveform(self, event) -> np.ndarray | None:
        """Samples (n_pixels, n_samples) of the telescope; None where there are none."""
        camera = self._camera(event)
        values = getattr(camera, self._what, None)
        if values is None:
            return None
        data = np.asarray(values)
        if self._what == "image" and data.ndim == 1:
            return data[:, None]
        if data.ndim == 2:
            return data
        if len(data) == 1:
            return data[0]
        if self._n_channels == 1 and self._named is None:
            raise InputError(self._several_gains(len(data)))
        return data[self._channel] if self._channel < len(data) else None

    def _is_of_gain(self, event) -> bool:
        """Whether every pixel of an event has the gain channel that is read.

        Where one gain was selected and not said which, it is known only in a run that has no other.
        """
        camera = self._camera(event)
        if _channels(getattr(camera, self._what)) > 1:
            return True
        selected = _selected_gain(camera)
        if selected is None:
            return self._n_channels == 1 and not self._names_gains
        return bool((selected == self._channel).all())

    def _true_image(self, event) -> np.ndarray | None:
        """Photoelectrons (n_pixels,) of a simulated event; ctapipe has -1 where it has none."""
        simulation = getattr(event, "simulation", None)
        camera = None if simulation is None else simulation.tel.get(self.telescope)
        image = None if camera is None else camera.true_image
        return None if image is None or np.min(image) < 0 else np.asarray(image)


def adc_range_of(given: Sequence[float] | None) -> tuple[float, float] | None:
    """`sstcam.source.adc_range` as the properties of a run have it.

    Raises
    ------
    InputError
        Where the lowest value is not below the highest.
    """
    if given is None:
        return None
    low, high = given
    if not low < high:
        raise InputError(
            f"sstcam.source.adc_range: {low:g} is not below {high:g}; give the lowest value of a"
            " sample, then the highest"
        )
    return float(low), float(high)


def _selected_gain(camera) -> np.ndarray | None:
    """Gain channel (n_pixels,) of each pixel where one was selected; None where it is not said."""
    selected = getattr(camera, "selected_gain_channel", None)
    return None if selected is None else np.asarray(selected, int)


def _places(geometry) -> np.ndarray | None:
    """x and y (2, n_pixels) of the pixels (m); None where the description has none."""
    places = np.array(
        [np.asarray(axis.to_value("m"), float) for axis in (geometry.pix_x, geometry.pix_y)]
    )
    return places if np.isfinite(places).any() else None


def _type_of(event) -> int:
    """Number of the type of an event, by its name: ctapipe's numbers changed with its versions."""
    kind = getattr(getattr(event, "trigger", None), "event_type", None)
    return type_number(getattr(kind, "name", "UNKNOWN"))


def _channels(waveform) -> int:
    """Gain channels of waveforms (channel, pixel, sample) or (pixel, sample), or of an image."""
    return 1 if np.ndim(waveform) <= 2 else len(waveform)


@contextmanager
def open_source(
    path: str | Path,
    telescope: int | None = None,
    gain_channel: int | None = None,
    images: bool = False,
) -> Iterator[SourceRun]:
    """Open a run through `ctapipe.io.EventSource`.

    Parameters
    ----------
    path : path
    telescope : int, optional
        Needed where the run is of several.
    gain_channel : int, optional
        Needed where waveforms have several.
    images : bool
        Charges of DL1 are read, as waveforms of one sample.

    Raises
    ------
    InputError
        One line, where the file is missing, ctapipe or the plug-in that reads it is, the file is
        damaged, or it holds no waveforms.
    """
    if not Path(path).is_file():
        raise InputError(f"run {path}: no such file; check the folder and its table.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="(?is).*(truncated|EOF)")
        source = _open(path)
        try:
            yield SourceRun(Path(path), source, telescope, gain_channel, images)
        finally:
            source.close()


def _open(path: str | Path):
    """The event source of a file."""
    try:
        from ctapipe.io import EventSource
        from traitlets.config import Config
    except ImportError:
        raise InputError(
            f"run {path}: is not in the open layout (.h5), and ctapipe is missing; {INSTALL}, or"
            " run Snakemake with --software-deployment-method conda"
        ) from None
    # Runs of flashes are calibration events; a lab has no optics to have an effective focal length.
    optics = {"focal_length_choice": "EQUIVALENT"}
    simtel = {"skip_calibration_events": False} | optics
    options = {"SimTelEventSource": simtel, "HDF5EventSource": optics}
    try:
        return EventSource(input_url=str(path), config=Config(options))
    except Exception as error:
        reason = _reason(error)
        if "compatible EventSource" in reason:
            raise InputError(
                f"run {path}: no reader of ctapipe opens this file; install eventio (simtel)"
                " or the plug-in for it (ctapipe_io_...), or write the open layout"
                " (docs/sstcam-runs.md)"
            ) from None
        raise InputError(
            f"run {path}: ctapipe cannot read it ({reason}); obtain a fresh copy"
        ) from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
