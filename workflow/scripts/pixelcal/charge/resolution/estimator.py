"""Charge resolution of one run: bias, spread and resolution with errors.

D is the extracted minus the expected charge of a pixel and flash, Q the mean expected charge, all
in p.e.; <> runs over pixels and flashes.

    resolution^2 = (<D^2> + E) / Q^2 = bias^2 + spread^2
    bias = <D> / Q,   spread^2 = within^2 + between^2

`within` is what flashes scatter in a pixel, `between` how the means of the pixels differ. Two
conventions, never mixed:

- lab: the expected charge is one number for the run, measured photons times PDE. The fluctuations
  of the light are in D, and E = 0.
- simulation: the true number of photoelectrons of each flash and pixel is known. It takes the
  fluctuations of the light out of D, and E = Q puts the Poisson ones back.

With Poisson light both measure the same.

Errors: all pixels of a flash see the same light, flashes are independent. So the flash is the unit:
each number is a smooth function of means over flashes of one value a flash (the mean over its
pixels), and its error follows from the scatter of its influence over the flashes (delta method),
whatever correlates the pixels. The pixels are the camera, not a sample of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

BLOCK_PIXELS = 64
"""Pixels that are converted at once; sums run in this order whatever the computer."""

MIN_FLASHES = 10
"""Fewer flashes tell no error."""

QUANTITIES = ("RESOLUTION", "BIAS", "SPREAD", "WITHIN", "BETWEEN")


class RunResolution(NamedTuple):
    """Numbers of one run.

    Attributes
    ----------
    pixels : dict of (n_pixels,) float
        MEAN_PE, EXPECTED, RESOLUTION, BIAS, SPREAD of each pixel with standard errors ..._ERR; NaN
        where a charge is not finite or there is no expected charge.
    cameras : dict of dict of float
        For each selection of pixels by name: N_PIXELS, EXPECTED, MEAN_PE and the `QUANTITIES` with
        standard errors ..._ERR.
    histogram : (n_bins,) int
        Charges of the first selection in bins of `charge_edges`; ends hold what lies beyond.
    """

    pixels: dict[str, np.ndarray]
    cameras: dict[str, dict[str, float]]
    histogram: np.ndarray


def charge_edges(bins_per_decade=40, lowest_decade=-1, highest_decade=4) -> np.ndarray:
    """Edges (p.e.) of the logarithmic bins in which extracted charges are counted."""
    n_bins = bins_per_decade * (highest_decade - lowest_decade)
    return 10.0 ** (lowest_decade + np.arange(n_bins + 1) / bins_per_decade)


def edges_around(charge: np.ndarray) -> np.ndarray:
    """Edges (n + 1,) half way between rising charges on a logarithmic axis."""
    place = np.log(charge)
    if len(place) == 1:
        return np.exp(place[0] + np.array([-0.2, 0.2]))
    middle = (place[1:] + place[:-1]) / 2
    ends = 2 * place[0] - middle[0], 2 * place[-1] - middle[-1]
    return np.exp(np.concatenate([ends[:1], middle, ends[1:]]))


def measure_run(
    charge_pe: Callable[[slice], np.ndarray],
    expected_pe: float | np.ndarray,
    convention: str,
    selections: Mapping[str, np.ndarray],
) -> RunResolution:
    """Bias, spread and resolution of a run.

    Parameters
    ----------
    charge_pe : function of a slice of the pixels
        Gives their extracted charges (n, n_flashes) in p.e.
    expected_pe : float, or (n_pixels, n_flashes)
        One number (lab), or the true photoelectrons of each flash (simulation).
    convention : str
        `lab` or `simulation`.
    selections : dict of (n_pixels,) bool
        The pixels to pool, by name; those with a charge that is not finite are left out. The first
        fills the histogram.
    """
    n_pixels = len(next(iter(selections.values())))
    sums = {name: _Pool() for name in selections}
    pixels: dict[str, list[np.ndarray]] = {}
    edges = charge_edges()
    histogram = np.zeros(len(edges) - 1, np.int64)
    poisson = convention == "simulation"
    first = next(iter(selections))
    for start in range(0, n_pixels, BLOCK_PIXELS):
        rows = slice(start, min(start + BLOCK_PIXELS, n_pixels))
        extracted = charge_pe(rows)
        true = np.asarray(expected_pe if np.ndim(expected_pe) == 0 else expected_pe[rows], float)
        true = np.broadcast_to(true, extracted.shape)
        known = np.isfinite(extracted).all(axis=1) & np.isfinite(true).all(axis=1)
        for name, values in _pixel_numbers(extracted, true, poisson).items():
            pixels.setdefault(name, []).append(values)
        for name, chosen in selections.items():
            use = known & chosen[rows]
            sums[name].add(extracted[use], true[use])
            if name == first:
                inside = np.clip(extracted[use], edges[0], np.nextafter(edges[-1], 0))
                histogram += np.histogram(inside, edges)[0]
    cameras = {name: pool.numbers(poisson) for name, pool in sums.items()}
    return RunResolution(
        {name: np.concatenate(parts) for name, parts in pixels.items()}, cameras, histogram
    )


class _Pool:
    """Sums over pixels of what each flash gives."""

    def __init__(self) -> None:
        self.n_pixels = 0
        self.true = self.off = self.square = self.inner = self.cross = 0.0
        self.means: list[np.ndarray] = []

    def add(self, extracted: np.ndarray, true: np.ndarray) -> None:
        """Some more pixels, (n, n_flashes) each."""
        off = extracted - true
        mean = off.mean(axis=1, keepdims=True)
        self.n_pixels += len(off)
        self.true = self.true + true.sum(axis=0)
        self.off = self.off + off.sum(axis=0)
        self.square = self.square + (off**2).sum(axis=0)
        self.inner = self.inner + ((off - mean) ** 2).sum(axis=0)
        self.cross = self.cross + (mean * off).sum(axis=0)
        self.means.append(mean[:, 0])

    def numbers(self, poisson: bool) -> dict[str, float]:
        """N_PIXELS, EXPECTED, MEAN_PE, and the `QUANTITIES` with their errors."""
        if not self.n_pixels:
            empty = dict.fromkeys(("EXPECTED", "MEAN_PE", *_with_errors(QUANTITIES)), np.nan)
            return {"N_PIXELS": 0} | empty
        true, off, square, inner, cross = (
            v / self.n_pixels for v in (self.true, self.off, self.square, self.inner, self.cross)
        )
        numbers = _numbers(true, off, square, poisson)
        q = true.mean()
        numbers |= _root("WITHIN", inner.mean(), inner, true, poisson)
        # Twice the scatter of (mean of the pixel minus that of the camera) times D over the pixels.
        between = np.var(np.concatenate(self.means))
        numbers |= _root("BETWEEN", between, 2 * (cross - off.mean() * off), true, False)
        values = {name: float(value) for name, value in numbers.items()}
        return {"N_PIXELS": self.n_pixels, "EXPECTED": float(q)} | values


def _pixel_numbers(extracted: np.ndarray, true: np.ndarray, poisson: bool) -> dict:
    """The numbers of each pixel (n,) from its flashes (n, n_flashes)."""
    off = extracted - true
    numbers = {"EXPECTED": true.mean(axis=1), **_numbers(true, off, off**2, poisson)}
    return numbers


def _numbers(true, off, square, poisson: bool) -> dict:
    """MEAN_PE, RESOLUTION, BIAS, SPREAD and errors from one value a flash, along the last axis."""
    q, shift = true.mean(axis=-1), off.mean(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = shift / q
        influence = off / q[..., None] - (shift / q**2)[..., None] * true
    return {
        "MEAN_PE": q + shift,
        "BIAS": np.where(q > 0, bias, np.nan),
        "BIAS_ERR": np.where(q > 0, _standard_error(influence), np.nan),
        **_root("RESOLUTION", square.mean(axis=-1), square, true, poisson),
        **_root(
            "SPREAD",
            square.mean(axis=-1) - shift**2,
            square - 2 * shift[..., None] * off,
            true,
            poisson,
        ),
    }


def _root(name: str, variance, influence, true, poisson: bool) -> dict:
    """sqrt(variance + E) / Q and its error.

    `influence` and `true` have one value a flash along the last axis: of the variance, and of Q.
    """
    q = true.mean(axis=-1)
    extra = q if poisson else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.sqrt(np.maximum(variance + extra, 0.0)) / q
        total = influence + (true if poisson else 0.0)
        total = total / (q**2)[..., None] - true * (2 * (variance + extra) / q**3)[..., None]
        error = _standard_error(total) / (2 * value)
    return {
        name: np.where(q > 0, value, np.nan),
        f"{name}_ERR": np.where((q > 0) & (value > 0), error, np.nan),
    }


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Standard error of the mean along the last axis; NaN for fewer than `MIN_FLASHES`."""
    n = values.shape[-1]
    if n < MIN_FLASHES:
        return np.full(values.shape[:-1], np.nan)
    return values.std(axis=-1, ddof=1) / np.sqrt(n)


def _with_errors(names) -> list[str]:
    return [full for name in names for full in (name, f"{name}_ERR")]
