"""Rule validate_charge_resolution: measured charge resolution against that from truth.

input: resolution, spe, pixels (of the simulation), peaks
output: validation
params: light (list of name, pe, nsb_per_ns), charges (options of the extraction), settings
    (conversion, convention, fwhm_ns, afterpulses)
"""

import _path  # noqa: F401

from pixelcal.charge.extraction.charges import window_of
from pixelcal.charge.extraction.io import read_peaks
from pixelcal.charge.resolution.io import read_spe
from pixelcal.charge.simulation.expected_resolution import compare_with_truth
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns, read_table, write_json
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    if not given.get("pixels"):
        raise InputError("these runs are not simulated and have no truth; ask for resolution.fits")
    camera, pixels = (read_columns(given.resolution, name) for name in ("CAMERA", "PIXELS"))
    peaks, _ = read_peaks(given.peaks)
    numbers = compare_with_truth(
        camera,
        pixels,
        read_spe(given.spe),
        read_table(given.pixels),
        params.light,
        peaks.peak,
        window_of(params.charges),
        params.settings,
    )
    write_json(snakemake.output.validation, numbers)
