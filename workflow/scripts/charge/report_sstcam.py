"""Rule report_sstcam: one self-contained page about the SSTCAM.

input: spe, spectra, validation, peaks, pixel_map, charges (list, of both sets); where flashes are
    simulated truth; where there is a scan resolution and summary
output: report, summary (its verdict)
params: settings (resolved), run (its name)
"""

import _path  # noqa: F401
import astropy
import numpy as np
import plotly

import pixelcal
from pixelcal.charge.report.content import page_content
from pixelcal.charge.report.products import read_products
from pixelcal.charge.report.verdict import summary
from pixelcal.io.provenance import software_versions
from pixelcal.io.tables import write_json, write_text
from pixelcal.report.frame import render
from pixelcal.report.provenance import folder_of_run
from pixelcal.workflow.script import listed, running

NAMES = ("spe", "spectra", "validation", "peaks", "pixel_map", "truth", "resolution", "summary")

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    charges = listed(given.charges)
    paths = {name: given.get(name) for name in NAMES} | {"charges": charges}
    products = read_products(paths, params.settings)
    progress(1, 3)
    versions = software_versions([pixelcal, astropy, np, plotly])
    content = page_content(products, versions, folder_of_run(params.get("run")))
    progress(2, 3)
    write_json(snakemake.output.summary, summary(content))
    write_text(snakemake.output.report, render("charge/report.html.j2", **content))
