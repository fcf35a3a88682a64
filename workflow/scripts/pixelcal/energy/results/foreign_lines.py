"""Which lines could explain what the model does not describe: candidates from a catalogue.

A candidate is a series of lines of one element, K or L, less those that the line table has; or the
escape peaks of an element of the table. Its profile is fitted to the residuals of the camera in all
blocks at once, so that an element whose other lines are not there is no candidate. What the fits
and the response can take up is projected out before: in each block a parabola, and each line group
with its shift.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelcal.energy.lines import LineTable, line_groups
from pixelcal.energy.response.line_shape import LineShape, escape_peaks, line_cdf
from pixelcal.energy.results.adequacy import Bins, Region, Residuals
from pixelcal.errors import InputError

COLUMNS = ("element", "transition", "energy_keV", "intensity")

LEAST_SIGMA = 4.0
"""A candidate must be found in the residuals of all blocks with such a significance."""

LEAST_PART, NEARLY_AS_GOOD = 0.3, 0.5
"""It explains at least this part of the excess of the region, and lowers chi-square by at least
this part of what the best candidate does."""

MOST_CANDIDATES = 3

SAME_LINE_KEV = 0.15
"""A line of the catalogue that is nearer to one of the same element in the table is that line."""

SHIFT_KEV = 0.1
"""Step of the derivatives."""


class Series(NamedTuple):
    """Lines that go together.

    Attributes
    ----------
    name : str
        "Bi K", "Ta L", "escape peaks of Pb".
    transition : tuple of str
    energy_keV, intensity : (n,) float
    """

    name: str
    transition: tuple[str, ...]
    energy_keV: np.ndarray
    intensity: np.ndarray


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
    """

    name: str
    line: str
    energy_keV: float
    counts: float
    sigma: float

    @property
    def words(self) -> str:
        """The candidate in a sentence."""
        at = f"{self.energy_keV:.2f} keV"
        return f"{self.name} ({self.line} at {at})" if self.line else f"{self.name} (at {at})"


def read_catalogue(path: str | Path) -> list[Series]:
    """The series of a catalogue of lines (CSV with `COLUMNS`), in the order of the file.

    Raises
    ------
    InputError
        Where it cannot be read, or is malformed.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        found: dict[str, list] = {}
        for row in rows:
            element, transition, *numbers = (row[name] for name in COLUMNS)
            series = f"{element} {transition[0]}"
            found.setdefault(series, []).append((transition, *map(float, numbers)))
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"catalogue of lines {path}: cannot be read ({error.__class__.__name__}); expected the"
            f" columns {', '.join(COLUMNS)}"
        ) from None
    return [_series(name, lines) for name, lines in found.items()]


def _series(name: str, lines: Sequence[tuple[str, float, float]]) -> Series:
    transition, energy, intensity = zip(*lines, strict=True)
    return Series(name, transition, np.array(energy), np.array(intensity))


def not_in_table(catalogue: Sequence[Series], table: LineTable) -> list[Series]:
    """The series less the lines that a table has; none that has no line left."""
    elements = np.array(table.element)
    left = []
    for series in catalogue:
        known = table.energy_keV[elements == series.name.split()[0]]
        distance = np.abs(series.energy_keV[:, None] - known).min(axis=1, initial=np.inf)
        lines = zip(*series[1:], distance > SAME_LINE_KEV, strict=True)
        kept = [line[:3] for line in lines if line[3]]
        if kept:
            left.append(_series(series.name, kept))
    return left


def candidates(
    regions: Sequence[Region],
    bins: Bins,
    camera: Residuals,
    table: LineTable,
    catalogue: Sequence[Series],
    shape: LineShape,
) -> list[list[Candidate]]:
    """What could explain each of the regions, the best first; nothing where counts are missing."""
    mu = np.maximum(camera.expected, 1e-9)
    residual = camera.excess / np.sqrt(mu)
    nuisance = _nuisance(bins, table, shape) / np.sqrt(mu)[:, None]
    basis, size, _ = np.linalg.svd(nuisance / np.linalg.norm(nuisance, axis=0), full_matrices=False)
    basis = basis[:, size > 1e-6 * size[0]]
    tried = []
    for series, profile in _profiles(bins, table, catalogue, shape):
        if not profile.any():
            continue
        weighted = profile / np.sqrt(mu)
        weighted = weighted - basis @ (basis.T @ weighted)
        information = weighted @ weighted
        if information > 1e-6 * (profile**2 / mu).sum():
            amplitude = weighted @ residual / information
            sigma = amplitude * np.sqrt(information)
            if sigma > LEAST_SIGMA:
                tried.append((series, profile, weighted, amplitude, sigma))
    return [_of_region(region, tried, mu) if region.excess > 0 else [] for region in regions]


def _of_region(region: Region, tried, mu: np.ndarray) -> list[Candidate]:
    """The best of those tried that explain a region."""
    window, good = slice(region.first, region.last), []
    for series, profile, weighted, amplitude, sigma in tried:
        explained = amplitude * (weighted * np.sqrt(mu))[window].sum()
        reach = 0.5 + (region.high_keV - region.low_keV) / 2.0
        away = np.abs(series.energy_keV - (region.low_keV + region.high_keV) / 2.0)
        near = np.flatnonzero(away < reach)
        if explained > LEAST_PART * region.excess and len(near):
            best = near[np.argmax(series.intensity[near])]
            named = series.name, series.transition[best], float(series.energy_keV[best])
            good.append(Candidate(*named, float(amplitude * profile.sum()), float(sigma)))
    good.sort(key=lambda candidate: -candidate.sigma)
    enough = [c for c in good if c.sigma**2 > NEARLY_AS_GOOD * good[0].sigma ** 2]
    return enough[:MOST_CANDIDATES]


def _nuisance(bins: Bins, table: LineTable, shape: LineShape) -> np.ndarray:
    """What the fits can take up, (n_bins, m): continua, line groups, and their shifts."""
    columns = []
    middle = (bins.low + bins.high) / 2.0
    for block in range(table.n_blocks):
        inside = bins.block == block
        x = np.where(inside, middle - middle[inside].mean(), 0.0)
        columns += [inside * x**power * (bins.high - bins.low) for power in range(3)]
    elements = np.array(table.element)
    for block, element in line_groups(table):
        of_group = (table.block == block) & (elements == element)
        energy, strength = table.energy_keV[of_group], table.intensity[of_group]
        inside = bins.block == block
        at, above = (
            inside * (strength @ _counts(line_cdf, shape, energy + shift, bins))
            for shift in (0.0, SHIFT_KEV)
        )
        columns += [at, at - above]
    return np.column_stack(columns)


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
        series = Series(f"escape peaks of {element}", ("",) * len(at), at, weight)
        yield series, strength @ _counts(escape_peaks, shape, energy, bins)


def _counts(profile, shape: LineShape, energy: np.ndarray, bins: Bins) -> np.ndarray:
    """Counts (n, n_bins) of lines of one count at `energy` (n,), by `line_cdf` or the like."""
    return profile(shape, energy, bins.high) - profile(shape, energy, bins.low)
