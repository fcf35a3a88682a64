"""Neighbours of the listed faults: inputs that are wrong in a way that no list had.

A row makes a small input with one thing wrong, and says whether it is refused or told, and in which
words. Each gave a wrong number without a word, or a traceback.
"""

import contextlib
import io

import numpy as np
import pytest
from astropy.io import fits
from helpers import charge_faults as charge
from helpers.faults import (
    N_PIXELS,
    bin_spectra,
    events_hdu,
    good_times,
    pira_columns,
    write_events,
)
from helpers.gain_sets import write_sets
from helpers.histories import simulate_history, write_relations
from helpers.instruments import ECLAIRS
from helpers.paths import PROJECT
from helpers.sstcam_runs import table, write_run

from pixelcal.charge.history.epochs import check_on_map
from pixelcal.charge.history.epochs import read_epochs as read_sets
from pixelcal.charge.resolution.scan import scan_runs
from pixelcal.charge.runs.run_table import read_run_table
from pixelcal.energy.events.order import Repeats, add_repeats, check_repeats
from pixelcal.energy.events.ready_spectra import read_ready_spectra
from pixelcal.energy.history.epochs import read_epochs
from pixelcal.energy.lines import COLUMNS, check_in_range, read_lines
from pixelcal.energy.prior import read_prior
from pixelcal.errors import InputError
from pixelcal.workflow import config as configuration


def row(*values, id):
    """One row of a table of tests."""
    return pytest.param(*values, id=id)


# --- events ---------------------------------------------------------------------------------------


def with_columns(folder, header=None, others=(), **columns):
    """An event file of 4000 events in which columns are replaced by (format, array)."""
    return write_events(folder / "e.fits", pira_columns() | columns, *others, header=header)


def times(change, form="D"):
    """The column TIME after `change(time)`."""
    return form, change(pira_columns()["TIME"][1].copy())


def repeated(folder, part):
    """A file in which the first `part` of the events are there twice, next to each other."""
    once = pira_columns()
    n = round(part * len(once["TIME"][1]))
    number = np.where(np.arange(len(once["TIME"][1])) < n, 2, 1)
    return write_events(
        folder / "e.fits", {name: (form, np.repeat(a, number)) for name, (form, a) in once.items()}
    )


def two_tables(folder):
    """Two tables with the columns, neither of which is called EVENTS."""
    tables = [events_hdu(pira_columns(seed=k), name=name) for k, name in enumerate(("BAD", "GOOD"))]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(folder / "e.fits")
    return folder / "e.fits"


def jump(time):
    """A clock that jumps by a million seconds half-way."""
    time[2000:] += 1e6
    return time


MULTIPLICITY_FROM_0 = np.random.default_rng(3).integers(0, 4, 4000) // 3

REFUSED_EVENTS = [
    row(lambda f: repeated(f, 1.0), {}, "repeat the one before", id="all events twice"),
    row(lambda f: repeated(f, 0.02), {}, "80 of its 4080 events", id="2 % of the events twice"),
    row(two_tables, {}, "BAD, GOOD", id="two tables"),
    row(
        lambda f: with_columns(f, {"TSTART": 0.0, "TSTOP": 1000.0}, TIME=times(lambda t: 1e3 * t)),
        {},
        "check the unit of column TIME",
        id="times in ms without a unit",
    ),
    row(
        lambda f: with_columns(
            f, {"TSTART": 0.0, "TSTOP": 1000.0}, TIME=times(lambda t: 0 * t + 500)
        ),
        {},
        "no event is counted",
        id="all times equal",
    ),
    row(
        lambda f: with_columns(f, {"TSTOP": 1e6}),
        {"seconds": 5e5},
        "longer than the data",
        id="TSTOP long after the last event",
    ),
    row(
        lambda f: with_columns(f, effMult=("B", MULTIPLICITY_FROM_0)),
        {},
        "counts from 0",
        id="multiplicity from 0",
    ),
]

