"""A whole scan: order of light, who calibrates, who judges, who is left out and why."""

import numpy as np
import pytest
from helpers.flashes import TRUTH, make_scan, spe_table, spread_truth

from pixelcal.charge.resolution.measure import Settings, measure_scan
from pixelcal.charge.resolution.requirement import State, requirement_formula
from pixelcal.charge.resolution.scan import Left, ScanRun, calibrating_runs, reason, scan_runs
from pixelcal.charge.simulation.expected_resolution import expected_resolution
from pixelcal.errors import InputError
from pixelcal.status import ChargeStatus

CHARGES = (0.5, 2.0, 8.0, 30.0, 120.0, 450.0, 900.0)
N_PIXELS, N_FLASHES = 70, 400
SPE = Settings("spe", "lab", 0.5, (0.125, 1.25))


@pytest.fixture(scope="module")
def scan():
    """Seven runs of 70 pixels that differ, and a table of SPE fits that found the truth."""
    truth = spread_truth(np.random.default_rng(1), N_PIXELS)
    runs, files = make_scan(CHARGES, N_PIXELS, N_FLASHES, truth, seed=3)
    return truth, runs, files, spe_table(truth, N_PIXELS)


def measure(scan, settings=SPE, spe=None, files=None, runs=None):
    _, own_runs, own_files, own_spe = scan
    spe = own_spe if spe is None else spe
    return measure_scan(runs or own_runs, (files or own_files).__getitem__, spe, settings)


# --- the runs -------------------------------------------------------------------------------------


def test_runs_come_in_order_of_light_not_of_name():
    runs = scan_runs(
        [
            {"name": "b", "n_ph": 100.0, "n_ph_meas": 80.0, "nsb": 0.1, "nsb_meas": 0.2},
            {"name": "a", "n_ph": 20.0, "n_ph_meas": 90.0, "nsb": 0.0, "nsb_meas": 0.0},
            {"name": "c", "n_ph": 5.0},
        ]
    )
    assert [run.name for run in runs] == ["c", "b", "a"]
    assert [run.photons for run in runs] == [5, 80, 90]
    assert [run.photons_are for run in runs] == ["n_ph", "n_ph_meas", "n_ph_meas"]
    assert np.isnan(runs[0].nsb) and runs[1].nsb_meas == 0.2


def test_a_scan_without_runs():
    with pytest.raises(InputError, match="has no run; add rows"):
        scan_runs([])


# --- who calibrates -------------------------------------------------------------------------------


def some_runs(n):
    return [ScanRun(f"{9 - k}", 1.0 + k, np.nan, 0.0, 0.0) for k in range(n)]


def test_every_second_run_in_order_of_light_calibrates_the_brightest_among_them():
    assert calibrating_runs(some_runs(5), "transfer", None) == {"9", "7", "5"}
    assert calibrating_runs(some_runs(6), "transfer", None) == {"8", "6", "4"}
    assert calibrating_runs(some_runs(6), "transfer", ["9", "4"]) == {"9", "4"}
    assert calibrating_runs(some_runs(6), "spe", None) == set()


@pytest.mark.parametrize(
    ("n", "conversion", "named", "said"),
    [
        (4, "spe", ["9"], "the conversion spe uses no run of the scan"),
        (4, "transfer", ["x"], "x is not a run of the scan"),
        (4, "transfer", ["9"], "needs two runs; the scan gives 1"),
        (2, "transfer", None, "needs two runs; the scan gives 1"),
        (3, "transfer", ["9", "8", "7"], "none is left to assess"),
    ],
)
def test_who_cannot_calibrate(n, conversion, named, said):
    with pytest.raises(InputError, match=said):
        calibrating_runs(some_runs(n), conversion, named)


# --- conversion spe -------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["lab", "simulation"])
def test_a_scan_against_its_truth(scan, convention):
    """70 x 400 charges know a resolution to 0.5 %: five of these are 2.5 %."""
    truth = scan[0]
    camera = measure(scan, SPE._replace(convention=convention)).camera
    assert (camera["USE"] == "judges").all() and (camera["REASON"] == "").all()
    assert camera["RUN"].tolist() == [run.name for run in scan[1]]
    for row, charge in zip(camera, CHARGES, strict=True):
        light = np.full(N_PIXELS, charge)
        expected = expected_resolution(charge, light, truth | {"step": 1.0}, convention)[0]
        assert row["RESOLUTION"] == pytest.approx(expected, rel=0.025)
        assert row["RESOLUTION"] == row["RESOLUTION_ANSWER"]
        assert abs(row["BIAS"]) < 4.5 * row["BIAS_ERR"]
        assert row["EXPECTED"] == pytest.approx(charge, rel=0.03)
        assert row["EXTRACTED"].sum() == N_PIXELS * N_FLASHES


