"""Rule measure_charge_resolution: the charge resolution of the dynamic-range scan.

input: charges (list, a file a run), spe
output: resolution, summary
params: runs (list of name, n_ph, n_ph_meas, nsb, nsb_meas), settings (keys of
    sstcam.charge_resolution), date
"""

import logging
from pathlib import Path

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.resolution.io import read_spe, resolution_hdus, resolution_json, scan_loader
from pixelcal.charge.resolution.measure import Settings, measure_scan
from pixelcal.charge.resolution.scan import scan_runs
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_fits, write_json
from pixelcal.workflow.script import listed, running

with running(snakemake) as progress:
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    settings = Settings(**params.settings)
    paths = listed(given.charges)
    spe = read_spe(given.spe)
    load = scan_loader({Path(path).stem: path for path in paths}, spe)
    measured = measure_scan(scan_runs(params.runs), load, spe, settings, progress)
    cards = provenance_cards(
        "measure_charge_resolution",
        inputs=[given.spe, *sorted(paths)],
        settings={"runs": params.runs, "charge_resolution": params.settings},
        code=params.get("library"),
    )
    write_fits(made.resolution, resolution_hdus(measured, settings, cards), params.date)
    status = np.asarray(spe["STATUS"])
    write_json(made.summary, resolution_json(measured, settings, status))
    for verdict in measured.summary["verdicts"]:
        logging.getLogger("pixelcal").info(
            "NSB %g p.e./ns: the requirement: %s (%d runs at this level)",
            verdict["nsb_per_ns"],
            verdict["state"],
            verdict["n_judged"],
        )
