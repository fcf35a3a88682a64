"""Small runs of flashes with one thing wrong, and the charge chain run on them without Snakemake.

    result = run_chain(folder, [Run("dark", 0.7, flashes(0.7)), Run("light", 2.0, flashes(2.0))])
    result.error, result.said, result.spe

A `Fault` is a row of a table of tests: how the input comes about, and what should happen.
"""

from __future__ import annotations

import contextlib
import copy
import io
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from helpers.flashes import draw_photoelectrons
from helpers.page_text import words_of
from helpers.paths import PROJECT
from helpers.sstcam_runs import write_run
from helpers.synthetic import run_script
from pixelcal.workflow.config import load_defaults, read_schema

N_PIXELS, N_FLASHES, N_SAMPLES, PEAK = 16, 2000, 32, 14
PE, SIGMA_PE, SIGMA_PED, OPCT, BASELINE = 30.0, 3.0, 6.0, 0.15, 300
ADC = {"adc_min": 0, "adc_max": 4095}
N_EVENTS_SCAN = 400
LIGHTS = (0.7, 2.0)
PDE = 0.46
SSTCAM_MAP = PROJECT / "resources" / "sstcam_pixels.csv"
SHAPE = np.exp(-0.5 * ((np.arange(N_SAMPLES) - PEAK) / 2.5) ** 2)
PULSE = SHAPE / SHAPE[PEAK - 6 : PEAK + 10].sum()
"""A photoelectron has the charge PE in the usual window: 16 samples, 6 before the peak."""
HEIGHT = PE * PULSE.max()
"""Highest sample of one photoelectron above the baseline (adu)."""


# --- flashes --------------------------------------------------------------------------------------


@cache
def _flashes(light, seed, n_flashes, jitter, gain):
    random = np.random.default_rng([17, seed, round(1e4 * light)])
    true = draw_photoelectrons(random, np.full(N_PIXELS, light), n_flashes, jitter)
    fired, youngest = true.copy(), true
    while youngest.any():
        youngest = random.poisson(OPCT * youngest)
        fired += youngest
    width = np.sqrt(fired) * SIGMA_PE
    charge = gain * (PE * fired + width * random.standard_normal(fired.shape))
    noise = random.normal(0, np.sqrt(SIGMA_PED**2 / 16 - 1 / 12), (n_flashes, N_PIXELS, N_SAMPLES))
    return BASELINE + charge.T[:, :, None] * PULSE + noise, true.T


def flashes(light, seed=0, n_flashes=N_FLASHES, jitter=0.0, gain=1.0, dtype=np.uint16):
    """Waveforms (event, pixel, sample) of flashes of `light` photoelectrons (mean)."""
    waveforms, _ = _flashes(light, seed, n_flashes, jitter, gain)
    return waveforms.astype(dtype) if np.dtype(dtype).kind == "f" else digitised(waveforms, dtype)


def digitised(waveforms, dtype=np.uint16):
    """Samples as whole numbers."""
    return np.rint(waveforms).astype(dtype)


def photoelectrons(light, seed=0, n_flashes=N_FLASHES, jitter=0.0, gain=1.0):
    """True photoelectrons (event, pixel) of the same flashes."""
    return _flashes(light, seed, n_flashes, jitter, gain)[1].copy()


def with_pedestals(waveforms, share, seed=0):
    """The same run with a share of its events without light, and which (event,) these are."""
    n = len(waveforms)
    dark = np.random.default_rng(seed).permutation(n) < round(share * n)
    mixed = waveforms.copy()
    own = 99 + int(waveforms[0].sum()) % 1000  # no two runs have the same events
    mixed[dark] = flashes(1e-9, own, n)[dark]
    return mixed, dark


def with_noise(waveforms, sigma, seed=0):
    """The same run with noise that all pixels share: `sigma` adu in the charge of each flash."""
    shift = np.random.default_rng([31, seed]).normal(0, sigma / 16, len(waveforms))
    return waveforms + shift[:, None, None]


