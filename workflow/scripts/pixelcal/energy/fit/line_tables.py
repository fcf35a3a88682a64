"""The tabulated lines of a group at the resolution and the tail of a pixel, compiled."""

from __future__ import annotations

from pixelcal.energy.response.line_shape import tail_law
from pixelcal.energy.response.tables import LOG_RESOLUTION_NODES
from pixelcal.numerics.jit import njit
from pixelcal.numerics.splines import mix_nodes, spline_weights

_LOG_RESOLUTION_START = float(LOG_RESOLUTION_NODES[0])
_LOG_RESOLUTION_STEP = float(LOG_RESOLUTION_NODES[1] - LOG_RESOLUTION_NODES[0])
_N_RESOLUTION = len(LOG_RESOLUTION_NODES)

N_ROWS = 15
"""Rows of what `at_resolution` fills; the last one is room."""

_tail_law = njit(tail_law)


@njit
def at_resolution(table, log_resolution, tail, low, high, out, n_orders=3):
    """Interpolate the nodes `low` to `high` of a group's tables to a resolution, with a tail.

    Rows of `out`: cumulative and density; their first, and their second derivatives against the
    logarithm of the resolution (`n_orders` of three); then the derivatives of all of these against
    the `tail`; second derivatives of the first two against it, unless the tail is linear.
    """
    u = (log_resolution - _LOG_RESOLUTION_START) / _LOG_RESOLUTION_STEP
    i = min(max(int(u) - 1, 0), _N_RESOLUTION - 4)
    weights = spline_weights(u - i - 1.0)
    weights[1] /= _LOG_RESOLUTION_STEP
    weights[2] /= _LOG_RESOLUTION_STEP**2
    for row in range(2):
        square = out[14, low:high]
        for order in range(n_orders):
            w, of_order = weights[order], 2 * order + row
            target, of_tail = out[of_order, low:high], out[6 + of_order, low:high]
            mix_nodes(table, row, i, low, high, w, target)
            mix_nodes(table, 2 + row, i, low, high, w, of_tail)
            if table.shape[1] > 4:
                mix_nodes(table, 4 + row, i, low, high, w, square)
                twice = out[12 + row, low:high] if order == 0 else square
                _add_tail(tail, target, of_tail, square, twice)
            else:
                for k in range(high - low):
                    target[k] += tail * of_tail[k]


@njit
def with_tail(table, tail, low, high, out):
    """Nodes `low` to `high` of what lines leave below their block, as rows of `at_resolution`.

    Those without the resolution: so far from a line it does not matter. `table` is one of
    `Templates.reach`.
    """
    for row in range(2):
        target, of_tail = out[row, low:high], out[6 + row, low:high]
        target[:] = table[row, low:high]
        of_tail[:] = table[2 + row, low:high]
        if table.shape[0] > 4:
            _add_tail(tail, target, of_tail, table[4 + row, low:high], out[12 + row, low:high])
        else:
            target += tail * of_tail


@njit
def _add_tail(tail, value, of_tail, square, twice):
    """Add a tail to what is there without; `of_tail` and `twice` become its derivatives; in place.

    (n,) each: the terms of `response.line_shape.tail_terms`, and room.
    """
    law, law_2, slope, slope_2, bend, bend_2 = _tail_law(tail)
    for k in range(value.shape[0]):
        first, second = of_tail[k], square[k]
        value[k] += law * first + law_2 * second
        of_tail[k] = slope * first + slope_2 * second
        twice[k] = bend * first + bend_2 * second