TOLD_EVENTS = [
    row(
        lambda f: with_columns(f, {"TSTART": 500.0}),
        {"seconds": 500},
        "not between its TSTART and TSTOP (500 to 1000 s",
        id="TSTART too late",
    ),
    row(
        lambda f: with_columns(f, TIME=times(jump)),
        {"seconds": 2000},
        "no event is counted in 1500 of 2000 s",
        id="the clock jumps",
    ),
    row(
        lambda f: with_columns(f, TIME=times(lambda t: np.where(t < 400, t, t + 200))),
        {"seconds": 1150},
        "no event",
        id="a gap in the telemetry",
    ),
    row(
        lambda f: with_columns(
            f, {"TSTART": 2.5e8, "TSTOP": 2.5e8 + 1000}, TIME=times(lambda t: t + 2.5e8, "E")
        ),
        {"seconds": 500},
        "32 bits, which resolve 16 s",
        id="times of 32 bits",
    ),
    row(
        lambda f: with_columns(f, effMult=("E", np.where(np.arange(4000) % 2, 1.0, np.nan))),
        {},
        "no multiplicity for 50.0 %",
        id="half without a multiplicity",
    ),
]


@pytest.mark.parametrize(("write", "settings", "words"), REFUSED_EVENTS)
def test_events_that_are_refused(write, settings, words, tmp_path):
    bin_spectra(tmp_path, write(tmp_path), **settings).refuses("e.fits", words)


@pytest.mark.parametrize(("write", "settings", "words"), TOLD_EVENTS)
def test_events_that_are_used_with_a_warning(write, settings, words, tmp_path):
    bin_spectra(tmp_path, write(tmp_path), **settings).warns("e.fits", words)


@pytest.mark.parametrize(
    ("write", "settings"),
    [
        row(lambda f: with_columns(f), {}, id="usual"),
        row(
            lambda f: with_columns(f, others=[good_times("GTI", [(0, 300), (800, 1000)])]),
            {"seconds": 500},
            id="a gap that the good times have",
        ),
        row(
            lambda f: with_columns(f, TIME=times(lambda t: np.floor(t / 5) * 5)),
            {"seconds": 900},
            id="times of 5 s",
        ),
        row(
            lambda f: with_columns(f, {"TSTART": 0.6, "TSTOP": 999.4}),
            {"seconds": 990},
            id="a header that is rounded",
        ),
    ],
)
def test_events_in_order_are_not_mentioned(write, settings, tmp_path):
    made = bin_spectra(tmp_path, write(tmp_path), **settings)
    assert not made.failed and not made.said


def test_repeated_events_are_told_from_chance():
    """Times of whole seconds and few channels: what chance repeats is not refused."""
    rng = np.random.default_rng(4)
    n = 20_000
    block = {
        "time": np.sort(rng.integers(0, 20, n)).astype(float),
        "pixel": rng.integers(0, 2, n).astype(np.int32),
        "value": rng.integers(0, 4, n).astype(float),
    }
    by_chance = add_repeats(Repeats(), block)
    # Neighbours are nearly always of the same second, and one in 2 x 4 is alike.
    assert by_chance.n_all == pytest.approx(n / 8, abs=5 * np.sqrt(n / 8))
    check_repeats(by_chance, "e.fits")
    doubled = {name: np.repeat(values, 2) for name, values in block.items()}
    with pytest.raises(InputError, match="repeat the one before"):
        check_repeats(add_repeats(Repeats(), doubled), "e.fits")


@pytest.mark.parametrize("cut", [1, 7, 1999])
def test_repeated_events_do_not_depend_on_blocks(cut):
    columns = pira_columns(2000)
    block = {
        "time": np.repeat(columns["TIME"][1], 2),
        "pixel": np.repeat(columns["DETNUM"][1], 2).astype(np.int32),
        "value": np.repeat(columns["energy"][1], 2).astype(float),
    }
    parts = [{k: v[:cut] for k, v in block.items()}, {k: v[cut:] for k, v in block.items()}]
    found = Repeats()
    for part in parts:
        found = add_repeats(found, part)
    assert found[:4] == (4000, 2000, 2000, 0)


