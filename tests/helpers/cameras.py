"""The simulated camera of the library, under a short name."""

from pixelcal.energy.simulation.spectra import (  # noqa: F401
    CONTINUUM_RATES,
    FINE_EDGES,
    LINE_RATES,
    LINE_TABLE,
    NOMINAL_GAIN,
    NOMINAL_OFFSET,
    RESOLUTIONS,
    Camera,
    Detector,
    background,
    element_spectrum,
    expected_spectrum,
    fine_cumulative,
    line_table,
    make_camera,
    prior,
)
