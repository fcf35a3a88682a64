"""Ready charges: missing values, steps, clipped flashes, the order of axes."""

import numpy as np
import pytest
from astropy.io import fits
from helpers.ready_files import run_ready, write_charges

from pixelcal.charge.extraction.ready import take_charges
from pixelcal.charge.runs.ready_charges import read_ready_charges
from pixelcal.errors import InputError

N_PIXELS, N_EVENTS = 8, 400


@pytest.fixture
def charges():
    """Charges (event, pixel) of no step."""
    return np.random.default_rng(5).normal(300, 20, (N_EVENTS, N_PIXELS)).astype(np.float32)


def taken(path, live=None, rows=None):
    """The charges of all pixels of a file."""
    ready = read_ready_charges(path)
    live = np.ones(len(ready.pixel), bool) if live is None else live
    return take_charges(ready, np.arange(len(ready.pixel)) if rows is None else rows, live, path)


def test_few_events_with_a_missing_charge_are_left_out(charges, tmp_path):
    charges[[3, 50], [1, 2]] = np.nan
    charges[50, 7] = np.inf
    found = taken(write_charges(tmp_path / "a.h5", charges))
    kept = np.delete(np.arange(N_EVENTS), [3, 50])
    assert found.charges.event_id.tolist() == kept.tolist()
    assert np.array_equal(found.charges.charges, charges[kept].T)
    assert found.charges.not_finite.tolist() == [0, 1, 1, 0, 0, 0, 0, 1]
    assert found.charges.bad["other"] == 2 and not found.missing.any()


def test_values_alone_are_left_out_where_events_would_be_many(charges, tmp_path):
    """One value in each tenth event, of another pixel each time."""
    events = np.arange(0, N_EVENTS, 10)
    charges[events, np.arange(len(events)) % N_PIXELS] = np.nan
    found = taken(write_charges(tmp_path / "a.h5", charges))
    assert found.charges.bad["other"] == 0
    assert np.array_equal(found.charges.charges, charges.T, equal_nan=True)
    assert found.missing.tolist() == [5] * N_PIXELS


def test_a_pixel_that_misses_many_costs_the_others_nothing(charges, tmp_path):
    charges[::2, 4] = np.nan
    charges[7, 5] = np.nan
    found = taken(write_charges(tmp_path / "a.h5", charges))
    assert found.charges.bad["other"] == 1
    assert found.missing.tolist() == [0, 0, 0, 0, N_EVENTS // 2, 0, 0, 0]
    assert np.isfinite(found.charges.charges[4]).sum() == N_EVENTS // 2 - 1


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    ("factor", "attributes", "step"),
    [(1.0, {}, 1.0), (0.3, {"step": 0.3}, 0.3), (1.37, {}, 0.0)],
)
def test_whole_numbers_of_steps(tmp_path, factor, attributes, step, missing):
    """Whole charges are so whatever their type, and those of a step that the file names."""
    whole = np.random.default_rng(6).integers(200, 400, (N_EVENTS, 3))
    values = whole * factor
    if missing:
        values[::2, 1] = np.nan
    found = taken(write_charges(tmp_path / "a.h5", values, attributes=attributes))
    assert found.step == step
    assert found.charges.charges.dtype == (np.int32 if step and not missing else np.float32)
    expected = np.where(np.isfinite(values), whole if step else values, np.nan).T
    assert np.allclose(found.charges.charges, expected, rtol=1e-6, equal_nan=True)


def test_charges_of_an_adc_in_another_unit_are_warned_of(tmp_path):
    values = np.random.default_rng(6).integers(200, 300, (N_EVENTS, 5)) * 0.37
    path = write_charges(tmp_path / "a.h5", values)
    said = run_ready(tmp_path, "charges", {"a": path}, range(5)).said
    assert "pixel 0 has few distinct charges" in said
    path = write_charges(tmp_path / "a.h5", values, attributes={"step": 0.37})
    assert "few different charges" not in run_ready(tmp_path, "charges", {"a": path}, range(5)).said


