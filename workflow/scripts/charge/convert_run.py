"""Rule convert_run: a run that ctapipe opens, as waveforms or charges in the open layout."""

import logging
from dataclasses import replace
from pathlib import Path

import _path  # noqa: F401

from pixelcal.charge.runs.ctapipe_source import adc_range_of, open_source
from pixelcal.charge.runs.hdf5 import BLOCK_BYTES
from pixelcal.charge.runs.pixel_status import tell_failing
from pixelcal.charge.runs.run_writer import RunWriter
from pixelcal.io.provenance import file_sha256
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    charges = params.get("form") == "charges"
    adc_range = None if charges else adc_range_of(params.adc_range)
    which = params.telescope, params.gain_channel, charges
    with open_source(snakemake.input.run, *which) as source:
        properties = replace(source.properties, adc_range=adc_range)
        logging.getLogger("pixelcal").info(
            "telescope %d, %s waveforms of %d pixels and %d samples of %s",
            source.telescope, source.level, len(properties.pixel),
            properties.n_samples, properties.dtype,
        )  # fmt: skip
        event_bytes = len(properties.pixel) * properties.n_samples * properties.dtype.itemsize
        n_read, wanted = 0, params.max_events
        path = snakemake.input.run
        origin = {"source": Path(path).name, "source_sha256": file_sha256(path)}
        with RunWriter(
            snakemake.output.run,
            properties,
            with_truth=source.has_truth,
            with_types=True,
            attributes=origin,
            compression=None,
            charges=charges,
        ) as run:
            for block in source.blocks(max(1, BLOCK_BYTES // event_bytes), wanted):
                run.append(block)
                n_read += len(block.flags)
                progress(n_read, wanted or 0)
            failing, spoilt = source.failing()
            run.leave_out(spoilt, failing)
    tell_failing(properties.pixel[failing], int(spoilt.sum()), n_read, Path(path).name)