def clipped(waveforms, highest_pe, pixels=slice(None)):
    """Samples of some pixels end at the height of a pulse of so many photoelectrons."""
    made = waveforms.copy()
    made[:, pixels] = np.minimum(made[:, pixels], round(BASELINE + highest_pe * HEIGHT))
    return made


# --- the chain ------------------------------------------------------------------------------------


@dataclass
class Run:
    """A run: its name, its light (photoelectrons), its waveforms, further datasets of the file.

    `adc` are attributes of the waveforms, `columns` further ones of table.csv.
    """

    name: str
    pe: float
    waveforms: np.ndarray | Path
    datasets: dict = field(default_factory=dict)
    adc: dict | None = None
    columns: dict = field(default_factory=dict)


@dataclass
class Result:
    """What came of a chain: `error`, the last line where it was stopped, else empty; `fault`, that
    it was stopped by a traceback; `said`, all that was on the terminal; the products' paths."""

    error: str = ""
    fault: bool = False
    said: str = ""
    stage: str = ""
    paths: dict = field(default_factory=dict)

    @property
    def spe(self) -> Table:
        """The table of fits; its header is `meta`."""
        table = Table.read(self.paths["spe"], hdu="SPE")
        table.meta = dict(fits.getheader(self.paths["spe"], "SPE"))
        return table

    @property
    def good(self) -> np.ndarray:
        """Pixels with STATUS 0, (n,) bool."""
        return np.asarray(self.spe["STATUS"]) == 0

    def header(self, name: str) -> fits.Header:
        """Header of the charges of a run."""
        return fits.getheader(self.paths[name], "CHARGES")

    @property
    def camera(self) -> np.ndarray:
        """Rows of the scan's runs."""
        return fits.getdata(self.paths["resolution"], "CAMERA")

    @property
    def page(self) -> str:
        """All words of the report."""
        return words_of(self.paths["report"])

    @property
    def told(self) -> str:
        """What a user sees: the terminal, and the page where there is one."""
        return self.said + (self.page if "report" in self.paths else "")


def settings_of(changes: Mapping | None = None) -> dict:
    """`sstcam` of the configuration at its defaults, with changes section by section."""
    schema = read_schema(PROJECT / "workflow" / "schemas" / "config.schema.yaml")
    settings = copy.deepcopy(load_defaults(schema)["sstcam"])
    for section, own in (changes or {}).items():
        settings[section].update(own)
    return settings


def run_chain(
    folder,
    spe: Sequence[Run],
    scan: Sequence[Run] = (),
    bad_pixels: Sequence[int] = (),
    changes: Mapping | None = None,
    pixels: Sequence[int] = tuple(range(N_PIXELS)),
    report: bool = False,
    until: str = "",
    map_given: bool = False,
) -> Result:
    """Run every script of the charge chain on these runs, as far as it goes."""
    folder, result = Path(folder), Result()
    settings = settings_of(changes)
    terminal = io.StringIO()
    try:
        with contextlib.redirect_stderr(terminal):
            for stage, go in _stages(
                folder, result, settings, spe, scan, bad_pixels, pixels, report, map_given
            ):
                result.stage = stage
                go()
                if stage == until:
                    break
    except SystemExit:
        lines = terminal.getvalue().strip().splitlines()
        result.error = lines[-1] if lines else "stopped without a word"
        result.fault = any(line.startswith("Traceback") for line in lines)
    result.said = terminal.getvalue()
    return result