# --- relations and lines --------------------------------------------------------------------------


def prior_text(header, *rows, mark=""):
    """A function that writes a relation of text; `rows` go before those of the other pixels."""

    def write(folder):
        lines = [header, *rows, *(f"{k},0.145,3" for k in range(len(rows), N_PIXELS)), ""]
        (folder / "prior.csv").write_text(mark + "\n".join(lines), encoding="utf-8")
        return folder / "prior.csv"

    return write


def extension_twice(folder):
    """RELATION with two gains."""
    hdus = [fits.PrimaryHDU()]
    for gain in (0.145, 0.150):
        columns = {"DETNUM": np.arange(N_PIXELS), "GAIN": np.full(N_PIXELS, gain)}
        columns["OFFSET"] = np.full(N_PIXELS, 3.0)
        made = [fits.Column(name, "D", array=array) for name, array in columns.items()]
        hdus.append(fits.BinTableHDU.from_columns(made, name="RELATION"))
    fits.HDUList(hdus).writeto(folder / "prior.fits")
    return folder / "prior.fits"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        row(prior_text("DETNUM,GAIN,OFFSET", "0,0.145,"), "pixel 0 has no usable", id="a gap"),
        row(prior_text("DETNUM,GAIN,GAIN"), "column GAIN twice", id="a column twice"),
        row(prior_text("DETNUM;GAIN;OFFSET"), "semicolons", id="semicolons"),
        row(extension_twice, "2 extensions RELATION", id="an extension twice"),
    ],
)
def test_relations_that_are_refused(write, words, tmp_path):
    """A gap among whole numbers was -1 keV."""
    with pytest.raises(InputError, match=words):
        read_prior(write(tmp_path), np.arange(N_PIXELS), 1.0, 0.0, instrument=ECLAIRS)


def test_a_relation_with_a_byte_order_mark_is_read(tmp_path):
    path = prior_text("DETNUM,GAIN,OFFSET", mark="\ufeff")(tmp_path)
    gain, offset = read_prior(path, np.arange(N_PIXELS), 1.0, 0.0, instrument=ECLAIRS)
    assert np.all(gain == 0.145) and np.all(offset == 3.0)


CU = "Cu,Ka1,8.05,0.577,copper,6.6,10.0,NIST"
CD = "Cd,Ka1,23.17,0.541,cadmium,20.6,24.9,NIST"


def lines_of(folder, header, *rows):
    """The lines of a table with this header."""
    path = folder / "lines.csv"
    path.write_text("\n".join([header, *rows, ""]))
    return read_lines(path)


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        row(",".join(COLUMNS), (CU, CU, CD), "occurs twice .first in line 2", id="a line twice"),
        row(f"{','.join(COLUMNS)},energy_keV", (f"{CU},9",), "energy_keV twice", id="a column"),
        row(f"{','.join(COLUMNS)},energy_err_keV", (f"{CU},5",), "write it in keV", id="eV"),
        row(f"{','.join(COLUMNS)},width_keV", (f"{CU},30",), "write it in keV", id="a width"),
        row(";".join(COLUMNS), (CU.replace(",", ";"),), "semicolons", id="semicolons"),
    ],
)
def test_line_tables_that_are_refused(header, rows, words, tmp_path):
    with pytest.raises(InputError, match=words):
        lines_of(tmp_path, header, *rows)


def test_names_of_a_line_table_may_be_capitals(tmp_path):
    usual = lines_of(tmp_path, ",".join(COLUMNS), CU, CD)
    assert lines_of(tmp_path, ",".join(COLUMNS).upper(), CU, CD) == usual


