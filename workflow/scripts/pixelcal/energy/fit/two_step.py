"""The two-step fit: line centroids on lmfit, then a straight line through them. The baseline.

This is the method of the code that pixelcal follows (S. Guillot, SVOM-Gain-Offset), kept as what
a new method is measured against, defects included:

1. Every block of the line table is a straight continuum plus Gaussians, taken at the centres of
   the channels, with free heights, one common centroid shift and one common width. All blocks of
   a pixel go through one lmfit `least_squares`, residuals weighted by 1/sqrt(max(counts, 1)).
2. A straight line, weighted by the centroid errors, through (line energy, centroid channel).
   Lines are left out where the reduced chi-square of their block is above a limit, or where they
   stand further than `tolerance_sigma` centroid errors from the relation known before.

Known defects, on purpose: the centroids of one block are tied and yet enter step 2 as if
independent, so errors come out too small; chi-square is biased where channels hold few counts;
the better the statistics, the more a small error of the prior, or of the shape of the model,
looks like an outlier. Where only one block is left the gain is the prior's.

Differences, on purpose: a pixel never raises an exception, it gets a STATUS; empty channels do
not divide by zero; the correlation of gain and offset is propagated; lines of one element that
the detector cannot tell apart are one line with their intensity ratio fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lmfit
import numpy as np
from scipy.stats import chi2

from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import position
from pixelcal.energy.response.line_shape import FWHM_PER_SIGMA
from pixelcal.status import EnergyStatus

FWHM_REFERENCE_KEV = 60.0
SIGMA_RANGE = (0.5, 1.5)
"""Limits of the fitted width, in units of its start."""
HEIGHT_LIMIT = 1.5
"""Limit of the fitted line heights, in units of the highest channel of the pixel."""
MAX_EVALUATIONS = 20_000
AT_LIMIT_FRACTION = 1e-3
"""A parameter closer to its limit than this fraction of its range is at the limit."""


@dataclass(frozen=True)
class TwoStepOptions:
    """Options of the method; their defaults stand in the schema of the configuration.

    Attributes
    ----------
    line_fwhm_keV : float
        Start of the line width; lines of one element closer than half of it are one line.
    tolerance_sigma : float
        Lines further than this many centroid errors from the prior relation are left out.
    block_chi_square_limit : float
        Lines of blocks with a larger reduced chi-square are left out.
    min_counts : int
        Pixels with fewer counts in the blocks are not fitted.
    pvalue_limit : float
        Below it the fit of a pixel is called poor.
    """

    line_fwhm_keV: float
    tolerance_sigma: float
    block_chi_square_limit: float
    min_counts: int
    pvalue_limit: float


def two_step_options(settings: Mapping) -> TwoStepOptions:
    """The options from the section `fit` of the configuration."""
    common = {name: settings[name] for name in ("min_counts", "pvalue_limit")}
    return TwoStepOptions(**settings["two_step"], **common)


@dataclass(frozen=True)
class LineGroup:
    """Lines of one element that are fitted with one height.

    Attributes
    ----------
    block : int
    energies_keV, fractions : (n_lines,) float
        `fractions` of the height, which add up to one.
    """

    block: int
    energies_keV: np.ndarray
    fractions: np.ndarray

    @property
    def energy_keV(self) -> float:
        """Intensity-weighted mean energy: where the centroid of the group is."""
        return float(self.energies_keV @ self.fractions)


@dataclass(frozen=True)
class _Block:
    """One block of one pixel: data, and where the prior relation puts the lines.

    `x` (n,) are channel centres; `positions` and `fractions` (n_lines,) belong to the single lines,
    `group` (n_lines,) says which height they have in common.
    """

    index: int
    x: np.ndarray
    counts: np.ndarray
    positions: np.ndarray
    fractions: np.ndarray
    group: np.ndarray
    shift_limits: tuple[float, float]

    @property
    def n_groups(self) -> int:
        return int(self.group[-1]) + 1

    @property
    def n_parameters(self) -> int:
        return 4 + self.n_groups

    @property
    def fittable(self) -> bool:
        # A block with fewer channels, or counts, than parameters has no centroid error, and with
        # it the fit of all the blocks has none.
        return min(len(self.x), self.counts.sum()) > self.n_parameters

    @property
    def middle(self) -> float:
        return float(self.x.mean())


def line_groups(table: LineTable, line_fwhm_keV: float) -> list[LineGroup]:
    """Join lines of one element and block that are closer than half of `line_fwhm_keV`.

    Returned in the order of block and energy.
    """
    key = list(zip(table.block, table.element, table.energy_keV, strict=True))
    members: list[list[int]] = []
    for i in sorted(range(table.n_lines), key=key.__getitem__):
        block, element, energy = key[i]
        last = key[members[-1][-1]] if members else None
        if last and last[:2] == (block, element) and energy - last[2] < line_fwhm_keV / 2:
            members[-1].append(i)
        else:
            members.append([i])
    groups = [
        LineGroup(
            int(table.block[lines[0]]),
            table.energy_keV[lines],
            table.intensity[lines] / table.intensity[lines].sum(),
        )
        for lines in members
    ]
    return sorted(groups, key=lambda group: (group.block, group.energy_keV))


def relation_from_centroids(energy_keV, centroid, centroid_err, scale_errors):
    """Gain and offset from the weighted straight line centroid = (energy - offset) / gain.

    Parameters
    ----------
    energy_keV, centroid, centroid_err : (n,) float, keV and channels; n >= 2, energies that differ
    scale_errors : bool
        Multiply the covariance by chi-square per degree of freedom (n > 2), as
        `scipy.optimize.curve_fit` does unless told that sigma is absolute.

    Returns
    -------
    gain, offset : float, keV/channel and keV
    covariance : (2, 2) float
        Of (gain, offset). The line is fitted about the weighted mean energy, where slope and
        height are uncorrelated, and propagated to first order to gain = 1 / slope and
        offset = mean energy - gain * mean centroid.
    """
    weight = 1 / centroid_err**2
    mean_energy = weight @ energy_keV / weight.sum()
    mean_centroid = weight @ centroid / weight.sum()
    distance = energy_keV - mean_energy
    slope = weight @ (distance * centroid) / (weight @ distance**2)
    slope_var = 1 / (weight @ distance**2)
    mean_var = 1 / weight.sum()
    if scale_errors:
        residual = (centroid - mean_centroid - slope * distance) / centroid_err
        scale = residual @ residual / (len(energy_keV) - 2)
        slope_var, mean_var = slope_var * scale, mean_var * scale
    gain = 1 / slope
    gain_var = gain**4 * slope_var
    cov = -mean_centroid * gain_var
    offset_var = gain**2 * mean_var + mean_centroid**2 * gain_var
    covariance = np.array([[gain_var, cov], [cov, offset_var]])
    return gain, mean_energy - gain * mean_centroid, covariance


def fit_two_step(
    counts: np.ndarray,
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    options: TwoStepOptions,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Fit every pixel by itself; no pixel raises, and none depends on another.

    Parameters
    ----------
    counts : (n, 1024) int
    detnum : (n,) int
    gain, offset : (n,) float or float, keV/channel and keV
        The prior relation.
    table : LineTable
    options : TwoStepOptions
    progress : callable, optional
        Called with (pixels done, pixels in all) after each pixel.

    Returns
    -------
    (n,) array of `fit.columns.FIT_DTYPE`
        COUNTS are those in the blocks. STAT and DOF are of step 1, over all blocks; PVALUE is the
        chi-square tail, rough where channels hold few counts; NITER counts evaluations of the
        model; FWHM_60 is the width of the block nearest 60 keV. The covariance is that of the
        straight line (see above: too small). STATUS: TOO_FEW_COUNTS; NOT_CONVERGED where the
        prior is unusable, lmfit fails or fewer than two lines are left; LINE_MISSING where lines
        were left out; AT_LIMIT where the shift or the width of a block in use is at its limit;
        POOR_FIT by `pvalue_limit`.

    Raises
    ------
    ValueError
        Where the shapes of the arguments do not agree.
    """
    counts = np.asarray(counts)
    n_pixels = len(detnum)
    if counts.ndim != 2 or len(counts) != n_pixels:
        raise ValueError(f"counts has the shape {counts.shape}, not ({n_pixels}, channels)")
    gain = np.broadcast_to(gain, n_pixels)
    offset = np.broadcast_to(offset, n_pixels)
    groups = line_groups(table, options.line_fwhm_keV)
    rows = empty_fits(np.asarray(detnum))
    for i in range(n_pixels):
        _fit_pixel(rows[i], counts[i], float(gain[i]), float(offset[i]), table, groups, options)
        if progress is not None:
            progress(i + 1, n_pixels)
    return rows


