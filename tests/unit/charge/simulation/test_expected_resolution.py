"""The prediction from truth against waveforms of the simulation, NSB included."""

import numpy as np
import pytest
from helpers.flashes import spe_table
from helpers.synthetic import run_script

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.resolution.measure import ScanCharges, Settings, measure_scan
from pixelcal.charge.resolution.scan import ScanRun
from pixelcal.charge.simulation.expected_resolution import background_moments, compare_with_truth
from pixelcal.charge.simulation.flashes import Light, flash_blocks, make_pixels, make_pulse
from pixelcal.charge.simulation.truth import true_parameters

N_PIXELS, N_FLASHES, PDE, FWHM = 6, 5000, 0.5, 10
PEAK = np.full(N_PIXELS, 40)
WINDOWS = {"none": Window(16, 6, 0), "event": Window(16, 6, 16)}
SIMULATION = {
    "seed": 4,
    "samples": 80,
    "fwhm_ns": FWHM,
    "peak_sample": 40,
    "pe_adu": 30,
    "sigma_pe_adu": 3,
    "sigma_ped_adu": 6,
    "opct": 0.15,
    "baseline_adu": 300,
    "stale_fraction": 0.0,
    "incomplete_fraction": 0.0,
    "dead_fraction": 0.0,
    "spread": {
        "efficiency": 0.05,
        "gain": 0.05,
        "opct": 0.05,
        "noise": 0.05,
        "baseline_adu": 5,
        "time_ns": 1.0,
    },
}


def simulate(charges, nsb, window):
    """A scan of simulated waveforms, summed here; the table of fits that found their truth."""
    simulated = make_pixels(np.arange(N_PIXELS), SIMULATION)
    runs, files, light = [], {}, []
    for charge in charges:
        name = f"run {charge:g}"
        lamp = Light(charge, nsb)
        (block,) = flash_blocks(simulated, lamp, SIMULATION, name, N_FLASHES, N_FLASHES)
        wave = block.waveforms.astype(float)
        first = PEAK[0] - window.window_shift
        total = wave[:, :, first : first + window.window].sum(axis=2)
        if window.baseline_samples:
            mean = wave[:, :, : window.baseline_samples].mean(axis=2)
            total -= window.window * mean
        none = np.zeros(N_PIXELS, bool)
        files[name] = ScanCharges(total.T, 1.0, none, none, block.true_pe.T)
        runs.append(ScanRun(name, charge / PDE, charge / PDE, nsb, nsb))
        light.append({"name": name, "pe": charge, "nsb_per_ns": nsb})
    true = true_parameters(simulated, PEAK, window, FWHM)
    spe = spe_table({"pe": true["PE"], "opct": true["OPCT"], "pedestal": true["EPED"]}, N_PIXELS)
    return simulated, runs, files, light, spe


def compare(charges, nsb=0.0, baseline="none", convention="lab", afterpulses=0.0):
    window = WINDOWS[baseline]
    simulated, runs, files, light, spe = simulate(charges, nsb, window)
    measured = measure_scan(
        runs, files.__getitem__, spe, Settings("spe", convention, PDE, (0.125,))
    )
    settings = {
        "conversion": "spe",
        "convention": convention,
        "fwhm_ns": FWHM,
        "afterpulses": afterpulses,
    }
    return compare_with_truth(
        measured.camera, measured.pixels, spe, simulated, light, PEAK, window, settings
    )


@pytest.mark.parametrize(
    ("nsb", "baseline", "convention"),
    [
        (0.0, "none", "lab"),
        (0.0, "event", "simulation"),
        (0.5, "none", "simulation"),
        (0.5, "event", "lab"),
    ],
)
def test_measured_is_what_the_truth_predicts(nsb, baseline, convention):
    """30 000 charges know a resolution to 0.4 %, or 0.6 % in the dark: within four of these."""
    numbers = compare((1.5, 25.0, 300.0), nsb, baseline, convention)
    assert numbers["n_compared"] == 3
    assert numbers["largest_deviation_sigma"] < 4
    assert numbers["largest_deviation"] < 0.02
    for run in numbers["runs"]:
        assert run["resolution_err"] / run["resolution"] < 0.0065
        assert abs(run["bias"] - run["truth"]["bias"]) < 4 * run["bias_err"]
        assert run["truth"] == pytest.approx(run["converted"])


def test_background_moments_by_hand():
    """A window without a baseline takes in its length of the background, spread by the pulse."""
    pulse = make_pulse(FWHM)
    direct = background_moments(pulse, WINDOWS["none"], PEAK[:1], np.array([40.0]), 0.25)
    area = np.sqrt(np.pi / 2) * (pulse.rise_sigma + pulse.fall_sigma) * pulse.height
    assert direct["background_pe"][0] == pytest.approx(0.25 * 16 * area, rel=1e-6)
    assert 0 < direct["background_square"][0] < direct["background_pe"][0]
    off = background_moments(pulse, WINDOWS["event"], PEAK[:1], np.array([40.0]), 0.25)
    assert off["background_pe"][0] == pytest.approx(0, abs=1e-6)
    assert off["background_square"][0] > direct["background_square"][0]


def test_what_cannot_be_compared():
    numbers = compare((0.5, 1500.0))
    assert [run["reason"] for run in numbers["runs"]] == ["", "the ADC clips"]
    numbers = compare((2.0,), afterpulses=0.1)
    assert numbers["n_compared"] == 0 and np.isnan(numbers["largest_deviation"])
    assert numbers["runs"][0]["reason"] == "afterpulses are not in the closed form"


def test_real_runs_have_no_truth(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_script("validate_charge_resolution", tmp_path, {}, {}, {})
    assert "are not simulated and have no truth" in capsys.readouterr().err
