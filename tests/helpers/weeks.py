"""Weeks of a mission: the simulated events of the CI run, moved to the dates of each week."""

from astropy.io import fits
from astropy.time import Time, TimeDelta

WEEK_S = 7 * 86400.0
MONDAY = Time("2025-03-17T00:00:00", scale="utc")
EPOCHS = ["2025-03-17", "2025-03-24"]
SETTINGS = {
    "run": "flight",
    "pixels": "0-63",
    "lines": "resources/lines/all_blocks.csv",
    "events": {"files": ["data/week*.fits"], "gti": {"file": ["data/gti*.fits"]}},
    "epochs": {"every": "7 d"},
}


def started(number):
    """When the data of a week begin."""
    return MONDAY + TimeDelta(number * WEEK_S + 3600.0, format="sec")


def write_week(folder, simulated, number):
    """Event file and good times of a week, an hour after its beginning (UTC)."""
    header = fits.getheader(simulated / "events.fits", 1)
    zero = Time(header["MJDREFI"], header["MJDREFF"], format="mjd", scale="tt")
    moved = float((MONDAY.tt - zero).sec) + number * WEEK_S + 3600.0 - header["TSTART"]
    with fits.open(simulated / "events.fits") as hdus:
        hdus[1].data["TIME"][:] += moved
        for word in ("TSTART", "TSTOP"):
            hdus[1].header[word] += moved
        hdus.writeto(folder / f"week{number}.fits", checksum=True)
    with fits.open(simulated / "gti.fits") as hdus:
        for hdu in hdus[1:]:
            for name in ("START", "STOP"):
                hdu.data[name][:] += moved
        hdus.writeto(folder / f"gti{number}.fits", checksum=True)
