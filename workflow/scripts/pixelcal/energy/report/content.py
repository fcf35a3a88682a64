"""What the report says about a camera: the content of the page, from the products of all exposures.

Each of the modules beside this one makes one section of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from astropy.table import Table

from pixelcal.energy.report import adequacy as report_adequacy
from pixelcal.energy.report import camera as report_camera
from pixelcal.energy.report import changes as report_changes
from pixelcal.energy.report import energies as report_energies
from pixelcal.energy.report import events as report_events
from pixelcal.energy.report import observing as report_observing
from pixelcal.energy.report import pixels as report_pixels
from pixelcal.energy.report import provenance as report_provenance
from pixelcal.energy.report import response as report_response
from pixelcal.energy.report import verdict as report_verdict
from pixelcal.energy.report.products import Products
from pixelcal.energy.requirement import energies_in_words, inner_energies_keV, requirement_keV
from pixelcal.instrument import Instrument, Requirement
from pixelcal.report import frame as report
from pixelcal.report.camera_map import most_serious_first, status_legend
from pixelcal.report.numbers import duration, percent, with_minus
from pixelcal.report.provenance import settings_text
from pixelcal.status import ENERGY_WORDS, EnergyStatus

HISTORY_PAGE = "history/history.html"
"""Beside the report."""

EXPLANATION = (
    "Errors are signed: energy given by the fitted relation minus the true energy. The bound is the"
    " RMS of the error that the covariances of the fits predict. A pull is"
    " error / predicted error; 68.3 % of the pixels should lie within one predicted error. A pixel"
    " without a valid fit does not pass; pixels masked by the user are left out. The systematic"
    " uncertainty is common to all pixels, and in neither bound nor pull. ± is one standard error."
)
WITHOUT_TRUTH = (
    "There is no truth for these events: what is shown is what the errors of the fits predict."
)


def lead(requirement: Requirement) -> str:
    """What is required, in two sentences."""
    first, *others = requirement.limits
    limits = f"within {first[1]:g} keV of the true one up to {first[0]:g} keV"
    for number, (energy, error) in enumerate(others):
        last = number == len(others) - 1
        limits += (
            f", {'and ' * last}within {error:g} keV {'above' if last else f'up to {energy:g} keV'}"
        )
    return (
        f"The energy that the fitted relation gives is to be {limits}, judged at"
        f" {energies_in_words(requirement)}. An exposure meets the requirement where"
        f" {percent(report_verdict.REQUIRED_PASS_FRACTION, 0)} of the pixels do at each of"
        " them."
    )


def page_content(
    exposures: Sequence[Products],
    pixel_map: Table,
    settings: Mapping,
    versions: Mapping[str, str],
    threshold_sigma: float,
    instrument: Instrument,
    folder: str,
    epochs: Sequence[int] | None = None,
) -> dict:
    """Content of the template, the same for the same products.

    Parameters
    ----------
    exposures : products of each exposure, all of the same pixels
    pixel_map : as `camera.read_pixel_map` gives it
    settings, versions : what exposures share, and versions by name of the software
    threshold_sigma : from where on a change is significant against those of the camera
    folder : where the products of the camera are
    epochs : number of epochs shown, and of all; None where the run has none
    """
    labels = {bit.name: ENERGY_WORDS.labels[bit] for bit in EnergyStatus}
    judged = [(exposure.validation, labels, _goodness(exposure)) for exposure in exposures]
    verdicts = [report_verdict.verdict(*exposure) for exposure in judged]
    chosen = [report_pixels.choose(exposure) for exposure in exposures]
    changes = [report_changes.changes(exposure, threshold_sigma) for exposure in exposures]
    rows = [
        _exposure_content(*parts, pixel_map)
        for parts in zip(exposures, verdicts, chosen, changes, strict=True)
    ]
    has_truth = all(exposure.truth is not None for exposure in exposures)
    return {
        "title": f"{instrument.title}: gain and offset of every pixel",
        "view": report_camera.small_view(exposures[0], int(pixel_map["Y"].max())),
        "lead": lead(instrument.requirement),
        "headline": headline(exposures, verdicts),
        "shown": _shown_first(exposures, verdicts),
        "has_truth": has_truth,
        "without_truth": WITHOUT_TRUTH,
        "explanation": EXPLANATION,
        "exposures": rows,
        **_headings(labels, instrument.requirement),
        "pass_words": [
            (index, words)
            for index, words in enumerate(_pass_words(has_truth))
            if any(row["pass_map"][index]["n"] for row in rows)
        ],
        "has_residuals": any(exposure.residuals is not None for exposure in exposures),
        "has_rates": any(exposure.rate is not None for exposure in exposures),
        "status_rows": [_status_row(exposure) for exposure in exposures],
        **report_observing.content(exposures),
        **report_provenance.content(exposures),
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(versions.items())),
        "settings": settings_text(
            {**settings, "exposures": [dict(exposure.settings) for exposure in exposures]}
        ),
        "results": folder.rpartition("/")[0],
        "epochs": epochs,
        "data": report.compact_json(_data(exposures, chosen, pixel_map, folder) | _links(epochs)),
    }


def _headings(labels: Mapping[str, str], requirement: Requirement) -> dict:
    """Headings of the tables that are the same for all exposures."""
    return {
        "energies": [f"{energy:g}" for energy in requirement.energies_keV],
        "region_headings": report_adequacy.HEADINGS,
        "event_headings": report_events.HEADINGS,
        "status_headings": [f"{labels[bit.name]} ({bit.value})" for bit in EnergyStatus],
    }


def headline(exposures: Sequence[Products], verdicts: Sequence[Mapping]) -> str:
    """What the page is opened for, in a sentence."""
    enough = [
        (exposure.seconds, exposure.name)
        for exposure, verdict in zip(exposures, verdicts, strict=True)
        if verdict["meets"]
    ]
    if not any(exposure.has_valid_fit.any() for exposure in exposures):
        return "No pixel of any exposure has a valid fit."
    if not enough and any(verdict["meets"] is None for verdict in verdicts):
        return "It cannot be said whether the requirement is met."
    if not enough:
        return (
            "The exposure does not meet the requirement."
            if len(exposures) == 1
            else "None of the exposures meets the requirement."
        )
    seconds, name = min(enough)
    meets = f"{name} ({duration(seconds)})"
    if len(exposures) == 1:
        return f"{meets} meets the requirement."
    return f"{meets} is the shortest of the {len(exposures)} exposures that meets the requirement."


def _goodness(exposure: Products) -> float | None:
    """Chi-square per degree of freedom of the stack; None without a response that says it."""
    response = exposure.response
    return response.chi_square / response.dof if response and response.dof > 0 else None


def _shown_first(exposures: Sequence[Products], verdicts: Sequence[Mapping]) -> int:
    """Index of the exposure to show: the shortest that meets the requirement, or the longest."""
    order = sorted(range(len(exposures)), key=lambda i: exposures[i].seconds)
    return next((i for i in order if verdicts[i]["meets"]), order[-1])


def _pass_words(has_truth: bool) -> list[str]:
    """Words for the classes of the small map."""
    words = list(report_energies.PASS_WORDS)
    if not has_truth:
        words[: len(report_energies.PREDICTED_PASS_WORDS)] = report_energies.PREDICTED_PASS_WORDS
    return words


def _status_row(exposure: Products) -> list:
    """Name, pixels, valid fits, good ones, and the pixels with each bit."""
    numbers = exposure.validation
    counts = [numbers["status_counts"][bit.name] for bit in EnergyStatus]
    return [exposure.name, numbers["n_pixels"], numbers["n_answers"], numbers["n_good"], *counts]


def _exposure_content(exposure: Products, verdict, chosen, changes, pixel_map) -> dict:
    """The verdict and the tables of one exposure."""
    numbers = exposure.validation
    rows, how_chosen = chosen
    together = report_observing.measured(exposure)["passed"].get(report_observing.TOGETHER)
    return {
        "name": exposure.name,
        "good_time": duration(exposure.seconds),
        "method": exposure.settings["method"],
        "verdict": verdict,
        "warnings": [
            with_minus(text)
            for text in (
                *verdict["told"],
                *report_events.warnings(exposure),
                *report_response.warnings(exposure),
            )
        ],
        "together": None if together is None else percent(together / 100, 2),
        "pass_map": report_camera.pass_map(
            exposure, _pass_words(exposure.truth is not None), int(pixel_map["Y"].max())
        ),
        "passed": [
            report_verdict.passed(numbers["energies"][f"{energy:g}"], exposure.truth is not None)
            for energy in exposure.energies_keV
        ],
        "tables": [
            _numbers_table(f"All {numbers['n_answers']} valid fits", numbers, None),
            _numbers_table(f"The {numbers['n_good']} good fits (STATUS 0)", numbers, "good"),
        ],
        "how_chosen": how_chosen,
        "pixels": report.pixel_table(
            report_pixels.HEADINGS, report_pixels.table(exposure, rows, pixel_map)
        ),
        "changes": changes
        | report.pixel_table(report_changes.headings(exposure.requirement), changes["rows"]),
        "events": report_events.table(exposure),
        "shape": report_response.shape_tables(exposure),
        "adequacy": report_adequacy.sentence(exposure),
        "regions": report_adequacy.table(exposure),
        "candidates": report_adequacy.candidates(exposure),
        "module_map": report_adequacy.module_map(exposure, pixel_map, int(pixel_map["Y"].max())),
    }


def _links(epochs) -> dict:
    """Where the page of the history is; None where nothing is known of one."""
    return {"history": HISTORY_PAGE if epochs else None}


def _numbers_table(caption: str, numbers: Mapping, part: str | None) -> dict:
    """A table of the validation, without the columns that nothing is known of."""
    headings = [heading for heading, *_ in report_verdict.COLUMNS]
    rows = report_verdict.energy_table(numbers, part)
    headings, rows = report.without_empty(["Requirement (keV)", *headings], rows)
    return {"caption": caption, "headings": ["Energy (keV)", *headings], "rows": rows}


def _data(exposures: Sequence[Products], chosen, pixel_map: Table, folder: str) -> dict:
    """What the page draws from. Positions of the pixels are there once, for all exposures."""
    first = exposures[0]
    return {
        "folder": folder,
        "camera": report_camera.camera(pixel_map, first.detnum),
        "status": status_legend(ENERGY_WORDS),
        "most_serious_first": most_serious_first(ENERGY_WORDS),
        "energies": first.energies_keV.tolist(),
        "first_energy": inner_energies_keV(first.requirement)[1],
        "requirement": requirement_keV(first.energies_keV, first.requirement).tolist(),
        "prior": {
            "gain": report.packed(first.prior[0], "f4"),
            "offset": report.packed(first.prior[1], "f4"),
        },
        "observing": report_observing.observing(exposures),
        "exposures": [
            {
                "name": exposure.name,
                "method": exposure.settings["method"],
                "values": report_camera.values(exposure),
                "curve_ends": report_camera.curve_ends(exposure),
                "bands": report_energies.bands(exposure),
                "pulls": report_energies.pulls(exposure),
                "stack": report_response.stack(exposure),
                "residuals": report_adequacy.residuals(exposure),
                "labels": report_pixels.labels_of_blocks(exposure.lines),
                "fits": report_pixels.fits(exposure, rows),
                "rate": report_events.rate(exposure),
            }
            for exposure, (rows, _) in zip(exposures, chosen, strict=True)
        ],
    }