def _fit_pixel(row, counts, gain, offset, table, groups, options) -> None:
    """Both steps for one pixel; fills `row`."""
    if not (np.isfinite(gain) and gain > 0 and np.isfinite(offset)):
        row["STATUS"] |= EnergyStatus.NOT_CONVERGED
        return
    blocks = cut_blocks(counts, gain, offset, table, groups)
    row["COUNTS"] = sum(block.counts.sum() for block in blocks)
    if row["COUNTS"] < options.min_counts:
        row["STATUS"] |= EnergyStatus.TOO_FEW_COUNTS
        return
    blocks = [block for block in blocks if block.fittable]
    result = fit_blocks(blocks, counts.max(), options.line_fwhm_keV / gain) if blocks else None
    if result is None:
        row["STATUS"] |= EnergyStatus.NOT_CONVERGED
        return
    row["STAT"], row["DOF"], row["NITER"] = result.chisqr, result.nfree, result.nfev
    row["PVALUE"] = chi2.sf(result.chisqr, result.nfree)
    if row["PVALUE"] < options.pvalue_limit:
        row["STATUS"] |= EnergyStatus.POOR_FIT
    used = [block for block in blocks if _usable(block, result, options)]
    lines = [group for group in groups if group.block in {block.index for block in used}]
    if len(lines) < len(groups):
        row["STATUS"] |= EnergyStatus.LINE_MISSING
    if not result.success or len(lines) < 2:
        row["STATUS"] |= EnergyStatus.NOT_CONVERGED
        return
    if any(_at_limit(block, result) for block in used):
        row["STATUS"] |= EnergyStatus.AT_LIMIT
    _fit_relation(row, lines, used, result, gain, offset)
    if np.isfinite(row["GAIN"]):
        closest_keV = np.clip(FWHM_REFERENCE_KEV, *table.block_limits_keV.T)
        distance = np.abs(closest_keV - FWHM_REFERENCE_KEV)
        nearest = min(blocks, key=lambda block: distance[block.index])
        sigma = result.params[f"sigma_{nearest.index}"].value
        row["FWHM_60"] = FWHM_PER_SIGMA * sigma * row["GAIN"]