def test_lines_in_eV_are_beyond_the_camera(tmp_path):
    in_ev = CU.replace("8.05", "8050").replace("6.6,10.0", "6600,10000"), CD
    _, limits = lines_of(tmp_path, ",".join(COLUMNS), *in_ev)
    own = configuration.resolve(
        {}, configuration.read_schema(PROJECT / "workflow/schemas/config.schema.yaml")
    )
    camera = configuration.energy_range(own)
    assert camera == pytest.approx((3.0, 3.0 + 0.145 * 1024), abs=1.0)
    with pytest.raises(InputError, match="block copper .6600 to 10000 keV. lies outside"):
        check_in_range("lines.csv", limits, *camera)
    check_in_range("lines.csv", lines_of(tmp_path, ",".join(COLUMNS), CU, CD)[1], *camera)


# --- histories ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return simulate_history(64, 4, seed=22, missing=0.0)


def put(name, place, value):
    """A change of the second epoch: rows `place` of a column."""

    def change(number, rows, header):
        if number == 1:
            rows[name][place] = value

    return change


def card(word, value):
    """A change of the header of the second epoch."""

    def change(number, rows, header):
        if number == 1:
            header[word] = value

    return change


def in_eV(number, rows, header):
    """The second epoch in eV, and nothing says so."""
    if number == 1:
        rows["GAIN"] *= 1000
        rows["OFFSET"] *= 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        row(put("DETNUM", 5, 4), "pixel 4 occurs twice", id="a pixel twice"),
        row(put("DETNUM", 5, 9999), "DETNUM 9999 is not a pixel", id="beyond the camera"),
        row(put("DETNUM", 5, -3), "DETNUM -3 is not a pixel", id="negative"),
        row(put("GAIN", slice(None), 0.0), "GAIN 0, which no pixel", id="no gain"),
        row(in_eV, "which no pixel", id="eV"),
        row(card("TSTART", "noon"), "TSTART is 'noon'", id="TSTART is text"),
        row(card("TSTOP", True), "TSTOP is True", id="TSTOP is true"),
        row(card("LINESHA", "1" * 64), "content 00000000.*content 11111111", id="line tables"),
    ],
)
def test_relations_of_a_history_that_are_refused(change, words, small, tmp_path):
    with pytest.raises(InputError, match=words):
        read_epochs(write_relations(tmp_path, small, change), ECLAIRS)


def in_another_unit(path, unit, factor):
    """A relation as `QTable` converts it: the values, but not the errors."""
    with fits.open(path) as hdus:
        hdu = hdus["RELATION"].copy()
    hdu.data["GAIN"] *= factor
    hdu.columns["GAIN"].unit = unit
    del hdu.header["DATASUM"], hdu.header["CHECKSUM"]
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


@pytest.mark.parametrize(("unit", "factor"), [("eV/chan", 1000.0), ("MeV/chan", 0.001)])
def test_a_relation_of_a_history_in_another_unit_is_refused(unit, factor, small, tmp_path):
    paths = write_relations(tmp_path, small)
    in_another_unit(paths[1], unit, factor)
    with pytest.raises(InputError, match=unit):
        read_epochs(paths, ECLAIRS)


def copied(paths, extension, words):
    """The third file becomes the second one with its own dates."""
    with fits.open(paths[1]) as one, fits.open(paths[2]) as other:
        hdu, header = one[extension].copy(), other[extension].header.copy()
    hdu.header.update({word: header[word] for word in words})
    hdu.add_checksum()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(paths[2], overwrite=True)
    return paths


def test_the_same_relations_under_two_dates_are_refused(small, tmp_path):
    paths = copied(write_relations(tmp_path, small), "RELATION", ("TSTART", "TSTOP", "EXPNAME"))
    with pytest.raises(InputError, match="hold the same relations, though their dates differ"):
        read_epochs(paths, ECLAIRS)


