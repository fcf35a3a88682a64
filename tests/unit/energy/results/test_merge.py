"""Merging chunks, masking, and the two products as files."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.instruments import ECLAIRS, EXPECTED, N_PIXELS, REQUIREMENT
from helpers.synthetic import (
    GAIN,
    LINES,
    OFFSET,
    PIXEL_MAP,
    make_fits,
    run_script,
    silence,
    write_exposure,
)

from pixelcal.camera import read_pixel_map
from pixelcal.energy.fit.columns import FIT_DTYPE, FIT_UNITS
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.own_deviation import deviations_of_pixels, no_deviation
from pixelcal.energy.prior import read_prior
from pixelcal.energy.response.io import write_response
from pixelcal.energy.response.model import empty_response
from pixelcal.energy.results.merge import complete_status, position_of
from pixelcal.energy.results.mission_file import mission_cards, previous_relation
from pixelcal.energy.results.systematics import Systematics, with_systematics
from pixelcal.errors import InputError
from pixelcal.io.merge import merge_chunks, read_bad_pixels
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.status import EnergyStatus

N = 200
NONE = np.array([], int)


@pytest.fixture
def rows():
    rows, _ = make_fits(N)
    return rows


def test_chunks_in_any_order_make_the_same_rows(rows):
    detnum = rows["DETNUM"]
    shuffled = np.random.default_rng(1).permutation(N)
    for parts in ((rows,), (rows[150:], rows[:150]), np.array_split(rows[shuffled], 7)):
        merged = merge_chunks(parts, detnum, [""] * len(parts), FIT_DTYPE, "DETNUM")
        assert merged.dtype == FIT_DTYPE and merged.tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([slice(0, 100), slice(99, N)], "DETNUM 99 is in two chunks"),
        ([slice(0, 100), slice(101, N)], "DETNUM 100 of the spectra is in no chunk"),
        ([slice(0, 0)], "DETNUM 0 of the spectra is in no chunk"),
    ],
)
def test_each_pixel_exactly_once(rows, parts, reason):
    with pytest.raises(InputError, match=reason):
        merge_chunks(
            [rows[part] for part in parts], rows["DETNUM"], [""] * len(parts), FIT_DTYPE, "DETNUM"
        )


def test_a_pixel_that_has_no_spectrum(rows):
    with pytest.raises(InputError, match="DETNUM 199 is in a chunk and not in the spectra"):
        merge_chunks([rows], rows["DETNUM"][:-1], ["a"], FIT_DTYPE, "DETNUM")


def test_a_chunk_without_a_column(rows):
    table = Table(rows)
    table.remove_column("PVALUE")
    with pytest.raises(InputError, match=r"0003.fits: lacks the column\(s\) PVALUE"):
        merge_chunks([table.as_array()], rows["DETNUM"], ["0003.fits"], FIT_DTYPE, "DETNUM")


def test_masked_pixels_lose_their_values_and_keep_their_counts(rows):
    position = position_of(rows["DETNUM"], read_pixel_map(PIXEL_MAP))
    rows["STATUS"][5] = EnergyStatus.POOR_FIT
    rows["STATUS"][9] = EnergyStatus.NOT_CONVERGED  # its values are still there: they must go
    done = complete_status(rows, *position, np.array([5, 7, 6399]), requirement=REQUIREMENT)
    assert done["STATUS"][5] == EnergyStatus.MASKED | EnergyStatus.POOR_FIT
    assert (
        done["STATUS"][7] == EnergyStatus.MASKED and done["STATUS"][9] == EnergyStatus.NOT_CONVERGED
    )
    for name in FIT_DTYPE.names:
        if FIT_DTYPE[name].kind == "f":
            assert np.flatnonzero(np.isnan(done[name])).tolist() == [5, 7, 9], name
        elif name != "STATUS":
            assert np.array_equal(done[name], rows[name])
    assert rows["STATUS"][7] == 0, "the rows that were given are not touched"


def test_outliers_are_marked_and_keep_their_values(rows):
    rows["OFFSET"][50] += 5
    position = position_of(rows["DETNUM"], read_pixel_map(PIXEL_MAP))
    done = complete_status(rows, *position, NONE, requirement=REQUIREMENT)
    assert np.flatnonzero(done["STATUS"]).tolist() == [50]
    assert done["STATUS"][50] == EnergyStatus.OUTLIER and done["OFFSET"][50] == rows["OFFSET"][50]


def test_a_change_that_the_camera_has_in_common_is_no_doubt_of_a_pixel(rows):
    """A small drift of all pixels clears CHANGED, and only that; what a pixel does by itself keeps
    it. A drift that no line bears is a change of all of them."""
    place = position_of(rows["DETNUM"], read_pixel_map(PIXEL_MAP))
    rows["STATUS"] |= np.int32(EnergyStatus.CHANGED)
    rows["STATUS"][3] |= EnergyStatus.POOR_FIT
    rows["DRIFT"] = 0.22 + 0.02 * np.random.default_rng(2).standard_normal(N)
    rows["DRIFT"][[50, 60]] = 1.2, -0.4
    done = complete_status(rows, *place, NONE, requirement=REQUIREMENT)
    changed = (done["STATUS"] & EnergyStatus.CHANGED) != 0
    assert np.flatnonzero(changed).tolist() == [50, 60]
    assert done["STATUS"][3] == EnergyStatus.POOR_FIT
    steady = rows.copy()
    steady["DRIFT"] -= 0.22
    done = complete_status(steady, *place, NONE, requirement=REQUIREMENT)
    assert ((done["STATUS"] & EnergyStatus.CHANGED) != 0).all()
    moved = rows.copy()
    moved["DRIFT"] += 0.5
    moved["STATUS"] = 0
    done = complete_status(moved, *place, NONE, requirement=REQUIREMENT)
    assert ((done["STATUS"] & EnergyStatus.CHANGED) != 0).all()


def test_no_valid_fit_without_a_reason_is_a_fault(rows):
    rows["GAIN"][3] = np.nan
    with pytest.raises(ValueError, match="pixel 3: no valid fit, and STATUS does not say why"):
        complete_status(rows, rows["DETNUM"], np.zeros(N, int), NONE, requirement=REQUIREMENT)


@pytest.mark.parametrize("text", ["DETNUM\n-1\n", "DETNUM\n6400\n", "DETNUM\n1.5\n", "DETNUM\na\n"])
def test_a_bad_pixel_table_with_nonsense(tmp_path, text):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match="whole numbers from 0 to 6399"):
        read_bad_pixels(tmp_path / "bad.csv", "DETNUM", N_PIXELS)


FLAG_TABLES = [
    ("GOOD", "5,1|7,0", None),
    ("GOOD", "5,1|7,1", None),
    ("ok", "5,0|7,1", None),
    ("QUALITY", "5,3|7,0", None),
    ("DEAD", "5,0|7,1", None),
    ("working", "5,true|7,false", None),
    ("STATE", "5,good|7,bad", None),
    ("BADPIX", "5,0|7,1", [7]),
    ("BAD", "5,0|7,1", [7]),
    ("ROW", "5,0|7,1", [5, 7]),
    ("COUNTS", "5,0|7,12", [5, 7]),
    ("REASON", "5,noisy|7,", [5, 7]),
    ("REASON", "5,|7,", [5, 7]),
]


@pytest.mark.parametrize(("name", "rows", "expected"), FLAG_TABLES)
def test_columns_that_may_say_which_pixels_are_bad(name, rows, expected, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("\n".join([f"DETNUM,{name}", *rows.split("|"), ""]))
    if expected is None:
        with pytest.raises(InputError, match=f"column {name} may say which.*BADPIX, MASKED"):
            read_bad_pixels(path, "DETNUM", N_PIXELS)
    else:
        assert read_bad_pixels(path, "DETNUM", N_PIXELS).tolist() == expected


def test_bad_pixels_once_each_and_perhaps_none(tmp_path):
    (tmp_path / "bad.csv").write_text("DETNUM\n7\n5\n7\n")
    assert read_bad_pixels(tmp_path / "bad.csv", "DETNUM", N_PIXELS).tolist() == [5, 7]
    (tmp_path / "none.csv").write_text("DETNUM\n")
    assert len(read_bad_pixels(tmp_path / "none.csv", "DETNUM", N_PIXELS)) == 0


def test_validity_in_utc():
    # 2024-06-22T07:00:00 UTC is 2729 days and 7 h after the epoch; no leap second since.
    cards = {keyword: value for keyword, value, _ in mission_cards(2729 * 86400 + 7 * 3600.0, None)}
    assert (cards["CVSD0001"], cards["CVST0001"]) == ("2024-06-22", "07:00:00")
    assert "TSTOP" not in cards


def test_previous_relation_of_part_of_the_camera(tmp_path, rows):
    path = tmp_path / "relation.fits"
    write_fits(path, [table_hdu(rows, "RELATION")])
    gain, offset = previous_relation(path, rows["DETNUM"], GAIN, OFFSET, instrument=ECLAIRS)
    assert np.array_equal(gain[:N], rows["GAIN"]) and np.array_equal(offset[:N], rows["OFFSET"])
    assert np.all(gain[N:] == GAIN) and np.all(offset[N:] == OFFSET) and len(gain) == 6400


def test_previous_relation_is_that_of_the_file_wherever_usable(tmp_path, caplog):
    rows, _ = make_fits(6400, seed=3)
    rows["GAIN"][[300, 6000]] = np.nan, -1.0
    path = tmp_path / "relation.fits"
    write_fits(path, [table_hdu(rows[rows["DETNUM"] != 500], "RELATION")])
    gain, offset = previous_relation(path, np.arange(N), GAIN, OFFSET, instrument=ECLAIRS)
    nominal = np.isin(np.arange(6400), [300, 500, 6000])
    assert np.array_equal(gain[~nominal], rows["GAIN"][~nominal])
    assert np.array_equal(offset[~nominal], rows["OFFSET"][~nominal])
    assert np.all(gain[nominal] == GAIN) and np.all(offset[nominal] == OFFSET)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "for 3 of the 6400 pixels" in record.getMessage()


def test_previous_relation_of_a_whole_file_or_none_warns_of_nothing(tmp_path, caplog):
    rows, _ = make_fits(6400, seed=3)
    write_fits(tmp_path / "relation.fits", [table_hdu(rows, "RELATION")])
    gain, _ = previous_relation(
        tmp_path / "relation.fits", np.arange(N), GAIN, OFFSET, instrument=ECLAIRS
    )
    assert np.array_equal(gain, rows["GAIN"])
    assert np.all(
        previous_relation(None, np.arange(N), GAIN, OFFSET, instrument=ECLAIRS)[1] == OFFSET
    )
    assert not caplog.records


def test_previous_relation_must_be_usable_in_the_run(tmp_path):
    rows, _ = make_fits(6400, seed=3)
    rows["OFFSET"][5] = np.nan
    write_fits(tmp_path / "relation.fits", [table_hdu(rows, "RELATION")])
    with pytest.raises(InputError, match="pixel 5 has no usable GAIN and OFFSET"):
        previous_relation(
            tmp_path / "relation.fits", np.arange(N), GAIN, OFFSET, instrument=ECLAIRS
        )


@pytest.fixture
def merged(tmp_path):
    rows, truth = make_fits(N)
    silence(rows, [3, 4], EnergyStatus.TOO_FEW_COUNTS)
    return rows, write_exposure(tmp_path, "10ks", 10000, rows, truth, date="2026-01-01")


SYSTEMATIC = [f"SYS_{energy:g}" for energy in REQUIREMENT.energies_keV]


def test_relation_file(merged):
    rows, paths = merged
    with fits.open(paths["relation"]) as hdus:
        table, header = hdus["RELATION"].data, hdus["RELATION"].header
        assert table.columns.names == ["DETNUM", "X", "Y", *FIT_DTYPE.names[1:], *SYSTEMATIC]
        for name in FIT_DTYPE.names:
            assert np.array_equal(table[name], rows[name], equal_nan=FIT_DTYPE[name].kind == "f")
        assert {c.name: c.unit for c in table.columns if c.unit} == {
            "X": "pixel",
            "Y": "pixel",
            **FIT_UNITS,
            **dict.fromkeys(SYSTEMATIC, "keV"),
        }
        assert np.array_equal(table["X"], 79 - table["DETNUM"] % 80)
        expected = {
            "EXPOSURE": 10000.0,
            "EXPNAME": "10ks",
            "MULTIPLI": "single",
            "LINETAB": "all_blocks.csv",
            "INFIL001": "events.fits",
            "INSHA001": "0" * 64,
            "TELESCOP": "UNKNOWN",
            "INSTRUME": "UNKNOWN",
            "ORIGIN": "pixelcal",
            "CREATOR": "pixelcal merge_relation",
            "DATE": "2026-01-01",
        }
        assert {name: header[name] for name in expected} == expected
        assert {"SOFTVERS", "CONFHASH", "LINESHA", "HISTORY", "CHECKSUM", "DATASUM"} <= set(header)
        assert any("198 pixels with a valid fit, 2 without" in line for line in header["HISTORY"])


def test_mission_file(merged):
    rows, paths = merged
    with fits.open(paths["mission"]) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "AUX-ECL-PIX-CAL", "PIXEL-STATUS"]
        calibration, status, header = hdus[1].data, hdus[2].data, hdus[1].header
        assert [(c.name, c.format, c.unit) for c in calibration.columns] == [
            ("DETNUM", "I", None),
            ("GAIN", "E", "keV/chan"),
            ("OFFSET", "E", "keV"),
        ]
        assert [(c.name, c.format) for c in status.columns] == [
            ("DETNUM", "I"),
            ("UPDATED", "L"),
            ("STATUS", "J"),
        ]
        valid = np.isfinite(rows["GAIN"])
        for name, nominal in (("GAIN", GAIN), ("OFFSET", OFFSET)):
            expected = np.full(6400, nominal)
            expected[:N][valid] = rows[name][valid]
            assert np.array_equal(calibration[name], expected.astype("f4"))
        assert np.array_equal(status["UPDATED"], np.isin(np.arange(6400), np.flatnonzero(valid)))
        assert np.array_equal(status["STATUS"][:N], rows["STATUS"])
        assert np.all(status["STATUS"][N:] == EnergyStatus.MASKED)
        assert header["CARD"] == "AUX-ECL-PIX-CAL" and header["MJDREFI"] == 57754
        for keyword in ("CCLS", "CDTP", "CCNM", "CBD1", "CVSD", "CVST", "CDES"):
            assert f"{keyword}0001" in header
    gain, _ = read_prior(paths["mission"], np.arange(6400), 0, 0, instrument=ECLAIRS)
    assert np.isfinite(gain).all(), "it can be the prior of the next run"


@pytest.mark.parametrize(
    ("words", "start", "date", "history"),
    [
        (
            {"MJDREFI": 57754, "MJDREFF": 0.00080074074074, "TIMESYS": "TT"},
            86400.0,
            "2017-01-02",
            None,
        ),
        ({"MJDREFI": 57784, "MJDREFF": 69.184 / 86400}, 31 * 86400.0, "2017-02-01", "converted"),
        (
            {"MJDREFI": 57754, "MJDREFF": 0.0, "TIMESYS": "UTC"},
            86400.0,
            "2017-01-02",
            "57754.000000000 UTC",
        ),
        ({"TIMESYS": "LOCAL"}, 0.0, "2017-01-01", "are LOCAL, not convertible"),
    ],
)
def test_validity_is_in_mission_time(tmp_path, merged, words, start, date, history):
    rows, paths = merged
    with fits.open(paths["spectra"]) as hdus:
        hdus["SPECTRA"].header.update(words | {"TSTART": 86400.0})
        hdus.writeto(tmp_path / "s.fits", checksum=True)
    made = {name: tmp_path / f"{name}.fits" for name in ("relation", "mission")}
    given = {"chunks": paths["chunks"], "spectra": tmp_path / "s.fits"}
    given |= {"lines": LINES, "pixel_map": PIXEL_MAP}
    params = {"relation": {"gain_keV": GAIN, "offset_keV": OFFSET}, "settings": {}, "date": None}
    run_script("merge_relation", tmp_path, given, made, params)
    header = fits.getheader(made["mission"], "AUX-ECL-PIX-CAL")
    assert header["TSTART"] == pytest.approx(start, abs=1e-5) and header["TIMESYS"] == "TT"
    assert header["MJDREFI"] == 57754 and header["CVSD0001"] == date
    said = " ".join(header["HISTORY"])
    assert (history in said) if history else ("TSTART" not in said)


def test_the_script_names_response_and_bad_pixels(tmp_path, merged):
    _, paths = merged
    given = {"chunks": paths["chunks"], "spectra": paths["spectra"]}
    given |= {"lines": LINES, "pixel_map": PIXEL_MAP}
    given["bad_pixels"] = tmp_path / "my_bad_pixels.csv"
    given["bad_pixels"].write_text("DETNUM\n10\n")
    given["response"], table = tmp_path / "my_response.fits", read_line_table(LINES)
    response = empty_response(table, EXPECTED)
    response = replace(response, scale_covariance=np.diag([1e-6, 4e-4]))
    write_response(given["response"], response, table, [], None)
    made = {name: tmp_path / f"{name}.fits" for name in ("relation", "mission")}
    params = {"relation": {"gain_keV": GAIN, "offset_keV": OFFSET}, "settings": {}, "date": None}
    run_script("merge_relation", tmp_path, given, made, params)
    for path in made.values():
        header = fits.getheader(path, 1)
        assert (header["RESPONSE"], header["BADPIX"]) == ("my_response.fits", "my_bad_pixels.csv")
        assert header["RESPSHA"] == hashlib.sha256(given["response"].read_bytes()).hexdigest()
        assert header["BADSHA"] == hashlib.sha256(b"DETNUM\n10\n").hexdigest()
    rows = fits.getdata(made["relation"], 1)
    known = np.isfinite(rows["GAIN"])
    np.testing.assert_allclose(rows["SYS_80"][known], np.hypot(80e-3, 0.02))
    absent = fits.getheader(paths["relation"], 1)
    assert not {"RESPONSE", "RESPSHA", "BADPIX", "BADSHA"} & set(absent)


def test_the_script_masks_and_takes_the_prior_from_files(tmp_path, merged):
    _, paths = merged
    (tmp_path / "bad.txt").write_text("DETNUM WHY\n10 noisy\n")
    prior, _ = make_fits(6400, seed=99)
    write_fits(tmp_path / "prior.fits", [table_hdu(prior, "RELATION")])
    made = {name: tmp_path / f"{name}.fits" for name in ("relation", "mission")}
    given = {name: paths[name] for name in ("chunks", "spectra")}
    given |= {"lines": LINES, "pixel_map": PIXEL_MAP}
    given |= {"bad_pixels": tmp_path / "bad.txt", "prior": tmp_path / "prior.fits"}
    relation = {"gain_keV": GAIN, "offset_keV": OFFSET}
    params = {"relation": relation, "settings": {}, "date": None}
    run_script("merge_relation", tmp_path, given, made, params)
    table = fits.getdata(made["relation"], "RELATION")
    assert table["STATUS"][10] == EnergyStatus.MASKED and np.isnan(table["GAIN"][10])
    gain = fits.getdata(made["mission"], 1)["GAIN"]
    kept = [3, 4, 10, *range(N, 6400)]
    assert np.array_equal(gain[kept], prior["GAIN"][kept].astype("f4"))


def test_the_number_of_chunks_leaves_no_trace(tmp_path, merged):
    rows, paths = merged
    write_fits(tmp_path / "all.fits", [table_hdu(rows, "FIT")])
    made = {name: tmp_path / f"{name}.fits" for name in ("relation", "mission")}
    relation = {"gain_keV": GAIN, "offset_keV": OFFSET}
    run_script(
        "merge_relation",
        tmp_path,
        {
            "chunks": [str(tmp_path / "all.fits")],
            "spectra": paths["spectra"],
            "lines": LINES,
            "pixel_map": PIXEL_MAP,
        },
        made,
        {"relation": relation, "settings": {"relation": relation}, "date": "2026-01-01"},
    )
    for name, path in made.items():
        assert path.read_bytes() == paths[name].read_bytes()


def test_systematic_uncertainty_of_each_kind_as_columns():
    """sigma^2 = (stretch E)^2 + shift^2 for independent stretch and shift."""
    rows, _ = make_fits(4)
    rows["STATUS"][1] = EnergyStatus.TOO_FEW_COUNTS
    large, small = np.diag([1e-3**2, 0.02**2, 0.0]), np.diag([2e-3**2, 0.0, 0.0])
    common = np.array([large, large, small, small])
    # The last pixel has a bend by itself as well, that no fit follows.
    none = no_deviation(np.zeros((1, 2)), np.zeros(1), (-100.0, 100.0))
    each = deviations_of_pixels([none, none, none, none._replace(bend=np.array(0.1))])
    full = with_systematics(rows, Systematics(common, each), REQUIREMENT)
    for energy in REQUIREMENT.energies_keV:
        bent = np.hypot(2e-3 * energy, 0.1 * (1.0 - (energy / 100.0) ** 2))
        expected = [np.hypot(1e-3 * energy, 0.02), np.nan, 2e-3 * energy, bent]
        np.testing.assert_allclose(full[f"SYS_{energy:g}"], expected)
    assert full.dtype.names[: len(rows.dtype.names)] == rows.dtype.names
    unknown = with_systematics(rows, None, REQUIREMENT)
    assert np.isnan(unknown["SYS_80"]).all()
