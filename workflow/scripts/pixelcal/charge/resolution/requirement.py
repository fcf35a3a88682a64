"""The required charge resolution (CTAO B-TEL-1010), its range, the Poisson limit, and the verdict.

Charges are in photoelectrons (p.e.), night-sky background (NSB) in p.e. per ns and pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np

WINDOW_NS = 15.0
"""Time over which the requirement integrates the background, t_w."""
ELECTRONICS_PE = 0.87
"""Noise of the electronics, n_e (p.e.)."""
EXCESS_NOISE = 0.2
"""Excess noise, ENF: it widens the Poisson fluctuations by 1 + ENF."""
GAIN_SPREAD = 0.1
"""Error of the gain that is common to all charges, sigma_g, as a fraction of the charge."""
DARK_PER_NS = 0.005
"""What the requirement adds to the background (p.e. per ns)."""
RANGE_PHOTONS = (4.0, 4000.0)
RANGE_PDE = 0.25
"""The range of the requirement and the efficiency that it is written with.

The efficiency is part of its definition, as the other constants are: it says at which charges the
requirement holds. What the camera's photons are worth is `charge_resolution.pde` alone.
"""
RANGE_PE = tuple(photons * RANGE_PDE for photons in RANGE_PHOTONS)
"""Charges at which there is a requirement: 1 to 1000 p.e., both included."""

CLEAR_SIGMA = 2.0
"""A run nearer to the requirement than this many standard errors is not clear."""


LEVEL_TOLERANCE, LEAST_TOLERANCE = 0.1, 0.005
"""A run is of a level of background that its own differs from by no more than this fraction, or by
this many p.e. per ns."""


class State(Enum):
    """What can be said of a requirement."""

    MEETS = "meets"
    MISSES = "misses"
    UNCLEAR = "cannot be said"
    NOT_MEASURED = "not measured"


def of_level(nsb_per_ns: np.ndarray, level: float) -> np.ndarray:
    """Whether a run was taken at a level of background; (n,) bool for the runs' own (n,)."""
    with np.errstate(invalid="ignore"):
        off = np.abs(np.asarray(nsb_per_ns, float) - level)
        return off <= max(LEVEL_TOLERANCE * level, LEAST_TOLERANCE)


def levels_of(nsb_per_ns: np.ndarray, required: Sequence[float]) -> list[float]:
    """Levels that requirements are for: those asked for, and those that runs were taken at.

    `nsb_per_ns` (n,) of the runs; NaN is of no level.
    """
    levels = [float(level) for level in required]
    for nsb in np.sort(np.asarray(nsb_per_ns, float)):
        if np.isfinite(nsb) and not any(of_level(nsb, level) for level in levels):
            levels.append(float(nsb))
    return levels


def requirement_formula(charge_pe: np.ndarray, nsb_per_ns: float) -> np.ndarray:
    """Resolution sigma_Q/Q that the formula gives, at any positive charge.

    sqrt((NSB + 0.005) t_w + n_e^2 + (1 + ENF)^2 Q + (sigma_g Q)^2) / Q
    """
    charge = np.asarray(charge_pe, float)
    variance = (
        (nsb_per_ns + DARK_PER_NS) * WINDOW_NS
        + ELECTRONICS_PE**2
        + (1 + EXCESS_NOISE) ** 2 * charge
        + (GAIN_SPREAD * charge) ** 2
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(charge > 0, np.sqrt(variance) / charge, np.nan)


def required_resolution(charge_pe: np.ndarray, nsb_per_ns: float) -> np.ndarray:
    """Largest allowed resolution at `charge_pe`; NaN outside of `RANGE_PE`."""
    charge = np.asarray(charge_pe, float)
    inside = (charge >= RANGE_PE[0]) & (charge <= RANGE_PE[1])
    return np.where(inside, requirement_formula(charge, nsb_per_ns), np.nan)


def poisson_limit(charge_pe: np.ndarray) -> np.ndarray:
    """Resolution of a camera that adds nothing to the fluctuations of the light: 1 / sqrt(Q)."""
    charge = np.asarray(charge_pe, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(charge > 0, 1 / np.sqrt(charge), np.nan)


def verdict(
    charge_pe: Sequence[float],
    resolution: Sequence[float],
    error: Sequence[float],
    nsb_per_ns: float,
) -> dict:
    """At which charges the requirement is met.

    Parameters
    ----------
    charge_pe, resolution, error : (n,) float
        Expected charge of each run, its resolution and standard error; a resolution of NaN is
        not assessed.
    nsb_per_ns : float
        The requirement's; the runs are those that were taken at this level.

    Returns
    -------
    dict
        `nsb_per_ns`; `required` (n,), NaN outside of the range; `meets` (n,) True, False, or None
        for a run that is not assessed; `n_judged` (assessed) and `n_met`; `n_unclear`: nearer to
        the requirement than `CLEAR_SIGMA` standard errors; `met_pe`: stretches of charge, [lowest,
        highest], of neighbouring runs that all meet it; `missed_pe`: charges that do not;
        `worst_ratio`: largest resolution over requirement, `worst_ratio_err` its standard error,
        and `worst_pe`, where; `state`, the value of a `State`: misses where a run clearly does,
        meets where all clearly do, else cannot be said.
    """
    charge, resolution, error = (np.asarray(v, float) for v in (charge_pe, resolution, error))
    required = required_resolution(charge, nsb_per_ns)
    assessed = np.isfinite(required) & np.isfinite(resolution)
    meets = assessed & (resolution <= np.where(assessed, required, np.nan))
    with np.errstate(invalid="ignore"):
        clear = np.abs(resolution - required) >= CLEAR_SIGMA * error
    unclear = assessed & ~clear
    order = [i for i in np.argsort(charge, kind="stable") if assessed[i]]
    stretches: list[list[float]] = []
    before = False
    for i in order:
        if meets[i] and before:
            stretches[-1][1] = float(charge[i])
        elif meets[i]:
            stretches.append([float(charge[i])] * 2)
        before = bool(meets[i])
    worst = max(order, key=lambda i: resolution[i] / required[i], default=None)
    return {
        "nsb_per_ns": float(nsb_per_ns),
        "state": _state(assessed, meets, unclear).value,
        "required": required,
        "meets": [bool(m) if j else None for m, j in zip(meets, assessed, strict=True)],
        "n_judged": int(assessed.sum()),
        "n_met": int(meets.sum()),
        "n_unclear": int(unclear.sum()),
        "met_pe": stretches,
        "missed_pe": [float(charge[i]) for i in order if not meets[i]],
        "worst_ratio": np.nan if worst is None else float(resolution[worst] / required[worst]),
        "worst_ratio_err": np.nan if worst is None else float(error[worst] / required[worst]),
        "worst_pe": np.nan if worst is None else float(charge[worst]),
    }


def _state(assessed: np.ndarray, meets: np.ndarray, unclear: np.ndarray) -> State:
    """The verdict over runs (n,): one that clearly misses decides, then one that is not clear."""
    if (assessed & ~meets & ~unclear).any():
        return State.MISSES
    if unclear.any():
        return State.UNCLEAR
    return State.MEETS if assessed.any() else State.NOT_MEASURED
