"""Bad input: one line, a non-zero exit, nothing written, no traceback.

docs/bad-input.md says what is said of each mistake, bad_input_cases.py makes them. Every case runs
through the checks of the configuration and the script of the rule; a good dozen also through
Snakemake, which must say the same.
"""

import gzip
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from helpers import bad_input_cases as table
from helpers import bad_input_files as files
from helpers.event_files import write
from helpers.instruments import ECLAIRS
from helpers.synthetic import run_script

import config_reference
from pixelcal.energy.events.good_times import good_time_of, read_good_time
from pixelcal.energy.events.reader import open_event_files, stream
from pixelcal.energy.lines import read_lines
from pixelcal.energy.prior import read_prior
from pixelcal.errors import InputError
from pixelcal.workflow import config as configuration

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "bad-input.md"
SCHEMA = configuration.read_schema(config_reference.SCHEMA)
SPECTRA = "results/eclairs/a/spectra.fits"
MEMORY = Path("results/run.json")
NO_MISTAKE = table.Case("", "")
BY_SNAKEMAKE = [case for case in table.CASES if case.by_snakemake]
JOB = re.compile(r"(configuration|[a-z_]+ a( \d{4})?): ")
"""How a line of pixelcal begins."""
ENVIRONMENT = os.environ | {"NUMBA_DISABLE_JIT": "1"}
"""A few events are binned sooner than a loop is compiled."""


def read_page():
    """What the page says of each mistake: (group, mistake) -> line."""
    lines, group = {}, ""
    for row in PAGE.read_text(encoding="utf-8").splitlines():
        if row.startswith("## "):
            group = row[3:]
        elif match := re.fullmatch(r"\| (.*) \| `(.*)` \|", row):
            mistake, line = (cell.replace("\\|", "|") for cell in match.groups())
            assert (group, mistake) not in lines, f"twice: {group}, {mistake}"
            lines[group, mistake] = line
    return lines


SAID = read_page()


def merged(base, own):
    """`own` put onto `base`, but for exposures, which replace."""
    both = dict(base)
    for key, value in own.items():
        deep = isinstance(value, dict) and key != "exposures"
        both[key] = merged(base.get(key, {}), value) if deep else value
    return both


def prepare(case):
    """Write the files of a case and own.yaml to the current folder."""
    files.events()
    if case.make is not None:
        case.make()
    own = case.settings
    text = own if isinstance(own, str) else yaml.safe_dump(merged(table.BASE, own))
    Path("own.yaml").write_text(text, encoding="utf-8")


def files_below(folder):
    """All files, but for logs and what Snakemake keeps for itself."""
    paths = (path.relative_to(folder) for path in Path(folder).rglob("*") if not path.is_dir())
    return {p for p in paths if p.suffix != ".log" and p.parts[0] != ".snakemake"}


def check_line(said, case, prefix):
    """A line is the one in the page; … stands for anything."""
    expected = prefix + SAID[case.group, case.mistake]
    pattern = ".*".join(map(re.escape, expected.split("…")))
    assert re.fullmatch(pattern, said), f"\n{said}\nis not\n{expected}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the resources of the project, to work in."""
    shutil.copytree(PROJECT / "resources", tmp_path / "work" / "resources")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def run_chain(stage):
    """What Snakemake does with own.yaml up to the rule `stage`, in this process."""
    with configuration.mistakes_in_one_line():
        configuration.check_yaml("own.yaml")
        own = configuration.resolve(yaml.safe_load(Path("own.yaml").read_text()), SCHEMA)
        configuration.check_results("results", own["exposures"], instrument="eclairs")
        for path in configuration.line_tables(own):
            read_lines(path)
    exposure = configuration.exposure_settings(own, "a")
    relation = {key: own["relation"][key] for key in ("gain_keV", "offset_keV")}
    given = {"events": own["events"]["files"], "pixel_map": "resources/eclairs_pixels.csv"}
    for name, path in (("gti", own["events"]["gti"]["file"]), ("prior", own["relation"]["file"])):
        given |= {name: path} if path else {}
    columns = {key: name for key, name in own["events"]["columns"].items() if name}
    params = {
        "layout": own["events"]["layout"],
        "columns": columns,
        "criteria": own["events"]["gti"]["criteria"],
        "multiplicity": exposure["multiplicity"],
        "seconds": exposure["seconds"],
        "pixels": list(configuration.parse_pixels(own["pixels"], 6400)),
        "relation": relation,
        "injection": exposure["injection"],
        "exposure": "a",
        "seed": own["events"]["seed"],
        "date": None,
    }
    run_script("bin_spectra", Path(), given, {"spectra": Path("spectra.fits")}, params)
    if stage == "fit_lines":
        given = {"spectra": "spectra.fits", "lines": exposure["lines"]}
        given["response"] = exposure["fit"]["response"]
        params = {"relation": relation, "fit": exposure["fit"], "chunk": "0000", "exposure": "a"}
        run_script("fit_lines", Path(), given, {"fits": Path("0000.fits")}, params | {"date": None})


