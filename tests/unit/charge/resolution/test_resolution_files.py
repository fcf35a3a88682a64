"""Products of the charge resolution as the scripts write them, and what stops the scripts."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.flashes import make_scan, spe_table, spread_truth
from helpers.sstcam_pages import SSTCAM_MAP
from helpers.sstcam_runs import samples, write_run
from helpers.synthetic import run_script

from pixelcal.charge.extraction.charges import Charges
from pixelcal.charge.extraction.io import charge_hdus
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.resolution.scan import Left
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.status import ChargeStatus

CHARGES = (0.5, 4.0, 30.0, 200.0, 900.0)
N_PIXELS, N_FLASHES = 40, 150
SETTINGS = {
    "conversion": "spe",
    "convention": "lab",
    "pde": 0.5,
    "nsb_per_ns": [0.125, 1.25],
    "calibrating_runs": None,
    "transfer": "pixel",
}
SPE_SHA = "a" * 64


def write_charges(path, run, pixel=None, checksum="b" * 64, clipped=None):
    """A file of charges as the chain writes it."""
    n_pixels, n_flashes = run.charge.shape
    pixel = np.arange(n_pixels) if pixel is None else pixel
    none = np.zeros(n_pixels, bool)
    peaks = Peaks(pixel.astype(np.int32), np.full(n_pixels, 40, np.int32), none, none, None)
    bad = {"stale": 0, "incomplete": 0, "other": 0}
    charges = Charges(run.charge, np.arange(n_flashes), run.true_pe, n_flashes, bad, clipped)
    write_fits(path, charge_hdus(charges, peaks, 1.0, [("INSHA001", checksum)]))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Files of charges and SPE fits: `input` and `params` of the rule."""
    folder = tmp_path_factory.mktemp("scan")
    truth = spread_truth(np.random.default_rng(1), N_PIXELS)
    runs, files = make_scan(CHARGES, N_PIXELS, N_FLASHES, truth, seed=9)
    paths = []
    for run in runs:
        paths.append(str(folder / f"{run.name}.fits"))
        write_charges(paths[-1], files[run.name])
    spe = spe_table(truth, N_PIXELS)
    spe["STATUS"][3] = ChargeStatus.OUTLIER
    cards = [("INFIL001", "spe.h5"), ("INSHA001", SPE_SHA)]
    write_fits(folder / "spe.fits", [table_hdu(spe.as_array(), "SPE", cards=cards)])
    light = [
        {name: getattr(run, name) for name in ("name", "n_ph", "n_ph_meas", "nsb", "nsb_meas")}
        for run in runs
    ]
    return {"charges": paths, "spe": str(folder / "spe.fits")}, light, files


def measure(folder, scene, given=None, settings=None, runs=None):
    made = {"resolution": folder / "resolution.fits", "summary": folder / "charge_resolution.json"}
    params = {"runs": runs or scene[1], "settings": SETTINGS | (settings or {}), "date": None}
    run_script("measure_charge_resolution", folder, scene[0] | (given or {}), made, params)
    return made


def test_the_products(scene, tmp_path):
    made = measure(tmp_path, scene)
    with fits.open(made["resolution"], checksum=True) as hdus:
        camera, pixels, verdict = (hdus[name] for name in ("CAMERA", "PIXELS", "VERDICT"))
        header = camera.header
        assert (header["CONVERS"], header["CONVENT"], header["PDE"]) == ("spe", "lab", 0.5)
        assert header["CREATOR"] == "pixelcal measure_charge_resolution"
        assert header["NINFILE"] == 6 and header["INFIL001"] == "spe.fits"
        assert "TRANSFER" not in header and "DATE" not in header
        assert camera.data["RUN"].tolist() == [row["name"] for row in scene[1]]
        assert (camera.data["N_PIXELS"] == N_PIXELS - 1).all()
        assert (camera.data["N_PIXELS_ANSWER"] == N_PIXELS).all()
        assert len(pixels.data) == len(CHARGES) * N_PIXELS
        assert (pixels.data["LEFT_OUT"].reshape(5, -1)[:, 3] == Left.NOT_GOOD).all()
        assert verdict.data["MEETS"].tolist() == [-1, 1, 1, 1, 1] + [-1] * 5
        resolution = camera.data["RESOLUTION"].tolist()
    text = json.loads(made["summary"].read_text())
    assert text["pixels"] == {"n_pixels": 40, "n_no_answer": 0, "n_good": 39, "n_answers": 40}
    assert [run["good"]["resolution"] for run in text["runs"]] == resolution
    assert text["convention_text"].startswith("lab: ") and text["conversion"] == "spe"
    assert [verdict["n_met"] for verdict in text["verdicts"]] == [4, 0]
    assert text["verdicts"][0]["required"][0] is None
    assert text["pedestal"]["run"] == scene[1][0]["name"]


