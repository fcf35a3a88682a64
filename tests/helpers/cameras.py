"""The simulated camera of the library, under a short name, and options of the fits."""

from helpers.instruments import REFERENCE_ENERGIES_KEV, SEARCH
from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.two_step import TwoStepOptions
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

MIN_COUNTS = 200
OPTIONS = JointOptions(
    min_counts=MIN_COUNTS, pvalue_limit=1e-4, search=SEARCH, energies_keV=REFERENCE_ENERGIES_KEV
)
TWO_STEP_OPTIONS = TwoStepOptions(
    line_fwhm_keV=1.4,
    tolerance_sigma=4.0,
    block_chi_square_limit=2.0,
    min_counts=MIN_COUNTS,
    pvalue_limit=1e-4,
)
