"""Only what is stale runs again: docs/stale.md says what, and here each of its edits is made.

Every edit is planned by a dry run, in a finished run of the CI workflow: a plan reads dates,
checksums and settings, no events. For own files a finished run is claimed with --touch.
"""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from helpers.project_copies import copy_library
from helpers.staleness import (
    CHUNK_PIXELS,
    FIT_SCRIPT,
    JOINT_FIT,
    OWN,
    SAID,
    SHIPPED_LINES,
    VALIDATION,
    WITH_CONDA,
    Edit,
    append,
    expected_jobs,
    planned_jobs,
    replace,
    touch_everything,
)
from helpers.walk import CI, THREE

# --- changes of files: by new files, since those of the finished run are linked -------------------


def comment(folder):
    """Comments in a script and in a module, and another docstring."""
    append(FIT_SCRIPT, "\n# a comment\n")(folder)
    append(VALIDATION, "\n# a comment\n")(folder)
    path = folder / JOINT_FIT
    text = path.read_text()
    assert text.startswith('"""')
    replace(path, text.replace('"""', '"""Another beginning. ', 1).encode())


def add_keys(folder):
    """A key with a default in every section of the schema, and in the groups within."""
    path = folder / "workflow/schemas/config.schema.yaml"
    schema = yaml.safe_load(path.read_text())

    def extend(section):
        for own in list(section.get("properties", {}).values()):
            extend(own)
        if "properties" in section and section.get("additionalProperties") is False:
            section["properties"]["added"] = {"type": ["string", "null"], "default": None}

    rates = schema["properties"]["simulation"]["properties"]
    lists = {name: rates.pop(name) for name in ("line_rates_per_s", "continuum_rates_per_s")}
    extend(schema)
    extend(schema["properties"]["exposures"]["additionalProperties"])
    rates.update(lists)  # a rate added there is a component of the background, not an option
    replace(path, yaml.safe_dump(schema, sort_keys=False).encode())


# --- the edits, by their names in the page --------------------------------------------------------

OLDER = -(10**6)
"""Seconds after the date of before that a replacement has."""


def of_3ks(**settings):
    """The three exposures with settings of one's own for the first."""
    return {"exposures": THREE | {"3ks": THREE["3ks"] | settings}}


EDITS = {
    "`seconds` of an exposure": Edit(of_3ks(seconds=2500)),
    "`start` of an exposure": Edit(of_3ks(start="2017-01-01T00:10:00")),
    "`multiplicity` of an exposure": Edit(of_3ks(multiplicity="all")),
    "`injection.seed` of an exposure": Edit(of_3ks(injection={"seed": 2})),
    "`lines` of an exposure": Edit(of_3ks(lines="resources/lines/strongest.csv")),
    "`fit.method` of an exposure": Edit(of_3ks(fit={"method": "two-step"})),
    "an exposure added": Edit({"exposures": {"2ks": {"seconds": 2000}} | THREE}),
    "an exposure removed": Edit({"exposures": {n: THREE[n] for n in ("3ks", "10ks")}}),
    "the exposures in another order": Edit({"exposures": dict(reversed(THREE.items()))}),
    "keys in another order, 3000 written as 3000.0": Edit(
        of_3ks(seconds=3000.0)
        | {"injection": {"seed": 1, "offset_sigma_keV": 0.1, "gain_sigma": 0.003}}
    ),
    "`simulation.seed`": Edit({"simulation": {"seed": 2}}),
    "`injection.seed`": Edit({"injection": {"seed": 2}}),
    "`events.seed`": Edit({"events": {"seed": 2}}),
    "`relation.gain_keV`": Edit({"relation": {"gain_keV": 0.146}}),
    "`bad_pixels`, where there were none": Edit(
        {"bad_pixels": "bad.csv"}, lambda folder: (folder / "bad.csv").write_text("DETNUM\n5\n")
    ),
    "`fit.min_counts`": Edit({"fit": {"min_counts": 201}}),
    "`fit.pvalue_limit`": Edit({"fit": {"pvalue_limit": 1.0e-3}}),
    "`fit.chunk_pixels`": Edit({"fit": {"chunk_pixels": 23}}),
    "an option of the method that is not used": Edit({"fit": {"two_step": {"tolerance_sigma": 3}}}),
    "`changes.threshold_sigma`": Edit({"changes": {"threshold_sigma": 4.0}}),
    "`pixels`": Edit({"pixels": "1-64"}),
    "`date`": Edit({"date": "2026-01-31"}),
    "`--cores`": Edit(arguments=("--cores", 7)),
    "an event file's content": Edit(change=append("b.fits", "more"), own_files=True),
    "the event files in another order": Edit(
        {"events": {"files": ["b.fits", "a.fits"]}}, own_files=True
    ),
    "`events.first_pixel`": Edit({"events": {"first_pixel": 1}}, own_files=True),
    "the good times' content": Edit(change=append("gti.fits", "more"), own_files=True),
    "the prior relation's content": Edit(change=append("prior.fits", "more"), own_files=True),
    "the line table's content": Edit(change=append("lines.csv", "# more\n"), own_files=True),
    "the bad-pixel table's content": Edit(change=append("bad.csv", "6\n"), own_files=True),
    "an event file replaced by an older one of the same size": Edit(
        change=lambda folder: replace(folder / "a.fits", b"A.FITS", OLDER), own_files=True
    ),
    "the good times replaced by an older file": Edit(
        change=append("gti.fits", "more", OLDER), own_files=True
    ),
    "the prior relation replaced by an older file": Edit(
        change=append("prior.fits", "more", OLDER), own_files=True
    ),
    "the line table replaced by an older file": Edit(
        change=append("lines.csv", "# more\n", OLDER), own_files=True
    ),
    "the bad-pixel table replaced by an older file": Edit(
        change=append("bad.csv", "6\n", OLDER), own_files=True
    ),
    "the pixel map replaced by an older file": Edit(
        change=append("resources/eclairs_pixels.csv", "# more\n", OLDER), own_files=True
    ),
    "all of them, scripts and library touched, the bytes as before": Edit(
        change=touch_everything, own_files=True
    ),
    "the content of `resources/lines/all_blocks.csv`, with simulated events": Edit(
        change=append(SHIPPED_LINES, "# more\n")
    ),
    "`resources/attenuation/cdte.csv` replaced by an older file, with simulated events": Edit(
        change=append("resources/attenuation/cdte.csv", "# more\n", OLDER)
    ),
    "the content of `resources/lines/materials.csv`": Edit(
        change=append("resources/lines/materials.csv", "# more\n")
    ),
    "a module of the joint fit": Edit(change=append(JOINT_FIT, "\nADDED = 1\n")),
    "the script of the fit": Edit(change=append(FIT_SCRIPT, "\nADDED = 1\n")),
    "a module of the validation": Edit(change=append(VALIDATION, "\nADDED = 1\n")),
    "a template of the report": Edit(
        change=append(
            "workflow/scripts/pixelcal/report/templates/energy/report.html.j2", "<!-- more -->"
        )
    ),
    "a comment or a docstring in a script or module": Edit(change=comment),
    "a key with a default added to each section of the schema": Edit(change=add_keys),
    "an environment file, without `--sdm conda`": Edit(change=append("envs/fit.yaml", "# more\n")),
}


