"""Ready spectra: whatever a file looks like, the counts are those that it was written from."""

import gzip
import logging
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.real_files import STIX_RUN, real_file
from helpers.stix_files import write_stix_run

from pixelcal.energy.events.ready_spectra import read_ready_spectra
from pixelcal.energy.events.spectra_tables import spectra_hdu
from pixelcal.errors import InputError
from pixelcal.instrument import Layout
from pixelcal.io.instruments import load_instrument
from pixelcal.io.tables import write_fits

N_PIXELS, N_CHANNELS, SECONDS = 12, 32, 500.0
STIX = load_instrument("stix")
CAMERA = replace(STIX, n_pixels=N_PIXELS, n_channels=N_CHANNELS, title="Small", instrume=("SMALL",))
LAYOUT = Layout("spectra", "", {}, ())


def drawn(detnum=None, seed=1, n_channels=N_CHANNELS):
    """Numbers of pixels, and counts that they might have."""
    detnum = np.arange(N_PIXELS) if detnum is None else np.asarray(detnum)
    return detnum, np.random.default_rng(seed).poisson(3.0, (len(detnum), n_channels))


def read(*paths, rebin=1):
    return read_ready_spectra(paths, replace(LAYOUT, rebin=rebin), CAMERA)


# --- forms ----------------------------------------------------------------------------------------
# Each writes (detnum, counts) to a folder and returns the path; all say 500 s.


def write_table(path, detnum, counts, form="J", names=("DETNUM", "COUNTS"), header=None, more=()):
    """A FITS table of astropy's own, EXPOSURE in its header unless told otherwise."""
    columns = [
        fits.Column(names[0], "I", array=detnum),
        fits.Column(names[1], f"{counts.shape[1]}{form}", array=counts),
        *more,
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="SPEC")
    hdu.header.update({"EXPOSURE": SECONDS} if header is None else header)
    hdu.writeto(path)
    return path


def spectra_fits(folder, detnum, counts):
    """As our own chain writes it."""
    hdu = spectra_hdu(detnum.astype("i2"), counts.astype("i4"), [("EXPOSURE", SECONDS, "[s]")])
    write_fits(folder / "s.fits", [hdu])
    return folder / "s.fits"


def fits_gz(folder, detnum, counts):
    return write_table(folder / "s.fits.gz", detnum, counts)


def gzipped_under_another_name(folder, detnum, counts):
    plain = write_table(folder / "plain.fits", detnum, counts)
    (folder / "s.dat").write_bytes(gzip.compress(plain.read_bytes()))
    return folder / "s.dat"


def lower_case(folder, detnum, counts):
    return write_table(folder / "s.fits", detnum, counts, names=("detnum", "counts"))


def counts_as_float(folder, detnum, counts):
    return write_table(folder / "s.fits", detnum, counts.astype("f4"), "E")


def unsigned(folder, detnum, counts):
    """16 bits without a sign: TZERO is 32768."""
    columns = [
        fits.Column("DETNUM", "I", array=detnum.astype("u2"), bzero=32768),
        fits.Column("COUNTS", f"{counts.shape[1]}I", array=counts.astype("u2"), bzero=32768),
    ]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["EXPOSURE"] = SECONDS
    hdu.writeto(folder / "s.fits")
    return folder / "s.fits"


def more_columns_and_tables(folder, detnum, counts):
    """KIND, a rate and a table of something else before it."""
    more = [
        fits.Column("KIND", "5A", array=["large"] * len(detnum)),
        fits.Column("RATE", "D", array=counts.sum(axis=1) / SECONDS),
    ]
    path = write_table(folder / "one.fits", detnum, counts, more=more)
    with fits.open(path) as hdus:
        other = fits.BinTableHDU.from_columns([fits.Column("START", "D", array=[0.0])], name="GTI")
        fits.HDUList([hdus[0], other, hdus[1]]).writeto(folder / "s.fits")
    return folder / "s.fits"


def exposure_in_primary(folder, detnum, counts):
    path = write_table(folder / "s.fits", detnum, counts, header={})
    fits.setval(path, "EXPOSURE", value=SECONDS, ext=0)
    return path