def test_the_page_has_every_case_and_no_other():
    cases = [(case.group, case.mistake) for case in table.CASES]
    assert len(cases) >= 40 and len(BY_SNAKEMAKE) >= 12
    assert cases == list(SAID)


def test_what_every_case_starts_from_is_in_order(folder):
    prepare(NO_MISTAKE)
    run_chain("bin_spectra")
    with fits.open("spectra.fits") as hdus:
        assert hdus["SPECTRA"].header["EVREAD"] == files.N_EVENTS
        assert hdus["SPECTRA"].header["EVUSED"] == 0.9 * files.N_EVENTS


@pytest.mark.parametrize("case", table.CASES, ids=lambda case: case.name)
def test_one_line(case, folder, capsys):
    prepare(case)
    before = files_below(folder)
    with pytest.raises(SystemExit) as stopped:
        run_chain(case.stage)
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    check_line(line, case, f"{case.stage}: ")
    made = {Path("spectra.fits")} if case.stage == "fit_lines" else set()
    assert files_below(folder) - before == made


@pytest.fixture
def through_snakemake(project, snakemake, monkeypatch):
    """Function: run Snakemake on own.yaml in a copy of the project; the lines of pixelcal."""

    def run(*arguments, command=snakemake):
        made = command(project, *arguments, environment=ENVIRONMENT)
        said = made.stdout + made.stderr
        assert made.returncode != 0, said
        assert "Traceback" not in said, said
        lines = [line for line in made.stderr.splitlines() if JOB.match(line)]
        products = {path for path in files_below(project) if path.parts[0] == "results"}
        return lines, products - {Path("results"), Path("results/eclairs"), MEMORY}

    monkeypatch.chdir(project)
    return run


@pytest.mark.parametrize("case", BY_SNAKEMAKE, ids=lambda case: case.name)
def test_one_line_through_snakemake(case, through_snakemake):
    prepare(case)
    target = "results/eclairs/a/chunks/0000.fits" if case.stage == "fit_lines" else SPECTRA
    (line,), made = through_snakemake(target, "--configfile", "own.yaml")
    job, _ = JOB.match(line).group().split(": ")
    assert job.split()[0] == case.stage
    check_line(line.replace(f"{Path.cwd()}/", ""), case, f"{job}: ")
    spectra = {Path(SPECTRA), Path("results/eclairs/a/truth.ecsv")}
    spectra.add(Path("results/benchmarks/bin_spectra/a.tsv"))
    assert made == (spectra if case.stage == "fit_lines" else set())


def test_broken_yaml_in_the_default_configuration(project, through_snakemake):
    path = project / "config" / "config.yaml"
    path.write_text(path.read_text() + "\nfit: {method: [joint}\n")
    (line,), made = through_snakemake("--dry-run")
    assert re.match(r"configuration: config/config.yaml, line \d+, column 21: is not YAML", line)
    assert not made


