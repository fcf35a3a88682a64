"""Reading what people have: columns, checksums, forms of tables, numbers of pixels, losses.

One row for each situation, after the faults E1, E8, E9, E10, E13, E14, E15 and E16. A row says what
should happen; one that does not yet is marked.
"""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from helpers import faults
from helpers.faults import (
    N_PIXELS,
    bin_spectra,
    events_hdu,
    flight_columns,
    good_times,
    merge,
    patch,
    pira_columns,
    prior_columns,
    rename_column,
    settings_of,
    snakemake,
    write_events,
    write_flight,
    write_prior,
    write_settings,
)
from helpers.instruments import ECLAIRS

from pixelcal.energy.prior import read_prior
from pixelcal.errors import InputError


def row(*values, id):
    """A row that is right today."""
    return pytest.param(*values, id=id)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The spectra of a file in order, of energies and of channels."""
    folder = tmp_path_factory.mktemp("usual")
    energies = bin_spectra(folder, write_events(folder / "pira.fits"))
    channels = bin_spectra(folder, write_flight(folder / "flight.fits"), layout="ecl-evt-cal")
    assert energies.counts.sum() == channels.counts.sum() == 4000
    return {"pira": energies, "ecl-evt-cal": channels}


# --- E1: names of columns -------------------------------------------------------------------------


def with_columns(first=(), last=(), layout="pira"):
    """Columns of a file in order with others before and after, as (name, format, array)."""
    usual = flight_columns() if layout == "ecl-evt-cal" else pira_columns()
    return dict(first) | usual | dict(last)


def wrong(key, shift):
    """A column that is not the one that is meant."""
    form, array = pira_columns()[key]
    return form, (array + shift).astype(array.dtype)


NAMES = [
    row({"last": {"ENERGY": wrong("energy", 4.9)}}, {}, id="energy, then ENERGY"),
    row({"first": {"ENERGY": wrong("energy", 4.9)}}, {}, id="ENERGY, then energy"),
    row(
        {"last": {"ENERGY": wrong("energy", 4.9)}},
        {"energy": "energy"},
        id="energy, then ENERGY, and energy asked for",
    ),
    row(
        {"first": {"Energy": wrong("energy", 2)}, "last": {"ENERGY": wrong("energy", 4.9)}},
        {},
        id="three that differ by capitals",
    ),
    row({"last": {"detnum": wrong("DETNUM", 1)}}, {}, id="DETNUM, then detnum"),
    row({"last": {"time": wrong("TIME", 900)}}, {}, id="TIME, then time"),
    row({"last": {"EFFMULT": wrong("effMult", 1)}}, {}, id="effMult, then EFFMULT"),
    row({"last": {"Mult": wrong("effMult", 1), "MULT": wrong("effMult", 1)}}, {}, id="not needed"),
]


@pytest.mark.parametrize(("others", "columns"), NAMES)
def test_an_exact_match_of_a_name_wins(others, columns, usual, tmp_path):
    path = write_events(tmp_path / "events.fits", with_columns(**others))
    bin_spectra(tmp_path, path, events={"columns": columns}).is_as(usual["pira"])


@pytest.mark.parametrize(
    "name",
    [
        row("pha", id="pha"),
        row("idet", id="idet"),
        row("jdet", id="jdet"),
    ],
)
def test_an_exact_match_wins_in_the_flight_layout(name, usual, tmp_path):
    form, array = flight_columns()[name.upper()]
    columns = with_columns(last={name: (form, array + 1)}, layout="ecl-evt-cal")
    path = write_flight(tmp_path / "events.fits", columns)
    bin_spectra(tmp_path, path, layout="ecl-evt-cal").is_as(usual["ecl-evt-cal"])


def test_one_name_in_other_capitals_is_found(usual, tmp_path):
    columns = {name.swapcase(): column for name, column in pira_columns().items()}
    path = write_events(tmp_path / "e.fits", columns, header={"TSTART": 0.0, "TSTOP": 1000.0})
    bin_spectra(tmp_path, path).is_as(usual["pira"])


@pytest.mark.parametrize("others", [("ENERGY",), ("ENERGY", "eNERGY")])
def test_two_names_in_other_capitals_are_refused(others, tmp_path):
    columns = pira_columns()
    columns["Energy"] = columns.pop("energy")
    columns |= {name: wrong("energy", 4.9) for name in others}
    made = bin_spectra(tmp_path, write_events(tmp_path / "events.fits", columns))
    made.refuses("Energy", *others)


@pytest.mark.parametrize(
    ("placeholder", "name"),
    [
        row("energ2", "energy", id="energy"),
        row("DETNU2", "DETNUM", id="DETNUM"),
        row("TIM2", "TIME", id="TIME"),
    ],
)
def test_a_name_that_is_there_twice_is_refused(placeholder, name, tmp_path):
    path = write_events(tmp_path / "e.fits", with_columns(last={placeholder: wrong(name, 1)}))
    rename_column(path, placeholder, name)
    bin_spectra(tmp_path, path).refuses("e.fits", name, "two")


@pytest.mark.parametrize(
    "change",
    [
        row((b"TTYPE5  = 'OTHER   '", b"HISTORY = 'OTHER   '"), id="without a name"),
        row((b"TTYPE5  = 'OTHER   '", b"TTYPE5  = '        '"), id="an empty name"),
        row((b"TTYPE5  = 'OTHER   '", b"TTYPE5  = 'THIRD   '"), id="twice"),
    ],
)
def test_columns_that_nobody_needs_do_not_matter(change, usual, tmp_path):
    others = {"OTHER": wrong("TIME", 0), "THIRD": wrong("TIME", 0)}
    path = patch(write_events(tmp_path / "e.fits", with_columns(last=others)), change)
    bin_spectra(tmp_path, path).is_as(usual["pira"])


def binned_with(table, folder):
    """The spectra of a file in order with a table of good times."""
    path = folder / "gti.fits"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    gti = {"file": str(path), "criteria": ["GTICAL-NEO"]}
    return bin_spectra(folder, write_events(folder / "e.fits"), events={"gti": gti}, seconds=500)


@pytest.mark.parametrize(
    ("names", "decoy"),
    [
        row(("START", "STOP"), {"start": [500.0]}, id="START, then start"),
        row(("start", "stop"), {}, id="small letters"),
    ],
)
def test_the_same_holds_for_good_times(names, decoy, tmp_path):
    table = good_times(names=names, **{key: np.array(array) for key, array in decoy.items()})
    made = binned_with(table, tmp_path)
    assert not made.failed and not made.said
    assert made.header["TSTART"] == 0 and made.header["EVUSED"] == pytest.approx(2000, abs=150)


def test_good_times_with_an_exact_match_after_another(tmp_path):
    table = good_times(names=("Start", "STOP"), limits=((500.0, 1000.0),), START=np.array([0.0]))
    made = binned_with(table, tmp_path)
    assert not made.failed and made.header["TSTART"] == 0


def test_good_times_with_two_names_in_other_capitals(tmp_path):
    table = good_times(names=("Start", "STOP"), start=np.array([500.0]))
    binned_with(table, tmp_path).refuses("Start", "start")


ALL = np.arange(N_PIXELS)


def known_by(path):
    """Gain and offset of all pixels by a relation file; an error of the reader is a failure."""
    try:
        return read_prior(path, ALL, 1.0, 0.0, instrument=ECLAIRS)
    except InputError as error:
        raise AssertionError(error) from None


def refusal(path):
    """What the reader of relation files says against one."""
    try:
        read_prior(path, ALL, 1.0, 0.0, instrument=ECLAIRS)
    except InputError as error:
        return faults.without(path.parent, error)
    raise AssertionError("nobody noticed")


@pytest.mark.parametrize("kind", ["fits", "ecsv", "csv"])
def test_the_same_holds_for_relations(kind, tmp_path):
    columns = {"gain": ("D", np.full(N_PIXELS, 0.2))} | prior_columns()
    columns["gAIN"] = ("D", np.full(N_PIXELS, 0.3))
    path = write_prior(tmp_path / f"prior.{kind}", columns)
    gain, _ = known_by(path)
    assert np.all(gain == faults.GAIN)


def test_a_relation_in_small_letters_is_read(tmp_path):
    columns = {name.lower(): column for name, column in prior_columns().items()}
    path = write_prior(tmp_path / "prior.fits", columns, units=(None, None))
    assert np.all(known_by(path)[0] == faults.GAIN)


def test_a_relation_with_two_gains_in_other_capitals_is_refused(tmp_path):
    columns = prior_columns()
    columns["Gain"] = columns["gAIN"] = columns.pop("GAIN")
    said = refusal(write_prior(tmp_path / "prior.fits", columns))
    assert "Gain" in said and "gAIN" in said and "two" in said


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        row("DETNUM,detnum\n3,7\n", [3], id="exact, then another"),
        row("detnum,DETNUM\n7,3\n", [3], id="another, then exact"),
        row("detnum\n3\n", [3], id="small letters"),
        row("Detnum,detnum\n3,7\n", None, id="two others"),
    ],
)
def test_the_same_holds_for_bad_pixels(text, masked, tmp_path):
    (tmp_path / "bad.csv").write_text(text)
    check_masked(merge(tmp_path, bad_pixels=tmp_path / "bad.csv"), masked, "Detnum", "two")


def check_masked(made, masked, *words):
    """The pixels `masked` have STATUS bit 1 and no others; None: one line has the words."""
    if masked is None:
        return made.refuses(*words)
    assert not made.failed, made.said
    assert made.relation["DETNUM"][made.relation["STATUS"] & 1 > 0].tolist() == masked


# --- E8: checksums --------------------------------------------------------------------------------


def spoil_data(path):
    """Change the energies' exponents of a stretch of rows, as a transfer may."""
    content = bytearray(path.read_bytes())
    for place in range(2880 * 2 + 100 * 15, 2880 * 2 + 900 * 15):
        content[place] ^= 0x41
    path.write_bytes(content)
    return path