def exposure_column(folder, detnum, counts):
    more = [fits.Column("EXPOSURE", "D", array=np.full(len(detnum), SECONDS))]
    return write_table(folder / "s.fits", detnum, counts, header={}, more=more)


def wide(detnum, counts, prefix="C"):
    table = Table({"DETNUM": detnum})
    for channel in range(counts.shape[1]):
        table[f"{prefix}{channel}"] = counts[:, channel]
    return table


def ecsv_wide(folder, detnum, counts):
    table = wide(detnum, counts)
    table.meta["EXPOSURE"] = SECONDS
    table.write(folder / "s.ecsv")
    return folder / "s.ecsv"


def ecsv_vector(folder, detnum, counts):
    table = Table({"DETNUM": detnum, "COUNTS": counts}, meta={"exposure": SECONDS})
    table.write(folder / "s.ecsv")
    return folder / "s.ecsv"


def csv_wide(folder, detnum, counts):
    table = wide(detnum, counts)
    table["EXPOSURE"] = SECONDS
    table.write(folder / "s.csv")
    return folder / "s.csv"


def csv_wide_of_numbers(folder, detnum, counts):
    """Channels are named by their number alone, in any order, among columns of other things."""
    table = wide(detnum, counts, "")
    table = table[["DETNUM", *reversed(table.colnames[1:])]]
    table["exposure"], table["X0"], table["ASIC1"], table["NOTE"] = SECONDS, 7, 99, "cold"
    table.write(folder / "s.csv")
    return folder / "s.csv"


def csv_wide_of_floats(folder, detnum, counts):
    table = wide(detnum.astype(float), counts.astype(float), "CHANNEL_")
    table["EXPOSURE"] = SECONDS
    table.write(folder / "s.csv")
    return folder / "s.csv"


def long_table(detnum, counts):
    channel = np.arange(counts.shape[1])
    table = Table({"DETNUM": np.repeat(detnum, len(channel))})
    table["CHANNEL"] = np.tile(channel, len(detnum))
    table["COUNTS"] = counts.ravel()
    table["EXPOSURE"] = SECONDS
    return table


def csv_long(folder, detnum, counts):
    long_table(detnum, counts).write(folder / "s.csv")
    return folder / "s.csv"


def csv_long_shuffled(folder, detnum, counts):
    """Rows in any order, without those of no counts but for the last channel; counts as 3.0."""
    table = long_table(detnum, counts)
    table = table[(table["COUNTS"] > 0) | (table["CHANNEL"] == counts.shape[1] - 1)]
    table["COUNTS"] = table["COUNTS"].astype(float)
    table[np.random.default_rng(2).permutation(len(table))].write(folder / "s.csv")
    return folder / "s.csv"


FORMS = [
    spectra_fits, fits_gz, gzipped_under_another_name, lower_case, counts_as_float, unsigned,
    more_columns_and_tables, exposure_in_primary, exposure_column, ecsv_wide, ecsv_vector,
    csv_wide, csv_wide_of_numbers, csv_wide_of_floats, csv_long, csv_long_shuffled,
]  # fmt: skip


@pytest.mark.parametrize("pixels", ["all", "a few, in any order"])
@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_counts_are_those_written(write, pixels, tmp_path):
    detnum, counts = drawn(None if pixels == "all" else [7, 2, 11, 3])
    spectra = read(write(tmp_path, detnum, counts))
    order = np.argsort(detnum)
    np.testing.assert_array_equal(spectra.detnum, detnum[order])
    np.testing.assert_array_equal(spectra.counts, counts[order])
    assert spectra.counts.dtype == np.int32 and spectra.seconds == SECONDS


@pytest.mark.parametrize("write", [fits_gz, csv_wide, csv_long], ids=lambda write: write.__name__)
def test_channels_are_added_up_by_a_factor(write, tmp_path):
    detnum, counts = drawn(n_channels=4 * N_CHANNELS)
    spectra = read(write(tmp_path, detnum, counts), rebin=4)
    for channel in range(N_CHANNELS):
        expected = counts[:, 4 * channel : 4 * channel + 4].sum(axis=1)
        np.testing.assert_array_equal(spectra.counts[:, channel], expected)