def _fit_relation(row, lines, used, result, gain, offset) -> None:
    """Step 2: the straight line through the centroids of `lines`; fills `row`."""
    energy = np.array([group.energy_keV for group in lines])
    shift = np.array([result.params[f"shift_{group.block}"].value for group in lines])
    error = np.array([result.params[f"shift_{group.block}"].stderr for group in lines])
    # Lines of one block lie on a straight line by construction: their scatter says nothing.
    scale_errors = len(used) > 1 and len(lines) > 2
    new_gain, new_offset, covariance = relation_from_centroids(
        energy, position(energy, gain, offset) + shift, error, scale_errors
    )
    if not new_gain > 0:
        row["STATUS"] |= EnergyStatus.NOT_CONVERGED
        return
    row["GAIN"], row["OFFSET"] = new_gain, new_offset
    row["GAIN_ERR"], row["OFFSET_ERR"] = np.sqrt(np.diag(covariance))
    row["GAIN_OFFSET_COV"] = covariance[0, 1]


def cut_blocks(counts, gain, offset, table, groups) -> list[_Block]:
    """The blocks of one pixel, cut out by the prior relation."""
    centres = np.arange(len(counts)) + 0.5
    energy = gain * centres + offset
    blocks = []
    for index, limits in enumerate(table.block_limits_keV):
        inside = (energy >= limits[0]) & (energy < limits[1])
        of_block = [group for group in groups if group.block == index]
        positions = [position(group.energies_keV, gain, offset) for group in of_block]
        first = position(of_block[0].energy_keV, gain, offset)
        block = _Block(
            index=index,
            x=centres[inside],
            counts=counts[inside].astype(float),
            positions=np.concatenate(positions),
            fractions=np.concatenate([group.fractions for group in of_block]),
            group=np.repeat(np.arange(len(of_block)), [len(lines) for lines in positions]),
            shift_limits=tuple(position(limits, gain, offset) - first),
        )
        blocks.append(block)
    return blocks


