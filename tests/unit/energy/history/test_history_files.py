"""Reading relations of many epochs, history.fits, alarms, and the files that are published."""

import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from helpers.histories import (
    SETTINGS_OF_HISTORY,
    relation_tables,
    simulate_history,
    write_history,
    write_relations,
)
from helpers.instruments import ECLAIRS
from helpers.synthetic import GAIN, OFFSET

from pixelcal.energy.history.alarms import KINDS
from pixelcal.energy.history.epochs import read_epochs, utc
from pixelcal.energy.relation import energy_error, energy_sigma
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns

N_PIXELS, N_EPOCHS = 640, 12
PIXEL_JUMP, MODULE_JUMP, CAMERA_JUMP = (100, 4, 1.0), (3, 6, 0.3), (0, 9, 0.4)
BEST = ("BEST_GAIN", "BEST_OFFSET", "BEST_GAIN_ERR", "BEST_OFFSET_ERR", "BEST_COV")


@pytest.fixture(scope="module")
def simulated():
    return simulate_history(
        N_PIXELS,
        N_EPOCHS,
        seed=21,
        pixel_jumps=[PIXEL_JUMP],
        module_jumps=[MODULE_JUMP],
        camera_jumps=[CAMERA_JUMP],
    )


@pytest.fixture(scope="module")
def made(simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    return write_history(folder, write_relations(folder / "relations", simulated))


@pytest.fixture
def small():
    return simulate_history(64, 4, seed=22, missing=0.0)


# --- the product ----------------------------------------------------------------------------------


def test_a_row_for_each_pixel_and_epoch_with_the_relation_that_is_true(simulated, made):
    rows = read_columns(made["history"], "HISTORY")
    shape = (N_PIXELS, N_EPOCHS)
    assert np.array_equal(rows["DETNUM"].reshape(shape)[:, 0], np.arange(N_PIXELS))
    assert np.array_equal(rows["EPOCH"].reshape(shape)[0], np.arange(N_EPOCHS))
    (gain, _), _, (true_gain, true_offset) = relation_tables(simulated)
    assert np.allclose(rows["GAIN"].reshape(shape), gain, rtol=1e-6, equal_nan=True)
    best = [np.asarray(rows[name], float).reshape(shape) for name in BEST]
    for energy in (4, 15, 50, 80, 150):
        error = energy_error(energy, *best[:2], true_gain, true_offset)
        pull = error / energy_sigma(energy, *best)
        assert 0.85 < np.std(pull) < 1.15  # the camera and 20 modules are common to 640 pixels
        assert np.allclose(
            rows[f"SIGMA_{energy}"].reshape(shape), energy_sigma(energy, *best), rtol=0.02
        )
        assert (rows[f"SYS_{energy}"] == np.float32(0.02)).all()


def test_jumps_are_marked_with_what_jumped(simulated, made):
    rows = read_columns(made["history"], "HISTORY")
    jump = np.asarray(rows["JUMP"]).reshape(N_PIXELS, N_EPOCHS)
    assert np.argwhere(jump & 1).tolist() == [[PIXEL_JUMP[0], PIXEL_JUMP[1]]]
    of_module = simulated.module == MODULE_JUMP[0]
    assert np.array_equal((jump & 2)[:, MODULE_JUMP[1]] > 0, of_module)
    assert ((jump & 4)[:, CAMERA_JUMP[1]] > 0).all() and ((jump & 4) > 0).sum() == N_PIXELS
    camera = read_columns(made["history"], "CAMERA")
    assert np.flatnonzero(camera["JUMP"]).tolist() == [CAMERA_JUMP[1]]


def test_camera_and_modules_move_as_they_did(simulated, made):
    camera = read_columns(made["history"], "CAMERA")
    true = simulated.camera[:, 1] - simulated.camera[0, 1]
    error = np.asarray(camera["MEAN_80"]) - 80 - true
    assert np.abs(error).max() < 5 * np.max(camera["SIGMA_80"]) + 0.005  # 640 pixels walk too
    assert np.asarray(camera["SYS_80"]) == pytest.approx(0.02)
    modules = read_columns(made["history"], "MODULES")
    moved = modules[modules["MODULE"] == MODULE_JUMP[0]]
    step = moved["CHANGE_80"][-1] - moved["CHANGE_80"][0]
    assert step == pytest.approx(MODULE_JUMP[2], abs=5 * float(moved["SIGMA_80"][-1]))


def test_the_same_bytes(simulated, made, tmp_path):
    paths = write_relations(tmp_path / "relations", simulated)
    again = write_history(tmp_path, paths[::-1])
    assert again["history"].read_bytes() == made["history"].read_bytes()
    assert again["alarms"].read_bytes() == made["alarms"].read_bytes()


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="no fitsverify command on PATH")
def test_fitsverify_finds_nothing(made):
    files = [made["history"], *sorted(made["published"].glob("*.fits"))]
    said = subprocess.run(["fitsverify", "-q", *files], capture_output=True, text=True, check=False)
    lines = said.stdout.strip().splitlines()
    assert len(lines) == len(files) and all(line.startswith("verification OK") for line in lines)


