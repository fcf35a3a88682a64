"""What the products that are there were made from, read before anything is planned.

Uses the standard library alone: the Snakefile needs it where there is no astropy.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pixelcal.errors import InputError

_BLOCK, _CARD = 2880, 80
_MOST_BLOCKS = 200


def check_not_measured(folder: str | Path, exposures: Iterable[str], simulated: bool) -> None:
    """Check that simulated events would not replace spectra of event files.

    Raises
    ------
    InputError
        Where they would: most often a run without the --configfile that named the event files.
    """
    if not simulated:
        return
    for name in exposures:
        place = Path(folder, name)
        if _logical_card(place / "spectra.fits", "SIMULATE") == "F":
            raise InputError(
                f"{place / 'spectra.fits'}: was made from event files, and this configuration"
                " simulates events, which would replace it; give --configfile as before, or"
                f" remove {place} or choose another name under `exposures`"
            )


def _logical_card(path: Path, keyword: str) -> str | None:
    """T or F of a keyword in the first two headers of a FITS file; None without file or keyword."""
    wanted, n_ends = f"{keyword:8s}= ", 0
    try:
        with open(path, "rb") as file:
            for _ in range(_MOST_BLOCKS):
                block = file.read(_BLOCK).decode("latin-1")
                cards = [block[start : start + _CARD] for start in range(0, len(block), _CARD)]
                for card in cards:
                    if card.startswith(wanted):
                        return card[10:30].strip()
                    n_ends += card.rstrip() == "END"
                if n_ends == 2 or len(block) < _BLOCK:
                    return None
    except OSError:
        pass
    return None