def only_datasum(path):
    """Without CHECKSUM."""
    return patch(path, (b"CHECKSUM= '", b"HISTORY = '")) if path.exists() else path


def wrong_datasum(path):
    """A right CHECKSUM over a header with a wrong DATASUM."""
    with fits.open(path) as hdus:
        content = [hdu.copy() for hdu in hdus]
    content[1].header["DATASUM"] = "123456789"
    content[1].add_checksum(override_datasum=True)
    fits.HDUList(content).writeto(path, overwrite=True)
    return path


def edited_header(path):
    """A card that was changed by hand: DATASUM is right, CHECKSUM is not."""
    return patch(path, (b"'someone '", b"'somebody'"))


def rewritten(path, extension):
    """Through astropy's tables, which keep CHECKSUM and DATASUM as they were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Table.read(path, hdu=extension).write(path, overwrite=True)
    return path


def checked_events(folder):
    """An event file with checksums in its table alone."""
    hdu = events_hdu(pira_columns(), header={"OBSERVER": "someone"})
    hdu.add_checksum()
    path = folder / "events.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


@pytest.mark.parametrize(
    "damage",
    [
        row(spoil_data, id="data changed"),
        row(lambda p: only_datasum(spoil_data(p)), id="data changed, DATASUM alone"),
        row(wrong_datasum, id="DATASUM wrong, CHECKSUM right"),
        row(lambda p: faults.compress(spoil_data(p)), id="data changed, compressed"),
    ],
)
def test_an_event_file_that_fails_its_datasum_is_refused(damage, tmp_path):
    bin_spectra(tmp_path, damage(checked_events(tmp_path))).refuses("events.fits", "DATASUM")


@pytest.mark.parametrize(
    "change",
    [
        row(edited_header, id="header edited"),
        row(lambda p: rewritten(p, "EVENTS"), id="written back by astropy"),
    ],
)
def test_an_event_file_with_whole_data_is_used_with_a_warning(change, usual, tmp_path):
    made = bin_spectra(tmp_path, change(checked_events(tmp_path)))
    made.warns("CHECKSUM")
    assert np.array_equal(made.counts, usual["pira"].counts)


@pytest.mark.parametrize("change", [lambda p: p, faults.compress, only_datasum])
def test_right_checksums_are_not_mentioned(change, usual, tmp_path):
    bin_spectra(tmp_path, change(checked_events(tmp_path))).is_as(usual["pira"])


def test_good_times_that_fail_their_datasum_are_refused(tmp_path):
    table = good_times()
    table.add_checksum()
    table.header["DATASUM"] = "123456789"
    table.add_checksum(override_datasum=True)
    binned_with(table, tmp_path).refuses("gti.fits", "DATASUM")


def prior_with_sums(folder):
    columns = prior_columns(gain=0.1451)
    return write_prior(
        folder / "prior.fits", columns, checksum=True, header={"OBSERVER": "someone"}
    )


def edit_gain(path):
    """An edit of values through astropy's tables: nothing says that it was wanted."""
    table = Table.read(path, hdu="RELATION")
    table["GAIN"] += 0.001
    table.write(path, overwrite=True)
    return path