# --- what is published ----------------------------------------------------------------------------


def published(made):
    return [fits.open(path) for path in sorted(made["published"].glob("AUX-ECL-PIX-CAL-*.fits"))]


def test_files_are_in_force_one_after_the_other(simulated, made):
    files = published(made)
    epochs = read_columns(made["history"], "EPOCHS")
    starts = epochs["TSTART"][np.asarray(epochs["PUBLISH"])].tolist()
    assert 3 <= len(files) < N_EPOCHS  # three changes at least, and quiet epochs without a file
    assert [file[1].header["TSTART"] for file in files] == starts
    assert [file[1].header.get("TSTOP") for file in files] == [*starts[1:], None]
    for file, path in zip(files, sorted(made["published"].glob("*.fits")), strict=True):
        date = utc(file[1].header["TSTART"])[:10]
        assert path.stem == f"AUX-ECL-PIX-CAL-{date.replace('-', '')}"
        assert file[1].header["CVSD0001"] == date
        assert len(file[1].data) == 6400 and np.isfinite(file[1].data["GAIN"]).all()
        assert np.array_equal(np.flatnonzero(file[2].data["UPDATED"]), np.arange(N_PIXELS))
        assert np.allclose(file[1].data["GAIN"][N_PIXELS:], GAIN)
        assert np.allclose(file[1].data["OFFSET"][N_PIXELS:], OFFSET)


def test_a_file_is_the_best_relation_of_its_epoch_and_never_far_off_in_force(simulated, made):
    rows = read_columns(made["history"], "HISTORY")
    epochs = read_columns(made["history"], "EPOCHS")
    best = [np.asarray(rows[name], float).reshape(N_PIXELS, N_EPOCHS) for name in BEST]
    chosen = np.flatnonzero(epochs["PUBLISH"])
    for epoch, file in zip(chosen, published(made), strict=True):
        assert np.allclose(file[1].data["GAIN"][:N_PIXELS], best[0][:, epoch], rtol=1e-6)
    for epoch in range(N_EPOCHS):
        file = int(epochs["IN_FORCE"][epoch])
        change = energy_error(
            80, best[0][:, file], best[1][:, file], best[0][:, epoch], best[1][:, epoch]
        )
        sigma = energy_sigma(80, *(values[:, epoch] for values in best))
        assert (np.abs(change) < np.maximum(0.15, 3 * sigma) + 1e-4).all()


def test_nothing_changes_and_one_file_stays(tmp_path):
    quiet = simulate_history(64, 6, seed=23, sigma_80_keV=0.05)
    y = quiet.y - quiet.truth
    folder = write_relations(tmp_path / "relations", quiet._replace(y=y, truth=0 * quiet.truth))
    made = write_history(tmp_path, folder)
    assert len(published(made)) == 1
    assert made["alarms"].read_text("utf-8").startswith("no alarm\n")


