"""Extensions of a response file: three for each kind of pixel, whose names say which it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from pixelcal.energy.curve import Curve
from pixelcal.energy.own_deviation import OwnDeviation, no_deviation
from pixelcal.energy.response.energy_scale import common_covariance
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


def own_cards(deviation: OwnDeviation) -> list[tuple]:
    """Header cards of LINES of how far single pixels are from straight relations."""
    return [
        ("OWNWALK", float(deviation.walk[-1]), "[sqrt(keV)] own random walk of energies"),
        ("OWNBEND", float(deviation.bend), "[keV] own bend in the middle of the lines"),
    ]


def own_columns(deviation: OwnDeviation | None) -> dict[str, np.ndarray]:
    """Columns (n_blocks,) of CONTINUUM that belong to them; none where nobody looked."""
    if deviation is None:
        return {}
    stretch, shift = deviation.lever.T
    levers = {"LEVER_STRETCH": stretch, "LEVER_SHIFT": shift}
    return {"CENTRE": deviation.centre, **levers, "OWNWALK": deviation.walk}


def own_deviation_in(lines: Table, continuum: Table) -> OwnDeviation | None:
    """How far single pixels are from straight relations; None where nobody looked."""
    if "OWNWALK" not in lines.meta:
        return None
    energy = np.asarray(lines["ENERGY"], float)
    lever = np.column_stack([continuum["LEVER_STRETCH"], continuum["LEVER_SHIFT"]]).astype(float)
    centre = np.asarray(continuum["CENTRE"], float)
    none = no_deviation(lever, centre, (energy.min(), energy.max()))
    # A file of an earlier version has one walk for all gaps.
    of_gaps = continuum.columns.get("OWNWALK", np.full(len(centre), lines.meta["OWNWALK"]))
    return none._replace(
        walk=np.asarray(of_gaps, float), bend=np.array(float(lines.meta["OWNBEND"]))
    )


class KindSystematics(NamedTuple):
    """What is uncertain in the energies of a kind of pixels beside counting.

    Attributes
    ----------
    common : (3, 3) float
        Covariance of stretch, shift (keV) and bend (keV) that they have in common.
    low_bend : float, keV
        `Response.low_bend`.
    deviation : OwnDeviation
        What each has by itself.
    """

    common: np.ndarray
    low_bend: float
    deviation: OwnDeviation


def systematics_by_kind(path: str | Path) -> dict[str, KindSystematics]:
    """What is uncertain in the energies of the kinds of pixels of a response file, by kind."""
    found = {}
    for ending in suffixes(path):
        lines, continuum = (
            read_columns(path, f"{name}{ending}") for name in ("LINES", "CONTINUUM")
        )
        known = common_covariance(lines.meta)
        # One of counting alone has no bend in it.
        common = np.pad(known, (0, 3 - len(known)))
        n_blocks = len(continuum)
        none = no_deviation(np.zeros((n_blocks, 2)), np.zeros(n_blocks), (0.0, 1.0))
        deviation, low = own_deviation_in(lines, continuum) or none, lines.meta.get("LOWBEND", 0.0)
        found[kind_in(lines.meta)] = KindSystematics(common, float(low), deviation)
    return found
