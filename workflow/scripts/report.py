"""Rule report: one self-contained page about all exposures.

input: relations, validations, and truths where they were injected: one an exposure, in order
output: report
params: exposures (name, seconds, multiplicity, lines, method of each), settings (what they share)
"""

import json
from pathlib import Path

import astropy
import numpy as np
import plotly

import pixelcal
from pixelcal.eclairs.report_content import page_content, software_versions
from pixelcal.eclairs.truth import read_truth
from pixelcal.products import read_columns, write_text
from pixelcal.report import render
from pixelcal.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    relations = [read_columns(path, "RELATION") for path in given.relations]
    validations = [json.loads(Path(path).read_text("utf-8")) for path in given.validations]
    truths = [
        read_truth(path, np.asarray(relation["DETNUM"]))
        for path, relation in zip(given.truths, relations, strict=False)
    ] or [None] * len(relations)
    versions = software_versions([pixelcal, astropy, np, plotly])
    content = page_content(
        params.exposures, relations, validations, truths, params.settings, versions
    )
    write_text(snakemake.output.report, render("report.html.j2", **content))
