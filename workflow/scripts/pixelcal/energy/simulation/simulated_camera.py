"""The camera that the workflow simulates: `flight`, with the imperfections of one, or `ideal`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from astropy.table import Table

from pixelcal.energy.catalogue import Series
from pixelcal.energy.lines import LineTable
from pixelcal.energy.simulation.background import PROCESSES, Background, make_background
from pixelcal.energy.simulation.detector import Detector, FlightDetector
from pixelcal.energy.simulation.flight_sampler import (
    ChannelAxis,
    FlightSampler,
    displaced_position,
)
from pixelcal.energy.simulation.imperfections import FLIGHT
from pixelcal.energy.simulation.real_pixels import RealPixels, draw_pixels
from pixelcal.energy.simulation.real_response import true_lines
from pixelcal.energy.simulation.sampler import (
    EventSampler,
    PixelProperties,
    make_pixels,
    with_neighbours,
)


@dataclass(frozen=True)
class SimulatedCamera:
    """What makes events, and what is known of who makes them.

    Attributes
    ----------
    sampler : EventSampler or FlightSampler
    background : Background
    truth : Table
        Properties of the wanted pixels.
    processes : tuple of str
        What the process ids of the events mean, from 1 on.
    """

    sampler: EventSampler | FlightSampler
    background: Background
    truth: Table
    processes: tuple[str, ...] = PROCESSES


def _detector(settings: Mapping, kind: type[Detector]) -> Detector:
    """The laws of the response with the numbers of the configuration."""
    return kind(
        fwhm_0=settings["fwhm_keV"]["at_0"],
        fwhm_60=settings["fwhm_keV"]["at_60"],
        tail_60=settings["tail"]["fraction_60"],
        tail_scale=settings["tail"]["scale"],
        escape=settings["escape_fraction"],
    )


def _pixels(settings: Mapping, wanted, grid: tuple[int, int]) -> PixelProperties:
    """Efficiency and resolution of the wanted pixels and their neighbours."""
    return make_pixels(
        with_neighbours(wanted, grid),
        settings["spread"]["efficiency"],
        settings["spread"]["resolution"],
        settings["dead_fraction"],
        settings["seed"],
    )


def ideal_camera(
    settings: Mapping,
    wanted,
    grid: tuple[int, int],
    table: LineTable,
    attenuation: tuple[np.ndarray, np.ndarray],
) -> SimulatedCamera:
    """The camera that has the laws which are fitted, and in which pixels hardly differ.

    Parameters
    ----------
    settings : mapping
        `simulation` of the configuration.
    wanted : (n,) int
        DETNUM whose events are made.
    grid : (rows, columns) of the camera
    table : LineTable
        The lines of the background.
    attenuation : of CdTe, as from `read_attenuation`
    """
    background = make_background(
        table, settings["line_rates_per_s"], settings["continuum_rates_per_s"], attenuation
    )
    pixels = _pixels(settings, wanted, grid)
    sampler = EventSampler(
        pixels,
        wanted,
        background,
        _detector(settings, Detector),
        settings["multiple_fraction"],
        settings["seed"],
        grid,
    )
    return SimulatedCamera(sampler, background, pixels.table(wanted))


def flight_camera(
    settings: Mapping,
    wanted,
    grid: tuple[int, int],
    table: LineTable,
    attenuation: tuple[np.ndarray, np.ndarray],
    catalogue: Sequence[Series],
    axis: ChannelAxis,
    span: tuple[float, float],
    energies_keV=(),
) -> SimulatedCamera:
    """The camera with the imperfections `FLIGHT`.

    Parameters
    ----------
    settings, wanted, grid, table, attenuation
        As of `ideal_camera`; `table` should hold all lines of the elements that it knows.
    catalogue : as from `read_catalogue`
        The lines that the table lacks, and natural widths.
    axis : ChannelAxis
    span : (start, stop), s
        From the first event to the last one.
    energies_keV : sequence of float
        Where the truth says how far the relation is from a straight one.
    """
    lines = true_lines(FLIGHT, settings["line_rates_per_s"], table, catalogue, attenuation)
    background = make_background(table, {}, settings["continuum_rates_per_s"], attenuation)
    background = replace(
        background,
        line_energy_keV=lines.energy_keV,
        line_per_s=lines.rate_per_s,
        line_name=tuple(lines.elements[k] for k in lines.element),
    )
    pixels = _pixels(settings, wanted, grid)
    special = draw_pixels(pixels.detnum, FLIGHT, settings["seed"])
    sampler = FlightSampler(
        pixels,
        special,
        wanted,
        background,
        lines,
        _detector(settings, FlightDetector),
        FLIGHT,
        axis,
        settings["multiple_fraction"],
        settings["seed"],
        grid,
        span,
    )
    truth = pixels.table(wanted)
    add_truth(truth, special, axis, lines.elements, energies_keV)
    truth.meta["drift"] = {
        **{"start": float(span[0]), "stop": float(span[1])},
        **{"first": 1.0 - FLIGHT.drift, "last": 1.0 + FLIGHT.drift},
        "offset_keV": float(np.median(axis.offset[wanted])),
    }
    return SimulatedCamera(sampler, background, truth, (*PROCESSES, "NOISE"))


def add_truth(
    truth: Table, special: RealPixels, axis: ChannelAxis, elements, energies_keV=()
) -> None:
    """Add to `truth` (with DETNUM) what is special to its pixels.

    Columns MODULE, TAIL_FACTOR, THRESHOLD (keV), NOISE_RATE (1/s above 4 keV), NOISE_SCALE (keV),
    SICK; STRENGTH_<element>; and SHIFT_<energy> (keV): what the straight relation gives to the
    place of that true energy, minus the energy.
    """
    rows = np.isin(special.detnum, truth["DETNUM"])
    values = {field.name: getattr(special, field.name)[rows] for field in fields(special)}
    truth["MODULE"] = values["module"]
    truth["TAIL_FACTOR"] = values["tail_factor"]
    truth["THRESHOLD"] = values["threshold_keV"]
    truth["NOISE_RATE"] = values["noise_per_s"]
    truth["NOISE_SCALE"] = np.where(values["noisy"], values["noise_scale_keV"], 0.0)
    truth["SICK"] = values["sick"]
    for name, unit in (("THRESHOLD", "keV"), ("NOISE_RATE", "1/s"), ("NOISE_SCALE", "keV")):
        truth[name].unit = unit
    for element, factor in zip(elements, special.strengths_of(elements)[rows].T, strict=True):
        truth[f"STRENGTH_{element.replace(' ', '_').upper()}"] = factor
    gain, offset = axis.gain[values["detnum"]], axis.offset[values["detnum"]]
    index = np.arange(len(gain))
    for energy in energies_keV:
        straight = (energy - offset) / gain
        moved = displaced_position(straight, index, values["edge_shift"]) - straight
        truth[f"SHIFT_{energy:g}"] = gain * moved
        truth[f"SHIFT_{energy:g}"].unit = "keV"
