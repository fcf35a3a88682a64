"""Rule list_runs: the table of the runs that are simulated, as a folder of real runs has it."""

from pixelcal.products import write_text
from pixelcal.script import running
from pixelcal.sstcam.tables import RunEntry, run_table

with running(snakemake) as progress:
    params = snakemake.params
    runs = [RunEntry(own["name"], own["file"], own["light"]) for own in params.runs]
    write_text(snakemake.output.table, run_table(runs, params.set))
