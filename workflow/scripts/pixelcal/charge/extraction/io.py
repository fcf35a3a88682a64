"""Files of peaks and charges: peaks.fits and charges/{set}/{run}.fits, written and read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.charge.extraction.charges import UNKNOWN, Charges, window_of
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.runs.dates import utc_of_mjd
from pixelcal.charge.runs.run_table import is_dark
from pixelcal.errors import InputError
from pixelcal.io.checksums import check_sums
from pixelcal.io.merge import placed_rows
from pixelcal.io.tables import append_cards, read_columns, table_hdu

SATURATED_FRACTION = 0.001
"""Fraction of clipped flashes from which on a pixel is saturated in a run. Cut off there, charges
that are normal lose 0.1 % of their standard deviation."""

LIGHT_CARDS = {
    "n_ph": ("NPH", "photons per pixel and flash, as set"),
    "n_ph_meas": ("NPHMEAS", "photons per pixel and flash, as measured"),
    "nsb": ("NSB", "[p.e./ns] night-sky background, as set"),
    "nsb_meas": ("NSBMEAS", "[p.e./ns] night-sky background, as measured"),
    "date": ("MJD-OBS", "[d] date of the run (UTC), by table.csv"),
}

PEAK_DTYPE = np.dtype([("PIXEL", "i2"), ("PEAK", "i2"), ("DEAD", "?"), ("OFF", "?")])
CHARGE_DTYPE = np.dtype([*PEAK_DTYPE.descr, ("CLIPPED", "i4")])


@dataclass(frozen=True)
class ChargeFile:
    """Charges of a run as its file has them.

    Attributes
    ----------
    charges : (n_pixels, n_events) int32 or float32
        Whole numbers of steps, or where `step` is 0 the charges themselves.
    step : float
        Charge of one step, in units of a sample ("adu"); 0 where the samples were no integers.
    pixel : (n_pixels,) int32
    dead, off : (n_pixels,) bool
        As in `charges.Peaks`: no light seen, and ignored on purpose.
    peak : (n_pixels,) int32
        Sample of the peak that the window stood at.
    clipped : (n_pixels,) int32
        Events in which a sample is at the end of the ADC; `UNKNOWN` where that is not known.
    event_id : (n_events,) int64
    true_pe : (n_pixels, n_events) int32, or None
        Photoelectrons that the light itself set free, in a simulated run.
    header : astropy Header
        Of the charges, with the options of the extraction.
    """

    charges: np.ndarray
    step: float
    pixel: np.ndarray
    dead: np.ndarray
    off: np.ndarray
    peak: np.ndarray
    clipped: np.ndarray
    event_id: np.ndarray
    true_pe: np.ndarray | None
    header: fits.Header

    @property
    def saturated(self) -> np.ndarray:
        """Pixels (n_pixels,) of which more than `SATURATED_FRACTION` of the events are clipped."""
        return self.clipped > SATURATED_FRACTION * len(self.event_id)


def peak_hdus(peaks: Peaks, cards: Iterable[tuple] = ()) -> list:
    """HDUs of peaks.fits: image MEAN_WAVEFORM (pixel, sample), table PEAKS.

    The table has X and Y where the run brings the places of its pixels.
    """
    image = fits.ImageHDU(peaks.mean_waveform.astype(np.float32), name="MEAN_WAVEFORM")
    rows, units = _pixel_rows(peaks), {"PEAK": "sample"}
    if peaks.places is not None:
        rows, units = placed_rows(rows, *peaks.places), units | {"X": "m", "Y": "m"}
    return [image, table_hdu(rows, "PEAKS", units, cards)]


def read_peaks(path: str | Path) -> tuple[Peaks, fits.Header]:
    """Peaks and the header of their table.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    table = read_columns(path, "PEAKS")
    pixel, places = pixel_places(table)
    mean = _images(path)["MEAN_WAVEFORM"][0]
    peak = np.asarray(table["PEAK"]).astype(np.int32)
    dead, off = (np.asarray(table[name]) for name in ("DEAD", "OFF"))
    return Peaks(pixel, peak, dead, off, mean, places), table.meta


