"""Names of lines: the same in figures and on the page, for every line of every table."""

import numpy as np
import pytest
from helpers.instruments import REQUIREMENT
from helpers.paths import PROJECT

from pixelcal.energy.figures import spectrum
from pixelcal.energy.line_labels import line_labels
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.report.pixels import labels_of_blocks

LINES = PROJECT / "resources" / "lines"
TABLES = sorted(path for path in LINES.glob("*.csv") if path.stem != "materials")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_figures_and_page_name_every_line_alike(path):
    table = read_line_table(path)
    nothing = ("", np.zeros(1024, int), np.zeros(1024), (0.145, 3.0))
    edges = spectrum.stack_edges_keV(range_keV=REQUIREMENT.range_keV)
    figure = spectrum.spectrum_figure(np.array([]), edges, nothing, [], 1.0, table, "")
    drawn = [text.get_text() for text in figure.axes[0].texts if text.get_rotation() == 90]
    blocks = labels_of_blocks(table)
    shown = sorted(
        (label for block in blocks.values() for label in block), key=lambda x: x["energy"]
    )
    assert drawn == [label["label"] for label in shown]
    # Every line of the table is within the distance in which lines have one name.
    energies = np.array([label["energy"] for label in shown])
    names = np.array([label["label"].split()[0] for label in shown])
    for element, energy in zip(table.element, table.energy_keV, strict=True):
        assert np.abs(energies[names == element] - energy).min() < 0.8


def test_lines_that_the_camera_tells_apart():
    labels = line_labels(read_line_table(TABLES[0].with_name("all_blocks.csv")))
    names = [label.text for label in labels]
    assert names[:6] == ["Cu Kα", "Cu Kβ₁,₃", "Cd Kα", "Cd Kβ", "Te Kα", "Te Kβ"]
    assert {"W Kα₁", "W Kα₂", "Ta Kβ₂", "Pb Kβ₁,₃"} <= set(names)
    # The two of cadmium K alpha at their mean weighted by intensity.
    mean = (0.288 * 22.984 + 0.541 * 23.174) / (0.288 + 0.541)
    assert labels[2].energy_keV == pytest.approx(mean)


def test_gammas_bear_their_energy_and_l_lines_their_letters():
    labels = [label.text for label in line_labels(read_line_table(LINES / "ba133.csv"))]
    assert labels[-3:] == ["Ba-133 γ 53.2", "Ba-133 γ 79.6", "Ba-133 γ 81.0"]
    labels = [label.text for label in line_labels(read_line_table(LINES / "am241.csv"))]
    assert {"Np Ll", "Np Lα", "Np Lη", "Np Lβ", "Am-241 γ 59.5"} <= set(labels)
