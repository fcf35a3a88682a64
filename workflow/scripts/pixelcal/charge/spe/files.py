"""Names and header cards of the files of single-photoelectron spectra and fits."""

from __future__ import annotations

from collections.abc import Sequence

SPECTRA_EXTENSION = "SPECTRA"
FIT_EXTENSION = "FIT"

OPTIONS = (
    "WINDOW",
    "WINSHIFT",
    "TIMESKEW",
    "BASELINE",
    "NBASE",
    "SOLO",
    "MAXEV",
    "UNITSAMP",
    "SAMPLENS",
    "STEP",
    "NRUNS",
)
"""Cards of the charges that every later product repeats."""


def option_cards(header) -> list[tuple]:
    """The cards of an earlier product that say how charges were made, and of which runs."""
    return [
        (card.keyword, card.value, card.comment)
        for card in header.cards
        if card.keyword in OPTIONS or _numbers_a_run(card.keyword)
    ]


def _numbers_a_run(keyword: str) -> bool:
    return keyword.startswith("RUN") and keyword[3:].isdigit()


def run_cards(names: Sequence[str]) -> list[tuple]:
    """NRUNS, and RUN0, RUN1, ... with the names of the runs in the order of the columns."""
    cards: list[tuple] = [("NRUNS", len(names), "runs, by rising light")]
    return [*cards, *((f"RUN{i}", name, "name of a run") for i, name in enumerate(names))]
