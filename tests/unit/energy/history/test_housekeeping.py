"""The response to a temperature, against generalised least squares and against the truth."""

import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from helpers.histories import (
    SETTINGS_OF_HISTORY,
    matrices,
    simulate_history,
    write_history,
    write_relations,
)

from pixelcal.energy.history.assembly import regressor_of
from pixelcal.energy.history.housekeeping import (
    of_epochs,
    read_housekeeping,
    regress,
    respond,
)
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns
from pixelcal.numerics.motion.drift import analyse

RESPONSE = np.array([-0.010, -0.030])
"""keV/K at the two energies that drift, of the camera."""


def temperatures(n_epochs, seed=1):
    return np.sin(np.arange(n_epochs)) + 0.3 * np.random.default_rng(seed).standard_normal(n_epochs)


def warm(history, pixel=None, more=0.0):
    """The history of a camera that follows the temperature, one pixel more than the others."""
    degrees = temperatures(len(history.days))
    y = history.y + degrees[None, :, None] * RESPONSE
    if pixel is not None:
        y[pixel] += more * degrees[:, None] * RESPONSE
    return history._replace(y=y), degrees


def test_the_coefficient_is_that_of_generalised_least_squares():
    random = np.random.default_rng(5)
    n_epochs, walk = 12, np.array([[2e-4, 1e-4, 5e-4]])
    days = random.uniform(1, 9, n_epochs)
    part = random.standard_normal((n_epochs, 2, 3))
    r = 0.01 * np.einsum("tik,tjk->tij", part, part)[:, [0, 0, 1], [0, 1, 1]][None]
    y = 0.1 * random.standard_normal((1, n_epochs, 2))
    h = random.standard_normal(n_epochs)
    used = np.ones((1, n_epochs), bool)
    used[0, 4] = False
    found, covariance = regress(y, r, days, walk, np.zeros_like(used), used, h)
    elapsed = np.cumsum(days) - days[0]
    whole = np.kron(np.minimum.outer(elapsed, elapsed), matrices(walk[0]))
    for t in range(n_epochs):
        whole[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] += matrices(r[0, t])
    seen = np.repeat(used[0], 2)
    weight = np.linalg.inv(whole[np.ix_(seen, seen)])
    # The level at the start is free: two columns more.
    design = np.hstack([np.kron(h[:, None], np.eye(2)), np.kron(np.ones((n_epochs, 1)), np.eye(2))])
    design = design[seen]
    inverse = np.linalg.inv(design.T @ weight @ design)
    expected = inverse @ design.T @ weight @ y[0].ravel()[seen]
    assert np.allclose(found[0], expected[:2])
    assert np.allclose(matrices(covariance[0]), inverse[:2, :2])


def test_camera_and_a_pixel_follow_the_temperature():
    pulls = []
    for seed in range(12):
        history, degrees = warm(simulate_history(320, 40, seed=50 + seed), pixel=33, more=3.0)
        drift = analyse(
            history.y, history.r, history.used, history.used, history.days, history.module, 0.1
        )
        found = respond(drift, history.days, degrees)
        camera = found["camera"]
        pulls += ((camera.value - RESPONSE) / camera.sigma).ravel().tolist()
        # 31 of the 32 parts of it, as the module has its part.
        pixel = found["pixels"]
        pull = (pixel.value[33] - 3 * RESPONSE) / pixel.sigma[33]
        assert np.abs(pull).max() < 4.5
        others = np.delete(pixel.value / pixel.sigma, 33, axis=0)
        assert 0.85 < others.std() < 1.15
    # 24 pulls, two by two alike.
    assert np.std(pulls) < 1.7 and np.abs(np.mean(pulls)) < 0.9


