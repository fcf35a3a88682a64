"""Figures, lists and pixels on demand as the workflow makes them, whatever there is."""

import re
import shutil

import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

CI = "config/ci.yaml"
FIGURES = (
    "camera",
    "prior",
    "comparison",
    "statistics",
    "uncertainty",
    "energy_errors",
    "differences",
    "changes",
    "spectrum",
)
LISTS = ("changed", "over_requirement", "no_answer")


def check_figures(folder):
    """All figures of an exposure are there, in both formats."""
    for name in FIGURES:
        assert (folder / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def read_list(folder, name):
    return Table.read(folder / f"lists/{name}.txt", format="ascii.commented_header")


@pytest.mark.parametrize("exposure", ["3ks", "5ks", "10ks"])
def test_figures_and_lists_of_the_default_target(ci_results, exposure):
    folder = ci_results / "eclairs" / exposure
    check_figures(folder)
    status = fits.getdata(folder / "relation.fits", "RELATION")["STATUS"]
    assert len(read_list(folder, "no_answer")) == ((status & 7) != 0).sum()
    assert not (folder / "pixels").exists()


@pytest.fixture
def finished(ci_project, tmp_path):
    """A copy of the CI run that may be changed."""
    return shutil.copytree(ci_project, tmp_path / "finished", symlinks=True)


def test_one_pixel_on_demand(finished, snakemake):
    picture = "results/eclairs/10ks/pixels/0042.png"
    first = snakemake(finished, picture, "--configfile", CI)
    assert first.returncode == 0, first.stderr[-4000:]
    done = set(re.findall(r"^(?:local)?rule (\w+):", first.stderr, re.MULTILINE))
    assert done == {"plot_pixel"}
    made = [finished / picture, (finished / picture).with_suffix(".pdf")]
    before = [path.read_bytes() for path in made]
    assert before[0].startswith(b"\x89PNG") and before[1].startswith(b"%PDF")
    again = snakemake(finished, picture, "--forcerun", "plot_pixel", "--configfile", CI)
    assert again.returncode == 0, again.stderr[-4000:]
    assert [path.read_bytes() for path in made] == before


def test_a_pixel_that_is_not_selected_is_one_clear_line(project, snakemake):
    run = snakemake(project, "results/eclairs/10ks/pixels/0099.png", "--configfile", CI)
    assert run.returncode != 0
    lines = (run.stdout + run.stderr).splitlines()
    said = [line.strip() for line in lines if "configuration:" in line]
    assert said == [
        "configuration: pixel 0099 is not among the 64 selected by `pixels`;"
        " select it, or ask for another"
    ]
    assert "most recent call" not in run.stderr and not (project / "results" / "eclairs").exists()


@pytest.mark.parametrize("name", ["42", "00042"])
def test_a_pixel_of_other_than_four_digits_is_one_clear_line(project, snakemake, name):
    run = snakemake(project, f"results/eclairs/10ks/pixels/{name}.png", "--configfile", CI)
    assert run.returncode != 0
    lines = [line.strip() for line in run.stderr.splitlines() if "four digits" in line]
    assert lines == [f"pixel {name}: pictures of pixels have names of four digits; ask for 0042"]
    assert "most recent call" not in run.stderr and not (project / "results" / "eclairs").exists()


def test_a_threshold_remakes_pictures_and_lists_alone(ci_project, snakemake, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("changes: {threshold_sigma: 3.0}")
    run = snakemake(ci_project, "--dry-run", "--configfile", CI, extra)
    done = set(re.findall(r"^(?:local)?rule (\w+):", run.stdout + run.stderr, re.MULTILINE))
    assert {"plot_relation", "write_lists"} <= done
    assert not {"bin_spectra", "fit_lines", "merge_relation", "plot_spectrum"} & done


def pictures_of(project, snakemake, exposure, pixel, settings):
    """Run what figures, lists and a picture of a pixel need; returns the folder."""
    (project / "own.yaml").write_text(yaml.safe_dump(settings))
    folder = f"results/eclairs/{exposure}"
    names = ("figures/camera.png", "figures/spectrum.png", "lists/changed.txt")
    targets = [f"{folder}/{name}" for name in (*names, f"pixels/{pixel}.png")]
    run = snakemake(project, *targets, "--configfile", "own.yaml")
    assert run.returncode == 0, run.stderr[-6000:]
    check_figures(project / folder)
    return project / folder


def test_flight_events_by_the_two_step_method(project, snakemake):
    """No truth, one exposure, four pixels, no response."""
    settings = {
        "pixels": "0-3",
        "events": {"layout": "ecl-evt-cal", "multiplicity": "all"},
        "simulation": {"good_seconds": 3000},
        "exposures": {"flight": {"seconds": 3000, "fit": {"method": "two-step"}}},
    }
    folder = pictures_of(project, snakemake, "flight", "0002", settings)
    assert "SIGMA_4" in read_list(folder, "over_requirement").colnames


def test_one_pixel_without_a_valid_fit(project, snakemake):
    """Too short for any pixel."""
    settings = {
        "pixels": "5",
        "simulation": {"good_seconds": 30},
        "exposures": {"short": {"seconds": 30}},
    }
    folder = pictures_of(project, snakemake, "short", "0005", settings)
    assert read_list(folder, "no_answer")["DETNUM"].tolist() == [5]
