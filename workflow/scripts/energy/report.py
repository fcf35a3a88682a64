"""Rule report: one self-contained page about all exposures.

input: relations, validations, spectra, predictions, line tables, and where there are any truths,
    responses and prior: one per exposure, in order; pixel_map
output: report, summary (its verdict)
params: exposures (settings of each), relation (gain_keV, offset_keV), settings (what they share),
    instrument, camera (folder of its products), run (its name), epochs (shown ones and all),
    threshold (sigma from where on a change is significant)
"""

import _path  # noqa: F401
import astropy
import numpy as np
import plotly
import scipy

import pixelcal
from pixelcal.camera import read_pixel_map
from pixelcal.energy.prior import read_prior
from pixelcal.energy.report.content import page_content
from pixelcal.energy.report.products import read_products
from pixelcal.energy.report.summary import summary
from pixelcal.instrument import instrument_of
from pixelcal.io.provenance import software_versions
from pixelcal.io.tables import write_json, write_text
from pixelcal.report.frame import render
from pixelcal.report.provenance import folder_of_run
from pixelcal.workflow.script import running

PER_EXPOSURE = {
    "relation": "relations",
    "validation": "validations",
    "spectra": "spectra",
    "truth": "truths",
    "prediction": "predictions",
}

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    instrument = instrument_of(params.instrument)
    # Only exposures of the method joint have a response.
    responses = iter(given.get("responses", []))
    exposures = []
    for number, settings in enumerate(params.exposures):
        paths = {
            kind: given[name][number] for kind, name in PER_EXPOSURE.items() if given.get(name)
        }
        paths["response"] = next(responses) if settings["method"] == "joint" else None
        exposures.append(
            read_products(
                settings,
                paths,
                lambda detnum: read_prior(
                    given.get("prior"), detnum, **params.relation, instrument=instrument
                ),
                instrument,
            )
        )
        progress(number + 1, len(params.exposures) + 1)
    versions = software_versions([pixelcal, astropy, np, plotly, scipy])
    content = page_content(
        exposures,
        read_pixel_map(given.pixel_map),
        params.settings,
        versions,
        params.threshold,
        instrument,
        f"{folder_of_run(params.get('run'))}/{params.camera}",
        params.get("epochs"),
    )
    write_json(snakemake.output.summary, summary(exposures, content))
    write_text(snakemake.output.report, render("energy/report.html.j2", **content))
