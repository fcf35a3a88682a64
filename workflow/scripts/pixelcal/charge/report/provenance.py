"""What was run, for the SSTCAM's report: runs and their events, options, inputs with checksums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.charge.extraction.io import lab_values
from pixelcal.charge.report.products import Products
from pixelcal.charge.runs.dates import utc_of_mjd
from pixelcal.report.frame import without_empty
from pixelcal.report.numbers import ABSENT, with_error
from pixelcal.report.provenance import input_files

RUN_HEADINGS = (
    "Set",
    "Photons, as set",
    "measured",
    "NSB, as set",
    "measured",
    "Events read",
    "used",
    "stale",
    "incomplete or empty",
    "of another type",
    "of another gain",
    "other",
    "Lamp, jitter (%)",
    "Gain against all (%)",
    "Date (UTC)",
)
LIGHT = ("NPH", "NPHMEAS", "NSB", "NSBMEAS")
EVENTS = ("NREAD", "NUSED", "NSTALE", "NINCOMPL", "NTYPE", "NGAIN", "NOTHER")
SETS = {"spe": "single photoelectrons", "scan": "dynamic range"}


def content(products: Products) -> dict:
    """What the template shows of it, under the names that it uses."""
    headings, rows = without_empty(run_headings(products), run_rows(products))
    return {
        "run_headings": headings,
        "run_rows": rows,
        "option_rows": option_rows(products),
        "input_rows": input_rows(products),
        "made": made_text(products),
    }


def run_rows(products: Products) -> list[list[str]]:
    """Name of each run, then the cells under `run_headings`.

    The events used and those left out, by reason, add up to the events read. Of ready histograms
    only the flashes of a typical pixel are known.
    """
    rows = _histogram_rows(products)
    for header in products.charges:
        light = [f"{header[key]:.5g}" if key in header else ABSENT for key in LIGHT]
        events = [f"{header.get(key, 0):,}" for key in EVENTS]
        cells = [header["RUNNAME"], SETS[header["RUNSET"]], *light, *events]
        values = lab_values(header)
        lab = [f"{values[name]:.7g}" if name in values else ABSENT for name in _lab_names(products)]
        date = utc_of_mjd(header["MJD-OBS"]) if "MJD-OBS" in header else ABSENT
        rows.append([*cells, *_found_of_run(products, header), date, *lab])
    return rows


def _histogram_rows(products: Products) -> list[list[str]]:
    """Rows of the runs that are ready histograms; none of others."""
    if products.lamp_is_checked:
        return []
    rows, lab = [], [ABSENT] * len(_lab_names(products))
    for run, name in enumerate(products.runs):
        light = products.spectra.meta.get(f"NPH{run}")
        flashes = int(np.median(np.asarray(products.spe["FLASHES"])[:, run]))
        unknown = [ABSENT] * (len(LIGHT) + len(EVENTS))
        unknown[0] = ABSENT if light is None else f"{light:.5g}"
        unknown[len(LIGHT) + EVENTS.index("NUSED")] = f"{flashes:,}"
        rows.append([name, SETS["spe"], *unknown, *_found_of(products, run), ABSENT, *lab])
    return rows


def run_headings(products: Products) -> list[str]:
    """Headings of the table of runs: RUN_HEADINGS, and further columns of `table.csv`."""
    return [*RUN_HEADINGS, *_lab_names(products)]


def _lab_names(products: Products) -> list[str]:
    return list(dict.fromkeys(name for header in products.charges for name in lab_values(header)))


def _found_of_run(products: Products, header: Mapping) -> list[str]:
    """Jitter of the lamp and gain of a run of single photoelectrons, in per cent."""
    names = products.runs
    if header["RUNSET"] != "spe" or header["RUNNAME"] not in names:
        return [ABSENT, ABSENT]
    return _found_of(products, names.index(header["RUNNAME"]))


def _found_of(products: Products, run: int) -> list[str]:
    """The same of a run by its number."""
    meta, cells = products.spe.meta, []
    for value, error, form in (("JITTER", "JITERR", "{:.1f}"), ("RGAIN", "RGERR", "{:+.2f}")):
        if f"{value}{run}" not in meta:
            checked = value != "JITTER" or products.lamp_is_checked
            cells.append(ABSENT if checked else "not checked")
            continue
        number, sigma = 100 * meta[f"{value}{run}"], 100 * meta[f"{error}{run}"]
        cells.append(with_error(number, sigma, form))
    return cells


def option_rows(products: Products) -> list[list[str]]:
    """(option, value) of how charges were taken, from the header of the fits."""
    cards = products.spe.meta.cards
    wanted = ("WINDOW", "WINSHIFT", "TIMESKEW", "BASELINE", "NBASE", "SOLO", "MAXEV", "UNITSAMP",
              "SAMPLENS", "STEP")  # fmt: skip
    rows = []
    for keyword in wanted:
        if keyword in products.spe.meta:
            card = cards[keyword]
            value = str(card.value)
            if isinstance(card.value, bool):
                value = "yes" if card.value else "no"
            rows.append([card.comment, value])
    return rows


def input_rows(products: Products) -> list[list[str]]:
    """(what it is, name, SHA-256) of every input file that the charges and fits name."""
    files: dict[tuple[str, str], str] = {}
    for header in products.charges:
        what = "charges" if "take_charges" in header.get("CREATOR", "") else "waveforms"
        for name, sha in input_files(header):
            files.setdefault((name, sha), "peaks" if name == "peaks.fits" else what)
        if "SRCFILE" in header:
            files.setdefault((header["SRCFILE"], header.get("SRCSHA", ABSENT)), "converted from")
    if not products.lamp_is_checked:
        for name, sha in input_files(products.spectra.meta):
            files.setdefault((name, sha), "histograms")
    if "BADPIX" in products.spe.meta:
        files[(products.spe.meta["BADPIX"], products.spe.meta["BADSHA"])] = "bad pixels"
    return [[what, name, sha] for (name, sha), what in files.items()]


def made_text(products: Products) -> str:
    """Which software and settings made the fits."""
    header = products.spe.meta
    return f"{header['CREATOR']} {header['SOFTVERS']}, configuration {header['CONFHASH']}"