def test_two_files_of_a_day_have_two_names(small, tmp_path):
    def hours(number, rows, header):
        header["TSTART"] = 1e8 + 3600 * number
        header["TSTOP"] = header["TSTART"] + 3000
        rows["OFFSET"] += number

    made = write_history(tmp_path, write_relations(tmp_path / "relations", small, hours))
    names = sorted(path.stem for path in made["published"].glob("*.fits"))
    date = utc(1e8)[:10].replace("-", "")
    assert names == [f"AUX-ECL-PIX-CAL-{date}"] + [
        f"AUX-ECL-PIX-CAL-{date}-{n:02d}" for n in (2, 3, 4)
    ]


# --- alarms ---------------------------------------------------------------------------------------


def test_alarms_are_one_line_each_the_most_serious_first(made):
    lines = made["alarms"].read_text("utf-8").splitlines()
    kinds = [line[12:24].strip() for line in lines]
    assert kinds == sorted(kinds, key=KINDS.index) and kinds[-1] == "file"
    lines = [line for line in lines if " jump " in line]
    assert len(lines) == 3
    epochs = read_columns(made["history"], "EPOCHS")
    for line, (number, epoch, size), who in zip(
        lines, (CAMERA_JUMP, MODULE_JUMP, PIXEL_JUMP), ("", "module 3", "pixel 100"), strict=True
    ):
        assert line.startswith(str(epochs["DATE_OBS"][epoch])[:10]) and who in line
        found = float(line.split("+")[1].split("±")[0])
        assert found == pytest.approx(size, abs=0.2), number


def test_a_relation_that_is_no_longer_good_enough_is_told(simulated, tmp_path):
    """The nominal relation, in force before: after the jump of the camera it misses nothing at
    80 keV by 0.4 keV in all pixels."""
    from astropy.table import Table

    from pixelcal.io.tables import write_ecsv

    prior = tmp_path / "before.ecsv"
    n = ECLAIRS.n_pixels
    write_ecsv(
        prior,
        Table({"DETNUM": np.arange(n), "GAIN": np.full(n, GAIN), "OFFSET": np.full(n, OFFSET)}),
    )
    paths = write_relations(tmp_path / "relations", simulated)
    made = write_history(tmp_path, paths, prior=prior)
    first = made["alarms"].read_text("utf-8").splitlines()[0]
    assert "a new relation is needed: with before.ecsv" in first
    missed = int(first.split("before.ecsv, ")[1].split(" of ")[0])
    off = np.abs(simulated.truth[:, -1, 1])
    assert missed == pytest.approx((off > 0.3).sum(), abs=0.1 * N_PIXELS)


def test_a_slow_drift_of_the_camera_beyond_its_limit_is_told(tmp_path):
    history = simulate_history(640, 8, seed=24)
    drift = 0.02 * np.arange(8)[None, :, None] * np.array([15.0, 80.0]) / 80
    history = history._replace(y=history.y + drift)
    settings = SETTINGS_OF_HISTORY | {"publication": {"requirement_fraction": 3.0, "pixels": 1}}
    made = write_history(tmp_path, write_relations(tmp_path / "r", history), settings)
    lines = made["alarms"].read_text("utf-8").splitlines()
    assert any(" camera  " in line and "more than 0.05 keV" in line for line in lines)


# --- what is read ---------------------------------------------------------------------------------


def test_epochs_are_sorted_by_time(small, tmp_path):
    paths = write_relations(tmp_path, small)
    epochs = read_epochs(paths[::-1], ECLAIRS)
    assert epochs.names == ("week00", "week01", "week02", "week03")
    assert epochs.days.tolist() == [0, 7, 7, 7]


def test_first_seconds_of_an_exposure_are_left_out_and_told(small, tmp_path, caplog):
    lengths = (3000, 5000, 10000, 4000)

    def nested(number, rows, header):
        header["TSTART"] = 1e8 + (20000 if number == 3 else 0)
        header["TSTOP"] = header["TSTART"] + lengths[number]

    epochs = read_epochs(write_relations(tmp_path, small, nested), ECLAIRS)
    assert epochs.names == ("week02", "week03")
    assert "week00" in caplog.text and "week01" in caplog.text and "apart" in caplog.text


