"""The charge resolution in the SSTCAM's report: curves, the table of runs, the verdict."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.charge.report.products import Products, Resolution
from pixelcal.charge.resolution.estimator import charge_edges, edges_around
from pixelcal.charge.resolution.levels import FROM_FITS
from pixelcal.charge.resolution.requirement import (
    RANGE_PE,
    State,
    poisson_limit,
    required_resolution,
)
from pixelcal.report.frame import decimals
from pixelcal.report.numbers import ABSENT, number, with_error

N_CURVE = 60
LOWEST_FRACTION = 1e-6

HEADINGS = (
    "Use",
    "Photons",
    "NSB (p.e./ns)",
    "Expected (p.e.)",
    "Extracted, mean (p.e.)",
    "Resolution",
    "Bias",
    "Spread",
    "in a pixel",
    "between pixels",
    "Pixels",
)


def content(products: Products) -> dict | None:
    """What the page draws of the charge resolution; None without a scan."""
    if products.resolution is None:
        return None
    camera, summary = products.resolution.camera, products.resolution.summary
    expected = _column(camera, "EXPECTED")
    assessed = np.isfinite(_column(camera, "RESOLUTION")) & (expected > 0)
    low = min([RANGE_PE[0], *expected[assessed]]) / 1.5
    high = max([RANGE_PE[1], *expected[assessed]]) * 1.5
    curve, required = np.geomspace(low, high, N_CURVE), np.geomspace(*RANGE_PE, N_CURVE)
    shown = np.flatnonzero(assessed)
    return {
        "range": [float(low), float(high)],
        "runs": [_run(camera[row], products.resolution.pixels, row) for row in shown.tolist()],
        "requirements": [
            {
                "nsb": verdict["nsb_per_ns"],
                "charge": decimals(required, 4),
                "resolution": decimals(required_resolution(required, verdict["nsb_per_ns"]), 6),
            }
            for verdict in summary["verdicts"]
        ],
        "poisson": {"charge": decimals(curve, 4), "resolution": decimals(poisson_limit(curve), 6)},
        "extracted": _extracted(camera[shown]),
    }


def _column(table, name: str) -> np.ndarray:
    return np.asarray(table[name], float)


def _run(row, pixels, number: int) -> dict:
    """One run: its numbers with errors, over the good pixels and over all with a valid fit."""
    names = ("RESOLUTION", "BIAS")
    numbers = {
        f"{name}{kind}".lower(): float(row[f"{name}{kind}"])
        for name in names
        for kind in ("", "_ERR", "_ANSWER")
    }
    assessed = (np.asarray(pixels["RUN_ROW"]) == number) & (np.asarray(pixels["LEFT_OUT"]) == 0)
    for name in names:
        known = _column(pixels, name)[assessed]
        known = known[np.isfinite(known)]
        ends = np.percentile(known, [16, 84]) if len(known) else [np.nan, np.nan]
        numbers[f"{name.lower()}_band"] = decimals(ends, 6)
    finite = {key: value if _is_known(value) else None for key, value in numbers.items()}
    return {"name": str(row["RUN"]).strip(), "expected": float(row["EXPECTED"]), **finite}


def _is_known(value) -> bool:
    return isinstance(value, list) or bool(np.isfinite(value))


def _extracted(camera) -> dict | None:
    """Fraction of the charges of each run in bins of charge, by rising expected charge."""
    charge = _column(camera, "EXPECTED")
    counts = np.asarray(camera["EXTRACTED"], float)
    if not len(charge) or not counts.any():
        return None
    places = np.unique(charge)
    fractions = np.array([counts[charge == place].sum(axis=0) for place in places])
    fractions /= np.maximum(fractions.sum(axis=1, keepdims=True), 1.0)
    used = np.flatnonzero(fractions.any(axis=0))
    first, last = used[0], used[-1] + 1
    with np.errstate(divide="ignore"):
        log = np.where(fractions > LOWEST_FRACTION, np.log10(fractions), np.nan)[:, first:last]
    means = [np.nanmean(_column(camera, "MEAN_PE")[charge == place]) for place in places]
    return {
        "x": decimals(edges_around(places), 5),
        "y": decimals(charge_edges()[first : last + 1], 5),
        "fraction": [decimals(row, 2) for row in log.T],
        "charge": decimals(places, 4),
        "mean": decimals(means, 4),
    }


# --- in words and tables --------------------------------------------------------------------------


def table(scan: Resolution) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: each run, its use and numbers, whether it meets each requirement."""
    verdicts = scan.summary["verdicts"]
    headings = [*HEADINGS, *(f"Required at NSB {v['nsb_per_ns']:g}" for v in verdicts)]
    rows = []
    for run_row, run in enumerate(scan.summary["runs"]):
        good = run["good"]
        cells = [
            run["name"],
            _use(run),
            number(run[run["light"]], "{:.4g}"),
            number(run["nsb_meas"], "{:g}"),
            number(good["expected"], "{:.4g}"),
            number(good["mean_pe"], "{:.4g}"),
            *(_with_error(good, key) for key in ("resolution", "bias", "spread")),
            *(_with_error(good, key) for key in ("within", "between")),
            str(good["n_pixels"]),
            *(_required(verdict, run_row) for verdict in verdicts),
        ]
        rows.append(cells)
    return headings, rows


