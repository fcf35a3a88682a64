"""Files for the cases of bad input: in order, but for what is asked to be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from helpers.event_files import EPOCH, table, write
from helpers.faults import fpacked
from helpers.instruments import EXPECTED
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.response.io import write_response
from pixelcal.energy.response.model import empty_response

N_EVENTS, N_PIXELS, SECONDS = 400, 8, 1000.0


def events(path="events.fits", *others, name="EVENTS", header=None, units=None, **columns):
    """An event file of `N_EVENTS` events in order; `columns` replaces (format, array) or drops."""
    rng = np.random.default_rng(1)
    content = {
        "TIME": ("D", np.linspace(0, SECONDS, N_EVENTS, endpoint=False)),
        "DETNUM": ("I", rng.integers(0, N_PIXELS, N_EVENTS)),
        "energy": ("E", rng.uniform(5, 100, N_EVENTS)),
        "effMult": ("B", np.ones(N_EVENTS)),
    } | columns
    rows = [(label, *column) for label, column in content.items() if column is not None]
    own = {**EPOCH, "TIMESYS": "TT", "TSTART": 0.0, "TSTOP": SECONDS} | (header or {})
    hdu = table(name, rows, {word: value for word, value in own.items() if value is not None})
    for label, unit in (units or {}).items():
        hdu.header[f"TUNIT{list(content).index(label) + 1}"] = unit
    return write(Path(path), hdu, *others)


def all_energies(value):
    """An event file in which every energy is `value`."""
    return events(energy=("E", np.full(N_EVENTS, value)))


def good_times(name="GTICAL-NEO", limits=((0.0, SECONDS),), header=None, form="D", unit="s"):
    """One table of good times."""
    limits = np.array(limits).reshape(-1, 2)
    columns = [("START", form, limits[:, 0]), ("STOP", form, limits[:, 1])]
    hdu = table(name, columns, {**EPOCH, "TIMESYS": "TT"} | (header or {}))
    for number in (1, 2):
        hdu.header[f"TUNIT{number}"] = unit
    return hdu


def relation(name="AUX-ECL-PIX-CAL", header=None, units=None, **columns):
    """Write a relation file of the pixels of the run."""
    content = {
        "DETNUM": ("I", np.arange(N_PIXELS)),
        "GAIN": ("E", np.full(N_PIXELS, 0.145)),
        "OFFSET": ("E", np.full(N_PIXELS, 3.0)),
    } | columns
    rows = [(label, *column) for label, column in content.items() if column is not None]
    hdu = table(name, rows, header)
    for label, unit in (units or {}).items():
        hdu.header[f"TUNIT{list(content).index(label) + 1}"] = unit
    return write(Path("prior.fits"), hdu)


GOOD = ("Cu,Ka1,8.05,0.577,copper,6.6,10.0,NIST", "Cd,Ka1,23.17,0.541,cadmium,20.6,24.9,NIST")


def changed(path, change):
    """Write the bytes of events.fits to `path` after `change`; the configuration names it."""
    Path(path).write_bytes(change(bytearray(events().read_bytes())))


def packed(path, change):
    """Write the events as fpack would to `path`, after `change` of the bytes."""
    with fits.open(events()) as hdus:
        write(Path(path), fpacked(hdus[1], lambda form: "GZIP_1", rows_a_tile=100))
    Path(path).write_bytes(change(bytearray(Path(path).read_bytes())))


ROWS_FROM = 2880 * 2
"""Where the rows start in an event file of `events`."""


def flip(content, *places):
    """Change bytes."""
    for place in places:
        content[place] ^= 0xFF
    return content


def response_of(name):
    """Write a response that was learnt with a line table that comes along."""
    lines = read_line_table(f"resources/lines/{name}.csv")
    write_response("response.fits", empty_response(lines, shape=EXPECTED), lines, [], None)
