"""Between the files and the numerics of the charges: pixels, checks, and what a header says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.errors import InputError
from pixelcal.sstcam.charges import Charges, Window
from pixelcal.sstcam.open_layout import OpenRun
from pixelcal.sstcam.waveforms import count_reasons

LIGHT_CARDS = {
    "n_ph": ("NPH", "photons a pixel and flash, as set"),
    "n_ph_meas": ("NPHMEAS", "photons a pixel and flash, as measured"),
    "nsb": ("NSB", "night-sky background, as set"),
    "nsb_meas": ("NSBMEAS", "night-sky background, as measured"),
}


def window_of(settings: Mapping) -> Window:
    """The window of `sstcam.charges`."""
    baseline = settings["baseline_samples"] if settings["baseline"] == "event" else 0
    return Window(settings["window"], settings["window_shift"], baseline)


def rows_of(run: OpenRun, pixel: np.ndarray) -> np.ndarray:
    """Rows (n,) of the waveforms of a run for the pixels `pixel` (n,).

    Raises
    ------
    InputError
        Where the run lacks some of them.
    """
    there = run.properties.pixel
    order = np.argsort(there)
    wanted = np.asarray(pixel)
    place = np.minimum(np.searchsorted(there, wanted, sorter=order), len(there) - 1)
    rows = order[place]
    absent = wanted[there[rows] != wanted]
    if len(absent):
        raise InputError(
            f"run {run.path}: lacks pixel {absent[0]} ({len(absent)} of the {len(wanted)} that"
            f" sstcam.pixels selects; it has {len(there)}, {there.min()} to {there.max()}); select"
            " those there are"
        )
    return rows


def check_same_kind(run: OpenRun, header: Mapping) -> None:
    """A run has waveforms of the same kind as the run that the peaks were found in.

    `header` is that of the table of the peaks.

    Raises
    ------
    InputError
        Where the number of samples, their unit or the time between them differ.
    """
    own = run.properties
    for name, value, keyword in (
        ("samples of a waveform", own.n_samples, "NSAMPLES"),
        ("unit of samples", own.unit, "UNITSAMP"),
        ("ns between samples", own.sample_ns, "SAMPLENS"),
    ):
        if value != header[keyword]:
            raise InputError(
                f"run {run.path}: {name} is {value}, but {header[keyword]} in the run"
                f" {header['RUNNAME']}, which the peaks are from; give runs of one kind"
            )


def check_any_used(n_used: int, bad: Mapping[str, int], path: object) -> None:
    """Raise InputError where no event of a run could be used."""
    if n_used == 0:
        reasons = ", ".join(f"{number} {name}" for name, number in bad.items() if number)
        raise InputError(f"run {path}: no event can be used ({reasons}); give a run with good ones")


def bad_cards(flags: np.ndarray) -> list[tuple]:
    """Header cards with how many events were read, used, and left out by reason; flags (n,)."""
    return event_cards(len(flags), int(np.count_nonzero(flags == 0)), count_reasons(flags))


def event_cards(n_read: int, n_used: int, bad: Mapping[str, int]) -> list[tuple]:
    """Header cards of the events of a run."""
    return [
        ("NREAD", n_read, "events read"),
        ("NUSED", n_used, "events used"),
        ("NSTALE", bad["stale"], "events left out, stale"),
        ("NINCOMPL", bad["incomplete"], "events left out, incomplete"),
        ("NOTHER", bad["other"], "events left out for another reason"),
    ]


def charge_cards(charges: Charges) -> list[tuple]:
    """Header cards of the events that charges were taken from."""
    return event_cards(charges.n_read, len(charges.event_id), charges.bad)


def option_cards(settings: Mapping) -> list[tuple]:
    """Header cards of every option of `sstcam.charges`."""
    return [
        ("WINDOW", settings["window"], "samples summed"),
        ("WINSHIFT", settings["window_shift"], "samples from the window's start to the peak"),
        ("TIMESKEW", settings["time_skew"], "each pixel has its own peak"),
        ("BASELINE", settings["baseline"], "what is subtracted"),
        ("NBASE", window_of(settings).baseline_samples, "first samples, whose mean it is"),
        ("SOLO", settings["solo_pixels"], "only one pixel per ASIC is on"),
        ("MAXEV", settings["max_events"] or 0, "events read at most; 0: all"),
    ]


def light_cards(light: Mapping[str, float]) -> list[tuple]:
    """Header cards of a row of `table.csv`."""
    return [(LIGHT_CARDS[name][0], value, LIGHT_CARDS[name][1]) for name, value in light.items()]


def source_cards(run: OpenRun) -> list[tuple]:
    """Header cards of the file that a run was converted from, where it was."""
    cards = []
    if "source" in run.attributes:
        cards.append(("SRCFILE", run.attributes["source"], "file the run was converted from"))
    if "source_sha256" in run.attributes:
        cards.append(("SRCSHA", run.attributes["source_sha256"], ""))
    return cards