def test_keywords_of_the_file_are_kept(tmp_path):
    header = {"EXPOSURE": 5, "INSTRUME": "small", "TELESCOP": "T", "DATE-OBS": "2020-01-01"}
    path = write_table(tmp_path / "s.fits", *drawn(), header=header | {"OTHER": 1})
    spectra = read(path)
    assert spectra.seconds == 5.0
    assert spectra.keywords == {key: header[key] for key in header if key != "EXPOSURE"}


# --- several files --------------------------------------------------------------------------------


def part(folder, name, detnum=None, seed=1, seconds=SECONDS):
    """A file of some pixels; its path and counts."""
    detnum, counts = drawn(detnum, seed)
    path = write_table(folder / name, detnum, counts, header={"EXPOSURE": seconds})
    return path, counts


def test_files_add_up_with_their_times(tmp_path):
    first, a = part(tmp_path, "a.fits", seed=1)
    second, b = part(tmp_path, "b.fits", seed=2, seconds=200.0)
    spectra = read(first, second)
    np.testing.assert_array_equal(spectra.counts, a + b)
    assert spectra.seconds == SECONDS + 200.0


def test_files_of_different_pixels_are_put_together(tmp_path):
    first, a = part(tmp_path, "a.fits", np.arange(5), 1)
    second, b = part(tmp_path, "b.fits", np.arange(5, 12), 2)
    spectra = read(second, first)
    np.testing.assert_array_equal(spectra.counts, np.vstack([a, b]))
    assert spectra.seconds == SECONDS


def test_a_pixel_that_was_exposed_longer_is_told(tmp_path):
    first, _ = part(tmp_path, "a.fits", seed=1)
    second, _ = part(tmp_path, "b.fits", np.arange(5), 2)
    with pytest.raises(InputError, match="500 s for some pixels and 1000 s for others"):
        read(first, second)


def test_the_same_counts_twice_are_told(tmp_path):
    detnum, counts = drawn()
    first = fits_gz(tmp_path, detnum, counts)
    second = csv_long(tmp_path, detnum, counts)
    with pytest.raises(InputError, match="s.csv: holds the same counts as .*s.fits.gz; leave one"):
        read(first, second)


# --- mistakes -------------------------------------------------------------------------------------


def spoilt(detnum=None, change=None, **options):
    """A FITS table with other pixels, or counts that `change` has had."""

    def write(folder):
        numbers, counts = drawn(detnum)
        counts = counts.astype(float)
        if change:
            counts = change(counts)
        return write_table(folder / "s.fits", numbers, counts, "D", **options)

    return write


def at_5(value):
    def change(counts):
        counts[5, 5] = value
        return counts

    return change


def text(content, name="s.csv"):
    """A text file as it stands."""

    def write(folder):
        (folder / name).write_text(content)
        return folder / name

    return write


def csv_with(change):
    """A wide CSV whose table has been changed."""

    def write(folder):
        table = wide(*drawn())
        table["EXPOSURE"] = SECONDS
        change(table).write(folder / "s.csv")
        return folder / "s.csv"

    return write


def with_value(name, value):
    def change(table):
        table.replace_column(name, value) if name in table.colnames else table.add_column(
            value, name=name
        )
        return table

    return csv_with(change)


def without(name):
    return csv_with(lambda table: table[[one for one in table.colnames if one != name]])


