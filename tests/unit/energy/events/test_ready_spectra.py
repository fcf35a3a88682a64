"""Ready spectra in every form: they give the counts that they were written from."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.instruments import ECLAIRS
from helpers.paths import SHARED

from pixelcal.energy.events.ready_spectra import read_ready_spectra
from pixelcal.errors import InputError
from pixelcal.instrument import Layout
from pixelcal.io.instruments import load_instrument

SPECTRA = Layout("spectra", "", {}, ())
STIX = load_instrument("stix")
CALIBRATION = STIX.layouts["stix-calibration"]
RNG = np.random.default_rng(1)
PIXELS = np.array([7, 3, 5000])
COUNTS = RNG.poisson(3.0, (3, 1024))
MORE = np.random.default_rng(2).poisson(3.0, (3, 1024))
IN_ORDER = np.argsort(PIXELS)


def write_fits(path, detnum=PIXELS, counts=COUNTS, form="1024J", exposure=500.0, **words):
    columns = [
        fits.Column("DETNUM", "J", array=detnum),
        fits.Column("COUNTS", form, array=counts),
        fits.Column("NOTE", "3A", array=["abc"] * len(detnum)),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECTRA")
    if exposure is not None:
        hdu.header["EXPOSURE"] = exposure
    hdu.header.update(words)
    hdu.writeto(path)
    return path


def write_gzip(path):
    write_fits(path.with_suffix(""))
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    return path


def write_ecsv(path):
    table = Table({"DETNUM": PIXELS} | {f"CH{k:04d}": COUNTS[:, k] for k in range(1024)})
    table.meta["EXPOSURE"] = 500.0
    table.write(path)
    return path


def write_wide(path):
    head = "DETNUM,EXPOSURE," + ",".join(map(str, range(1024)))
    rows = [f"{n},500.0," + ",".join(map(str, row)) for n, row in zip(PIXELS, COUNTS, strict=True)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def write_long(path):
    rows = [
        f"{n},{channel},{count},500.0"
        for n, spectrum in zip(PIXELS, COUNTS, strict=True)
        for channel, count in enumerate(spectrum)
    ]
    path.write_text("\n".join(["DETNUM,CHANNEL,COUNTS,EXPOSURE", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.fits", write_fits),
        ("a.fits.gz", write_gzip),
        ("real.fits", lambda path: write_fits(path, form="1024D")),
        ("unsigned.fits", lambda path: write_fits(path, counts=COUNTS.astype("u2"), form="1024I")),
        ("a.ecsv", write_ecsv),
        ("wide.csv", write_wide),
        ("long.csv", write_long),
    ],
)
def test_every_form_gives_the_counts_it_was_written_from(tmp_path, name, write):
    ready = read_ready_spectra([write(tmp_path / name)], SPECTRA, ECLAIRS)
    assert ready.detnum.tolist() == PIXELS[IN_ORDER].tolist() and ready.seconds == 500.0
    assert np.array_equal(ready.counts, COUNTS[IN_ORDER]) and ready.counts.dtype == np.int32


def test_files_one_after_the_other_add_up(tmp_path):
    paths = [write_fits(tmp_path / "a.fits"), write_fits(tmp_path / "b.fits", counts=MORE)]
    ready = read_ready_spectra(paths, SPECTRA, ECLAIRS)
    assert np.array_equal(ready.counts, (COUNTS + MORE)[IN_ORDER]) and ready.seconds == 1000.0


def test_files_of_different_pixels_do_not_add_their_times(tmp_path):
    paths = [
        write_fits(tmp_path / "a.fits"),
        write_fits(tmp_path / "b.fits", detnum=np.array([0, 1, 2])),
    ]
    ready = read_ready_spectra(paths, SPECTRA, ECLAIRS)
    assert len(ready.detnum) == 6 and ready.seconds == 500.0


def test_channels_are_rebinned(tmp_path):
    fine = RNG.poisson(2.0, (3, 4096))
    path = write_fits(tmp_path / "a.fits", counts=fine, form="4096J")
    layout = Layout("spectra", "", {}, (), rebin=4)
    ready = read_ready_spectra([path], layout, ECLAIRS)
    expected = [[row[4 * k : 4 * k + 4].sum() for k in range(1024)] for row in fine[IN_ORDER]]
    assert np.array_equal(ready.counts, expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exposure": None}, "has no EXPOSURE"),
        ({"exposure": -5.0}, "EXPOSURE is -5"),
        (
            {"counts": COUNTS - 10.0, "form": "1024D"},
            "COUNTS has values that are negative, not whole or not finite",
        ),
        (
            {"counts": COUNTS + 0.5, "form": "1024D"},
            "COUNTS has values that are negative, not whole or not finite",
        ),
        (
            {"counts": np.where(COUNTS == 3, np.nan, COUNTS), "form": "1024D"},
            "COUNTS has values that are negative, not whole or not finite",
        ),
        ({"counts": COUNTS[:, :1000], "form": "1000J"}, "has 1000 channels, and ECLAIRs has 1024"),
        ({"detnum": np.array([1, 1, 2])}, "pixel 1 occurs twice"),
        ({"detnum": np.array([1, 6400, 2])}, "DETNUM 6400 is not a pixel"),
        ({"detnum": np.array([-1, 3, 2])}, "DETNUM -1 is not a pixel"),
        ({"INSTRUME": "STIX"}, "is of another camera"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, options, words):
    path = write_fits(tmp_path / "a.fits", **options)
    with pytest.raises(InputError, match=words) as raised:
        read_ready_spectra([path], SPECTRA, ECLAIRS)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("detnum", "counts", "said"),
    [
        (PIXELS, 2 * COUNTS, "or a multiple of them, in 3 pixels"),
        (PIXELS[:2], COUNTS[:2], "or a multiple of them, in 2 pixels"),
        (np.array([7, 3, 6]), 3 * COUNTS, "or a multiple of them, in 2 pixels"),
        (PIXELS, COUNTS, "holds the same counts as .*; leave one"),
        (PIXELS, MORE, None),
        (np.array([1, 2, 4]), 2 * COUNTS, None),
    ],
)
def test_counts_that_are_a_multiple_of_others_are_refused(detnum, counts, said, tmp_path):
    first = write_fits(tmp_path / "a.fits")
    paths = [first, write_fits(tmp_path / "b.fits", detnum, counts)]
    if said:
        with pytest.raises(InputError, match=rf"b.fits: holds the same counts as .*a.fits.*{said}"
                           if "multiple" in said else said):  # fmt: skip
            read_ready_spectra(paths, SPECTRA, ECLAIRS)
    else:
        read_ready_spectra(paths, SPECTRA, ECLAIRS)


THIRD = np.random.default_rng(3).poisson(3.0, (3, 1024))
SHARED_EVENTS = {
    "goes on": [COUNTS, COUNTS + MORE],
    "goes on for long": [COUNTS, COUNTS + np.random.default_rng(6).poisson(15.0, (3, 1024))],
    "and their sum": [COUNTS, MORE, COUNTS + MORE],
    "half of it": [COUNTS + MORE, MORE + THIRD],
    "but for a few channels": [COUNTS, np.where(np.arange(1024) < 99, MORE, COUNTS)],
    "a part of the channels": [COUNTS, np.where(np.arange(1024) < 500, COUNTS, 0)],
    "one more": [COUNTS, COUNTS + 1],
}
APART = {
    "independent": [COUNTS, MORE, THIRD],
    "another exposure": [COUNTS, np.random.default_rng(4).poisson(30.0, (3, 1024))],
    "another shape": [COUNTS, np.random.default_rng(5).poisson(np.linspace(0, 9, 1024), (3, 1024))],
    "hardly any counts": list(np.random.default_rng(7).poisson(0.1, (2, 3, 1024))),
}


@pytest.mark.parametrize("kind", SHARED_EVENTS)
def test_events_of_one_file_in_another_are_refused(kind, tmp_path):
    """Files without times: what they share is seen in how their counts fluctuate."""
    counts = SHARED_EVENTS[kind]
    paths = [write_fits(tmp_path / f"{k}.fits", counts=one) for k, one in enumerate(counts)]
    with pytest.raises(InputError, match="fluctuate together.*give every event once"):
        read_ready_spectra(paths, SPECTRA, ECLAIRS)


@pytest.mark.parametrize("kind", APART)
def test_files_of_different_events_are_taken(kind, tmp_path):
    counts = APART[kind]
    paths = [write_fits(tmp_path / f"{k}.fits", counts=one) for k, one in enumerate(counts)]
    read_ready_spectra(paths, SPECTRA, ECLAIRS)


DAY = "2025-03-01T00:"
TIMES = [
    ({"TSTART": 0.0, "TSTOP": 1000.0}, {"TSTART": 500.0, "TSTOP": 1500.0}, 1000.0, "refused"),
    ({"TSTART": 0.0, "TSTOP": 1000.0}, {"TSTART": 0.0, "TSTOP": 1000.0}, 600.0, "refused"),
    ({"TSTART": 0.0, "TSTOP": 1000.0}, {"TSTART": 500.0, "TSTOP": 1500.0}, 600.0, "warned"),
    ({"TSTART": 0.0, "TSTOP": 1000.0}, {"TSTART": 950.0, "TSTOP": 2000.0}, 900.0, None),
    ({"TSTART": 0.0, "TSTOP": 1000.0}, {"TSTART": 1000.0, "TSTOP": 2000.0}, 1000.0, None),
    ({"TSTART": 0.0, "TSTOP": 1e-2}, {"TSTART": 0.005, "TSTOP": 2e-2}, 800.0, None),  # days
    ({"TSTART": 0.0, "TSTOP": 1000.0, "MJDREFI": 1}, {"TSTART": 0.0, "TSTOP": 1000.0}, 900.0, None),
    (
        {"DATE-OBS": f"{DAY}00:00", "DATE-END": f"{DAY}16:40"},
        {"DATE-OBS": f"{DAY}08:20Z", "DATE-END": f"{DAY}25:00Z"},
        1000.0,
        "refused",
    ),
    ({"DATE-OBS": "2025-03-01", "DATE-END": "2025-03-01"}, {}, 1000.0, None),
]


@pytest.mark.parametrize(("first", "second", "seconds", "expected"), TIMES)
def test_files_that_overlap_in_time(first, second, seconds, expected, tmp_path, caplog):
    """Event by event they cannot be compared; the exposures may not fit into the time."""
    paths = [
        write_fits(tmp_path / "a.fits", exposure=seconds, **first),
        write_fits(tmp_path / "b.fits", counts=MORE, exposure=seconds, **second),
    ]
    if expected == "refused":
        with pytest.raises(InputError, match="a.fits and .*b.fits: overlap in time.*count twice"):
            read_ready_spectra(paths, SPECTRA, ECLAIRS)
        return
    read_ready_spectra(paths, SPECTRA, ECLAIRS)
    assert ("check that no event is in both" in caplog.text) == (expected == "warned")


def test_seconds_in_place_of_a_fraction_of_a_day_are_refused(tmp_path):
    path = write_fits(tmp_path / "a.fits", MJDREFI=57754, MJDREFF=69.184)
    with pytest.raises(InputError, match="a.fits: MJDREFF is 69.184, not a fraction of a day"):
        read_ready_spectra([path], SPECTRA, ECLAIRS)


def test_files_of_different_pixels_may_overlap_in_time(tmp_path):
    span = {"TSTART": 0.0, "TSTOP": 1000.0, "exposure": 1000.0}
    paths = [
        write_fits(tmp_path / "a.fits", **span),
        write_fits(tmp_path / "b.fits", np.array([1, 2, 4]), MORE, **span),
    ]
    assert read_ready_spectra(paths, SPECTRA, ECLAIRS).seconds == 1000.0


def test_the_same_counts_twice_are_refused(tmp_path):
    paths = [write_fits(tmp_path / name) for name in ("a.fits", "b.fits")]
    with pytest.raises(InputError, match=r"holds the same counts as .*a\.fits"):
        read_ready_spectra(paths, SPECTRA, ECLAIRS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A,COUNTS\n1,2\n", "lacks the column DETNUM"),
        ("DETNUM,COUNTS\n1,2\n", "neither CHANNEL and COUNTS nor a column for each channel"),
        ("DETNUM,CHANNEL,COUNTS\n1,0,2\n", "has no EXPOSURE"),
        ("DETNUM,CHANNEL,COUNTS,EXPOSURE\n1,0,2,5\n1,0,3,5\n", "twice"),
        ("DETNUM,CHANNEL,COUNTS,EXPOSURE\n1,0,2,5\n1,1,3,6\n", "EXPOSURE has 2 values"),
    ],
)
def test_a_table_that_is_no_spectrum(tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_ready_spectra([path], SPECTRA, ECLAIRS)


# --- STIX -----------------------------------------------------------------------------------------

WHOLE = RNG.poisson(0.5, (32, 12, 1024)).astype(float)
FIRST, SECOND = WHOLE.copy(), WHOLE.copy()
FIRST[16:], SECOND[:16] = 0.0, 0.0


def write_stix(path, rows, times=None, integration_s=79200.0, live_ms=37_000_000):
    """A file of the form of STIX's calibration spectra, with rows of counts (32, 12, 1024)."""
    n = len(rows)
    times = times or [100.0] * n
    control = fits.BinTableHDU.from_columns(
        [
            fits.Column("integration_time", "D", unit="s", array=[integration_s] * n),
            fits.Column("live_time", "J", array=[live_ms] * n),
            fits.Column("index", "K", array=np.arange(n)),
        ],
        name="CONTROL",
    )
    data = fits.BinTableHDU.from_columns(
        [
            fits.Column("control_index", "K", array=np.arange(n)),
            fits.Column("time", "D", array=times),
            fits.Column("timedel", "D", array=[integration_s] * n),
            fits.Column("counts", "393216D", dim="(1024,12,32)", array=np.array(rows)),
        ],
        name="DATA",
    )
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["INSTRUME"] = "SOLO/STIX", "STIX"
    primary.header["DATE_BEG"] = "2020-05-05T17:32:43.763"
    fits.HDUList([primary, control, data]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("rows", "times", "factor", "seconds"),
    [
        ([WHOLE], None, 1, 79200.0),
        ([FIRST, SECOND], None, 1, 79200.0),
        ([FIRST, SECOND, FIRST, SECOND], None, 1, 79200.0),
        ([WHOLE, WHOLE], None, 1, 79200.0),
        ([WHOLE, FIRST], None, 1, 79200.0),
        ([WHOLE, WHOLE + 1], [100.0, 90000.0], 2, 158400.0),
    ],
    ids=["one row", "two rows", "two rows twice", "twice", "a part again", "two runs"],
)
def test_a_run_of_stix_counts_once(tmp_path, rows, times, factor, seconds):
    path = write_stix(tmp_path / "a.fits", rows, times)
    ready = read_ready_spectra([path], CALIBRATION, STIX)
    expected = factor * WHOLE.reshape(384, 1024) + (factor - 1)
    assert np.array_equal(ready.counts, expected) and ready.seconds == seconds
    assert ready.keywords["DATE-OBS"] == "2020-05-05T17:32:43.763"


def test_a_run_that_is_told_in_two_ways_is_refused(tmp_path):
    path = write_stix(tmp_path / "a.fits", [WHOLE, WHOLE + 1])
    with pytest.raises(InputError, match="different counts"):
        read_ready_spectra([path], CALIBRATION, STIX)


def test_tenths_of_the_integration_time(tmp_path, caplog):
    path = write_stix(tmp_path / "a.fits", [WHOLE], integration_s=7920.0)
    assert read_ready_spectra([path], CALIBRATION, STIX).seconds == 79200.0
    assert "ten times" in caplog.text.replace("\n", " ")


def test_the_published_file(caplog):
    """22.3 million counts of 384 pixels in 79 200 s, by the README of the files."""
    folder = SHARED / "real" / "stix"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the real files are not here")
    (path,) = folder.glob("solo_L1_stix-ql-calibration-spectrum_20200505*")
    ready = read_ready_spectra([path], CALIBRATION, STIX)
    assert len(ready.detnum) == 384 and ready.seconds == 79200.0
    assert int(ready.counts.sum()) == pytest.approx(22.3e6, rel=0.005)