def _stages(folder, result, settings, spe, scan, bad_pixels, pixels, report, map_given):
    """Name and function of every step, in order."""
    paths = result.paths
    charges = settings["charges"]
    if charges["baseline"] != "event":
        charges = charges | {"baseline_samples": 0}
    masked = {}
    if len(bad_pixels):
        masked = {"bad_pixels": folder / "bad.csv"}
        masked["bad_pixels"].write_text("\n".join(["PIXEL", *map(str, bad_pixels), ""]))
    types = settings["source"].get("event_types")
    reading = {} if types is None else {"event_types": types}
    files = {own.name: _file(folder, own) for own in [*spe, *scan]}
    spe, scan = (sorted(runs, key=lambda own: own.pe) for runs in (spe, scan))
    names = [own.name for own in spe]

    paths["peaks"] = folder / "peaks.fits"
    look = {key: charges[key] for key in ("time_skew", "solo_pixels", "max_events")}
    given = {"run": str(files[names[-1]])} | masked
    params = {"charges": look, "pixels": list(pixels), "run": names[-1], "date": None} | reading
    yield (
        "find_peaks",
        lambda: run_script("find_peaks", folder, given, {"peaks": paths["peaks"]}, params),
    )

    def extract(own, which):
        paths[own.name] = folder / "charges" / f"{own.name}.fits"
        light = {"n_ph": own.pe / PDE} | own.columns
        run_script(
            "extract_charges",
            folder,
            {"run": str(files[own.name]), "peaks": str(paths["peaks"])} | masked,
            {"charges": paths[own.name]},
            {"charges": charges, "light": light, "set": which, "run": own.name, "date": None}
            | reading,
        )

    for own in spe:
        yield "extract_charges", lambda own=own: extract(own, "spe")
    given = {"charges": [str(folder / "charges" / f"{name}.fits") for name in names]}
    paths["spectra"] = folder / "spectra.fits"
    yield (
        "fill_spe_spectra",
        lambda: run_script(
            "fill_spe_spectra",
            folder,
            given | masked,
            {"spectra": paths["spectra"]},
            {"runs": names, "date": None},
        ),
    )
    own_fit = {key: value for key, value in settings["fit"].items() if key != "chunk_pixels"}
    yield (
        "learn_spe_noise",
        lambda: run_script(
            "learn_spe_noise",
            folder,
            {"spectra": paths["spectra"]},
            {"noise": folder / "noise.fits"},
            {"fit": own_fit, "date": None},
        ),
    )
    yield (
        "fit_spe",
        lambda: run_script(
            "fit_spe",
            folder,
            {"spectra": paths["spectra"], "noise": folder / "noise.fits"},
            {"fits": folder / "chunk.fits"},
            {"fit": settings["fit"], "chunk": "0000", "date": None},
        ),
    )
    keys = {"spectra": str(paths["spectra"]), "peaks": str(paths["peaks"])}
    used = {"fit": own_fit, "charges": charges, "pixels": list(pixels), "runs": names}

    def merge():
        run_script(
            "merge_spe",
            folder,
            keys
            | {"chunks": [str(folder / "chunk.fits")], "pixel_map": str(SSTCAM_MAP)}
            | given
            | masked,
            {"spe": folder / "spe.fits"},
            {"settings": used | {"bad_pixels": None}, "map_given": map_given, "date": None},
        )
        paths["spe"] = folder / "spe.fits"

    yield "merge_spe", merge
    if scan:
        for own in scan:
            yield "extract_charges", lambda own=own: extract(own, "scan")
        yield "measure_charge_resolution", lambda: _measure(folder, paths, settings, scan)
    if report:
        runs = [own.name for own in [*spe, *scan]]
        yield "report_sstcam", lambda: _report(folder, paths, runs, used)


def _file(folder, own: Run) -> Path:
    if isinstance(own.waveforms, Path):
        return own.waveforms
    return write_run(folder / f"{own.name}.h5", own.waveforms, adc=own.adc, **own.datasets)


def _measure(folder, paths, settings, scan):
    paths |= {"resolution": folder / "resolution.fits", "summary": folder / "resolution.json"}
    light = [
        {"name": own.name, "n_ph": own.pe / PDE, "n_ph_meas": own.pe / PDE, "nsb": 0.0}
        | {"nsb_meas": 0.0}
        | own.columns
        for own in scan
    ]
    own = settings["charge_resolution"]
    run_script(
        "measure_charge_resolution",
        folder,
        {"charges": [str(paths[run.name]) for run in scan], "spe": str(paths["spe"])},
        {name: paths[name] for name in ("resolution", "summary")},
        {"runs": light, "settings": {k: own[k] for k in own if k != "transfer"}, "date": None},
    )


