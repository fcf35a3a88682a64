"""The mistakes of docs/bad-input.md: the files and keys that make each of them.

Each case starts from input that is in order and makes one mistake. What is said of it stands in the
page, which is the table that the tests hold the messages against.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits

from helpers.bad_input_files import (
    GOOD,
    N_EVENTS,
    N_PIXELS,
    ROWS_FROM,
    all_energies,
    changed,
    events,
    flip,
    good_times,
    packed,
    relation,
    response_of,
)
from helpers.event_files import EPOCH, table, write
from pixelcal.energy.lines import COLUMNS

BASE = {
    "pixels": f"0-{N_PIXELS - 1}",
    "events": {"files": ["events.fits"]},
    "exposures": {"a": {"seconds": 900}},
}
"""The configuration that every case starts from."""


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes
    ----------
    group, mistake : str
        What it is about, and what is wrong.
    make : function without arguments, optional
        Writes the files, into the current folder; events.fits is there already.
    settings : dict or text
        Put onto `BASE`, or the text of the configuration file.
    stage : str
        Who finds it: "configuration", before any job, or the rule.
    by_snakemake : bool
        Whether it is also run through Snakemake.
    """

    group: str
    mistake: str
    make: Callable[[], object] | None = None
    settings: dict | str = field(default_factory=dict)
    stage: str = "bin_spectra"
    by_snakemake: bool = False

    @property
    def name(self) -> str:
        """Of the test."""
        return f"{self.group}: {self.mistake}".replace("`", "")


def gti_case(mistake, *tables, criteria=("GTICAL-NEO",), **options):
    """A case with a file of good times."""
    settings = {"events": {"gti": {"file": "gti.fits", "criteria": list(criteria)}}}
    return Case(
        "Good times", mistake, lambda: write(Path("gti.fits"), *tables), settings, **options
    )


def prior_case(mistake, make=None, **options):
    """A case with a relation file; `options` go to `relation` or to the case."""
    own = {key: options.pop(key) for key in ("by_snakemake", "stage") if key in options}
    settings = {"relation": {"file": "prior.fits"}}
    return Case("Prior relation", mistake, make or (lambda: relation(**options)), settings, **own)


def twice():
    """An event file with every event twice, as of files that were merged and sorted by time."""
    rng = np.random.default_rng(2)
    once = N_EVENTS // 2
    events(
        TIME=("D", np.repeat(np.linspace(0, 1000, once, endpoint=False), 2)),
        DETNUM=("I", np.repeat(rng.integers(0, N_PIXELS, once), 2)),
        energy=("E", np.repeat(rng.uniform(5, 100, once), 2)),
    )


def relation_twice():
    """A relation file that has the extension twice."""
    relation()
    with fits.open("prior.fits") as hdus:
        write(Path("prior.fits"), hdus[1].copy(), hdus[1].copy())


def csv_prior(*rows):
    """A relation file of text."""
    Path("prior.csv").write_text("\n".join(["DETNUM,GAIN,OFFSET", *rows, ""]))


def line_case(mistake, *rows, text=None, by_snakemake=False):
    """A case with a line table: the rows under the header, or the bytes of the whole file."""
    content = "\n".join([",".join(COLUMNS), *rows, ""]).encode() if text is None else text
    return Case(
        "Line table",
        mistake,
        lambda: Path("lines.csv").write_bytes(content),
        {"lines": "lines.csv"},
        "configuration",
        by_snakemake,
    )


def config_case(mistake, settings, **options):
    """A case in the configuration itself."""
    return Case("Configuration", mistake, None, settings, "configuration", **options)


def named(*files):
    """Settings that name event files."""
    return {"events": {"files": list(files)}}


