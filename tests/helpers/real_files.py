"""Real files of other cameras, which a test uses where they are there; none is committed."""

import pytest

from helpers.paths import PROJECT

REAL = PROJECT.parent / "shared" / "real"
"""Its README.md says what the files are, and where they are published."""


def real_file(name):
    """Path of a real file; the test is skipped where it is not there."""
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"../shared/real/{name} is not there; it is a real file and is not committed")
    return path


STIX_RUN = "stix/solo_L1_stix-ql-calibration-spectrum_20200505_V01.fits.gz"
STIX_DAILY = "stix/calibration_meta.fits.gz"
STIX_ELUT = "stix/elut_table_20200519.csv"
MEDDEA = (
    "meddea/padre_meddea_l0test_photon_20250504T055311_v0.1.0.fits",
    "meddea/padre_meddea_l0test_photon_20250504T083234_v0.1.0.fits",
)
NUSTAR = "nustar/monol_testA.evt"
