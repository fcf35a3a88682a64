"""Small inputs with one fault each, and the steps of the chain that they are given to.

An input that is in order has 64 pixels. `calibrate` and `merge` run the checks of the configuration
and the script of the rule in this process and return what became of the input: the product, and
every warning and error. So a test does not depend on where in the library a fault is noticed.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from astropy.io import fits
from astropy.table import Table

import config_reference
from helpers import cameras
from helpers.paths import LINES, PIXEL_MAP, PROJECT, SNAKEFILE
from helpers.synthetic import make_fits, run_script
from pixelcal.errors import InputError
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.workflow import config as configuration

N_PIXELS = 64
SECONDS = 1000.0
EPOCH = {"MJDREFI": 57754, "MJDREFF": 69.184 / 86400, "TIMESYS": "TT"}
GAIN, OFFSET = 0.145, 3.0
SCHEMA = configuration.read_schema(config_reference.SCHEMA)
LOGGED = re.compile(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) (.*)$", re.MULTILINE)


# --- event files ----------------------------------------------------------------------------------


def pira_columns(n=4000, seconds=SECONDS, start=0.0, seed=1, first_pixel=0):
    """Columns of a file with energies: name -> (format, array), rising in time."""
    rng = np.random.default_rng(seed)
    return {
        "TIME": ("D", np.sort(start + seconds * rng.random(n))),
        "DETNUM": ("I", rng.permutation(n) % N_PIXELS + first_pixel),
        "energy": ("E", rng.uniform(5.0, 100.0, n)),
        "effMult": ("B", np.ones(n, "u1")),
    }


def flight_columns(n=4000, seconds=SECONDS, start=0.0, seed=1, first_pixel=0):
    """Columns of a file with channels, as `pira_columns`."""
    energies = pira_columns(n, seconds, start, seed)
    channel = ((energies["energy"][1] - OFFSET) / GAIN).astype("i2")
    row, column = np.divmod(energies["DETNUM"][1], 80)
    return {
        "TIME": energies["TIME"],
        "JDET": ("B", column + first_pixel),
        "IDET": ("B", row + first_pixel),
        "PHA": ("I", channel),
    }


def events_hdu(columns, name="EVENTS", header=None, units=None):
    """A table of events, TSTART and TSTOP around them; a card that is None is left out."""
    span = {}
    if "TIME" in columns:
        time = columns["TIME"][1]
        span = {
            "TSTART": float(np.floor(np.nanmin(time))),
            "TSTOP": float(np.ceil(np.nanmax(time))),
        }
    made = [
        fits.Column(label, form, array=array, unit=(units or {}).get(label))
        for label, (form, array) in columns.items()
    ]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    cards = {**EPOCH, **span, **(header or {})}
    hdu.header.update({word: value for word, value in cards.items() if value is not None})
    return hdu


def write_events(path, columns=None, *others, checksum=False, **options):
    """Write an event file of `pira_columns`, or of the columns given; returns the path."""
    hdu = events_hdu(pira_columns() if columns is None else columns, **options)
    fits.HDUList([fits.PrimaryHDU(), hdu, *others]).writeto(path, checksum=checksum)
    return Path(path)


def write_flight(path, columns=None, *others, **options):
    """Write an event file of `flight_columns`, or of the columns given; returns the path."""
    columns = flight_columns() if columns is None else columns
    return write_events(path, columns, *others, **({"name": "ECL-EVT-CAL"} | options))


def patch(path, *changes):
    """Replace bytes of a file by as many others, each found in it exactly once."""
    content = Path(path).read_bytes()
    for old, new in changes:
        assert len(old) == len(new) and content.count(old) == 1, (old, content.count(old))
        content = content.replace(old, new)
    Path(path).write_bytes(content)
    return Path(path)


def rename_column(path, old, new):
    """Give a column a name that another one may have too: astropy would not write that."""
    return patch(path, (f"= '{old:8s}'".encode(), f"= '{new:8s}'".encode()))


def compress(path, times=1, where=None):
    """A compressed copy of a file; returns its path."""
    content = Path(path).read_bytes()
    for _ in range(times):
        content = gzip.compress(content)
    copy = Path(where or f"{path}.gz")
    copy.write_bytes(content)
    return copy


def good_times(name="GTICAL-NEO", limits=((0.0, SECONDS),), names=("START", "STOP"), **more):
    """A table of good times; `more` are further columns."""
    limits = np.array(limits, float)
    made = [fits.Column(label, "D", array=limits[:, k], unit="s") for k, label in enumerate(names)]
    made += [fits.Column(label, "D", array=values, unit="s") for label, values in more.items()]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update(EPOCH)
    return hdu


def fpacked(hdu, algorithms: Callable[[str], str], rows_a_tile=1000):
    """A table as fpack writes it: each column of a tile of rows compressed by itself.

    After "FITS tiled table convention" of the FITS standard 4.0, section 10.3.
    """
    data, made, cards = hdu.data, [], {}
    n_rows = len(data)
    for number, column in enumerate(hdu.columns, 1):
        algorithm, packed = algorithms(column.format), []
        for first in range(0, n_rows, rows_a_tile):
            stored = np.ascontiguousarray(data.field(column.name)[first : first + rows_a_tile])
            content = _packed(stored, column.format, algorithm)
            packed.append(np.frombuffer(content, "u1"))
        array = np.empty(len(packed), object)
        array[:] = packed
        made.append(fits.Column(column.name, "1QB()", array=array))
        cards |= {f"ZFORM{number}": column.format, f"ZCTYP{number}": algorithm}
    compressed = fits.BinTableHDU.from_columns(made, name=hdu.name)
    for word, value in hdu.header.items():
        if word not in compressed.header and not re.match("TNULL|TDISP", word):
            compressed.header[word] = value
    compressed.header.update(
        {"ZTABLE": True, "ZTILELEN": rows_a_tile, "ZNAXIS1": hdu.header["NAXIS1"]}
        | {"ZNAXIS2": n_rows, "ZPCOUNT": 0}
        | cards
    )
    return compressed


def _packed(stored, form, algorithm):
    big = stored.astype(stored.dtype.newbyteorder(">"))
    if algorithm == "GZIP_2":
        return gzip.compress(big.view("u1").reshape(len(big), -1).T.tobytes())
    if algorithm == "RICE_1":
        from astropy.io.fits.hdu.compressed._codecs import Rice1

        native = stored.astype(stored.dtype.newbyteorder("="))
        codec = Rice1(blocksize=32, bytepix=native.itemsize, tilesize=native.size)
        return codec.encode(native)
    return big.tobytes() if algorithm == "NOCOMPRESS" else gzip.compress(big.tobytes())


# --- priors and tables of bad pixels --------------------------------------------------------------


def prior_columns(n=N_PIXELS, gain=GAIN, offset=OFFSET, first_pixel=0):
    """DETNUM, GAIN and OFFSET of every pixel."""
    return {
        "DETNUM": ("I", np.arange(n) + first_pixel),
        "GAIN": ("D", np.full(n, gain)),
        "OFFSET": ("D", np.full(n, offset)),
    }


def write_prior(path, columns=None, units=("keV/chan", "keV"), checksum=False, header=None):
    """A relation file: FITS, ECSV or CSV by the ending of its name; returns the path."""
    path = Path(path)
    columns = prior_columns() if columns is None else columns
    named = dict(zip(("GAIN", "OFFSET"), units, strict=True))
    if path.suffix == ".csv":
        heads = {name: f"{name} [{named[name]}]" if named.get(name) else name for name in columns}
        table = Table({heads[name]: array for name, (_, array) in columns.items()})
        table.write(path, format="ascii.csv")
    elif path.suffix == ".ecsv":
        table = Table({name: array for name, (_, array) in columns.items()})
        text = path.with_suffix(".text")
        table.write(text, format="ascii.ecsv")
        content = text.read_text()
        for name, unit in named.items():  # as it is written, also where astropy cannot read it
            if unit:
                content = content.replace(f"{{name: {name}, ", f"{{name: {name}, unit: '{unit}', ")
        path.write_text(content)
    else:
        made = [
            fits.Column(name, form, array=array, unit=named.get(name))
            for name, (form, array) in columns.items()
        ]
        hdu = fits.BinTableHDU.from_columns(made, name="RELATION")
        hdu.header.update(header or {})
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=checksum)
    return path


# --- steps of the chain ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    Attributes
    ----------
    failed : bool
    said : str
        Warnings and errors, a line each.
    counts : (n, 1024) int, header
        Of the spectra, where there are any.
    """

    failed: bool
    said: str
    counts: np.ndarray | None = None
    header: fits.Header | None = None

    def refuses(self, *words):
        """Assert that there is an error of one line that has all the words."""
        assert self.failed, f"nobody noticed; said: {self.said!r}"
        assert "Traceback" not in self.said, self.said
        absent = [word for word in words if str(word).lower() not in self.said.lower()]
        assert not absent, f"{absent} not in {self.said!r}"

    def warns(self, *words):
        """Assert that the input is used, with a warning that has all the words."""
        assert not self.failed, self.said
        absent = [word for word in words if str(word).lower() not in self.said.lower()]
        assert not absent, f"{absent} not in {self.said!r}"

    def notices(self, *words):
        """Assert that there is a warning or an error that has all the words."""
        absent = [word for word in words if str(word).lower() not in self.said.lower()]
        assert not absent, f"{absent} not in {self.said!r}"

    def is_as(self, other: Outcome):
        """Assert that the input is used without a word, and counts as the other."""
        assert not self.failed, self.said
        assert not self.said, self.said
        assert np.array_equal(self.counts, other.counts), (
            f"{self.counts.sum()} counts for {other.counts.sum()}, or in other channels"
        )


