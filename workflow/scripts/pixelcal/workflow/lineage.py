"""What the results of a run were made from, and whether a configuration would replace them.

The folder of a run has a file `run.json` that remembers, for each camera, whether the data were
simulated or measured, from which files, and for which pixels; and which git revision the code of
its products is from. It is written when jobs begin. Where
it is missing, because an earlier version made the results, headers of the products say it.

Uses the standard library alone: the Snakefile needs it where there is no astropy.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.io.atomic import atomic
from pixelcal.io.fits_headers import read_headers
from pixelcal.io.provenance import software_version
from pixelcal.workflow.library_hash import UNKNOWN, Revision

MEMORY = "run.json"
CODE = "code"
MEASURED, SIMULATED = "measured", "simulated"
_OF_PRODUCTS = ("*.fits", "*.h5")


def memory_of(results: str | Path) -> dict:
    """What the folder of a run remembers, by camera (`energy`, `sstcam`); empty without a memory.

    Raises
    ------
    InputError
        Where the file is damaged.
    """
    path = Path(results, MEMORY)
    try:
        memory = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it") from None
    needed = {"energy": {"kind", "instrument"}, "sstcam": {"kind"}, CODE: set()}
    for camera, keys in needed.items():
        section = memory.get(camera, dict.fromkeys(keys)) if isinstance(memory, dict) else {}
        if not isinstance(section, dict) or not keys <= section.keys():
            raise InputError(f"{path}: is not what pixelcal wrote; remove it")
    return memory


def remember(
    results: str | Path,
    cameras: Mapping[str, Mapping],
    codes: Mapping[str, str] | None = None,
    revision: Revision = UNKNOWN,
) -> None:
    """Write what is made of each camera to the memory of a run; other cameras stay as they are.

    Parameters
    ----------
    results : folder of the run
    cameras : what each camera is made from
    codes : dict, optional
        The rule of each hash of code that products of the run have in SOFTVERS. A hash keeps the
        first revision that it was seen with, unless one without uncommitted changes has it later.
    revision : Revision
        The revision of this code.

    Raises
    ------
    InputError
        Where it cannot be written.
    """
    before = memory_of(results)
    memory = before | {name: dict(made_from) for name, made_from in cameras.items()}
    known = dict(memory.get(CODE, {}))
    for code, rule in (codes or {}).items():
        if code not in known or _rank(revision.dirty) > _rank(known[code]["dirty"]):
            known[code] = {"rule": rule, "version": software_version(), **revision._asdict()}
    if known:
        memory[CODE] = known
    if memory == before:
        return
    path = Path(results, MEMORY)
    try:
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(memory, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); free space, or make the folder writable"
        ) from None


def _rank(dirty: bool | None) -> int:
    """How well a revision tells the code: not at all, with uncommitted changes, fully."""
    return {None: 0, True: 1, False: 2}[dirty]


def listed_files(paths: Iterable[str], checksum) -> list[dict]:
    """Names of files and their checksums, as a memory keeps them."""
    return [{"file": str(path), "sha256": checksum(path)} for path in paths]


def check_energy(results: str, folder: str, now: Mapping, exposures: Iterable[str]) -> None:
    """Check that a configuration of the energy chain replaces nothing that it should not.

    Parameters
    ----------
    results : folder of the run
    folder : folder of the instrument in it
    now : dict
        `kind`, `instrument`, `pixels` (list of int) and `files` (as `listed_files`) configured.
    exposures : names of the exposures configured

    Raises
    ------
    InputError
        Where simulated events would replace measured ones, or the products of another instrument,
        of event files of which none is configured any more, or of more pixels.
    """
    before = memory_of(results).get("energy")
    of_products = _energy_of_products(folder, exposures)
    if of_products and of_products["kind"] == MEASURED and now["kind"] == SIMULATED:
        _check_measured(folder, of_products, now, "event files", "events.files")
    if before is None:
        before = of_products
    elif not _has_products(Path(results, before["instrument"])):
        return
    else:
        folder = f"{results}/{before['instrument']}"
    if before is None:
        return
    advice = _advice(folder)
    if before["instrument"] != now["instrument"]:
        raise InputError(
            f"{results}: holds a run of {before['instrument']}, and this configuration is of"
            f" {now['instrument']}, whose report would replace that of the run; {advice}"
        )
    if before["kind"] != MEASURED:
        return
    _check_measured(folder, before, now, "event files", "events.files")
    _check_pixels(folder, before, now, "pixels")


def check_sstcam(results: str, now: Mapping) -> None:
    """Check that a configuration of the SSTCAM replaces nothing that it should not.

    Parameters
    ----------
    results : folder of the run
    now : dict
        `kind`, `pixels` (list of int), and the runs of each set, `spe` and `scan` (as
        `listed_files`).

    Raises
    ------
    InputError
        Where simulated flashes would replace measured ones, or the products of runs of which none
        is configured any more, or of more pixels.
    """
    folder = f"{results}/sstcam"
    if not _has_products(Path(folder)):
        return
    before = memory_of(results).get("sstcam")
    if before is None:
        measured = not Path(folder, "runs", "pixels.ecsv").exists()
        before = {"kind": MEASURED if measured else SIMULATED}
    if before["kind"] != MEASURED:
        return
    for which, key in (("spe", "spe"), ("scan", "dynamic_range")):
        of_set = {"files": before.get(which), "kind": before["kind"]}
        runs = now | {"files": now[which]}
        _check_measured(folder, of_set, runs, "runs", f"sstcam.{key}.folder")
    _check_pixels(folder, before, now, "sstcam.pixels")


def check_prior(path: str | None, folder: str, exposures: Iterable[str]) -> None:
    """Check that a relation file is no product of the exposures configured, in their folder.

    Raises
    ------
    InputError
        Where it is: the relation would be made from itself.
    """
    if path is None:
        return
    made = os.path.realpath(path)
    for name in exposures:
        if made.startswith(os.path.realpath(f"{folder}/{name}") + os.sep):
            raise InputError(
                f"relation.file: {path!r} is a product of the exposure {name} of this very run, so"
                " it would be made from itself; copy it to another folder, or give this run another"
                " name (--config run=NAME, or the key `run`)"
            )


def check_picture(results: str, camera: str, now: Mapping, key: str) -> None:
    """Check that a picture of one pixel is asked for with the pixels of the run that is there.

    Otherwise the picture would make the whole run again, with the pixels of the configuration.

    Raises
    ------
    InputError
        Where the run was made with other pixels.
    """
    before = memory_of(results).get(camera, {})
    folder = Path(results, before.get("instrument", camera))
    same = pixel_ranges(now["pixels"]) == before.get("pixels")
    if "pixels" not in before or same or not _has_products(folder):
        return
    raise InputError(
        f"{key}: the run in {results} is of other pixels ({_shortened(before['pixels'])}), and a"
        " picture would make all of it again; give the --configfile that it was made with, or make"
        " the run with these pixels first"
    )


def pixel_ranges(pixels: Sequence[int]) -> str:
    """Pixels (n,) as the text of their ranges: "0-63,128"."""
    ranges: list[list[int]] = []
    for pixel in sorted(pixels):
        if ranges and ranges[-1][1] == pixel - 1:
            ranges[-1][1] = pixel
        else:
            ranges.append([pixel, pixel])
    return ",".join(f"{a}-{b}" if b > a else f"{a}" for a, b in ranges)


def _check_measured(folder: str, before: Mapping, now: Mapping, what: str, key: str) -> None:
    """Measured results keep their kind, and at least one of the files that they were made from."""
    if now["kind"] == SIMULATED:
        names = f" ({_names(before['files'])})" if before.get("files") else ""
        raise InputError(
            f"{folder}: was made from {what}{names}, and this configuration simulates them, which"
            f" would replace it; give --configfile as before, or {_advice(folder)}"
        )
    if before.get("files") and now["files"] and not _in_common(before["files"], now["files"]):
        raise InputError(
            f"{folder}: was made from other {what} ({_names(before['files'])}), and none of them is"
            f" configured in {key}; name these as well, or {_advice(folder)}"
        )


def _check_pixels(folder: str, before: Mapping, now: Mapping, key: str) -> None:
    """Measured results of many pixels are not replaced by those of some of them."""
    if "pixels" not in before:
        return
    kept = set(now["pixels"])
    gone = [pixel for pixel in _pixels_of(before["pixels"]) if pixel not in kept]
    if gone:
        raise InputError(
            f"{folder}: was made for {len(gone)} pixels that {key} leaves out, the first is"
            f" {gone[0]}, and would be replaced; select them, or {_advice(folder)}"
        )


def _advice(folder: str) -> str:
    return (
        "give this run another name (--config run=NAME, or the key `run`), or remove"
        f" {folder} to start over"
    )


def _names(files: Sequence[Mapping]) -> str:
    """The names of the first files of a memory."""
    more = f" and {len(files) - 2} more" if len(files) > 2 else ""
    return ", ".join(Path(entry["file"]).name for entry in files[:2]) + more


def _shortened(text: str) -> str:
    return text if len(text) < 40 else f"{text[:40]}..."


def _pixels_of(ranges: str) -> Iterable[int]:
    """The pixels of the text of `pixel_ranges`."""
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _in_common(before: Sequence[Mapping], now: Sequence[Mapping]) -> bool:
    """Whether a file is in both lists: by its path, its content, or where nothing else is known
    by its name."""
    if not all("sha256" in entry for entry in before):
        names = {Path(entry["file"]).name for entry in now}
        return any(entry["file"] in names for entry in before)
    paths = {os.path.abspath(entry["file"]) for entry in before}
    contents = {entry["sha256"] for entry in before}
    return any(
        os.path.abspath(entry["file"]) in paths or entry["sha256"] in contents for entry in now
    )


def _has_products(folder: Path) -> bool:
    """Whether anything was made in a folder."""
    return any(next(folder.rglob(kind), None) for kind in _OF_PRODUCTS)


# --- results without a memory ---------------------------------------------------------------------


def _energy_of_products(folder: str, exposures: Iterable[str]) -> dict | None:
    """What headers of spectra say of a folder of an instrument; None where nothing is there.

    Of several exposures the first that was measured counts.
    """
    found = None
    for name in exposures:
        for header in read_headers(Path(folder, name, "spectra.fits"), most=2):
            if "SIMULATE" in header:
                inputs = [header[word] for word in header if re.fullmatch(r"INFIL\d{3}", word)]
                found = {
                    "kind": SIMULATED if header["SIMULATE"] is True else MEASURED,
                    "instrument": Path(folder).name,
                    "files": [{"file": str(value)} for value in inputs],
                }
        if found and found["kind"] == MEASURED:
            break
    return found