@pytest.mark.parametrize("form", ["csv", "ecsv", "fits"])
def test_a_table_of_any_form_is_read_and_told_in_the_product(form, tmp_path):
    history, degrees = warm(simulate_history(320, 20, seed=71))
    paths = write_relations(tmp_path / "relations", history)
    begin = datetime.datetime(2024, 9, 1)
    times = [begin + datetime.timedelta(days=7 * k + 3) for k in range(20)]
    table = Table({"WHEN": [time.isoformat() for time in times], "TEMP": degrees})
    if form == "fits":
        table["WHEN"] = [(time - datetime.datetime(2017, 1, 1)).total_seconds() for time in times]
    file = tmp_path / f"temperature.{form}"
    table.write(file, format={"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits"}[form])
    settings = SETTINGS_OF_HISTORY | {
        "housekeeping": {"file": str(file), "column": "TEMP", "time": "WHEN"}
    }
    made = write_history(tmp_path, paths, settings)
    rows = read_columns(made["history"], "HOUSEKEEPING")
    assert rows["LEVEL"][0].strip() == "CAMERA" and rows.meta["HKEPOCHS"] == 20
    value, sigma = rows["COEF_80"][0], rows["SIGMA_80"][0]
    assert abs(value - RESPONSE[1]) < 4 * sigma and sigma < 0.02
    assert (rows["LEVEL"] == "PIXEL").sum() == 320


def test_values_are_means_of_an_epoch_or_between_its_neighbours():
    seconds, values = np.array([0.0, 10, 20, 100]), np.array([1.0, 2, 3, 11])
    start, stop = np.array([5.0, 40, -50, 200]), np.array([25.0, 60, -40, 300])
    found = of_epochs(seconds, values, start, stop)
    assert found[:2] == pytest.approx([2.5, 6.0]) and np.isnan(found[2:]).all()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"TIME": ["2024-01-01"]}, "lacks the column"),
        ({"TIME": ["Monday"], "T": [1.0]}, "column TIME: date 'Monday' is not a date"),
        ({"TIME": ["2024-01-01"], "T": ["cold"]}, "column T does not hold numbers"),
    ],
)
def test_what_is_no_housekeeping_is_said(columns, words, tmp_path):
    path = tmp_path / "table.ecsv"
    Table(columns).write(path, format="ascii.ecsv")
    with pytest.raises(InputError, match=words):
        read_housekeeping(path, "T", "TIME")


def test_times_are_read_in_the_unit_of_their_column(tmp_path):
    table = Table({"TIME": [1.0, 2.0, 3.0], "T": [20.0, 21.0, 22.0]}, units={"TIME": "d"})
    table.write(tmp_path / "table.ecsv")
    seconds, _ = read_housekeeping(tmp_path / "table.ecsv", "T", "TIME")
    assert seconds == pytest.approx(86400.0 * np.arange(1, 4))
    table["TIME"].unit = "keV"
    table.write(tmp_path / "other.ecsv")
    with pytest.raises(InputError, match="not a unit of time"):
        read_housekeeping(tmp_path / "other.ecsv", "T", "TIME")


def test_rows_without_a_time_are_left_out(tmp_path):
    """An empty cell of whole numbers was a time of 0 or 1 s."""
    (tmp_path / "table.csv").write_text("TIME,T\n100,20\n,99\n300,22\n")
    seconds, values = read_housekeeping(tmp_path / "table.csv", "T", "TIME")
    assert seconds.tolist() == [100.0, 300.0] and values.tolist() == [20.0, 22.0]


def test_housekeeping_of_another_time_is_refused(tmp_path, caplog):
    (tmp_path / "table.csv").write_text("TIME,T\n60000,20\n60010,22\n")  # MJD, it seems
    settings = {"file": tmp_path / "table.csv", "column": "T", "time": "TIME"}
    epochs = SimpleNamespace(start_s=np.array([1e8, 2e8]), stop_s=np.array([1.1e8, 2.1e8]))
    with pytest.raises(InputError, match="no value at the time of any epoch; check the unit"):
        regressor_of(epochs, settings)
    epochs = SimpleNamespace(start_s=np.array([60001.0, 2e8]), stop_s=np.array([60009.0, 2.1e8]))
    _, found = regressor_of(epochs, settings)
    assert found[0] == 21.0 and np.isnan(found[1])
    assert "no value at the time of 1 of 2 epochs" in caplog.text


def test_a_constant_tells_nothing():
    history = simulate_history(320, 8, seed=81)
    drift = analyse(
        history.y, history.r, history.used, history.used, history.days, history.module, 0.1
    )
    found = respond(drift, history.days, np.full(8, 20.0))
    assert np.isnan(found["camera"].value).all() and np.isnan(found["pixels"].sigma).all()