def test_the_light_is_the_measured_one_and_the_pde_scales_it(scan):
    camera = measure(scan, SPE._replace(pde=0.25)).camera
    assert camera["EXPECTED"] == pytest.approx(np.array(CHARGES) / 2)
    assert camera["BIAS"] == pytest.approx(1.0, abs=0.15)
    runs = [run._replace(n_ph_meas=np.nan) for run in scan[1]]
    camera = measure(scan, runs=runs).camera
    assert set(camera["LIGHT"]) == {"n_ph"}
    assert camera["EXPECTED"] == pytest.approx(1.1 * np.array(CHARGES))


def test_pixels_that_are_not_good_are_left_out_and_counted(scan):
    spe = scan[3].copy()
    spe["STATUS"][:5] = ChargeStatus.NOT_CONVERGED
    spe["PE"][:5] = np.nan
    spe["STATUS"][5:8] = ChargeStatus.OUTLIER
    spe["PE"][5:8] *= 2
    measured = measure(scan, spe=spe)
    camera, pixels = measured.camera, measured.pixels
    assert (camera["N_PIXELS"] == 62).all() and (camera["N_PIXELS_ANSWER"] == 65).all()
    assert (camera["BIAS_ANSWER"] < camera["BIAS"]).all()
    first = pixels[pixels["RUN_ROW"] == 0]
    assert (first["LEFT_OUT"][:5] == Left.WITHOUT_FIT | Left.NOT_GOOD).all()
    assert (first["LEFT_OUT"][5:8] == Left.NOT_GOOD).all() and (first["LEFT_OUT"][8:] == 0).all()
    assert np.isnan(first["RESOLUTION"][:5]).all() and np.isfinite(first["RESOLUTION"][5:]).all()
    # Left out, they do not matter.
    good = measure(scan, spe=spe, files={n: charges for n, charges in scan[2].items()}).camera
    assert (good["RESOLUTION"] == camera["RESOLUTION"]).all()


def test_pixels_that_saturate_or_are_dead(scan):
    files = dict(scan[2])
    few, many = (np.arange(N_PIXELS) < n for n in (1, 10))
    bright, middle = scan[1][-1].name, scan[1][3].name
    files[bright] = files[bright]._replace(saturated=many)
    files[middle] = files[middle]._replace(saturated=few, dead=np.arange(N_PIXELS) == 20)
    measured = measure(scan, files=files)
    row = measured.camera[-1]
    assert row["REASON"] == "14 % of the good pixels saturate" and row["N_SATURATED"] == 10
    assert np.isnan(row["RESOLUTION"]) and measured.summary["verdicts"][0]["meets"][-1] is None
    row = measured.camera[3]
    assert row["REASON"] == "" and row["N_PIXELS"] == N_PIXELS - 2
    flags = measured.pixels[measured.pixels["RUN_ROW"] == 3]["LEFT_OUT"]
    assert flags[0] == Left.SATURATED and flags[20] == Left.DEAD


@pytest.mark.filterwarnings("error")
def test_a_dark_run_has_a_mean_and_no_resolution(scan):
    truth = scan[0]
    runs, files = make_scan((0.0, 5.0), N_PIXELS, 50, truth, seed=5)
    measured = measure(scan, runs=runs, files=files)
    dark = measured.camera[0]
    assert dark["REASON"] == "no light is expected" and np.isnan(dark["RESOLUTION"])
    assert dark["MEAN_PE"] == pytest.approx(0, abs=5 * 0.3 / np.sqrt(50 * N_PIXELS))
    assert measured.summary["pedestal"]["n_pixels"] == N_PIXELS


def test_a_pedestal_that_moved_shows_in_the_darkest_run(scan):
    spe = scan[3].copy()
    still = measure(scan).summary["pedestal"]
    spe["EPED"] -= 0.3 * np.asarray(spe["PE"])[:, None]
    spe["EPED"][:, 1] += 0.1 * spe["PE"]
    moved = measure(scan, spe=spe).summary["pedestal"]
    error = moved["error_pe"] / np.sqrt(N_PIXELS)
    assert abs(still["median_pe"]) < 6 * error
    gone = (0.3 - 0.1 / 3) * (1 - TRUTH["opct"])
    assert abs(moved["median_pe"] - gone) < 6 * error
    assert moved["spe_runs_differ_pe"] == pytest.approx(0.1)
    assert moved["run"] == scan[1][0].name


# --- conversion transfer --------------------------------------------------------------------------


def compressed(charge):
    """Electronics that give a quarter less at 900 p.e."""
    return 200 + (charge - 200) / (1 + charge / 90_000)