def _report(folder, paths, runs, used):
    validation = folder / "validation.json"
    given = {"spe": str(paths["spe"])}
    run_script("validate_spe", folder, given, {"validation": validation}, {"charges": None})
    names = ("spe", "spectra", "peaks", "resolution", "summary")
    given = {name: paths[name] for name in names if name in paths}
    given |= {"validation": validation, "pixel_map": SSTCAM_MAP}
    given |= {"charges": [str(paths[name]) for name in runs]}
    params = {"settings": used, "truth": None}
    made = {"report": folder / "page.html", "summary": folder / "page.json"}
    run_script("report_sstcam", folder, given, made, params)
    paths["report"] = made["report"]


def two_runs(change: Callable | None = None, dtype=np.uint16, **options) -> list[Run]:
    """The usual runs, dark and light; `change(waveforms, number)` gives those used instead."""
    made = []
    for number, (name, light) in enumerate(zip(("dark", "light"), LIGHTS, strict=True)):
        waveforms = flashes(light, dtype=dtype)
        if change is not None:
            waveforms = change(waveforms, number)
        made.append(Run(name, light, waveforms, **options))
    return made


# --- what should happen ---------------------------------------------------------------------------


def says(result: Result, *patterns: str) -> None:
    """Terminal or page hold each of these patterns, whatever the case; and no traceback."""
    assert not result.fault, f"stopped by an internal error in {result.stage}: {result.error}"
    for pattern in patterns:
        assert re.search(pattern, result.told, re.IGNORECASE), (
            f"nothing said of {pattern!r}; the terminal has: {result.said[-300:]!r}"
        )


def stops(result: Result, *patterns: str) -> None:
    """One line ends the chain, with each of these patterns."""
    assert result.error, "nothing stopped the chain"
    assert not result.fault, f"stopped by an internal error in {result.stage}: {result.error}"
    for pattern in patterns:
        assert re.search(pattern, result.error, re.IGNORECASE), result.error


def ends(result: Result) -> None:
    """The chain came to its end."""
    assert not result.error, f"{result.stage}: {result.error}"


def good_is_right(result: Result) -> None:
    """Pixels with STATUS 0 have PE and OPCT of the truth, one by one and in the mean."""
    rows = result.spe[result.good]
    for name, truth in (("PE", PE), ("OPCT", OPCT)):
        error = np.asarray(rows[f"{name}_ERR"])
        pull = (np.asarray(rows[name]) - truth) / error
        wrong = np.asarray(rows[name])[np.abs(pull) >= 5]
        assert not len(wrong), f"good pixels have {name} {wrong}"
        if len(rows):
            mean, sigma = np.mean(rows[name]), np.sqrt(np.mean(error**2) / len(rows))
            assert abs(mean - truth) < 4 * sigma, f"mean {name} of good pixels is {mean:.4g}"


def most_are_good(result: Result, but: Sequence[int] = ()) -> None:
    """The chain came to its end and all pixels but these are good (one may not be, by chance)."""
    ends(result)
    good_is_right(result)
    rest = ~np.isin(np.asarray(result.spe["PIXEL"]), but)
    assert result.good[rest].sum() >= rest.sum() - 1, f"{result.good.sum()} good"
    assert not result.good[~rest].any(), "a bad pixel is called good"


def status_of(result: Result, pixel: int) -> int:
    """STATUS of a pixel."""
    rows = result.spe
    return int(rows["STATUS"][np.asarray(rows["PIXEL"]) == pixel][0])


@dataclass(frozen=True)
class Fault:
    """A row: the name of the case, how it is made and run, what should happen, and why today it
    does not (`today`, empty where it does)."""

    name: str
    make: Callable[[Path], Result]
    check: Callable[[Result], None]
    today: str = ""


