"""Rule validate_relation: the numbers that say how good one exposure is.

input: relation; truth where it was injected, prior where configured (relation.file), response of
    the joint method
output: validation
params: relation (gain_keV, offset_keV), exposure
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.kinds import kinds_of
from pixelcal.energy.prior import read_prior
from pixelcal.energy.results.systematics import systematics_of
from pixelcal.energy.results.validation import validate
from pixelcal.energy.truth import read_truth
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import read_columns, write_json
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    instrument = instrument_of(params.instrument)
    relation = read_columns(given.relation, "RELATION")
    detnum = np.asarray(relation["DETNUM"])
    prior = read_prior(given.get("prior"), detnum, **params.relation, instrument=instrument)
    truth = read_truth(given.truth, detnum) if given.get("truth") else None
    systematics = None
    if given.get("response"):
        systematics = systematics_of(given.response, kinds_of(relation))
    numbers = validate(
        relation,
        prior,
        truth,
        systematics=systematics,
        requirement=instrument.requirement,
    )
    header = relation.meta
    numbers |= {
        "exposure": params.exposure,
        "exposure_s": header["EXPOSURE"],
        "multiplicity": header["MULTIPLI"],
    }
    write_json(snakemake.output.validation, numbers)