NO_COUNT = "COUNTS has values that are negative"
MISTAKES = [
    (spoilt(change=lambda c: c[:, :31]), "has 31 channels, and Small has 32", "channels missing"),
    (spoilt(change=lambda c: np.hstack([c, c])), "has 64 channels", "more channels"),
    (spoilt(change=at_5(-1)), NO_COUNT, "negative"),
    (spoilt(change=at_5(0.5)), NO_COUNT, "half a count"),
    (spoilt(change=at_5(np.nan)), NO_COUNT, "NaN"),
    (spoilt(change=at_5(np.inf)), NO_COUNT, "infinite"),
    (spoilt(change=at_5(2.0**40)), "more counts in a channel", "more than 32 bits"),
    (spoilt([0, 1, 12]), "DETNUM 12 is not a pixel of Small (0 to 11)", "a pixel too high"),
    (spoilt([0, -1, 3]), "DETNUM -1 is not a pixel", "a pixel below 0"),
    (spoilt([0, 4, 4]), "pixel 4 occurs twice", "a pixel twice"),
    (spoilt([]), "holds no spectrum", "no rows"),
    (spoilt(names=("DETNUM", "SPECTRUM")), "no table holds DETNUM and COUNTS", "no COUNTS"),
    (spoilt(names=("PIXEL", "COUNTS")), "no table holds DETNUM and COUNTS", "no DETNUM"),
    (spoilt(header={}), "has no EXPOSURE; write the exposure (s)", "no exposure"),
    (spoilt(header={"EXPOSURE": "long"}), "has no EXPOSURE", "exposure in words"),
    (spoilt(header={"EXPOSURE": 0.0}), "EXPOSURE is 0.0", "no time"),
    (spoilt(header={"EXPOSURE": -5.0}), "EXPOSURE is -5.0", "time below 0"),
    (spoilt(header={"EXPOSURE": 5.0, "INSTRUME": "STIX"}), "is of another camera", "of STIX"),
    (without("EXPOSURE"), "has no EXPOSURE", "CSV without exposure"),
    (without("DETNUM"), "lacks the column DETNUM", "CSV without DETNUM"),
    (without("C7"), "neither CHANNEL and COUNTS nor a column for each channel", "a gap"),
    (without("C0"), "a column for each channel from 0 on", "channels from 1"),
    (with_value("EXPOSURE", np.arange(12.0)), "column EXPOSURE has 12 values", "many exposures"),
    (with_value("DETNUM", np.arange(12) + 0.5), "does not hold whole numbers", "half a DETNUM"),
    (with_value("C3", ["x"] * N_PIXELS), "column C3 does not hold numbers", "words"),
    (with_value("C3", np.ma.masked_equal(np.arange(12), 4)), "C3 has an empty field", "empty"),
    (with_value("D0", 0), None, "a column that may be anything"),
    (text("DETNUM,CHANNEL,COUNTS\n0,1,2\n0,1,3\n"), "occur twice", "a row twice"),
    (text("DETNUM,CHANNEL,COUNTS\n0,-1,2\n"), "CHANNEL -1 is below 0", "a channel below 0"),
    (text("DETNUM,CHANNEL\n0,1\n"), "lacks the column COUNTS", "long without COUNTS"),
    (text("DETNUM,CHANNEL,COUNTS,EXPOSURE\n0,40,2,9\n"), "has 41 channels", "a channel too high"),
    (text("DETNUM,CHANNEL,COUNTS,EXPOSURE\n0,31,1.5,9\n"), "whole numbers", "long, half a count"),
    (text("# %ECSV 1.0\n# ---\n# x\n", "s.ecsv"), "give FITS, ECSV or CSV", "no table"),
    (text("SIMPLE  =", "s.fits"), "s.fits", "the beginning of a FITS file"),
    (text("", "s.fits"), "s.fits: is empty", "an empty file"),
]


@pytest.mark.parametrize(
    ("write", "said"), [pytest.param(write, said, id=id) for write, said, id in MISTAKES]
)
def test_a_mistake_is_one_line(write, said, tmp_path):
    path = write(tmp_path)
    if said is None:
        assert read(path).seconds == SECONDS
        return
    with pytest.raises(InputError) as error:
        read(path)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert path.name in str(error.value)


# --- STIX's own files -----------------------------------------------------------------------------


def read_stix(path):
    return read_ready_spectra([path], STIX.layouts["stix-calibration"], STIX)


def stix_counts(seed=3):
    """Counts (32, 12, 1024), a few in each pixel."""
    return np.random.default_rng(seed).poisson(0.02, (32, 12, 1024))


def halves(counts):
    """The first and the last 16 detectors, as files of other days have one run in two rows."""
    first, second = counts.copy(), counts.copy()
    first[16:], second[:16] = 0, 0
    return first, second


