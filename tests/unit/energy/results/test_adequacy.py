"""Adequacy of the model: sums, what fits leave of their variance, and names, with truth put in."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from astropy.table import Table
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH
from scipy import stats

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.columns import residual_edges, residual_rows
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels, fit_with_residuals
from pixelcal.energy.lines import line_groups
from pixelcal.energy.response.tables import make_templates
from pixelcal.energy.results import adequacy, foreign_lines
from pixelcal.energy.results.adequacy_files import adequacy_numbers, residual_hdus
from pixelcal.energy.simulation.detector import Detector, expected_counts
from pixelcal.errors import InputError
from pixelcal.io.merge import merge_chunks
from pixelcal.io.resources import RESOURCES
from pixelcal.io.tables import read_columns, write_fits
from pixelcal.status import has_valid_fit

N, SECONDS, N_IDEAL = 320, 10_000.0, 3
TABLE = cameras.line_table()
CATALOGUE = RESOURCES / "lines" / "materials.csv"
BINS = adequacy.bins_of(TABLE.block_limits_keV)
MODULE = np.arange(N) // 32
ENERGIES_KEV = (4.0, 15.0, 50.0, 80.0, 150.0)


@lru_cache
def series(name):
    (found,) = (one for one in read_catalogue(CATALOGUE) if one.name == name)
    return found


@lru_cache
def ideal(seed):
    return cameras.make_camera(N, SECONDS, seed)


@lru_cache
def learnt_from(seed):
    """The response that an ideal camera teaches."""
    known = {"expected": EXPECTED, "search": SEARCH}
    return learn_camera(ideal(seed).counts, *cameras.prior(N), TABLE, cameras.MIN_COUNTS, **known)


def residuals_of(camera, counts, response=None):
    """Residuals (n, n_bins) of the fits, each from its true relation, and STATUS."""
    at = np.arange(N), camera.gain_true, camera.offset_true
    templates = make_templates(response or learnt_from(1), TABLE)
    fits, found = fit_joint(counts, *at, templates, cameras.OPTIONS)
    return adequacy.Residuals(*np.moveaxis(found.residuals, 2, 0)), fits["STATUS"]


def judged(of_pixels, status, module=MODULE):
    """What is found, as validation.json has it."""
    rows = residual_rows(np.arange(N), np.stack(of_pixels, axis=2))
    whole, modules = residual_hdus(rows, status, module, TABLE)
    tables = [_table(hdu) for hdu in (whole, modules)]
    catalogue = read_catalogue(CATALOGUE)
    return adequacy_numbers(*tables, TABLE, catalogue, EXPECTED, ENERGIES_KEV)


def _table(hdu):
    table = Table(hdu.data)
    table.meta.update(hdu.header)
    return table


@lru_cache
def with_lines(name, rate_per_s, seed=5):
    """Spectra of a camera with the lines of a series as well."""
    camera, lines = ideal(seed), series(name)
    source = cameras.background()
    source = replace(
        source,
        continuum_per_s=0.0 * source.continuum_per_s,
        line_energy_keV=lines.energy_keV,
        line_per_s=rate_per_s * lines.intensity / lines.intensity.sum(),
        line_name=lines.transition,
    )
    nodes = np.arange(4.0, 156.0, 0.05)
    below = np.append(0.0, np.cumsum(expected_counts(nodes, source, Detector(), 1.0)))
    rng = np.random.default_rng(seed)
    edges = camera.gain_true[:, None] * np.arange(1025) + camera.offset_true[:, None]
    more = np.diff(np.interp(edges, nodes, below), axis=1)
    extra = rng.poisson(more * SECONDS * camera.efficiency[:, None])
    return camera, (camera.counts + extra).astype(np.int32)


# --- what the fits give ---------------------------------------------------------------------------


def test_bins_hold_each_count_of_the_blocks_once():
    camera = ideal(1)
    of_pixels, status = residuals_of(camera, camera.counts)
    templates = make_templates(learnt_from(1), TABLE)
    at = np.arange(N), camera.gain_true, camera.offset_true
    fits, _ = fit_joint(camera.counts, *at, templates, cameras.OPTIONS)
    assert has_valid_fit(status).all()
    np.testing.assert_array_equal(of_pixels.counts.sum(axis=1), fits["COUNTS"])
    edges = residual_edges(TABLE.block_limits_keV)
    assert len(BINS.low) == of_pixels.counts.shape[1] == sum(len(e) - 1 for e in edges)
    assert np.all(np.abs(BINS.high - BINS.low - 0.5) < 0.1)


def test_the_variance_is_what_the_fits_leave():
    """Per pixel: chi-square over its mean is 1, to three standard errors of 320 times 102 bins."""
    camera = ideal(2)
    of_pixels, _ = residuals_of(camera, camera.counts)
    found = adequacy.discrepancy(of_pixels)
    error = np.sqrt(2.0 / found.dof.sum())
    assert abs(found.chi_square.sum() / found.dof.sum() - 1.0) < 3.0 * error
    assert (of_pixels.variance.sum(axis=0) < of_pixels.expected.sum(axis=0)).all()
    free = found.dof.mean()
    n_free = 3 + TABLE.n_blocks + len(line_groups(TABLE))
    assert len(BINS.low) - n_free < free < len(BINS.low) - 2, "gain and offset at the least"


def test_a_right_model_is_not_called_wrong():
    """Cameras with the response that they teach: an alarm in 100 of them at most, none of these.

    Of 70 cameras (docs/joint-fit.md) none alarmed. What modules differ by is uniform: of 3
    p-values one is below 0.001 for 1 right model in 300.
    """
    for seed in range(10, 10 + N_IDEAL):
        counts = ideal(seed).counts
        of_pixels, status = residuals_of(ideal(seed), counts, learnt_from(seed))
        found = judged(of_pixels, status)
        assert not found["warnings"] and not found["regions"] and found["n_pixels"] >= N - 1
        assert found["pvalue"] > adequacy.CHANCE and found["modules"]["pvalue"] > 1e-3


# --- truth put in ---------------------------------------------------------------------------------


def test_bismuth_is_named():
    """At a fifth of the lead: its K lines are in two blocks, at 77.1 and at 87 keV."""
    found = judged(*residuals_of(*with_lines("Bi K", 0.2 * cameras.LINE_RATES["Pb"])))
    assert found["pvalue"] < 1e-10
    assert found["candidates"][0]["name"] == "Bi K"
    (warning,) = found["warnings"]
    assert "does not describe" in warning and "Bi K" in warning
    assert any(region["low_keV"] < 77.1 < region["high_keV"] for region in found["regions"])
    rows = found["candidates"][0]["table_rows"]
    assert "Bi,Ka1,77.1092,0.4861,lead-alpha,70.6,78,materials.csv" in rows


def test_counts_of_the_lines_and_what_they_do_to_energies():
    """Against the counts put in, to a fourth, and against the errors of the energies."""
    camera, counts = with_lines("Bi K", 0.2 * cameras.LINE_RATES["Pb"])
    found = judged(*residuals_of(camera, counts))
    (bismuth,) = (one for one in found["candidates"] if one["name"] == "Bi K")
    inside = [
        sum((low < e) & (e < high) for low, high in TABLE.block_limits_keV)
        for e in series("Bi K").energy_keV
    ]
    share = (series("Bi K").intensity * inside).sum() / series("Bi K").intensity.sum()
    put_in = (counts - camera.counts).sum() * share
    assert abs(bismuth["counts"] / put_in - 1.0) < 0.25


def test_a_line_of_an_element_of_the_table_is_named():
    """Kb2 of Te at three times its strength, so that 320 pixels show it."""
    tellurium = series("Te K")
    energy = float(tellurium.energy_keV[tellurium.transition.index("Kb2")])
    rate = 3.0 * 0.031 * cameras.LINE_RATES["Te"]
    found = judged(*residuals_of(*with_one_line(energy, rate)))
    assert any(one["name"] == "Te K" for one in found["candidates"])
    assert any(
        "Kb2 at 31.70 keV" in words for one in found["regions"] for words in one["candidates"]
    )


def with_one_line(energy, rate_per_s, seed=6):
    """Spectra with one Gaussian line more."""
    camera = ideal(seed)
    edges = camera.gain_true[:, None] * np.arange(1025) + camera.offset_true[:, None]
    below = stats.norm.cdf(edges, energy, Detector().sigma(energy))
    extra = np.random.default_rng(seed).poisson(np.diff(below, axis=1) * rate_per_s * SECONDS)
    return camera, (camera.counts + extra).astype(np.int32)


def test_a_module_with_unequal_channels_is_named():
    """Every second channel of one module 10 % wider: its counts go up and down."""
    camera, wrong = ideal(7), 3
    counts = camera.counts.copy()
    rng = np.random.default_rng(7)
    moved = rng.binomial(counts[wrong == MODULE][:, 400:410], 0.5)
    counts[wrong == MODULE, 400:410] -= moved
    counts[wrong == MODULE, 410:420] += moved
    found = judged(*residuals_of(camera, counts))
    assert [one["module"] for one in found["modules"]["worst"]] == [wrong]
    assert any("modules" in words for words in found["warnings"])


# --- sums -----------------------------------------------------------------------------------------


def test_chunks_add_up_to_the_whole():
    camera = ideal(1)
    of_pixels, status = residuals_of(camera, camera.counts)
    rows = residual_rows(np.arange(N), np.stack(of_pixels, axis=2))
    chunks = [rows[130:], rows[:100], rows[100:130]]
    parts = merge_chunks(chunks, np.arange(N), ["a", "b", "c"], rows.dtype, "DETNUM")
    one, other = (residual_hdus(r, status, MODULE, TABLE) for r in (rows, parts))
    for a, b in zip(one, other, strict=True):
        assert a.data.tobytes() == b.data.tobytes() and a.header == b.header


def test_pixels_that_stand_off_do_not_count():
    camera = ideal(1)
    of_pixels, status = residuals_of(camera, camera.counts)
    counts = of_pixels.counts.copy()
    counts[5, 40] += 400
    of_pixels, status = of_pixels._replace(counts=counts), status.copy()
    status[6], status[7], status[8] = 1, 128, 32
    chosen = adequacy.typical_pixels(of_pixels, status)
    assert not chosen[[5, 6, 7]].any() and chosen[8] and chosen.sum() >= N - 5


def test_where_all_fits_are_poor_all_count():
    camera, counts = with_lines("Bi K", 0.2 * cameras.LINE_RATES["Pb"])
    of_pixels, status = residuals_of(camera, counts)
    assert adequacy.typical_pixels(of_pixels, status | 32).sum() > 0.97 * N


def test_a_pixel_that_was_fitted_again_has_no_residuals():
    camera = ideal(1)
    counts = camera.counts.copy()
    counts[3, 38:44] += 60
    data = (
        counts,
        np.arange(N),
        *cameras.prior(N),
        TABLE,
        learnt_from(1),
        cameras.OPTIONS,
        counts // 2,
    )
    fits, found, expected = fit_with_residuals(*data)
    assert np.array_equal(np.isnan(expected).any(axis=1), np.isnan(found).any(axis=(1, 2)))
    lost = ~np.isfinite(found).all(axis=(1, 2))
    assert lost.sum() <= 0.1 * N and fits["BLOCKS_OUT"][~lost].sum() == 0
    alone = fit_pixels(*data)
    for name in alone.dtype.names:  # numpy compares NaN of plain columns only
        np.testing.assert_array_equal(fits[name], alone[name])


def test_of_nothing_comes_nothing():
    nothing = np.full((N, len(BINS.low), 3), np.nan)
    found = judged(np.moveaxis(nothing, 2, 0), np.full(N, 2))
    assert found["n_pixels"] == 0 and not found["regions"] and not found["warnings"]


def test_the_extension_survives_a_file(tmp_path):
    camera = ideal(1)
    of_pixels, status = residuals_of(camera, camera.counts)
    hdus = residual_hdus(
        residual_rows(np.arange(N), np.stack(of_pixels, axis=2)), status, MODULE, TABLE
    )
    write_fits(tmp_path / "relation.fits", hdus)
    table = read_columns(tmp_path / "relation.fits", "RESIDUALS")
    assert 0.0 <= table.meta["ADEQ_P"] <= 1.0 and table.meta["ADEQ_N"] <= N
    assert table["COUNTS"].sum() == camera_counts(of_pixels, status)


def camera_counts(of_pixels, status):
    return of_pixels.counts[adequacy.typical_pixels(of_pixels, status)].sum()


# --- the catalogue --------------------------------------------------------------------------------


def test_lines_of_the_table_are_no_candidates():
    left = {one.name: one for one in foreign_lines.not_in_table(
        read_catalogue(CATALOGUE), TABLE)}  # fmt: skip
    assert left["Te K"].transition == ("Kb2",) and "Cu K" not in left
    assert "Bi K" in left and "Ta L" in left and "W K" not in left


def test_a_catalogue_that_is_none(tmp_path):
    (tmp_path / "lines.csv").write_text("element,energy\nBi,77\n")
    with pytest.raises(InputError, match="catalogue of lines .*cannot be read"):
        read_catalogue(tmp_path / "lines.csv")