def fit_blocks(blocks: list[_Block], highest: float, fwhm: float):
    """Step 1: all blocks in one lmfit `least_squares`; None where it fails. `fwhm` in channels."""
    parameters = lmfit.Parameters()
    for block in blocks:
        _add_parameters(parameters, block, highest, fwhm / FWHM_PER_SIGMA)

    def residuals(parameters):
        values = parameters.valuesdict()
        return np.concatenate([_residuals(block, values) for block in blocks])

    try:
        return lmfit.minimize(residuals, parameters, "least_squares", max_nfev=MAX_EVALUATIONS)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        # What lmfit and scipy raise where the numbers of one pixel lead nowhere.
        return None


def _add_parameters(parameters, block: _Block, highest: float, sigma: float) -> None:
    """Start and limits, as the original sets them: a continuum through the two end channels."""
    i = block.index
    slope = (block.counts[-1] - block.counts[0]) / (block.x[-1] - block.x[0])
    level = (block.counts[0] + block.counts[-1]) / 2
    low, high = block.shift_limits
    parameters.add(f"level_{i}", value=level)
    parameters.add(f"slope_{i}", value=slope)
    parameters.add(f"shift_{i}", value=0.0, min=low, max=high)
    narrow, wide = (factor * sigma for factor in SIGMA_RANGE)
    parameters.add(f"sigma_{i}", value=sigma, min=narrow, max=wide)
    for j in range(block.n_groups):
        lines = block.group == j
        peak = block.positions[lines] @ block.fractions[lines]
        continuum = level + slope * (peak - block.middle)
        height = abs(np.interp(peak, block.x, block.counts) - continuum)
        limit = HEIGHT_LIMIT * highest
        parameters.add(f"height_{i}_{j}", value=min(height, limit), min=0.0, max=limit)


def model_counts(block: _Block, values) -> np.ndarray:
    """Counts that the parameters predict at the channel centres of the block, (n,)."""
    i = block.index
    heights = np.array([values[f"height_{i}_{j}"] for j in range(block.n_groups)])
    centroids = block.positions + values[f"shift_{i}"]
    z = (block.x[:, None] - centroids) / values[f"sigma_{i}"]
    continuum = values[f"level_{i}"] + values[f"slope_{i}"] * (block.x - block.middle)
    return continuum + np.exp(-0.5 * z**2) @ (block.fractions * heights[block.group])


def _residuals(block: _Block, values) -> np.ndarray:
    """Weighted residuals of the channels of the block, (n,)."""
    return (block.counts - model_counts(block, values)) / np.sqrt(np.maximum(block.counts, 1))


def _usable(block: _Block, result, options: TwoStepOptions) -> bool:
    """Whether the lines of the block enter step 2; tied lines do so together."""
    shift = result.params[f"shift_{block.index}"]
    if shift.stderr is None or not np.isfinite(shift.stderr) or shift.stderr <= 0:
        return False
    statistic = np.sum(_residuals(block, result.params.valuesdict()) ** 2)
    reduced = statistic / (len(block.x) - block.n_parameters)
    distant = abs(shift.value) > options.tolerance_sigma * shift.stderr
    return reduced <= options.block_chi_square_limit and not distant


def _at_limit(block: _Block, result) -> bool:
    """Whether the shift or the width of the block is at one of its limits."""
    for name in (f"shift_{block.index}", f"sigma_{block.index}"):
        fitted = result.params[name]
        margin = min(fitted.value - fitted.min, fitted.max - fitted.value)
        if margin < AT_LIMIT_FRACTION * (fitted.max - fitted.min):
            return True
    return False
