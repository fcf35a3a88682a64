"""Rule simulate_pixels: the properties of each pixel of the simulated camera."""

import _path  # noqa: F401

from pixelcal.charge.simulation.flashes import make_pixels
from pixelcal.io.tables import write_ecsv
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    write_ecsv(snakemake.output.pixels, make_pixels(params.pixels, params.simulation))
