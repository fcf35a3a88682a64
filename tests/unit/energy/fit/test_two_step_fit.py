"""The two-step fit against closed forms, and its failures against their STATUS."""

from dataclasses import replace

import lmfit
import numpy as np
import pytest
from helpers import cameras
from scipy.stats import chi2, linregress, norm

from pixelcal.energy.fit import two_step as two_step_fit
from pixelcal.energy.fit.two_step import (
    fit_two_step,
    line_groups,
    relation_from_centroids,
)
from pixelcal.energy.lines import LineTable
from pixelcal.status import EnergyStatus, has_valid_fit

GAIN, OFFSET = 0.145, 3.0
FWHM = 1.4
SIGMA = FWHM / (2 * np.sqrt(2 * np.log(2)))
SINGLE_ENERGIES = np.array([10.0, 25.0, 40.0, 60.0, 75.0, 90.0])
OPTIONS = cameras.TWO_STEP_OPTIONS
ANY_DISTANCE = replace(OPTIONS, tolerance_sigma=1e9)


def make_table(blocks):
    """A line table from blocks of (energy keV, element, intensity); 4 keV around its lines."""
    lines = [(*line, index) for index, block in enumerate(blocks) for line in block]
    return LineTable(
        element=tuple(line[1] for line in lines),
        transition=("Ka1",) * len(lines),
        source=("test",) * len(lines),
        energy_keV=np.array([line[0] for line in lines]),
        intensity=np.array([line[2] for line in lines]),
        block=np.array([line[3] for line in lines]),
        block_names=tuple(f"block {index}" for index in range(len(blocks))),
        block_limits_keV=np.array([(b[0][0] - 4.0, b[-1][0] + 4.0) for b in blocks]),
    )


SINGLES = make_table([[(energy, "X", 1.0)] for energy in SINGLE_ENERGIES])
"""One line a block: here the centroids really are independent."""
TIED = make_table(
    [
        [(8.0, "A", 1.0), (10.0, "B", 1.0), (12.0, "C", 1.0)],
        [(40.0, "A", 1.0), (42.0, "B", 1.0), (44.0, "C", 1.0)],
        [(84.0, "A", 1.0), (86.0, "B", 1.0), (88.0, "C", 1.0)],
    ]
)


def expected_counts(table, gain=GAIN, offset=OFFSET, line_counts=5000.0, level=40.0, fwhm=FWHM):
    """Gaussians integrated over the channels, on a straight continuum that falls; (1024,)."""
    edges = gain * np.arange(1025) + offset
    sigma = SIGMA * fwhm / FWHM
    lines = [
        line_counts * intensity * np.diff(norm.cdf(edges, energy, sigma))
        for energy, intensity in zip(table.energy_keV, table.intensity, strict=True)
    ]
    return np.sum(lines, axis=0) + level * (1 - 0.4 * np.arange(1024) / 1024)


def fit(counts, table=SINGLES, options=ANY_DISTANCE, gain=GAIN, offset=OFFSET):
    counts = np.atleast_2d(counts)
    return fit_two_step(counts, np.arange(len(counts)), gain, offset, table, options)


@pytest.fixture(scope="module")
def recovered():
    """True relation, and fits of 48 Poisson pixels that are binned with it."""
    truth = (GAIN * 1.002, OFFSET + 0.05)
    rng = np.random.default_rng(7)
    counts = rng.poisson(expected_counts(SINGLES, *truth), (48, 1024))
    return truth, fit(counts)


# --- truth in, truth out -------------------------------------------------------------------------


def test_gain_and_offset_are_recovered_without_bias(recovered):
    truth, rows = recovered
    assert not np.any(rows["STATUS"])
    for name, true in zip(("GAIN", "OFFSET"), truth, strict=True):
        error_of_mean = rows[name].std(ddof=1) / np.sqrt(len(rows))
        assert abs(rows[name].mean() - true) < 4 * error_of_mean


