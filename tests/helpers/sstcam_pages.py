"""Products of the SSTCAM for tests of its report: charges drawn from the model, really fitted.

Small cameras by default. `make_products` writes what the rule `report_sstcam` reads, `write_page`
runs the rule's script on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helpers.flashes import draw_charges, draw_photoelectrons
from helpers.paths import PROJECT
from helpers.synthetic import run_script
from pixelcal.charge.extraction.charges import Charges, window_of
from pixelcal.charge.extraction.io import charge_hdus, light_cards, option_cards, peak_hdus
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.resolution.io import resolution_hdus, resolution_json
from pixelcal.charge.resolution.measure import ScanCharges, Settings, measure_scan
from pixelcal.charge.resolution.scan import ScanRun
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.charge.simulation.flashes import make_pixels
from pixelcal.charge.simulation.truth import truth_table
from pixelcal.charge.spe.columns import SPE_EXTENSION, SPECTRA_EXTENSION, run_cards
from pixelcal.charge.spe.dark_run.rows import fit_pixels_with_dark_runs
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.merge import complete_status
from pixelcal.charge.spe.spectra import bin_widths, fill_run, spectra_rows
from pixelcal.charge.spe.validation import validate
from pixelcal.io.merge import placed_rows
from pixelcal.io.tables import table_hdu, write_ecsv, write_fits, write_json

SSTCAM_MAP = PROJECT / "resources" / "sstcam_pixels.csv"
CHARGES = {
    "window": 16, "window_shift": 6, "time_skew": True, "baseline": "none", "baseline_samples": 0,
    "solo_pixels": False, "max_events": None,
}  # fmt: skip
FIT = {"pe_guess": None, "min_flashes": 500, "pvalue_limit": 1e-4, "peak_to_valley": 1.08}
SIMULATION = {
    "seed": 1, "peak_sample": 40, "pe_adu": 30, "sigma_pe_adu": 3, "sigma_ped_adu": 6, "opct": 0.15,
    "baseline_adu": 300, "dead_fraction": 0.0, "fwhm_ns": 10, "samples": 128, "stale_fraction": 0.0,
    "incomplete_fraction": 0.0,
    "spread": {
        "efficiency": 0.1, "gain": 0.05, "opct": 0.1, "noise": 0.05, "baseline_adu": 3,
        "time_ns": 1,
    },
}  # fmt: skip
LIGHT = (0.6, 1.2, 2.4)
PDE = 0.46


def spectra_of(charges, pixel, dark=None) -> np.ndarray:
    """Rows of the table SPECTRA of the charges of each run, (n, n_events) of step 1.

    `dark` (R,) tells which runs are without light; None: none.
    """
    dark = [False] * len(charges) if dark is None else list(dark)
    width = bin_widths(charges[dark.index(False)], 1.0)
    filled = [fill_run(run, 1.0, width, of) for run, of in zip(charges, dark, strict=True)]
    return spectra_rows(pixel, width, filled)


def fit_spectra(spectra, dark=(), **options) -> np.ndarray:
    """Fits of all pixels, as the rule has them."""
    names = ("COUNTS", "START", "WIDTH", "PIXEL")
    given = (spectra[name] for name in names)
    if any(dark):
        return fit_pixels_with_dark_runs(*given, dark, SpeOptions(**options))
    return fit_pixels(*given, SpeOptions(**options))


def make_products(
    folder,
    pixel=tuple(range(64)),
    flashes=1500,
    light=LIGHT,
    scan=True,
    truth=True,
    change=None,
    bad=(),
    dark=0.0,
) -> dict:
    """Paths of all products by the names of the rule's input.

    `change(rows)` spoils the fits before they are merged; `bad` pixels are masked; `dark` is the
    mean number of dark counts in a window. A run of `light` 0 is a dark run.
    """
    folder, pixel = Path(folder), np.asarray(pixel)
    pixels, n = make_pixels(pixel, SIMULATION), len(pixel)
    peak = np.rint(np.asarray(pixels["TIME"])).astype(np.int32)
    none = np.zeros(n, bool)
    wave = 8 * np.exp(-0.5 * ((np.arange(128) - peak[:, None]) / 5.0) ** 2)
    peaks = Peaks(pixel.astype(np.int32), peak, none, none, wave)
    known = truth_table(pixels, peak, window_of(CHARGES), light, SIMULATION["fwhm_ns"])
    names = ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT")
    drawn = {name.lower(): np.asarray(known[name]) for name in names}
    drawn["pedestal"] = np.asarray(known["EPED"])[:, 0]
    paths = {"peaks": folder / "peaks.fits", "pixel_map": SSTCAM_MAP, "charges": []}
    write_fits(paths["peaks"], peak_hdus(peaks))

    charges = []
    efficiency = np.asarray(pixels["EFFICIENCY"])
    for number, pe in enumerate(light):
        random = np.random.default_rng([5, number])
        photoelectrons = draw_photoelectrons(random, pe * efficiency, flashes)
        charges.append(draw_charges(random, photoelectrons, drawn))
        if dark:
            charges[-1] += dark_charges(random, dark, drawn["pe"], flashes)
        cards = run_header("spe", f"spe_{number:02d}", {"n_ph": pe / PDE})
        paths["charges"].append(write_charges(folder, charges[-1][:, :2], peaks, cards))
    names = [f"spe_{number:02d}" for number in range(len(light))]
    without = [pe == 0 for pe in light]
    spectra = spectra_of(charges, pixel, without)
    rows = fit_spectra(spectra, without)
    if change is not None:
        change(rows)
    rows = complete_status(rows, np.asarray(bad, int), none)
    pixel_map = read_pixel_map(SSTCAM_MAP)
    places = (np.asarray(coordinate)[pixel] for coordinate in (pixel_map.x, pixel_map.y))
    head = [*option_cards(CHARGES), ("UNITSAMP", "adu"), ("STEP", 1.0), *run_cards(names, without)]
    made = [("CREATOR", "pixelcal merge_spe"), ("SOFTVERS", "0"), ("CONFHASH", "0" * 64)]
    paths["spe"], paths["spectra"] = folder / "spe.fits", folder / "spectra.fits"
    table = placed_rows(rows, *places)
    write_fits(paths["spe"], [table_hdu(table, SPE_EXTENSION, cards=[*head, *made])])
    write_fits(paths["spectra"], [table_hdu(spectra, SPECTRA_EXTENSION, cards=head)])
    if truth:
        paths["truth"] = folder / "truth.ecsv"
        write_ecsv(paths["truth"], known)
    paths["validation"] = folder / "validation.json"
    write_json(paths["validation"], validate(rows, known if truth else None))
    if scan:
        write_scan(folder, paths, rows, drawn, efficiency, peaks)
    return paths


def dark_charges(random, mean, pe, n_flashes, decay=0.25) -> np.ndarray:
    """Charges (n, n_flashes) that dark counts add: exponential pulses from any time of the window.

    `decay` is that of a pulse, in windows; pulses begin up to ten of it before the window.
    """
    before = 10.0 * decay
    number = random.poisson(mean * (1.0 + before), (len(pe), n_flashes))
    total = np.zeros(number.shape)
    for k in range(number.max()):
        begin = (1.0 + before) * random.random(number.shape) - before
        from_start = np.exp(np.minimum(begin, 0.0) / decay)
        left = 1.0 - np.maximum(begin, 0.0)
        part = from_start * (1.0 - np.exp(-left / decay)) / (1.0 - np.exp(-1.0 / decay))
        total += np.where(number > k, part, 0.0)
    return np.rint(np.reshape(pe, (-1, 1)) * total).astype(np.int32)


def run_header(which, name, light) -> list[tuple]:
    return [("RUNNAME", name), ("RUNSET", which), *light_cards(light), *option_cards(CHARGES),
            ("NINFILE", 1), ("INFIL001", f"{name}.h5"), ("INSHA001", "1" * 64)]  # fmt: skip


def write_charges(folder, charges, peaks, cards) -> str:
    """A file with the header that the page reads; few of the charges are enough."""
    extracted = Charges(
        charges=charges,
        event_id=np.arange(charges.shape[1]),
        true_pe=None,
        n_read=charges.shape[1] + 3,
        bad={"stale": 2, "incomplete": 1, "other": 0},
    )
    path = folder / f"{cards[0][1]}.fits"
    write_fits(path, charge_hdus(extracted, peaks, 1.0, cards))
    return str(path)


def write_scan(folder, paths, rows, drawn, efficiency, peaks) -> None:
    """A scan of the same pixels, measured."""
    runs, files = [], {}
    none = np.zeros(len(rows), bool)
    for number, pe in enumerate((0.5, 3.0, 20.0, 150.0, 900.0)):
        random = np.random.default_rng([9, number])
        photoelectrons = draw_photoelectrons(random, pe * efficiency, 60)
        name = f"scan_{number:02d}"
        charges = draw_charges(random, photoelectrons, drawn)
        files[name] = ScanCharges(charges, 1.0, none, none, photoelectrons)
        light = {"n_ph": pe / PDE, "n_ph_meas": pe / PDE, "nsb": 0.0, "nsb_meas": 0.0}
        runs.append(ScanRun(name, *light.values()))
        cards = run_header("scan", name, light)
        paths["charges"].append(write_charges(folder, charges[:, :2], peaks, cards))
    settings = Settings("spe", "lab", PDE, (0.125, 1.25))
    measured = measure_scan(runs, files.__getitem__, rows, settings)
    paths["resolution"], paths["summary"] = folder / "resolution.fits", folder / "resolution.json"
    write_fits(paths["resolution"], resolution_hdus(measured, settings, []))
    write_json(paths["summary"], resolution_json(measured, settings, rows["STATUS"]))


def page_params() -> dict:
    """Parameters of the rule `report_sstcam`."""
    return {"settings": {"fit": FIT, "charges": CHARGES, "note": "</script><b>&"}}


def write_page(folder, paths, name="sstcam.html") -> Path:
    """Run the rule's script on the products."""
    page = Path(folder) / name
    made = {"report": page, "summary": page.with_suffix(".json")}
    run_script("report_sstcam", Path(folder), paths, made, page_params())
    return page