@pytest.mark.parametrize(
    "damage",
    [
        row(edit_gain, id="values edited"),
        row(wrong_datasum, id="DATASUM wrong, CHECKSUM right"),
    ],
)
def test_a_relation_that_fails_its_datasum_is_refused(damage, tmp_path):
    path = damage(prior_with_sums(tmp_path))
    said = refusal(path)
    assert "prior.fits" in said and "DATASUM" in said


@pytest.mark.parametrize(
    "change",
    [
        row(edited_header, id="header edited"),
        row(lambda p: rewritten(p, "RELATION"), id="written back by astropy"),
    ],
)
def test_a_relation_with_whole_data_is_used_with_a_warning(change, tmp_path):
    path = change(prior_with_sums(tmp_path))
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), relation={"file": str(path)})
    made.warns("CHECKSUM")


def test_its_own_relation_written_back_by_astropy_is_used(tmp_path):
    """The file that people take next time."""
    path = merge(tmp_path).folder / "relation.fits"
    rewritten(path, "RELATION")
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), relation={"file": str(path)})
    made.warns("CHECKSUM")


def test_bad_pixels_that_fail_their_datasum_are_refused(tmp_path):
    hdu = fits.BinTableHDU.from_columns([fits.Column("DETNUM", "I", array=[3, 5])])
    hdu.add_checksum()
    path = tmp_path / "bad.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    merge(tmp_path, bad_pixels=wrong_datasum(path)).refuses("bad.fits", "DATASUM")


# --- E9: pixels numbered from 1 -------------------------------------------------------------------


def numbered(first, n=N_PIXELS):
    """Columns of a file whose pixels are numbered from `first`, n of them."""
    columns = pira_columns(6400 * 2)
    numbers = np.random.default_rng(5).permutation(6400 * 2) % n
    columns["DETNUM"] = ("I", numbers + first)
    return columns


@pytest.mark.parametrize(
    "columns",
    [
        row(numbered(1), id="1 to 64 where 0 to 63 are chosen"),
        row(numbered(1, 6400), id="1 to 6400"),
        row(numbered(2, 6400), id="beyond the last"),
    ],
)
def test_numbers_from_1_are_noticed(columns, tmp_path):
    bin_spectra(tmp_path, write_events(tmp_path / "e.fits", columns)).notices("first_pixel")


