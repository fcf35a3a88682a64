"""A camera as data: what is special to one is in its instrument file, not in the code.

`io.instruments.load_instrument` reads a file of `resources/instruments`, or one's own; `Instrument`
is what the rest of the package asks. docs/your-own-camera.md says how to write one, the schema in
resources/schemas/instrument.schema.yaml what each key means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pixelcal.errors import InputError

UNKNOWN = "UNKNOWN"
"""TELESCOP and INSTRUME of products of files that do not tell."""

SIMULATED_CRITERIA = (
    "GTICAL-NEO",
    "GTICAL-PEO",
    "GTICAL-TEO",
    "GTICAL-NSA",
    "GTICAL-STA",
    "GTICAL-TLM",
)
"""Criteria of good time that simulated events come with: no, partial, total Earth occultation of
the field, outside the South Atlantic anomaly, stable attitude, telemetry."""


class Window(NamedTuple):
    """Relations that are tried: how far from the prior.

    Attributes
    ----------
    gain : float
        Relative to that of the prior.
    offset_keV : float
    """

    gain: float
    offset_keV: float


@dataclass(frozen=True)
class Requirement:
    """How accurate an energy has to be, and where that is judged.

    Attributes
    ----------
    energies_keV : tuple of float, rising
        Reference energies at which a relation is judged.
    range_keV : (lowest, highest) energy that the camera is used at
    limits : tuple of (energy_keV, error_keV)
        Largest allowed |error| up to each energy, by rising energy; that of the last goes on.
    """

    energies_keV: tuple[float, ...]
    range_keV: tuple[float, float]
    limits: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    """What an event file, or a file of ready spectra, looks like.

    Attributes
    ----------
    form : "events", "spectra" or "stix-calibration"
        Events carry energies (keV), or channels that the camera has already assigned; the other two
        hold ready spectra (`events.ready_spectra`).
    extension : str
        Name of the extension; where a file has none of that name, the first table that holds the
        required columns is taken.
    columns : dict, key -> name of the column
        Keys: energy, pixel (DETNUM), multiplicity, time (s), channel, row, column.
    required : tuple of keys
        The others may be missing from a file.
    rebin : int
        Channels of the file that make one of the instrument.
    """

    form: str
    extension: str
    columns: Mapping[str, str]
    required: tuple[str, ...]
    rebin: int = 1


@dataclass(frozen=True)
class Instrument:
    """A camera: what its instrument file says, but for what only a configuration asks.

    Attributes
    ----------
    title : str
        Name on pages and figures.
    instrume : tuple of str
        INSTRUME that its files may have; any, where it is empty.
    n_pixels, n_channels : int
        Pixels have the numbers (DETNUM) 0 to n_pixels - 1.
    n_rows, n_columns : int
        Of the grid that event files number pixels by, where they name row and column.
    pixel_map : str
        Path of the table of places, modules and kinds.
    gain_keV, offset_keV : float, keV/channel and keV
        Nominal relation.
    gain_range_keV, offset_range_keV : (least, most)
        What a pixel may have: values beyond are in another unit.
    nonlinearity : (below, above), keV/keV
        Allowance for how far energies bend away beyond the lowest and the highest line.
    search : Window
        Around the prior, where lines are looked for.
    material : str
        Of the detector, a key of `energy.response.materials.MATERIALS`.
    response : dict
        Starting values of the line shape, see `energy.response.line_shape.expected_shape`.
    requirement : Requirement
    layouts : dict, name -> Layout
    layout : str
        The layout where the configuration names none.
    lines : str
        Path of its line table.
    mission_file : str or None
        Name of the mission's calibration product, where pixelcal writes it.
    """

    title: str
    instrume: tuple[str, ...]
    n_pixels: int
    n_channels: int
    n_rows: int
    n_columns: int
    pixel_map: str
    gain_keV: float
    offset_keV: float
    gain_range_keV: tuple[float, float]
    offset_range_keV: tuple[float, float]
    nonlinearity: tuple[float, float]
    search: Window
    material: str
    response: Mapping[str, Any]
    requirement: Requirement
    layouts: Mapping[str, Layout]
    layout: str
    lines: str
    mission_file: str | None = None

    def check_header(self, header: Mapping, where: str) -> None:
        """Raise InputError where a header names another camera (INSTRUME)."""
        name = header.get("INSTRUME")
        known = ("", UNKNOWN, *(accepted.upper() for accepted in self.instrume))
        if self.instrume and isinstance(name, str) and name.strip().upper() not in known:
            raise InputError(
                f"{where}: is of another camera (INSTRUME {name.strip()}); give one of"
                f" {self.title}, or correct INSTRUME in its header"
            )


def instrument_of(settings: Mapping) -> Instrument:
    """The instrument that the content of an instrument file describes, defaults filled in."""
    camera, relation = settings["camera"], settings["relation"]
    judged = settings["requirement"]
    grid = camera["grid"]
    layouts = {name: _layout(given) for name, given in settings["layouts"].items()}
    return Instrument(
        title=settings["title"],
        instrume=tuple(settings["instrume"]),
        n_pixels=camera["pixels"],
        n_channels=camera["channels"],
        n_rows=grid["rows"],
        n_columns=grid["columns"],
        pixel_map=settings["pixel_map"],
        gain_keV=relation["gain_keV"],
        offset_keV=relation["offset_keV"],
        gain_range_keV=tuple(relation["gain_range_keV"]),
        offset_range_keV=tuple(relation["offset_range_keV"]),
        nonlinearity=(relation["nonlinearity"]["below"], relation["nonlinearity"]["above"]),
        search=Window(relation["search"]["gain"], relation["search"]["offset_keV"]),
        material=settings["detector"]["material"],
        response=settings["detector"]["response"],
        requirement=Requirement(
            energies_keV=tuple(judged["energies_keV"]),
            range_keV=tuple(judged["range_keV"]),
            limits=tuple((one["up_to_keV"], one["error_keV"]) for one in judged["limits"]),
        ),
        layouts=layouts,
        layout=settings["layout"],
        lines=settings["lines"],
        mission_file=settings["mission_file"],
    )


def _layout(given: Mapping) -> Layout:
    """A layout of an instrument file."""
    return Layout(
        form=given["form"],
        extension=given["extension"],
        columns={key: name for key, name in given["columns"].items() if name is not None},
        required=tuple(given["required"]),
        rebin=given["rebin"],
    )
