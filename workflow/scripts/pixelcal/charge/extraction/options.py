"""The options of the charges, and the header cards that say them in every product."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.charge.extraction.charges import Charges, Window
from pixelcal.charge.runs.waveforms import count_reasons

LIGHT_CARDS = {
    "n_ph": ("NPH", "photons a pixel and flash, as set"),
    "n_ph_meas": ("NPHMEAS", "photons a pixel and flash, as measured"),
    "nsb": ("NSB", "[p.e./ns] night-sky background, as set"),
    "nsb_meas": ("NSBMEAS", "[p.e./ns] night-sky background, as measured"),
}


def window_of(settings: Mapping) -> Window:
    """The window of `sstcam.charges`."""
    baseline = settings["baseline_samples"] if settings["baseline"] == "event" else 0
    return Window(settings["window"], settings["window_shift"], baseline)


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


def event_cards(n_read: int, n_used: int, bad: Mapping[str, int]) -> list[tuple]:
    """Header cards of the events of a run."""
    return [
        ("NREAD", n_read, "events read"),
        ("NUSED", n_used, "events used"),
        ("NSTALE", bad["stale"], "events left out, stale"),
        ("NINCOMPL", bad["incomplete"], "events left out, incomplete"),
        ("NOTHER", bad["other"], "events left out for another reason"),
    ]


def bad_cards(flags: np.ndarray) -> list[tuple]:
    """Header cards with how many events were read, used, and left out by reason; flags (n,)."""
    return event_cards(len(flags), int(np.count_nonzero(flags == 0)), count_reasons(flags))


def charge_cards(charges: Charges) -> list[tuple]:
    """Header cards of the events that charges were taken from."""
    return event_cards(charges.n_read, len(charges.event_id), charges.bad)


def adc_cards(adc_range: tuple[float, float] | None) -> list[tuple]:
    """Header cards of the range of the ADC, where it is known."""
    if adc_range is None:
        return []
    return [
        ("ADCMIN", adc_range[0], "lowest value of a sample"),
        ("ADCMAX", adc_range[1], "highest; a sample at either is clipped"),
    ]
