"""ECLAIRs, as its instrument file has it: what tests and benchmarks of the energy chain need."""

from pixelcal.energy.requirement import inner_energies_keV
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.io.instruments import instrument_content, load_instrument

ECLAIRS = load_instrument("eclairs")
SETTINGS = instrument_content("eclairs")
GRID = ECLAIRS.n_rows, ECLAIRS.n_columns
N_PIXELS, N_CHANNELS = ECLAIRS.n_pixels, ECLAIRS.n_channels
REQUIREMENT, SEARCH = ECLAIRS.requirement, ECLAIRS.search
REFERENCE_ENERGIES_KEV = REQUIREMENT.energies_keV
JUDGED_KEV = inner_energies_keV(REQUIREMENT)
EXPECTED = expected_shape(ECLAIRS)
"""The line shape that learning starts from."""
ESCAPES_KEV = tuple((one.edge_keV, one.lost_keV) for one in EXPECTED.material.escapes)