def test_rows_and_columns_from_1_are_noticed(tmp_path):
    columns = flight_columns(6400 * 2)
    position = np.arange(6400 * 2) % 6400
    columns["IDET"], columns["JDET"] = ("B", position // 80 + 1), ("B", position % 80 + 1)
    path = write_flight(tmp_path / "e.fits", columns)
    bin_spectra(tmp_path, path, layout="ecl-evt-cal").notices("first_pixel")


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_from_0_are_not_mentioned(first, tmp_path):
    """Also where pixel 0 has no event."""
    columns = numbered(first, 6400 - first)
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", columns))
    assert not made.failed and not made.said


@pytest.mark.parametrize("layout", ["pira", "ecl-evt-cal"])
def test_the_first_number_can_be_configured(layout, usual, tmp_path):
    write, columns = {
        "pira": (write_events, pira_columns),
        "ecl-evt-cal": (write_flight, flight_columns),
    }[layout]
    path = write(tmp_path / "e.fits", columns(first_pixel=1))
    made = bin_spectra(tmp_path, path, layout=layout, events={"first_pixel": 1})
    made.is_as(usual[layout])


def grid(first_row, first_column, n_rows=80, n_columns=80):
    """Columns of a flight file whose rows and columns are counted from these numbers."""
    columns, place = flight_columns(6400 * 2), np.arange(6400 * 2) % (n_rows * n_columns)
    columns["IDET"] = ("B", place // n_columns + first_row)
    columns["JDET"] = ("B", place % n_columns + first_column)
    return columns


@pytest.mark.parametrize(
    ("columns", "fails"),
    [
        row(grid(1, 1), True, id="1 to 80"),
        row(grid(1, 2, 80, 79), False, id="1 to 80, and 2 to 80"),
        row(grid(1, 1, 8, 4), False, id="those of the selected pixels, one higher"),
    ],
)
def test_rows_and_columns_that_may_count_from_1(columns, fails, tmp_path):
    """Refused where they are certain, used with a warning where they are likely."""
    path = write_flight(tmp_path / "e.fits", columns)
    pixels = ", ".join(f"{80 * n}-{80 * n + 3}" for n in range(8))
    made = bin_spectra(tmp_path, path, layout="ecl-evt-cal", pixels=pixels)
    made.notices("first_pixel: 1", "IDET", "JDET")
    assert made.failed == fails


@pytest.mark.parametrize(
    "columns",
    [
        row(grid(0, 0), id="0 to 79"),
        row(grid(1, 0, 79, 80), id="no event in row 0"),
        row(grid(1, 1, 79, 79), id="no event in row 0 and column 0"),
        row(grid(0, 1, 80, 79), id="no event in column 0"),
    ],
)
def test_rows_and_columns_from_0_are_not_mentioned(columns, tmp_path):
    path = write_flight(tmp_path / "e.fits", columns)
    made = bin_spectra(tmp_path, path, layout="ecl-evt-cal", pixels="0-6399")
    assert not made.failed and not made.said


def test_the_numbers_of_two_files_are_taken_together(tmp_path):
    """Each has one half of the camera, and neither has a number that is not there."""
    columns, halves = numbered(1, 6400), []
    for number, part in enumerate((slice(None, None, 2), slice(1, None, 2))):
        own = {name: (form, array[part]) for name, (form, array) in columns.items()}
        own["TIME"] = ("D", own["TIME"][1] + 1000 * number)
        own["DETNUM"] = ("I", np.arange(6400) % 3200 + 1 + 3200 * number)
        halves.append(write_events(tmp_path / f"{number}.fits", own))
    made = bin_spectra(tmp_path, *halves, pixels="0-6399")
    made.notices("first_pixel: 1")


@pytest.mark.parametrize("form", ["I", "K", "E"])
def test_numbers_from_1_of_any_type(form, usual, tmp_path):
    """Also unsigned ones, which are stored with a TZERO."""
    columns = pira_columns(first_pixel=1)
    columns["DETNUM"] = (form, columns["DETNUM"][1])
    path = write_events(tmp_path / "e.fits", columns)
    bin_spectra(tmp_path, path, events={"first_pixel": 1}).is_as(usual["pira"])


def test_unsigned_numbers_from_1(usual, tmp_path):
    columns = pira_columns(first_pixel=1)
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(name, form, array=array)
            if name != "DETNUM"
            else fits.Column(name, "K", bzero=2**63, array=array.astype("u8"))
            for name, (form, array) in columns.items()
        ],
        name="EVENTS",
    )
    hdu.header.update(faults.EPOCH | {"TSTART": 0.0, "TSTOP": 1000.0})
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "e.fits")
    made = bin_spectra(tmp_path, tmp_path / "e.fits", events={"first_pixel": 1})
    made.is_as(usual["pira"])


def test_numbers_from_0_that_are_said_to_count_from_1_are_noticed(tmp_path):
    path = write_events(tmp_path / "e.fits", numbered(0, 6400))
    made = bin_spectra(tmp_path, path, events={"first_pixel": 1}, pixels="0-6398")
    made.notices("first_pixel: 0")


def test_numbers_from_1_in_a_table_of_fpack(usual, tmp_path):
    hdu = faults.fpacked(events_hdu(pira_columns(first_pixel=1)), rice)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "e.fz")
    made = bin_spectra(tmp_path, tmp_path / "e.fz", events={"first_pixel": 1})
    made.is_as(usual["pira"])


