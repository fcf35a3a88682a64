"""The gains of many dates: what was put in is found, and nothing where nothing changed."""

import re

import numpy as np
import pytest
from astropy.io import fits
from helpers.gain_sets import MAP, true_gains, write_set, write_sets
from helpers.instruments import ECLAIRS
from helpers.page_text import read_cells, unpack, words_of
from helpers.report_pages import page_data
from helpers.synthetic import run_script

from pixelcal.charge.history.alarms import find_alarms, write_lines
from pixelcal.charge.history.epochs import name_of_set, read_epochs
from pixelcal.charge.history.history import make_history
from pixelcal.charge.runs.dates import mjd_of, utc_of_mjd
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.energy.history import epochs as energy_epochs
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns
from pixelcal.status import ChargeStatus

N_PIXELS, N_SETS = 256, 6
LIMITS = {"camera": 1.0, "module": 1.0, "pixel": 3.0}
FALSE_ALARMS = 0.1
MODULES = np.asarray(read_pixel_map(MAP).module)


def analysed(paths):
    epochs = read_epochs(paths)
    return make_history(epochs, MODULES[epochs.pixel], FALSE_ALARMS)


def drifting():
    """Factors (t, n): the camera loses 0.5 % a set, module 2 jumps by 3 %, pixel 40 by -8 %."""
    changes = np.ones((N_SETS, N_PIXELS)) * (1 - 0.005 * np.arange(N_SETS))[:, None]
    changes[3:, MODULES[:N_PIXELS] == 2] *= 1.03
    changes[4:, 40] *= 0.92
    return changes


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_sets(tmp_path_factory.mktemp("sets"), drifting())


@pytest.fixture(scope="module")
def history(paths):
    return analysed(paths)


# --- what was put in ------------------------------------------------------------------------------


def test_a_drift_of_the_camera_is_recovered(history):
    change, sigma = history.change("camera")
    truth = -0.5 * np.arange(N_SETS)
    # The camera is the mean of its pixels: a fourth of them jumps by 3 %.
    quiet = MODULES[:N_PIXELS] != 2
    moved = history.change("pixels")[0][quiet].mean(axis=0)
    assert np.abs(moved - truth).max() < 5 * 100 * 0.004 * np.sqrt(2 / quiet.sum())
    assert (sigma > 0).all() and (np.diff(change[0]) < 0).all()


def test_best_gains_are_right_within_their_errors(history):
    best, error = history.best()[:2]
    pull = (best - true_gains(N_PIXELS)[:, None] * drifting().T) / error
    single = history.epochs.values["PE"] / (true_gains(N_PIXELS)[:, None] * drifting().T) - 1
    off = best / (true_gains(N_PIXELS)[:, None] * drifting().T) - 1
    assert np.std(off) < 0.8 * np.std(single)  # it uses the neighbours in time
    # Sets of a pixel are correlated: as many independent pulls as there are pixels.
    assert np.sqrt(np.mean(pull**2)) == pytest.approx(1.0, abs=4 / np.sqrt(2 * N_PIXELS))


def test_what_changed_is_told(history):
    alarms = find_alarms(history, LIMITS)
    found = {(alarm.kind, alarm.number) for alarm in alarms}
    assert ("camera", -1) in found and ("pixel jump", 40) in found and ("pixel", 40) in found
    assert any(number == 2 for kind, number in found if kind in ("module", "module jump"))
    jump = next(alarm for alarm in alarms if (alarm.kind, alarm.number) == ("pixel jump", 40))
    assert jump.date[:10] == utc_of_mjd(history.epochs.start[4])[:10]
    step = float(re.search(r"gain −([0-9.]+) ±", jump.text)[1])
    assert step == pytest.approx(8.0, abs=5 * 0.4)  # errors of single sets: it uses several
    assert not any(kind == "pixel jump" and number != 40 for kind, number in found)
    lines = write_lines(alarms).splitlines()
    assert lines[0][12:].startswith("camera") and len(lines) == len(alarms)
    assert history.drift.jumps()[40, 4] & 1


@pytest.mark.parametrize("n_sets", [2, 6, 12])
def test_an_unchanged_camera_gives_no_alarm(tmp_path, n_sets):
    for seed in (2, 3, 4):
        written = write_sets(tmp_path / str(seed), np.ones((n_sets, N_PIXELS)), seed=seed)
        # 0.1 false jumps are expected at most in a history: 0.3 in three.
        assert write_lines(find_alarms(analysed(written), LIMITS)) == "no alarm\n"


@pytest.mark.parametrize("n_pixels", [1, 3, 16, 256])
@pytest.mark.parametrize(("n_sets", "at"), [(2, 1), (3, 1), (3, 2), (4, 2), (5, 3), (6, 3), (6, 5)])
def test_no_step_of_all_pixels_is_silent(tmp_path, n_pixels, n_sets, at):
    """However few sets there are: 5 % is over 8 errors of a single pixel's difference."""
    changes = np.ones((n_sets, n_pixels))
    changes[at:] *= 0.95
    history = analysed(write_sets(tmp_path, changes))
    alarms = find_alarms(history, LIMITS)
    assert alarms and alarms[0].kind.startswith("camera" if n_pixels > 3 else "pixel")
    single = 100 * 0.004 * np.sqrt(2 / n_pixels)
    moved = history.change("pixels")[0][:, -1]
    assert moved.mean() == pytest.approx(-5.0, abs=5 * single)
    if n_pixels > 3:  # one line for the camera, none for its pixels
        assert not [alarm for alarm in alarms if alarm.kind.startswith("pixel")]


