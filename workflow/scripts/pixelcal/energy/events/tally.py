"""What becomes of events: the words of it in headers, on the page and in messages.

Uses the standard library alone: the report reads it where there is no compiler.
"""

from __future__ import annotations

from collections.abc import Mapping

TALLY = {
    "EVUSED": "events counted",
    "REJTIME": "events outside the good time used",
    "REJMULT": "events of another multiplicity",
    "REJNOPIX": "events of a pixel the camera does not have",
    "REJUNSEL": "events of a pixel not selected",
    "REJNAN": "events without a finite energy",
    "REJBELOW": "events below channel 0",
    "REJABOVE": "events above channel {last}",
}
"""Keyword and meaning of each place in the tally; {last} is the last channel."""

DEALT = "events dealt to pixels at random"
"""Meaning of EVDEALT: all events that are read, where the files do not name the pixel."""

ADVICE = {
    "REJTIME": "give the good times of these events, or check their unit and epoch",
    "REJMULT": "check events.multiplicity and events.columns.multiplicity",
    "REJNOPIX": "check events.columns (pixel is DETNUM, row IDET, column JDET) and"
    " events.first_pixel",
    "REJUNSEL": "choose other pixels",
    "REJNAN": "check that column {} holds what events.columns says",
    "REJBELOW": "check the unit of column {} and the prior relation",
    "REJABOVE": "check the unit of column {} and the prior relation",
}
"""What to do where the last events are rejected for a reason."""

STAGES = (
    ("REJTIME",),
    ("REJMULT",),
    ("REJNOPIX", "REJUNSEL"),
    ("REJNAN", "REJBELOW", "REJABOVE"),
)
"""The tests in their order, by the reasons for which an event fails them."""

WARN_FRACTION = 0.05
"""Above this fraction of events lost for one reason there is a warning."""


def meaning(word: str, n_channels: int) -> str:
    """What a keyword of the tally means for spectra of so many channels."""
    return TALLY[word].format(last=n_channels - 1)


def lost_out_of(tally: Mapping[str, int], n_read: int) -> dict[str, int]:
    """How many events came to each test that no setting asks for, by the keyword of those it loses.

    Events that fail an earlier test, of what is asked for (good time, multiplicity, selected
    pixels), are left out. A keyword that `tally` lacks means no event.
    """
    n_camera = n_read - tally.get("REJTIME", 0) - tally.get("REJMULT", 0)
    n_pixels = n_camera - tally.get("REJUNSEL", 0)
    return {"REJNOPIX": n_camera, **dict.fromkeys(("REJNAN", "REJBELOW", "REJABOVE"), n_pixels)}
