"""Checks of a run before charges are taken from it: its pixels, its kind, its events."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.charge.runs.hdf5 import OpenRun
from pixelcal.errors import InputError


def rows_of(run: OpenRun, pixel: np.ndarray) -> np.ndarray:
    """Rows (n,) of the waveforms of a run for the pixels `pixel` (n,).

    Raises
    ------
    InputError
        Where the run lacks some of them.
    """
    there = run.properties.pixel
    order = np.argsort(there)
    wanted = np.asarray(pixel)
    place = np.minimum(np.searchsorted(there, wanted, sorter=order), len(there) - 1)
    rows = order[place]
    absent = wanted[there[rows] != wanted]
    if len(absent):
        raise InputError(
            f"run {run.path}: lacks pixel {absent[0]} ({len(absent)} of the {len(wanted)} that"
            f" sstcam.pixels selects; it has {len(there)}, {there.min()} to {there.max()}); select"
            " those there are"
        )
    return rows


def check_same_kind(run: OpenRun, header: Mapping) -> None:
    """A run has waveforms of the same kind as the run that the peaks were found in.

    `header` is that of the table of the peaks.

    Raises
    ------
    InputError
        Where the number of samples, their unit or the time between them differ.
    """
    properties = run.properties
    for name, value, keyword in (
        ("samples of a waveform", properties.n_samples, "NSAMPLES"),
        ("unit of samples", properties.unit, "UNITSAMP"),
        ("ns between samples", properties.sample_ns, "SAMPLENS"),
    ):
        if value != header[keyword]:
            raise InputError(
                f"run {run.path}: {name} is {value}, but {header[keyword]} in the run"
                f" {header['RUNNAME']}, which the peaks are from; give runs of one kind"
            )


def check_any_used(n_used: int, bad: Mapping[str, int], path: object) -> None:
    """Raise InputError where no event of a run could be used."""
    if n_used == 0:
        reasons = ", ".join(f"{number} {name}" for name, number in bad.items() if number)
        raise InputError(f"run {path}: no event can be used ({reasons}); give a run with good ones")