def test_a_single_pixel_has_a_history(tmp_path):
    changes = np.ones((4, 1))
    changes[2:] = 0.9
    alarms = find_alarms(analysed(write_sets(tmp_path, changes)), LIMITS)
    assert [alarm.kind for alarm in alarms][-1] == "pixel" and "−10" in alarms[-1].text


def test_doubtful_fits_do_not_count(tmp_path):
    """A poor set is no alarm: its gains are 20 % off, and every pixel says that it is in doubt."""
    pixel = np.arange(64)
    written = [
        write_set(tmp_path / f"{t}" / "spe.fits", pixel, true_gains(64) * (1.2 if t == 1 else 1.0),
                  30.0 * t, 5, status=int(ChargeStatus.UNRESOLVED) if t == 1 else 0)
        for t in range(4)
    ]  # fmt: skip
    history = analysed(written)
    assert not history.used[:, 1].any() and history.used[:, 0].all()
    assert find_alarms(history, LIMITS) == []
    assert np.isfinite(history.best()[0]).all()  # interpolated


# --- files ----------------------------------------------------------------------------------------


def test_sets_are_read_by_date_with_their_names_and_columns(paths):
    epochs = read_epochs(paths[::-1])
    assert epochs.names[0] == "2026-01-10" and (np.diff(epochs.middle) > 0).all()
    assert epochs.lab["temperature"].tolist() == [20.0 + t for t in range(N_SETS)]
    rows = read_columns(paths[2], "SPE")
    assert np.array_equal(epochs.values["PE"][:, 2], np.asarray(rows["PE"]))
    assert name_of_set("results/sstcam/spe/spe.fits") == "results"
    assert name_of_set("lab/march/spe.fits") == "march"


def test_what_is_no_history_is_refused_in_one_line(tmp_path, paths):
    pixel, gain = np.arange(4), true_gains(4)
    undated = write_set(tmp_path / "a" / "spe.fits", pixel, gain, 0, 1, date=False)
    other = write_set(tmp_path / "b" / "spe.fits", pixel, gain, 500, 1, window=20)
    table = fits.BinTableHDU.from_columns([fits.Column("DETNUM", "J", array=[1])], name="RELATION")
    table.writeto(tmp_path / "relation.fits")
    for given, said in (
        ([*paths, undated], "does not say when its runs were taken; write a column date"),
        ([*paths, paths[0]], "are of the same time"),
        ([*paths, other], r"different windows \(16, 20\)"),
        ([*paths, tmp_path / "relation.fits"], "is a relation of channels to energies"),
        ([*paths, tmp_path / "none.fits"], "no such file"),
        ([], "has no set of runs"),
    ):
        with pytest.raises(InputError, match=said) as error:
            read_epochs(given)
        assert "\n" not in str(error.value)


def test_gains_are_refused_by_the_history_of_energies(paths):
    with pytest.raises(InputError, match="has gains of the SSTCAM; name relation.fits") as error:
        energy_epochs.read_epochs(paths, ECLAIRS)
    assert "\n" not in str(error.value)


def test_dates_of_a_table():
    for text in ("2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01 01:00:00+01:00"):
        assert mjd_of(text) == 61100.0  # Julian date 2461100.5
    assert utc_of_mjd(61100.25) == "2026-03-01T06:00:00"
    with pytest.raises(ValueError):
        mjd_of("March")


# --- products -------------------------------------------------------------------------------------


def test_the_script_writes_table_alarms_and_page(tmp_path, paths, history):
    made = {"history": tmp_path / "history.fits", "alarms": tmp_path / "alarms.txt"}
    made["page"] = tmp_path / "history.html"
    settings = {
        "false_alarms": FALSE_ALARMS,
        "alarms": {f"{kind}_percent": limit for kind, limit in LIMITS.items()},
    }
    given = {"sets": [str(path) for path in paths], "pixel_map": MAP}
    run_script("make_sstcam_history", tmp_path, given, made, {"history": settings, "date": None})
    rows = read_columns(made["history"], "HISTORY")
    assert len(rows) == N_PIXELS * N_SETS
    best = np.asarray(rows["BEST_PE"]).reshape(N_PIXELS, N_SETS)
    assert np.array_equal(best, history.best()[0])
    sets = read_columns(made["history"], "EPOCHS")
    assert np.asarray(sets["LAB1"]).tolist() == [20.0 + t for t in range(N_SETS)]
    assert rows.meta["LABNAM1"] == "temperature" and rows["PE"].unit == "adu"
    assert made["alarms"].read_text("utf-8") == write_lines(find_alarms(history, LIMITS))
    words, data = words_of(made["page"]), page_data(made["page"])
    assert "pixel 40: gain" in words and {"2026-01-10", "temperature"} <= set(
        read_cells(made["page"]).cells
    )
    assert np.array_equal(unpack(data["pixels"]["best_pe"]), history.best()[0].ravel().astype("f4"))
    assert made["page"].stat().st_size < 1e6