def test_the_same_bytes(scene, tmp_path):
    sums = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        order = {"charges": scene[0]["charges"][:: 1 if name == "one" else -1]}
        made = measure(tmp_path / name, scene, order)
        sums.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in made.values()])
    assert sums[0] == sums[1]


def test_a_transfer_function_and_its_runs_are_stated(scene, tmp_path):
    made = measure(tmp_path, scene, settings={"conversion": "transfer"})
    header = fits.getheader(made["resolution"], "CAMERA")
    assert (header["TRANSFER"], header["NCALIB"]) == ("pixel", 3)
    text = json.loads(made["summary"].read_text())
    names = [run["name"] for run in scene[1]]
    assert text["calibrating_runs"] == sorted(names[::2])
    assert [run["use"] for run in text["runs"]] == ["calibrates", "judges"] * 2 + ["calibrates"]
    assert [run["good"]["resolution"] is None for run in text["runs"]] == [True, False] * 2 + [True]


@pytest.mark.parametrize("scope", ["pixel", "camera"])
def test_what_has_a_transfer_function_of_its_own(scene, tmp_path, scope):
    settings = {"conversion": "transfer", "transfer": scope}
    made = measure(tmp_path, scene, settings=settings)
    assert fits.getheader(made["resolution"], "CAMERA")["TRANSFER"] == scope
    assert json.loads(made["summary"].read_text())["transfer"] == scope


def test_a_run_that_saturates_has_no_resolution_and_says_why(scene, tmp_path):
    name = scene[1][-1]["name"]
    path = tmp_path / f"{name}.fits"
    write_charges(path, scene[2][name], clipped=np.full(N_PIXELS, 1))
    given = {"charges": [*scene[0]["charges"][:-1], str(path)]}
    last = json.loads(measure(tmp_path, scene, given)["summary"].read_text())["runs"][-1]
    assert last["reason"] == "every pixel saturates"
    assert last["good"]["resolution"] is None and last["n_saturated"] == N_PIXELS


def test_a_run_of_the_spe_fits_calibrates(scene, tmp_path):
    path = tmp_path / f"{scene[1][2]['name']}.fits"
    write_charges(path, scene[2][scene[1][2]["name"]], checksum=SPE_SHA)
    given = {"charges": [*scene[0]["charges"][:2], str(path), *scene[0]["charges"][3:]]}
    text = json.loads(measure(tmp_path, scene, given)["summary"].read_text())
    assert [run["use"] == "calibrates" for run in text["runs"]] == [
        False,
        False,
        True,
        False,
        False,
    ]


def light_chain(folder, runs):
    """Waveforms of the runs, their charges and the table of their fits, by the scripts."""
    window = {
        "window": 16, "window_shift": 6, "time_skew": True, "baseline": "none",
        "baseline_samples": 0, "solo_pixels": False, "max_events": None,
    }  # fmt: skip
    for number, name in enumerate(runs):
        write_run(folder / f"{name}.h5", samples() + np.uint16(number))
    peaks, spe = folder / "peaks.fits", folder / "spe.fits"
    params = {"charges": window, "pixels": list(range(5)), "run": runs[-1], "date": None}
    run_script("find_peaks", folder, {"run": folder / f"{runs[-1]}.h5"}, {"peaks": peaks}, params)
    for name in runs:
        extract(folder, name, "spe", window)
    spectra, fit = folder / "spectra.fits", folder / "0000.fits"
    given = {"charges": [str(folder / f"spe-{name}.fits") for name in runs]}
    params = {"runs": list(runs), "date": None}
    run_script("fill_spe_spectra", folder, given, {"spectra": spectra}, params)
    options = {"pe_guess": None, "min_flashes": 500, "pvalue_limit": 1e-4, "peak_to_valley": 1.08}
    params = {"fit": options, "date": None}
    given = {"spectra": spectra, "noise": folder / "noise.fits"}
    run_script("learn_spe_noise", folder, {"spectra": spectra}, {"noise": given["noise"]}, params)
    params = {"fit": options | {"chunk_pixels": 5}, "chunk": "0000", "date": None}
    run_script("fit_spe", folder, given, {"fits": fit}, params)
    given = {"chunks": [str(fit)], "spectra": spectra, "peaks": peaks, "pixel_map": SSTCAM_MAP}
    given["charges"] = [str(folder / f"spe-{name}.fits") for name in runs]
    run_script("merge_spe", folder, given, {"spe": spe}, {"settings": {}, "date": None})
    return spe, window


def extract(folder, name, which, window):
    """Charges of a run, as one of a set."""
    given = {"run": folder / f"{name}.h5", "peaks": folder / "peaks.fits"}
    made = folder / f"{which}-{name}.fits"
    params = {"charges": window, "light": {"n_ph": 1.0}, "set": which, "run": name, "date": None}
    run_script("extract_charges", folder, given, {"charges": made}, params)
    return made