def test_the_whole_mission_does_not_swallow_its_weeks(small, tmp_path, caplog):
    def whole(number, rows, header):
        if number == 0:
            header["EXPNAME"], header["TSTOP"] = "all", header["TSTART"] + 30 * 86400.0

    epochs = read_epochs(write_relations(tmp_path, small, whole), ECLAIRS)
    assert epochs.names == ("week01", "week02", "week03") and "all" in caplog.text


def spoil(**values):
    def change(number, rows, header):
        if number == 1:
            header.update(values)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil(TSTOP=None), "does not say when its data were taken"),
        (spoil(TSTART=0.0, TSTOP=0.0), "TSTOP is not after TSTART"),
        (spoil(INSTRUME="MXT"), "is of another camera"),
        (spoil(LINESHA="1" * 64, LINETAB="mine.csv"), "different line tables"),
        (spoil(TSTART=241920000.0, TSTOP=241920000.0 + 6 * 86400.0), "are of the same time"),
        (spoil(TSTART=241920000.0 + 86400.0), "overlap in time"),
    ],
)
def test_what_is_no_history_is_refused_in_one_line(small, tmp_path, change, words):
    paths = write_relations(tmp_path, small, change)
    with pytest.raises(InputError, match=words) as error:
        read_epochs(paths, ECLAIRS)
    assert "\n" not in str(error.value)


def test_a_pixel_that_an_epoch_lacks_is_masked_there(small, tmp_path):
    paths = write_relations(tmp_path / "a", small)
    fewer = small._replace(
        **{name: getattr(small, name)[:60] for name in ("y", "r", "used", "module", "truth")}
    )
    paths[2] = write_relations(tmp_path / "b", fewer)[2]
    epochs = read_epochs(paths, ECLAIRS)
    assert (epochs.status[60:, 2] == 1).all() and np.isnan(epochs.gain[60:, 2]).all()
    assert np.isfinite(epochs.gain[:60]).all()


def test_doubtful_fits_do_not_pull(small, tmp_path):
    def doubt(bit):
        def change(number, rows, header):
            if number == 2:
                rows["STATUS"][7] = bit
                rows["OFFSET"][7] += 5.0 if bit else 0.0

        return change

    best = {}
    for bit in (0, 32, 128):
        folder = tmp_path / str(bit)
        made = write_history(folder, write_relations(folder / "r", small, doubt(bit)))
        rows = read_columns(made["history"], "HISTORY")
        best[bit] = np.asarray(rows["BEST_OFFSET"]).reshape(64, 4)
        assert bool(np.asarray(rows["USED"]).reshape(64, 4)[7, 2]) == (bit == 0)
    for bit in (32, 128):
        assert np.abs(best[bit] - best[0]).max() < 0.3


def test_a_bent_relation_counts_as_the_nearest_straight_one(small, tmp_path):
    """The energies in the middle of the lines rise by what the curve adds there, less a third."""
    paths = write_relations(tmp_path, small)
    straight = read_epochs(paths, ECLAIRS)
    for path in paths:
        with fits.open(path) as hdus:
            columns = hdus["RELATION"].columns
            for name, value in (("CURVE_MID", 0.3), ("CURVE_LOW", 0.0)):
                values = np.full(len(hdus["RELATION"].data), value)
                columns += fits.ColDefs([fits.Column(name, "D", unit="keV", array=values)])
            header = hdus["RELATION"].header
            made = fits.BinTableHDU.from_columns(columns, header=header, name="RELATION")
            made.header["CURVE_E1"], made.header["CURVE_E2"] = 8.0, 87.0
            made.writeto(path, overwrite=True, checksum=True)
    bent = read_epochs(paths, ECLAIRS)
    at = (47.5 - straight.offset) / straight.gain
    rise = bent.gain * at + bent.offset - 47.5
    assert np.nanmax(np.abs(rise - 0.2)) < 0.005
