"""The verdict of the page for programs, and for the terminal at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixelcal.energy.report.events import losses
from pixelcal.energy.report.products import Products


def summary(exposures: Sequence[Products], content: Mapping) -> dict:
    """What report.json holds: the words of the page, so that both always say the same.

    Parameters
    ----------
    exposures : products of each exposure, as for `content.page_content`
    content : what that function made of them

    Returns
    -------
    dict
        `camera` and `headline` (text), and of each of `exposures` its `name`; `meets` (None where
        it cannot be said), `text` and `reasons` of the verdict; `warnings` (list of str);
        `n_pixels`, `n_no_valid_fit`; `events_read`, `events_lost` (None without such counts).
    """
    rows = []
    for exposure, shown in zip(exposures, content["exposures"], strict=True):
        verdict, lost = shown["verdict"], losses(exposure)
        rows.append(
            {
                "name": exposure.name,
                **{key: verdict[key] for key in ("meets", "text", "reasons")},
                "warnings": [*verdict["told"], *shown["warnings"]],
                "n_pixels": exposure.validation["n_pixels"],
                "n_no_valid_fit": exposure.validation["n_no_answer"],
                "events_lost": lost[0] if lost else None,
                "events_read": lost[1] if lost else None,
            }
        )
    camera = exposures[0].instrument.title
    return {"camera": camera, "headline": content["headline"], "exposures": rows}
