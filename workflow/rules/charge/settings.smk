"""Helpers of the SSTCAM rules: its runs, its pixels, and the leaves of `sstcam` that a rule uses."""

import re

from pixelcal.charge.runs.run_table import (
    SETS,
    forms_of_runs,
    has_ready_charges,
    read_run_table,
    simulated_runs,
)
from pixelcal.charge.runs.pixel_map import chosen_pixels, read_pixel_map
from pixelcal.errors import InputError
from pixelcal.workflow.history_files import other_files
from pixelcal.workflow.lineage import MEASURED, SIMULATED, check_picture, check_sstcam

SSTCAM = config["sstcam"]
NO_RUN = r"(?!)"
"""A pattern that no name fits."""

with configuration.mistakes_in_one_line():
    SSTCAM_MAP = shipped_or_given(SSTCAM["pixel_map"] or "resources/sstcam_pixels.csv")
    SSTCAM_PIXELS = chosen_pixels(SSTCAM["pixels"], len(read_pixel_map(SSTCAM_MAP).pixel))
    FLASHES_SIMULATED = not (SSTCAM["spe"]["folder"] or SSTCAM["dynamic_range"]["folder"])
    FORMS = forms_of_runs({section: SSTCAM[section] for section in SETS.values()})
    RUNS = {}
    for which, section in SETS.items():
        folder = SSTCAM[section]["folder"]
        if FLASHES_SIMULATED:
            RUNS[which] = simulated_runs(
                SSTCAM["simulation"], which, f"{RESULTS}/sstcam/runs/{which}"
            )
        else:
            RUNS[which] = read_run_table(folder, which, FORMS[which]) if folder else []

# Named one by one: a key that is new in the schema makes nothing stale before a rule takes it.
SIMULATED_PIXELS = (
    "seed",
    "peak_sample",
    "pe_adu",
    "sigma_pe_adu",
    "sigma_ped_adu",
    "opct",
    "baseline_adu",
    "spread.efficiency",
    "spread.gain",
    "spread.opct",
    "spread.noise",
    "spread.baseline_adu",
    "spread.time_ns",
    "dead_fraction",
)
SIMULATED_FLASHES = (
    "seed",
    "pde",
    "samples",
    "fwhm_ns",
    "nsb_per_ns",
    "afterpulses.probability",
    "afterpulses.time_ns",
    "stale_fraction",
    "incomplete_fraction",
)
CHARGES = (
    "window",
    "window_shift",
    "time_skew",
    "baseline",
    "baseline_samples",
    "solo_pixels",
    "max_events",
)
SPE_FIT = (
    "chunk_pixels",
    "pe_guess",
    "min_flashes",
    "pvalue_limit",
    "misfit_limit",
    "peak_to_valley",
    "dark_counts",
    "afterpulses",
    "delayed_crosstalk",
    "pulse_decay",
    "crosstalk_neighbours",
)
CHARGE_RESOLUTION = ("conversion", "convention", "pde", "nsb_per_ns", "calibrating_runs")


wildcard_constraints:
    set="spe|scan",
    run="|".join(re.escape(run.name) for runs in RUNS.values() for run in runs) or NO_RUN,


# --- runs -----------------------------------------------------------------------------------------


def run_names(which):
    """Names of the runs of a set, by rising light."""
    return [run.name for run in RUNS[which]]


def named_runs(which):
    """The runs of a set, by rising light; a set without any stops the workflow with one line."""
    if not RUNS[which]:
        with configuration.mistakes_in_one_line():
            raise InputError(
                f"sstcam.{SETS[which]}.folder: names no folder, but runs of it are needed; name"
                " one, or leave both folders null to simulate both"
            )
    return RUNS[which]


def sets_of(form):
    """A pattern of the sets whose runs are of a form."""
    return "|".join(which for which, of_set in FORMS.items() if of_set == form) or NO_RUN


def run_entry(wildcards):
    """The row of table.csv of the run in the wildcards; else one line, and the end."""
    for run in RUNS[wildcards.set]:
        if run.name == wildcards.run:
            return run
    with configuration.mistakes_in_one_line():
        raise InputError(f"there is no run {wildcards.run} in table.csv")


def run_light(wildcards):
    """What table.csv says of the light of the run."""
    return ordered(run_entry(wildcards).light)


def waveform_file(run, which):
    """The file of a run in the open layout: the user's, the simulated or the converted one."""
    return run.path if run.in_open_layout else f"{RESULTS}/sstcam/runs/{which}/{run.name}.h5"


