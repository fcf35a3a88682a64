"""HDF5 files of a lab: datasets that are of the file itself, and what is said where they are not.

What an open layout says of other files (external links, external storage, virtual data) is refused,
not followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from pixelcal.charge.runs.pixel_columns import check_numbers, check_places, unique_numbers
from pixelcal.errors import InputError

FRESH_COPY = "obtain a fresh copy"

FORMS = {"waveforms": "waveforms", "charges": "charges", "histograms": "counts"}
"""What `sstcam.spe.form` may say, and the dataset that a file of that form has."""


class Hdf5File:
    """An HDF5 file that is open, and how its mistakes are said.

    Attributes
    ----------
    path : Path
    """

    main = "waveforms"
    """The dataset that says how many events and pixels there are."""
    part = "sample"
    """What its values are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._where = f"run {path}"

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self._where}: is damaged ({_first_line(error)}); {FRESH_COPY}")

    def _read(self, data, rows: slice, dtype=None, n_absent: int = 0) -> np.ndarray:
        """Rows of a dataset in the byte order of the machine; zeros where there is none."""
        if data is None:
            return np.zeros(n_absent, dtype)
        try:
            values = data[rows]
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{self._where}: {data.name.lstrip('/')} cannot be read from event {rows.start} on"
                f" ({_first_line(error)}); {FRESH_COPY}"
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
            raise self._damaged(error) from None
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
            raise InputError(
                f"{self._where}: {name} is no dataset of the file itself; links, external and"
                " virtual data are not followed"
            )
        if shape is not None and data.shape != shape:
            raise InputError(
                f"{self._where}: {name} has the shape {data.shape}; the {self.main} need {shape}"
            )
        if kinds and data.dtype.kind not in kinds:
            wanted = "floating-point numbers" if kinds == "f" else "integers"
            raise InputError(f"{self._where}: {name} has the type {data.dtype}; write {wanted}")
        return data

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
        check_places(places, self._where, "pixel_x and pixel_y")
        return places

    def _pixels(self, file, n_pixels: int) -> np.ndarray:
        data = self._dataset(file, "pixels", (n_pixels,), "iu")
        if data is None:
            raise InputError(
                f"{self._where}: has no dataset pixels with the numbers of its {n_pixels} pixels"
            )
        pixel = self._read(data, slice(None), np.int64)
        check_numbers(pixel, self._where, "pixels")
        return unique_numbers(pixel, self._where, "pixels")

    def _failing(self, file, n_pixels: int) -> np.ndarray | None:
        """Pixels (n_pixels,) bool that do not work, where the file says it."""
        data = self._dataset(file, "pixel_failing", (n_pixels,), "iu")
        return None if data is None else self._read(data, slice(None)) != 0

    def _ids(self, data, rows: slice) -> np.ndarray:
        """Numbers (n,) of events of a dataset; their places without one."""
        if data is None:
            return np.arange(rows.start, rows.stop, dtype=np.int64)
        return self._read(data, rows, np.int64)

    def _types(self, file, n_events: int, wanted: Sequence[str] | None):
        """The dataset of the types of events; None where there is none and none are `wanted`."""
        data = self._dataset(file, "event_types", (n_events,), "iu")
        if wanted is not None and data is None:
            raise InputError(
                f"{self._where}: has no dataset event_types, but sstcam.source.event_types names"
                f" {', '.join(wanted)}; leave it null, or write the types"
            )
        return data

    def _types_of_dark_run(self, data, dark: bool) -> np.ndarray | None:
        """The types (n_events,) of a dark run that says them, for `waveforms.wanted_types`."""
        return self._read(data, slice(None), np.int64) if dark and data is not None else None

    def _texts(self, file) -> dict[str, str]:
        """The attributes of the file that are plain ASCII text."""
        try:
            found = dict(file.attrs)
        except (OSError, RuntimeError, TypeError) as error:
            raise self._damaged(error) from None
        return {
            name: value
            for name, value in found.items()
            if isinstance(value, str) and value.isascii() and value.isprintable()
        }

    def _attribute(self, data, name: str, default=None):
        """An attribute; one of a single element, as MATLAB and IDL write them, is that element."""
        try:
            value = data.attrs.get(name, default)
        except (OSError, RuntimeError) as error:
            raise self._damaged(error) from None
        value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def _adc_range(self, data) -> tuple[float, float] | None:
        """Lowest and highest value of the ADC; None where the file does not say the highest."""
        lowest = self._attribute(data, "adc_min", 0)
        highest = self._attribute(data, "adc_max")
        if highest is None:
            return None
        try:
            low, high = float(lowest), float(highest)
        except (TypeError, ValueError):
            low = high = np.nan
        if not 0.0 < high - low < np.inf:
            raise InputError(
                f"{self._where}: {self.main} has adc_min {lowest} and adc_max {highest}; write the"
                f" lowest and highest value of a {self.part}"
            )
        return low, high


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open an HDF5 file of a run.

    Raises
    ------
    InputError
        One line, where the file is missing, not HDF5, or cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"run {path}: no such file; check the folder and its table.csv")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = _first_line(error)
        if "truncated" in reason:
            raise InputError(f"run {path}: is cut short; {FRESH_COPY}") from None
        raise InputError(
            f"run {path}: is not an HDF5 file that can be read ({reason}); {FRESH_COPY}"
        ) from None
    with file:
        yield file


def other_form(file: h5py.File) -> str:
    """What to do where a file is of another form than the configuration says; empty otherwise."""
    for form, name in FORMS.items():
        if name in file:
            return f"; set the key form beside the folder to {form}"
    return ""


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
