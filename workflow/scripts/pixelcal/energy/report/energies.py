"""The report's plots against energy: bands of the error, pulls, and the verdict on each pixel."""

from __future__ import annotations

import numpy as np

from pixelcal.energy.report.products import Products
from pixelcal.energy.requirement import curve_energies_keV, requirement_keV
from pixelcal.report.frame import decimals

BAND_PERCENTILES = (2.5, 16.0, 50.0, 84.0, 97.5)
PULL_RANGE = (-5.0, 5.0)

PASSES, FAILS, WITHOUT_VALID_FIT, NOT_COUNTED = range(4)
PASS_WORDS = (
    "meets the requirement at all reference energies",
    "exceeds it at one or more",
    "no valid fit",
    "masked by the user",
)
PREDICTED_PASS_WORDS = (
    "two predicted σ within it at all reference energies",
    "not so at one or more",
)


def pass_classes(exposure: Products) -> np.ndarray:
    """Index (n,) into PASS_WORDS: what became of each pixel.

    Without truth a pixel counts as passing where twice its predicted sigma is within the
    requirement: an error in 20 is larger.
    """
    allowed = 1.0 if exposure.truth is not None else 0.5
    classes = np.full(len(exposure.detnum), FAILS)
    with np.errstate(invalid="ignore"):
        classes[(exposure.excess() <= allowed).all(axis=0)] = PASSES
    classes[~exposure.has_valid_fit] = WITHOUT_VALID_FIT
    classes[~exposure.wanted] = NOT_COUNTED
    return classes


def bands(exposure: Products) -> dict:
    """Percentiles over the pixels of error and predicted sigma against energy, keV.

    Returns
    -------
    dict
        `energies`, `requirement`, `sigma` (median) and, with truth, `error`: a list for each of
        BAND_PERCENTILES; without, `sigma_high`: 97.5 % of the pixels have a smaller sigma. None of
        the three where no pixel has a valid fit.
    """
    energies = curve_energies_keV(exposure.requirement)
    content = {
        "energies": decimals(energies, 2),
        "requirement": decimals(requirement_keV(energies, exposure.requirement), 3),
    }
    used = exposure.has_valid_fit
    if not used.any():
        return content
    sigma = exposure.sigma(energies)[:, used]
    content["sigma"] = decimals(np.median(sigma, axis=1), 4)
    if exposure.truth is None:
        content["sigma_high"] = decimals(np.percentile(sigma, 97.5, axis=1), 4)
    else:
        ends = np.percentile(exposure.error(energies)[:, used], BAND_PERCENTILES, axis=1)
        content["error"] = [decimals(end, 4) for end in ends]
    return content


def pulls(exposure: Products) -> list[dict]:
    """Histograms of error / predicted sigma of the good pixels at the reference energies.

    Empty without truth or without a pixel of STATUS 0: errors of doubtful ones are not what their
    fits predict. `density` is the fraction of pixels per unit of pull in the bins between `edges`,
    fewer where there are few pixels; what lies beyond is counted in `outside`. Mean and width are
    those of validation.json.
    """
    used = exposure.status == 0
    if exposure.truth is None or not used.any():
        return []
    n = int(used.sum())
    edges = np.linspace(*PULL_RANGE, 41 if n >= 1000 else 21 if n >= 100 else 11)
    histograms = []
    pull = (exposure.error() / exposure.sigma())[:, used]
    for energy, values in zip(exposure.energies_keV, pull, strict=True):
        inside = np.histogram(values, edges)[0]
        density = inside / (n * (edges[1] - edges[0]))
        numbers = exposure.validation["energies"][f"{energy:g}"]["good"]
        histograms.append(
            {
                "energy": f"{energy:g}",
                "edges": decimals(edges, 3),
                "density": decimals(density, 4),
                "outside": int(n - inside.sum()),
                "mean": numbers["pull_mean"],
                "width": numbers["pull_std"],
            }
        )
    return histograms
