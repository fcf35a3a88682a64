"""Night sky level by level: pedestal and gain of each run, against what was put in."""

import logging

import numpy as np
import pytest
from helpers.digicamtoy import GAIN, OPCT, digicamtoy
from helpers.flashes import TRUTH, draw_charges, draw_photoelectrons, spe_table

from pixelcal.charge.resolution.levels import grouped_levels, levels_summary
from pixelcal.charge.resolution.measure import ScanCharges, Settings, measure_scan
from pixelcal.charge.resolution.scan import ScanRun, scan_runs
from pixelcal.charge.resolution.transfer import mean_pedestal, pedestal_of_fits
from pixelcal.charge.simulation.charges import Sipm
from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe.noise.late_charges import DECAY

SPE = Settings("spe", "lab", 1.0, (0.125, 1.25))
N_PIXELS, N_FLASHES = 40, 1500
LEVELS = {0.0: (1.0, 0.0), 0.125: (0.9, 2.0), 0.66: (0.64, 10.0)}
"""Background (p.e. per ns): the gain, relative, and the mean background in the window (p.e.)."""
LIGHTS = (0.0, 2.0, 20.0, 100.0)


def night_scan(levels=LEVELS, lights=LIGHTS, **columns):
    """Runs at several levels of background, drawn photon by photon, and their charges."""
    runs, files = [], {}
    none = np.zeros(N_PIXELS, bool)
    for nsb, (gain, background) in levels.items():
        for light in lights:
            random = np.random.default_rng([int(1e3 * nsb), int(light)])
            photoelectrons = draw_photoelectrons(random, np.full(N_PIXELS, light), N_FLASHES)
            sky = draw_photoelectrons(random, np.full(N_PIXELS, background), N_FLASHES)
            truth = TRUTH | {"pe": TRUTH["pe"] * gain, "sigma_pe": TRUTH["sigma_pe"] * gain}
            charges = draw_charges(random, photoelectrons + sky, truth)
            name = f"nsb{nsb:g}_{light:g}"
            files[name] = ScanCharges(charges, 1.0, none, none, photoelectrons)
            runs.append({"name": name, "n_ph": light, "nsb": nsb} | columns.get(name, {}))
    return scan_runs(runs), files


def rows_by_name(camera):
    return {row["RUN"]: row for row in camera}


@pytest.fixture(scope="module")
def measured():
    runs, files = night_scan()
    spe = spe_table(TRUTH, N_PIXELS)
    return runs, measure_scan(runs, files.__getitem__, spe, SPE), spe


def test_each_level_has_the_gain_and_pedestal_that_were_put_in(measured):
    runs, found, _ = measured
    rows = rows_by_name(found.camera)
    for run in runs:
        row, (gain, _) = rows[run.name], LEVELS[run.nsb]
        assert row["PEDESTAL"] == f"nsb{run.nsb:g}_0"
        assert row["GAIN_FROM"] == ("lowest level" if run.nsb == 0 else "other runs")
        if run.n_ph:
            assert abs(row["GAIN"] - gain) <= 4 * row["GAIN_ERR"]
            assert row["GAIN_ERR"] < 0.01
            # The pedestal is as uncertain as a dark run of as many flashes is.
            sky = np.sqrt(LEVELS[run.nsb][1] / (1 - TRUTH["opct"]) / (N_PIXELS * N_FLASHES))
            error = np.hypot(row["BIAS_ERR"], row["GAIN_ERR"] / gain) + 2 * sky / run.n_ph
            assert abs(row["BIAS"]) < 4 * error
            assert abs(row["BIAS"]) < 0.03 or run.n_ph < 10


def test_without_its_level_a_run_is_far_off(measured):
    """What is avoided: the pedestal and the gain of the fits for a run at 0.66 p.e. per ns."""
    runs, files = night_scan({0.66: LEVELS[0.66]}, (100.0,))
    row = measure_scan(runs, files.__getitem__, spe_table(TRUTH, N_PIXELS), SPE).camera[0]
    # 100 (0.64 - 1) + 10 * 0.64, of 100 p.e.
    assert row["BIAS"] == pytest.approx(-0.296, abs=0.01)
    assert row["PEDESTAL"] == "SPE fits" and row["GAIN"] == 1.0


def test_the_summary_says_what_each_level_has(measured):
    _, found, _ = measured
    levels = found.summary["levels"]
    assert [level["nsb_per_ns"] for level in levels] == list(LEVELS)
    for level, (gain, background) in zip(levels, LEVELS.values(), strict=True):
        assert level["pedestal_from"] == f"nsb{level['nsb_per_ns']:g}_0"
        # The shift is in p.e. of the fits, as are the background and its gain.
        assert level["pedestal_shift_pe"] == pytest.approx(background * gain, abs=0.1)
    assert found.summary["pedestal"]["run"] == "nsb0_2"


def test_a_verdict_for_each_measured_level(measured):
    _, found, _ = measured
    judged = {v["nsb_per_ns"]: v["n_judged"] for v in found.summary["verdicts"]}
    assert judged == {0.125: 3, 1.25: 0, 0.0: 3, 0.66: 3}