def test_simulated_events_count_from_0(tmp_path):
    bin_spectra(tmp_path, events={"first_pixel": 1}).refuses("events.first_pixel", "events.files")


# --- E10: forms of tables -------------------------------------------------------------------------


def packed_by(rule):
    def write(folder):
        hdu = events_hdu(pira_columns())
        path = folder / "events.fits.fz"
        fits.HDUList([fits.PrimaryHDU(), faults.fpacked(hdu, rule)]).writeto(path)
        return path

    return write


def as_fpack(form):
    """The choice of fpack 1.7: bytes in another order before gzip, where there are several."""
    return "GZIP_1" if form == "B" else "GZIP_2"


def rice(form):
    """Rice for whole numbers, as fpack may be told."""
    return "RICE_1" if form in ("I", "B") else "GZIP_2"


@pytest.mark.parametrize(
    "write",
    [
        row(packed_by(lambda form: "GZIP_1"), id="GZIP_1"),
        row(packed_by(as_fpack), id="as fpack chooses"),
        row(packed_by(rice), id="RICE_1"),
    ],
)
def test_a_table_of_fpack_is_read(write, usual, tmp_path):
    bin_spectra(tmp_path, write(tmp_path)).is_as(usual["pira"])


def ascii_table(folder):
    columns = [
        fits.Column("TIME", "D25.17", array=pira_columns()["TIME"][1]),
        fits.Column("DETNUM", "I5", array=pira_columns()["DETNUM"][1]),
        fits.Column("energy", "E15.7", array=pira_columns()["energy"][1]),
        fits.Column("effMult", "I2", array=pira_columns()["effMult"][1]),
    ]
    hdu = fits.TableHDU.from_columns(columns, name="EVENTS")
    return _written(folder, hdu)


def image(folder):
    return _written(folder, fits.ImageHDU(np.zeros((80, 80)), name="EVENTS"))


def compressed_image(folder):
    return _written(folder, fits.CompImageHDU(np.zeros((80, 80), "f4"), name="EVENTS"))


def primary_image(folder):
    path = folder / "events.fits"
    fits.PrimaryHDU(np.zeros((80, 80))).writeto(path)
    return path


def lists_of_energies(folder):
    columns = pira_columns()
    lists = np.empty(4000, object)
    lists[:] = [np.array([value]) for value in columns["energy"][1]]
    columns["energy"] = ("PE()", lists)
    return write_events(folder / "events.fits", columns)


def pairs_of_energies(folder):
    columns = pira_columns()
    columns["energy"] = ("2E", np.column_stack([columns["energy"][1]] * 2))
    return write_events(folder / "events.fits", columns)


def energies_as_text(folder):
    columns = pira_columns()
    columns["energy"] = ("8A", np.array([f"{value:.4f}" for value in columns["energy"][1]]))
    return write_events(folder / "events.fits", columns)


def _written(folder, hdu):
    path = folder / "events.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("write", "words"),
    [
        row(ascii_table, ["ASCII table"], id="ASCII table"),
        row(image, ["image"], id="image"),
        row(compressed_image, ["image"], id="compressed image"),
        row(primary_image, ["image"], id="primary image"),
        row(lists_of_energies, ["energy", "variable"], id="variable length"),
        row(pairs_of_energies, ["energy", "one number per row"], id="two numbers a row"),
        row(energies_as_text, ["energy", "text"], id="text"),
    ],
)
def test_what_cannot_be_read_is_named_for_what_it_is(write, words, tmp_path):
    bin_spectra(tmp_path, write(tmp_path)).refuses("events.fits", *words)


def test_lists_that_nobody_needs_do_not_matter(usual, tmp_path):
    lists = np.empty(4000, object)
    lists[:] = [np.arange(n % 3, dtype="f4") for n in range(4000)]
    path = write_events(tmp_path / "e.fits", pira_columns() | {"TRACE": ("PE()", lists)})
    bin_spectra(tmp_path, path).is_as(usual["pira"])


# --- E13: tables of bad pixels --------------------------------------------------------------------

FLAGGED = [3, 40]


def with_flags(name, flags, n=6400):
    """A table of all pixels with a column that says which are bad."""
    return Table({"DETNUM": np.arange(n), name: flags(np.isin(np.arange(n), FLAGGED))})


