"""Rule list_runs: the table of the simulated runs, in the form of a folder of real runs."""

import _path  # noqa: F401

from pixelcal.charge.runs.run_table import RunEntry, run_table
from pixelcal.io.tables import write_text
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    runs = [RunEntry(run["name"], run["file"], run["light"]) for run in params.runs]
    write_text(snakemake.output.table, run_table(runs, params.set))