def test_scatter_and_errors_agree_with_the_information_of_independent_lines(recovered):
    """Centroids cannot be known better than sigma/sqrt(N); a weak continuum costs little more."""
    (gain, offset), rows = recovered
    centroid_err = SIGMA / gain / np.sqrt(5000.0) * np.ones(len(SINGLE_ENERGIES))
    centroid = (SINGLE_ENERGIES - offset) / gain
    _, _, bound = relation_from_centroids(SINGLE_ENERGIES, centroid, centroid_err, False)
    n = len(rows)
    for name, smallest in zip(("GAIN", "OFFSET"), np.sqrt(np.diag(bound)), strict=True):
        scatter = rows[name].std(ddof=1)
        tolerance = 4 / np.sqrt(2 * (n - 1))
        assert 1 - tolerance < scatter / smallest < 1.2 * (1 + tolerance)
        # One error has a relative spread of about 1/sqrt(2 * 4): scaled by a chi-square of 4 dof.
        mean_square = np.sqrt(np.mean(rows[name + "_ERR"] ** 2))
        tolerance = 4 * np.sqrt(1 / (2 * (n - 1)) + 1 / (8 * n))
        assert abs(mean_square / scatter - 1) < tolerance
    correlation = rows["GAIN_OFFSET_COV"] / (rows["GAIN_ERR"] * rows["OFFSET_ERR"])
    np.testing.assert_allclose(
        correlation, bound[0, 1] / np.sqrt(bound[0, 0] * bound[1, 1]), atol=0.02
    )


def test_other_columns(recovered):
    _, rows = recovered
    n = len(rows)
    # Per block: 55 or 56 channels less level, slope, shift, sigma and one height.
    energy = GAIN * (np.arange(1024) + 0.5) + OFFSET
    channels = sum(np.sum(abs(energy - line) < 4.0) for line in SINGLE_ENERGIES)
    assert set(rows["DOF"]) == {channels - 5 * len(SINGLE_ENERGIES)}
    np.testing.assert_allclose(rows["PVALUE"], chi2.sf(rows["STAT"], rows["DOF"]))
    # Weights from the data, not the model, raise chi-square by about 1 + 2/counts at 24+ counts.
    reduced = (rows["STAT"] / rows["DOF"]).mean()
    assert -4 * np.sqrt(2 / (n * rows["DOF"][0])) < reduced - 1 < 0.15
    # A width is known to FWHM/sqrt(2 N) without continuum; channel centres widen it by 1/24 of
    # (channel/sigma)^2, three parts in a thousand.
    assert abs(rows["FWHM_60"].mean() / FWHM - 1.0015) < 4 * 1.5 / np.sqrt(2 * 5000 * n)
    assert np.all(rows["NITER"] > 0)


def test_errors_are_too_small_where_centroids_are_tied():
    """The known defect: three tied lines a block count as three measurements of one."""
    rng = np.random.default_rng(11)
    n = 40
    rows = fit(rng.poisson(expected_counts(TIED), (n, 1024)), TIED)
    for name in ("GAIN", "OFFSET"):
        pull_width = rows[name].std(ddof=1) / np.sqrt(np.mean(rows[name + "_ERR"] ** 2))
        # Three shifts with equal errors: 1 degree of freedom where 7 are counted, and errors of
        # means of 9 where there are 3; sqrt(7 * 3 / 3) = 2.6 in the mean square.
        assert pull_width > 2.6 * (1 - 4 / np.sqrt(2 * (n - 1)))


def test_offset_is_the_energy_of_the_lower_edge_of_channel_0():
    expected = 1000 * expected_counts(SINGLES)
    counts = np.round(expected).astype(int)
    rows = fit([counts, np.roll(counts, 1)])
    # Noiseless: half a channel would be 0.0725 keV.
    np.testing.assert_allclose(rows["OFFSET"][0], OFFSET, atol=0.002)
    np.testing.assert_allclose(rows["GAIN"], GAIN, rtol=2e-5)
    # The same counts one channel higher: every energy moves down by one gain.
    np.testing.assert_allclose(rows["OFFSET"][1] - rows["OFFSET"][0], -GAIN, atol=0.001)


def test_each_pixel_has_a_prior_of_its_own():
    priors = np.array([GAIN, 0.15]), np.array([OFFSET, 2.5])
    counts = [np.round(expected_counts(SINGLES, g, o)) for g, o in zip(*priors, strict=True)]
    rows = fit_two_step(np.array(counts, int), [3, 9], *priors, SINGLES, OPTIONS)
    assert list(rows["DETNUM"]) == [3, 9]
    np.testing.assert_allclose(rows["GAIN"], priors[0], rtol=2e-4)
    np.testing.assert_allclose(rows["OFFSET"], priors[1], atol=0.01)


def test_a_pixel_does_not_depend_on_the_others():
    rng = np.random.default_rng(3)
    counts = rng.poisson(expected_counts(SINGLES, line_counts=500.0, level=4.0), (3, 1024))
    counts[1] = 0
    together = fit(counts)
    for i in range(3):
        alone = fit_two_step(counts[[i]], [i], GAIN, OFFSET, SINGLES, ANY_DISTANCE)
        assert alone.tobytes() == together[[i]].tobytes()


