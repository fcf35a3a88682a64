"""Truth in, truth out for the SSTCAM: the chain measures the charge resolution of its own flashes.

Every script of the chain runs as Snakemake runs it. In 270 000 charges of 0.5 p.e. a resolution is
known to 0.25 %, in brighter ones better: with four of these the limit is 1 % of the truth. Fits of
6000 flashes know the scale of a pixel to 1.1 %, which is in what is measured: at 60 p.e. and 15 %
it adds 0.3 %, and is left out where `converted` is compared.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from helpers.synthetic import run_script

import config_reference
from pixelcal.workflow import config as configuration

N_PIXELS, N_FLASHES = 256, 1050
SCAN_PE = (0.5, 2.0, 10.0, 60.0)
SETTINGS = configuration.load_defaults(configuration.read_schema(config_reference.SCHEMA))["sstcam"]
SIMULATION = SETTINGS["simulation"] | {"seed": 1, "samples": 64, "peak_sample": 25, "flashes": 2000}
CHARGES = SETTINGS["charges"] | {"baseline_samples": 0}
PIXEL_MAP = config_reference.SCHEMA.parents[2] / "resources" / "sstcam_pixels.csv"
PDE = SIMULATION["pde"]
SETS = {"spe": SIMULATION["illuminations_pe"], "scan": SCAN_PE}


def simulate(folder, which, number, light_pe):
    """One run of flashes and its charges; returns the name of the run and the file of charges."""
    name, flashes = f"{which}_{number:02d}", {"spe": SIMULATION["flashes"], "scan": N_FLASHES}
    waveforms, charges = folder / f"{name}.h5", folder / f"{name}.fits"
    params = {"simulation": SIMULATION, "n_ph": light_pe / PDE, "flashes": flashes[which]}
    given = {"pixels": folder / "pixels.ecsv"}
    run_script("simulate_flashes", folder, given, {"run": waveforms}, params | {"run": name})
    return SimpleNamespace(name=name, waveforms=waveforms, charges=charges, pe=light_pe, set=which)


def extract(folder, run):
    """The charges of a run."""
    params = {"charges": CHARGES, "light": {"n_ph": run.pe / PDE}, "set": run.set, "date": None}
    given = {"run": run.waveforms, "peaks": folder / "peaks.fits"}
    made = {"charges": run.charges}
    run_script("extract_charges", folder, given, made, params | {"run": run.name})


def fit(folder, runs):
    """The table of single-photoelectron fits, in two chunks."""
    spectra, chunks = folder / "spectra.fits", [folder / "0000.fits", folder / "0001.fits"]
    names = [run.name for run in runs]
    given = {"charges": [str(run.charges) for run in runs]}
    params = {"runs": names, "date": None}
    run_script("fill_spe_spectra", folder, given, {"spectra": spectra}, params)
    noise, options = folder / "noise.fits", SETTINGS["fit"] | {"chunk_pixels": N_PIXELS // 2}
    model = {key: value for key, value in options.items() if key != "chunk_pixels"}
    params = {"fit": model, "date": None}
    run_script("learn_spe_noise", folder, {"spectra": spectra}, {"noise": noise}, params)
    for path in chunks:
        params = {"fit": options, "chunk": path.stem, "date": None}
        run_script("fit_spe", folder, {"spectra": spectra, "noise": noise}, {"fits": path}, params)
    given = {"chunks": [str(path) for path in chunks], "spectra": spectra}
    given |= {"peaks": folder / "peaks.fits", "pixel_map": PIXEL_MAP}
    given |= {"charges": [str(run.charges) for run in runs]}
    params = {"settings": {}, "date": None}
    run_script("merge_spe", folder, given, {"spe": folder / "spe.fits"}, params)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A folder with the products of the chain up to the table of fits, and the runs of the scan."""
    folder = tmp_path_factory.mktemp("sstcam")
    pixels = list(range(N_PIXELS))
    params = {"pixels": pixels, "simulation": SIMULATION}
    run_script("simulate_pixels", folder, {}, {"pixels": folder / "pixels.ecsv"}, params)
    runs = {
        which: [simulate(folder, which, *run) for run in enumerate(light)]
        for which, light in SETS.items()
    }
    brightest = runs["spe"][-1]
    params = {"charges": CHARGES, "pixels": pixels, "run": brightest.name, "date": None}
    given, made = {"run": brightest.waveforms}, {"peaks": folder / "peaks.fits"}
    run_script("find_peaks", folder, given, made, params)
    for run in (*runs["spe"], *runs["scan"]):
        extract(folder, run)
    fit(folder, runs["spe"])
    return folder, runs["scan"]


@pytest.mark.parametrize("convention", ["lab", "simulation"])
def test_the_charge_resolution_is_that_of_the_truth(chain, tmp_path, convention):
    folder, scan = chain
    settings = SETTINGS["charge_resolution"] | {"convention": convention, "pde": PDE}
    given = {"charges": [str(run.charges) for run in scan], "spe": folder / "spe.fits"}
    made = {"resolution": tmp_path / "resolution.fits", "summary": tmp_path / "summary.json"}
    params = {"runs": [{"name": run.name, "n_ph": run.pe / PDE} for run in scan]}
    params |= {"settings": settings, "date": None}
    run_script("measure_charge_resolution", tmp_path, given, made, params)

    given = {"resolution": made["resolution"], "spe": folder / "spe.fits"}
    given |= {"pixels": folder / "pixels.ecsv", "peaks": folder / "peaks.fits"}
    light = [{"name": run.name, "pe": run.pe, "nsb_per_ns": 0.0} for run in scan]
    method = {name: settings[name] for name in ("conversion", "convention")}
    method |= {"fwhm_ns": SIMULATION["fwhm_ns"], "afterpulses": 0.0}
    params = {"light": light, "charges": CHARGES, "settings": method}
    path = tmp_path / "validation.json"
    run_script("validate_charge_resolution", tmp_path, given, {"validation": path}, params)
    numbers = json.loads(path.read_text())
    assert numbers["n_compared"] == len(scan)
    for run in numbers["runs"]:
        assert run["resolution_err"] < 0.0025 * run["resolution"]
        assert abs(run["resolution"] - run["converted"]["resolution"]) < 4 * run["resolution_err"]
        assert abs(run["bias"] - run["converted"]["bias"]) < 4 * run["bias_err"]
    assert numbers["largest_deviation"] < 0.01
    status = fits.getdata(folder / "spe.fits", "SPE")["STATUS"]
    assert np.mean(status == 0) > 0.98  # 0.2 % of the pixels are dead