@pytest.mark.parametrize(
    "change",
    [
        row(put("GAIN", slice(3), np.nan), id="no gain"),
        row(put("OFFSET", slice(3), np.inf), id="infinite"),
        row(put("GAIN_ERR", slice(3), 0.0), id="no error"),
        row(put("OFFSET_ERR", slice(3), -1.0), id="negative error"),
        row(put("GAIN_OFFSET_COV", slice(3), 1.0), id="covariance"),
    ],
)
def test_pixels_of_a_history_without_usable_values_are_told(change, small, tmp_path, caplog):
    epochs = read_epochs(write_relations(tmp_path, small, change), ECLAIRS)
    assert np.isnan(epochs.gain[:3, 1]).all() and np.isfinite(epochs.gain).sum() == 64 * 4 - 3
    assert "3 pixels with a valid fit by their STATUS have values or errors" in caplog.text


def edited(paths, change):
    """The second set after `change(hdu)`."""
    with fits.open(paths[1]) as hdus:
        hdu = hdus["SPE"].copy()
    change(hdu)
    hdu.add_checksum()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(paths[1], overwrite=True)
    return paths


def set_value(name, place, value):
    return lambda hdu: hdu.data[name].__setitem__(place, value)


def set_card(word, value):
    return lambda hdu: hdu.header.__setitem__(word, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        row(set_value("PIXEL", 5, 4), "pixel 4 occurs twice", id="a pixel twice"),
        row(set_value("PIXEL", 5, -1), "PIXEL must be numbers", id="negative"),
        row(set_card("DATE-OBS", 2026), "is no date", id="a number for a date"),
        row(set_card("DATE-END", "2020-01-01T00:00:00"), "is before DATE-OBS", id="reversed"),
    ],
)
def test_sets_of_gains_that_are_refused(change, words, tmp_path):
    with pytest.raises(InputError, match=words):
        read_sets(edited(write_sets(tmp_path, np.ones((3, 64))), change))


def test_the_same_gains_under_two_dates_are_refused(tmp_path):
    paths = copied(write_sets(tmp_path, np.ones((3, 64))), "SPE", ("DATE-OBS", "DATE-END"))
    with pytest.raises(InputError, match="hold the same fits, though their dates differ"):
        read_sets(paths)


@pytest.mark.parametrize(("name", "value"), [("PE", np.nan), ("PE", -30.0), ("PE_ERR", 0.0)])
def test_gains_without_usable_values_are_told(name, value, tmp_path, caplog):
    paths = edited(write_sets(tmp_path, np.ones((3, 64))), set_value(name, slice(3), value))
    epochs = read_sets(paths)
    assert np.isnan(epochs.values["PE"][:3, 1]).all()
    assert np.isfinite(epochs.values["PE"]).sum() == 64 * 3 - 3
    assert "3 pixels with a valid fit by their STATUS have a gain or an error" in caplog.text


def test_a_set_with_pixels_beyond_the_map_is_refused(tmp_path):
    paths = edited(write_sets(tmp_path, np.ones((3, 64))), set_value("PIXEL", 63, 9999))
    with pytest.raises(InputError, match="pixel 9999, but the map"):
        check_on_map(read_sets(paths), 2048)


# --- runs of flashes ------------------------------------------------------------------------------


def scan_of(folder, *rows, header="name,n_ph,n_ph_meas,nsb,nsb_meas,nsb_unit"):
    """The runs of a scan by its table."""
    table(folder / "lab", *rows, header=header)
    for name in ("a", "b"):
        (folder / "lab" / f"{name}.h5").touch()
    return read_run_table(folder / "lab", "scan")