BAD_TABLES = [
    row(with_flags("BAD", lambda bad: bad), FLAGGED, id="BAD, true or false"),
    row(with_flags("BAD", lambda bad: bad.astype(int)), FLAGGED, id="BAD, 1 or 0"),
    row(with_flags("BAD", lambda bad: np.where(bad, 1.0, 0.0)), FLAGGED, id="BAD, 1.0"),
    row(
        with_flags("BAD", lambda bad: np.where(bad, "BAD", "good")),
        FLAGGED,
        id="BAD, words",
    ),
    row(with_flags("bad", lambda bad: bad.astype(int)), FLAGGED, id="bad, 1 or 0"),
    row(
        with_flags("BAD", lambda bad: bad.astype(int), N_PIXELS),
        FLAGGED,
        id="BAD, for the pixels of the run",
    ),
    row(
        with_flags("STATUS", lambda bad: np.where(bad, 1, 0), N_PIXELS),
        FLAGGED,
        id="STATUS of a relation",
    ),
    row(with_flags("BAD", lambda bad: np.where(bad, 7, 3)), None, id="BAD, 3 or 7"),
    row(Table({"DETNUM": np.arange(6400)}), None, id="every pixel, no flag"),
    row(Table({"DETNUM": np.arange(N_PIXELS)}), None, id="every pixel of the run"),
    row(Table({"DETNUM": [3.0, 40.0]}), FLAGGED, id="3.0"),
    row(Table({"DETNUM": [3, 40], "WHY": ["hot", "dead"]}), FLAGGED, id="a list with reasons"),
    row(Table({"DETNUM": [3.5, 40.0]}), None, id="3.5"),
    row(Table({"DETNUM": [3, 6400]}), None, id="6400"),
    row(Table({"DETNUM": [-1, 3]}), None, id="-1"),
]


@pytest.mark.parametrize("kind", ["csv", "ecsv", "fits"])
@pytest.mark.parametrize(("table", "masked"), BAD_TABLES)
def test_a_table_of_bad_pixels_means_what_it_says(table, masked, kind, tmp_path):
    path = tmp_path / f"bad.{kind}"
    table.write(path)
    made = merge(tmp_path, bad_pixels=path)
    check_masked(made, masked, path.name)


def test_tables_are_checked_before_the_first_job(tmp_path):
    (tmp_path / "bad.csv").write_text("DETNUM\n3.5\n")
    path = write_flight(tmp_path / "e.fits")
    settings = settings_of(path, layout="ecl-evt-cal", bad_pixels="bad.csv")
    own = write_settings(tmp_path, settings)
    run = snakemake(tmp_path, "results/eclairs/a/relation.fits", "--configfile", own)
    assert run.returncode != 0 and "bad.csv" in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "results" / "eclairs" / "a" / "spectra.fits").exists()


def test_free_elements_are_checked_before_the_first_job(tmp_path):
    path = write_events(tmp_path / "e.fits")
    own = write_settings(tmp_path, settings_of(path, fit={"free_elements": ["Xx"]}))
    run = snakemake(tmp_path, "results/eclairs/a/relation.fits", "--configfile", own)
    words = "configuration: fit.free_elements: Xx is not in the line table; its elements are"
    assert run.returncode != 0 and words in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "results" / "eclairs" / "a" / "spectra.fits").exists()


# --- E14: units -----------------------------------------------------------------------------------

UNITS = [
    row("keV/chan", 1, id="keV/chan"),
    row("keV / chan", 1, id="spaces"),
    row("keV chan-1", 1, id="FITS"),
    row("chan-1 keV", 1, id="FITS, the other way round"),
    row("keV chan^-1", 1, id="power"),
    row("keV.chan-1", 1, id="dot"),
    row("keV chan**-1", 1, id="stars"),
    row("keV adu-1", 1, id="adu-1"),
    row("keV/adu", 1, id="adu"),
    row("keV/channel", 1, id="channel"),
    row("eV/chan", 1e-3, id="eV"),
    row("eV chan-1", 1e-3, id="eV chan-1"),
]


@pytest.mark.parametrize("kind", ["fits", "ecsv"])
@pytest.mark.parametrize(("unit", "factor"), UNITS)
def test_units_of_the_gain_that_mean_keV_per_channel(unit, factor, kind, tmp_path):
    columns = prior_columns(gain=faults.GAIN / factor)
    path = write_prior(tmp_path / f"prior.{kind}", columns, units=(unit, "keV"))
    gain, _ = known_by(path)
    assert gain == pytest.approx(faults.GAIN)


@pytest.mark.parametrize("kind", ["fits", "ecsv"])
def test_a_relation_that_astropy_wrote_with_units_is_read(kind, tmp_path):
    table = QTable(
        {
            "DETNUM": ALL,
            "GAIN": np.full(N_PIXELS, faults.GAIN) * u.keV / u.chan,
            "OFFSET": np.full(N_PIXELS, faults.OFFSET) * u.keV,
        }
    )
    table.meta["EXTNAME"] = "RELATION"
    table.write(tmp_path / f"prior.{kind}")
    gain, offset = known_by(tmp_path / f"prior.{kind}")
    assert gain == pytest.approx(faults.GAIN) and offset == pytest.approx(faults.OFFSET)


@pytest.mark.parametrize(
    "unit",
    [
        row("m/chan", id="m/chan"),
        row("keV s", id="keV s"),
        row("keV2/chan", id="keV2/chan"),
        row("count", id="count"),
        row("parsnips", id="no unit at all"),
    ],
)
def test_other_units_are_refused_with_their_text(unit, tmp_path):
    path = write_prior(tmp_path / "prior.fits", units=(unit, "keV"))
    said = refusal(path)
    assert f"'{unit}'" in said and "GAIN" in said


