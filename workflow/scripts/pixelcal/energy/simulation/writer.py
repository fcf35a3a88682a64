"""Writing simulated event lists and good time intervals as FITS, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from pixelcal.energy.simulation.background import PROCESSES
from pixelcal.energy.simulation.orbit import Segment
from pixelcal.energy.simulation.sampler import EVENT_DTYPE
from pixelcal.instrument import Instrument
from pixelcal.io.tables import atomic, table_hdu, write_fits

FLIGHT_DTYPE = np.dtype(
    [("TIME", "f8"), ("JDET", "u1"), ("IDET", "u1"), ("PHA", "i2"), ("PI", "i2"), ("FLAG", "u1")]
)

TIME_CARDS = (
    ("MJDREFI", 57754, "[d] MJD of time zero, integer part"),
    ("MJDREFF", 0.00080074074074, "[d] MJD of time zero, fraction"),
    ("TIMESYS", "TT", "time scale"),
    ("TIMEUNIT", "s", "unit of times"),
)
MISSION_CARDS = (("TELESCOP", "SVOM", "mission"), ("INSTRUME", "ECL", "ECLAIRs"))


def to_flight_layout(
    events: np.ndarray, gain: np.ndarray, offset: np.ndarray, instrument: Instrument
) -> np.ndarray:
    """Events of `EVENT_DTYPE` as the flight product has them: channels instead of energies.

    `gain` and `offset` (n_pixels,) in keV/channel and keV, by DETNUM. Events beyond the channels of
    the camera are not recorded. PI, which the ground adds, is 0.
    """
    detnum = events["DETNUM"]
    channel = np.floor((events["energy"] - offset[detnum]) / gain[detnum])
    inside = (channel >= 0) & (channel < instrument.n_channels)
    rows = np.zeros(int(inside.sum()), FLIGHT_DTYPE)
    rows["TIME"] = events["TIME"][inside]
    rows["IDET"], rows["JDET"] = np.divmod(detnum[inside], instrument.n_columns)
    rows["PHA"] = channel[inside]
    return rows


def time_cards(segments: Sequence[Segment]) -> list[tuple]:
    """Header cards of the time in which the camera counted."""
    live = sum(segment.stop - segment.start for segment in segments)
    return [
        ("EXPOSURE", live, "[s] time the camera counted"),
        ("TSTART", segments[0].start, "[s] start"),
        ("TSTOP", segments[-1].stop, "[s] end"),
    ]


def write_events(
    path: str | Path,
    blocks: Iterable[np.ndarray],
    layout: str,
    cards: Iterable[tuple] = (),
    processes: Sequence[str] = PROCESSES,
) -> int:
    """Write blocks of events as one binary table; returns the number of rows.

    Parameters
    ----------
    path : path
    blocks : iterable of structured arrays
        All of the layout's dtype: `EVENT_DTYPE` (pira) or `FLIGHT_DTYPE` (ecl-evt-cal).
    layout : str
        `pira` or `ecl-evt-cal`.
    cards : iterable of (keyword, value, comment)
    processes : sequence of str
        What the process ids mean, which count from 1.
    """
    flight = layout == "ecl-evt-cal"
    dtype = FLIGHT_DTYPE if flight else EVENT_DTYPE
    hdu = table_hdu(
        np.zeros(0, dtype),
        "ECL-EVT-CAL" if flight else "EVENTS",
        {"TIME": "s"} if flight else {"TIME": "s", "energy": "keV"},
        (*MISSION_CARDS, *TIME_CARDS, *cards, *(() if flight else _process_cards(processes))),
    )
    with atomic(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(temporary)
        n_rows = 0
        with open(temporary, "r+b") as handle:
            handle.seek(0, 2)
            for block in blocks:
                handle.write(block.astype(dtype.newbyteorder(">")).tobytes())
                n_rows += len(block)
            handle.write(bytes(-handle.tell() % 2880))
        with fits.open(temporary, memmap=False, lazy_load_hdus=True) as opened:
            place = opened[1].fileinfo()["hdrLoc"]
        # The number of rows is known only now; the header keeps its length.
        hdu.header["NAXIS2"] = n_rows
        with open(temporary, "r+b") as handle:
            handle.seek(place)
            handle.write(hdu.header.tostring().encode("ascii"))
    return n_rows


def _process_cards(processes: Sequence[str]) -> list[tuple]:
    """What the process ids mean."""
    return [(f"PROC{i}", name, f"procID {i}") for i, name in enumerate(processes, 1)]


def write_good_times(path: str | Path, intervals: dict[str, np.ndarray], date: str | None) -> None:
    """Write good time intervals, an extension with START and STOP (s) for each criterion."""
    hdus = []
    for name, rows in intervals.items():
        table = np.zeros(len(rows), [("START", "f8"), ("STOP", "f8")])
        table["START"], table["STOP"] = rows.T
        units = {"START": "s", "STOP": "s"}
        hdus.append(table_hdu(table, name, units, (*MISSION_CARDS, *TIME_CARDS)))
    write_fits(path, hdus, date)