@functools.cache
def check_no_run_replaced():
    """Stop with one line where another measurement would be replaced; else remember this one."""
    if not workflow.is_main_process:
        return
    made_from = {"kind": SIMULATED if FLASHES_SIMULATED else MEASURED}
    for which, runs in RUNS.items():
        paths = [] if FLASHES_SIMULATED else [run.path for run in runs]
        made_from[which] = listed_files(paths, sampled)
    with configuration.mistakes_in_one_line():
        check_sstcam(RESULTS, made_from | {"pixels": SSTCAM_PIXELS})
    MADE_FROM["sstcam"] = made_from | {"pixels": pixel_ranges(SSTCAM_PIXELS)}


def run_input(wildcards):
    """The waveforms of the run in the wildcards."""
    check_no_run_replaced()
    return waveform_file(run_entry(wildcards), wildcards.set)


def ready_input(wildcards):
    """The file of the ready charges of the run in the wildcards: the user's, or the converted."""
    check_no_run_replaced()
    run = run_entry(wildcards)
    if has_ready_charges(run):
        return run.path
    return f"{RESULTS}/sstcam/runs/{wildcards.set}/{run.name}.h5"


def histogram_files(wildcards):
    """The files of ready histograms, by rising light."""
    check_no_run_replaced()
    return [run.path for run in named_runs("spe")]


def where_waveforms(**files):
    """Inputs that only waveforms of the runs of single photoelectrons have."""
    return files if FORMS["spe"] == "waveforms" else {}


def where_charges(**files):
    """Inputs that are there unless the runs of single photoelectrons are ready histograms."""
    return files if FORMS["spe"] != "histograms" else {}


def brightest_run(wildcards):
    """The waveforms of the brightest run of single photoelectrons, in which peaks are found."""
    check_no_run_replaced()
    return waveform_file(named_runs("spe")[-1], "spe")


def charge_scripts(which):
    """The scripts from the runs of a set to their charges."""
    if FORMS[which] == "charges":
        return ["charge/take_charges"]
    return ["charge/find_peaks", "charge/extract_charges"]


def spectra_scripts(wildcards):
    """The scripts from the runs of single photoelectrons to their spectra."""
    if FORMS["spe"] == "histograms":
        return ["charge/take_spe_spectra"]
    return [*charge_scripts("spe"), "charge/fill_spe_spectra"]


def gain_scripts(wildcards):
    """The scripts from the runs of single photoelectrons to their fits."""
    fits = ["charge/learn_spe_noise", "charge/fit_spe", "charge/merge_spe"]
    return [*spectra_scripts(wildcards), *fits]


def resolution_scripts(wildcards):
    """The scripts from all runs to the charge resolution."""
    return [*gain_scripts(wildcards), *charge_scripts("scan"), "charge/measure_charge_resolution"]


def run_contents(*runs):
    """Checksums of samples of the files of runs; simulated ones are products."""
    return contents(large=[] if FLASHES_SIMULATED else [run.path for run in runs])


def charge_files(which):
    """The charges of all runs of a set, by rising light."""
    return [f"{RESULTS}/sstcam/charges/{which}/{run.name}.fits" for run in named_runs(which)]


def simulated_beside(*sets):
    """What is there of simulated flashes alone: tables of the runs; resolution against truth."""
    if not FLASHES_SIMULATED:
        return []
    truth = [f"{RESULTS}/sstcam/charge_resolution/validation.json"] if "scan" in sets else []
    return [f"{RESULTS}/sstcam/runs/{which}/table.csv" for which in sets] + truth


def where_simulated(**files):
    """Inputs that only simulated flashes have; none for real runs."""
    return files if FLASHES_SIMULATED else {}


def flashes(wildcards):
    """How many flashes of a run are simulated."""
    settings = SSTCAM["simulation"]
    return settings["flashes"] if wildcards.set == "spe" else settings["scan"]["flashes"]


def simulated_table(wildcards):
    """The rows of the table of simulated runs."""
    return [
        {"name": run.name, "file": run.path, "light": ordered(run.light)}
        for run in RUNS[wildcards.set]
    ]


def charge_settings():
    """What the charges depend on; samples of a baseline that is not subtracted do not count."""
    settings = leaves(SSTCAM["charges"], *CHARGES)
    return settings | ({} if settings["baseline"] == "event" else {"baseline_samples": 0})


def ready_charge_settings():
    """What ready charges depend on."""
    return leaves(SSTCAM["charges"], "max_events")


# --- single photoelectrons ------------------------------------------------------------------------


def spe_fit_settings():
    """What the fit of a chunk depends on."""
    return leaves(SSTCAM["fit"], *SPE_FIT)


def spe_model_settings():
    """What the fit of a pixel depends on, whatever the chunk."""
    settings = spe_fit_settings()
    return {key: value for key, value in settings.items() if key != "chunk_pixels"}


