"""Events that are lost, though nobody asked to leave them out."""

from __future__ import annotations

from pixelcal.energy.events.binning import ADVICE, TALLY, Spectra
from pixelcal.energy.events.reader import EventFile
from pixelcal.errors import InputError

WARN_FRACTION, REFUSE_FRACTION = 0.05, 0.90
"""Fractions of the events, lost for one reason, above which there is a warning and an error."""


def check_lost(spectra: Spectra, files: list[EventFile]) -> list[str]:
    """What to warn of: a line for each reason for which more than `WARN_FRACTION` are lost.

    Reasons are: no finite time, a pixel that the camera does not have, and an energy that is not
    finite or in no channel. Events that fail an earlier test, of what is asked for (good time,
    multiplicity, selected pixels), are left out of the fraction.

    Raises
    ------
    InputError
        Where more than `REFUSE_FRACTION` are lost for one reason.
    """
    tally, column = spectra.tally, files[0].columns["value"].name
    n_camera = spectra.n_read - tally["REJTIME"] - tally["REJMULT"]
    n_pixels = n_camera - tally["REJUNSEL"]
    lost = [
        (
            spectra.n_untimed,
            spectra.n_read,
            "events without a finite time",
            "check events.columns.time",
        ),
        *(
            (tally[word], n_all, TALLY[word], ADVICE[word].format(column))
            for word, n_all in (
                ("REJNOPIX", n_camera),
                ("REJNAN", n_pixels),
                ("REJBELOW", n_pixels),
                ("REJABOVE", n_pixels),
            )
        ),
    ]
    told = []
    for n, n_all, meaning, advice in lost:
        if n <= WARN_FRACTION * n_all:
            continue
        line = (
            f"event file {files[0].path}: {100 * n / n_all:.1f} % of the events are lost ({n} of"
            f" {n_all} are {meaning}); {advice}"
        )
        if n > REFUSE_FRACTION * n_all:
            raise InputError(line)
        told.append(line)
    return told
