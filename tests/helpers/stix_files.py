"""Made-up files in the forms that STIX publishes."""

import numpy as np
from astropy.io import fits


def write_stix_run(path, rows, times, index, seconds, live_ms=None, control_index=None):
    """A calibration spectrum: rows of counts (32, 12, 1024) in DATA, runs in CONTROL.

    Parameters
    ----------
    rows : list of (32, 12, 1024) arrays
    times, index : list
        `time` (s) of each row, and the `index` of the row of CONTROL that it refers to.
    seconds, live_ms : list
        integration_time and live_time of each row of CONTROL; by default a tenth of it was dead.
    control_index : list, optional
        `index` of each row of CONTROL; by default its place.
    """
    n_control = len(seconds)
    live_ms = [900 * value for value in seconds] if live_ms is None else live_ms
    control_index = np.arange(n_control) if control_index is None else control_index
    control = fits.BinTableHDU.from_columns(
        [
            fits.Column("integration_time", "D", unit="s", array=seconds),
            fits.Column("index", "K", array=control_index),
            fits.Column("live_time", "J", bzero=2**31, array=np.array(live_ms, "u4")),
        ],
        name="CONTROL",
    )
    counts = np.array(rows, float)
    data = fits.BinTableHDU.from_columns(
        [
            fits.Column("control_index", "K", array=index),
            fits.Column("time", "D", unit="s", array=times),
            fits.Column("timedel", "D", unit="s", array=np.ones(len(rows))),
            fits.Column("counts", "393216D", dim="(1024,12,32)", array=counts),
        ],
        name="DATA",
    )
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["INSTRUME"] = "SOLO/STIX", "STIX"
    primary.header["DATE_BEG"] = "2020-05-05T17:32:43.763"
    fits.HDUList([primary, control, data]).writeto(path)
    return path


def write_daily(path, began, gain, offset):
    """Daily calibrations: MEAS_START_UTC (n,), GAIN and OFFSET (n, 384), channels per keV."""
    columns = [
        fits.Column("MEAS_START_UTC", "23A", array=began),
        fits.Column("GAIN", "384E", dim="(12,32)", array=np.reshape(gain, (-1, 32, 12))),
        fits.Column("OFFSET", "384E", dim="(12,32)", array=np.reshape(offset, (-1, 32, 12))),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


def write_elut(path, offset_adc, gain_adc, last=""):
    """An energy look-up table of pixels in order; `last` is put at its end."""
    lines = [
        '"Based on a made-up calibration, with a comma"',
        "Channel energy edges obtained from nobody ,,,",
        "Offset,Gain keV/ADC,Pixel,Detector,ADC Edge 0 - 4 keV,ADC Edge 1 - 5 keV",
    ]
    pairs = enumerate(zip(offset_adc, gain_adc, strict=True))
    lines += [f"{offset},{gain},{n % 12},{n // 12},920,930" for n, (offset, gain) in pairs]
    path.write_text("\n".join(lines) + "\n" + last)
    return path
