"""Channels of unequal width in `relation.fits`, and what is said of them in numbers and words."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.energy.fit.columns import CHANNEL_EXTENSION, RESIDUAL_UNITS
from pixelcal.energy.results.channels.widths import (
    CLEAR_SIGMA,
    MOST_NAMED,
    NAMED_SIGMA,
    ChannelWidths,
    Comparison,
)
from pixelcal.io.tables import table_hdu

BY_WIDTHS = "BY_WIDTHS"
"""Column of RESIDUALS: covariance of a bin with all bins by channels of unequal width."""

COMMENTS = {
    "CHAN": "chi-square beyond its mean, by channel",
    "ENER": "the same by energy",
    "SIG": "their difference over its standard deviation",
    "RMS": "relative rms of the widths of channels",
}
"""Of the cards CW_..., the camera, and CM_..., the modules: the fields of a `Comparison`."""


def channel_hdu(widths: ChannelWidths) -> fits.BinTableHDU:
    """Extension RESIDUALS_CHANNELS, a row for each channel."""
    names = ("COUNTS", "EXPECTED", "PULL", "MODULES")
    rows = np.zeros(len(widths.counts), [("CHANNEL", "i4"), *((name, "f8") for name in names)])
    rows["CHANNEL"] = np.arange(len(rows))
    values = widths.counts, widths.expected, widths.pull, widths.of_modules
    for name, column in zip(names, values, strict=True):
        rows[name] = column
    cards = [*_cards("CW", widths.camera), *_cards("CM", widths.modules)]
    units = {name: RESIDUAL_UNITS[name] for name in ("COUNTS", "EXPECTED")}
    return table_hdu(rows, CHANNEL_EXTENSION, units, cards)


def _cards(prefix: str, found: Comparison) -> list[tuple]:
    named = zip(COMMENTS.items(), found, strict=True)
    return [(f"{prefix}_{key}", float(value), comment) for (key, comment), value in named]


def widths_numbers(channels: Table | None) -> dict | None:
    """What RESIDUALS_CHANNELS says, for validation.json; None without it.

    Returns
    -------
    dict
        `by_channel`, `by_energy` (chi-square beyond its mean), `sigma` and `width` (relative rms)
        of all pixels together, and of the `modules`; `unequal`: whether channels clearly differ;
        `channels` that stand off the most: of the camera `channel` and its relative `excess`, of
        the modules their numbers.
    """
    if channels is None:
        return None
    found = [
        Comparison(*(float(channels.meta[f"{prefix}_{key}"]) for key in COMMENTS))
        for prefix in ("CW", "CM")
    ]
    (camera, modules), (camera_off, modules_off) = zip(
        *((one._asdict(), one.is_clear) for one in found), strict=True
    )
    pull, expected = np.asarray(channels["PULL"]), np.asarray(channels["EXPECTED"])
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.nan_to_num(pull / np.sqrt(expected))
    off, of_modules = _worst(np.abs(pull)), _worst(np.asarray(channels["MODULES"]))
    modules["width"] *= modules_off
    modules["channels"] = of_modules.tolist() if modules_off else []
    width = max(camera["width"] * camera_off, modules["width"])
    named = off.tolist() if camera_off else []
    return {
        **camera,
        "width": width,
        "unequal": bool(camera_off or modules_off),
        "channels": [{"channel": c, "excess": float(excess[c])} for c in named],
        "modules": modules,
    }


def _worst(sigma) -> np.ndarray:
    """The channels that are off by the most sigma (n_channels,), of those that are."""
    order = np.argsort(-sigma, kind="stable")[:MOST_NAMED]
    return order[sigma[order] > NAMED_SIGMA]


def widths_words(widths: dict) -> str:
    """What unequal channels are, and how that is known; no full stop."""
    modules = widths["modules"]
    in_all = widths["sigma"] > CLEAR_SIGMA
    found = widths if in_all else modules
    if in_all:
        listed = [f"{one['channel']} ({100 * one['excess']:+.1f} %)" for one in widths["channels"]]
        where = "in all pixels alike"
    else:
        listed, where = [f"{channel}" for channel in modules["channels"]], "from module to module"
    most = f", the most in channels {', '.join(listed)}" if listed else ""
    return (
        f"Channel widths differ by {100 * widths['width']:.1f} % (rms), {where}: residuals follow"
        f" the channel number (chi-square above its mean by {found['by_channel']:.0f}) more than"
        f" the energy ({found['by_energy']:.0f}){most}. They are no lines"
    )
