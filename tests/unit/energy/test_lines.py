"""Line tables: those that come along against other sources, and how they are read."""

import numpy as np
import pytest
from helpers.paths import PROJECT

from pixelcal.energy.lines import COLUMNS, read_line_table
from pixelcal.errors import InputError

LINES = PROJECT / "resources" / "lines"
TABLES = sorted(path for path in LINES.glob("*.csv") if path.stem != "materials")
BACKGROUND = [LINES / f"{name}.csv" for name in ("all_blocks", "without_80_90", "strongest")]
"""Tables of the ECLAIRs background, with one another's numbers."""
FACTS = PROJECT.parent / "shared" / "ECLAIRS.md"

ATOMIC_NUMBER = {"Cu": 29, "Cd": 48, "Te": 52, "Ta": 73, "W": 74, "Pb": 82}
RYDBERG_KEV = 0.0136057

LEFT_OUT = (("Cd", "Kb2"), ("Te", "Kb2"))
"""Lines of the facts that the tables do not have yet: up to 24 eV at 150 keV."""

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
    sources = {"ba133", "am241", "co57", "fe55"}
    assert {path.stem for path in TABLES} >= {path.stem for path in BACKGROUND} | sources


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


@pytest.mark.parametrize("path", [*BACKGROUND, LINES / "complete.csv"], ids=lambda path: path.stem)
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
    for path in BACKGROUND:
        assert energies(read_line_table(path)).items() <= full.items()


def test_complete_adds_what_is_left_out():
    full, complete = (
        energies(read_line_table(LINES / f"{name}.csv")) for name in ("all_blocks", "complete")
    )
    assert full.items() <= complete.items()
    assert complete.keys() - full.keys() == set(LEFT_OUT)
    for element in ("Cd", "Te"):  # the shares of the K series now add up
        shares = [share for (who, _), (_, share) in complete.items() if who == element]
        assert sum(shares) == pytest.approx(1.0, abs=0.005)


def test_without_80_90_has_no_line_there():
    table = read_line_table(PROJECT / "resources" / "lines" / "without_80_90.csv")
    assert not np.any((table.energy_keV > 80) & (table.energy_keV < 90))
    assert not np.any((table.block_limits_keV > 80) & (table.block_limits_keV < 90))


@pytest.mark.skipif(not FACTS.exists(), reason="../shared/ECLAIRS.md is not there")
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
    for absent in LEFT_OUT:
        del facts[absent]
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


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_line_table(tmp_path)


# --- optional columns ----------------------------------------------------------------------------

WITH_BOTH = HEADER + ",energy_err_keV,width_keV,remark"


def test_energy_errors_and_widths_are_read(tmp_path):
    rows = (GOOD[0] + ",0.04,,any", GOOD[1] + ",, 0.0096,")
    table = read_line_table(write(tmp_path, *rows, header=WITH_BOTH))
    np.testing.assert_array_equal(table.energy_err_keV, [0.04, np.nan])
    np.testing.assert_array_equal(table.width_keV, [0.0, 0.0096])


def test_without_them_nothing_is_stated(tmp_path):
    table = read_line_table(write(tmp_path, *GOOD))
    np.testing.assert_array_equal(table.energy_err_keV, [np.nan, np.nan])
    np.testing.assert_array_equal(table.width_keV, [0.0, 0.0])


@pytest.mark.parametrize("name", ["energy_err_keV", "width_keV"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [("wide", "is 'wide', not a number"), ("-1", "is -1; it must be"), ("nan", "is nan; it must")],
)
def test_their_mistakes_are_named(tmp_path, name, text, reason):
    path = write(tmp_path, GOOD[0] + "," + text, GOOD[1], header=f"{HEADER},{name}")
    with pytest.raises(InputError, match=f"line 3: {name} {reason}") as caught:
        read_line_table(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
