"""Which camera a file is of, where its header says so."""

from __future__ import annotations

from collections.abc import Mapping

from pixelcal.errors import InputError

INSTRUMENT = "ECL"
"""INSTRUME of files of the mission; others write ECLAIRs."""


def check_instrument(header: Mapping, where: str) -> None:
    """Raise InputError where a header names another instrument than ECLAIRs."""
    own = header.get("INSTRUME")
    if isinstance(own, str) and own.strip() and INSTRUMENT not in own.upper():
        raise InputError(
            f"{where}: is of another camera (INSTRUME {own.strip()}); give one of ECLAIRs, or"
            " correct INSTRUME in its header"
        )
