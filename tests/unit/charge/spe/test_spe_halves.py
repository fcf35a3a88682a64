"""Changes within a run, put into simulated charges half-way."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, as_spectra, draw_charges

from pixelcal.charge.spe.checks.halves import changes_within
from pixelcal.charge.spe.checks.run_checks import RunChecks, tell, with_checks
from pixelcal.charge.spe.checks.run_gains import run_gains
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.status import ChargeStatus, has_valid_fit

LIGHT = (0.6, 1.2, 2.4)
PE, WIDTH = 30.0, 6.0


def camera(n_pixels, flashes, gain=1.0, pedestal=0.0, hit=None, drift=0.0, seed=1):
    """Charges of runs (R, n_pixels, flashes), their fits, and the widths of the bins.

    In the second half of each run the gain of the pixels `hit` (None: all) is times `gain`, their
    pedestal higher, and the light of all pixels higher by a `drift` that differs by some per cent.
    """
    rng, charges = np.random.default_rng(seed), []
    for number in range(n_pixels):
        pe, spread = PE * np.exp(0.03 * rng.standard_normal()), 0.02 * rng.standard_normal()
        runs, changes = [], hit is None or number in hit
        for light in LIGHT:
            halves = []
            for second in (False, True):
                factor = gain if second and changes else 1.0
                pixel = Sipm(
                    pe=pe * factor,
                    sigma_pe=3.0 * factor,
                    sigma_ped=WIDTH,
                    eped=100.0 + (pedestal if second and changes else 0.0),
                    light=(light * (1 + drift * (1 + spread) * second),),
                    flashes=flashes // 2,
                )
                halves += draw_charges(rng, pixel)
            runs.append(np.concatenate(halves))
        charges.append(runs)
    counts, start, width = as_spectra(charges)
    rows = fit_pixels(counts, start, width, np.arange(n_pixels), SpeOptions())
    return np.array(charges).swapaxes(0, 1), rows, (counts, start, width)


def found_changes(runs, rows, width):
    use = has_valid_fit(rows["STATUS"])
    return [
        changes_within(SimpleNamespace(charges=run, step=1.0), rows, width, i, False, use)
        for i, run in enumerate(runs)
    ]


def flagged(found):
    return np.any([of.changes for of in found], axis=0)


@pytest.mark.parametrize(
    ("flashes", "change"),
    [
        (2000, {"gain": 1.15}),
        (10_000, {"gain": 0.85}),
        (10_000, {"gain": 1.05}),
        (10_000, {"pedestal": 0.1 * PE}),
        (2000, {"pedestal": 0.3 * PE}),
    ],
)
def test_a_step_of_all_pixels_is_noticed_in_each(flashes, change):
    runs, rows, (_, _, width) = camera(8, flashes, **change)
    assert flagged(found_changes(runs, rows, width)).all()


@pytest.mark.parametrize("change", [{"gain": 1.15}, {"gain": 1.05}, {"pedestal": 0.1 * PE}])
def test_a_step_of_one_pixel_is_noticed_there_alone(change):
    """By the number that was put in, within 5 standard errors and what one step is off (30 %)."""
    runs, rows, (_, _, width) = camera(8, 10_000, hit=(2,), drift=0.2, **change)
    found = found_changes(runs, rows, width)
    assert np.flatnonzero(flagged(found)).tolist() == [2]
    for of in found:
        gain, pedestal = change.get("gain", 1.0) - 1, change.get("pedestal", 0.0) / PE
        assert abs(of.gain[2] - gain) < 5 * of.gain_err[2] + 0.3 * gain
        assert abs(of.pedestal[2] - pedestal) < 5 * of.pedestal_err[2] + 0.3 * pedestal


def test_a_healthy_camera_under_a_lamp_that_drifts():
    """Of 600 pixels none: expected are 600 x 9 x 6e-7; pulls have the width one within 10 %."""
    runs, rows, (_, _, width) = camera(600, 2000, drift=0.3)
    found = found_changes(runs, rows, width)
    assert (rows["STATUS"] == 0).mean() > 0.9
    assert not flagged(found).any()
    for of in found:
        for name in ("gain", "pedestal"):
            pull = getattr(of, name) / getattr(of, f"{name}_err")
            assert 0.85 < np.std(pull) < 1.15
            assert abs(np.median(pull)) < 5 * 1.25 / np.sqrt(600)


@pytest.mark.parametrize("step", [0.0, 0.1, 0.3])
def test_pedestal_of_a_dark_run(step):
    """Pixels 2 and 5 step; the others of 500 do not."""
    random, n = np.random.default_rng(4), 500
    charges = random.normal(100, WIDTH, (n, 4000))
    charges[[2, 5], 2000:] += step * PE
    rows = np.zeros(n, [("PE", "f8"), ("EPED", "f8", (1,))])
    rows["PE"], rows["EPED"] = PE, 100.0
    run = SimpleNamespace(charges=charges, step=0.0)
    found = changes_within(run, rows, np.ones(n), 0, True, np.ones(n, bool))
    assert np.flatnonzero(found.changes).tolist() == ([2, 5] if step else [])
    assert abs(found.mean[2] - step) < 5 * found.mean_err[2]
    assert np.isnan(found.gain).all()


def test_few_flashes_and_missing_charges_say_nothing():
    random = np.random.default_rng(5)
    rows = np.zeros(4, [("PE", "f8"), ("EPED", "f8", (1,))])
    rows["PE"] = PE
    charges = random.normal(0, WIDTH, (4, 400))
    charges[:, 200:] += PE
    for run, known in ((charges[:, 101:299], 0), (charges, 3)):
        run = run.copy()
        run[0, :150] = np.nan
        given = SimpleNamespace(charges=run, step=0.0)
        found = changes_within(given, rows, np.ones(4), 0, True, np.ones(4, bool))
        assert np.isfinite(found.mean).sum() == found.changes.sum() == known


def test_the_bit_and_what_is_said(caplog):
    runs, rows, spectra = camera(6, 4000, gain=1.15, hit=(3,))
    checks = RunChecks(np.zeros(6, bool), np.zeros(3, bool))
    for charges in runs:
        run = SimpleNamespace(charges=charges, step=1.0, saturated=np.zeros(6, bool))
        checks.add(run, rows, spectra[2])
    gains = run_gains(*spectra, rows, np.ones(6, bool))
    done = with_checks(rows, checks, gains)
    changes = done["STATUS"] & ChargeStatus.CHANGES
    assert np.flatnonzero(changes).tolist() == [3]
    with caplog.at_level("WARNING", logger="pixelcal"):
        tell(done, ("a", "b", "c"), checks, gains)
    assert "run a: 1 of 6 pixels change within the run (STATUS 128)" in caplog.text
    assert "pixel 3: gain +" in caplog.text
