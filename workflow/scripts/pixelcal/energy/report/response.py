"""The report's view of the learnt response: the stack of the whole camera against its model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.energy.kinds import kinds_of
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import relation_covariance
from pixelcal.energy.report.products import Products
from pixelcal.energy.response.line_shape import LineShape, escape_peaks, line_cdf
from pixelcal.energy.response.model import Response, continuum_integrals, placed
from pixelcal.energy.response.scale_tests import told
from pixelcal.energy.response.stack import stack_blocks, stack_edges
from pixelcal.report.frame import decimals
from pixelcal.report.numbers import with_error

SHAPE_ROWS = (
    ("FWHM of the core at 10 keV", "fwhm_10", "{:.3f} keV"),
    ("FWHM of the core at 60 keV", "fwhm_60", "{:.3f} keV"),
    ("Fraction of events in the tail at 60 keV", "tail_60", "{:.3f}"),
    ("Mean loss in the tail, over the energy", "tail_scale", "{:.4f}"),
)


def shape_tables(exposure: Products) -> list[tuple[str, str]]:
    """`shape_table` of each kind of pixel, one after the other; the kind before the name."""
    rows = []
    for kind, response in exposure.responses.items():
        before = f"{kind} pixels: " if kind else ""
        of_kind = shape_table(response, exposure.lines.block_names)
        rows += [(before + words, value) for words, value in of_kind]
    return rows


def shape_table(response: Response, block_names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of the parameters of the line shape, how well the stack is described, whether
    the learning converged, and how the energy scale bends, where the response says so.
    """
    shape = response.shape
    rows = [(words, form.format(getattr(shape, name))) for words, name, form in SHAPE_ROWS]
    for escape, probability in zip(shape.material.escapes, shape.escape, strict=True):
        words = f"Escape probability at the {escape.element} K edge"
        rows.append((words, f"{probability:.4f}"))
    rows.append(("Energy of one absorption length", f"{shape.absorption_keV:.1f} keV"))
    if np.isfinite(response.chi_square):
        rows.append(("Chi-square of the stack it was learnt from", f"{response.chi_square:.0f}"))
        rows.append(("Degrees of freedom", f"{response.dof}"))
    if response.converged is not None:
        yes = "yes" if response.converged else "no"
        rows.append(("Learning (EM) converged", f"{yes}, {_iterations(response)}"))
    return rows + _energy_scale_rows(response, block_names)


def _energy_scale_rows(response: Response, block_names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of the bend of the relations and of the shift of each block, where known."""
    measured = []
    if response.curve is not None:
        err = response.bend_err / 4.0 if response.curve.middle else np.nan
        words = "Fitted bend of all relations, in the middle of the lines"
        measured.append((words, response.curve.middle, err))
        measured.append(("The same at the lowest line", response.curve.low, np.nan))
    elif np.isfinite(response.bend):
        words = "Bend of all relations, in the middle of the lines"
        # The coefficient is four times what a relation rises there above a straight one.
        measured.append((words, response.bend / 4.0, response.bend_err / 4.0))
    if response.block_shift is not None:
        names = [f"Lines of block {name}, by the relation of the others" for name in block_names]
        shifts = zip(names, response.block_shift, response.block_shift_err, strict=True)
        measured += [row for row in shifts if np.isfinite(row[1])]
    return [(words, with_error(value, error, "{:+.3f}", "keV")) for words, value, error in measured]


def warnings(exposure: Products) -> list[str]:
    """A sentence where the learning of the response is known not to have converged, and where lines
    are not where they should be."""
    response = exposure.response
    if response is None:
        return []
    positions = [words] if (words := told(response.explanations)) else []
    if response.converged is None or response.converged:
        return positions
    return positions + [
        f"The learning of the response (EM) has not converged: {_iterations(response)}; all pixels"
        " are fitted with its line shape."
    ]


def _iterations(response: Response) -> str:
    n = response.iterations
    return f"{n} iteration{'' if n == 1 else 's'}"


def stack(exposure: Products) -> dict | None:
    """Stacked spectra of the good pixels, with the response that they should follow.

    Where no pixel is good, of those with a valid fit.

    Of several kinds of pixels the most frequent one.

    The response is scaled by one factor, that of all counts, to the pixels stacked here.

    Returns
    -------
    dict or None
        `n_pixels`, `scale` and `blocks`: of each `name`, `edges` (keV), `counts`, `model`,
        `continuum` (counts in each bin) and `residuals` in units of sqrt(model). None without a
        response or a good pixel.
    """
    kinds = kinds_of(exposure.relation)
    of_kind = kinds == next(iter(exposure.responses), "")
    good = (exposure.status == 0) & of_kind
    good = good if good.any() else exposure.has_valid_fit & of_kind
    if exposure.response is None or not good.any():
        return None
    gain, offset = exposure.column("GAIN")[good], exposure.column("OFFSET")[good]
    counts = np.asarray(exposure.spectra["COUNTS"])[good]
    edges = stack_edges(exposure.lines)
    # As in learning: over all relations that the fits leave possible.
    covariance = relation_covariance(exposure.relation[good])
    data = stack_blocks(counts, gain, offset, edges, covariance)
    parts = [
        stack_model(exposure.response, exposure.lines, block, e, float(gain.mean()))
        for block, e in enumerate(edges)
    ]
    expected = sum(float(total.sum()) for total, _ in parts)
    if expected <= 0:
        return None
    scale = sum(float(part.sum()) for part in data) / expected
    blocks = []
    for name, e, seen, (total, continuum) in zip(
        exposure.lines.block_names, edges, data, parts, strict=True
    ):
        model = np.maximum(total * scale, 1e-9)
        blocks.append(
            {
                "name": name,
                "edges": decimals(e, 3),
                "counts": decimals(seen, 1),
                "model": decimals(model, 1),
                "continuum": decimals(continuum * scale, 1),
                "residuals": decimals((seen - model) / np.sqrt(model), 2),
            }
        )
    return {"n_pixels": int(good.sum()), "scale": scale / good.sum(), "blocks": blocks}


def stack_model(response: Response, table: LineTable, block: int, edges_keV, gain: float):
    """Counts (m,) of the mean pixel in the bins between `edges_keV` (m + 1,) of a stack.

    Returns the total and the continuum under the lines, escape peaks included in the latter.
    `gain` (keV/channel) is the width of the triangle that a stack is smeared with.
    """
    shape: LineShape = response.shape
    spread = gain**2 / 6.0
    limits = table.block_limits_keV[block]
    continuum = response.continuum[block] @ continuum_integrals(limits, edges_keV, shape)
    options = {"extra_variance": spread, "width": table.width_keV}
    energy_keV = placed(table, response).energy_keV
    escapes = escape_peaks(shape, energy_keV, edges_keV, **options)
    lines = line_cdf(shape, energy_keV, edges_keV, **options)
    continuum = continuum + response.line_strength @ np.diff(escapes, axis=1)
    return continuum + response.line_strength @ np.diff(lines, axis=1), continuum
