"""The learnt response as a FITS product."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from pixelcal.energy.kinds import of_kind
from pixelcal.energy.lines import LineTable, elements_of, line_groups
from pixelcal.energy.response.energy_scale import (
    SYSTEMATIC_KEYWORDS,
    line_ends,
    scale_cards,
    scale_covariance,
)
from pixelcal.energy.response.extensions import (
    curve_in,
    kind_in,
    own_cards,
    own_columns,
    own_deviation_in,
    suffix,
    suffixes,
)
from pixelcal.energy.response.line_shape import LineShape, shape_of
from pixelcal.energy.response.materials import MATERIALS, Material
from pixelcal.energy.response.misfit import Misfit, no_misfit
from pixelcal.energy.response.model import Explanation, Response
from pixelcal.errors import InputError
from pixelcal.io.tables import as_rows, has_extension, read_columns, table_hdu, write_fits

EARLIER_MATERIAL = "CdTe"
"""Of files that were written before they named it."""

POPULATION_NEEDED = ("BLOCK", "WHAT", "SPREAD")
LINES_NEEDED = ("ELEMENT", "TRANSITION", "ENERGY", "INTENSITY", "STRENGTH")
CONTINUUM_NEEDED = ("E_MIN", "E_MAX", "COEFFICIENTS")

MISFIT_COLUMNS = ("MISFIT", "MISFIT_SCATTER", "MISFIT_SHIFT", "MISFIT_SHIFT_SCATTER")
"""Columns of a block with the first fields of `misfit.Misfit`."""

POSITIONS, POSITION_NUMBERS = "LINE_POSITIONS", ("VALUE", "VALUE_ERR", "GAIN")
"""The extension with `Response.explanations`, and its columns of numbers."""

LINES_UNITS = {"STRENGTH": "count"} | dict.fromkeys(
    ("ENERGY", "SHIFT", "WIDTH", "FREE_SHIFT"), "keV"
)
CONTINUUM_UNITS = {
    "E_MIN": "keV",
    "E_MAX": "keV",
    "COEFFICIENTS": "count/keV",
    "SHIFT": "keV",
    "SHIFT_ERR": "keV",
    "MISFIT_SHIFT": "keV",
    "MISFIT_SHIFT_SCATTER": "keV",
    "CENTRE": "keV",
    "LEVER_STRETCH": "keV-1",
    "OWNWALK": "keV(1/2)",
}


def shape_keywords(material: Material) -> list[tuple[str, str]]:
    """(keyword, meaning) of each of the parameters of a line shape, in the order of its vector."""
    return [
        ("FWHM10", "[keV] FWHM of the core at 10 keV"),
        ("FWHM60", "[keV] FWHM of the core at 60 keV"),
        ("TAIL60", "fraction of events in the tail at 60 keV"),
        ("TAILSCL", "mean loss in the tail over energy at 60 keV"),
        ("WIDTHBND", "[keV2] FWHM^2 minus a straight line"),
        ("TAILSLP", "relative slope of the tail fraction at 60 keV"),
        ("LOSSSLP", "relative slope of the mean loss at 60 keV"),
        ("TRAPPING", "fraction lost at the far side (Hecht)"),
        *(
            (
                f"ESCAPE{escape.element.upper()}",
                f"escape probability at the {escape.element} K edge",
            )
            for escape in material.escapes
        ),
        ("ABSORB", "[keV] energy of one absorption length"),
    ]


def write_responses(
    path: str | Path,
    responses: Mapping[str, Response],
    table: LineTable,
    cards: list[tuple],
    date: str | None,
) -> None:
    """Write the response of each kind of pixel.

    Extensions LINES, CONTINUUM (of each block) and SPREAD (population prior) of the first kind,
    LINES_2 and so on of the next ones; KIND in their headers names it. They also hold what
    `read_responses` compares the line table with.
    """
    hdus = []
    for number, (kind, response) in enumerate(responses.items(), 1):
        of_kind = [("KIND", kind, "kind of pixel")] if kind else []
        hdus += _response_hdus(response, table, [*cards, *of_kind], suffix(number))
    write_fits(path, hdus, date)


def write_response(
    path: str | Path, response: Response, table: LineTable, cards: list[tuple], date: str | None
) -> None:
    """Write one `response` for all pixels, as `write_responses`."""
    write_responses(path, {"": response}, table, cards, date)


def _response_hdus(
    response: Response, table: LineTable, cards: list[tuple], ending: str
) -> list[fits.BinTableHDU]:
    """The three extensions of a response."""
    elements, of_line = elements_of(table)
    lines = as_rows(
        ELEMENT=np.array(table.element, "S"),
        TRANSITION=np.array(table.transition, "S"),
        ENERGY=table.energy_keV,
        INTENSITY=table.intensity,
        STRENGTH=response.line_strength,
        SHIFT=_known(response.element_shift, len(elements))[of_line],
        **({"WIDTH": table.width_keV} if table.width_keV.any() else {}),
        **({} if response.free_shift is None else {"FREE_SHIFT": response.free_shift}),
    )
    continuum = as_rows(
        BLOCK=np.array(table.block_names, "S"),
        E_MIN=table.block_limits_keV[:, 0],
        E_MAX=table.block_limits_keV[:, 1],
        COEFFICIENTS=response.continuum,
        SHIFT=_known(response.block_shift, table.n_blocks),
        SHIFT_ERR=_known(response.block_shift_err, table.n_blocks),
        **dict(zip(MISFIT_COLUMNS, response.misfit or no_misfit(table.n_blocks), strict=False)),
        **own_columns(response.own_deviation),
    )
    blocks = [table.block_names[block] for block, _ in line_groups(table)]
    population = as_rows(
        BLOCK=np.array(["", "", *table.block_names, *blocks], "S"),
        WHAT=np.array(_population_names(table), "S"),
        SPREAD=response.population_scale,
    )
    shape = _shape_cards(response)
    return [
        table_hdu(lines, f"LINES{ending}", _units(LINES_UNITS, lines), [*cards, *shape]),
        table_hdu(continuum, f"CONTINUUM{ending}", _units(CONTINUUM_UNITS, continuum)),
        table_hdu(population, f"SPREAD{ending}", {}),
        *_position_hdus(response, ending),
    ]


def _units(units: Mapping[str, str], rows: np.ndarray) -> dict[str, str]:
    """The units of the columns that are there."""
    return {name: unit for name, unit in units.items() if name in rows.dtype.names}


def _position_hdus(response: Response, ending: str) -> list[fits.BinTableHDU]:
    """The extension LINE_POSITIONS; none where nobody looked."""
    if not response.explanations:
        return []
    what, *numbers = zip(*response.explanations, strict=True)
    named = dict(zip(POSITION_NUMBERS, map(np.array, numbers), strict=True))
    rows = as_rows(WHAT=np.array(what, "S"), **named)
    return [table_hdu(rows, f"{POSITIONS}{ending}", dict.fromkeys(POSITION_NUMBERS[:2], "keV"))]


def _shape_cards(response: Response) -> list[tuple]:
    """Header cards of the line shape, of what is uncertain in it, and of how it was learnt."""
    material = response.shape.material
    values = response.shape.vector.tolist()
    named = zip(shape_keywords(material), values, strict=True)
    shape = [(keyword, value, text) for (keyword, text), value in named]
    shape.append(("MATERIAL", material.name, "of the detector"))
    if np.isfinite(response.chi_square):
        shape.append(("CHISQ", response.chi_square, "chi-square of the stacked spectrum"))
    shape += scale_cards(response.scale_covariance)
    if response.systematic_covariance is not None:
        shape += scale_cards(response.systematic_covariance, SYSTEMATIC_KEYWORDS)
    if response.own_deviation is not None:
        shape += own_cards(response.own_deviation)
    if response.losses_differ:
        shape.append(("LOSSDIFF", True, "factors on tails are on their mean loss too"))
    if response.low_bend:
        shape.append(("LOWBEND", response.low_bend, "[keV] bend at low energy, not known"))
    if np.isfinite(response.bend):
        shape += [
            ("BEND", response.bend, "[keV] bend of all relations, 4 x at mid range"),
            ("BENDERR", response.bend_err, "[keV] its error"),
        ]
    if response.misfit is not None:
        shape += [
            ("MISBEND", float(response.misfit.bend[0]), "[keV] typical bend of a pixel"),
            (
                "MISBENDS",
                float(response.misfit.bend_scatter[0]),
                "[keV] its scatter between pixels",
            ),
        ]
    if response.curve is not None:
        shape += [
            ("CURVEMID", response.curve.middle, "[keV] added to straight relations, middle"),
            ("CURVELOW", response.curve.low, "[keV] the same at the lowest line"),
        ]
    shape.append(("DOF", response.dof, "degrees of freedom of the stacked spectrum"))
    if response.converged is not None:
        shape.append(("EMITER", response.iterations, "iterations of the learning (EM)"))
        shape.append(("EMCONV", response.converged, "whether the learning (EM) converged"))
    return shape


def _known(values: np.ndarray | None, n: int) -> np.ndarray:
    """The values (n,), or as many NaN."""
    return np.full(n, np.nan) if values is None else values


def _population_names(table: LineTable) -> list[str]:
    """What each entry of `Response.population_scale` is about."""
    groups = [element for _, element in line_groups(table)]
    return ["log resolution", "tail", *["continuum"] * table.n_blocks, *groups]


def read_responses(path: str | Path, table: LineTable) -> dict[str, Response]:
    """The responses by kind of pixel that `write_responses` wrote for the same line table.

    Raises
    ------
    InputError
        Where the file is broken, or was made with another line table.
    """
    return dict(_read_response(path, table, ending) for ending in suffixes(path))


def read_response(path: str | Path, table: LineTable, kind: str = "") -> Response:
    """The response of one kind of pixel, as `kinds.of_kind`; raises as `read_responses`."""
    return of_kind(read_responses(path, table), kind)


def _read_response(path: str | Path, table: LineTable, ending: str) -> tuple[str, Response]:
    """The kind and the response in the extensions whose names end in `ending`."""
    lines = read_columns(path, f"LINES{ending}")
    continuum = read_columns(path, f"CONTINUUM{ending}")
    population = read_columns(path, f"SPREAD{ending}")
    header = lines.meta
    material = MATERIALS[header.get("MATERIAL", EARLIER_MATERIAL)]
    keywords = [keyword for keyword, _ in shape_keywords(material)]
    needed = [*keywords, "DOF"]
    absent = [name for name in (*LINES_NEEDED, *needed) if name not in (*lines.colnames, *header)]
    absent += [name for name in CONTINUUM_NEEDED if name not in continuum.colnames]
    absent += [name for name in POPULATION_NEEDED if name not in population.colnames]
    if absent:
        raise InputError(f"{path}: lacks {', '.join(absent)}; learn the response again")
    found = (
        _texts(lines["ELEMENT"]),
        _texts(lines["TRANSITION"]),
        lines["ENERGY"],
        lines["INTENSITY"],
        _widths(lines),
        continuum["E_MIN"],
        continuum["E_MAX"],
        _texts(population["WHAT"]),
    )
    _check_alike(found, table, str(path))
    shape: LineShape = shape_of([header[keyword] for keyword in keywords], material)
    return kind_in(header), Response(
        shape=shape,
        line_strength=np.asarray(lines["STRENGTH"], float),
        continuum=np.asarray(continuum["COEFFICIENTS"], float),
        population_scale=np.asarray(population["SPREAD"], float),
        scale_covariance=scale_covariance(header),
        systematic_covariance=_known_covariance(header, SYSTEMATIC_KEYWORDS),
        own_deviation=own_deviation_in(lines, continuum),
        losses_differ=bool(header.get("LOSSDIFF", False)),
        low_bend=float(header.get("LOWBEND", 0.0)),
        bend=float(header.get("BEND", np.nan)),
        bend_err=float(header.get("BENDERR", np.nan)),
        block_shift=_column(continuum, "SHIFT"),
        block_shift_err=_column(continuum, "SHIFT_ERR"),
        misfit=_misfit(continuum, header),
        curve=curve_in(header, line_ends(table)),
        free_shift=_column(lines, "FREE_SHIFT"),
        explanations=_explanations(path, ending),
        chi_square=float(header.get("CHISQ", np.nan)),
        dof=int(header["DOF"]),
        iterations=int(header.get("EMITER", 0)),
        converged=header.get("EMCONV"),
        table=table,
    )


def check_table(response: Response, table: LineTable, where: str) -> None:
    """Raise InputError where a response was learnt with another line table than `table`.

    Of a response that does not know its table, only how many lines and blocks it has is compared.
    `where` is the name of the response, for the error.
    """
    if response.table is not None:
        _check_alike(_compared(response.table), table, where)
    sizes = (len(response.line_strength), len(response.continuum), len(response.population_scale))
    if sizes != (table.n_lines, table.n_blocks, len(_population_names(table))):
        _refuse(where, "numbers of lines and blocks")


COMPARED = (
    *("lines", "lines", "line energies", "intensities", "natural widths"),
    *("block limits", "block limits", "line groups"),
)
"""What `_compared` returns, in words."""


def _compared(table: LineTable) -> tuple:
    """What two line tables have in common for which a response is the same."""
    return (
        list(table.element),
        list(table.transition),
        table.energy_keV,
        table.intensity,
        table.width_keV,
        table.block_limits_keV[:, 0],
        table.block_limits_keV[:, 1],
        _population_names(table),
    )


def _check_alike(found: tuple, table: LineTable, where: str) -> None:
    """Raise InputError where what a response was learnt with is not that of a line table."""
    for what, given, wanted in zip(COMPARED, found, _compared(table), strict=True):
        if not np.array_equal(np.asarray(given), np.asarray(wanted)):
            _refuse(where, what)


def _refuse(where: str, what: str) -> None:
    raise InputError(
        f"{where}: was learnt with another line table, with other {what}; learn the response again,"
        " or give the table it was learnt with"
    )


def _explanations(path: str | Path, ending: str) -> tuple[Explanation, ...]:
    """What would explain where the lines stand, or nothing of a file from before that was told."""
    if not has_extension(path, f"{POSITIONS}{ending}"):
        return ()
    rows = read_columns(path, f"{POSITIONS}{ending}")
    columns = [np.asarray(rows[name], float).tolist() for name in POSITION_NUMBERS]
    return tuple(map(Explanation, _texts(rows["WHAT"]), *columns))


def _known_covariance(header, keywords) -> np.ndarray | None:
    """A covariance of stretch, shift and bend, or None of a file from before it was recorded."""
    covariance = scale_covariance(header, keywords)
    return covariance if np.isfinite(covariance).all() else None


def _misfit(continuum, header) -> Misfit | None:
    """The misfit of the camera, or None where nobody looked."""
    if "MISBEND" not in header:
        return None
    columns = [_column(continuum, name) for name in MISFIT_COLUMNS]
    bends = (np.array([float(header[keyword])]) for keyword in ("MISBEND", "MISBENDS"))
    return Misfit(*columns, *bends)


def _column(table, name: str) -> np.ndarray | None:
    """A column of floats (n,), or None where a file was written before it was recorded."""
    return np.asarray(table[name], float) if name in table.colnames else None


def _widths(lines) -> np.ndarray:
    """Natural widths (n_lines,), keV, of a table of lines; it has no column where all are 0."""
    return np.asarray(lines["WIDTH"]) if "WIDTH" in lines.colnames else np.zeros(len(lines))


def _texts(column) -> list[str]:
    """Texts of a FITS column, which come as bytes."""
    return [text.decode() if isinstance(text, bytes) else str(text) for text in column]
