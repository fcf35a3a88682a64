"""Figures of the charge resolution: drawn whatever there is, the same bytes each time."""

import numpy as np
import pytest
from helpers.flashes import make_scan, spe_table, spread_truth

from pixelcal.charge.figures.resolution import NOTHING, extracted_figure, resolution_figure
from pixelcal.charge.resolution.measure import Settings, measure_scan
from pixelcal.plotting import plots
from pixelcal.status import ChargeStatus

NSB = (0.125, 1.25)


def measure(charges, n_pixels=20, nsb=0.125, status=0, **settings):
    truth = spread_truth(np.random.default_rng(2), n_pixels)
    runs, files = make_scan(charges, n_pixels, 100, truth, seed=6, nsb=nsb)
    spe = spe_table(truth, n_pixels)
    spe["STATUS"] = status
    chosen = Settings("spe", "lab", 0.5, NSB)._replace(**settings)
    return measure_scan(runs, files.__getitem__, spe, chosen)


def texts(figure):
    figure.draw_without_rendering()
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(artist.get_text() for artist in found if artist.get_visible())


@pytest.mark.filterwarnings("error")
def test_what_the_figures_say():
    measured = measure((0.0, 0.5, 3.0, 20.0, 150.0, 900.0))
    figure = resolution_figure(measured.camera, measured.pixels, NSB, "SSTCAM")
    said = texts(figure)
    for words in ("requirement, NSB 0.125 p.e./ns", "Poisson limit", "NSB 1.25 p.e./ns: 4 of 4"):
        assert words in said
    assert NOTHING not in said


@pytest.mark.filterwarnings("error")
def test_the_extracted_charges_lie_along_the_expected_ones(tmp_path):
    measured = measure((3.0, 20.0, 150.0))
    figure = extracted_figure(measured.camera, "SSTCAM")
    assert "equal" in texts(figure)
    mesh = figure.axes[0].collections[0]
    edges = np.asarray(mesh.get_coordinates()[:, 0, 1])
    middle = np.sqrt(edges[1:] * edges[:-1])
    peaks = middle[np.argmax(mesh.get_array().filled(0), axis=0)]
    assert peaks[1:] == pytest.approx([20, 150], rel=0.15)
    first, second = (tmp_path / f"{k}.png" for k in range(2))
    for path in (first, second):
        plots.save_figure(extracted_figure(measured.camera, "SSTCAM"), path)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "measured",
    [
        measure((3.0,), n_pixels=1),
        measure((3.0, 30.0), nsb=np.nan),
        measure((3.0, 30.0), status=ChargeStatus.POOR_FIT),
        measure((1.0, 3.0, 30.0), conversion="transfer"),
    ],
    ids=["one run of one pixel", "no NSB", "none good", "transfer"],
)
def test_whatever_there_is(measured):
    nothing = not np.isfinite(measured.camera["RESOLUTION"]).any()
    for figure in (
        resolution_figure(measured.camera, measured.pixels, NSB, "SSTCAM"),
        extracted_figure(measured.camera, "SSTCAM"),
    ):
        assert (NOTHING in texts(figure)) == nothing


def test_backgrounds_have_markers_of_their_own():
    measured = measure((3.0, 30.0, 100.0))
    measured.camera["NSB"] = [0.0, 0.5, np.nan]
    said = texts(resolution_figure(measured.camera, measured.pixels, NSB, "SSTCAM"))
    assert "NSB set to 0" in said and "NSB set to 0.5" in said and "NSB unknown" in said