def test_progress_counts_pixels():
    calls = []
    counts = np.zeros((3, 1024), int)
    fit_two_step(counts, range(3), GAIN, OFFSET, SINGLES, ANY_DISTANCE, lambda *c: calls.append(c))
    assert calls == [(1, 3), (2, 3), (3, 3)]


# --- the straight line ---------------------------------------------------------------------------


def line_data():
    rng = np.random.default_rng(5)
    energy = np.array([8.0, 23.1, 27.4, 59.3, 75.0, 87.2])
    error = np.array([0.3, 0.1, 0.1, 0.05, 0.2, 0.4])
    return energy, (energy - OFFSET) / GAIN + error * rng.standard_normal(6), error


def to_gain_and_offset(slope, intercept, covariance):
    """Relation from the line centroid = slope * E + intercept, covariance by its Jacobian."""
    jacobian = np.array([[-1 / slope**2, 0], [intercept / slope**2, -1 / slope]])
    return 1 / slope, -intercept / slope, jacobian @ covariance @ jacobian.T


@pytest.mark.parametrize("scaled", [True, False])
def test_straight_line_is_that_of_polyfit(scaled):
    energy, centroid, error = line_data()
    (slope, intercept), covariance = np.polyfit(
        energy, centroid, 1, w=1 / error, cov=True if scaled else "unscaled"
    )
    expected = to_gain_and_offset(slope, intercept, covariance)
    found = relation_from_centroids(energy, centroid, error, scaled)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_straight_line_is_that_of_linregress():
    energy, centroid, _ = line_data()
    line = linregress(energy, centroid)
    cov = -energy.mean() * line.stderr**2
    covariance = np.array([[line.stderr**2, cov], [cov, line.intercept_stderr**2]])
    expected = to_gain_and_offset(line.slope, line.intercept, covariance)
    # Equal errors of whatever size: the scaling makes them those of the scatter.
    # linregress loses digits in 1 - r^2.
    found = relation_from_centroids(energy, centroid, np.full(6, 17.0), True)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7)


# --- lines and their rejection -------------------------------------------------------------------


def test_lines_of_one_element_join_below_half_the_width():
    table = make_table(
        [
            [(56.3, "Ta", 0.3), (57.53, "Ta", 0.5), (57.98, "W", 0.3)],
            [(65.0, "Ta", 0.05), (65.27, "Ta", 0.15)],
        ]
    )
    energies = [group.energy_keV for group in line_groups(table, 1.4)]
    np.testing.assert_allclose(energies, [56.3, 57.53, 57.98, 0.25 * 65.0 + 0.75 * 65.27])
    assert len(line_groups(table, 0.5)) == 5


def test_a_block_far_from_the_prior_is_left_out():
    """One line stands 1 keV from where the table says it is."""
    moved = make_table([[(e + (e == 40.0), "X", 1.0)] for e in SINGLE_ENERGIES])
    counts = np.round(expected_counts(moved)).astype(int)
    kept = fit(counts, options=ANY_DISTANCE)[0]
    dropped = fit(counts, options=OPTIONS)[0]
    assert kept["STATUS"] == 0
    assert abs(kept["OFFSET"] - OFFSET) > 0.05
    assert dropped["STATUS"] == EnergyStatus.LINE_MISSING
    assert abs(dropped["OFFSET"] - OFFSET) < 0.005


def test_a_block_with_a_poor_chi_square_is_left_out():
    """A line that the table does not know, on the shoulder of another."""
    surplus = make_table([[(42.8, "X", 0.5)]])
    counts = np.round(expected_counts(SINGLES) + expected_counts(surplus, level=0)).astype(int)
    tolerant = replace(OPTIONS, tolerance_sigma=1e9, block_chi_square_limit=1e9)
    kept, dropped = fit(counts, options=tolerant)[0], fit(counts)[0]
    assert kept["STATUS"] == EnergyStatus.POOR_FIT
    assert abs(kept["OFFSET"] - OFFSET) > 0.005
    assert dropped["STATUS"] == EnergyStatus.POOR_FIT | EnergyStatus.LINE_MISSING
    assert abs(dropped["OFFSET"] - OFFSET) < 0.002


def test_good_statistics_and_a_small_prior_error_leave_no_line():
    """The original's failure at long exposures: everything is an outlier. Here it has a STATUS."""
    counts = np.round(100 * expected_counts(SINGLES, GAIN, OFFSET + 0.1)).astype(int)
    row = fit(counts, options=OPTIONS)[0]
    assert row["STATUS"] & EnergyStatus.NOT_CONVERGED and row["STATUS"] & EnergyStatus.LINE_MISSING
    assert np.isnan(row["GAIN"]) and np.isnan(row["GAIN_OFFSET_COV"])


