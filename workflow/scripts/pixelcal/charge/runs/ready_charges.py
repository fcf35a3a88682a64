"""Ready charges: of each pixel in each event, measured by other software; a run is one file.

HDF5 with a dataset `charges`, or FITS with an image CHARGES and a table PIXELS, as our own files of
charges have them. docs/sstcam-runs.md has both forms; the first bytes of a file say which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from pixelcal.charge.runs.hdf5_file import FRESH_COPY, Hdf5File, open_hdf5, other_form
from pixelcal.charge.runs.pixel_columns import (
    HIGHEST_PIXEL,
    check_numbers,
    check_places,
    unique_numbers,
)
from pixelcal.charge.runs.ready_histograms import UNSAID, unit_of
from pixelcal.charge.runs.waveforms import event_flags, wanted_types
from pixelcal.errors import InputError
from pixelcal.io.checksums import check_sums
from pixelcal.io.fits_files import is_fits, open_fits

AXES = ("event, pixel", "pixel, event")
"""What the attribute `axes` of `charges` may say; the first without it."""


@dataclass(frozen=True)
class ReadyCharges:
    """Charges of one run as a file has them.

    Attributes
    ----------
    pixel : (n_pixels,) int32
    charges : (n_pixels, n_events) int or float
        NaN where one is missing.
    step : float or None
        What the charges are whole multiples of, in their unit; None where the file does not say it.
    counts_steps : bool
        Whether `charges` are in steps already.
    unit : str
    event_id : (n_events,) int64
    flags : (n_events,) uint8
        Bits of `waveforms.FLAGS`.
    true_pe : (n_pixels, n_events) int32, or None
    places : (2, n_pixels) float64 or None
        x and y (m) of the pixels.
    adc_range : (float, float) or None
        Lowest and highest charge that the electronics give.
    clipped : (n_pixels,) int or None
        Events at the end of the ADC, where the file counts them.
    dead, off : (n_pixels,) bool or None
        As in `extraction.peaks.Peaks`, where the file says it.
    attributes : dict
        Texts among the attributes of the file, as `source`, what it was converted from.
    """

    pixel: np.ndarray
    charges: np.ndarray
    step: float | None
    counts_steps: bool
    unit: str
    event_id: np.ndarray
    flags: np.ndarray
    true_pe: np.ndarray | None = None
    places: np.ndarray | None = None
    adc_range: tuple[float, float] | None = None
    clipped: np.ndarray | None = None
    dead: np.ndarray | None = None
    off: np.ndarray | None = None
    attributes: dict[str, str] = field(default_factory=dict)


def read_ready_charges(
    path: str | Path,
    event_types: Sequence[str] | None = None,
    max_events: int | None = None,
    dark: bool = False,
) -> ReadyCharges:
    """The charges of a run.

    Parameters
    ----------
    path : path
    event_types : names of `waveforms.EVENT_TYPES`, optional
    dark : bool
        As for `hdf5.open_run`.
    max_events : int, optional
        No more than this many events, bad ones among them.

    Raises
    ------
    InputError
        One line, where the file cannot be read or is of another form.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"run {path}: no such file; check the folder and its table.csv")
    try:
        of_fits = is_fits(path)
    except (OSError, EOFError) as error:
        raise InputError(f"run {path}: cannot be read ({error}); {FRESH_COPY}") from None
    if of_fits:
        return _read_fits(path, max_events)
    with open_hdf5(path) as file:
        return _ChargeDatasets(path).read(file, event_types, max_events, dark)


