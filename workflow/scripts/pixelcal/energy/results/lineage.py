"""Whether spectra and fits are those that the settings name: products carry what made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pixelcal.errors import InputError
from pixelcal.io.provenance import file_sha256

_SHORTFALL = 1e-3
"""Good time may be so much shorter than what was asked for, as a fraction of it."""
_SIMULATED_FILE = "events.fits"


def check_spectra(
    path: str | Path,
    header: Mapping,
    detnum: np.ndarray,
    settings: Mapping,
    exposure: str | None = None,
) -> None:
    """Compare what spectra say they were made from with the settings of the step that reads them.

    Parameters
    ----------
    path : of the spectra
    header : of the spectra
        What it lacks is not compared.
    detnum : (n,) int
        Pixels of the spectra.
    settings : all that the relation depends on
    exposure : name of the exposure

    Raises
    ------
    InputError
        At the first thing that differs.
    """
    for what, found, wanted in _compared(header, detnum, settings, exposure):
        if found is not None and wanted is not None and found != wanted:
            raise InputError(
                f"{path}: was made with the {what} {found}, but the configuration has {wanted};"
                " remove the file and run again, or give the configuration that it was made with"
            )


def _compared(header, detnum, settings, exposure) -> Iterable[tuple]:
    """Words for a thing, what the spectra have, what the settings have; None where not known."""
    events, of_exposure = settings.get("events", {}), settings.get("exposure", {})
    yield "exposure", header.get("EXPNAME"), exposure
    yield "layout", header.get("LAYOUT"), events.get("layout")
    yield "event files", *_event_files(header, events.get("files"))
    yield "multiplicity", header.get("MULTIPLI"), of_exposure.get("multiplicity")
    seconds, used = of_exposure.get("seconds"), header.get("EXPOSURE")
    if seconds is not None and used is not None and abs(used - seconds) > _SHORTFALL * seconds:
        yield "seconds", f"{used:g}", f"{seconds:g}"
    pixels = settings.get("pixels")
    if pixels is not None and not np.array_equal(detnum, np.sort(pixels)):
        of_spectra, of_settings = (f"{len(n)} from {min(n)} to {max(n)}" for n in (detnum, pixels))
        if of_spectra == of_settings:
            of_settings += ", others among them"
        yield "pixels", of_spectra, of_settings


def _event_files(header: Mapping, files: Sequence[str] | None) -> tuple[str | None, str | None]:
    """Names of the event files in the header, which come first of its inputs, and in settings."""
    if files is None or "NINFILE" not in header:
        return None, None
    names = [Path(file).name.encode("ascii", "backslashreplace").decode() for file in files]
    names = names or [_SIMULATED_FILE]
    n_inputs = min(header["NINFILE"], len(names))
    found = [header[f"INFIL{number:03d}"] for number in range(1, n_inputs + 1)]
    return ", ".join(found), ", ".join(names)


def check_chunks(paths: Sequence[str | Path], headers: Iterable[Mapping], spectra) -> None:
    """Check that the fits of all chunks are of the spectra that are there, by their SHA-256.

    Raises
    ------
    InputError
        At the first chunk that says SPECSHA and means other spectra.
    """
    checksum = None
    for path, header in zip(paths, headers, strict=True):
        if "SPECSHA" not in header:
            continue
        checksum = checksum or file_sha256(spectra)
        if header["SPECSHA"] != checksum:
            raise InputError(
                f"{path}: has the fits of other spectra than {spectra};"
                " remove the file and run again"
            )