def spe_settings():
    """All that the table of fits depends on. The size of a chunk is not among it."""
    charges = {
        "waveforms": charge_settings,
        "charges": ready_charge_settings,
        "histograms": dict,
    }[FORMS["spe"]]
    settings = {"fit": spe_model_settings(), "charges": charges(), "pixels": SSTCAM_PIXELS}
    return ordered(settings | {"runs": run_names("spe"), "bad_pixels": SSTCAM["bad_pixels"]})


def spe_chunk_files(wildcards):
    """The fits of all chunks of pixels."""
    names = chunk_names(len(SSTCAM_PIXELS), SSTCAM["fit"]["chunk_pixels"])
    return [f"{RESULTS}/sstcam/spe/chunks/{name}.fits" for name in names]


# --- charge resolution ----------------------------------------------------------------------------


def resolution_settings():
    """What the charge resolution depends on; the option of a conversion not used does not count."""
    settings = SSTCAM["charge_resolution"]
    transfer = ("transfer",) if settings["conversion"] == "transfer" else ()
    return leaves(settings, *CHARGE_RESOLUTION, *transfer)


# --- history --------------------------------------------------------------------------------------

with configuration.mistakes_in_one_line():
    OTHER_SETS = other_files(
        SSTCAM["history"]["files"],
        [f"{RESULTS}/sstcam/spe/spe.fits"],
        "sstcam.history",
        "spe.fits",
    )


def sets_of_runs(wildcards):
    """The fits of this run, where it has runs that were taken, and those of other runs."""
    of_this_run = [] if FLASHES_SIMULATED else [f"{RESULTS}/sstcam/spe/spe.fits"]
    sets = (of_this_run if RUNS["spe"] else []) + OTHER_SETS
    if not sets:
        with configuration.mistakes_in_one_line():
            raise InputError(
                "sstcam.history: has no set of runs (simulated ones have no date); name"
                " sstcam.history.files, or sstcam.spe.folder"
            )
    return sets


def sstcam_history_settings():
    """What the history of the gains depends on beside the sets of runs."""
    names = ("camera_percent", "module_percent", "pixel_percent")
    return leaves(SSTCAM["history"], "false_alarms", *(f"alarms.{name}" for name in names))


def sstcam_history_products():
    """All that the history of the gains consists of."""
    return [
        f"{RESULTS}/sstcam/history/{name}"
        for name in ("history.html", "history.fits", "alarms.txt")
    ]


# --- report ---------------------------------------------------------------------------------------


def pictured_pixel(wildcards):
    """The pixel of a picture; one that cannot be drawn stops the workflow with one line."""
    name = wildcards.pixel
    with configuration.mistakes_in_one_line():
        if not re.fullmatch(r"[0-9]{4}", name):
            raise InputError(
                f"pixel {name}: a picture is named by the four digits of its pixel; ask for one"
                f" such as {RESULTS}/sstcam/pixels/0042.png"
            )
        if int(name) not in SSTCAM_PIXELS:
            raise InputError(
                f"pixel {name} is not among the {len(SSTCAM_PIXELS)} selected by `sstcam.pixels`;"
                " select it, or ask for another"
            )
        if workflow.is_main_process:
            check_picture(RESULTS, "sstcam", {"pixels": SSTCAM_PIXELS}, "sstcam.pixels")
    return int(name)


SSTCAM_FIGURES = {
    "spe": ("spe_camera", "spe_parameters", "spe_spectrum", "charges"),
    "scan": ("charge_resolution", "extracted_charge"),
}


def sstcam_figures(which):
    """The figures of the single photoelectrons, or of the scan."""
    names = SSTCAM_FIGURES[which]
    return [f"{RESULTS}/sstcam/figures/{name}.{kind}" for name in names for kind in ("png", "pdf")]


def scan_products():
    """The charge resolution, where there is a scan."""
    if not RUNS["scan"]:
        return {}
    folder = f"{RESULTS}/sstcam/charge_resolution"
    return {
        "resolution": f"{folder}/resolution.fits",
        "summary": f"{folder}/charge_resolution.json",
    }


def all_charge_files(wildcards):
    """The charges of the runs of both sets, those of single photoelectrons first."""
    of_spe = [] if FORMS["spe"] == "histograms" else charge_files("spe")
    return of_spe + (charge_files("scan") if RUNS["scan"] else [])


def sstcam_page_settings():
    """What the report says that was configured."""
    settings = spe_settings()
    if RUNS["scan"]:
        settings["charge_resolution"] = resolution_settings()
    if FLASHES_SIMULATED:
        simulated = dict.fromkeys(SIMULATED_PIXELS + SIMULATED_FLASHES)
        settings["simulation"] = leaves(SSTCAM["simulation"], *simulated)
    return ordered(settings)
