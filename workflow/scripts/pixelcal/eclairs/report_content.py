"""What the report says about ECLAIRs: the content of the page, from relations and validations."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence

import numpy as np

from pixelcal import report
from pixelcal.eclairs.quantities import GRAVEST_FIRST, STATUS_LABELS, relation_quantities
from pixelcal.eclairs.relation import Status
from pixelcal.labels import STATUS_COLOURS

TITLE = "ECLAIRs: gain and offset of every pixel"
LEAD = (
    "The energy that the fitted relation gives is to be within 0.3 keV of the true one up to 80"
    " keV, and within 0.5 keV above, judged at five energies."
)
EXPLANATION = (
    "Errors are signed: energy given by the fitted relation less the true energy. The bound is the"
    " Cramér-Rao bound: the RMS of the error that the fit's own covariance predicts. A pull is"
    " error / predicted error; 68.3 % of the pixels should lie within one predicted error. A pixel"
    " without an answer does not pass; pixels masked by the user are left out. ± is one standard"
    " error."
)
WITHOUT_TRUTH = " There is no truth for these events: what is shown is what the fits predict."
MADE_HEADINGS = ("Multiplicity", "Method", "Line table", "Configuration hash")


def page_content(
    exposures: Sequence[Mapping],
    relations: Sequence,
    validations: Sequence[Mapping],
    truths: Sequence,
    settings: Mapping,
    versions: Mapping[str, str],
) -> dict:
    """Content of the template, the same for the same products.

    Parameters
    ----------
    exposures : settings of each exposure: name, seconds, multiplicity, method
    relations : table RELATION of each, with its header as `meta`; all of the same pixels
    validations : validation.json of each
    truths : (gain, offset) as injected of each, or None where there is none
    settings : resolved settings that all exposures share
    versions : versions by name of the software
    """
    labels = {bit.name: STATUS_LABELS[bit] for bit in Status}
    shown = [relation_quantities(*pair) for pair in zip(relations, truths, strict=True)]
    rows = [
        _exposure_content(*one, labels)
        for one in zip(exposures, relations, validations, strict=True)
    ]
    has_truth = all(numbers["truth"] for numbers in validations)
    return {
        "title": TITLE,
        "lead": LEAD,
        "explanation": EXPLANATION + ("" if has_truth else WITHOUT_TRUTH),
        "exposures": rows,
        "quantities": shown[0],
        "headings": [heading for heading, *_ in report.COLUMNS],
        "status_headings": [f"{labels[bit.name]} ({bit.value})" for bit in Status],
        "made_headings": MADE_HEADINGS,
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(versions.items())),
        "settings": _settings_text(settings),
        "data": report.compact_json(_data(exposures, relations, validations, shown)),
    }


def _exposure_content(exposure: Mapping, relation, numbers: Mapping, labels: Mapping) -> dict:
    """The lines and tables of one exposure."""
    header = relation.meta
    counts = [numbers["status_counts"][bit.name] for bit in Status]
    return {
        "name": exposure["name"],
        "seconds": f"{header['EXPOSURE']:g}",
        "verdict": report.verdict(numbers, labels),
        "tables": [
            {
                "caption": f"All {numbers['n_answers']} answers",
                "rows": report.energy_table(numbers),
            },
            {
                "caption": f"The {numbers['n_good']} good pixels (STATUS 0)",
                "rows": report.energy_table(numbers, "good"),
            },
        ],
        "status": [numbers["n_pixels"], numbers["n_answers"], numbers["n_good"], *counts],
        "made": [
            header["MULTIPLI"],
            exposure["method"],
            f"{header['LINETAB']} (sha256 {header['LINESHA'][:12]})",
            header["CONFHASH"][:12],
        ],
    }


def _data(exposures, relations, validations, shown) -> dict:
    """What the page draws from. Places of the pixels stand there once, for all exposures."""
    first = relations[0]
    x, y = np.asarray(first["X"]), np.asarray(first["Y"])
    names = [exposure["name"] for exposure in exposures]
    statuses = [np.asarray(relation["STATUS"]) for relation in relations]
    maps = (report.map_data(*pair) for pair in zip(shown, statuses, strict=True))
    return {
        "detnum": np.asarray(first["DETNUM"]).tolist(),
        "x": x.tolist(),
        "y": y.tolist(),
        "width": 80,
        "height": 80,
        "quantities": [
            {"key": own.key, "unit": own.unit, "signed": own.signed} for own in shown[0]
        ],
        "maps": dict(zip(names, maps, strict=True)),
        "status": [
            {"bit": int(bit), "label": label, "colour": colour}
            for (bit, label), colour in zip(STATUS_LABELS.items(), STATUS_COLOURS, strict=True)
        ],
        "gravest": [int(bit) for bit in GRAVEST_FIRST],
        "passes": _passes(names, relations, validations),
    }


def _passes(names, relations, validations) -> dict:
    """Pass fraction (per cent) against exposure at each energy, by rising exposure."""
    seconds = [float(relation.meta["EXPOSURE"]) for relation in relations]
    order = sorted(range(len(names)), key=lambda i: (seconds[i], i))
    has_truth = all(numbers["truth"] for numbers in validations)
    key = "pass_fraction" if has_truth else "predicted_pass_fraction"
    lines = []
    for energy in sorted(validations[0]["energies"], key=float):
        shares = [validations[i]["energies"][energy][key] for i in order]
        lines.append({"energy": energy, "shares": [_percent(share) for share in shares]})
    return {
        "names": [names[i] for i in order],
        "seconds": [round(seconds[i], 3) for i in order],
        "lines": lines,
        "wanted": 100 * report.REQUIRED_PASS_FRACTION,
        "title": "Pass fraction" if has_truth else "Predicted pass fraction",
    }


def _percent(share):
    return None if share is None else round(100 * share, 3)


def _settings_text(settings: Mapping) -> str:
    """Settings as text; a long list of pixels becomes its ends."""
    settings = dict(settings)
    pixels = settings.get("pixels")
    if isinstance(pixels, list) and len(pixels) > 16:
        settings["pixels"] = f"{len(pixels)} pixels, DETNUM {pixels[0]} to {pixels[-1]}"
    return json.dumps(settings, indent=2, sort_keys=True)


def software_versions(modules) -> dict[str, str]:
    """Versions of Python and of the modules given."""
    own = {module.__name__: module.__version__ for module in modules}
    return {"Python": platform.python_version(), **own}
