"""Ready histograms of two runs that hold the same flashes, all of them or a part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelcal.charge.runs.ready_histograms import ReadyHistograms
from pixelcal.errors import InputError
from pixelcal.numerics.common_counts import common_fraction

FEWEST_BINS, FEWEST_FLASHES = 5, 100
"""Histograms of fewer filled bins or flashes may be equal by chance."""
MOST_EQUAL = 0.5
"""Fraction of the pixels that may have the same histogram in two runs."""

BINS_TOGETHER = 4
"""Neighbouring bins in which two runs are taken to have one ratio: it changes from peak to peak."""
OFF_BIN = 0.02
"""Bins of two runs are the same where their edges differ by less, in bins."""


def check_different(runs: Sequence[ReadyHistograms], paths: Sequence[str | Path]) -> None:
    """Two runs do not hold the same flashes: their pixels have different histograms, whose counts
    fluctuate apart.

    Parameters
    ----------
    runs : sequence of ReadyHistograms
        Of the same pixels in the same order, as `selected`.
    paths : sequence of path

    Raises
    ------
    InputError
        Where more than `MOST_EQUAL` of the pixels have the same histogram in two runs, or counts
        fluctuate together as only common flashes do (`numerics.common_counts`).
    """
    known = [_contents_of(run) for run in runs]
    for k, one in enumerate(known):
        for j, other in enumerate(known[:k]):
            told = [pair for pair in zip(one, other, strict=True) if None not in pair]
            n_equal = sum(a == b for a, b in told)
            if n_equal > MOST_EQUAL * len(told):
                raise InputError(
                    f"runs {paths[j]} and {paths[k]}: hold the same histograms ({n_equal} of"
                    f" {len(told)} pixels); give each run its own file, and take one of them out"
                    " of table.csv"
                )
            _check_no_common(f"runs {paths[j]} and {paths[k]}", runs[j], runs[k])


def _contents_of(run: ReadyHistograms) -> list[tuple | None]:
    """Lowest filled bin and counts from there on, pixel by pixel; None where there are too few."""
    contents: list[tuple | None] = []
    for counts, start, width in zip(run.counts, run.start, run.width, strict=True):
        filled = np.flatnonzero(counts)
        if len(filled) < FEWEST_BINS or counts.sum() < FEWEST_FLASHES:
            contents.append(None)
            continue
        first, last = filled[0], filled[-1]
        lowest = round(float(start / width + first), 2)
        contents.append((lowest, counts[first : last + 1].astype(np.int64).tobytes()))
    return contents


def _check_no_common(where: str, a: ReadyHistograms, b: ReadyHistograms) -> None:
    """Raise InputError where two runs of the same pixels have flashes in common."""
    pairs = [_aligned(a, b, k) for k in range(len(a.counts))]
    pairs = [pair for pair in pairs if pair is not None]
    if not pairs:
        return
    longest = max(pair.shape[1] for pair in pairs)
    one, other = np.array(
        [np.pad(pair, ((0, 0), (0, longest - pair.shape[1]))) for pair in pairs]
    ).transpose(1, 0, 2)
    if fraction := common_fraction(one, other, BINS_TOGETHER):
        raise InputError(
            f"{where}: their counts fluctuate together, as where {fraction:.0%} of the flashes of"
            " one are in the other too (histograms that were not reset, or a sum of runs); count"
            " each run by itself"
        )


def _aligned(a: ReadyHistograms, b: ReadyHistograms, k: int) -> np.ndarray | None:
    """Counts (2, m) of pixel k in the same bins; None where the two have different ones."""
    shift = (b.start[k] - a.start[k]) / a.width[k]
    first = round(float(shift))
    if abs(shift - first) > OFF_BIN or not (a.counts[k].any() and b.counts[k].any()):
        return None
    before = max(-first, 0), max(first, 0)
    length = max(ahead + len(run.counts[k]) for ahead, run in zip(before, (a, b), strict=True))
    made = np.zeros((2, length), np.int64)
    for row, ahead, run in zip(made, before, (a, b), strict=True):
        row[ahead : ahead + len(run.counts[k])] = run.counts[k]
    filled = np.flatnonzero(made.any(axis=0))
    return made[:, filled[0] : filled[-1] + 1]
