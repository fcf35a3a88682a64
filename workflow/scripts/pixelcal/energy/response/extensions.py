"""Extensions of a response file: three for each kind of pixel, whose names say which it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pixelcal.energy.curve import Curve
from pixelcal.energy.response.energy_scale import OWN_BETWEEN, common_covariance, own_covariance
from pixelcal.io.tables import has_extension, read_columns


def suffix(number: int) -> str:
    """What the names of the extensions of a kind end in, by its number from 1."""
    return "" if number == 1 else f"_{number}"


def suffixes(path: str | Path) -> Iterator[str]:
    """The suffixes of the kinds of pixels that a response file has, one at least."""
    number = 1
    while number == 1 or has_extension(path, f"LINES{suffix(number)}"):
        yield suffix(number)
        number += 1


def kind_in(header: Mapping) -> str:
    """The kind of pixel that an extension LINES is of."""
    return str(header.get("KIND", ""))


def curve_in(header: Mapping, ends: tuple[float, float]) -> Curve | None:
    """How energies leave straight relations, by the header of LINES; None where not fitted.

    `ends` are the lowest and the highest line (keV).
    """
    if "CURVEMID" not in header:
        return None
    return Curve(float(header["CURVEMID"]), float(header["CURVELOW"]), ends)


def curves(path: str | Path, ends: tuple[float, float]) -> dict[str, Curve]:
    """`curve_in` by kind of pixel; empty where none was fitted."""
    headers = [read_columns(path, f"LINES{ending}").meta for ending in suffixes(path)]
    found = {kind_in(header): curve_in(header, ends) for header in headers}
    return {kind: curve for kind, curve in found.items() if curve is not None}


def systematic_covariances(path: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Covariances (3, 3) that pixels have in common, and that each has by itself, by their kind;
    and how far (keV) energies that no line is near may be displaced beside."""
    found = {}
    for ending in suffixes(path):
        header = read_columns(path, f"LINES{ending}").meta
        known = common_covariance(header)
        # One of counting alone has no bend in it.
        between = float(header.get(OWN_BETWEEN, 0.0))
        common = np.pad(known, (0, 3 - len(known)))
        found[kind_in(header)] = common, own_covariance(header), between
    return found
