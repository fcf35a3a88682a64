"""Rule predict_observing_time: how long to observe, from what one exposure says.

input: relation, lines; response where the method is joint
output: prediction
params: min_counts, exposure
"""

import _path  # noqa: F401

from pixelcal.energy.lines import read_line_table
from pixelcal.energy.response.io import read_responses
from pixelcal.energy.results.observing_time import predict_observing_time
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import read_columns, write_json
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    relation = read_columns(given.relation, "RELATION")
    table = read_line_table(given.lines)
    response = read_responses(given.response, table) if given.get("response") else None
    numbers = predict_observing_time(
        relation,
        relation.meta["EXPOSURE"],
        params.min_counts,
        table,
        response,
        instrument=instrument_of(params.instrument),
    )
    write_json(snakemake.output.prediction, numbers | {"exposure": params.exposure})