def merged(base, own):
    """`own` put onto `base`, group by group, but for exposures."""
    both = dict(base)
    for key, value in own.items():
        deep = isinstance(value, dict) and isinstance(both.get(key), dict) and key != "exposures"
        both[key] = merged(both[key], value) if deep else value
    return both


def settings_of(*files, seconds=SECONDS, layout="pira", **more):
    """A configuration of 64 pixels, one exposure `a` and event files, nothing injected."""
    base = {
        "pixels": f"0-{N_PIXELS - 1}",
        "events": {"files": [str(path) for path in files], "layout": layout},
        "injection": {"gain_sigma": 0.0, "offset_sigma_keV": 0.0},
        "exposures": {"a": {"seconds": seconds}},
    }
    if layout == "ecl-evt-cal":
        base["events"]["multiplicity"] = "all"
    return merged(base, more)


def resolve(settings) -> dict:
    """A configuration with defaults, checked as the Snakefile does."""
    return configuration.resolve(settings, SCHEMA)


def bin_spectra(folder, *files, **settings) -> Outcome:
    """The spectra of event files, by the configuration's checks and the script of the rule."""
    folder = Path(folder)
    number = len(list(folder.glob("bin-*")))
    place = folder / f"bin-{number}"
    place.mkdir()
    try:
        own = resolve(settings_of(*files, **settings))
    except InputError as error:
        return Outcome(True, without(folder, f"configuration: {error}"))
    exposure = configuration.exposure_settings(own, "a")
    given = {"events": own["events"]["files"], "pixel_map": PIXEL_MAP}
    for name, path in (("gti", own["events"]["gti"]["file"]), ("prior", own["relation"]["file"])):
        given |= {name: path} if path else {}
    events = own["events"]
    params = {
        "layout": events["layout"],
        "columns": {key: name for key, name in events["columns"].items() if name},
        "criteria": events["gti"]["criteria"],
        "multiplicity": exposure["multiplicity"],
        "seconds": exposure["seconds"],
        "start": exposure["start"],
        "stop": exposure["stop"],
        "pixels": list(configuration.parse_pixels(own["pixels"], 6400)),
        "relation": {key: own["relation"][key] for key in ("gain_keV", "offset_keV")},
        "injection": exposure["injection"],
        "exposure": "a",
        "seed": events["seed"],
        "date": None,
    }
    params |= {key: events[key] for key in ("first_pixel",) if key in events}
    spectra = place / "spectra.fits"
    failed, said = run_step("bin_spectra", place, given, {"spectra": spectra}, params)
    if failed:
        return Outcome(True, said)
    with fits.open(spectra) as hdus:
        counts = np.array(hdus["SPECTRA"].data["COUNTS"])
        return Outcome(False, said, counts, hdus["SPECTRA"].header.copy())