def is_dark_run(path: str | Path) -> bool:
    """Whether a file of charges is of a run without light, by its header.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    try:
        header = fits.getheader(path, "CHARGES")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make it again") from None
    return is_dark({"n_ph": header.get("NPH", math.nan)})


def pixel_places(table: Table) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels (n,) of a table, and their x and y (2, n) (m) where it has them."""
    pixel = np.asarray(table["PIXEL"]).astype(np.int32)
    if "X" not in table.colnames:
        return pixel, None
    return pixel, np.array([np.asarray(table[name], float) for name in ("X", "Y")])


def charge_hdus(
    charges: Charges,
    peaks: Peaks,
    step: float,
    cards: Iterable[tuple] = (),
    places_too: bool = False,
) -> list:
    """HDUs of a file of charges.

    Images CHARGES (pixel, event), and TRUE_PE of the same shape where it is known; tables PIXELS
    and EVENTS. `peaks` has the pixels in the order of the charges; with `places_too` PIXELS has
    their X and Y, which the file of the peaks has otherwise.
    """
    image = fits.ImageHDU(charges.charges, name="CHARGES")
    step_card = ("STEP", step, "charge per unit of CHARGES; 0: not scaled")
    events = event_cards(charges.n_read, charges.bad)
    append_cards(image.header, [step_card, *events, *cards])
    ids = np.zeros(len(charges.event_id), [("EVENT_ID", "i8")])
    ids["EVENT_ID"] = charges.event_id
    hdus = [image]
    if charges.true_pe is not None:
        small = charges.true_pe.size == 0 or charges.true_pe.max() <= np.iinfo(np.int16).max
        truth = charges.true_pe.astype(np.int16 if small else np.int32)
        hdus.append(fits.ImageHDU(truth, name="TRUE_PE"))
    rows = np.zeros(len(peaks.pixel), CHARGE_DTYPE)
    for name in PEAK_DTYPE.names:
        rows[name] = _pixel_rows(peaks)[name]
    rows["CLIPPED"] = UNKNOWN if charges.clipped is None else charges.clipped
    units = {"PEAK": "sample"}
    if places_too and peaks.places is not None:
        rows, units = placed_rows(rows, *peaks.places), units | {"X": "m", "Y": "m"}
    pixels = table_hdu(rows, "PIXELS", units)
    return [*hdus, pixels, table_hdu(ids, "EVENTS")]


