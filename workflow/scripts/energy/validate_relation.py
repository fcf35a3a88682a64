"""Rule validate_relation: the numbers that say how good one exposure is.

input: relation, lines, catalogue; truth where it was injected, prior where configured
    (relation.file), response of the joint method
output: validation
params: relation (gain_keV, offset_keV), exposure
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.columns import CHANNEL_EXTENSION, RESIDUAL_EXTENSION
from pixelcal.energy.kinds import kinds_of
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.energy.results.adequacy_files import MODULE_EXTENSION, adequacy_numbers
from pixelcal.energy.results.systematics import systematics_of
from pixelcal.energy.results.validation import validate
from pixelcal.energy.truth import read_truth
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import has_extension, read_columns, write_json
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    instrument = instrument_of(params.instrument)
    relation = read_columns(given.relation, "RELATION")
    detnum = np.asarray(relation["DETNUM"])
    prior = read_prior(given.get("prior"), detnum, **params.relation, instrument=instrument)
    truth = read_truth(given.truth, detnum) if given.get("truth") else None
    table = read_line_table(given.lines) if given.get("lines") else None
    systematics = None
    if given.get("response"):
        kinds = kinds_of(relation)
        systematics = systematics_of(given.response, relation, kinds, table, instrument)
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
    numbers["adequacy"] = None
    if has_extension(given.relation, RESIDUAL_EXTENSION):  # of the method joint
        names = RESIDUAL_EXTENSION, MODULE_EXTENSION, CHANNEL_EXTENSION
        *residuals, channels = (read_columns(given.relation, name) for name in names)
        known = table, read_catalogue(given.catalogue)
        shape, judged = expected_shape(instrument), instrument.requirement.energies_keV
        found = adequacy_numbers(*residuals, *known, shape, judged, channels)
        numbers["adequacy"], logger = found, logging.getLogger("pixelcal")
        for words in found["warnings"]:
            logger.warning(words)
        for candidate in found["candidates"]:
            rows = "\n".join(candidate["table_rows"])
            logger.info("rows of a line table with %s:\n%s", candidate["name"], rows)
    write_json(snakemake.output.validation, numbers)
