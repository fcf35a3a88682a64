"""Spectra: against masks and np.add.at on whole arrays."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.event_files import EPOCH, events, flight, gti, pira
from helpers.instruments import ECLAIRS
from helpers.paths import PIXEL_MAP
from helpers.synthetic import run_script
from scipy import stats

from pixelcal.energy.events.binning import TALLY, bin_events
from pixelcal.energy.events.good_times import good_time_of
from pixelcal.energy.events.intervals import first_seconds
from pixelcal.energy.events.reader import open_events
from pixelcal.energy.events.spectra_tables import spectra_hdus
from pixelcal.energy.prior import read_prior
from pixelcal.errors import InputError

SELECTED = np.array([0, 5, 17, 18, 19, *range(100, 400), 6399])
GOOD = np.array([[-1.0, 100.0], [120.0, 120.5], [300.0, 800.0]])
NUMBER = {"single": lambda m: m == 1, "multiple": lambda m: m > 1, "all": lambda m: m == m}


def relations(n):
    """Gain and offset of n pixels, different for each."""
    rng = np.random.default_rng(8)
    return 0.145 * (1 + 0.003 * rng.standard_normal(n)), 3 + 0.1 * rng.standard_normal(n)


def binned(files, detnum, gain, offset, good, multiplicity="all", seed=1, **options):
    """`bin_events` of every multiplicity, with a seed."""
    return bin_events(
        files, detnum, gain, offset, good, multiplicity, seed, **options, instrument=ECLAIRS
    )


def by_hand(data, multiplicity, gain, offset, good=GOOD, detnum=SELECTED):
    """Counts and tally by masks: a second way of saying what `bin_events` does."""
    inside = ((data["time"][:, None] >= good[:, 0]) & (data["time"][:, None] < good[:, 1])).any(1)
    counts = np.zeros((len(detnum), 1024), int)
    left = np.ones(len(inside), bool)
    tally = {}

    def reject(word, bad):
        tally[word] = int((left & bad).sum())
        left[bad] = False

    reject("REJTIME", ~inside)
    reject("REJMULT", ~NUMBER[multiplicity](data["multiplicity"]))
    reject("REJNOPIX", (data["pixel"] < 0) | (data["pixel"] >= 6400))
    reject("REJUNSEL", ~np.isin(data["pixel"], detnum))
    row = np.searchsorted(detnum, np.clip(data["pixel"], 0, detnum[-1]))
    channel = np.floor((data["energy"].astype(float) - offset[row]) / gain[row])
    reject("REJNAN", ~np.isfinite(channel))
    reject("REJBELOW", channel < 0)
    reject("REJABOVE", channel >= 1024)
    tally["EVUSED"] = int(left.sum())
    np.add.at(counts, (row[left], channel[left].astype(int)), 1)
    return counts, tally


@pytest.mark.parametrize("multiplicity", ["single", "multiple", "all"])
@pytest.mark.parametrize("block_bytes", [1, 1000, 2**20])
def test_pira_against_masks(tmp_path, multiplicity, block_bytes):
    data = events(20_000 if block_bytes > 1 else 500)
    files = [
        open_events(pira(tmp_path / "e.fits", data), "pira", {}, multiplicity, instrument=ECLAIRS)
    ]
    relation = relations(len(SELECTED))
    got = binned(files, SELECTED, *relation, GOOD, multiplicity, block_bytes=block_bytes)
    counts, tally = by_hand(data, multiplicity, *relation)
    np.testing.assert_array_equal(got.counts, counts)
    assert got.tally == tally
    assert got.n_read == len(data["time"])
    assert got.counts.dtype == np.int32
    if block_bytes > 1:  # every reason occurs
        assert all(n > 0 for word, n in tally.items() if (multiplicity, word) != ("all", "REJMULT"))


def test_many_files_compressed_or_not_are_one(tmp_path):
    data = events(9000)
    parts = [{k: a[i : i + 3000] for k, a in data.items()} for i in (0, 3000, 6000)]
    names = ("a.fits", "b.fits.gz", "c.fits")
    files = [
        open_events(pira(tmp_path / name, part), "pira", {}, "single", instrument=ECLAIRS)
        for name, part in zip(names, parts, strict=True)
    ]
    relation = relations(len(SELECTED))
    counts, tally = by_hand(data, "single", *relation)
    for order in (files, files[::-1]):
        got = binned(order, SELECTED, *relation, GOOD, "single", block_bytes=5000)
        np.testing.assert_array_equal(got.counts, counts)
        assert got.tally == tally


def test_times_in_any_order(tmp_path):
    """The search for the interval holds where times jump about, and NaN is never good."""
    data = events(5000)
    files = []
    for n, part in enumerate(np.split(np.random.default_rng(2).permutation(5000), 50)):
        part = part[np.argsort(data["time"][part])]  # in one file, times rise
        data["time"][part[::50]] = np.nan
        rows = {key: array[part] for key, array in data.items()}
        files.append(
            open_events(pira(tmp_path / f"{n}.fits", rows), "pira", {}, "all", instrument=ECLAIRS)
        )
    relation = relations(len(SELECTED))
    got = binned(files, SELECTED, *relation, GOOD)
    counts, tally = by_hand(data, "all", *relation)
    np.testing.assert_array_equal(got.counts, counts)
    assert got.tally == tally


def test_an_event_at_a_limit_belongs_to_one_interval(tmp_path):
    data = events(4)
    data.update(time=np.array([0.0, 1.0, 2.0, 3.0]), pixel=np.full(4, 7, "i2"))
    data["energy"] = np.array([3.0, 3.145, 3.29, 151.48], "f4")
    files = [open_events(pira(tmp_path / "e.fits", data), "pira", {}, instrument=ECLAIRS)]

    def n(good):
        relation = np.array([0.145]), np.array([3.0])
        return binned(files, np.array([7]), *relation, np.array(good, float)).tally["EVUSED"]

    assert n([[0, 3]]) == 3 and n([[0, 1]]) == 1 and n([[1, 4]]) == 3
    assert n([[0, 2]]) + n([[2, 4]]) == 4
    assert n(np.empty((0, 2))) == 0


def test_flight_channels_are_counted_as_they_are(tmp_path):
    data = events(20_000, seed=4)
    path = flight(tmp_path / "f.fits", data, {"TSTART": 0.0, "TSTOP": 1000.0})
    good_file = gti(
        tmp_path / "gti.fits",
        {"GTICAL-NEO": [(0, 400), (600, 1100)], "GTICAL-NSA": [(100, 900)]},
        {**EPOCH, "MJDREFF": EPOCH["MJDREFF"] + 1e-13},
    )
    files = [open_events(path, "ecl-evt-cal", {}, instrument=ECLAIRS)]
    good = first_seconds(good_time_of(files, good_file, ["GTICAL-NEO", "GTICAL-NSA"]), 450)
    detnum = np.arange(6400)
    got = binned(files, detnum, np.ones(6400), np.zeros(6400), good)
    t, row, column = data["time"], data["row"].astype(int), data["column"].astype(int)
    keep = ((t >= 100) & (t < 400)) | ((t >= 600) & (t < 750))
    keep &= (row < 80) & (column < 80) & (data["channel"] >= 0) & (data["channel"] < 1024)
    expected = np.zeros((6400, 1024), int)
    np.add.at(expected, (80 * row[keep] + column[keep], data["channel"][keep]), 1)
    np.testing.assert_array_equal(got.counts, expected)
    assert got.tally["REJBELOW"] > 0 and got.tally["REJABOVE"] > 0 and got.tally["REJNOPIX"] > 0


def sure_events(n, seed=0):
    """Events that pass every test but those of pixel and time."""
    data = events(n, seed)
    data["energy"] = np.random.default_rng(seed).uniform(10, 100, n).astype("f4")
    return data


def test_events_without_pixel_are_dealt_evenly_and_reproducibly(tmp_path):
    n = 640_000
    path = pira(tmp_path / "e.fits", sure_events(n), without=("pixel",))
    files = [open_events(path, "pira", {}, instrument=ECLAIRS)]
    everything = np.array([[-1.0, 2000.0]])
    detnum = np.arange(6400)
    full = binned(files, detnum, *relations(6400), everything, seed=3)
    per_pixel = full.counts.sum(axis=1)
    assert per_pixel.sum() == n
    # Pearson's chi-square of an even deal; p-value of a seeded draw, once in 1000 beyond.
    chi_square = ((per_pixel - n / 6400) ** 2 / (n / 6400)).sum()
    assert 0.0005 < stats.chi2.sf(chi_square, 6399) < 0.9995
    gain, offset = relations(6400)
    some = np.array([17, 40, 5000])
    part = binned(files, some, gain[some], offset[some], everything, seed=3, block_bytes=999)
    np.testing.assert_array_equal(part.counts, full.counts[some])
    # The deal does not depend on the time that is used either.
    early = binned(files, detnum, gain, offset, np.array([[-1.0, 500.0]]), seed=3)
    assert (early.counts <= full.counts).all()
    other = binned(files, some, gain[some], offset[some], everything, seed=4)
    assert not np.array_equal(other.counts, part.counts)


def test_a_fraction_of_events_without_times(tmp_path):
    n = 50_000
    paths = [
        pira(tmp_path / f"{i}.fits", sure_events(n, i), {"EXPOSURE": 5000.0}, without=("time",))
        for i in range(2)
    ]
    files = [open_events(path, "pira", {}, instrument=ECLAIRS) for path in paths]
    available = good_time_of(files, None, [])
    detnum, relation = np.arange(6400), relations(6400)

    def first(seconds, **options):
        return binned(files, detnum, *relation, first_seconds(available, seconds), **options)

    short, long, whole = first(1000), first(3000), first(10_000)
    assert whole.tally["REJTIME"] == 0
    for spectra, p in ((short, 0.1), (long, 0.3)):
        taken = spectra.n_read - spectra.tally["REJTIME"]
        # Binomial: within 4 standard deviations of its mean.
        assert abs(taken - 2 * n * p) < 4 * np.sqrt(2 * n * p * (1 - p))
    assert (short.counts <= long.counts).all() and (long.counts <= whole.counts).all()
    np.testing.assert_array_equal(first(1000, block_bytes=100).counts, short.counts)
    with pytest.raises(InputError, match=r"only 10000.000 s"):
        first(10_001)


def test_draws_of_pixel_and_time_are_independent(tmp_path):
    """A file that names neither: the first tenth of the time holds all pixels alike."""
    n = 200_000
    path = pira(tmp_path / "e.fits", sure_events(n), {"EXPOSURE": 100.0}, without=("pixel", "time"))
    files = [open_events(path, "pira", {}, instrument=ECLAIRS)]
    got = binned(files, np.arange(6400), *relations(6400), np.array([[0.0, 10.0]]))
    halves = got.counts.sum(axis=1).reshape(2, 3200).sum(axis=1)
    total = halves.sum()
    assert abs(halves[0] - total / 2) < 4 * np.sqrt(total / 4)
    assert abs(total - n / 10) < 4 * np.sqrt(n * 0.09)


def test_progress_ends_at_the_number_of_events(tmp_path):
    files = [
        open_events(pira(tmp_path / "e.fits", events(1000)), "pira", {}, instrument=ECLAIRS)
    ] * 2
    calls = []
    binned(
        files,
        SELECTED,
        *relations(len(SELECTED)),
        GOOD,
        progress=lambda done, total: calls.append((done, total)),
        block_bytes=3200,
    )
    assert calls[-1] == (2000, 2000) and len(calls) == 10


def test_table_of_spectra(tmp_path):
    files = [open_events(pira(tmp_path / "e.fits", events(3000)), "pira", {}, instrument=ECLAIRS)]
    spectra = binned(files, SELECTED, *relations(len(SELECTED)), GOOD)
    hdu, *_ = spectra_hdus(
        SELECTED.astype(np.int16), spectra, [("EXPOSURE", 600.5, "[s] good time used")]
    )
    hdu.writeto(tmp_path / "s.fits")
    with fits.open(tmp_path / "s.fits") as hdus:
        back = hdus["SPECTRA"]
        np.testing.assert_array_equal(back.data["DETNUM"], SELECTED)
        np.testing.assert_array_equal(back.data["COUNTS"], spectra.counts)
        assert back.columns["COUNTS"].format == "1024J" and back.columns["DETNUM"].format == "I"
        assert back.header["EXPOSURE"] == 600.5
        assert back.header["EVREAD"] == 3000 == sum(back.header[word] for word in TALLY)


# --- the script of the rule ----------------------------------------------------------------------

PARAMS = {
    "layout": "pira",
    "columns": {},
    "criteria": ["GTICAL-NEO", "GTICAL-NSA"],
    "multiplicity": "single",
    "seconds": 300,
    "pixels": SELECTED.tolist(),
    "relation": {"gain_keV": 0.145, "offset_keV": 3.0},
    "injection": {"gain_sigma": 0.003, "offset_sigma_keV": 0.1, "seed": 5},
    "exposure": "0.3ks",
    "seed": 1,
    "date": None,
}


def run(folder, events_path, truth=True, **changes):
    """Run bin_spectra on one event file; returns spectra (data, header) and the truth."""
    criteria = {"GTICAL-NEO": [(0, 200), (400, 900)], "GTICAL-NSA": [(100, 1000)]}
    given = {
        "events": [str(events_path)],
        "gti": str(gti(folder / "gti.fits", criteria)),
        "pixel_map": PIXEL_MAP,
    }
    made = {"spectra": folder / "spectra.fits"} | (
        {"truth": folder / "truth.ecsv"} if truth else {}
    )
    run_script("bin_spectra", folder, given, made, PARAMS | changes)
    with fits.open(made["spectra"], checksum=True) as hdus:
        spectra = hdus["SPECTRA"].data.copy(), hdus["SPECTRA"].header
    return *spectra, Table.read(made["truth"]) if truth else None


def test_script_bins_with_the_truth_it_writes(tmp_path):
    data = events(20_000)
    path = pira(tmp_path / "e.fits", data, EPOCH)
    rows, header, truth = run(tmp_path, path)
    good = np.array([[100.0, 200.0], [400.0, 600.0]])
    counts, tally = by_hand(data, "single", truth["GAIN"].data, truth["OFFSET"].data, good)
    np.testing.assert_array_equal(rows["DETNUM"], SELECTED)
    np.testing.assert_array_equal(rows["COUNTS"], counts)
    assert {word: header[word] for word in TALLY} == tally
    assert header["EXPOSURE"] == header["ONTIME"] == 300 and header["GOODTIME"] == 600
    assert header["EXPNAME"] == "0.3ks" and header["MULTIPLI"] == "single"
    assert header["INFIL001"] == "e.fits" and header["INFIL002"] == "gti.fits"
    first = (tmp_path / "spectra.fits").read_bytes()
    # Fewer pixels: the same truth and counts for those that stay.
    fewer, _, their_truth = run(tmp_path, path, pixels=[17, 200])
    kept = np.isin(SELECTED, [17, 200])
    np.testing.assert_array_equal(fewer["COUNTS"], rows["COUNTS"][kept])
    np.testing.assert_array_equal(their_truth["GAIN"], truth["GAIN"][kept])
    run(tmp_path, path)
    assert (tmp_path / "spectra.fits").read_bytes() == first


def test_script_leaves_flight_channels_alone(tmp_path):
    data = events(5000)
    path = flight(tmp_path / "f.fits", data)
    changes = {"layout": "ecl-evt-cal", "multiplicity": "all", "pixels": list(range(6400))}
    rows, _, _ = run(tmp_path, path, truth=False, **changes)
    t, channel = data["time"], data["channel"]
    keep = ((t >= 100) & (t < 200)) | ((t >= 400) & (t < 600))
    keep &= (data["row"] < 80) & (data["column"] < 80)
    keep &= (channel >= 0) & (channel < 1024)
    expected = np.bincount(channel[keep], minlength=1024)
    np.testing.assert_array_equal(rows["COUNTS"].sum(axis=0), expected)


def test_script_carries_the_epoch_of_the_events(tmp_path):
    data = events(2000)
    words = {"MJDREFI": 51544, "MJDREFF": 0.25, "TIMESYS": "TT"}
    without = pira(tmp_path / "w.fits", data)
    _, header, _ = run(tmp_path, without)
    assert header["TSTART"] == 100 and "MJDREFI" not in header
    for extra in (words, {"MJDREF": 51544.25, "TIMESYS": "UTC"}):
        path = pira(tmp_path / "e.fits", data, extra)
        limits = np.array([[100.0, 900.0]])
        good = gti(tmp_path / "gti.fits", {"ANY": limits}, {"MJDREFI": 51544, "MJDREFF": 0.25})
        given = {"events": [str(path)], "gti": str(good), "pixel_map": PIXEL_MAP}
        made = {"spectra": tmp_path / "s.fits"}
        run_script("bin_spectra", tmp_path, given, made, PARAMS | {"criteria": ["ANY"]})
        header = fits.getheader(made["spectra"], "SPECTRA")
        assert {key: header[key] for key in words} == words | {"TIMESYS": extra["TIMESYS"]}


# --- what is known before ------------------------------------------------------------------------


def relation_file(path, detnum, extension="AUX-ECL-PIX-CAL", gain=0.15):
    columns = {"DETNUM": np.asarray(detnum, "i2"), "GAIN": np.full(len(detnum), gain, "f4")}
    columns["OFFSET"] = np.asarray(detnum, "f4") / 1000
    Table(columns).write(path, overwrite=True)
    fits.setval(path, "EXTNAME", value=extension, ext=1)
    return path


def test_prior_of_all_pixels_alike():
    gain, offset = read_prior(None, np.array([3, 1]), 0.145, 3.0, instrument=ECLAIRS)
    assert gain.tolist() == [0.145, 0.145] and offset.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("extension", ["AUX-ECL-PIX-CAL", "RELATION"])
def test_prior_from_a_file_in_any_order(tmp_path, extension):
    path = relation_file(tmp_path / "r.fits", [9, 2, 500, 1], extension)
    gain, offset = read_prior(path, np.array([1, 500, 9]), 0.145, 3.0, instrument=ECLAIRS)
    np.testing.assert_array_equal(gain, np.float32(0.15))
    np.testing.assert_allclose(offset, [0.001, 0.5, 0.009], rtol=1e-6)


@pytest.mark.parametrize(
    ("units", "factor"),
    [(("eV/chan", "eV"), 1e-3), (("keV/channel", "keV"), 1), (("MeV / adu", "MeV"), 1e3)],
)
def test_prior_in_other_units(tmp_path, units, factor):
    path = relation_file(tmp_path / "r.fits", [1, 2])
    with fits.open(path) as hdus:
        table = Table(hdus[1].data)
        table["GAIN"], table["OFFSET"] = table["GAIN"] / factor, table["OFFSET"] / factor
        columns = fits.BinTableHDU(table).data
        hdu = fits.BinTableHDU(columns, name=hdus[1].name)
    hdu.writeto(path, overwrite=True)
    for number, unit in zip((2, 3), units, strict=True):
        fits.setval(path, f"TUNIT{number}", value=unit, ext=1)
    gain, offset = read_prior(path, np.array([1, 2]), 0.145, 3.0, instrument=ECLAIRS)
    np.testing.assert_allclose(gain, 0.15, rtol=1e-6)
    np.testing.assert_allclose(offset, np.array([0.001, 0.002]), rtol=1e-6)
