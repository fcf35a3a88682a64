"""Which lines could explain what the model does not describe: candidates from a catalogue.

A candidate is a series of lines of one element, K or L, less those that the line table has; or the
escape peaks of an element of the table. Its profile is fitted to the residuals of the camera in all
blocks at once, so that an element whose other lines are not there is no candidate. What the fits
and the response can take up is projected out before: in each block a parabola, the strength of each
line group, and a common stretch and shift of the energies, the width and the tail.

What a candidate does to the energies follows to first order from the same design: it is what of its
profile is taken for a stretch and a shift. Nothing is fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pixelcal.energy.catalogue import Series, series_of
from pixelcal.energy.lines import LineTable, line_groups
from pixelcal.energy.response.line_shape import LineShape, escape_peaks, line_cdf
from pixelcal.energy.results.adequacy import Bins, Region, Residuals

LEAST_SIGMA = 4.0
"""A candidate must be found in the residuals of all blocks with such a significance."""

LEAST_PART, NEARLY_AS_GOOD = 0.3, 0.5
"""It explains at least this part of the excess of the region, and lowers chi-square by at least
this part of what the best candidate does."""

MOST_CANDIDATES = 3

SAME_LINE_KEV, SAME_PLACE_KEV = 0.15, 0.02
"""A line of the catalogue that is nearer to one of the same element in the table, or so near to any
other, is that line: a table may call it by the source, as Ba-133."""

LEAST_VALUE = 1e-6
"""Smaller singular values of the design are none."""

SHIFT_KEV, STRETCH, WIDER, MORE_TAIL = 0.1, 0.001, 1.03, 0.02
"""Steps of the derivatives: of all energies, of the FWHM, and of the fraction in the tail."""


class Candidate(NamedTuple):
    """Lines that could explain a region.

    Attributes
    ----------
    name : str
    line : str
        The transition of the strongest line in the region; "" of escape peaks.
    energy_keV : float
        Its energy.
    counts, sigma : float
        Counts of the series in the blocks, and how significant they are.
    stretch, shift_keV : float
        What the energies change by were it included: `stretch` times the energy plus the shift.
    table_rows : tuple of str
        Rows that would include it in the line table; none of escape peaks, which the response has.
    """

    name: str
    line: str
    energy_keV: float
    counts: float
    sigma: float
    stretch: float
    shift_keV: float
    table_rows: tuple[str, ...]

    @property
    def words(self) -> str:
        """The candidate in a sentence."""
        at = f"{self.energy_keV:.2f} keV"
        return f"{self.name} ({self.line} at {at})" if self.line else f"{self.name} (at {at})"


def not_in_table(catalogue: Sequence[Series], table: LineTable) -> list[Series]:
    """The series without the lines that a table has; a series without any line left is left out."""
    elements = np.array(table.element)
    left = []
    for series in catalogue:
        reach = np.where(elements == series.name.split()[0], SAME_LINE_KEV, SAME_PLACE_KEV)
        distance = np.abs(series.energy_keV[:, None] - table.energy_keV)
        lines = zip(*series[1:], (distance > reach).all(axis=1), strict=True)
        kept = [line for *line, is_new in lines if is_new]
        if kept:
            left.append(series_of(series.name, kept))
    return left


def candidates(
    regions: Sequence[Region],
    bins: Bins,
    camera: Residuals,
    table: LineTable,
    catalogue: Sequence[Series],
    shape: LineShape,
    by_widths=None,
) -> list[list[Candidate]]:
    """What could explain each of the regions, the best first; nothing where counts are missing.

    `by_widths` is as for `adequacy.find_regions`: its variances are added to those of the counts.
    """
    mu = np.maximum(camera.expected, 1e-9)
    if by_widths is not None:
        mu = mu + np.diagonal(by_widths)
    residual, weight = camera.excess / np.sqrt(mu), 1.0 / np.sqrt(mu)
    design = _design(camera.counts, weight, bins, table, shape)
    size = np.linalg.norm(design, axis=0)
    size[size == 0] = 1.0
    basis, values, _ = np.linalg.svd(design / size, full_matrices=False)
    basis = basis[:, values > LEAST_VALUE * values[0]]
    to_scale = np.linalg.pinv(design / size, rcond=LEAST_VALUE)[:2] / size[:2, None] * weight
    tried = []
    for series, profile in _profiles(bins, table, catalogue, shape):
        weighted = profile * weight
        weighted = weighted - basis @ (basis.T @ weighted)
        information = weighted @ weighted
        if information > 1e-6 * (profile**2 / mu).sum():
            amplitude = weighted @ residual / information
            sigma = amplitude * np.sqrt(information)
            if sigma > LEAST_SIGMA:
                numbers = (amplitude * profile.sum(), sigma, *(to_scale @ (amplitude * profile)))
                # What is left of it, or all of it where the response was learnt without it.
                seen = amplitude * np.array([weighted / weight, profile])
                tried.append((series, seen, tuple(float(number) for number in numbers)))
    return [_of_region(region, tried, table) if region.excess > 0 else [] for region in regions]


def _of_region(region: Region, tried, table: LineTable) -> list[Candidate]:
    """The best of those tried that explain a region."""
    window, good = slice(region.first, region.last), []
    reach = 0.5 + (region.high_keV - region.low_keV) / 2.0
    for series, seen, numbers in tried:
        away = np.abs(series.energy_keV - (region.low_keV + region.high_keV) / 2.0)
        near = np.flatnonzero(away < reach)
        if seen[:, window].sum(axis=1).max() > LEAST_PART * region.excess and len(near):
            best = near[np.argmax(series.intensity[near])]
            named = series.name, series.transition[best], float(series.energy_keV[best])
            good.append(Candidate(*named, *numbers, table_rows(series, table)))
    good.sort(key=lambda candidate: -candidate.sigma)
    enough = [c for c in good if c.sigma**2 > NEARLY_AS_GOOD * good[0].sigma ** 2]
    return enough[:MOST_CANDIDATES]


def table_rows(series: Series, table: LineTable) -> tuple[str, ...]:
    """Rows that would include the lines of a series in a line table: those within its blocks."""
    rows = []
    for line, block in lines_in_blocks(series, table):
        transition, (low, high) = series.transition[line], table.block_limits_keV[block]
        quoted = f'"{transition}"' if "," in transition else transition
        rows.append(
            f"{series.name.split()[0]},{quoted},{series.energy_keV[line]:g},"
            f"{series.intensity[line]:g},{table.block_names[block]},{low:g},{high:g},materials.csv"
        )
    return tuple(rows)


def lines_in_blocks(series: Series, table: LineTable) -> list[tuple[int, int]]:
    """(line, block) of the lines of a series that lie in a block of the table."""
    low, high = table.block_limits_keV.T
    energy = series.energy_keV[:, None]
    inside = np.argwhere((low < energy) & (energy < high)).tolist()
    return [(line, block) for line, block in inside if series.transition[line]]


def _design(counts, weight, bins: Bins, table: LineTable, shape: LineShape) -> np.ndarray:
    """What fits and response can take up, (n_bins, m), times `weight` (n_bins,).

    The first two columns are a stretch and a shift (keV) of the lines, as strong as `counts`
    (n_bins,) say; then come width and tail, parabolas in each block, and the line groups.
    """
    groups = line_groups(table)
    of_line = [groups.index(pair) for pair in zip(table.block.tolist(), table.element, strict=True)]
    inside = table.block[:, None] == bins.block

    def per_line(shape=shape, factor=1.0, shift=0.0):
        at = table.energy_keV * factor + shift
        return table.intensity[:, None] * inside * _counts(line_cdf, shape, at, bins)

    usual, linear = per_line(), _parabolas(bins, table)
    of_group = np.zeros((len(groups), len(bins.low)))
    np.add.at(of_group, of_line, usual)
    linear = np.column_stack([*linear, *of_group]) * weight[:, None]
    strength = np.linalg.lstsq(linear, counts * weight, rcond=None)[0]
    strength = strength[-len(groups) :][of_line]
    wider = replace(shape, fwhm_10=WIDER * shape.fwhm_10, fwhm_60=WIDER * shape.fwhm_60)
    changed = (
        (per_line(factor=1.0 + STRETCH), STRETCH),
        (per_line(shift=SHIFT_KEV), SHIFT_KEV),
        (per_line(wider), 1.0),
        (per_line(replace(shape, tail_60=shape.tail_60 + MORE_TAIL)), 1.0),
    )
    columns = [strength @ (there - usual) / step * weight for there, step in changed]
    return np.column_stack([*columns, linear])


def _parabolas(bins: Bins, table: LineTable) -> list[np.ndarray]:
    """Continua, (n_bins,) each: three in each block."""
    middle, width, columns = (bins.low + bins.high) / 2.0, bins.high - bins.low, []
    for block in range(table.n_blocks):
        inside = bins.block == block
        x = np.where(inside, middle - middle[inside].mean(), 0.0)
        columns += [inside * x**power * width for power in range(3)]
    return columns


def _profiles(bins: Bins, table: LineTable, catalogue: Sequence[Series], shape: LineShape):
    """Each series of the catalogue, and the escape peaks of the table's, with its profile."""
    for series in not_in_table(catalogue, table):
        energy = series.energy_keV
        per_line = _counts(line_cdf, shape, energy, bins) + _counts(
            escape_peaks, shape, energy, bins
        )
        yield series, (series.intensity * shape.efficiency(energy)) @ per_line
    elements = np.array(table.element)
    for element in dict.fromkeys(table.element):
        energy = table.energy_keV[elements == element]
        strength = table.intensity[elements == element]
        peaks = [(at, strength * probability) for at, probability in shape.escapes(energy)]
        at, weight = (np.concatenate(parts) for parts in zip(*peaks, strict=True))
        series = Series(f"escape peaks of {element}", ("",) * len(at), at, weight, 0.0 * at)
        yield series, strength @ _counts(escape_peaks, shape, energy, bins)


def _counts(profile, shape: LineShape, energy: np.ndarray, bins: Bins) -> np.ndarray:
    """Counts (n, n_bins) of lines of one count at `energy` (n,), by `line_cdf` or the like."""
    return profile(shape, energy, bins.high) - profile(shape, energy, bins.low)
