"""What was run, for the SSTCAM's report: runs and their events, options, inputs with checksums."""

from __future__ import annotations

from pixelcal.charge.report.products import Products
from pixelcal.report.frame import ABSENT
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
    "incomplete",
    "other",
)
LIGHT = ("NPH", "NPHMEAS", "NSB", "NSBMEAS")
EVENTS = ("NREAD", "NUSED", "NSTALE", "NINCOMPL", "NOTHER")
SETS = {"spe": "single photoelectrons", "scan": "dynamic range"}


def run_rows(products: Products) -> list[list[str]]:
    """Name of each run, then the cells under RUN_HEADINGS."""
    rows = []
    for header in products.charges:
        light = [f"{header[key]:.5g}" if key in header else ABSENT for key in LIGHT]
        events = [f"{header.get(key, 0):,}" for key in EVENTS]
        rows.append([header["RUNNAME"], SETS[header["RUNSET"]], *light, *events])
    return rows


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
        for name, sha in input_files(header):
            files.setdefault((name, sha), "peaks" if name == "peaks.fits" else "waveforms")
        if "SRCFILE" in header:
            files.setdefault((header["SRCFILE"], header.get("SRCSHA", ABSENT)), "converted from")
    if "BADPIX" in products.spe.meta:
        files[(products.spe.meta["BADPIX"], products.spe.meta["BADSHA"])] = "bad pixels"
    return [[what, name, sha] for (name, sha), what in files.items()]


def made_text(products: Products) -> str:
    """Which software and settings made the fits."""
    header = products.spe.meta
    return f"{header['CREATOR']} {header['SOFTVERS']}, configuration {header['CONFHASH']}"