def test_the_product_can_be_calculated_with(tmp_path):
    made = merge(tmp_path)
    for name, extension in (
        ("relation.fits", "RELATION"),
        ("AUX-ECL-PIX-CAL.fits", "AUX-ECL-PIX-CAL"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", u.UnitsWarning)
            table = QTable.read(made.folder / name, hdu=extension)
        energy = table["GAIN"] * (100.5 * u.chan) + table["OFFSET"]
        assert np.isfinite(energy.to_value(u.keV)).all()
    table = QTable.read(made.folder / "relation.fits", hdu="RELATION")
    covariance = table["GAIN_OFFSET_COV"] / (table["GAIN_ERR"] * table["OFFSET_ERR"])
    assert (abs(covariance.to_value(u.one)) <= 1).all()


@pytest.mark.parametrize(
    ("layout", "column", "unit"),
    [
        row("ecl-evt-cal", "PHA", "adu", id="channels in adu"),
        row("ecl-evt-cal", "PHA", "chan", id="channels in chan"),
        row("pira", "energy", "keV", id="energies in keV"),
        row("pira", "TIME", "s", id="times in s"),
    ],
)
def test_units_of_events(layout, column, unit, usual, tmp_path):
    write = write_flight if layout == "ecl-evt-cal" else write_events
    path = write(tmp_path / "e.fits", units={column: unit})
    bin_spectra(tmp_path, path, layout=layout).is_as(usual[layout])


# --- E15: which camera ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        row({"TELESCOP": "NuSTAR"}, id="another telescope, no instrument"),
        row({}, id="neither"),
        row({"TELESCOP": "NuSTAR", "INSTRUME": ""}, id="an empty instrument"),
    ],
)
def test_an_instrument_that_is_not_told_stays_unknown(header, tmp_path):
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", header=header))
    assert not made.failed, made.said
    assert made.header.get("INSTRUME", "") in ("", "UNKNOWN")
    assert made.header.get("TELESCOP", "") in ("", "UNKNOWN", header.get("TELESCOP"))
    products = merge(tmp_path, header=made.header).headers
    assert {own.get("INSTRUME", "") for own in products.values()} <= {"", "UNKNOWN"}


@pytest.mark.parametrize(
    "name",
    [
        row("FPMA", id="FPMA"),
        row("ECLIPSE", id="ECLIPSE"),
        row("DECLIC", id="DECLIC"),
    ],
)
def test_another_camera_is_refused(name, tmp_path):
    path = write_events(tmp_path / "e.fits", header={"INSTRUME": name})
    bin_spectra(tmp_path, path).refuses("e.fits", name)


@pytest.mark.parametrize("name", ["ECL", "ECLAIRs", "ECLAIRS", "ecl"])
def test_the_names_of_the_camera_are_accepted(name, usual, tmp_path):
    path = write_events(tmp_path / "e.fits", header={"INSTRUME": name, "TELESCOP": "SVOM"})
    made = bin_spectra(tmp_path, path)
    made.is_as(usual["pira"])
    assert made.header["INSTRUME"] == name


# --- E16: events that are lost --------------------------------------------------------------------


def losing(fraction, key, value, layout="pira"):
    """Columns of a file in which a fraction of one column is `value`."""
    columns = flight_columns() if layout == "ecl-evt-cal" else pira_columns()
    form, array = columns[key]
    lost = np.random.default_rng(5).random(len(array)) < fraction
    columns[key] = (form, np.where(lost, value, array).astype(array.dtype))
    return columns


LOSSES = {
    "energies that are no number": ("energy", np.nan, "pira"),
    "energies below channel 0": ("energy", 1.0, "pira"),
    "energies above the last channel": ("energy", 400.0, "pira"),
    "a 4096-channel ADC": ("PHA", 3000, "ecl-evt-cal"),
    "channels below 0": ("PHA", -7, "ecl-evt-cal"),
    "pixels beyond the camera": ("DETNUM", 7000, "pira"),
    "pixels below 0": ("DETNUM", -3, "pira"),
    "rows beyond the camera": ("IDET", 90, "ecl-evt-cal"),
    "times that are no number": ("TIME", np.nan, "pira"),
}


@pytest.mark.parametrize(
    ("fraction", "outcome"),
    [
        row(0.01, "silent", id="1 %"),
        row(0.10, "warning", id="10 %"),
        row(0.95, "error", id="95 %"),
        row(0.999, "error", id="99.9 %"),
    ],
)
@pytest.mark.parametrize("loss", LOSSES)
def test_events_that_are_lost_for_one_reason(loss, fraction, outcome, tmp_path):
    key, value, layout = LOSSES[loss]
    write = write_flight if layout == "ecl-evt-cal" else write_events
    columns = losing(fraction, key, value, layout)
    path = write(tmp_path / "e.fits", columns, header={"TSTART": 0.0, "TSTOP": 1000.0})
    made = bin_spectra(tmp_path, path, layout=layout)
    if outcome == "error":
        made.refuses("e.fits", "%")
    elif outcome == "warning":
        made.warns("%")
    else:
        assert not made.failed and not made.said


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        row(losing(0.3, "effMult", 2), {}, id="multiple events"),
        row(pira_columns(), {"seconds": 100}, id="a short exposure"),
        row(pira_columns(), {"pixels": "0-3"}, id="few pixels"),
    ],
)
def test_events_that_were_not_asked_for_are_not_lost(columns, settings, tmp_path):
    path = write_events(tmp_path / "e.fits", columns)
    made = bin_spectra(tmp_path, path, **settings)
    assert not made.failed and not made.said


