"""Whether the model describes the spectra: the charges at which all pixels together differ from it.

The residuals are those of the pooled spectra (`model`). Their variance is that of the counts; what
the fits of the pixels absorb is not subtracted, so the test errs on the side of silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pixelcal.charge.report.model import RELEVANT, Pooled
from pixelcal.numerics.regions import find_off, limit_of
from pixelcal.report.numbers import number, percent

CHANCE = 0.003
"""A region is off where chance makes one in so many of the cameras whose model is right."""

WIDTHS = (1, 2, 3, 5)
"""Bins of the windows that are looked at: up to the width of a peak."""

MOST_REGIONS = 8
"""Regions that are shown; with very many flashes all charges are off."""

HEADINGS = (
    "Charge (photoelectrons)",
    "Excess (flashes)",
    "Of the model",
    "Of all flashes",
    "Significance (σ)",
)


class Region(NamedTuple):
    """Neighbouring charges of a run at which there are too many flashes, or too few.

    run : int, its number
    low, high : float, photoelectrons
    excess : float, flashes beyond the model; negative where they are missing
    fraction : float, the same over those of the model
    of_all : float, the same over all flashes of the run
    sigma : float
    """

    run: int
    low: float
    high: float
    excess: float
    fraction: float
    of_all: float
    sigma: float

    @property
    def is_relevant(self) -> bool:
        """Whether it is of enough flashes to matter."""
        return abs(self.of_all) > RELEVANT


def find_regions(pooled: Sequence[Pooled]) -> list[Region]:
    """Regions that are off by more than chance, the largest first."""
    n_looks = sum(len(run.counts) for run in pooled) * len(WIDTHS)
    regions = []
    for i, run in enumerate(pooled):
        excess = run.counts - run.model

        def sigma_of(window, excess=excess, model=run.model):
            return float(excess[window].sum() / np.sqrt(model[window].sum()))

        one = np.zeros(len(excess), int)
        for first, last in find_off(excess, sigma_of, one, WIDTHS, limit_of(CHANCE, n_looks)):
            window = slice(first, last)
            total = float(excess[window].sum())
            regions.append(
                Region(
                    i,
                    float(run.edges[first]),
                    float(run.edges[last]),
                    total,
                    total / float(run.model[window].sum()),
                    total / run.n_flashes,
                    sigma_of(window),
                )
            )
    return sorted(regions, key=lambda region: -abs(region.of_all))


def sentence(pooled: Sequence[Pooled], names: Sequence[str]) -> str:
    """Whether all pixels together differ from the model at some charge, and by how much at most."""
    if not pooled:
        return ""
    regions = find_regions(pooled)
    if not regions:
        return "At no charge do all pixels together differ from it by more than chance."
    n, most = len(regions), regions[0]
    words = "range" if n == 1 else "ranges"
    small = "" if most.is_relevant else ", which is too little to matter"
    return (
        f"All pixels together differ from it by more than chance in {n} {words} of charge: by"
        f" {percent(abs(most.of_all), 2)} of the flashes at most ({_charges(most)} photoelectrons,"
        f" {names[most.run]}){small}."
    )


def rows(pooled: Sequence[Pooled], names: Sequence[str]) -> list[list[str]]:
    """Name of the run, then the cells under HEADINGS, of the largest regions."""
    return [
        [
            names[region.run],
            _charges(region),
            number(region.excess, "{:+.0f}"),
            number(region.fraction, "{:+.1%}"),
            number(region.of_all, "{:+.3%}"),
            number(region.sigma, "{:+.1f}"),
        ]
        for region in find_regions(pooled)[:MOST_REGIONS]
    ]


def _charges(region: Region) -> str:
    return f"{number(region.low, '{:.2f}')} to {number(region.high, '{:.2f}')}"
