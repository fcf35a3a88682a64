"""Runs of flashes for the tests: open-layout files written by h5py alone, and a small camera."""

from pathlib import Path

import h5py
import numpy as np

SIMULATION = {
    "seed": 5,
    "samples": 64,
    "fwhm_ns": 10.0,
    "pe_adu": 30.0,
    "sigma_pe_adu": 3.0,
    "sigma_ped_adu": 6.0,
    "opct": 0.15,
    "baseline_adu": 300.0,
    "peak_sample": 30.0,
    "stale_fraction": 0.0,
    "incomplete_fraction": 0.0,
    "dead_fraction": 0.0,
    "pde": 0.5,
    "nsb_per_ns": 0.0,
    "illuminations_pe": [2.0, 0.5],
    "scan": {"lowest_pe": 1.0, "highest_pe": 100.0, "runs": 3},
    "spread": {
        "efficiency": 0.1,
        "gain": 0.05,
        "opct": 0.1,
        "noise": 0.05,
        "baseline_adu": 3.0,
        "time_ns": 1.0,
    },
}
"""`sstcam.simulation`, as the configuration has it, for a short waveform."""


def samples(n_events=6, n_pixels=5, n_samples=40, dtype=np.uint16, peak=20):
    """Waveforms (event, pixel, sample): noise, and a pulse that is highest at `peak`."""
    rng = np.random.default_rng(2)
    noise = rng.integers(290, 310, (n_events, n_pixels, n_samples))
    pulse = 80 * np.exp(-0.5 * ((np.arange(n_samples) - peak) / 3.0) ** 2)
    return (noise + pulse).astype(dtype)


def write_run(
    path,
    waveforms=None,
    *,
    pixels=None,
    unit="adu",
    sample_ns=1.0,
    adc=None,
    chunks=None,
    **datasets,
):
    """An open-layout file; `datasets` are more of them, and None leaves out what is named.

    `adc` has the attributes adc_min and adc_max.
    """
    waveforms = samples() if waveforms is None else waveforms
    with h5py.File(path, "w") as file:
        data = file.create_dataset("waveforms", data=waveforms, chunks=chunks)
        if unit is not None:
            data.attrs["unit"] = unit
        if sample_ns is not None:
            data.attrs["sample_ns"] = sample_ns
        data.attrs.update(adc or {})
        if pixels is None and waveforms.ndim > 1:
            pixels = np.arange(waveforms.shape[1])
        if pixels is not False:
            file["pixels"] = pixels
        for name, value in datasets.items():
            file[name] = value
    return Path(path)


def table(folder, *rows, header="name,n_ph"):
    """A folder with a table.csv of these rows."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_text("\n".join([header, *rows, ""]))
    return folder