# --- energies in steps ----------------------------------------------------------------------------


def rounded(folder, step):
    """A file with energies that are multiples of a step (keV)."""
    columns = pira_columns()
    energy = np.round(columns["energy"][1] / step) * step
    return write_events(folder / "rounded.fits", columns | {"energy": ("E", energy)})


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0])
def test_energies_in_steps_wider_than_a_channel(tmp_path, step):
    words = (f"energies come in steps of {step:g} keV", "a channel is 0.1", "not rounded")
    bin_spectra(tmp_path, rounded(tmp_path, step)).refuses(*words)


def test_energies_in_steps_that_fill_channels_unevenly(tmp_path):
    bin_spectra(tmp_path, rounded(tmp_path, 0.1)).warns("energies come in steps of 0.1 keV")


@pytest.mark.parametrize("step", [1e-3, 0.01, faults.GAIN, faults.GAIN / 2])
def test_energies_in_steps_that_do_no_harm(tmp_path, step):
    """Fine ones, and those of a channel or of half of one."""
    assert not bin_spectra(tmp_path, rounded(tmp_path, step)).said


def test_few_energies_say_nothing_of_steps(tmp_path):
    columns = pira_columns(n=900)
    columns["energy"] = ("E", np.round(columns["energy"][1]))
    assert "steps" not in bin_spectra(tmp_path, write_events(tmp_path / "e.fits", columns)).said


def test_energies_in_eV_have_no_steps(tmp_path):
    """Above 1450 keV, 32 bits do not resolve a channel; what is wrong is the unit."""
    columns = pira_columns()
    path = write_events(
        tmp_path / "e.fits", columns | {"energy": ("E", 1e3 * columns["energy"][1])}
    )
    bin_spectra(tmp_path, path).refuses("above channel 1023", "check the unit of column energy")


@pytest.mark.parametrize(
    ("form", "added", "said"),
    [
        ("E", 0.4, ["100 % of the channels are not whole", "the channel below", "whole channels"]),
        ("E", np.random.default_rng(5).uniform(-0.5, 0.5, 4000), ["not whole"]),
        ("E", 0.0, []),
        ("D", np.where(np.arange(4000) % 50, 0.0, 0.5), []),
        ("D", np.where(np.arange(4000) % 50, 0.0, np.nan), []),
    ],
)
def test_channels_that_are_not_whole(form, added, said, tmp_path):
    columns = flight_columns()
    columns["PHA"] = (form, columns["PHA"][1] + added)
    path = write_flight(tmp_path / "e.fits", columns)
    made = bin_spectra(tmp_path, path, layout="ecl-evt-cal")
    made.warns(*said)
    assert bool(made.said) == bool(said), made.said


# --- the column of the pixel ----------------------------------------------------------------------


def renamed(columns, old, new):
    """Columns with one under another name, or without it where `new` is None."""
    return {
        (new if name == old else name): column
        for name, column in columns.items()
        if name != old or new
    }


@pytest.mark.parametrize("name", ["PIXEL", "Pixel_ID", "DETID", "PIX", "ChanID", "RAWX"])
def test_energies_with_a_pixel_of_another_name_are_not_dealt(name, usual, tmp_path):
    path = write_events(tmp_path / "e.fits", renamed(pira_columns(), "DETNUM", name))
    bin_spectra(tmp_path, path).refuses("e.fits", "is the pixel", name, "events.columns.pixel")
    bin_spectra(tmp_path, path, events={"columns": {"pixel": name}}).is_as(usual["pira"])


@pytest.mark.parametrize("name", ["PIXEL", "NUMBER", None])
def test_channels_without_a_pixel_are_refused(name, tmp_path):
    kept = {key: column for key, column in flight_columns().items() if key in ("TIME", "PHA")}
    more = {name: pira_columns()["DETNUM"]} if name else {}
    path = write_events(tmp_path / "e.fits", kept | more)
    columns = {"channel": "PHA", "time": "TIME"}
    made = bin_spectra(tmp_path, path, events={"columns": columns, "multiplicity": "all"})
    made.refuses("e.fits", "is the pixel", "TIME, PHA", "events.columns.pixel", name or "PHA")


@pytest.mark.parametrize("first", [True, False])
def test_files_with_and_without_a_pixel_are_refused(first, tmp_path):
    """Before the good times, which the deal would not have either."""
    whole = write_events(tmp_path / "whole.fits", pira_columns(n=2000, seconds=500.0))
    columns = renamed(pira_columns(n=2000, seconds=500.0, start=500.0, seed=2), "DETNUM", None)
    none = write_events(tmp_path / "none.fits", columns)
    made = bin_spectra(tmp_path, *([whole, none] if first else [none, whole]))
    made.refuses("none.fits: has no column with the pixel, but whole.fits has")


def test_energies_that_are_dealt_are_told(usual, tmp_path):
    path = write_events(tmp_path / "e.fits", renamed(pira_columns(), "DETNUM", None))
    made = bin_spectra(tmp_path, path)
    made.warns("e.fits: has no column with the pixel", "6400 pixels at random", "columns.pixel")
    assert made.header["EVDEALT"] == made.header["EVREAD"] == 4000
    assert "EVDEALT" not in usual["pira"].header
