"""What would explain where the lines stand in the stack: bent relations, or energies of an element.

Straight relations and the right line table leave every line of the stack at its energy, but for a
common stretch and shift. Each explanation alone is held against that: by how much it would lower
chi-square of the stack, everything else free (a likelihood-ratio test, of one degree of freedom, to
first order in how far lines are off). With few blocks of lines several can explain the same, and
only what else is known of the camera decides between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pixelcal.energy.lines import LineTable, elements_of
from pixelcal.energy.response.energy_scale import LOW_PRIOR_SIGMA_KEV, element_energy_sigma
from pixelcal.energy.response.model import Explanation, Response
from pixelcal.numerics.model_averaging import averaged_square

TOLD_GAIN, TOLD_KEV = 25.0, 0.025
"""What is told: chi-square would be lower by so much (5 sigma), and lines are off by so much, more
than a response that is not exact makes them."""

NEARLY_AS_GOOD = 0.5
"""Told with it: what lowers chi-square by at least this part of what the best does."""

WORDS = {
    "quadratic": "relations that bend, {} keV above straight ones in the middle of the lines"
    " (fit.bend: quadratic)",
    "low": "relations that bend at low energy, {} keV at the lowest line (fit.bend: low)",
}
OF_ELEMENT = "lines of {} at {} keV above the line table (fit.free_elements: [{}])"


def told(found: Sequence[Explanation]) -> str:
    """A sentence on where lines stand, or nothing where they stand well enough."""
    large = [one for one in found if one.gain > TOLD_GAIN and abs(one.value) > TOLD_KEV]
    if not large:
        return ""
    likely = [one for one in found if one.gain >= NEARLY_AS_GOOD * large[0].gain]
    words = " or ".join(f"{_words(one)}, chi-square lower by {one.gain:.0f}" for one in likely)
    return (
        "The lines of all pixels together are not where straight relations and the line table"
        f" put them; {words}, would explain it. It is in the systematic uncertainty."
    )


def _words(one: Explanation) -> str:
    """An explanation in words, with the key that fits it."""
    size = f"{one.value:+.3f} ± {one.err:.3f}"
    return (
        WORDS[one.what].format(size)
        if one.what in WORDS
        else OF_ELEMENT.format(one.what, size, one.what)
    )


def low_bend(response: Response, table: LineTable) -> float:
    """Bend of all relations at low energy that is not known: its root mean square (keV) at the
    lowest line of the table; 0 where nobody looked.

    The lowest lines stand where they do because relations bend, or because the table has them
    there: their element is as uncertain as `element_energy_sigma` says. Both are equally probable
    beforehand (Bayesian model averaging). Where the bend is fitted, it is the error of that.
    """
    elements, of_line = elements_of(table)
    known = response.nuisance_covariance
    if known is not None and len(known) > 1 + len(elements):
        return float(np.sqrt(known[-1, -1]))
    low = next((one for one in response.explanations if one.what == "low"), None)
    if low is None:
        return 0.0
    of_lowest = element_energy_sigma(table)[of_line[np.argmin(table.energy_keV)]]
    error = float(np.hypot(low.err, of_lowest))
    return averaged_square(abs(low.value) / error, error, LOW_PRIOR_SIGMA_KEV) ** 0.5


def explanations(fit, theta: np.ndarray, weights: np.ndarray) -> tuple[Explanation, ...]:
    """Each explanation, the best first; none of what is fitted already.

    Parameters
    ----------
    fit : stack_fit.StackFit
    theta : (n,) float
        Its parameters where it is solved.
    weights : (n bins,) float
    """
    wider = replace(fit, terms=fit.terms._replace(low=True))
    theta = theta if fit.terms.low else np.append(theta, 0.0)
    elements, _ = elements_of(fit.table)
    names = ["quadratic", *elements, "low"]
    fitted = {"quadratic": fit.terms.quadratic, "low": fit.terms.low}
    fitted |= {element: element in fit.terms.free_elements for element in elements}
    tested = [fit.bend + k for k, name in enumerate(names) if not fitted[name]]
    others = np.setdiff1d(np.arange(len(theta)), tested)
    # Without the priors of what is tested: chance alone is to be beaten.
    rows = np.setdiff1d(np.arange(len(weights) + len(theta)), len(weights) + np.array(tested))
    columns = wider.jacobian(theta, weights)[rows]
    residuals = wider.residuals(theta, weights)[rows] - columns[:, tested] @ theta[tested]
    basis, _ = np.linalg.qr(columns[:, others])
    residuals -= basis @ (basis.T @ residuals)
    found = []
    for place in tested:
        column = columns[:, place] - basis @ (basis.T @ columns[:, place])
        information, score = column @ column, -column @ residuals
        if information > 0.0:
            name = names[place - fit.bend]
            factor = {"quadratic": 0.25, "low": -1.0}.get(name, 1.0)
            value, err = factor * score / information, abs(factor) / np.sqrt(information)
            gain = float(score**2 / information)
            found.append(Explanation(name, float(value), float(err), gain))
    return tuple(sorted(found, key=lambda one: -one.gain))
