"""Truth in, truth out: the relation that the chain recovers against the one that was injected.

Thresholds follow from the 64 pixels: 4 standard errors. A mean has two parts, the scatter of the
pixels and that of the one response they share, which is learnt from the same 64 pixels and is about
as large; so its standard error is that of 32.
"""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.instruments import REFERENCE_ENERGIES_KEV, REQUIREMENT

from pixelcal.energy.relation import energy_error, energy_sigma
from pixelcal.energy.requirement import requirement_keV

N = 64
COLUMNS = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")

each_energy = pytest.mark.parametrize("energy", REFERENCE_ENERGIES_KEV)


@pytest.fixture(scope="module")
def recovered(ci_results):
    """Relation and truth of the 10 ks branch, as plain arrays."""
    folder = ci_results / "eclairs" / "10ks"
    relation = Table(fits.getdata(folder / "relation.fits", "RELATION"))
    truth = Table.read(folder / "truth.ecsv")
    return {name: np.array(relation[name], float) for name in COLUMNS}, {
        "gain_true": np.array(truth["GAIN"]),
        "offset_true": np.array(truth["OFFSET"]),
    }


def errors(recovered, energy):
    relation, truth = recovered
    return energy_error(energy, relation["GAIN"], relation["OFFSET"], **truth)


def pulls(recovered, energy):
    relation, _ = recovered
    return errors(recovered, energy) / energy_sigma(energy, *(relation[name] for name in COLUMNS))


def test_every_pixel_has_an_answer(recovered):
    assert np.isfinite(recovered[0]["GAIN"]).all()


@each_energy
def test_bias(recovered, energy):
    error = errors(recovered, energy)
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(N / 2)


@each_energy
def test_pulls(recovered, energy):
    pull = pulls(recovered, energy)
    assert abs(pull.mean()) < 4 / np.sqrt(N / 2)
    assert abs(pull.std(ddof=1) - 1) < 4 / np.sqrt(2 * N)


@each_energy
def test_pass_fraction(recovered, energy):
    """At least 95 % expected at each energy: fewer than 4 binomial errors below fail."""
    passed = np.mean(
        np.abs(errors(recovered, energy)) <= requirement_keV(energy, requirement=REQUIREMENT)
    )
    assert passed >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / N)


@pytest.mark.parametrize("energy", [50.0, 80.0, 150.0])
def test_better_than_what_was_known_before(recovered, energy):
    """The prior is the nominal relation, wrong by 0.2 keV and more: the fit is closer by far."""
    _, truth = recovered
    before = energy_error(energy, 0.145, 3.0, **truth)
    assert np.sqrt(np.mean(errors(recovered, energy) ** 2)) < 0.7 * np.sqrt(np.mean(before**2))


def test_validation_says_the_same(recovered, ci_results):
    """The numbers of validation.json, computed again by another path."""
    said = json.loads((ci_results / "eclairs" / "10ks" / "validation.json").read_text())
    for energy in REFERENCE_ENERGIES_KEV:
        own, error = said["energies"][f"{energy:g}"], errors(recovered, energy)
        assert own["bias_keV"] == pytest.approx(error.mean(), rel=1e-9, abs=1e-12)
        assert own["rms_keV"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
        assert own["pull_mean"] == pytest.approx(pulls(recovered, energy).mean(), rel=1e-9)
