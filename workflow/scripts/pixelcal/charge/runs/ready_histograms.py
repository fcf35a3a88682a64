"""Ready histograms: flashes by charge that other software has counted, pixel by pixel.

A run is one file, whose content says what it is: an HDF5 file with `counts`, an array of numpy, or
a CSV table. docs/sstcam-runs.md has the three forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pixelcal.charge.runs.hdf5_file import FRESH_COPY, Hdf5File, open_hdf5, other_form
from pixelcal.charge.runs.hdf5_names import SIGNATURE
from pixelcal.charge.runs.pixel_columns import HIGHEST_PIXEL, check_numbers
from pixelcal.errors import InputError
from pixelcal.io.csv_rows import read_cells

NPY = b"\x93NUMPY"
"""First bytes of a file of numpy."""

EVEN = 0.01
"""How far an edge of a bin may be from where even bins have it, in bins: rounded numbers are."""

CHARGE_COLUMNS = ("charge", "energy", "amplitude", "adc", "channel", "bin", "centre", "center")
LOW_COLUMNS = ("low", "lower", "left", "edge")
COUNT_COLUMNS = ("count", "counts", "events", "entries", "n")
"""Names that the columns of a CSV table may have, in any case of letters: the middle of a bin, its
lower edge, its content."""

UNSAID = "unknown"
"""Unit of charges where a file cannot or does not say it."""
LONGEST_UNIT = 20


@dataclass(frozen=True)
class ReadyHistograms:
    """Histograms of one run.

    Attributes
    ----------
    pixel : (n,) int32, or None
        None: of one pixel, and the file does not say which.
    counts : (n, m) int64
    start, width : (n,) float64
        Lower edge of the first bin, and width of the bins, of each pixel.
    unit : str
        Of a charge; `UNSAID` where the file does not say it.
    places : (2, n) float64 or None
        x and y (m) of the pixels, where the file brings them.
    """

    pixel: np.ndarray | None
    counts: np.ndarray
    start: np.ndarray
    width: np.ndarray
    unit: str = UNSAID
    places: np.ndarray | None = None


def read_ready_histograms(path: str | Path) -> ReadyHistograms:
    """The histograms of a run.

    Raises
    ------
    InputError
        One line, where the file cannot be read, is of none of the forms, holds what is no count, or
        has bins of different widths.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(len(SIGNATURE))
    except OSError as error:
        raise InputError(f"run {path}: cannot be read ({error.strerror})") from None
    if head == SIGNATURE:
        with open_hdf5(path) as file:
            return _HistogramFile(path, file).histograms
    if head.startswith(NPY):
        return _read_array(path)
    return _read_csv(path)


def pixels_of(run: ReadyHistograms, wanted: np.ndarray, path: str | Path) -> np.ndarray:
    """Numbers (n,) of the pixels of a run; one that is not named is the only one wanted.

    Raises
    ------
    InputError
        Where one is not named and several are wanted.
    """
    if run.pixel is not None:
        return run.pixel
    if len(wanted) > 1:
        raise InputError(
            f"run {path}: contains one pixel without its number, but sstcam.pixels selects"
            f" {len(wanted)}; select one, or write a column pixel"
        )
    return np.asarray(wanted)


def selected(run: ReadyHistograms, rows: np.ndarray, masked: np.ndarray) -> ReadyHistograms:
    """The histograms of some rows (n,); pixels that are masked (n,) bool have no counts."""
    return ReadyHistograms(
        run.pixel,
        np.where(masked[:, None], 0, run.counts[rows]),
        run.start[rows],
        run.width[rows],
        run.unit,
        None if run.places is None else np.where(masked, np.nan, run.places[:, rows]),
    )


def same_unit(runs: Sequence[ReadyHistograms], paths: Sequence[str | Path]) -> str:
    """The unit of a charge of all runs.

    Raises
    ------
    InputError
        Where they differ.
    """
    for run, path in zip(runs, paths, strict=True):
        if run.unit != runs[0].unit:
            raise InputError(
                f"run {path}: unit of charges is {run.unit}, but {runs[0].unit} in {paths[0]}; give"
                " runs of one kind"
            )
    return runs[0].unit


