"""Bad runs of the SSTCAM: one line, a non-zero exit, nothing written, no traceback.

docs/sstcam-runs.md says what is said of each mistake, sstcam_bad_input_cases.py makes them. Every
case runs through the checks of the configuration and the scripts of the rules; some also through
Snakemake, which must say the same.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from astropy.io import fits
from helpers import sstcam_bad_input_cases as cases
from helpers.synthetic import run_script

import config_reference
from pixelcal.charge.runs.pixel_map import chosen_pixels, read_pixel_map
from pixelcal.charge.runs.run_table import read_run_table
from pixelcal.workflow import config as configuration

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "sstcam-runs.md"
SCHEMA = configuration.read_schema(config_reference.SCHEMA)
NO_MISTAKE = cases.Case("")
BY_SNAKEMAKE = [case for case in cases.CASES if case.by_snakemake]
JOB = re.compile(r"(configuration|find_peaks|extract_charges spe [a-z]+): ")
ENVIRONMENT = os.environ | {"NUMBA_DISABLE_JIT": "1"}
"""A few events are summed sooner than a loop is compiled."""


def read_page():
    """What the page says of each mistake: mistake -> line."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Bad input\n")[1]
    rows = re.findall(r"^\| (.*) \| `(.*)` \|$", section, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return {mistake: line.replace("\\|", "|") for mistake, line in rows}


SAID = read_page()


def prepare(case):
    """Write the runs of a case and own.yaml to the current folder."""
    cases.write_lab()
    if case.make is not None:
        case.make()
    own = dict(cases.BASE)
    for key, value in case.settings.items():
        own[key] = own.get(key, {}) | value if isinstance(value, dict) else value
    Path("own.yaml").write_text(yaml.safe_dump({"sstcam": own}), encoding="utf-8")


def products():
    """Everything that was made."""
    paths = (path for path in Path("results").rglob("*") if path.is_file())
    apart = {"logs", "benchmarks", "run.json"}
    return {path for path in paths if not apart & set(path.parts)}


def check_line(said, case, prefix):
    """A line is the one in the page; … stands for anything."""
    expected = prefix + SAID[case.mistake]
    pattern = ".*".join(map(re.escape, expected.split("…")))
    assert re.fullmatch(pattern, said), f"\n{said}\nis not\n{expected}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_chain(stage="extract_charges"):
    """What Snakemake does with own.yaml up to the rule `stage`, in this process."""
    with configuration.mistakes_in_one_line():
        configuration.check_yaml("own.yaml")
        config = configuration.resolve(yaml.safe_load(Path("own.yaml").read_text()), SCHEMA)
        own = config["sstcam"]
        camera = read_pixel_map(PROJECT / "resources" / "sstcam_pixels.csv")
        pixels = chosen_pixels(own["pixels"], len(camera.pixel))
        runs = read_run_table(own["spe"]["folder"], "spe")
    path = Path("results/peaks.fits")
    params = {"charges": own["charges"], "pixels": pixels, "run": runs[-1].name, "date": None}
    run_script("find_peaks", Path(), {"run": runs[-1].path}, {"peaks": path}, params)
    if stage == "extract_charges":
        for run in runs:
            given = {"run": run.path, "peaks": path}
            params |= {"run": run.name, "set": "spe", "light": run.light}
            made = {"charges": Path(f"results/{run.name}.fits")}
            run_script("extract_charges", Path(), given, made, params)


def test_the_page_has_every_case_and_no_other():
    assert [case.mistake for case in cases.CASES] == list(SAID)
    assert len(cases.CASES) >= 40 and len(BY_SNAKEMAKE) >= 6


def test_what_every_case_starts_from_is_in_order(folder):
    prepare(NO_MISTAKE)
    run_chain()
    for name in ("dark", "light"):
        header = fits.getheader(f"results/{name}.fits", "CHARGES")
        assert (header["NREAD"], header["NUSED"], header["STEP"]) == (6, 6, 1.0)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_one_line(case, folder, capsys):
    prepare(case)
    with pytest.raises(SystemExit) as stopped:
        run_chain(case.stage)
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    check_line(line, case, f"{case.stage}: ")
    made = {Path("results/peaks.fits")} if case.stage == "extract_charges" else set()
    assert products() == made


@pytest.mark.parametrize("case", BY_SNAKEMAKE, ids=lambda case: case.name)
def test_one_line_through_snakemake(case, project, snakemake, monkeypatch):
    monkeypatch.chdir(project)
    prepare(case)
    shutil.rmtree("results", ignore_errors=True)
    target = "results/sstcam/charges/spe/dark.fits"
    run = snakemake(project, target, "--configfile", "own.yaml", environment=ENVIRONMENT)
    said = run.stdout + run.stderr
    assert run.returncode != 0 and "Traceback" not in said, said
    (line,) = [line for line in run.stderr.splitlines() if JOB.match(line)]
    job = JOB.match(line)[1]
    assert job.split()[0] == case.stage
    check_line(line.replace(f"{Path.cwd()}/", ""), case, f"{job}: ")
    peaks = Path("results/sstcam/peaks.fits")
    assert products() == ({peaks} if case.stage == "extract_charges" else set())
