"""Spectra as tables of a FITS file."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from pixelcal.energy.events.binning import Rate, Spectra
from pixelcal.energy.events.tally import TALLY, meaning

DETNUM_FORMS = {2: "I", 4: "J", 8: "K"}
"""TFORM of DETNUM by the bytes of its type."""


def spectra_hdus(
    detnum: np.ndarray, spectra: Spectra, cards: list[tuple], kinds: np.ndarray | None = None
) -> list[fits.BinTableHDU]:
    """Tables SPECTRA, FIRST_HALF and RATE; `cards` and the tally in the header of the first.

    SPECTRA has the columns DETNUM and COUNTS, a row per pixel; so has FIRST_HALF, with the counts
    in the first half of the good time. Where the camera has kinds of pixels (n,), SPECTRA has the
    column KIND too.
    """
    whole = spectra_hdu(detnum, spectra.counts, cards, kinds)
    whole.header["EVREAD"] = (spectra.n_read, "events read")
    for word in TALLY:
        text = meaning(word, spectra.counts.shape[1])
        whole.header[word] = (spectra.tally[word], text)
    return [whole, _counts_hdu(detnum, spectra.halves[0], "FIRST_HALF"), rate_hdu(spectra.rate)]


def spectra_hdu(
    detnum: np.ndarray, counts: np.ndarray, cards: list[tuple], kinds: np.ndarray | None = None
) -> fits.BinTableHDU:
    """Table SPECTRA of counts (n, n_channels), as `spectra_hdus` has it first."""
    whole = _counts_hdu(detnum, counts, "SPECTRA", kinds)
    whole.header.extend(cards)
    return whole


def _counts_hdu(
    detnum: np.ndarray, counts: np.ndarray, name: str, kinds: np.ndarray | None = None
) -> fits.BinTableHDU:
    """A table of DETNUM and COUNTS (n, n_channels)."""
    columns = [
        fits.Column("DETNUM", DETNUM_FORMS[detnum.dtype.itemsize], array=detnum),
        fits.Column("COUNTS", f"{counts.shape[1]}J", unit="count", array=counts),
    ]
    if kinds is not None:
        longest = max(len(kind) for kind in kinds)
        columns.append(fits.Column("KIND", f"{longest}A", array=kinds))
    return fits.BinTableHDU.from_columns(columns, name=name)


def rate_hdu(rate: Rate) -> fits.BinTableHDU:
    """Table RATE, a row per bin of time: TIME (its start), SECONDS of good time, COUNTS."""
    columns = [
        fits.Column("TIME", "D", unit="s", array=rate.edges[:-1]),
        fits.Column("SECONDS", "D", unit="s", array=rate.seconds),
        fits.Column("COUNTS", "K", unit="count", array=rate.counts),
    ]
    return fits.BinTableHDU.from_columns(columns, name="RATE")