class _ChargeDatasets(Hdf5File):
    """An HDF5 file with `charges` (event, pixel)."""

    main, part = "charges", "charge"

    def read(self, file: h5py.File, event_types, max_events, dark=False) -> ReadyCharges:
        data = self._dataset(file, "charges")
        if data is None:
            raise InputError(
                f"{self._where}: has no dataset charges (event, pixel); it has"
                f" {', '.join(file) or 'nothing'}{other_form(file)}"
            )
        if data.dtype.kind not in "iuf":
            raise InputError(f"{self._where}: charges has the type {data.dtype}; write numbers")
        if data.ndim != 2 or 0 in data.shape:
            raise InputError(
                f"{self._where}: charges has the shape {data.shape}; write (event, pixel)"
            )
        by_pixel = self._by_pixel(file, data)
        n_pixels, n_events = data.shape if by_pixel else data.shape[::-1]
        rows = slice(0, min(n_events, max_events or n_events))
        pick = (lambda values: values) if by_pixel else (lambda values: values.T)
        chosen = (slice(None), rows) if by_pixel else rows
        truth = self._dataset(file, "true_pe", data.shape, "iu")
        return ReadyCharges(
            pixel=self._pixels(file, n_pixels),
            charges=self._of_working(file, pick(self._values(data, chosen))),
            step=self._step(data),
            counts_steps=False,
            unit=unit_of(self._attribute(data, "unit"), self._where, "charges"),
            event_id=self._ids(self._dataset(file, "event_ids", (n_events,), "iu"), rows),
            flags=self._flags(file, n_events, rows, event_types, dark),
            true_pe=None if truth is None else pick(self._values(truth, chosen)).astype(np.int32),
            places=self._places(file, n_pixels),
            adc_range=self._adc_range(data),
            attributes=self._texts(file),
        )

    def _values(self, data, chosen) -> np.ndarray:
        if isinstance(chosen, slice):
            return self._read(data, chosen)
        return self._read(data, slice(None))[chosen]

    def _of_working(self, file, charges: np.ndarray) -> np.ndarray:
        """The charges (n_pixels, n), NaN of pixels that do not work, as the file says."""
        failing = self._failing(file, len(charges))
        if failing is None or not failing.any():
            return charges
        charges = charges.astype(float)
        charges[failing] = np.nan
        return charges

    def _by_pixel(self, file: h5py.File, data) -> bool:
        """Whether the rows of `charges` are pixels, as its attribute `axes` says."""
        axes = self._attribute(data, "axes", AXES[0])
        axes = axes.decode("utf-8", "replace") if isinstance(axes, bytes) else str(axes)
        named = ", ".join(word.strip() for word in axes.split(","))
        if named not in AXES:
            raise InputError(
                f"{self._where}: the attribute axes of charges is {axes!r}; write"
                f" {' or '.join(map(repr, AXES))}"
            )
        pixels = self._dataset(file, "pixels")
        by_pixel = named == AXES[1]
        n_pixels, n_events = data.shape if by_pixel else data.shape[::-1]
        if pixels is not None and pixels.shape == (n_events,) != (n_pixels,):
            raise InputError(
                f"{self._where}: charges has the shape {data.shape}, ({named}), and {n_events}"
                f" numbers of pixels; write {AXES[not by_pixel]!r} as its attribute axes"
            )
        return by_pixel

    def _step(self, data) -> float | None:
        given = self._attribute(data, "step")
        try:
            step = None if given is None else float(given)
        except (TypeError, ValueError):
            step = np.nan
        if step is not None and not 0.0 < step < np.inf:
            raise InputError(
                f"{self._where}: the attribute step of charges is {given}; write the charge that"
                " all are multiples of, or leave it out"
            )
        return step

    def _flags(self, file, n_events: int, rows: slice, event_types, dark: bool) -> np.ndarray:
        flags = self._dataset(file, "event_flags", (n_events,), "iu")
        types = self._types(file, n_events, event_types)
        return event_flags(
            self._read(flags, rows, np.int64, rows.stop),
            None if types is None else self._read(types, rows, np.int64),
            wanted_types(event_types, self._types_of_dark_run(types, dark)),
        )


# --- FITS -----------------------------------------------------------------------------------------


def _read_fits(path: Path, max_events: int | None) -> ReadyCharges:
    """Charges of a FITS file of the form of our own: CHARGES, PIXELS, and EVENTS if there are."""
    where = f"run {path}"
    with open_fits(path, "run") as hdus:
        parts = {hdu.name.upper(): hdu for hdu in hdus}
        if "CHARGES" not in parts or "PIXELS" not in parts:
            raise InputError(
                f"{where}: lacks an image CHARGES (pixel, event) or a table PIXELS; it has"
                f" {', '.join(name for name in parts if name) or 'nothing'}"
            )
        for hdu in hdus:
            check_sums(path, hdu, "run")
        header, charges = parts["CHARGES"].header, parts["CHARGES"].data
        pixels = parts["PIXELS"].data
        names = [] if pixels is None else [name.upper() for name in pixels.names]
        truth = parts["TRUE_PE"].data if "TRUE_PE" in parts else None
        if charges is None or charges.ndim != 2 or "PIXEL" not in names:
            raise InputError(f"{where}: CHARGES is no image (pixel, event), or PIXELS has no PIXEL")
        pixel = _fits_pixels(pixels["PIXEL"], where)
        for name, image in (("CHARGES", charges), ("TRUE_PE", truth)):
            if image is not None and (image.shape[0] != len(pixel) or image.shape != charges.shape):
                raise InputError(
                    f"{where}: {name} has the shape {image.shape}; write (pixel, event) of the"
                    f" {len(pixel)} rows of PIXELS"
                )
        n_events = charges.shape[1]
        events = parts["EVENTS"].data["EVENT_ID"] if "EVENTS" in parts else np.arange(n_events)
        if len(events) != n_events or not n_events:
            raise InputError(f"{where}: has {len(events)} EVENTS, but charges of {n_events}")
        kept = slice(0, min(n_events, max_events or n_events))
        step = header.get("STEP")
        return ReadyCharges(
            pixel=pixel,
            charges=_native(charges)[:, kept],
            step=float(step) if step else None,
            counts_steps=bool(step),
            unit=unit_of(header.get("UNITSAMP", header.get("BUNIT", UNSAID)), where, "CHARGES"),
            event_id=np.asarray(events)[kept].astype(np.int64),
            flags=np.zeros(kept.stop, np.uint8),
            true_pe=None if truth is None else _native(truth)[:, kept].astype(np.int32),
            places=_fits_places(pixels, names, where),
            clipped=_native(pixels["CLIPPED"]).astype(np.int64) if "CLIPPED" in names else None,
            dead=_native(pixels["DEAD"]).astype(bool) if "DEAD" in names else None,
            off=_native(pixels["OFF"]).astype(bool) if "OFF" in names else None,
        )


def _native(values) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _fits_pixels(column, where: str) -> np.ndarray:
    pixel = _native(column)
    if pixel.dtype.kind not in "iu":
        raise InputError(f"{where}: PIXEL must be numbers from 0 to {HIGHEST_PIXEL}")
    check_numbers(pixel, where, "PIXEL")
    return unique_numbers(pixel, where, "PIXELS")


def _fits_places(pixels, names: Sequence[str], where: str) -> np.ndarray | None:
    if "X" not in names or "Y" not in names:
        return None
    places = np.array([_native(pixels[axis]).astype(float) for axis in ("X", "Y")])
    check_places(places, where, "X and Y")
    return places
