"""Numbers for missing charges: they are found where they are none of the pixel, and only there."""

import numpy as np
import pytest
from helpers.charge_faults import N_PIXELS
from helpers.ready_files import run_ready, write_charges

from pixelcal.charge.extraction.placeholders import without_placeholders
from pixelcal.charge.simulation.charges import Sipm, draw_charges

N = 2000


def drawn(light, seed=0, **changes):
    """Whole charges (event, pixel), pedestal at 100, 30 per photoelectron."""
    pixel = Sipm(eped=100.0, light=(light,), flashes=N).changed(**changes)
    return np.array(
        [draw_charges(np.random.default_rng([seed, k]), pixel)[0] for k in range(N_PIXELS)]
    ).T


def holding(charges, value, fraction=0.1):
    """The same with a value in place of a fraction of the charges."""
    there = np.random.default_rng(3).random(charges.shape) < fraction
    return np.where(there, value, charges), there


@pytest.mark.parametrize("light", [0.1, 0.7, 3.0])
@pytest.mark.parametrize("value", [-999, -9999, -32768, 65535])
def test_placeholders_are_found(value, light):
    charges, there = holding(drawn(light), value)
    made, found = without_placeholders(charges.T, np.ones(N_PIXELS, bool))
    assert (found == value).all() and np.array_equal(np.isnan(made), there.T)


ORDINARY = {
    "flashes": drawn(0.7),
    "no noise": drawn(0.7, sigma_ped=0.0, sigma_pe=0.0),
    "hardly any light": drawn(0.01, sigma_ped=0.5),
    "hardly any light, no noise": drawn(0.01, sigma_ped=0.0),
    "a dark run": drawn(1e-9),
    "bright": drawn(30.0, sigma_ped=0.0),
    "clipped": np.minimum(drawn(3.0), 150),
    "few of them": holding(drawn(0.7), -999, 0.002)[0],
    "all the same": np.full((N, N_PIXELS), 7),
    "missing": np.full((N, N_PIXELS), np.nan),
    "steps of the ADC": 8 * (drawn(0.7) // 8),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_charges_are_none(kind):
    charges = ORDINARY[kind].T
    made, found = without_placeholders(charges, np.ones(N_PIXELS, bool))
    assert np.isnan(found).all() and made is charges


def test_from_the_file_to_the_fit(tmp_path):
    """The charges of 10 % of the events are -999: ten minutes did not suffice to fit them."""
    runs = {
        name: write_charges(tmp_path / f"{name}.h5", holding(drawn(light, seed), -999)[0])
        for seed, (name, light) in enumerate({"low": 0.7, "high": 2.0}.items())
    }
    result = run_ready(tmp_path, "charges", runs, range(N_PIXELS))
    assert not result.error and result.good.all(), result.said
    assert f"the charge is -999 in many events of {N_PIXELS} pixels" in result.said
    pe = result.spe["PE"]
    assert (np.abs(pe - 30.0) < 5 * result.spe["PE_ERR"]).all()


@pytest.mark.parametrize("form", ["f8", "i8"])
def test_charges_far_above_zero(form, tmp_path):
    """32 bits do not resolve them, and peaks would be lost."""
    charges = drawn(0.7) + (1e9 + 0.25 if form == "f8" else 10**10)
    path = write_charges(tmp_path / "run.h5", charges.astype(form))
    result = run_ready(tmp_path, "charges", {"run": path}, range(N_PIXELS))
    assert "write charges above their pedestal" in result.error and not result.fault