CASES = [
    Case(
        "Event file",
        "missing",
        settings=named("none.fits"),
        stage="configuration",
        by_snakemake=True,
    ),
    Case(
        "Event file",
        "a folder",
        make=lambda: Path("data").mkdir(),
        settings=named("data"),
        stage="configuration",
    ),
    Case(
        "Event file",
        "the same file twice",
        settings=named("events.fits", "./events.fits"),
        stage="configuration",
    ),
    Case(
        "Event file",
        "a name that Snakemake would expand",
        make=lambda: events("events{1}.fits"),
        settings=named("events{1}.fits"),
        stage="configuration",
    ),
    Case(
        "Event file",
        "a name with a line break",
        make=lambda: events("a\nb.fits"),
        settings=named("a\nb.fits"),
        stage="configuration",
    ),
    Case(
        "Event file", "empty", make=lambda: Path("events.fits").write_bytes(b""), by_snakemake=True
    ),
    Case(
        "Event file", "not FITS", make=lambda: Path("events.fits").write_text("TIME,energy\n1,2\n")
    ),
    Case(
        "Event file",
        "compressed by bzip2",
        make=lambda: changed("events.bz2", bz2.compress),
        settings=named("events.bz2"),
    ),
    Case(
        "Event file",
        "truncated in the rows",
        make=lambda: changed("cut.fits", lambda content: content[: ROWS_FROM + 100 * 15 + 3]),
        settings=named("cut.fits"),
        by_snakemake=True,
    ),
    Case(
        "Event file",
        "truncated in the header",
        make=lambda: changed("cut.fits", lambda content: content[:3500]),
        settings=named("cut.fits"),
    ),
    Case(
        "Event file",
        "gzip of a truncated file",
        make=lambda: changed("cut.fits.gz", lambda c: gzip.compress(c[: ROWS_FROM + 100 * 15 + 3])),
        settings=named("cut.fits.gz"),
    ),
    Case(
        "Event file",
        "truncated gzip",
        make=lambda: changed("cut.fits.gz", lambda content: gzip.compress(content)[:-900]),
        settings=named("cut.fits.gz"),
    ),
    Case(
        "Event file",
        "broken gzip",
        make=lambda: changed(
            "bad.fits.gz", lambda content: flip(bytearray(gzip.compress(content)), 10)
        ),
        settings=named("bad.fits.gz"),
        by_snakemake=True,
    ),
    Case(
        "Event file",
        "gzip with a wrong checksum",
        make=lambda: changed(
            "bad.fits.gz", lambda content: flip(bytearray(gzip.compress(content)), -8)
        ),
        settings=named("bad.fits.gz"),
    ),
    Case(
        "Event file",
        "damaged header",
        make=lambda: Path("events.fits").write_bytes(
            events().read_bytes().replace(b"TFORM3  = 'E       '", b"TFORM3  = (E       '")
        ),
    ),
    Case("Event file", "no table", make=lambda: write(Path("events.fits"))),
    Case(
        "Event file",
        "an image",
        make=lambda: write(
            Path("events.fits"), fits.ImageHDU(np.zeros((80, 80), "i2"), name="EVENTS")
        ),
    ),
    Case(
        "Event file",
        "an ASCII table",
        make=lambda: write(
            Path("events.fits"),
            fits.TableHDU.from_columns(
                [fits.Column("energy", "E15.7", array=[10.0, 20.0])], name="EVENTS"
            ),
        ),
    ),
    Case(
        "Event file",
        "a table of fpack, cut short",
        make=lambda: packed("cut.fits.fz", lambda content: content[:-4000]),
        settings=named("cut.fits.fz"),
        by_snakemake=True,
    ),
    Case(
        "Event file",
        "a table of fpack, damaged",
        make=lambda: packed("bad.fits.fz", lambda content: flip(content, -5000)),
        settings=named("bad.fits.fz"),
    ),
    Case(
        "Event file",
        "only another extension, without the column",
        make=lambda: events(name="OTHER", energy=None),
    ),
    Case(
        "Event file",
        "the extension twice",
        make=lambda: events("events.fits", table("EVENTS", [("energy", "E", [1.0])])),
    ),
    Case(
        "Event file",
        "two tables that may be meant",
        make=lambda: events("events.fits", table("BAD", [("energy", "E", [1.0])]), name="GOOD"),
    ),
    Case(
        "Event file",
        "no events",
        make=lambda: events(
            **{
                name: (form, [])
                for name, form in (
                    ("TIME", "D"),
                    ("DETNUM", "I"),
                    ("energy", "E"),
                    ("effMult", "B"),
                )
            }
        ),
    ),
    Case("Event file", "of another camera", make=lambda: events(header={"INSTRUME": "MXT"})),
    Case(
        "Columns", "a name that is not there", settings={"events": {"columns": {"energy": "E_keV"}}}
    ),
    Case(
        "Columns",
        "code in place of a name",
        settings={"events": {"columns": {"energy": "__import__('os').mkdir('evil')"}}},
    ),
    Case("Columns", "text", make=lambda: events(energy=("8A", np.array(["12 keV"] * N_EVENTS)))),
    Case(
        "Columns",
        "several numbers a row",
        make=lambda: events(DETNUM=("2I", np.ones((N_EVENTS, 2)))),
    ),
    Case(
        "Columns",
        "lists of numbers",
        make=lambda: events(
            energy=("PE()", np.array([[k] * (k % 3) for k in range(N_EVENTS)], object))
        ),
    ),
    Case("Columns", "no multiplicity", make=lambda: events(effMult=None)),
    Case(
        "Columns",
        "no column of that name for the pixel",
        make=lambda: events(DETNUM=None, PIXEL=("I", np.arange(N_EVENTS) % N_PIXELS)),
    ),
    Case(
        "Columns",
        "pixels in one of two files",
        make=lambda: events("unnamed.fits", DETNUM=None),
        settings=named("events.fits", "unnamed.fits"),
    ),
    Case("Columns", "row without column", settings={"events": {"columns": {"row": "DETNUM"}}}),
    Case(
        "Columns",
        "TSCAL that is no number",
        make=lambda: fits.setval(events(), "TSCAL3", value="two", ext=1),
    ),
    Case(
        "Units",
        "energy in another unit",
        make=lambda: events(units={"energy": "mm"}),
        by_snakemake=True,
    ),
    Case(
        "Units",
        "energy in a unit that does not exist",
        make=lambda: events(units={"energy": "kilovolts?"}),
    ),
    Case("Units", "channels in place of energies", make=lambda: events(units={"energy": "chan"})),
    Case(
        "Units",
        "energies in place of channels",
        make=lambda: events(units={"energy": "keV"}),
        settings={"events": {"columns": {"channel": "energy"}}},
    ),
    Case("Units", "time in a unit of energy", make=lambda: events(units={"TIME": "keV"})),
    Case("Units", "pixel in a unit of time", make=lambda: events(units={"DETNUM": "s"})),
    Case("Units", "TIMEUNIT that is none", make=lambda: events(header={"TIMEUNIT": "pc"})),
    Case("Values", "every energy NaN", make=lambda: all_energies(np.nan)),
    Case("Values", "every energy infinite", make=lambda: all_energies(np.inf)),
    Case("Values", "every energy negative", make=lambda: all_energies(-20.0)),
    Case("Values", "energies in eV that do not say so", make=lambda: all_energies(20000.0)),
    Case(
        "Values",
        "every DETNUM out of range",
        make=lambda: events(DETNUM=("I", np.full(N_EVENTS, 6400))),
    ),
    Case(
        "Values",
        "every DETNUM a fraction",
        make=lambda: events(DETNUM=("E", np.full(N_EVENTS, 3.5))),
    ),
    Case(
        "Values",
        "multiplicities from 0",
        make=lambda: events(effMult=("B", np.arange(N_EVENTS) % 4 // 3)),
    ),
    Case(
        "Values", "no event of the multiplicity", settings={"events": {"multiplicity": "multiple"}}
    ),
    Case("Times", "TSTART that is no number", make=lambda: events(header={"TSTART": "noon"})),
    Case("Times", "MJDREFF in seconds", make=lambda: events(header={"MJDREFF": 69.184})),
    Case("Times", "TSTART after TSTOP", make=lambda: events(header={"TSTART": 2000.0})),
    Case(
        "Times",
        "times in ms that do not say so",
        make=lambda: events(TIME=("D", np.linspace(0, 1e6, N_EVENTS, endpoint=False))),
    ),
    Case("Times", "all times equal", make=lambda: events(TIME=("D", np.full(N_EVENTS, 500.0)))),
    Case("Times", "events that are there twice", make=twice),
    Case(
        "Times",
        "event files of different epochs",
        make=lambda: events("later.fits", header={"MJDREFI": EPOCH["MJDREFI"] + 1}),
        settings=named("events.fits", "later.fits"),
        by_snakemake=True,
    ),
    Case(
        "Times",
        "event files of different time systems",
        make=lambda: events("utc.fits", header={"TIMESYS": "UTC"}),
        settings=named("events.fits", "utc.fits"),
    ),
    Case(
        "Times",
        "files with and without times",
        make=lambda: events("untimed.fits", TIME=None),
        settings=named("events.fits", "untimed.fits"),
    ),
    Case("Times", "neither times nor EXPOSURE", make=lambda: events(TIME=None)),
    Case(
        "Times",
        "an exposure longer than the data",
        settings={"exposures": {"a": {"seconds": 2000}}},
        by_snakemake=True,
    ),
    gti_case("no such criterion", good_times(), criteria=("GTICAL-NEO", "GTICAL-NSA")),
    gti_case(
        "no criterion named, several there", good_times(), good_times("GTICAL-NSA"), criteria=()
    ),
    gti_case("a criterion twice", good_times(), good_times(limits=[(0.0, 10.0)])),
    gti_case("empty", good_times(limits=())),
    gti_case(
        "criteria that exclude each other",
        good_times(limits=[(0.0, 500.0)]),
        good_times("GTICAL-NSA", [(500.0, 1000.0)]),
        criteria=("GTICAL-NEO", "GTICAL-NSA"),
    ),
    gti_case("of another observation", good_times(limits=[(5000.0, 6000.0)])),
    gti_case(
        "a reversed interval", good_times(limits=[(0.0, 100.0), (500.0, 400.0)]), by_snakemake=True
    ),
    gti_case("a limit that is NaN", good_times(limits=[(np.nan, 100.0)])),
    gti_case("an interval without end", good_times(limits=[(0.0, np.inf)])),
    gti_case("text for times", good_times(limits=[("a", "b")], form="1A")),
    gti_case("in another unit", good_times(unit="m")),
    gti_case("of another epoch", good_times(header={"MJDREFI": EPOCH["MJDREFI"] - 1})),
    gti_case("of another camera", good_times(header={"INSTRUME": "MXT"})),
    gti_case("in another time system", good_times(header={"TIMESYS": "TAI"})),
    Case(
        "Good times",
        "missing",
        settings={"events": {"gti": {"file": "gti.fits"}}},
        stage="configuration",
    ),
    Case(
        "Good times",
        "not FITS",
        make=lambda: Path("gti.fits").write_text("START STOP\n0 1000\n"),
        settings={"events": {"gti": {"file": "gti.fits"}}},
    ),
    Case(
        "Good times",
        "for events without times",
        make=lambda: (events(TIME=None), write(Path("gti.fits"), good_times())),
        settings={"events": {"gti": {"file": "gti.fits"}}},
    ),
    Case(
        "Good times",
        "limits of another name in the event file",
        make=lambda: events(
            "events.fits", table("GTI", [("TSTART", "D", [0.0]), ("TSTOP", "D", [500.0])])
        ),
    ),
    Case(
        "Good times",
        "several in the event file",
        make=lambda: events("events.fits", good_times("GTI1"), good_times("GTI2")),
    ),
    Case(
        "Good times",
        "the same extension twice in the event file",
        make=lambda: events("events.fits", good_times("GTI"), good_times("GTI")),
    ),
    Case(
        "Good times",
        "empty in the event file",
        make=lambda: events("events.fits", good_times("GTI", ())),
    ),
    prior_case("missing", make=lambda: None, stage="configuration"),
    prior_case("not FITS", make=lambda: Path("prior.fits").write_text("DETNUM GAIN OFFSET\n")),
    prior_case("no such extension", name="GAINS"),
    prior_case("without a column", OFFSET=None),
    prior_case("text for numbers", GAIN=("5A", np.array(["0.145"] * N_PIXELS))),
    prior_case("a pixel twice", DETNUM=("I", [0, 1, 2, 3, 3, 5, 6, 7])),
    prior_case("a pixel missing", DETNUM=("I", [0, 1, 2, 3, 8, 5, 6, 7])),
    prior_case("a pixel without a value", GAIN=("E", [0.1, 0.1, np.nan, 0.1, 0.1, 0.1, 0.1, 0.1])),
    prior_case("a gain of zero", GAIN=("E", [0.1] * 7 + [0.0])),
    prior_case("the extension twice", make=lambda: relation_twice()),
    Case(
        "Prior relation",
        "a gap in a table of text",
        make=lambda: csv_prior("0,0.145,", *(f"{k},0.145,3" for k in range(1, N_PIXELS))),
        settings={"relation": {"file": "prior.csv"}},
    ),
    Case(
        "Prior relation",
        "columns without commas between them",
        make=lambda: Path("prior.csv").write_text("DETNUM;GAIN;OFFSET\n0;0,145;3\n"),
        settings={"relation": {"file": "prior.csv"}},
    ),
    prior_case("in another unit", units={"GAIN": "chan/keV"}),
    prior_case(
        "of another camera, by its header", header={"INSTRUME": "SSTCAM"}, by_snakemake=True
    ),
    prior_case("of another camera, by its pixels", DETNUM=("I", np.arange(6393, 6401))),
    Case(
        "Response",
        "of another line table",
        make=lambda: response_of("strongest"),
        settings={"fit": {"response": "response.fits"}},
        stage="fit_lines",
    ),
    Case(
        "Response",
        "of another camera: no response at all",
        make=lambda: write(Path("response.fits"), table("SPE", [("CHARGE", "E", [1.0])])),
        settings={"fit": {"response": "response.fits"}},
        stage="configuration",
    ),
    Case(
        "Response",
        "not FITS",
        make=lambda: Path("response.fits").write_text("gain\n"),
        settings={"fit": {"response": "response.fits"}},
        stage="configuration",
    ),
    line_case("empty", text=b"# only a comment\n"),
    line_case("not text", text=b"\xff"),
    line_case(
        "without a column",
        text=b"element,transition,energy_keV,intensity,block\nCu,Ka1,8.05,0.5,copper\n",
    ),
    line_case("a column twice", text=f"{','.join(COLUMNS)},energy_keV\n".encode()),
    line_case("columns without commas between them", text=";".join(COLUMNS).encode()),
    line_case("a gap in a row", GOOD[0], "Cu,,8.9,0.1,copper,6.6,10.0,NIST", by_snakemake=True),
    line_case("a row that is too short", "Cu,Ka1,8.05"),
    line_case("a row that is too long", GOOD[0] + ",surplus"),
    line_case("a quote that is not closed", 'Cu,"Ka1,8.05,0.577,copper,6.6,10.0,NIST', GOOD[1]),
    line_case("an energy that is no number", GOOD[0].replace("8.05", "eight")),
    line_case("a negative energy", GOOD[0].replace("8.05", "-8.05")),
    line_case("an energy that is NaN", GOOD[0].replace("8.05", "nan")),
    line_case("an intensity of zero", GOOD[0].replace("0.577", "0")),
    line_case("an intensity that is no number", GOOD[0].replace("0.577", "half")),
    line_case("a block without end", GOOD[0].replace("10.0", "inf")),
    line_case("a reversed block", GOOD[0].replace("6.6,10.0", "10.0,6.6")),
    line_case("a line outside its block", GOOD[0].replace("6.6", "8.5")),
    line_case("a line at the limit of its block", GOOD[0].replace("6.6", "8.05")),
    line_case("a block with two intervals", *GOOD, "Cu,Kb1,8.9,0.1,copper,6.6,10.5,NIST"),
    line_case("an unknown block: a name misspelt", *GOOD, "Cu,Kb1,8.9,0.1,coper,6.6,10.0,NIST"),
    line_case("blocks that overlap", *GOOD, "Pb,La1,10.5,0.1,lead,9.5,12.0,NIST"),
    line_case("an element that FITS cannot hold", GOOD[0].replace("Cu", "Cü")),
    line_case("a transition that FITS cannot hold", GOOD[0].replace("Ka1", "Kα1")),
    line_case("a block that FITS cannot hold", GOOD[0].replace("copper", "Kupferblöcke")),
    line_case("one line only", GOOD[0]),
    line_case("a line twice", *GOOD, GOOD[0]),
    line_case(
        "an uncertainty in eV",
        text="\n".join(
            [f"{','.join(COLUMNS)},energy_err_keV", f"{GOOD[0]},5.0", f"{GOOD[1]},", ""]
        ).encode(),
    ),
    line_case("two lines of one energy", GOOD[0], GOOD[0].replace("Cu", "Zn")),
    line_case("no line"),
    config_case("an unknown key", {"fit": {"methd": "joint"}}, by_snakemake=True),
    config_case("a wrong type", {"exposures": {"a": {"seconds": "9"}}}),
    config_case("a key that is a number", {"exposures": {1.5: {"seconds": 9}}}, by_snakemake=True),
    config_case("an exposure of no length", {"exposures": {"a": {"seconds": 0}}}),
    config_case("an exposure of negative length", {"exposures": {"a": {"seconds": -1}}}),
    config_case("an exposure without end", {"exposures": {"a": {"seconds": float("inf")}}}),
    config_case(
        "an exposure longer than what is simulated",
        {"events": {"files": []}, "exposures": {"a": {"seconds": 20000}}},
    ),
    config_case("an exposure that is named as a path", {"exposures": {"../a": {"seconds": 9}}}),
    config_case("a line break in the name of an exposure", {"exposures": {"a\n": {"seconds": 9}}}),
    config_case("a pixel out of range", {"pixels": "0-6400"}, by_snakemake=True),
    config_case("pixels that run backwards", {"pixels": "9-3"}),
    config_case("not YAML", "fit: {method: [joint, 1 }"),
    config_case("a tab", "fit:\n\tmethod: joint"),
    config_case("a key twice", "pixels: 1\npixels: 2"),
    config_case("a list", "- 1"),
    config_case("empty", ""),
    config_case("a value that holds itself", "pixels: &a [*a]", by_snakemake=True),
    config_case("a date that there is not", "date: 2026-13-45"),
    config_case("a date that the calendar does not have", {"date": "2026-02-31"}),
    config_case("an octal number", "run: 010"),
    config_case("a type that no key takes", "run: !!binary aGVsbG8="),
    config_case("code as a tag", "date: !!python/object/apply:os.mkdir [evil]"),
    config_case("code as a template", "__use_yte__: true\ndate: 2026-01-01"),
    Case(
        "Results",
        "a file where the folder should be",
        make=lambda: Path("results").touch(),
        stage="configuration",
        by_snakemake=True,
    ),
    Case(
        "Results",
        "a file within",
        make=lambda: (Path("results").mkdir(), Path("results/eclairs").touch()),
        stage="configuration",
    ),
]
