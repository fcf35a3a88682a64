"""Every mistake in runs of the SSTCAM that docs/sstcam-runs.md lists, and how to make it.

A case changes one thing in an input that is otherwise in order: a folder `lab` with the runs dark
and light, 5 pixels, 6 flashes each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from helpers.sstcam_runs import samples, table, write_run

BASE = {
    "pixels": "0-4",
    "spe": {"folder": "lab"},
    "charges": {"window": 16, "window_shift": 6, "max_events": None},
}


@dataclass(frozen=True)
class Case:
    """A mistake: its row in the table of the page, and how it comes about.

    `make` changes the folder, `settings` go over `sstcam`, `stage` is where it is found.
    """

    mistake: str
    make: Callable[[], object] | None = None
    settings: dict = field(default_factory=dict)
    stage: str = "extract_charges"
    by_snakemake: bool = False

    @property
    def name(self) -> str:
        """Of the test."""
        return self.mistake.replace("`", "")


def write_lab():
    """A folder of runs that is in order."""
    table("lab", "dark,0.5", "light.h5,2.5")
    for name in ("dark", "light"):
        write_run(f"lab/{name}.h5", chunks=(2, 5, 40))


def rows(*lines, header="name,n_ph"):
    """Another table.csv."""
    return lambda: table("lab", *lines, header=header)


def light(waveforms=None, **datasets):
    """Another brightest run."""
    return lambda: write_run("lab/light.h5", waveforms, **datasets)


def dark(waveforms=None, **datasets):
    """Another run."""
    return lambda: write_run("lab/dark.h5", waveforms, **datasets)


def cut(n_bytes):
    """The brightest run, cut short."""

    def make():
        path = Path("lab/light.h5")
        path.write_bytes(path.read_bytes()[:n_bytes])

    return make


def damaged_chunk():
    """The brightest run compressed, with a byte changed in the waveforms."""
    with h5py.File("lab/light.h5", "w") as file:
        data = file.create_dataset("waveforms", data=samples(), chunks=(2, 5, 40), fletcher32=True)
        data.attrs["unit"] = "adu"
        file["pixels"] = np.arange(5)
        place = data.id.get_chunk_info(1).byte_offset
    content = bytearray(Path("lab/light.h5").read_bytes())
    content[place + 10] ^= 1
    Path("lab/light.h5").write_bytes(content)


def twice():
    """A run whose events all occur a second time."""
    return np.concatenate([samples(n_events=40)] * 2)


def samples_without_light():
    """Noise alone."""
    return np.random.default_rng(1).integers(290, 310, (400, 5, 40)).astype(np.uint16)


def not_finite():
    """A float run without a number where the light is."""
    waveforms = samples(dtype=np.float32)
    waveforms[:, :, 20] = np.nan
    write_run("lab/dark.h5", waveforms)
    write_run("lab/light.h5", samples(dtype=np.float32))


def config(mistake, make=None, **options):
    """A case that is found before any job."""
    return Case(mistake, make, stage="configuration", **options)


def peaks(mistake, make=None, **options):
    """A case that is found in the brightest run."""
    return Case(mistake, make, stage="find_peaks", **options)


CASES = [
    config("the folder is missing", settings={"spe": {"folder": "none"}}, by_snakemake=True),
    config("no table.csv", lambda: Path("lab/table.csv").unlink()),
    config("table.csv is no text", lambda: Path("lab/table.csv").write_bytes(b"\xff\xfe\x00")),
    config("table.csv is empty", lambda: Path("lab/table.csv").write_text("")),
    config("a column is missing", rows("dark,0.5", header="name,photons")),
    config("a table without rows", rows()),
    config("a row with too many values", rows("dark,0.5,3")),
    config("light that is no number", rows("dark,dim")),
    config("light that is negative", rows("dark,-1")),
    config("light that is not finite", rows("dark,inf")),
    config(
        "a date that is none",
        rows("dark,0.5,March", "light,2.5,2026-03-01", header="name,n_ph,date"),
    ),
    config("every run is dark", rows("dark,0", "light,0")),
    config(
        "a relative gain that is none",
        rows("dark,0.5,1", "light,2.5,0", header="name,n_ph,relative_gain"),
    ),
    config(
        "a relative gain in per cent",
        rows("dark,0.5,1", "light,2.5,95", header="name,n_ph,relative_gain"),
    ),
    config("a column twice", rows("dark,0.5,5", header="name,n_ph,n_ph")),
    config("columns without commas between them", rows("dark;0,5", header="name;n_ph")),
    config("numbers instead of names of columns", rows("2,0.5", header="1,0.5")),
    config("a run that is not there", rows("dark,0.5", "bright,3")),
    config("a run without a name", rows(",0.5")),
    config("a run named twice", rows("dark,0.5", "dark.h5,2.5"), by_snakemake=True),
    config(
        "a name that Snakemake would expand",
        lambda: (rows("a{b}.h5,1")(), write_run("lab/a{b}.h5")),
    ),
    config("a pixel that the camera lacks", settings={"pixels": "0-2048"}),
    config("events that are none", settings={"charges": {"max_events": 0}}),
    config("a window without the peak", settings={"charges": {"window": 4, "window_shift": 10}}),
    config("a window of nothing", settings={"charges": {"window": 0}}),
    peaks("a run that is not HDF5", lambda: Path("lab/light.h5").write_text("TIME")),
    peaks("an empty file", lambda: Path("lab/light.h5").write_bytes(b"")),
    peaks("a run that is cut short", cut(3000), by_snakemake=True),
    peaks("damaged waveforms", damaged_chunk),
    peaks("no waveforms", lambda: h5py.File("lab/light.h5", "w").close()),
    peaks("waveforms of another shape", light(samples()[:, :, 0])),
    peaks("waveforms of another type", light(samples(dtype=np.float64))),
    peaks("waveforms of text", light(np.full((2, 2, 2), b"a"))),
    peaks("no unit", light(unit=None)),
    peaks("another unit", light(unit="V")),
    peaks("a time between samples that is none", light(sample_ns=-1.0)),
    peaks("an ADC without a range", light(adc={"adc_max": 0})),
    peaks("no events", light(samples()[:0]), by_snakemake=True),
    peaks("no pixel numbers", light(pixels=False)),
    peaks("fewer pixel numbers than pixels", light(pixels=np.arange(4))),
    peaks("a pixel twice", light(pixels=np.array([0, 1, 2, 3, 3])), by_snakemake=True),
    peaks("a negative pixel", light(pixels=np.array([0, 1, 2, 3, -4]))),
    peaks("flags of another number of events", light(event_flags=np.zeros(5, np.uint8))),
    peaks("flags that are no integers", light(event_flags=np.zeros(6))),
    peaks("a run without a chosen pixel", light(samples(n_pixels=3))),
    peaks("no pulse", light(samples_without_light())),
    peaks("the same number in every sample", light(np.full((6, 5, 40), 300, np.uint16))),
    peaks("pulses downward", light(600 - samples(n_events=400))),
    peaks("one sample a waveform", light(samples(n_samples=1))),
    peaks("bad events alone", light(event_flags=np.array([1, 1, 2, 4, 2, 1], np.uint8))),
    Case("a run with fewer pixels than another", dark(samples(n_pixels=3))),
    Case("a run with shorter waveforms than another", dark(samples(n_samples=36))),
    Case("a run in another unit than another", dark(unit="mV")),
    Case("a dark run with light", rows("dark,0", "light,2.5")),
    Case("events that are there twice", dark(twice())),
    Case("pixels that copy others", dark(np.repeat(samples(60, 1), 5, axis=1))),
    Case("no number in every event", not_finite),
    Case("a window longer than the waveform", settings={"charges": {"window": 41}}),
    Case(
        "a window that sticks out",
        settings={"charges": {"window": 30, "window_shift": 25}},
        by_snakemake=True,
    ),
    Case(
        "a baseline longer than the waveform",
        settings={"charges": {"baseline": "event", "baseline_samples": 41}},
    ),
]
