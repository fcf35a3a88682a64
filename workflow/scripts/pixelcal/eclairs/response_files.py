"""The learnt response as a FITS product."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.eclairs.lines import LineTable
from pixelcal.eclairs.response import SHAPE_PARAMETERS, LineShape, Response
from pixelcal.errors import InputError
from pixelcal.products import read_columns, table_hdu, write_fits

SHAPE_KEYWORDS = {
    "fwhm_10": ("FWHM10", "[keV] FWHM of the core at 10 keV"),
    "fwhm_60": ("FWHM60", "[keV] FWHM of the core at 60 keV"),
    "tail_60": ("TAIL60", "share of events in the tail at 60 keV"),
    "tail_scale": ("TAILSCL", "mean loss in the tail over the energy"),
    "escape_cd": ("ESCAPECD", "escape probability at the Cd K edge"),
    "escape_te": ("ESCAPETE", "escape probability at the Te K edge"),
    "absorption_keV": ("ABSORB", "[keV] energy of one absorption length"),
}


def write_response(
    path: str | Path, response: Response, table: LineTable, cards: list[tuple], date: str | None
) -> None:
    """Write `response`: extensions LINES (strength of each line) and CONTINUUM (of each block)."""
    lines = np.zeros(
        table.n_lines,
        [("ELEMENT", "S2"), ("TRANSITION", "S8"), ("ENERGY", "f8"), ("STRENGTH", "f8")],
    )
    lines["ELEMENT"], lines["TRANSITION"] = table.element, table.transition
    lines["ENERGY"], lines["STRENGTH"] = table.energy_keV, response.line_strength
    n_basis = response.continuum.shape[1]
    continuum = np.zeros(
        table.n_blocks,
        [("BLOCK", "S20"), ("E_MIN", "f8"), ("E_MAX", "f8"), ("COEFFICIENTS", "f8", (n_basis,))],
    )
    continuum["BLOCK"] = table.block_names
    continuum["E_MIN"], continuum["E_MAX"] = table.block_limits_keV.T
    continuum["COEFFICIENTS"] = response.continuum
    shape = [
        (keyword, getattr(response.shape, name), text)
        for name, (keyword, text) in SHAPE_KEYWORDS.items()
    ]
    if np.isfinite(response.chi_square):
        shape.append(("CHISQ", response.chi_square, "chi-square of the stacked spectrum"))
    shape.append(("DOF", response.dof, "degrees of freedom of the stacked spectrum"))
    write_fits(
        path,
        [
            table_hdu(lines, "LINES", {"ENERGY": "keV", "STRENGTH": "count"}, [*cards, *shape]),
            table_hdu(
                continuum,
                "CONTINUUM",
                {"E_MIN": "keV", "E_MAX": "keV", "COEFFICIENTS": "count/keV"},
            ),
        ],
        date,
    )


def read_response(path: str | Path, table: LineTable) -> Response:
    """Read what `write_response` wrote for the same line table.

    Raises
    ------
    InputError
        Where the file is broken, or was made with another line table.
    """
    lines, continuum = read_columns(path, "LINES"), read_columns(path, "CONTINUUM")
    if not np.array_equal(np.asarray(lines["ENERGY"]), table.energy_keV):
        raise InputError(f"{path}: was learnt with another line table; make it anew")
    header = lines.meta
    values = {name: float(header[SHAPE_KEYWORDS[name][0]]) for name in SHAPE_PARAMETERS}
    return Response(
        shape=LineShape(**values),
        line_strength=np.asarray(lines["STRENGTH"], float),
        continuum=np.asarray(continuum["COEFFICIENTS"], float),
        chi_square=float(header.get("CHISQ", np.nan)),
        dof=int(header["DOF"]),
    )