def run_step(name, place, given, made, params) -> tuple[bool, str]:
    """Run a script; whether it failed, and its warnings and errors."""
    failed = False
    try:
        run_script(name, place, given, made, params)
    except SystemExit as stopped:
        failed = bool(stopped.code)
    log = Path(place) / f"{name}.log"
    return failed, without(place.parent, "\n".join(LOGGED.findall(log.read_text())))


def without(folder, text) -> str:
    """A text without the folder of the test, whose name has words that messages may have."""
    return str(text).replace(f"{folder}{os.sep}", "")


@dataclass(frozen=True)
class Merged:
    """What the step of the merge made of fits: its products, and what it said."""

    failed: bool
    said: str
    relation: fits.FITS_rec | None = None
    mission: fits.FITS_rec | None = None
    updated: np.ndarray | None = None
    headers: dict | None = None
    folder: Path | None = None

    refuses, notices = Outcome.refuses, Outcome.notices


def merge(folder, change=None, header=None, settings=None, **given) -> Merged:
    """The relation of 64 synthetic fits, after `change(rows)`; `given` are further inputs."""
    folder = Path(folder)
    place = folder / f"merge-{len(list(folder.glob('merge-*')))}"
    place.mkdir()
    rows, _ = make_fits(N_PIXELS)
    if change is not None:
        change(rows)
    cards = {"EXPNAME": "a", "EXPOSURE": 1000.0, "MULTIPLI": "single", "NINFILE": 0}
    spectra = np.zeros(N_PIXELS, [("DETNUM", "i2"), ("COUNTS", "i4", (8,))])
    spectra["DETNUM"] = rows["DETNUM"]
    cards |= {key: header[key] for key in header or {} if _is_told(key)}
    write_fits(place / "spectra.fits", [table_hdu(spectra, "SPECTRA", cards=list(cards.items()))])
    write_fits(place / "0000.fits", [table_hdu(rows, "FIT")])
    nominal = {"gain_keV": GAIN, "offset_keV": OFFSET}
    made = {"relation": place / "relation.fits", "mission": place / "AUX-ECL-PIX-CAL.fits"}
    failed, said = run_step(
        "merge_relation",
        place,
        {"chunks": [str(place / "0000.fits")], "spectra": place / "spectra.fits"}
        | {"pixel_map": PIXEL_MAP, "lines": LINES}
        | given,
        made,
        {"relation": nominal, "settings": settings or {"relation": nominal}, "date": None},
    )
    if failed:
        return Merged(True, said, folder=place)
    with fits.open(made["relation"]) as own, fits.open(made["mission"]) as mission:
        return Merged(
            False,
            said,
            np.array(own["RELATION"].data),
            np.array(mission["AUX-ECL-PIX-CAL"].data),
            np.array(mission["PIXEL-STATUS"].data["UPDATED"]),
            {
                "relation": own["RELATION"].header.copy(),
                "mission": mission["AUX-ECL-PIX-CAL"].header.copy(),
            },
            place,
        )


