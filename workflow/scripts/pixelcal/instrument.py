"""What is special to ECLAIRs: its pixels, its channels, its detector, its requirement.

Uses the standard library alone: the configuration is checked where there may be no numpy.
"""

from __future__ import annotations

from collections.abc import Mapping

from pixelcal.errors import InputError

INSTRUMENTS = ("ECL", "ECLAIRS")
"""INSTRUME of files of the mission and of others, in capitals."""
UNKNOWN = "UNKNOWN"
"""TELESCOP and INSTRUME of products of files that do not tell."""

N_SIDE = 80
"""Pixels along one side of the camera."""
N_PIXELS = N_SIDE**2
N_CHANNELS = 1024

GAIN_RANGE_KEV = (0.05, 0.5)
OFFSET_RANGE_KEV = (-20.0, 20.0)
"""Gains (keV/channel) and offsets (keV) that a pixel may have: others are in another unit."""

REFERENCE_ENERGIES_KEV = (4.0, 15.0, 50.0, 80.0, 150.0)
"""Energies (keV) at which a relation is judged."""

REQUIREMENT_BREAK_KEV = 80.0
REQUIREMENT_LOW_KEV = 0.3
REQUIREMENT_HIGH_KEV = 0.5
"""Largest allowed error of an energy up to the break, and above it."""

ESCAPES_KEV = ((26.711, 23.174), (31.814, 27.473))
"""(K edge, energy carried away) of Cd and Te: escape peaks stand at E - 23.17 and E - 27.47 keV."""

SEARCHED_GAIN = 0.06
SEARCHED_OFFSET_KEV = 2.5
"""The search window around the prior: a fraction of the gain, and the offset."""

GTI_CRITERIA = ("GTICAL-NEO", "GTICAL-PEO", "GTICAL-TEO", "GTICAL-NSA", "GTICAL-STA", "GTICAL-TLM")
"""Names of the criteria of good time."""


def check_instrument(header: Mapping, where: str) -> None:
    """Raise InputError where a header names another instrument than ECLAIRs."""
    name = header.get("INSTRUME")
    if isinstance(name, str) and name.strip().upper() not in ("", UNKNOWN, *INSTRUMENTS):
        raise InputError(
            f"{where}: is of another camera (INSTRUME {name.strip()}); give one of ECLAIRs, or"
            " correct INSTRUME in its header"
        )