@pytest.mark.parametrize(
    ("nsb", "unit", "per_ns"),
    [("125", "MHz", 0.125), ("0.125", "GHz", 0.125), ("1.25e8", "Hz", 0.125), ("1.25", "", None)],
)
def test_the_background_in_any_unit(nsb, unit, per_ns, tmp_path):
    if per_ns is None:
        with pytest.raises(InputError, match="nsb_unit is ''"):
            scan_of(tmp_path, f"a,1,1,{nsb},{nsb},{unit}")
        return
    (run,) = scan_of(tmp_path, f"a,1,1,{nsb},{nsb},{unit}")
    assert run.light["nsb_meas"] == pytest.approx(per_ns, rel=1e-12)


def test_a_background_in_MHz_that_does_not_say_so_is_refused(tmp_path):
    header = "name,n_ph,n_ph_meas,nsb,nsb_meas"
    with pytest.raises(InputError, match="125, which cannot be in pe/ns; where it is in MHz"):
        scan_of(tmp_path, "a,1,1,125,125", header=header)


def test_names_of_columns_may_have_other_capitals(tmp_path):
    """The gain of a run was silently left out where its column was called Relative_Gain."""
    header = "Name,N_ph,n_ph_meas,nsb,nsb_meas,Relative_Gain"
    (run,) = scan_of(tmp_path, "a,1,1,0.1,0.1,0.8", header=header)
    assert run.light["relative_gain"] == 0.8 and run.name == "a"
    with pytest.raises(InputError, match="relative_gain is '3'"):
        scan_of(tmp_path, "a,1,1,0.1,0.1,3", header=header)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        row("name,n_ph,n_ph,nsb,nsb_meas,n_ph_meas", "column n_ph twice", id="twice"),
        row("name,N_PH,N_ph,nsb,nsb_meas,n_ph_meas", "two columns that may be n_ph", id="two"),
    ],
)
def test_a_column_that_may_be_two_is_refused(header, words, tmp_path):
    with pytest.raises(InputError, match=words):
        scan_of(tmp_path, "a,1,9,0.1,0.1,1", header=header)


@pytest.mark.parametrize(
    ("measured", "told"),
    [((1.0, 2.1, 3.9), ""), ((1.0, 20.0, 4.0), "run b: n_ph_meas 20 for n_ph 2 is 10 times")],
)
def test_light_that_was_mistyped_is_told(measured, told, caplog):
    """Ten times the light made the charge resolution of one run miss the requirement."""
    scan_runs(
        {"name": name, "n_ph": n_ph, "n_ph_meas": meas}
        for name, n_ph, meas in zip("abc", (1.0, 2.0, 4.0), measured, strict=True)
    )
    assert told in caplog.text and bool(told) == bool(caplog.text)


DARK, LIGHT = charge.LIGHTS


def runs(**waveforms):
    """Runs by name; `d0` is a dark one, `dark` and `light` have their usual light."""
    light = {"d0": 0.0, "dark": DARK, "light": LIGHT, "again": LIGHT}
    return [charge.Run(name, light[name], made) for name, made in waveforms.items()]


def changed_of(change):
    """The usual two runs after `change(waveforms)`."""
    return charge.two_runs(lambda waveforms, number: change(waveforms.copy()))


def copy_pixel(waveforms):
    waveforms[:, 4] = waveforms[:, 3]
    return waveforms


def copy_all(waveforms):
    waveforms[:] = waveforms[:, 3:4]
    return waveforms