def test_every_run_that_the_spe_fits_are_made_of_calibrates(tmp_path):
    """Three runs that stand in both tables and one of the scan alone, through the scripts."""
    runs = ("dark", "dim", "light")
    spe, window = light_chain(tmp_path, runs)
    header = fits.getheader(spe, "SPE")
    files = {header[f"INFIL{n:03d}"] for n in range(1, header["NINFILE"] + 1)}
    assert files == {"dark.h5", "dim.h5", "light.h5", "peaks.fits"} and header["NINFILE"] == 4
    write_run(tmp_path / "scan.h5", samples() + np.uint16(9))
    names, scan = [*runs, "scan"], tmp_path / "scan"
    scan.mkdir()
    for name in names:
        extract(tmp_path, name, "scan", window).rename(scan / f"{name}.fits")
    given = {"charges": [str(scan / f"{name}.fits") for name in names], "spe": str(spe)}
    light = [{"name": name, "n_ph": 1.0 + number} for number, name in enumerate(names)]
    text = json.loads(measure(tmp_path, (given, light))["summary"].read_text())
    uses = {run["name"]: run["use"] for run in text["runs"]}
    assert uses == dict.fromkeys(runs, "calibrates") | {"scan": "judges"}


def test_the_figures(scene, tmp_path):
    resolution = measure(tmp_path, scene)["resolution"]
    names = ("charge_resolution", "extracted_charge")
    made = {f"{n}_{kind}": tmp_path / f"{n}.{kind}" for n in names for kind in ("png", "pdf")}
    params = {"nsb_per_ns": [0.125, 1.25]}
    run_script("plot_charge_resolution", tmp_path, {"resolution": resolution}, made, params)
    for key, path in made.items():
        assert path.read_bytes().startswith(b"\x89PNG" if key.endswith("png") else b"%PDF")


# --- mistakes -------------------------------------------------------------------------------------


def no_truth(folder, scene):
    name = scene[1][0]["name"]
    path = folder / f"{name}.fits"
    write_charges(path, scene[2][name]._replace(true_pe=None))
    return {
        "given": {"charges": [str(path), *scene[0]["charges"][1:]]},
        "settings": {"convention": "simulation"},
    }


def other_pixels(folder, scene):
    name = scene[1][0]["name"]
    path = folder / f"{name}.fits"
    write_charges(path, scene[2][name], pixel=np.arange(N_PIXELS) + 1)
    return {"given": {"charges": [str(path), *scene[0]["charges"][1:]]}}


def no_events(folder, scene):
    name = scene[1][0]["name"]
    path, run = folder / f"{name}.fits", scene[2][name]
    write_charges(path, run._replace(charge=run.charge[:, :0], true_pe=run.true_pe[:, :0]))
    return {"given": {"charges": [str(path), *scene[0]["charges"][1:]]}}


def truncated(folder, scene):
    name = scene[1][0]["name"]
    path = folder / f"{name}.fits"
    whole = Path(scene[0]["charges"][0]).read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    return {"given": {"charges": [str(path), *scene[0]["charges"][1:]]}}


def spe_without_pe(folder, scene):
    table = np.zeros(N_PIXELS, [("PIXEL", "i2"), ("STATUS", "i4")])
    write_fits(folder / "spe.fits", [table_hdu(table, "SPE")])
    return {"given": {"spe": str(folder / "spe.fits")}}


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (no_truth, "has no true photoelectrons"),
        (other_pixels, "has other pixels than the SPE fits; make both again"),
        (no_events, "holds no event; leave the run out"),
        (truncated, "is not a whole FITS file"),
        (spe_without_pe, "SPE lacks PE, OPCT, LATE, DARK, NOISE, EPED, EPED_ERR; make it again"),
        (lambda folder, scene: {"given": {"spe": "no.fits"}}, "no.fits: no such file"),
        (
            lambda folder, scene: {"given": {"spe": scene[0]["charges"][0]}},
            "has no extension SPE",
        ),
        (
            lambda folder, scene: {"given": {"charges": scene[0]["charges"][1:]}},
            "has no file of charges; extract them first",
        ),
        (
            lambda folder, scene: {"settings": {"calibrating_runs": ["run01"]}},
            "the conversion spe uses no run of the scan",
        ),
        (
            lambda folder, scene: {
                "settings": {"conversion": "transfer", "calibrating_runs": ["run01", "x"]}
            },
            "x is not a run of the scan",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(mistake, said, scene, tmp_path, capsys):
    changes = mistake(tmp_path, scene)
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit) as stopped:
        measure(tmp_path, scene, **changes)
    assert stopped.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {
        "measure_charge_resolution.log"
    }