def test_broken_yaml_that_snakemake_reads_itself(project, snakemake):
    """Before pixelcal has a say: two lines of Snakemake's, but no traceback and nothing done."""
    (project / "own.yaml").write_text("fit: {method: [joint}\n")
    run = snakemake(project, "--configfile", "own.yaml")
    assert run.returncode != 0 and not (project / "results").exists()
    assert "Config file is not valid JSON or YAML" in run.stderr
    assert "Traceback" not in run.stderr
    own = subprocess.run(
        [sys.executable, "-m", "pixelcal.workflow.config", "own.yaml"],
        cwd=project,
        env=ENVIRONMENT | {"PYTHONPATH": "workflow/scripts"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert own.returncode == 1
    assert re.fullmatch(r"configuration: own.yaml, line 1, column 21: is not YAML .*\n", own.stderr)


# --- where nothing can be written -----------------------------------------------------------------


@pytest.fixture
def mounted(project):
    """Function: mount a tmpfs with options at results/; skips where that is not allowed."""
    place = project / "results"

    def mount(options):
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")

    yield mount
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


def test_a_read_only_results_folder(mounted, through_snakemake):
    prepare(NO_MISTAKE)
    mounted("ro,size=64k")
    (line,), made = through_snakemake(SPECTRA, "--configfile", "own.yaml")
    assert line == ("configuration: results: is read-only, but products go there; make it writable")
    assert not made


def test_a_full_disk(mounted, through_snakemake):
    prepare(NO_MISTAKE)
    mounted("size=40k")
    (line,), made = through_snakemake(SPECTRA, "--configfile", "own.yaml")
    assert re.fullmatch(r"bin_spectra a: cannot write .*\(.*\); free space and run again", line)
    assert not made


def test_a_limit_on_the_size_of_files(through_snakemake):
    """As a full disk, but everywhere to be had. The spectra of 8 pixels need 43 kB."""

    def limited(folder, *arguments, environment):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
        options = {"capture_output": True, "text": True, "check": False}
        environment = environment | {"PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=folder, env=environment, preexec_fn=limit, **options)

    prepare(NO_MISTAKE)
    (line,), made = through_snakemake(SPECTRA, "--configfile", "own.yaml", command=limited)
    assert re.fullmatch(r"bin_spectra a: cannot write .*\(.*\); free space and run again", line)
    assert not made


# --- files are data -------------------------------------------------------------------------------

EVIL = "__import__('os').mkdir('evil')"


def test_nothing_in_a_file_or_its_name_is_evaluated(project, snakemake, monkeypatch):
    """Names that a shell, Python or a careless join of paths would act on are plain names."""
    monkeypatch.chdir(project)
    path = Path("a $(touch evil);`touch evil`&touch evil.fits")
    files.events(path)
    with fits.open(path, mode="update") as hdus:
        hdus[1].columns.change_name("energy", EVIL)
        hdus[1].header["EXTNAME"] = "../../evil"
        hdus[1].header["HISTORY"] = "/etc/passwd ../../evil file:///evil $(touch evil)"
        hdus[1].header["ANCRFILE"] = "../../evil"
    own = {
        "events": {"files": [str(path)], "columns": {"energy": EVIL}},
        "lines": "$(touch evil).csv",
    }
    rows = [
        row.replace("copper", "../../evil").replace("Cu", "$(touch evil)") for row in files.GOOD
    ]
    header = ",".join(table.COLUMNS)
    Path(own["lines"]).write_text("\n".join([header, *rows, ""]))
    Path("own.yaml").write_text(yaml.safe_dump(merged(table.BASE, own)))
    around = set(project.parent.iterdir())
    run = snakemake(project, SPECTRA, "--configfile", "own.yaml", environment=ENVIRONMENT)
    assert run.returncode == 0, run.stderr[-4000:]
    assert set(project.parent.iterdir()) == around
    assert not [path for path in project.rglob("*") if path.name == "evil"]
    made = {path for path in files_below(project) if path.parts[0] == "results"}
    folder = Path("results/eclairs/a")
    assert made == {
        folder / "spectra.fits",
        folder / "truth.ecsv",
        Path("results/benchmarks/bin_spectra/a.tsv"),
        MEMORY,
    }
    assert fits.getheader(SPECTRA, 1)["INFIL001"] == path.name


# --- damage of any kind ---------------------------------------------------------------------------


def read_events(path):
    """Everything that is done with an event file before it is binned, and its rows."""
    files = open_event_files([path], "pira", {}, "single", instrument=ECLAIRS)
    good_time_of(files, None, [])
    for _ in stream(files[0]):
        pass


READERS = {
    "events.fits": read_events,
    "events.fits.gz": read_events,
    "gti.fits": lambda path: read_good_time(path, ["GTICAL-NEO"]),
    "prior.fits": lambda path: read_prior(path, np.arange(8), 0.145, 3.0, instrument=ECLAIRS),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")
def test_random_damage_is_a_mistake_of_the_file(name, folder):
    """Bytes changed anywhere, or the end missing: read as it is or refused, never a fault."""
    whole = files.events().read_bytes()
    write(Path("gti.fits"), files.good_times())
    files.relation()
    Path("events.fits.gz").write_bytes(gzip.compress(whole))
    content = Path(name).read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for number in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 1 + number % 5):
            damaged[place] = rng.integers(32, 127)
        damaged = damaged[: rng.integers(1, len(content))] if number % 3 == 0 else damaged
        Path("damaged").write_bytes(damaged)
        try:
            READERS[name]("damaged")
        except InputError:
            refused += 1
    assert refused >= 50  # those that were cut
