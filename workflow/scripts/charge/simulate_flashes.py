"""Rule simulate_flashes: the waveforms of one run of the simulated camera."""

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.runs.run_writer import RunWriter
from pixelcal.charge.runs.waveforms import RunProperties
from pixelcal.charge.simulation.flashes import ADC_DTYPE, HIGHEST_ADC, Light, flash_blocks
from pixelcal.io.tables import read_table
from pixelcal.workflow.script import running

BLOCK_CHUNKS = 32

with running(snakemake) as progress:
    params = snakemake.params
    settings = params.simulation
    pixels = read_table(snakemake.input.pixels)
    light = Light(
        pe=params.n_ph * settings["pde"],
        nsb=settings["nsb_per_ns"],
        afterpulse_probability=settings["afterpulses"]["probability"],
        afterpulse_time=settings["afterpulses"]["time_ns"],
    )
    properties = RunProperties(
        pixel=np.asarray(pixels["PIXEL"]),
        n_samples=settings["samples"],
        dtype=np.dtype(ADC_DTYPE),
        unit="adu",
        sample_ns=1.0,
        adc_range=(0, HIGHEST_ADC),
    )
    known = {"n_ph": params.n_ph, "nsb_per_ns": settings["nsb_per_ns"]}
    with RunWriter(snakemake.output.run, properties, with_truth=True, attributes=known) as run:
        block_events = BLOCK_CHUNKS * run.chunk_events
        blocks = flash_blocks(pixels, light, settings, params.run, params.flashes, block_events)
        for number, block in enumerate(blocks, 1):
            run.append(block)
            progress(number * block_events, params.flashes)