@pytest.mark.parametrize("scope", ["pixel", "camera"])
def test_a_transfer_function_mends_what_spe_cannot(scope):
    """Of a response that is not linear, from runs 3.5 times apart in light."""
    charges = np.geomspace(0.5, 900, 13)
    runs, files = make_scan(charges, 20, 400, TRUTH, seed=4, response=compressed)
    spe = spe_table(TRUTH, 20)
    straight = measure_scan(runs, files.__getitem__, spe, SPE).camera
    settings = SPE._replace(conversion="transfer", transfer=scope)
    measured = measure_scan(runs, files.__getitem__, spe, settings)
    camera = measured.camera
    judge = camera["USE"] == "judges"
    assert judge.tolist() == [False, True] * 6 + [False]
    assert (camera["REASON"][~judge] == "calibration run").all()
    assert np.isnan(camera["RESOLUTION"][~judge]).all()
    assert np.isfinite(camera["RESOLUTION"][judge]).all()
    assert straight["BIAS"][-2] < -0.15
    bright = judge & (charges > 5)
    assert np.abs(camera["BIAS"][bright]).max() < 0.0075
    assert measured.summary["pedestal"] is None
    assert len(measured.summary["calibrating_runs"]) == 7
    low, high = measured.summary["verdicts"]
    assert [meets is None for meets in low["meets"]] == [
        not (j and 1 <= c <= 1000) for j, c in zip(judge, charges, strict=True)
    ]
    assert high["n_judged"] == 0 and high["state"] == State.NOT_MEASURED.value


def test_the_runs_that_calibrate_do_not_judge_whatever_they_are(scan):
    """The verdict is the same when the charges of a calibrating run are judged absurdly bad."""
    runs = scan[1]
    settings = SPE._replace(
        conversion="transfer", calibrating_runs=[runs[0].name, runs[3].name, runs[6].name]
    )
    measured = measure(scan, settings)
    judged = measured.camera["RUN"][np.isfinite(measured.camera["RESOLUTION"])]
    assert set(judged) == {runs[k].name for k in (1, 2, 4, 5)}
    left = measured.pixels[measured.pixels["RUN_ROW"] == 3]["LEFT_OUT"]
    assert (left & Left.CALIBRATES != 0).all()


def test_a_run_that_the_spe_fits_were_made_from_does_not_judge(scan):
    name = scan[1][2].name
    files = scan[2] | {name: scan[2][name]._replace(calibrated=True)}
    camera = measure(scan, files=files).camera
    assert (camera["REASON"] == "calibration run").tolist() == [k == 2 for k in range(7)]
    assert camera["USE"][2] == "calibrates" and np.isnan(camera["RESOLUTION"][2])


def test_light_beyond_the_runs_that_calibrate_does_not_judge(scan):
    runs = scan[1]
    names = [runs[2].name, runs[4].name]
    settings = SPE._replace(conversion="transfer", calibrating_runs=names)
    camera = measure(scan, settings).camera
    beyond = camera["REASON"] == "its light is beyond the runs of the transfer function"
    assert beyond.tolist() == [True, True, False, False, False, True, True]
    assert np.isfinite(camera["RESOLUTION"]).tolist() == [False] * 3 + [True] + [False] * 3


# --- the verdict and mistakes ---------------------------------------------------------------------


def test_the_verdict_is_that_of_the_good_pixels(scan):
    measured = measure(scan)
    camera = measured.camera
    verdict, _ = measured.summary["verdicts"]
    inside = camera["EXPECTED"] >= 1
    met = camera["RESOLUTION"] <= requirement_formula(camera["EXPECTED"], 0.125)
    assert verdict["meets"] == [bool(m) if i else None for m, i in zip(met, inside, strict=True)]


def test_no_good_pixel(scan):
    spe = scan[3].copy()
    spe["STATUS"] = ChargeStatus.POOR_FIT
    camera = measure(scan, spe=spe).camera
    assert set(camera["REASON"]) == {"no pixel is good"} and np.isnan(camera["RESOLUTION"]).all()
    assert reason(np.array([], int)) == "no pixel"


def test_the_simulation_convention_needs_true_photoelectrons(scan):
    files = {name: charges._replace(true_pe=None) for name, charges in scan[2].items()}
    with pytest.raises(InputError, match=f"run {scan[1][0].name}: has no true photoelectrons"):
        measure(scan, SPE._replace(convention="simulation"), files=files)


def test_progress_ends_at_its_total(scan):
    said = []
    settings = SPE._replace(conversion="transfer")
    _, runs, files, spe = scan
    measure_scan(runs, files.__getitem__, spe, settings, lambda *progress: said.append(progress))
    assert said == [(k + 1, 11) for k in range(11)]
