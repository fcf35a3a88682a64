"""Line tables: those that come along against other sources, and every mistake in its one line."""

import re
from pathlib import Path

import numpy as np
import pytest

from pixelcal.eclairs.lines import COLUMNS, read_line_table
from pixelcal.errors import InputError

PROJECT = Path(__file__).parents[2]
TABLES = sorted((PROJECT / "resources" / "lines").glob("*.csv"))
FACTS = PROJECT.parent / "shared" / "ECLAIRS.md"

ATOMIC_NUMBER = {"Cu": 29, "Cd": 48, "Te": 52, "Ta": 73, "W": 74, "Pb": 82}
RYDBERG_KEV = 0.0136057

HEADER = ",".join(COLUMNS)
GOOD = ("Cu,Ka1,8.05,0.577,copper,6.6,10.0,NIST", "Cd,Ka1,23.17,0.541,cadmium,20.6,24.9,NIST")


def write(tmp_path, *rows, header=HEADER):
    path = tmp_path / "lines.csv"
    path.write_text("\n".join(["# a comment", header, *rows]) + "\n", encoding="utf-8")
    return path


def energies(table):
    return {
        (element, transition): (energy, intensity)
        for element, transition, energy, intensity in zip(
            table.element, table.transition, table.energy_keV, table.intensity, strict=True
        )
    }


# --- the tables that come along ------------------------------------------------------------------


def test_tables_come_along():
    assert {path.stem for path in TABLES} >= {"all_blocks", "without_80_90", "strongest"}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table_is_in_order(path):
    table = read_line_table(path)
    assert table.block_limits_keV.shape == (table.n_blocks, 2)
    assert np.all(np.diff(table.block_limits_keV.ravel()) >= 0)
    limits = table.block_limits_keV[table.block]
    assert np.all((table.energy_keV > limits[:, 0]) & (table.energy_keV < limits[:, 1]))
    assert np.all(np.diff(table.energy_keV) > 0)
    assert set(table.block) == set(range(table.n_blocks))
    assert all(table.source)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_series_of_an_element_is_ordered_and_shared_out(path):
    lines = energies(read_line_table(path))
    for element in {element for element, _ in lines}:
        own = {name: line for (who, name), line in lines.items() if who == element}
        order = [own[name] for name in ("Ka2", "Ka1", "Kb3", "Kb1", "Kb2") if name in own]
        assert sorted(order) == order
        assert sum(intensity for _, intensity in own.values()) < 1.01
        # Twice as many electrons in 2p3/2 as in 2p1/2; the rest is relativity.
        assert 0.49 < own["Ka2"][1] / own["Ka1"][1] < 0.60


def test_k_alpha_follows_moseley():
    """E(Ka1) is 3/4 Ry (Z - 1)^2, and relativity makes it larger, the more so the heavier."""
    lines = energies(read_line_table(PROJECT / "resources" / "lines" / "all_blocks.csv"))
    ratio = [
        lines[element, "Ka1"][0] / (0.75 * RYDBERG_KEV * (number - 1) ** 2)
        for element, number in ATOMIC_NUMBER.items()
    ]
    assert ratio == sorted(ratio)
    # Of relative order (Z / 137)^2 / 2 at most.
    excess = (np.array(list(ATOMIC_NUMBER.values())) / 137.036) ** 2 / 2
    assert np.all(np.array(ratio) > 1) and np.all(np.array(ratio) < 1 + excess)


def test_smaller_tables_agree_with_the_full_one():
    full = energies(read_line_table(PROJECT / "resources" / "lines" / "all_blocks.csv"))
    for path in TABLES:
        assert energies(read_line_table(path)).items() <= full.items()


def test_without_80_90_has_no_line_there():
    table = read_line_table(PROJECT / "resources" / "lines" / "without_80_90.csv")
    assert not np.any((table.energy_keV > 80) & (table.energy_keV < 90))
    assert not np.any((table.block_limits_keV > 80) & (table.block_limits_keV < 90))


@pytest.mark.skipif(not FACTS.exists(), reason="the collection of facts is not beside the project")
def test_energies_and_shares_are_those_of_the_facts():
    facts = {}
    for row in FACTS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in row.strip("| ").split("|")]
        if cells[0] in ATOMIC_NUMBER and len(cells) >= 6:
            shares = [float(share) for share in cells[5].split(":")]
            for name, energy, share in zip(
                ("Ka2", "Ka1", "Kb3", "Kb1"), cells[1:5], shares, strict=True
            ):
                facts[cells[0], name] = float(energy), share
            if len(cells) > 6 and cells[6]:
                facts[cells[0], "Kb2"] = float(cells[6].split()[0]), None
    energy, share = facts.pop(("Cu", "Kb1"))
    facts["Cu", "Kb1,3"] = energy, share + facts.pop(("Cu", "Kb3"))[1]
    lines = energies(read_line_table(PROJECT / "resources" / "lines" / "all_blocks.csv"))
    assert lines.keys() == facts.keys()
    for name, (energy, share) in facts.items():
        assert lines[name][0] == energy
        assert share is None or lines[name][1] == pytest.approx(share)


