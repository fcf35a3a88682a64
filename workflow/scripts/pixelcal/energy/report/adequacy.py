"""Whether the model describes the spectra: the residuals of all pixels' fits against energy."""

from __future__ import annotations

import numpy as np

from pixelcal.camera import rows_of
from pixelcal.energy.report.products import Products
from pixelcal.energy.results.adequacy import as_residuals
from pixelcal.energy.results.channels.product import widths_words
from pixelcal.report.camera_map import small_map
from pixelcal.report.frame import decimals
from pixelcal.report.numbers import number, pvalue

HEADINGS = ("Energy (keV)", "Excess (counts)", "Of the model", "Significance (σ)", "Perhaps")
MODULE_WORDS = ("modules like the camera", "modules that deviate", "not among the pixels added up")


def sentence(exposure: Products) -> str:
    """How well the camera, and its modules against it, agree with chance."""
    found = exposure.validation.get("adequacy")
    if not found:
        return "There are no residuals: the method is another one, or the product is older."
    text = (
        f"Residuals of {found['n_pixels']} pixels: chi-square {_chi_square(found)}; modules against"
        f" the camera: {_chi_square(found['modules'])}."
    )
    widths = found.get("channel_widths")
    if widths and widths["unequal"]:
        text += f" {widths_words(widths)}."
    if not found["n_regions"]:
        return text + " No region of energy is off by more than chance."
    n, shown = found["n_regions"], len(found["regions"])
    most = f", of which the {shown} most significant are below" if n > shown else ""
    return text + f" {n} region{'s' * (n > 1)} of energy {'are' if n > 1 else 'is'} off{most}."


def _chi_square(found) -> str:
    """Chi-square with what is expected, its p-value, and the size of what exceeds chance."""
    text = f"{number(found['chi_square'], '{:.0f}')} ({number(found['dof'], '{:.0f}')} expected"
    text += ", p below 10⁻³⁰⁰" if found["pvalue"] == 0.0 else f", p {pvalue(found['pvalue'])}"
    return text + f", {number(found['misfit'], '{:.2%}')} of the model beyond chance)"


def table(exposure: Products) -> list[list[str]]:
    """Cells of the regions of energy that are off, the most significant first."""
    found = exposure.validation.get("adequacy") or {"regions": []}
    return [
        [
            f"{region['low_keV']:.1f} to {region['high_keV']:.1f}",
            number(region["excess"], "{:+.0f}"),
            number(region["fraction"], "{:+.1%}"),
            number(region["sigma"], "{:+.1f}"),
            ", ".join(region["candidates"]) or _unexplained(region),
        ]
        for region in found["regions"]
    ]


def _unexplained(region) -> str:
    return "no line of the catalogue" if region["excess"] > 0 else "counts are missing"


def candidates(exposure: Products) -> list[dict]:
    """Lines that could explain it: `words`, and the `rows` of a line table that include them."""
    found = exposure.validation.get("adequacy") or {"candidates": []}
    return [
        {
            "words": f"{one['name']}: {one['counts']:.0f} counts,"
            f" {number(one['sigma'], '{:.1f}')} σ. Were it included, the energies would change by"
            f" about {_changes(one['change_keV'])}.",
            "rows": "\n".join(one["table_rows"]),
        }
        for one in found["candidates"]
    ]


def _changes(change_keV) -> str:
    """Changes at the reference energies, in a sentence."""
    energies = sorted(change_keV, key=float)
    return ", ".join(
        f"{number(1e3 * change_keV[energy], '{:+.0f}')} eV at {energy} keV" for energy in energies
    )


def residuals(exposure: Products) -> dict | None:
    """What is drawn: `low`, `high` (keV), `sigma` and `percent` of each bin, where `block` changes.

    `named` holds `energy` and `text` of the regions that are off.
    """
    if exposure.residuals is None:
        return None
    rows, camera = exposure.residuals, as_residuals(exposure.residuals)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma, fraction = camera.excess / np.sqrt(camera.variance), camera.counts / camera.expected
    return {
        "low": decimals(rows["E_MIN"], 3),
        "high": decimals(rows["E_MAX"], 3),
        "block": np.asarray(rows["BLOCK"]).tolist(),
        "sigma": decimals(sigma, 2),
        "percent": decimals(100.0 * (fraction - 1.0), 2),
        "named": [
            {
                "energy": round((region["low_keV"] + region["high_keV"]) / 2.0, 2),
                "sigma": round(region["sigma"], 1),
                "text": region["candidates"][0].split(" (")[0],
            }
            for region in (exposure.validation.get("adequacy") or {"regions": []})["regions"]
            if region["candidates"]
        ],
    }


def module_map(exposure: Products, pixel_map, highest: int) -> list[dict]:
    """A small map of the modules that deviate from the camera; empty where none does."""
    found = exposure.validation.get("adequacy")
    if not found or not found["modules"]["worst"]:
        return []
    module = np.asarray(pixel_map["MODULE"])[rows_of(exposure.detnum, pixel_map)]
    worst = np.isin(module, [one["module"] for one in found["modules"]["worst"]])
    index = np.where(exposure.has_valid_fit, worst.astype(int), 2)
    x, y = np.asarray(exposure.relation["X"]), np.asarray(exposure.relation["Y"])
    return small_map(index, MODULE_WORDS, x, highest - y)