def even_bins(values: np.ndarray, where: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """First value (n,) and distance (n,) of the rising, evenly spaced `values` (n, m).

    Raises
    ------
    InputError
        Where they are not.
    """
    values = np.asarray(values, float)
    if values.shape[1] < 2:
        raise InputError(f"{where}: has {values.shape[1]} bin; give two at least")
    width = (values[:, -1] - values[:, 0]) / (values.shape[1] - 1)
    even = values[:, :1] + width[:, None] * np.arange(values.shape[1])
    with np.errstate(invalid="ignore"):
        good = (width > 0) & (np.abs(values - even).max(axis=1) <= EVEN * width)
    if not good.all():
        raise InputError(
            f"{where}: the {what} do not rise evenly; give bins of one width, without gaps, in"
            " order of charge"
        )
    return values[:, 0], width


def whole_counts(values: np.ndarray, where: str) -> np.ndarray:
    """Counts as int64.

    Raises
    ------
    InputError
        Where they are negative, not whole, not finite, or more than 32 bits hold.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "iuf":
        raise InputError(f"{where}: counts have the type {values.dtype}; write whole numbers")
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= np.iinfo(np.int32).max) & (values % 1 == 0)
    if not good.all():
        wrong = values[~good].flat[0]
        raise InputError(
            f"{where}: holds {wrong:g} as a count; give the number of flashes in each bin, whole"
            " and not scaled"
        )
    return values.astype(np.int64)


# --- HDF5 -----------------------------------------------------------------------------------------


class _HistogramFile(Hdf5File):
    """An HDF5 file with `counts` (pixel, bin); the bins are `edges`, or attributes of `counts`."""

    main, part = "counts", "bin"

    def __init__(self, path: Path, file: h5py.File) -> None:
        super().__init__(path)
        data = self._dataset(file, "counts")
        if data is None:
            raise InputError(
                f"{self._where}: has no dataset counts (pixel, bin); it has"
                f" {', '.join(file) or 'nothing'}{other_form(file)}"
            )
        if data.ndim != 2 or 0 in data.shape:
            raise InputError(
                f"{self._where}: counts has the shape {data.shape}; write (pixel, bin), one"
                " file per run"
            )
        n_pixels, n_bins = data.shape
        counts = whole_counts(self._read(data, slice(None)), self._where)
        start, width = self._bins(file, data, n_pixels, n_bins)
        self.histograms = ReadyHistograms(
            self._pixels(file, n_pixels),
            counts,
            start,
            width,
            unit_of(self._attribute(data, "unit"), self._where, "counts"),
            self._places(file, n_pixels),
        )

    def _bins(self, file, data, n_pixels: int, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Lower edge of the first bin (n_pixels,), and width, of each pixel."""
        edges = self._dataset(file, "edges", kinds="iuf")
        start, width = (self._attribute(data, name) for name in ("start", "width"))
        if (edges is None) == (start is None and width is None):
            raise InputError(
                f"{self._where}: must define its bins exactly once; write a dataset edges, or the"
                " attributes start and width of counts"
            )
        if edges is not None:
            values = self._read(edges, slice(None), np.float64)
            if values.shape not in ((n_bins + 1,), (n_pixels, n_bins + 1)):
                raise InputError(
                    f"{self._where}: edges has the shape {values.shape}; {n_bins} bins have"
                    f" {n_bins + 1} edges, the same for all pixels or those of each"
                )
            rows = np.broadcast_to(values, (n_pixels, n_bins + 1))
            return even_bins(rows, self._where, "edges of the bins")
        bins = []
        for name, value in (("start", start), ("width", width)):
            try:
                bins.append(np.broadcast_to(np.asarray(value, float), (n_pixels,)).copy())
            except (TypeError, ValueError):
                bins.append(np.full(n_pixels, np.nan))
            if not np.isfinite(bins[-1]).all() or (name == "width" and (bins[-1] <= 0).any()):
                raise InputError(
                    f"{self._where}: the attribute {name} of counts is {value}; write a number, or"
                    " one for each pixel"
                )
        return bins[0], bins[1]


def unit_of(given, where: str, name: str) -> str:
    """Unit of a charge by the attribute `unit` of a dataset; `UNSAID` without one.

    Raises
    ------
    InputError
        Where it is no short text.
    """
    if given is None:
        return UNSAID
    text = str(given).strip()
    if not text or not text.isascii() or not text.isprintable() or len(text) > LONGEST_UNIT:
        raise InputError(
            f"{where}: {name} has the unit {text!r}; write a text such as adu, mV ns or pC, of at"
            f" most {LONGEST_UNIT} ASCII characters"
        )
    return text


# --- numpy and CSV --------------------------------------------------------------------------------


def _read_array(path: Path) -> ReadyHistograms:
    """An array (2, m) or (m, 2): middles of bins, and counts."""
    where = f"run {path}"
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            f"{where}: is not an array that can be read ({error}); {FRESH_COPY}"
        ) from None
    if values.ndim == 2 and values.shape[0] != 2 and values.shape[1] == 2:
        values = values.T
    if values.ndim != 2 or values.shape[0] != 2 or values.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: is an array of {values.dtype} of the shape {values.shape}; write numbers,"
            " (2, bins): the middle of each bin, then its count"
        )
    return _one_pixel(values[0], values[1], where, "middles of the bins")


