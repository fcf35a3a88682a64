"""Rule validate_spe: the numbers that say how good the single-photoelectron fits are.

input: spe; where flashes are simulated truth
output: validation
"""

import _path  # noqa: F401

from pixelcal.charge.spe.columns import SPE_EXTENSION
from pixelcal.charge.spe.validation import validate
from pixelcal.io.tables import read_columns, read_table, write_json
from pixelcal.workflow.script import running

with running(snakemake):
    given = snakemake.input
    rows = read_columns(given.spe, SPE_EXTENSION)
    truth = read_table(given.truth) if given.get("truth") else None
    write_json(snakemake.output.validation, validate(rows, truth))
