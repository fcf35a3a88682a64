"""What the counts of a pixel say about its relation: Fisher information of the joint fit's model.

For Poisson counts with expectations mu_c(theta) the information is the sum over the channels of
d mu_c/d theta_p * d mu_c/d theta_q / mu_c; what is known of how little pixels differ is added, and
the inverse is the covariance that the fit can reach at best (Cramer-Rao). The shapes do not depend
on the exposure: expectations and the information of the counts are proportional to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline

from pixelcal.energy.fit.model_spectra import block_channels, components
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.model import Response, placed
from pixelcal.energy.response.population import prior_information
from pixelcal.energy.response.tables import make_templates

PIVOT_KEV = 45.0
"""Relations are expanded about this energy, where its error and the slope hardly correlate."""

LOG_SCALES = np.log(10.0) * np.linspace(-3, 4, 36)
LOG_RESOLUTIONS = np.log(0.45) + np.linspace(0, np.log(3.5 / 0.45), 14)
"""Nodes of the table: counts relative to the camera's mean pixel, factor on the resolution."""

STEP_KEV = 1e-3
STEP_LOG = 1e-3
"""Steps of the central differences."""

LEAST_COUNTS = 1.0
"""A response with fewer counts per pixel was learnt from next to nothing."""

LEAST_EXPECTED = 1e-9
"""Channels with a smaller expectation carry no information and are left out."""


@dataclass(frozen=True)
class InformationTable:
    """Covariances of the relation on a grid of counts and resolution.

    Attributes
    ----------
    counts : float
        Counts in the blocks of the camera's mean pixel.
    splines : tuple of four splines over (log scale, log resolution)
        Logarithms of scale times the variance of the energy at the pivot, and of that of the
        slope; their correlation; logarithm of scale times the variance of the log resolution.
    """

    counts: float
    splines: tuple

    def covariance(self, scale, log_resolution) -> np.ndarray:
        """(n, 3): variance of the energy at PIVOT_KEV, covariance with the slope, its variance.

        keV^2, keV and pure numbers; `scale` (n,) is relative to the camera's mean pixel.
        """
        at = _inside(scale, log_resolution)
        variance, slope = (np.exp(self.splines[k].ev(*at)) / scale for k in (0, 1))
        mixed = self.splines[2].ev(*at) * np.sqrt(variance * slope)
        return np.array([variance, mixed, slope]).T

    def log_resolution_variance(self, scale, log_resolution) -> np.ndarray:
        """Variance (n,) of the logarithm of the resolution, how pixels differ included."""
        return np.exp(self.splines[3].ev(*_inside(scale, log_resolution))) / scale


def _inside(scale, log_resolution):
    """The points of the table that are asked for, none outside of it."""
    return (
        np.clip(np.log(scale), LOG_SCALES[0], LOG_SCALES[-1]),
        np.clip(log_resolution, LOG_RESOLUTIONS[0], LOG_RESOLUTIONS[-1]),
    )


def tabulate_information(
    response: Response, table: LineTable, gain: float, offset: float, n_channels: int
) -> InformationTable | None:
    """Covariances of a relation near `gain` (keV/channel) and `offset` (keV).

    None where the response holds no counts.
    """
    edges = channel_edges(table, gain, offset, n_channels)
    templates, table = make_templates(response, table), placed(table, response)
    values = np.empty((4, len(LOG_SCALES), len(LOG_RESOLUTIONS)))
    scales = np.exp(LOG_SCALES)
    for j, log_resolution in enumerate(LOG_RESOLUTIONS):
        unit, counts = unit_information(response, table, templates, edges, log_resolution)
        if not counts > LEAST_COUNTS:
            return None
        covariance = np.linalg.inv(scales[:, None, None] * unit + shared_information(response))
        variance, slope = covariance[:, 0, 0], covariance[:, 1, 1]
        values[0, :, j], values[1, :, j] = np.log(scales * variance), np.log(scales * slope)
        values[2, :, j] = covariance[:, 0, 1] / np.sqrt(variance * slope)
        values[3, :, j] = np.log(scales * covariance[:, 2, 2])
    _, counts = unit_information(response, table, templates, edges, 0.0)
    splines = (RectBivariateSpline(LOG_SCALES, LOG_RESOLUTIONS, nodes) for nodes in values)
    return InformationTable(float(counts), tuple(splines))


def channel_edges(
    table: LineTable, gain: float, offset: float, n_channels: int
) -> list[np.ndarray]:
    """Edges (keV) of the channels of each block in a relation."""
    channels = block_channels(gain, offset, table, n_channels)
    return [gain * np.arange(first, last + 1) + offset for first, last in channels]


def unit_information(response, table, templates, edges, log_resolution):
    """Information (n, n) in the counts of the camera's mean pixel, and how many these are."""
    mu, slopes = expected_counts(response, table, templates, edges, log_resolution)
    seen = mu > LEAST_EXPECTED
    return (slopes[:, seen] / mu[seen]) @ slopes[:, seen].T, mu.sum()


def shared_information(response: Response) -> np.ndarray:
    """Information (n, n) in the population prior, which is flat in the relation."""
    n = len(response.population_scale) + 2
    information = np.zeros((n, n))
    information[2:, 2:] = prior_information(np.zeros(n - 2), response.population_scale)
    return information


def expected_counts(response, table, templates, block_edges, log_resolution):
    """Expected counts of the camera's mean pixel between edges, and their derivatives.

    Parameters
    ----------
    block_edges : list of (n_b + 1,) float, keV
        Edges in each block.
    log_resolution : float

    Returns
    -------
    mu : (n,) float
        Block by block, n the sum of n_b.
    slopes : (4 + n_blocks + n_groups, n) float
        Against an error of the energy at PIVOT_KEV (keV), one of the slope (keV/keV), the
        logarithm of the resolution, the factor on the tail, and each normalisation.
    """
    edges = np.concatenate(block_edges)
    cuts = np.cumsum([len(part) for part in block_edges])[:-1]

    def model(moved=0.0, change=0.0, tail=1.0):
        resolution, at = np.exp(log_resolution + change), np.split(edges + moved, cuts)
        return components(at, resolution, tail, table, response, templates)

    far = STEP_KEV * (edges / PIVOT_KEV - 1.0)
    differences = (
        (model(STEP_KEV) - model(-STEP_KEV)) / (2 * STEP_KEV),
        (model(far) - model(-far)) * PIVOT_KEV / (2 * STEP_KEV),
        (model(change=STEP_LOG) - model(change=-STEP_LOG)) / (2 * STEP_LOG),
        (model(tail=1.0 + STEP_LOG) - model(tail=1.0 - STEP_LOG)) / (2 * STEP_LOG),
    )
    parts = model()
    slopes = np.vstack([*(slope.sum(axis=0) for slope in differences), parts])
    return parts.sum(axis=0), slopes
