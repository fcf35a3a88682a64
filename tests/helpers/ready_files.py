"""Ready charges and histograms of SiPM pixels in files, and the charge chain run on them.

result = run_ready(folder, "charges", {"dark": path, "light": path}, pixels)
result.error, result.said, result.spe
"""

import contextlib
import io
from pathlib import Path

import h5py
import numpy as np

from helpers.charge_faults import SSTCAM_MAP, Result, settings_of
from helpers.synthetic import run_script


def write_charges(path, charges, pixels=None, unit="adu", attributes=None, **datasets):
    """An HDF5 file of charges (event, pixel); `unit` None and `pixels` False leave them out."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("charges", data=charges)
        if unit is not None:
            data.attrs["unit"] = unit
        data.attrs.update(attributes or {})
        if pixels is not False:
            file["pixels"] = np.arange(charges.shape[1]) if pixels is None else pixels
        for name, value in datasets.items():
            file[name] = value
    return Path(path)


def write_histograms(path, counts, pixels=None, attributes=None, **datasets):
    """An HDF5 file of counts (pixel, bin)."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("counts", data=counts)
        data.attrs.update({"unit": "adu"} | (attributes or {}))
        file["pixels"] = np.arange(len(counts)) if pixels is None else pixels
        for name, value in datasets.items():
            file[name] = value
    return Path(path)


def whole_histograms(charges):
    """Counts (pixel, bin) of whole charges (pixel, event), in bins one wide, and their edges."""
    edges = np.arange(charges.min() - 3, charges.max() + 5) - 0.5
    return np.array([np.histogram(row, edges)[0] for row in charges]), edges


def run_ready(folder, form, files, pixels, bad_pixels=(), changes=None, report=False) -> Result:
    """Run the scripts of the chain on ready files, by rising light: name -> path.

    A run that is called "none" is a dark run.
    """
    folder, result, terminal = Path(folder), Result(), io.StringIO()
    try:
        with contextlib.redirect_stderr(terminal):
            for stage, go in _stages(
                folder, result.paths, form, files, list(pixels), bad_pixels, changes, report
            ):
                result.stage = stage
                go()
    except SystemExit:
        result.error = terminal.getvalue().strip().splitlines()[-1]
        result.fault = "Traceback" in terminal.getvalue()
    result.said = terminal.getvalue()
    return result


def _stages(folder, paths, form, files, pixels, bad_pixels, changes, report):
    """Name and function of each step, in order."""
    settings, names, masked = settings_of(changes), list(files), {}
    light = [{"n_ph": 0.0 if name == "none" else 1.0 + i} for i, name in enumerate(names)]
    if len(bad_pixels):
        masked = {"bad_pixels": folder / "bad.csv"}
        masked["bad_pixels"].write_text("\n".join(["PIXEL", *map(str, bad_pixels), ""]))
    paths["spectra"], paths["spe"] = folder / "spectra.fits", folder / "spe.fits"
    common = {"pixels": pixels, "date": None}
    given = {}

    def take(name, row):
        paths[name] = folder / "charges" / f"{name}.fits"
        options = {"max_events": settings["charges"]["max_events"]}
        params = common | {"charges": options, "light": row, "set": "spe", "run": name}
        if settings["source"]["event_types"]:
            params["event_types"] = settings["source"]["event_types"]
        run_script(
            "take_charges", folder, {"run": str(files[name])} | masked, {"charges": paths[name]},
            params,
        )  # fmt: skip

    if form == "charges":
        for name, row in zip(names, light, strict=True):
            yield "take_charges", lambda name=name, row=row: take(name, row)
        given = {"charges": [str(paths[name]) for name in names]}
        yield "fill_spe_spectra", lambda: run_script(
            "fill_spe_spectra", folder, given, {"spectra": paths["spectra"]},
            {"runs": names, "date": None},
        )  # fmt: skip
    else:
        yield "take_spe_spectra", lambda: run_script(
            "take_spe_spectra", folder, {"runs": [str(path) for path in files.values()]} | masked,
            {"spectra": paths["spectra"]}, common | {"runs": names, "light": light},
        )  # fmt: skip
    chunk, noise = folder / "chunk.fits", folder / "noise.fits"
    fit = {key: value for key, value in settings["fit"].items() if key != "chunk_pixels"}
    yield "learn_spe_noise", lambda: run_script(
        "learn_spe_noise", folder, {"spectra": paths["spectra"]}, {"noise": noise},
        {"fit": fit, "date": None},
    )  # fmt: skip
    yield "fit_spe", lambda: run_script(
        "fit_spe", folder, {"spectra": paths["spectra"], "noise": noise}, {"fits": chunk},
        {"fit": settings["fit"], "chunk": "0000", "date": None},
    )  # fmt: skip
    used = {"fit": fit, "charges": {}, "pixels": pixels, "runs": names, "bad_pixels": None}
    inputs = {"spectra": str(paths["spectra"]), "pixel_map": str(SSTCAM_MAP)} | given
    yield "merge_spe", lambda: run_script(
        "merge_spe", folder, inputs | {"chunks": [str(chunk)]} | masked, {"spe": paths["spe"]},
        {"settings": used, "map_given": False, "date": None},
    )  # fmt: skip
    if report:
        validation = folder / "validation.json"
        spe = {"spe": str(paths["spe"])}
        yield (
            "validate_spe",
            lambda: run_script(
                "validate_spe", folder, spe, {"validation": validation}, {"charges": None}
            ),
        )
        paths["report"] = folder / "page.html"
        inputs |= spe | {"validation": validation, "charges": given.get("charges", [])}
        yield (
            "report_sstcam",
            lambda: run_script(
                "report_sstcam",
                folder,
                inputs,
                {"report": paths["report"], "summary": folder / "page.json"},
                {"settings": used},
            ),
        )