# --- the page -------------------------------------------------------------------------------------


# --- the plans ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(ci_project, snakemake, tmp_path_factory):
    """Own files or not -> folder of a finished run, and its configuration files."""
    own = tmp_path_factory.mktemp("own") / "project"
    shutil.copytree(ci_project, own, symlinks=True)
    for name in ("a.fits", "b.fits", "gti.fits", "prior.fits"):
        (own / name).write_text(name)  # a plan does not read them
    (own / "bad.csv").write_text("DETNUM\n5\n")
    shutil.copy(own / SHIPPED_LINES, own / "lines.csv")
    (own / "own.yaml").write_text(yaml.safe_dump(OWN))
    run = snakemake(own, "--touch", "--configfile", CI, "own.yaml")
    assert run.returncode == 0, run.stderr
    return {False: (ci_project, [CI]), True: (own, [CI, "own.yaml"])}


@pytest.fixture(scope="module")
def plans(finished, snakemake, tmp_path_factory):
    """Edit -> the dry run after it; as many at a time as there are cores."""

    def plan(number):
        edit = list(EDITS.values())[number]
        place = tmp_path_factory.mktemp(f"edit{number}")
        folder, files = finished[edit.own_files]
        if edit.change is not None:
            folder = shutil.copytree(
                folder, place / "project", symlinks=True, copy_function=os.link
            )
            edit.change(copy_library(folder))
        (place / "edit.yaml").write_text(yaml.safe_dump(edit.settings, sort_keys=False))
        return snakemake(
            folder, "--dry-run", "--configfile", *files, place / "edit.yaml", *edit.arguments
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(EDITS, pool.map(plan, range(len(EDITS))), strict=True))


def test_the_page_has_every_edit_and_no_other():
    assert set(SAID) == {*EDITS, WITH_CONDA}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_what_the_page_says(edit, plans):
    chunk_pixels = EDITS[edit].settings.get("fit", {}).get("chunk_pixels", CHUNK_PIXELS)
    assert planned_jobs(plans[edit]) == expected_jobs(SAID[edit], chunk_pixels)


@pytest.mark.parametrize("own_files", [False, True])
def test_nothing_runs_without_an_edit(finished, snakemake, own_files):
    folder, files = finished[own_files]
    assert planned_jobs(snakemake(folder, "--dry-run", "--configfile", *files)) == set()