def test_one_run_in_two_rows_that_came_twice_counts_once(tmp_path, caplog):
    counts = stix_counts()
    first, second = halves(counts)
    rows = [first, second, first, second]
    path = write_stix_run(tmp_path / "s.fits", rows, [100.0] * 4, [0] * 4, [7200.0])
    with caplog.at_level(logging.WARNING):
        spectra = read_stix(path)
    np.testing.assert_array_equal(spectra.counts, counts.reshape(384, 1024))
    np.testing.assert_array_equal(spectra.detnum, np.arange(384))
    assert spectra.seconds == 7200.0
    assert "2 of 4 rows of counts repeat another row" in caplog.text


def test_rows_of_one_run_may_have_times_of_their_own(tmp_path, caplog):
    """Detectors that were sent later were not exposed longer."""
    counts = stix_counts()
    path = write_stix_run(tmp_path / "s.fits", halves(counts), [100.0, 101.0], [0, 1], [7200.0] * 2)
    spectra = read_stix(path)
    np.testing.assert_array_equal(spectra.counts, counts.reshape(384, 1024))
    assert spectra.seconds == 7200.0 and not caplog.text


def test_two_runs_add_up_with_their_times(tmp_path):
    a, b = stix_counts(3), stix_counts(4)
    path = write_stix_run(tmp_path / "s.fits", [a, b], [100.0, 9e4], [0, 1], [7200.0, 3600.0])
    spectra = read_stix(path)
    np.testing.assert_array_equal(spectra.counts, (a + b).reshape(384, 1024))
    assert spectra.seconds == 10800.0


def test_control_rows_are_found_by_their_index(tmp_path):
    """Not by their place: files of a day that was put together have them in another order."""
    a, b = halves(stix_counts())
    path = write_stix_run(
        tmp_path / "s.fits", [a + b], [1.0], [7], [600.0, 900.0], control_index=[9, 7]
    )
    assert read_stix(path).seconds == 900.0


def test_a_run_of_other_detectors_is_told(tmp_path, caplog):
    """The detectors of one run alone have had less time than is written."""
    counts = stix_counts()
    rows = [counts, halves(stix_counts(4))[0]]
    path = write_stix_run(tmp_path / "s.fits", rows, [1.0, 9e4], [0, 1], [7200.0, 600.0])
    with caplog.at_level(logging.WARNING):
        assert read_stix(path).seconds == 7800.0
    assert "192 pixels have counts in some of the runs alone" in caplog.text


def test_an_integration_time_of_a_tenth_is_mended(tmp_path, caplog):
    path = write_stix_run(
        tmp_path / "s.fits", [stix_counts()], [1.0], [0], [720.0], live_ms=[6_500_000]
    )
    with caplog.at_level(logging.WARNING):
        assert read_stix(path).seconds == 7200.0
    assert "integration time 720 s is shorter than the live time 6.5 ks" in caplog.text


def test_rows_that_overlap_and_differ_are_told(tmp_path):
    rows = [stix_counts(3), stix_counts(4)]
    path = write_stix_run(tmp_path / "s.fits", rows, [1.0, 1.0], [0, 0], [7200.0])
    with pytest.raises(InputError, match="2 rows of one run .* hold different counts"):
        read_stix(path)


def test_begin_of_the_run_is_kept(tmp_path):
    path = write_stix_run(tmp_path / "s.fits", [stix_counts()], [1.0], [0], [10.0])
    keywords = read_stix(path).keywords
    assert keywords["DATE-OBS"] == "2020-05-05T17:32:43.763" and keywords["INSTRUME"] == "STIX"
    assert keywords["TELESCOP"] == "SOLO"


def test_another_form_is_told(tmp_path):
    path = write_table(tmp_path / "s.fits", *drawn())
    with pytest.raises(InputError, match="has no extensions CONTROL and DATA"):
        read_stix(path)


def test_the_real_run_is_read(caplog):
    """As its README counts it."""
    path = real_file(STIX_RUN)
    with caplog.at_level(logging.WARNING):
        spectra = read_stix(path)
    assert spectra.counts.shape == (384, 1024)
    assert spectra.counts.sum() == 22_273_250 and (spectra.counts.sum(axis=1) > 0).all()
    assert spectra.seconds == 79200.0 and "taken ten times as long" in caplog.text
    with fits.open(path) as hdus:
        pixel = np.asarray(hdus["DATA"].data["counts"][0, 20, 5])
    np.testing.assert_array_equal(spectra.counts[12 * 20 + 5], pixel)
