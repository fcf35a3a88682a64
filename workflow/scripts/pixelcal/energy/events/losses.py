"""Events that are lost: left out, although no setting asks for it."""

from __future__ import annotations

from pixelcal.energy.events.binning import Spectra
from pixelcal.energy.events.reader import EventFile
from pixelcal.energy.events.tally import ADVICE, WARN_FRACTION, lost_out_of, meaning
from pixelcal.errors import InputError

REFUSE_FRACTION = 0.90
"""Fraction of the events, lost for one reason, above which there is an error."""


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
    n_channels = spectra.halves.shape[2]
    lost = [
        (
            spectra.n_untimed,
            spectra.n_read,
            "events without a finite time",
            "check events.columns.time",
        ),
        *(
            (
                tally[word],
                n_all,
                meaning(word, n_channels),
                ADVICE[word].format(column),
            )
            for word, n_all in lost_out_of(tally, spectra.n_read).items()
        ),
    ]
    told = []
    for n, n_all, what, advice in lost:
        if n <= WARN_FRACTION * n_all:
            continue
        line = (
            f"event file {files[0].path}: {100 * n / n_all:.1f} % of the events are lost ({n} of"
            f" {n_all} are {what}); {advice}"
        )
        if n > REFUSE_FRACTION * n_all:
            raise InputError(line)
        told.append(line)
    return told