def read_charges(path: str | Path) -> ChargeFile:
    """The charges of a run.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    # The tables are last: to find them, all that is before has been read and its sums compared.
    events, pixels = read_columns(path, "EVENTS"), read_columns(path, "PIXELS")
    images = _images(path)
    charges, header = images["CHARGES"]
    if charges.shape != (len(pixels), len(events)):
        raise InputError(f"{path}: CHARGES does not match its PIXELS and EVENTS; make it again")
    return ChargeFile(
        charges=charges,
        step=float(header["STEP"]),
        pixel=np.asarray(pixels["PIXEL"]).astype(np.int32),
        dead=np.asarray(pixels["DEAD"]),
        off=np.asarray(pixels["OFF"]),
        peak=np.asarray(pixels["PEAK"]).astype(np.int32),
        clipped=np.asarray(pixels["CLIPPED"]).astype(np.int32),
        event_id=np.asarray(events["EVENT_ID"]),
        true_pe=images["TRUE_PE"][0].astype(np.int32) if "TRUE_PE" in images else None,
        header=header,
    )


def _images(path: str | Path) -> dict[str, tuple[np.ndarray, fits.Header]]:
    """The images of a file that is whole, in the byte order of the machine, and their headers."""
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus:
            check_sums(path, hdu, "")
        return {
            hdu.name: (hdu.data.astype(hdu.data.dtype.newbyteorder("=")), hdu.header.copy())
            for hdu in hdus
            if isinstance(hdu, fits.ImageHDU)
        }


def _pixel_rows(peaks: Peaks) -> np.ndarray:
    rows = np.zeros(len(peaks.pixel), PEAK_DTYPE)
    rows["PIXEL"], rows["PEAK"] = peaks.pixel, peaks.peak
    rows["DEAD"], rows["OFF"] = peaks.dead, peaks.off
    return rows


# --- header cards ---------------------------------------------------------------------------------


def option_cards(settings: Mapping) -> list[tuple]:
    """Header cards of every option of `sstcam.charges`."""
    return [
        ("WINDOW", settings["window"], "samples summed"),
        ("WINSHIFT", settings["window_shift"], "samples from the window's start to the peak"),
        ("TIMESKEW", settings["time_skew"], "each pixel has its own peak"),
        ("BASELINE", settings["baseline"], "none, or event: mean of the first samples"),
        ("NBASE", window_of(settings).baseline_samples, "first samples, averaged for the baseline"),
        ("SOLO", settings["solo_pixels"], "one pixel per ASIC is switched on"),
        ("MAXEV", settings["max_events"] or 0, "events read at most; 0: all"),
    ]


def light_cards(light: Mapping[str, float]) -> list[tuple]:
    """Header cards of a row of `table.csv`: of the light, then LABNAMn and LABVALn of the rest."""
    known = [name for name in light if name in LIGHT_CARDS]
    cards = [(LIGHT_CARDS[name][0], light[name], LIGHT_CARDS[name][1]) for name in known]
    others = [(name, value) for name, value in light.items() if name not in LIGHT_CARDS]
    for number, (name, value) in enumerate(others, 1):
        cards += [
            (f"LABNAM{number}", name, "column of table.csv"),
            (f"LABVAL{number}", value, "its value for this run"),
        ]
    return cards


def lab_values(header: Mapping) -> dict[str, float]:
    """The further columns of `table.csv` in a header of charges, by name."""
    values, number = {}, 1
    while f"LABNAM{number}" in header:
        values[str(header[f"LABNAM{number}"])] = header[f"LABVAL{number}"]
        number += 1
    return values


def set_cards(headers: Sequence[Mapping]) -> list[tuple]:
    """Header cards of a set of runs: DATE-OBS and DATE-END, and means of the further columns.

    `headers` are those of the charges of its runs. A run without a date does not count for the
    dates, one without a column not for its mean.
    """
    dates = [header["MJD-OBS"] for header in headers if "MJD-OBS" in header]
    cards = []
    if dates:
        cards = [
            ("DATE-OBS", utc_of_mjd(min(dates)), "UTC of the first run, by table.csv"),
            ("DATE-END", utc_of_mjd(max(dates)), "UTC of the last run"),
        ]
    found: dict[str, list[float]] = {}
    for header in headers:
        for name, value in lab_values(header).items():
            found.setdefault(name, []).append(float(value))
    for number, (name, values) in enumerate(found.items(), 1):
        cards += [
            (f"LABNAM{number}", name, "column of table.csv"),
            (f"LABVAL{number}", sum(values) / len(values), "its mean over the runs"),
        ]
    return cards


def cards_of_set(header: fits.Header) -> list[tuple]:
    """The cards of `set_cards` in the header of another product."""
    wanted = ("DATE-OBS", "DATE-END", "LABNAM", "LABVAL")
    return [
        (card.keyword, card.value, card.comment)
        for card in header.cards
        if card.keyword.startswith(wanted)
    ]


def event_cards(n_read: int, bad: Mapping[str, int]) -> list[tuple]:
    """Header cards of the events of a run: read, used, and left out by reason (`count_reasons`)."""
    n = Counter(bad)
    return [
        ("NREAD", n_read, "events read"),
        ("NUSED", n_read - sum(bad.values()), "events used"),
        ("NSTALE", n["stale"], "events left out, stale"),
        ("NINCOMPL", n["incomplete"] + n["empty"], "left out, incomplete or empty"),
        ("NEMPTY", n["empty"], "those with the same number in every sample"),
        ("NTYPE", n["type"], "events left out, of another type"),
        ("NGAIN", n["gain"], "events left out, another gain in some pixel"),
        ("NOTHER", n["other"], "events left out for another reason"),
    ]


def adc_cards(adc_range: tuple[float, float] | None) -> list[tuple]:
    """Header cards of the range of the ADC, where it is known."""
    if adc_range is None:
        return []
    return [
        ("ADCMIN", adc_range[0], "lowest value of a sample"),
        ("ADCMAX", adc_range[1], "highest; a sample at either is clipped"),
    ]


def source_cards(attributes: Mapping[str, str]) -> list[tuple]:
    """Header cards of the file that a run was converted from, by the attributes of its file."""
    cards = []
    if "source" in attributes:
        cards.append(("SRCFILE", attributes["source"], "file the run was converted from"))
    if "source_sha256" in attributes:
        cards.append(("SRCSHA", attributes["source_sha256"], ""))
    return cards