REFUSED_RUNS = [
    row(
        lambda: runs(dark=charge.flashes(LIGHT), light=charge.flashes(LIGHT)),
        "runs dark and light: hold the same events .2000 of 2000",
        id="one run under two names",
    ),
    row(
        lambda: runs(
            dark=charge.flashes(DARK),
            light=charge.flashes(LIGHT),
            again=np.concatenate([charge.flashes(LIGHT)[:500], charge.flashes(LIGHT, seed=3)]),
        ),
        "hold the same events .500 of 2000",
        id="a part of one run in another",
    ),
    row(
        lambda: changed_of(lambda w: np.concatenate([w, w[::-1]])),
        "2000 of its 4000 events are there before",
        id="events twice, in another order",
    ),
    row(lambda: changed_of(copy_all), "16 pixels have the same charges", id="one pixel for all"),
    row(
        lambda: runs(
            d0=charge.flashes(0.5), dark=charge.flashes(DARK), light=charge.flashes(LIGHT)
        ),
        "n_ph is 0 in table.csv, but its mean waveform has the pulse",
        id="a dark run with light",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED_RUNS)
def test_runs_that_are_refused(make, words, tmp_path):
    charge.stops(charge.run_chain(tmp_path, make(), until="fill_spe_spectra"), words)


def test_the_same_events_in_two_runs_of_a_scan_are_refused(tmp_path):
    scan = [
        charge.Run(name, light, charge.flashes(5.0, n_flashes=400))
        for name, light in (("a", 5.0), ("b", 10.0))
    ]
    charge.stops(charge.run_chain(tmp_path, charge.two_runs(), scan), "a and b: hold the same")


def test_a_dark_run_without_light_is_not_mentioned(tmp_path):
    dark = charge.flashes(1e-9, seed=5)
    made = charge.run_chain(
        tmp_path,
        runs(d0=dark, dark=charge.flashes(DARK), light=charge.flashes(LIGHT)),
        until="fill_spe_spectra",
    )
    assert not made.error and "pulse of the flash" not in made.said


def test_little_light_in_a_dark_run_is_told(tmp_path):
    """2 % of the light of the brightest run."""
    dark = charge.flashes(0.02 * LIGHT, seed=5)
    made = charge.run_chain(
        tmp_path,
        runs(d0=dark, dark=charge.flashes(DARK), light=charge.flashes(LIGHT)),
        until="fill_spe_spectra",
    )
    charge.says(made, r"pulse of the flash, [123](\.\d+)? % of that of the run light")
    assert not made.error


def test_pixels_that_copy_each_other_are_left_out(tmp_path):
    made = charge.run_chain(tmp_path, changed_of(copy_pixel))
    charge.says(made, r"2 pixels have the same charges as another one .*pixels 3, 4")
    charge.most_are_good(made, but=(3, 4))


def test_events_without_finite_samples_do_not_cost_the_pixels_their_run(tmp_path):
    def spoil(waveforms):
        waveforms = waveforms.astype(np.float32)
        waveforms[::10] = np.nan
        return waveforms

    made = charge.run_chain(tmp_path, changed_of(spoil))
    charge.says(made, "200 of 2000 events are left out")
    charge.most_are_good(made)
    assert made.header("dark")["NOTHER"] == 200


def test_whole_numbers_in_floats_are_those_of_an_adc(tmp_path):
    """Bins that ignore the steps of an ADC hold uneven numbers of them: a quarter of the pixels
    were called poor."""
    as_floats = charge.run_chain(tmp_path, charge.two_runs(dtype=np.uint16), until="merge_spe")
    (tmp_path / "floats").mkdir()
    floats = changed_of(lambda waveforms: waveforms.astype(np.float32))
    made = charge.run_chain(tmp_path / "floats", floats, until="merge_spe")
    assert made.header("dark")["STEP"] == 1.0
    for name in ("PE", "STATUS"):
        assert np.array_equal(made.spe[name], as_floats.spe[name])


def test_attributes_of_one_element_are_that_element(tmp_path):
    """As MATLAB and IDL write them."""
    from pixelcal.charge.runs.hdf5 import open_run

    waveforms = charge.flashes(LIGHT, n_flashes=20)
    path = write_run(
        tmp_path / "a.h5", waveforms, unit=np.array([b"mV"]), sample_ns=np.array([2.0])
    )
    with open_run(path) as run:
        assert (run.properties.unit, run.properties.sample_ns) == ("mV", 2.0)


def test_two_units_are_one_line(tmp_path):
    from pixelcal.charge.runs.hdf5 import open_run

    waveforms = charge.flashes(LIGHT, n_flashes=20)
    path = write_run(tmp_path / "a.h5", waveforms, unit=np.array([b"mV", b"adu"]))
    with pytest.raises(InputError, match="has the unit"), open_run(path):
        pass


# --- configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        row("run: 010", "010 means 8", id="octal"),
        row("run: 12:30:00", "12:30:00 means 45000", id="sexagesimal"),
        row("run: !!binary aGVsbG8=", "line 1: is of the YAML type binary", id="binary"),
        row("pixels: !!set {1, 2}", "line 1: is of the YAML type set", id="set"),
        row("date: '2026-02-31'", "'2026-02-31' is not a date", id="31 February"),
        row("events: {files: [loop.fits]}", "'loop.fits' does not exist", id="a circle of links"),
    ],
)
def test_configurations_that_are_refused(text, words, tmp_path, monkeypatch):
    import yaml

    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.fits").symlink_to("loop.fits")
    (tmp_path / "own.yaml").write_text(text)
    schema = configuration.read_schema(PROJECT / "workflow/schemas/config.schema.yaml")
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit):  # noqa: SIM117
        with configuration.mistakes_in_one_line():
            configuration.check_yaml("own.yaml")
            configuration.resolve(yaml.safe_load((tmp_path / "own.yaml").read_text()), schema)
    assert words in said.getvalue() and len(said.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["run: '010'", "run: 10", "run: 0", "exposures: {a: {seconds: 3000}}"]
)
def test_configurations_that_look_alike_are_taken(text, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    configuration.check_yaml(tmp_path / "own.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [("title: !!binary aGVsbG8=\n", "YAML type binary"), ("title: 2025-01-01\n", 'title: "2025')],
)
def test_instrument_files_of_other_types_are_refused(text, words, tmp_path):
    (tmp_path / "my.yaml").write_text(text)
    schema = configuration.read_schema(PROJECT / "workflow/schemas/config.schema.yaml")
    with pytest.raises(InputError, match=words):
        configuration.resolve({"instrument": str(tmp_path / "my.yaml")}, schema)


# --- ready spectra --------------------------------------------------------------------------------


def spectra_file(path, counts, detnum, names=("SPECTRA",)):
    """Ready spectra: a table for each name."""
    hdus = [fits.PrimaryHDU()]
    for name in names:
        columns = [fits.Column("DETNUM", "I", array=detnum)]
        columns.append(fits.Column("COUNTS", f"{counts.shape[1]}J", array=counts))
        hdus.append(fits.BinTableHDU.from_columns(columns, name=name))
        hdus[-1].header["EXPOSURE"] = 1000.0
    fits.HDUList(hdus).writeto(path)
    return path


def read_spectra(*paths):
    return read_ready_spectra(paths, ECLAIRS.layouts["spectra"], ECLAIRS)


def test_the_same_spectra_in_another_order_are_refused(tmp_path):
    counts, pixel = np.random.default_rng(1).poisson(3, (4, 1024)), np.arange(4)
    one = spectra_file(tmp_path / "a.fits", counts, pixel)
    other = spectra_file(tmp_path / "b.fits", counts[::-1], pixel[::-1])
    assert np.array_equal(read_spectra(other).counts, counts)
    with pytest.raises(InputError, match="holds the same counts"):
        read_spectra(one, other)


@pytest.mark.parametrize("names", [("BAD", "GOOD"), ("SPECTRA", "SPECTRA")])
def test_two_tables_of_spectra_are_refused(names, tmp_path):
    counts = np.random.default_rng(1).poisson(3, (4, 1024))
    path = spectra_file(tmp_path / "a.fits", counts, np.arange(4), names)
    with pytest.raises(InputError, match="2 tables hold DETNUM and COUNTS"):
        read_spectra(path)
