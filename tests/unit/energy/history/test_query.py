"""The relation of a pixel on a date, from Python and from the command line."""

import datetime
import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.histories import simulate_history, write_history, write_relations
from helpers.paths import SCRIPTS

from pixelcal.__main__ import main
from pixelcal.api import relation_at
from pixelcal.energy.history.tables import read_history
from pixelcal.energy.relation import energy_sigma
from pixelcal.errors import InputError

JUMP = (40, 5, 1.0)
FIRST_START = datetime.datetime(2024, 9, 1)
"""400 weeks of mission time."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    history = simulate_history(320, 8, seed=31, pixel_jumps=[JUMP], missing=0.0)
    used = history.used.copy()
    used[3] = False
    history = history._replace(used=used, y=np.where(used[..., None], history.y, np.nan))
    return write_history(folder, write_relations(folder / "relations", history))["history"]


@pytest.mark.parametrize(
    ("days", "epoch"), [(0, 0), (5, 0), (6.5, 0), (7, 1), (34, 4), (35, 5), (300, 7)]
)
def test_it_is_the_epoch_of_the_date_or_that_before(path, days, epoch):
    when = FIRST_START + datetime.timedelta(days=days, hours=1)
    found = relation_at(path, 40, when)
    tables = read_history(path)
    assert found.epoch == f"week{epoch:02d}"
    assert found.gain == float(tables.column("BEST_GAIN")[40, epoch])
    best = [
        float(tables.column(name)[40, epoch])
        for name in ("BEST_GAIN", "BEST_OFFSET", "BEST_GAIN_ERR", "BEST_OFFSET_ERR", "BEST_COV")
    ]
    assert found.sigma_keV[3] == pytest.approx(float(energy_sigma(80.0, *best)))
    assert found.systematic_keV == pytest.approx((0.02,) * 5)
    assert found.jump == (1 if epoch == JUMP[1] else 0)
    since = str(tables.epochs["DATE_OBS"][int(tables.epochs["IN_FORCE"][epoch])])
    assert found.in_force_since == since and found.published.endswith(since[:10].replace("-", ""))


def test_a_date_stands_for_its_day(path):
    assert relation_at(path, 40, "2024-09-08").epoch == "week01"
    assert relation_at(path, 40, "2024-09-07").epoch == "week00"
    assert relation_at(path, 40, "2024-09-07T23:59:59").epoch == "week00"
    assert relation_at(path, 40, "2024-09-08T01:30:00+02:00").epoch == "week00"


@pytest.mark.parametrize(
    ("pixel", "date", "words"),
    [
        (400, "2024-09-08", "pixel 400 is not in the history, which has 320 pixels"),
        (4, "2020-01-01", "is before the history, which begins on 2024-09-01T00:00:00"),
        (4, "next week", "date 'next week' is not a date; write it as 2025-03-20"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(path, pixel, date, words, capsys):
    with pytest.raises(InputError, match=words[:20]):
        relation_at(path, pixel, date)
    assert main(["relation", "--pixel", str(pixel), "--date", date, "--history", str(path)]) == 1
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out


def test_the_command_line(path):
    command = [sys.executable, "-m", "pixelcal", "relation", "--pixel", "40"]
    command += ["--date", "2024-09-20", "--history", str(path)]
    run = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("pixel 40, module ")
    assert "week02" in run.stdout and "AUX-ECL-PIX-CAL-20240901" in run.stdout
    assert len(run.stdout.splitlines()) == 13
    found = relation_at(path, 40, "2024-09-20")
    assert f"gain        {found.gain:.6f} ± {found.gain_err:.6f} keV/channel" in run.stdout
    run = subprocess.run(
        [*command, "--json"], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout)["gain"] == found.gain


def test_a_pixel_without_any_fit_says_so(path, capsys):
    assert main(["relation", "--pixel", "3", "--date", "2024-09-20", "--history", str(path)]) == 0
    assert "never had a valid fit" in capsys.readouterr().out


def test_a_file_that_is_no_history(tmp_path, capsys):
    arguments = ["relation", "--pixel", "3", "--date", "2024-09-20", "--history"]
    assert main([*arguments, str(tmp_path / "absent.fits")]) == 1
    assert "no such file" in capsys.readouterr().err