def rows(*faults: Fault):
    """Parameters of a test: those that fail today are expected to, for the reason they say."""
    return [
        pytest.param(
            own,
            id=own.name,
            marks=pytest.mark.xfail(strict=True, reason=own.today) if own.today else (),
        )
        for own in faults
    ]


# --- runs that ctapipe reads ----------------------------------------------------------------------

EVENT_TYPES = {"FLATFIELD": 0, "SINGLE_PE": 1, "PEDESTAL": 2, "SKY_PEDESTAL": 2,
               "DARK_PEDESTAL": 3, "SUBARRAY": 32, "UNKNOWN": 255}  # fmt: skip
"""Numbers that ctapipe gives to types of events (ctapipe.containers.EventType). They changed with
its versions (2 was SKY_PEDESTAL and is PEDESTAL): the names are what a reader can rely on."""


def event(waveform, number=1, level="r0", kind="FLATFIELD", channel=None, image=None, status=None):
    """An event as ctapipe's sources give it; `channel` (pixel,) where the gain was selected.

    `status` (pixel,) is the one of R1: 4 and 8 are the gains that are stored.
    """
    space = types.SimpleNamespace
    camera = space(waveform=waveform, selected_gain_channel=channel, pixel_status=None)
    made = space(r0=space(tel={}), r1=space(tel={}), index=space(event_id=number))
    getattr(made, level).tel[1] = camera
    if status is not None:
        r1 = made.r1.tel.setdefault(1, space(waveform=None, selected_gain_channel=None))
        r1.pixel_status = np.asarray(status, np.uint8)
    made.trigger = space(event_type=space(name=kind, value=EVENT_TYPES[kind]))
    made.simulation = None
    if image is not None:
        made.simulation = space(tel={1: space(true_image=np.asarray(image))})
    return made


def convert(
    folder, events, n_pixels=N_PIXELS, pix_id=None, places=None, simulated=False, **params
) -> Result:
    """The rule `convert_run` on these events, with a stand-in for ctapipe; `paths["run"]`."""
    space = types.SimpleNamespace
    side = np.arange(n_pixels) * 0.006
    place = [side, side * 0] if places is None else places
    metres = [space(to_value=lambda unit, own=own: np.asarray(own), value=own) for own in place]
    pix_id = np.arange(n_pixels) if pix_id is None else np.asarray(pix_id)
    geometry = space(pix_id=pix_id, pix_x=metres[0], pix_y=metres[1], n_pixels=len(pix_id))
    rate = space(to_value=lambda unit: 1.0)
    camera = space(geometry=geometry, readout=space(sampling_rate=rate, n_channels=1))

    class Source:
        is_simulation = simulated
        subarray = space(tel={1: space(camera=camera)})

        def __init__(self, input_url, config):
            pass

        def __iter__(self):
            return iter(events)

        def close(self):
            pass

    folder, result, terminal = Path(folder), Result(stage="convert_run"), io.StringIO()
    modules = {name: types.ModuleType(name) for name in ("ctapipe", "ctapipe.io", "traitlets")}
    modules["traitlets.config"] = types.ModuleType("traitlets.config")
    modules["ctapipe.io"].EventSource = Source
    modules["traitlets.config"].Config = dict
    (folder / "run.other").write_bytes(b"of another camera")
    given = {"telescope": None, "gain_channel": None, "adc_range": None, "max_events": None}
    try:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(terminal):
            for name, module in modules.items():
                patch.setitem(sys.modules, name, module)
            run_script(
                "convert_run",
                folder,
                {"run": str(folder / "run.other")},
                {"run": folder / "converted.h5"},
                given | params,
            )
        result.paths["run"] = folder / "converted.h5"
    except SystemExit:
        result.error = terminal.getvalue().strip().splitlines()[-1]
        result.fault = "Traceback" in terminal.getvalue()
    result.said = terminal.getvalue()
    return result
