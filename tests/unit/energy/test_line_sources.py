"""Tables of sources and the catalogue of materials: against each other, and against physics."""

import csv

import numpy as np
import pytest
from helpers.paths import PROJECT

from pixelcal.energy.lines import read_line_table
from pixelcal.errors import InputError

LINES = PROJECT / "resources" / "lines"
TABLES = sorted(path.stem for path in LINES.glob("*.csv") if path.stem != "materials")

SYMBOLS = (
    "Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I"
    " Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po"
    " At Rn Fr Ra Ac Th Pa U"
)
NUMBER = {symbol: number for number, symbol in enumerate(SYMBOLS.split(), 22)}

ROUNDED_KEV = 0.0006
"""The older tables are rounded to 1 eV."""

ONE_OF_TWO = {("Ta", "Kb2"): 0.04, ("W", "Kb2"): 0.027, ("Pb", "Kb2"): 0.08}
"""K beta 2 of the older tables is K-N2 alone: by how much (keV) its mean with K-N3 is higher."""


def catalogue() -> list[dict]:
    text = (LINES / "materials.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in text if not line.startswith("#")))
    for row in rows:
        for name in ("energy_keV", "intensity", "energy_err_keV", "width_keV"):
            row[name] = float(row[name] or "nan")
    return rows


def by_line(what="energy_keV") -> dict[tuple[str, str], float]:
    return {(row["element"], row["transition"]): row[what] for row in catalogue()}


def of_transition(name, what="energy_keV"):
    """Atomic numbers and values of one transition in all elements that have it."""
    found = [(NUMBER[who], value) for (who, t), value in by_line(what).items() if t == name]
    return np.array(sorted(found)).T


def test_catalogue_is_no_table_to_fit_with():
    with pytest.raises(InputError, match="lacks the column.s. block, block_min_keV, block_max_keV"):
        read_line_table(LINES / "materials.csv")


def test_catalogue_is_whole():
    rows = catalogue()
    assert len(by_line()) == len(rows) > 150
    for row in rows:
        assert row["source"] and 0 < row["intensity"] < 1 and 4 < row["energy_keV"] < 120
        assert not row["energy_err_keV"] > 0.01 and not row["width_keV"] > 0.12
    l_lines = {row["element"] for row in rows if row["transition"] == "Lb1"}
    assert l_lines == {"Ta", "W", "Pt", "Au", "Pb", "Bi"}


@pytest.mark.parametrize("name", TABLES)
def test_a_line_has_one_energy_in_all_tables(name):
    table, known = read_line_table(LINES / f"{name}.csv"), by_line()
    for element, transition, energy in zip(
        table.element, table.transition, table.energy_keV, strict=True
    ):
        line = element, transition
        if line in ONE_OF_TWO:
            assert known[line] - energy == pytest.approx(ONE_OF_TWO[line], abs=ROUNDED_KEV)
        elif line in known:
            assert known[line] == pytest.approx(energy, abs=ROUNDED_KEV)
        else:  # nuclides, and neptunium, which is no material
            assert "-" in element or element == "Np"


def test_k_lines_are_in_their_order():
    energy, share = by_line(), by_line("intensity")
    for element in {element for element, _ in energy if "-" not in element}:
        names = [t for t in ("Ka2", "Ka1", "Kb3", "Kb1,3", "Kb1", "Kb2") if (element, t) in energy]
        values = [energy[element, t] for t in names]
        assert values == sorted(values) and len(set(values)) == len(values)
        assert 0.49 < share[element, "Ka2"] / share[element, "Ka1"] < 0.63
        assert 0.95 < sum(share[element, t] for t in names) < 1.001


@pytest.mark.parametrize("name", ["Ka2", "Ka1", "Kb3", "Kb1", "Kb2", "La1", "Lb1", "Lb2", "Lg1"])
def test_energies_follow_moseley(name):
    """The root of the energy is smooth in the atomic number: a polynomial is within 0.1 %."""
    number, energy = of_transition(name)
    degree = 4 if len(number) > 8 else 2
    smooth = np.polyval(np.polyfit(number - 60, np.sqrt(energy), degree), number - 60)
    np.testing.assert_allclose(smooth**2, energy, rtol=0.001)


def test_k_widths_grow_as_the_fourth_power():
    """Radiative widths go with Z^4 and Auger widths hardly at all: W + A Z^4 up to relativity."""
    number, width = of_transition("Ka1", "width_keV")
    assert np.all(np.diff(width) > 0)
    heavy = number > 45
    power = np.polyfit(np.log(number[heavy]), np.log(width[heavy]), 1)[0]
    assert 3.5 < power < 4.0


def test_differences_of_k_and_l_lines_agree():
    """K-L3 minus K-L2 is the difference of the L2 and L3 levels, and so is Lb1 minus La2."""
    energy = by_line()
    for element in ("Ta", "W", "Pt", "Au", "Pb", "Bi"):
        split = energy[element, "Ka1"] - energy[element, "Ka2"]
        assert energy[element, "Lb1"] - energy[element, "La2"] == pytest.approx(split, abs=0.003)


@pytest.mark.parametrize(
    ("name", "parent", "sum_of", "cascade"),
    [
        ("co57", "Co-57", ("g14", "g122"), "g136"),
        ("am241", "Am-241", ("g26", "g33"), "g60"),
    ],
)
def test_cascades_add_up(name, parent, sum_of, cascade):
    table = read_line_table(LINES / f"{name}.csv")
    lines = dict(zip(table.transition, table.energy_keV, strict=True))
    assert sum(lines[part] for part in sum_of) == pytest.approx(lines[cascade], abs=0.0006)
    assert parent in table.element


def test_sources_state_uncertainties_below_those_of_common_tables():
    for name in ("ba133", "am241", "co57", "fe55"):
        table = read_line_table(LINES / f"{name}.csv")
        stated = table.energy_err_keV[np.isfinite(table.energy_err_keV)]
        assert len(stated) > 2 and np.all((stated > 0) & (stated < 0.01))
