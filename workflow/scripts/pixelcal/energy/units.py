"""Units of columns and keywords: convert what is unambiguous, refuse the rest."""

from __future__ import annotations

import re

import numpy as np
from astropy import units

from pixelcal.errors import InputError

WANTED = {"keV": ("energy", units.keV), "s": ("time", units.s)}

SPELLINGS = {"kev": "keV", "sec": "s", "secs": "s", "second": "s", "seconds": "s"}
"""Other ways to write a unit that can mean nothing else, in small letters."""

CHANNEL_WORDS = re.compile(r"(?<![a-z])(?:channels?|chan|adu|pha|bin)(?![a-z])", re.IGNORECASE)
"""What a gain may be per, besides astropy's chan."""


def unit_factor(text: str | None, wanted: str, where: str, otherwise: str = "") -> float:
    """What to multiply values in the unit `text` by to have them in keV or in s.

    Parameters
    ----------
    text : str or None
        A FITS unit. Without one the values are in the wanted unit already.
    wanted : "keV" or "s"
    where : str
        File and column, for the error.
    otherwise : str
        What else to do, for the error.

    Raises
    ------
    InputError
        Where the unit is none of that kind.
    """
    kind, unit = WANTED[wanted]
    if text is None or not str(text).strip():
        return 1.0
    given = _parsed(str(text).strip())
    if given is None or not given.is_equivalent(unit):
        raise InputError(
            f"{where} has the unit '{text}', which is not a unit of {kind}; write it in {wanted},"
            f" or correct TUNIT{otherwise}"
        )
    return float(given.to(unit))


def refuse_units(text: str | None, kinds: tuple[str, ...], where: str, advice: str) -> None:
    """Raise InputError where `text` is a unit of energy ("keV") or time ("s"), as in `kinds`.

    For columns of numbers that count something: any other unit is accepted.
    """
    given = _parsed(str(text or "").strip())
    for wanted in kinds:
        kind, unit = WANTED[wanted]
        if given is not None and given.is_equivalent(unit):
            raise InputError(f"{where} has the unit '{text}', a unit of {kind}; {advice}")


def relation_in_keV(
    gain: np.ndarray, offset: np.ndarray, texts: tuple[str | None, str | None], where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Gain (n,) in keV/channel and offset (n,) in keV, from the units that their columns name.

    Parameters
    ----------
    gain, offset : (n,) float
        energy = gain * channel + offset, where the gain is an energy per channel; channel = gain *
        energy + offset, where it is channels per energy.
    texts : two of str or None
        Units of gain and offset; without one the values are in keV/channel and in keV.
    where : str
        The file, for the error.

    Raises
    ------
    InputError
        Where a unit is of neither convention, or the two are not of the same.
    """
    of_gain, of_offset = (str(text or "").strip() for text in texts)
    given = _parsed_channels(of_gain) if of_gain else units.keV / units.chan
    if given is not None and given.is_equivalent(units.keV):
        given = given / units.chan
    if given is not None and given.is_equivalent(units.keV / units.chan):
        _refuse_channels(of_gain, of_offset, where)
        factor = unit_factor(of_offset, "keV", f"{where}: column OFFSET")
        return gain * given.to(units.keV / units.chan), offset * factor
    if given is None or not given.is_equivalent(units.chan / units.keV):
        raise InputError(
            f"{where}: column GAIN has the unit '{texts[0]}', which is no energy per channel;"
            " write it in keV/chan, or in chan/keV with OFFSET in chan"
        )
    if not of_offset or _parsed_channels(of_offset) != units.chan:
        told = f"the unit '{texts[1]}'" if of_offset else "no unit"
        raise InputError(
            f"{where}: GAIN is in '{of_gain}' and OFFSET has {told}; write OFFSET in chan, or both"
            " in keV/chan and keV"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / (gain * given.to(units.chan / units.keV))
        return inverse, -offset * inverse


def column_factor(text: str | None, wanted: str, where: str) -> float:
    """What to multiply values in the unit `text` by to have them in a unit of keV and channels.

    Parameters
    ----------
    text : str or None
        As for `unit_factor`; an energy is taken for one per channel, as `relation_in_keV` does.
    wanted : str
        Such as "keV2/chan".
    where : str
        File and column, for the error.

    Raises
    ------
    InputError
        Where the unit is none of that kind.
    """
    if not str(text or "").strip():
        return 1.0
    given, unit = _parsed_channels(str(text).strip()), _parsed_channels(wanted)
    for one in () if given is None else (given, given / units.chan):
        if one.is_equivalent(unit):
            return float(one.to(unit))
    raise InputError(f"{where} has the unit '{text}', which is not one of {wanted}; write it so")


def _refuse_channels(of_gain: str, of_offset: str, where: str) -> None:
    """Raise InputError where an offset is in channels and the gain is not per energy."""
    if of_offset and _parsed_channels(of_offset) == units.chan:
        told = f"is in '{of_gain}'" if of_gain else "has no unit"
        raise InputError(
            f"{where}: OFFSET is in '{of_offset}' and GAIN {told}; write OFFSET in keV, or GAIN in"
            " chan/keV"
        )


def _parsed_channels(text: str):
    """The unit that a text with any word for channels names, or None."""
    words = re.sub(r"(?<![a-z])kev(?![a-z])", "keV", text, flags=re.IGNORECASE)
    return _parsed(re.sub(r"\s*/\s*", "/", CHANNEL_WORDS.sub("chan", words)))


def _parsed(text: str):
    """The unit that a text names, or None; a factor in front of a unit is not understood."""
    text = SPELLINGS.get(text.lower(), text)
    if not text:
        return None
    try:
        return units.Unit(text, format="fits", parse_strict="raise")
    except (ValueError, TypeError):
        return None
