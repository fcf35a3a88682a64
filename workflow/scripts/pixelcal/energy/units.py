"""Units of columns and keywords: convert what is unambiguous, refuse the rest."""

from __future__ import annotations

from astropy import units

from pixelcal.errors import InputError

WANTED = {"keV": ("energy", units.keV), "s": ("time", units.s)}

SPELLINGS = {"kev": "keV", "sec": "s", "secs": "s", "second": "s", "seconds": "s"}
"""Other ways to write a unit that can mean nothing else, in small letters."""

CHANNELS = ("chan", "channel", "channels", "adu", "pha", "bin")
"""What a gain may be per."""


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
            f"{where} has the unit '{text}', which is no unit of {kind}; write it in {wanted}, or"
            f" correct TUNIT{otherwise}"
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


def gain_factor(text: str | None, where: str) -> float:
    """What to multiply a gain in the unit `text`, as "eV/chan", by to have it in keV/channel."""
    if text is None or not str(text).strip():
        return 1.0
    energy, _, per = str(text).replace(" ", "").partition("/")
    if per.lower() not in ("", *CHANNELS):
        raise InputError(
            f"{where} has the unit '{text}', which is no energy per channel; write it in keV/chan"
        )
    return unit_factor(energy, "keV", where)


def _parsed(text: str):
    """The unit that a text names, or None; a factor in front of a unit is not understood."""
    text = SPELLINGS.get(text.lower(), text)
    if not text:
        return None
    try:
        return units.Unit(text, format="fits", parse_strict="raise")
    except (ValueError, TypeError):
        return None