def _use(run: Mapping) -> str:
    """Whether a run is assessed, and why not."""
    if run["use"] == "calibrates":
        return "calibration"
    return f"excluded: {run['reason']}" if run["reason"] else "assessed"


def _with_error(numbers: Mapping, key: str) -> str:
    form = "{:+.4f}" if key == "bias" else "{:.4f}"
    return with_error(numbers[key], numbers[f"{key}_err"], form)


def _required(verdict: Mapping, number: int) -> str:
    required, meets = verdict["required"][number], verdict["meets"][number]
    if required is None or not np.isfinite(required):
        return ABSENT
    return f"{required:.4f}" + ("" if meets is None else " ✓" if meets else " ✗")


LEVEL_HEADINGS = ("Runs", "Pedestal from", "Pedestal − fits (p.e.)", "Gain / fits", "Gain from")


def levels_table(scan: Resolution) -> list[list[str]]:
    """Each level of background: its runs, its pedestal and its gain, under LEVEL_HEADINGS.

    Empty where one level is converted as the SPE fits say.
    """
    levels = scan.summary.get("levels", [])
    if len(levels) < 2 and all(level["pedestal_from"] == FROM_FITS for level in levels):
        return []
    rows = []
    for level in levels:
        gain = number(level["gain"], "{:.4g}")
        if level["gain_err"]:
            gain = with_error(level["gain"], level["gain_err"], "{:.4f}")
        rows.append(
            [
                number(level["nsb_per_ns"], "{:g}"),
                str(len(level["runs"])),
                level["pedestal_from"],
                number(level["pedestal_shift_pe"], "{:+.3f}"),
                gain,
                ", ".join(level["gain_from"]),
            ]
        )
    return rows


def verdict_text(verdict: Mapping) -> str:
    """Whether the requirement at one background is met, and where, in a sentence."""
    head = f"NSB {verdict['nsb_per_ns']:g} p.e./ns: "
    if not verdict["n_judged"]:
        return f"NSB {verdict['nsb_per_ns']:g}: not measured; no run of this level is assessed."
    met = f"{verdict['n_met']} of {verdict['n_judged']} runs meet the requirement"
    if verdict["met_pe"]:
        met += ", " + " and ".join(_stretch(*ends) for ends in verdict["met_pe"])
    worst = (
        f"; nearest to it at {verdict['worst_pe']:.3g} p.e. ({_ratio(verdict)} times)"
        if not verdict["missed_pe"]
        else f"; worst at {verdict['worst_pe']:.3g} p.e., {_ratio(verdict)} times what is allowed"
    )
    unclear = f"; {verdict['n_unclear']} nearer to it than twice the error" * bool(
        verdict["n_unclear"]
    )
    return f"{head}{met}{worst}{unclear}."


def _ratio(verdict: Mapping) -> str:
    return with_error(verdict["worst_ratio"], verdict["worst_ratio_err"], "{:.3f}")


def _stretch(low: float, high: float) -> str:
    return f"at {low:.3g} p.e." if low == high else f"from {low:.3g} to {high:.3g} p.e."


def state_of(scan: Resolution) -> State:
    """What can be said over all levels of background at which runs were taken."""
    states = {State(verdict["state"]) for verdict in scan.summary["verdicts"]}
    order = (State.MISSES, State.UNCLEAR, State.MEETS)
    return next((state for state in order if state in states), State.NOT_MEASURED)


def levels_text(scan: Resolution) -> str:
    """The levels of background that `state_of` is of, as "NSB 0.125 and 1.25 p.e./ns"."""
    state = state_of(scan)
    judged = [verdict for verdict in scan.summary["verdicts"] if verdict["n_judged"]]
    levels = sorted(v["nsb_per_ns"] for v in judged if State(v["state"]) is state)
    return f"NSB {' and '.join(f'{level:g}' for level in levels)} p.e./ns"


def pedestal_text(scan: Resolution) -> str:
    """What the pedestal check of the scan says, in a sentence; empty without one."""
    check = scan.summary.get("pedestal")
    if not check or check["median_pe"] is None:
        return ""
    differ = check["spe_runs_differ_pe"]
    pedestal = number(check["median_pe"], "{:+.3f}")
    scatter, one_pixel = (number(check[key], "{:.3f}") for key in ("scatter_pe", "error_pe"))
    text = (
        f"Pedestal: in the darkest run of the scan, {check['run']}, the {check['n_pixels']} good"
        f" pixels have {pedestal} p.e. more than expected in the median, with a scatter of"
        f" {scatter} p.e. (one pixel is known to {one_pixel} p.e.)"
    )
    if differ is not None:
        text += f"; the pedestals of the SPE runs differ by {differ:.3f} p.e."
    return text + ("" if text.endswith(".") else ".")