def _is_told(word):
    """Whether a card of spectra is one that says something, not how the table is stored."""
    return not re.match(
        "XTENSION|BITPIX|NAXIS|[PG]COUNT|T[A-Z]+[0-9]+$|TFIELDS|.*SUM$|EXTNAME", word
    )


def snakemake(folder, *arguments):
    """Run the project's Snakefile in an empty folder: it compiles nothing anew, unlike a copy."""
    config = Path(folder) / "config" / "config.yaml"
    if not config.exists():
        config.parent.mkdir()
        config.write_text((PROJECT / "config" / "config.yaml").read_text())
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "-s",
        SNAKEFILE,
    ]
    return subprocess.run(
        [*map(str, command), *map(str, arguments)],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def write_settings(folder, settings, name="own.yaml"):
    """A configuration file; returns its name."""
    (Path(folder) / name).write_text(yaml.safe_dump(settings, sort_keys=False))
    return name


# --- cameras with spoilt pixels -------------------------------------------------------------------


def bump(centre_keV, counts, fwhm_keV=1.0):
    """Function of gain and offset: expected counts (1024,) of a Gaussian bump of noise."""

    def expected(gain, offset):
        energy = gain * (np.arange(1024) + 0.5) + offset
        density = np.exp(-0.5 * ((energy - centre_keV) / (fwhm_keV / 2.3548)) ** 2)
        return counts * density / density.sum()

    return expected


def spectrum_of(gain, offset, seconds, **more):
    """Expected counts (1024,) of a pixel of the simulated camera."""
    return cameras.expected_spectrum(gain, offset, seconds, **more)


def dealt_events(counts, start, stop, rng):
    """Times and channels of the events of one pixel's spectrum (1024,), between two times."""
    channel = np.repeat(np.arange(1024), counts)
    return rng.uniform(start, stop, len(channel)), rng.permutation(channel)
