"""What the report says about the SSTCAM: the content of the page, from the products of its chain.

The modules beside this one each make one section of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pixelcal.charge.report import adequacy as report_adequacy
from pixelcal.charge.report import camera as report_camera
from pixelcal.charge.report import checks as report_checks
from pixelcal.charge.report import model as report_model
from pixelcal.charge.report import pixels as report_pixels
from pixelcal.charge.report import provenance as report_provenance
from pixelcal.charge.report import resolution as report_resolution
from pixelcal.charge.report import validation as report_validation
from pixelcal.charge.report import verdict as report_verdict
from pixelcal.charge.report.products import Products
from pixelcal.report import frame as report
from pixelcal.report.camera_map import most_serious_first, status_legend
from pixelcal.report.provenance import settings_text
from pixelcal.status import CHARGE_WORDS, ChargeStatus

TITLE = "SSTCAM: single photoelectrons and charge resolution"
LEAD = (
    "The gain of a pixel, the charge of one photoelectron, is fitted to the spectra of its runs of"
    " low illumination, all together. The charge resolution is that of the dynamic-range scan, held"
    " against the requirement (CTAO B-TEL-1010)."
)
EXPLANATION = (
    "Over the good pixels. Bias: mean of fitted less true values. The bound is the RMS of the"
    " errors that the covariances of the fits predict, the smallest that any method reaches. A pull"
    " is error / predicted error; 68.3 % of the pixels should lie within one predicted error. ± is"
    " one standard error."
)
WITHOUT_TRUTH = (
    "There is no truth for these runs: the typical error is that which the fits predict."
)


def page_content(products: Products, versions: Mapping[str, str], results: str = "results") -> dict:
    """Content of the template, the same for the same products.

    Parameters
    ----------
    products : Products
    versions : dict
        Version of each piece of software, by its name.
    results : folder of the run
    """
    pooled = report_model.pool(products.spectra, products.spe)
    rows, how_chosen, why = report_pixels.choose(products)
    n_flagged = len(rows) - len(why)
    numbers, scan = products.validation, products.resolution
    headings, runs = report.without_empty(*(report_resolution.table(scan) if scan else ([], [])))
    return {
        "title": TITLE,
        "lead": LEAD,
        "headline": report_verdict.headline(products),
        "cards": report_verdict.cards(products, pooled),
        "advice": report_verdict.what_to_do(products, pooled, results),
        "small_map": report_camera.small_map(products),
        "runs": products.runs,
        "how_chosen": how_chosen,
        "pixels": report.pixel_table(
            report_pixels.HEADINGS, report_pixels.table(products, rows[:n_flagged], why)
        ),
        "good_pixels": report.pixel_table(
            report_pixels.HEADINGS, report_pixels.table(products, rows[n_flagged:], why)
        ),
        **report_checks.content(products),
        "model_headings": report_model.HEADINGS,
        "model_rows": report_model.table(pooled, products.runs) if pooled else [],
        "adequacy_text": report_adequacy.sentence(pooled, products.runs),
        "adequacy_headings": report_adequacy.HEADINGS,
        "adequacy_rows": report_adequacy.rows(pooled, products.runs),
        "scan": scan is not None,
        "scan_text": _scan_text(products),
        "scan_headings": headings,
        "scan_rows": runs,
        "level_headings": report_resolution.LEVEL_HEADINGS,
        "level_rows": report_resolution.levels_table(scan) if scan else [],
        "has_truth": numbers["truth"],
        "explanation": EXPLANATION if numbers["truth"] else WITHOUT_TRUTH,
        "n_good": numbers["n_good"],
        "n_pixels": numbers["n_pixels"],
        "n_wrong": numbers.get("n_wrong"),
        "n_wrong_good": numbers.get("n_wrong_good"),
        "validation_headings": report_validation.headings(numbers),
        "validation_rows": report_validation.rows(numbers, products.runs, products.unit),
        "status_rows": [
            [CHARGE_WORDS.labels[bit], str(int(bit)), str(numbers["status_counts"][bit.name])]
            for bit in ChargeStatus
        ],
        **report_provenance.content(products),
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(versions.items())),
        "settings": settings_text(products.settings),
        "results": results,
        "data": report.compact_json(_data(products, pooled, rows) | {"results": results}),
    }


def _scan_text(products: Products) -> list[str]:
    """Which conversion and convention, and what the pedestal check says, in sentences."""
    if products.resolution is None:
        return []
    summary = products.resolution.summary
    texts = [
        f"Conversion {summary['conversion_text']}.",
        f"Convention {summary['convention_text']}.",
        f"PDE {summary['pde']:g}.",
    ]
    if summary["calibrating_runs"]:
        names = ", ".join(summary["calibrating_runs"])
        texts.append(f"Calibration runs, excluded from the assessment: {names}.")
    return [*texts, report_resolution.pedestal_text(products.resolution)]


def _data(products: Products, pooled, rows) -> dict:
    """What the page draws from."""
    return {
        "camera": report_camera.camera(products),
        "status": status_legend(CHARGE_WORDS),
        "most_serious_first": most_serious_first(CHARGE_WORDS),
        "runs": products.runs,
        "unit": products.unit,
        "noise_map": report_checks.mapped_kind(products),
        "pvalue_limit": products.settings["fit"]["pvalue_limit"],
        "waveform": report_camera.mean_waveform(products),
        "model": [
            report_model.content(part, name)
            for part, name in zip(pooled, products.runs, strict=False)
        ],
        "resolution": report_resolution.content(products),
        # The frame knows several exposures; here there is one.
        "exposures": [
            {
                "name": "SSTCAM",
                "values": report_camera.values(products),
                "fits": report_pixels.fits(products, rows),
            }
        ],
    }