def _one_pixel(charge, counts, where: str, what: str, low: bool = False) -> ReadyHistograms:
    """A histogram by the middles of its bins, or by their lower edges."""
    start, width = even_bins(np.asarray(charge, float)[None], where, what)
    counts = whole_counts(np.asarray(counts)[None], where)
    return ReadyHistograms(None, counts, start if low else start - 0.5 * width, width)


def _read_csv(path: Path) -> ReadyHistograms:
    """A table of two columns for one pixel, or with a column `pixel` for several."""
    where = f"run {path}"
    header, rows = read_cells(path)
    names = [name.lower() for name in header]
    places = {
        kind: [names.index(name) for name in allowed if name in names]
        for kind, allowed in (
            ("charge", CHARGE_COLUMNS),
            ("low", LOW_COLUMNS),
            ("count", COUNT_COLUMNS),
            ("pixel", ("pixel",)),
        )
    }
    charges = places["charge"] + places["low"]
    known = len(charges) + len(places["count"]) + len(places["pixel"])
    if len(charges) != 1 or len(places["count"]) != 1 or known != len(names):
        raise InputError(
            f"{where}: has the columns {', '.join(header) or 'none'}; write charge (the middle of a"
            " bin) or low (its lower edge), and count; with several pixels pixel before them"
        )
    numbers = []
    for line, cells in rows:
        try:
            numbers.append([float(cell) for cell in cells])
        except ValueError:
            raise InputError(f"{path}, line {line}: {','.join(cells)} are not numbers") from None
    table = np.array(numbers, float).reshape(len(numbers), len(names))
    charge, count = table[:, charges[0]], table[:, places["count"][0]]
    low = bool(places["low"])
    what = "lower edges of the bins" if low else "middles of the bins"
    if not places["pixel"]:
        return _one_pixel(charge, count, where, what, low)
    return _several_pixels(table[:, places["pixel"][0]], charge, count, where, what, low)


def _several_pixels(pixel, charge, count, where: str, what: str, low: bool) -> ReadyHistograms:
    """Histograms of several pixels, each a run of rows of its number."""
    if not len(pixel):
        raise InputError(f"{where}: pixel must be numbers from 0 to {HIGHEST_PIXEL}")
    check_numbers(pixel, where, "pixel")
    numbers = np.unique(pixel).astype(np.int32)
    parts = [
        _one_pixel(charge[rows], count[rows], f"{where}: pixel {number}", what, low)
        for number, rows in ((number, pixel == number) for number in numbers)
    ]
    counts = np.zeros((len(parts), max(part.counts.shape[1] for part in parts)), np.int64)
    for row, part in zip(counts, parts, strict=True):
        row[: part.counts.shape[1]] = part.counts[0]
    start, width = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "width")
    )
    return ReadyHistograms(numbers, counts, start, width)