def test_the_table_decides_where_it_has_a_number():
    column = {"nsb0.125_20": {"relative_gain": 0.8}}
    runs, files = night_scan({0.0: LEVELS[0.0], 0.125: LEVELS[0.125]}, **column)
    camera = measure_scan(runs, files.__getitem__, spe_table(TRUTH, N_PIXELS), SPE).camera
    row = rows_by_name(camera)["nsb0.125_20"]
    assert (row["GAIN"], row["GAIN_ERR"], row["GAIN_FROM"]) == (0.8, 0.0, "table")
    assert row["BIAS"] == pytest.approx(0.9 / 0.8 - 1, abs=0.01)


def test_no_run_has_a_say_in_its_gain():
    """The charges of one run are doubled: its bias says so, and its gain does not follow."""
    runs, files = night_scan({0.0: LEVELS[0.0], 0.125: LEVELS[0.125]})
    wrong = files["nsb0.125_20"]
    dark = files["nsb0.125_0"].charge.mean()
    doubled = np.rint(dark + 2 * (wrong.charge - dark)).astype(np.int32)
    files["nsb0.125_20"] = wrong._replace(charge=doubled)
    camera = measure_scan(runs, files.__getitem__, spe_table(TRUTH, N_PIXELS), SPE).camera
    row = rows_by_name(camera)["nsb0.125_20"]
    assert row["GAIN"] == pytest.approx(0.9, abs=0.01) and row["BIAS"] == pytest.approx(1, abs=0.05)


def test_a_gain_that_cannot_be_known_is_said(caplog):
    runs, files = night_scan({0.0: LEVELS[0.0]}, (0.0, 2.0))
    more, others = night_scan({0.66: LEVELS[0.66]}, (0.0, 100.0))
    with caplog.at_level(logging.WARNING, "pixelcal"):
        found = measure_scan(
            sorted([*runs, *more], key=lambda run: run.photons),
            (files | others).__getitem__, spe_table(TRUTH, N_PIXELS), SPE,
        )  # fmt: skip
    row = rows_by_name(found.camera)["nsb0.66_100"]
    assert row["GAIN_FROM"] == "not known" and row["GAIN"] == 1 and np.isnan(row["GAIN_ERR"])
    assert "give relative_gain in table.csv" in caplog.text


def test_one_level_without_a_dark_run_is_as_the_fits_say():
    """Nothing is loaded more than once, and gain and pedestal are those of the fits."""
    runs, files = night_scan({0.125: (1.0, 0.0)}, (2.0, 20.0))
    loaded = []

    def load(name):
        loaded.append(name)
        return files[name]

    found = measure_scan(runs, load, spe_table(TRUTH, N_PIXELS), SPE)
    assert sorted(loaded) == sorted(files)
    assert np.all(found.camera["GAIN"] == 1) and np.all(found.camera["PEDESTAL"] == "SPE fits")


def test_levels_by_their_background():
    runs = [ScanRun(f"{i}", 1.0, np.nan, nsb, np.nan) for i, nsb in enumerate((0.66, 0, 0.003, 0))]
    runs += [ScanRun("m", 1.0, np.nan, 0.5, 0.64), ScanRun("unknown", 1.0, *[np.nan] * 3)]
    names = [[run.name for run in group] for group in grouped_levels(runs)]
    assert names == [["1", "3"], ["2"], ["0", "m"], ["unknown"]]
    assert levels_summary([], {}) == []


# --- the pedestal of the fits ---------------------------------------------------------------------


def test_dark_counts_belong_to_the_pedestal():
    """The mean charge of dark counts drawn one by one, against what DARK of a fit adds."""
    rng, n = np.random.default_rng(3), 200_000
    trouble, decay = late_avalanches(dark=0.3, decay=0.25), 0.25
    pixel = Sipm(pe=30.0, sigma_ped=3.0, sigma_pe=3.0, opct=0.15, light=(0.0,), flashes=n)
    charge = trouble(rng, rng.normal(0.0, 3.0, n), np.zeros(n, int), pixel)
    spe = spe_table({"pe": 30.0, "opct": 0.15, "pedestal": 0.0}, 2)
    spe["DARK"][0] = 0.3
    spe["NOISE"][0, DECAY] = decay
    found = pedestal_of_fits(spe)
    assert abs(charge.mean() - found[0]) < 4 * charge.std() / np.sqrt(n)
    assert found[1] == mean_pedestal(np.asarray(spe["EPED"]), np.asarray(spe["EPED_ERR"]))[1]


# --- another group's simulator --------------------------------------------------------------------


def test_digicamtoy_at_125_mhz():
    """At 100 photoelectrons the bias is below 3 %; with the pedestal and gain of NSB 0 it is 3.1
    p.e. up and 10 % down."""
    runs, files = [], {}
    none = np.zeros(1, bool)
    for nsb in (0, 125):
        for pe in (0, 1, 10, 100):
            name = f"nsb{nsb}_{pe}"
            runs.append({"name": name, "n_ph": pe, "nsb": 1e-3 * nsb})
            files[name] = ScanCharges(digicamtoy(nsb, pe)[0], 1.0, none, none, None)
    spe = spe_table({"pe": GAIN, "opct": OPCT, "pedestal": 1680.0}, 1)
    found = measure_scan(scan_runs(runs), files.__getitem__, spe, SPE)
    row = rows_by_name(found.camera)["nsb125_100"]
    assert abs(row["BIAS"]) < 0.03
    assert abs(row["GAIN"] - 0.904) < 3 * row["GAIN_ERR"]
    assert found.summary["levels"][1]["pedestal_shift_pe"] == pytest.approx(3.1, abs=0.1)
