"""Rule simulate_pixels: the properties of each pixel of the simulated camera."""

from pixelcal.products import write_ecsv
from pixelcal.script import running
from pixelcal.sstcam.flash_simulation import make_pixels

with running(snakemake) as progress:
    params = snakemake.params
    write_ecsv(snakemake.output.pixels, make_pixels(params.pixels, params.simulation))