# --- reading -------------------------------------------------------------------------------------


def test_rows_are_ordered_by_block_energy_and_line_energy(tmp_path):
    table = read_line_table(
        write(
            tmp_path,
            "Cd,Kb1,24.5,0.1,cadmium,20.6,24.9,NIST",
            "",
            "# between rows",
            *reversed(GOOD),
            'Cu,"Kb1,3", 9.0,0.13,copper,6.6,10.0,own measurement',
        )
    )
    assert table.block_names == ("copper", "cadmium")
    assert (table.n_lines, table.n_blocks) == (4, 2)
    assert table.element == ("Cu", "Cu", "Cd", "Cd")
    assert table.transition == ("Ka1", "Kb1,3", "Ka1", "Kb1")
    assert table.source[1] == "own measurement"
    np.testing.assert_array_equal(table.energy_keV, [8.05, 9.0, 23.17, 24.5])
    np.testing.assert_array_equal(table.intensity, [0.577, 0.13, 0.541, 0.1])
    np.testing.assert_array_equal(table.block, [0, 0, 1, 1])
    np.testing.assert_array_equal(table.block_limits_keV, [[6.6, 10.0], [20.6, 24.9]])


def test_a_source_may_have_any_letters(tmp_path):
    table = read_line_table(write(tmp_path, GOOD[0].replace("NIST", "Schönfeld"), GOOD[1]))
    assert table.source[0] == "Schönfeld"


def test_blocks_may_touch(tmp_path):
    touching = "Cd,Ka1,23.17,0.541,cadmium,10.0,24.9,NIST"
    assert read_line_table(write(tmp_path, GOOD[0], touching)).n_blocks == 2


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD[0] + ",surplus"], "line 3: expected exactly 8 filled fields"),
        (["Cu,Ka1,8.05"], "line 3: expected exactly 8 filled fields"),
        ([GOOD[0], "Cu,,8.9,0.1,copper,6.6,10.0,NIST"], "line 4: expected exactly 8 filled fields"),
        (["Cu,Ka1,eight,0.5,copper,6.6,10.0,NIST"], "line 3: energy_keV is 'eight', not a number"),
        (["Cu,Ka1,8.05,half,copper,6.6,10.0,NIST"], "line 3: intensity is 'half', not a number"),
        (["Cu,Ka1,-8.05,0.5,copper,6.6,10.0,NIST"], "line 3: energy_keV is -8.05; it must be"),
        (["Cu,Ka1,8.05,0,copper,6.6,10.0,NIST"], "line 3: intensity is 0; it must be positive"),
        (["Cu,Ka1,nan,0.5,copper,6.6,10.0,NIST"], "line 3: energy_keV is nan; it must be"),
        (["Cu,Ka1,8.05,0.5,copper,6.6,inf,NIST"], "line 3: block_max_keV is inf; it must be"),
        (["Cu,Ka1,8.05,0.5,copper,10.0,6.6,NIST"], "line 3: block copper runs from 10.0 to 6.6"),
        (["Cu,Ka1,8.05,0.5,copper,8.5,10.0,NIST"], "line 3: the line at 8.05 keV lies outside"),
        (["Cu,Ka1,8.05,0.5,copper,8.05,10.0,NIST"], "line 3: the line at 8.05 keV lies outside"),
        (
            [*GOOD, "Cu,Kb1,8.9,0.1,copper,6.6,10.5,NIST"],
            "block copper has two different intervals, (6.6, 10.0) and (6.6, 10.5) keV",
        ),
        (
            [*GOOD, "Pb,La1,10.5,0.1,lead,9.5,12.0,NIST"],
            "the blocks copper and lead overlap",
        ),
        (["Cü,Ka1,8.05,0.5,copper,6.6,10.0,x"], r"line 3: element is 'C\xfc'; write it in ASCII"),
        (["Cu,Kα1,8.05,0.5,copper,6.6,10.0,x"], r"line 3: transition is 'K\u03b11'; write it in"),
        (["Cu,Ka1,8.05,0.5,Kupferblöcke,6.6,10.0,x"], r"line 3: block is 'Kupferbl\xf6cke'; write"),
        ([GOOD[0]], "at least two lines at different energies"),
        ([GOOD[0], GOOD[0]], "at least two lines at different energies"),
        ([], "at least two lines at different energies"),
    ],
)
def test_mistakes_in_rows(tmp_path, rows, message):
    path = write(tmp_path, *rows)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_line_table(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (FileNotFoundError)"),
        (b"\xff\xfe\x00", "cannot be read (UnicodeDecodeError)"),
        (b"", "is empty; expected the columns element, transition"),
        (b"# only\n\n  # comments\n", "is empty"),
        (b"element,transition,energy_keV\nCu,Ka1,8.05\n", "lacks the column(s) intensity, block"),
    ],
)
def test_mistakes_in_files(tmp_path, content, message):
    path = tmp_path / "lines.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_line_table(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_line_table(tmp_path)
