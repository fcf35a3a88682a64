"""The simulated charges of the library, under a short name."""

from pixelcal.charge.simulation.charges import (  # noqa: F401
    Sipm,
    as_spectra,
    avalanches,
    draw_charges,
    draw_spectra,
)
from pixelcal.charge.simulation.troubles import TROUBLES  # noqa: F401
