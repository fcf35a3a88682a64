"""Event and GTI files for the tests, written by astropy alone."""

import numpy as np
from astropy.io import fits

EPOCH = {"MJDREFI": 57754, "MJDREFF": 0.00080074074074}


def table(name, columns, header=None):
    """A binary table from (name, TFORM, array) or (name, TFORM, array, {bscale, bzero})."""
    made = [
        fits.Column(label, form, array=array, **(options[0] if options else {}))
        for label, form, array, *options in columns
    ]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update(header or {})
    return hdu


def write(path, *hdus):
    """Write tables to `path`, compressed where it ends in .gz; returns the path."""
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return path


def events(n, seed=0, n_pixels=6400, seconds=1000.0):
    """Arrays of n events with everything that can be wrong with one."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.random(n)) * seconds
    # Times of flight data step back by tens of microseconds.
    time += rng.normal(0, 50e-6, n)
    energy = (2.5 + rng.exponential(40, n)).astype("f4")
    energy[rng.random(n) < 0.01] = np.nan
    energy[rng.random(n) < 0.01] = np.inf
    return {
        "time": time,
        "pixel": rng.integers(-3, n_pixels + 3, n).astype("i2"),
        "energy": energy,
        "multiplicity": rng.integers(0, 4, n).astype("u1"),
        "row": rng.integers(0, 82, n).astype("u1"),
        "column": rng.integers(0, 82, n).astype("u1"),
        "channel": rng.integers(-5, 1030, n).astype("i2"),
    }


def pira(path, data, header=None, without=(), others=()):
    """A file in the pira layout; the keys in `without` get no column."""
    columns = {
        "time": ("TIME", "D"),
        "pixel": ("DETNUM", "I"),
        "energy": ("energy", "E"),
        "multiplicity": ("effMult", "B"),
    }
    made = [(*columns[key], data[key]) for key in columns if key not in without]
    made.append(("procID", "B", np.zeros(len(data["energy"]), "u1")))
    return write(path, table("EVENTS", made, header), *others)


def flight(path, data, header=None):
    """A file in the layout ecl-evt-cal."""
    n = len(data["channel"])
    columns = [
        ("TIME", "D", data["time"]),
        ("JDET", "B", data["column"]),
        ("IDET", "B", data["row"]),
        ("PHA", "I", data["channel"]),
        ("PI", "I", np.zeros(n, "i2")),
        ("FLAG", "B", np.zeros(n, "u1")),
    ]
    decoy = table("OTHER", [("START", "D", np.zeros(1))])
    return write(path, decoy, table("ECL-EVT-CAL", columns, {**EPOCH, **(header or {})}))


def gti(path, criteria, epoch=EPOCH):
    """A GTI file: name of the criterion -> list of (start, stop)."""
    hdus = []
    for name, intervals in criteria.items():
        limits = np.array(intervals, float).reshape(-1, 2)
        columns = [("START", "D", limits[:, 0]), ("STOP", "D", limits[:, 1])]
        hdus.append(table(name, columns, epoch))
    return write(path, *hdus)