def test_one_block_left_keeps_the_gain_of_the_prior():
    table = make_table([[(40.0, "A", 1.0), (43.0, "B", 1.0), (46.0, "C", 1.0)]])
    rng = np.random.default_rng(2)
    row = fit(rng.poisson(expected_counts(table)), table)[0]
    np.testing.assert_allclose(row["GAIN"], GAIN, rtol=1e-9)
    # Scaled by the scatter of lines that are tied the errors would vanish. Three lines 3 keV
    # apart, each known to no better than sigma/sqrt(N):
    smallest = GAIN**2 * SIGMA / GAIN / np.sqrt(5000.0) / np.sqrt(3.0**2 + 3.0**2)
    assert row["GAIN_ERR"] > smallest / 2


def test_a_dead_end_of_the_spectrum_costs_its_blocks_only():
    rng = np.random.default_rng(4)
    counts = rng.poisson(expected_counts(SINGLES))
    counts[570:] = 0  # above 85.65 keV
    row = fit(counts)[0]
    assert row["STATUS"] == EnergyStatus.LINE_MISSING
    assert abs(row["OFFSET"] - OFFSET) < 5 * row["OFFSET_ERR"] < 0.5


def test_width_at_its_limit():
    counts = np.round(expected_counts(SINGLES, fwhm=0.5)).astype(int)
    row = fit(counts, options=replace(OPTIONS, tolerance_sigma=1e9, block_chi_square_limit=1e9))[0]
    assert row["STATUS"] & EnergyStatus.AT_LIMIT


# --- failures are a STATUS -----------------------------------------------------------------------


def spectra_that_lead_nowhere():
    one_channel = np.zeros(1024, int)
    one_channel[400] = 100_000
    noise_only = np.zeros(1024, int)
    noise_only[:10] = 5000
    few = np.zeros(1024, int)
    few[::8] = 1
    rng = np.random.default_rng(1)
    return {
        "dead": (np.zeros(1024, int), EnergyStatus.TOO_FEW_COUNTS),
        "few": (few, EnergyStatus.TOO_FEW_COUNTS),
        "one channel": (one_channel, None),
        "noise below all lines": (noise_only, EnergyStatus.TOO_FEW_COUNTS),
        "no lines": (rng.poisson(100.0, 1024), None),
        "sparse": (rng.poisson(0.3, 1024), None),
        "full": (np.full(1024, 2**20), None),
    }


@pytest.mark.parametrize("case", spectra_that_lead_nowhere())
@pytest.mark.parametrize("options", [ANY_DISTANCE, OPTIONS])
def test_bad_spectra_do_not_raise(case, options):
    counts, status = spectra_that_lead_nowhere()[case]
    row = fit(counts, options=options)[0]
    energy = GAIN * (np.arange(1024) + 0.5) + OFFSET
    in_blocks = np.any(abs(energy[:, None] - SINGLE_ENERGIES) < 4.0, axis=1)
    assert row["COUNTS"] == counts[in_blocks].sum()
    if status is not None:
        assert row["STATUS"] & status
    valid = has_valid_fit(row["STATUS"])
    names = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV", "FWHM_60")
    assert all(np.isfinite(row[name]) == valid for name in names)


@pytest.mark.parametrize(
    ("gain", "offset"),
    [
        (np.nan, 3.0),
        (0.145, np.nan),
        (0.0, 3.0),
        (-0.1, 3.0),
        (np.inf, 3.0),
        (5.0, 3.0),
        (0.1, 1e5),
    ],
)
def test_bad_priors_do_not_raise(gain, offset):
    counts = np.round(expected_counts(SINGLES)).astype(int)
    row = fit(counts, gain=gain, offset=offset)[0]
    assert not has_valid_fit(row["STATUS"])
    assert np.isnan(row["GAIN"])


def test_a_fit_that_stops_early_or_raises_is_not_converged(monkeypatch):
    counts = np.round(expected_counts(SINGLES)).astype(int)
    monkeypatch.setattr(two_step_fit, "MAX_EVALUATIONS", 20)
    assert fit(counts)[0]["STATUS"] & EnergyStatus.NOT_CONVERGED

    def fails(*args, **kwargs):
        raise ValueError("the model generated NaN values")

    monkeypatch.setattr(lmfit, "minimize", fails)
    row = fit(counts)[0]
    assert row["STATUS"] == EnergyStatus.NOT_CONVERGED and np.isnan(row["GAIN"])


def test_wrong_shapes_are_the_callers_fault():
    with pytest.raises(ValueError, match="shape"):
        fit_two_step(np.zeros((3, 100), int), [0, 1], GAIN, OFFSET, SINGLES, OPTIONS)