def test_spectra_hold_every_charge_that_is_there(tmp_path):
    """Also where whole charges are missing; those of other pixels are as without."""
    whole = np.random.default_rng(6).integers(200, 400, (N_EVENTS, 5)).astype(float)
    spoilt = whole.copy()
    spoilt[::2, 1] = np.nan
    rows = {}
    for name, values in (("whole", whole), ("spoilt", spoilt)):
        path = write_charges(tmp_path / f"{name}.h5", values)
        result = run_ready(tmp_path, "charges", {name: path}, range(5))
        assert not result.error, result.error
        rows[name] = fits.getdata(result.paths["spectra"], "SPECTRA")
    assert "200 charges are missing" in result.said and "pixel 1 misses" in result.said
    assert fits.getheader(result.paths["spoilt"], "CHARGES")["NMISSING"] == 200
    counts = rows["spoilt"]["COUNTS"].sum(axis=(1, 2))
    assert counts.tolist() == [N_EVENTS, N_EVENTS // 2, N_EVENTS, N_EVENTS, N_EVENTS]
    for i in (0, 2, 3, 4):
        assert rows["spoilt"]["START"][i] == rows["whole"]["START"][i]
        assert np.array_equal(rows["spoilt"]["COUNTS"][i], rows["whole"]["COUNTS"][i])


def test_the_axes_are_those_that_the_file_says(charges, tmp_path):
    first = write_charges(tmp_path / "a.h5", charges, true_pe=np.arange(charges.size).reshape(
        charges.shape), event_flags=(np.arange(N_EVENTS) % 9 == 0).astype(np.uint8))  # fmt: skip
    other = write_charges(
        tmp_path / "b.h5",
        charges.T,
        pixels=np.arange(N_PIXELS),
        attributes={"axes": "pixel,event"},
        true_pe=np.arange(charges.size).reshape(charges.shape).T,
        event_flags=(np.arange(N_EVENTS) % 9 == 0).astype(np.uint8),
    )
    a, b = (taken(path).charges for path in (first, other))
    assert np.array_equal(a.charges, b.charges) and np.array_equal(a.true_pe, b.true_pe)
    assert a.bad["stale"] == b.bad["stale"] == -(-N_EVENTS // 9)
    few = read_ready_charges(other, max_events=10)
    assert few.charges.shape == (N_PIXELS, 10) == few.true_pe.shape and len(few.flags) == 10


def test_flashes_at_an_end_of_the_adc_are_counted(tmp_path):
    values = np.random.default_rng(6).integers(200, 400, (N_EVENTS, 3))
    values[:7, 1], values[:2, 2] = 1023, 0
    path = write_charges(tmp_path / "a.h5", values, attributes={"adc_min": 0, "adc_max": 1023})
    assert taken(path).charges.clipped.tolist() == [0, 7, 2]
    assert taken(write_charges(tmp_path / "b.h5", values)).charges.clipped is None
    live = np.array([True, False, True])
    masked = taken(path, live)
    assert masked.charges.clipped.tolist() == [0, 0, 2] and not masked.charges.charges[1].any()


def test_a_pixel_that_does_not_work_has_no_charges(charges, tmp_path):
    failing = np.array([0, 0, 1, 0, 0, 0, 0, 0])
    found = taken(write_charges(tmp_path / "a.h5", charges, pixel_failing=failing))
    assert found.missing.tolist() == (failing * N_EVENTS).tolist()
    assert found.charges.bad["other"] == 0
    kept = failing == 0
    assert np.array_equal(found.charges.charges[kept], charges.T[kept])


def test_a_step_that_is_wrong_is_refused(charges, tmp_path):
    path = write_charges(tmp_path / "a.h5", charges, attributes={"step": 1.0})
    with pytest.raises(InputError, match="is not a multiple of 1"):
        taken(path)
