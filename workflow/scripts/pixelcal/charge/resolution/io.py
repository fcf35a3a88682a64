"""The products of the charge resolution: resolution.fits and charge_resolution.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.charge.extraction.copies import Events, check_different_runs, events_of
from pixelcal.charge.extraction.io import read_charges
from pixelcal.charge.resolution.estimator import charge_edges
from pixelcal.charge.resolution.measure import (
    NUMBERS,
    VALID,
    ScanCharges,
    ScanResolution,
    Settings,
)
from pixelcal.charge.resolution.requirement import RANGE_PE
from pixelcal.charge.resolution.scan import Left
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns, table_hdu
from pixelcal.status import has_valid_fit

SPE_COLUMNS = [
    "PIXEL", "PE", "OPCT", "LATE", "DARK", "NOISE", "EPED", "EPED_ERR", "STATUS",
]  # fmt: skip
CAMERA, PIXELS, VERDICT = "CAMERA", "PIXELS", "VERDICT"
CHARGES = ("EXPECTED", "MEAN_PE")
CAMERA_UNITS = {
    "N_PH": "photon",
    "N_PH_MEAS": "photon",
    "NSB": "electron/ns",
    "NSB_MEAS": "electron/ns",
} | {f"{name}{suffix}": "electron" for name in CHARGES for suffix in ("", VALID)}
PIXEL_UNITS = dict.fromkeys(CHARGES, "electron")

CONVENTION_TEXTS = {
    "lab": "lab: sqrt(<(Q_true - Q)^2>) / Q_true, Q_true = photons * PDE for the run;"
    " the fluctuations of the light are in the data",
    "simulation": "simulation: sqrt(<(Q_true - Q)^2> + Q_true) / Q_true, Q_true the photoelectrons"
    " of each flash and pixel; Poisson fluctuations are added",
}
CONVERSION_TEXTS = {
    "spe": "spe: (charge - pedestal) / pe * (1 - opct) / (1 + late) with the pixel's own SPE fit;"
    " pedestal is the mean charge of the dark runs of the level of background; without any it is"
    " the mean over the SPE runs weighted with 1 / EPED_ERR^2, and the mean charge of dark counts;"
    " pe is multiplied by the relative gain of the level",
    "transfer": "transfer: a monotone function measured from calibration runs, which are"
    " excluded from the assessment",
}


def read_spe(path: str | Path) -> Table:
    """The columns of the SPE table that convert charges; `meta` holds its header.

    Raises
    ------
    InputError
        Where the file is missing, damaged, or lacks a column.
    """
    table = read_columns(path, "SPE")
    missing = [name for name in SPE_COLUMNS if name not in table.colnames]
    if missing:
        raise InputError(f"{path}: SPE lacks {', '.join(missing)}; make it again")
    return table[SPE_COLUMNS]


def scan_loader(files: Mapping[str, str | Path], spe: Table) -> Callable[[str], ScanCharges]:
    """A function that reads the charges of a run by name.

    Parameters
    ----------
    files : dict
        Path of the charges of each run.
    spe : Table
        The SPE table: the charges must have its pixels, in its order. A run whose waveforms are
        among the files that its header names is a calibration run.

    Raises
    ------
    InputError
        From the function: where a run has no file, or one of other pixels or without events.
    """
    pixel = np.asarray(spe["PIXEL"])
    seen: dict[str, Events] = {}
    fitted = {card.value for card in getattr(spe.meta, "cards", ()) if "INSHA" in card.keyword}

    def load(name: str) -> ScanCharges:
        if name not in files:
            raise InputError(f"run {name}: has no file of charges; extract them first")
        run = read_charges(files[name])
        where = f"run {name}: {files[name]}"
        if not np.array_equal(run.pixel, pixel):
            raise InputError(f"{where} has other pixels than the SPE fits; make both again")
        if not run.charges.shape[1]:
            raise InputError(f"{where} holds no event; leave the run out of the table of the scan")
        unit, fitted_unit = (header.get("UNITSAMP", "") for header in (run.header, spe.meta))
        if unit and fitted_unit and unit != fitted_unit:
            raise InputError(
                f"{where} has charges in {unit}, but the SPE fits are in {fitted_unit}; give both"
                " in one unit"
            )
        if name not in seen:
            seen[name] = events_of(run.charges)
            check_different_runs([*seen.items()])
        return ScanCharges(
            run.charges,
            run.step or 1.0,
            run.dead | run.off,
            run.saturated,
            run.true_pe,
            run.header.get("INSHA001") in fitted,
        )

    return load


def resolution_hdus(
    measured: ScanResolution, settings: Settings, cards: Sequence[tuple]
) -> list[fits.BinTableHDU]:
    """CAMERA, a row per run; PIXELS, per pixel and run; VERDICT, per requirement and run."""
    edges = charge_edges()
    method = [
        ("CONVERS", settings.conversion, "conversion of charge to p.e."),
        ("TRANSFER", settings.transfer, "one transfer function per"),
        ("CONVENT", settings.convention, "convention of the expected charge"),
        ("PDE", float(settings.pde), "p.e. per photon, where expected is lab"),
        ("NCALIB", len(measured.summary["calibrating_runs"]), "runs of the transfer function"),
        ("EDGELOW", float(edges[0]), "p.e., lower edge of EXTRACTED"),
        ("EDGEHIGH", float(edges[-1]), "p.e., upper edge; bins are logarithmic"),
        ("COMMENT", CONVERSION_TEXTS[settings.conversion]),
        ("COMMENT", CONVENTION_TEXTS[settings.convention]),
    ]
    if settings.conversion != "transfer":
        method = [card for card in method if card[0] != "TRANSFER"]
    left = [("COMMENT", f"LEFT_OUT {int(bit)}: {bit.name}") for bit in Left]
    return [
        table_hdu(measured.camera, CAMERA, CAMERA_UNITS, [*cards, *method]),
        table_hdu(measured.pixels, PIXELS, PIXEL_UNITS, [*cards, *method, *left]),
        table_hdu(verdict_rows(measured), VERDICT, None, [*cards, *method]),
    ]


def verdict_rows(measured: ScanResolution) -> np.ndarray:
    """NSB, RUN_ROW, REQUIRED (NaN outside of the range) and MEETS (1, 0; -1 not assessed)."""
    dtype = [("NSB", "f8"), ("RUN_ROW", "i2"), ("REQUIRED", "f8"), ("MEETS", "i2")]
    rows = [
        (verdict["nsb_per_ns"], row, required, -1 if meets is None else int(meets))
        for verdict in measured.summary["verdicts"]
        for row, (required, meets) in enumerate(
            zip(verdict["required"], verdict["meets"], strict=True)
        )
    ]
    return np.array(rows, dtype)


def resolution_json(measured: ScanResolution, settings: Settings, status: np.ndarray) -> dict:
    """What the report and a reader need: how it was measured, the runs, the verdict.

    Parameters
    ----------
    measured : ScanResolution
    settings : Settings
    status : (n_pixels,) int
        STATUS of the SPE table.
    """
    valid = has_valid_fit(status)
    counts = {
        "n_pixels": len(status),
        "n_no_answer": int((~valid).sum()),
        "n_good": int((status == 0).sum()),
        "n_answers": int(valid.sum()),
    }
    return {
        "conversion": settings.conversion,
        "conversion_text": CONVERSION_TEXTS[settings.conversion],
        "transfer": settings.transfer if settings.conversion == "transfer" else None,
        "convention": settings.convention,
        "convention_text": CONVENTION_TEXTS[settings.convention],
        "pde": float(settings.pde),
        "requirement_range_pe": list(RANGE_PE),
        "pixels": counts,
        "runs": [_run(row) for row in measured.camera],
        **measured.summary,
    }


def _run(row: np.void) -> dict[str, Any]:
    """One run: what it is, and its numbers over the good pixels and over all with a valid fit."""
    numbers = {
        name: {
            "n_pixels": int(row[f"N_PIXELS{suffix}"]),
            **{key.lower(): float(row[f"{key}{suffix}"]) for key in NUMBERS},
        }
        for name, suffix in (("good", ""), ("answers", VALID))
    }
    return {
        "name": str(row["RUN"]),
        "n_ph": float(row["N_PH"]),
        "n_ph_meas": float(row["N_PH_MEAS"]),
        "light": str(row["LIGHT"]),
        "pedestal_from": str(row["PEDESTAL"]),
        "gain": float(row["GAIN"]),
        "gain_err": float(row["GAIN_ERR"]),
        "gain_from": str(row["GAIN_FROM"]),
        "nsb": float(row["NSB"]),
        "nsb_meas": float(row["NSB_MEAS"]),
        "use": str(row["USE"]),
        "reason": str(row["REASON"]),
        "flashes": int(row["FLASHES"]),
        "n_saturated": int(row["N_SATURATED"]),
        "poisson": float(row["POISSON"]),
        **numbers,
    }
