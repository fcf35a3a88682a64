"""Rule simulate_flashes: the waveforms of one run of the simulated camera."""

import numpy as np

from pixelcal.products import read_table
from pixelcal.script import running
from pixelcal.sstcam.flash_simulation import ADC_DTYPE, HIGHEST_ADC, Light, flash_blocks
from pixelcal.sstcam.open_layout import RunWriter
from pixelcal.sstcam.waveforms import RunProperties

BLOCK_CHUNKS = 32

with running(snakemake) as progress:
    params = snakemake.params
    own = params.simulation
    pixels = read_table(snakemake.input.pixels)
    light = Light(
        pe=params.n_ph * own["pde"],
        nsb=own["nsb_per_ns"],
        afterpulse_probability=own["afterpulses"]["probability"],
        afterpulse_time=own["afterpulses"]["time_ns"],
    )
    properties = RunProperties(
        pixel=np.asarray(pixels["PIXEL"]),
        n_samples=own["samples"],
        dtype=np.dtype(ADC_DTYPE),
        unit="adu",
        sample_ns=1.0,
        adc_range=(0, HIGHEST_ADC),
    )
    known = {"n_ph": params.n_ph, "nsb_per_ns": own["nsb_per_ns"]}
    with RunWriter(snakemake.output.run, properties, with_truth=True, attributes=known) as run:
        block_events = BLOCK_CHUNKS * run.chunk_events
        blocks = flash_blocks(pixels, light, own, params.run, params.flashes, block_events)
        for number, block in enumerate(blocks, 1):
            run.append(block)
            progress(number * block_events, params.flashes)
