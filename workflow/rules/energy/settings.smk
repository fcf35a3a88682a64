"""Helpers of the energy rules: exposures and files, and the leaves of the configuration used."""

from pixelcal.energy.lines import check_free_elements, check_in_range, read_lines
from pixelcal.io.chunks import parse_pixels
from pixelcal.workflow.file_lists import gti_files
from pixelcal.workflow.lineage import MEASURED, SIMULATED, check_energy, check_picture, check_prior
from pixelcal.workflow.history_files import other_files

INSTRUMENT = configuration.resolved_instrument(config)
with configuration.mistakes_in_one_line():
    for path in configuration.line_tables(config):
        check_in_range(path, read_lines(path)[1], *configuration.energy_range(config))

FOLDER = f"{RESULTS}/{configuration.instrument_folder(config)}"
N_PIXELS = INSTRUMENT["camera"]["pixels"]
PIXELS = list(parse_pixels(config["pixels"], N_PIXELS))
if config["bad_pixels"]:
    from pixelcal.io.merge import read_bad_pixels, refuse_all_bad

    with configuration.mistakes_in_one_line():
        bad = read_bad_pixels(config["bad_pixels"], "DETNUM", N_PIXELS)
        refuse_all_bad(bad, PIXELS, config["bad_pixels"])

EXPOSURES = {name: configuration.exposure_settings(config, name) for name in config["exposures"]}
with configuration.mistakes_in_one_line():
    for exposure in EXPOSURES.values():
        if free := exposure["fit"]["free_elements"]:
            rows = read_lines(shipped_or_given(exposure["lines"]))[0]
            check_free_elements(free, [row["element"] for row in rows])
# Shortest first: the order in which a configuration names them makes nothing stale.
EXPOSURES = dict(
    sorted(EXPOSURES.items(), key=lambda item: (item[1]["seconds"] or float("inf"), item[0]))
)
# The page carries about 1 MB per exposure of 6400 pixels: a mission of years has the last month in it.
SHOWN_EPOCHS = 4
EPOCHS = [name for name in config["exposures"] if name not in NAMED_EXPOSURES]  # in order of time
REPORTED = [name for name in EXPOSURES if name not in EPOCHS[:-SHOWN_EPOCHS]]
with configuration.mistakes_in_one_line():
    OTHER_RELATIONS = other_files(
        config["history"]["files"], [f"{FOLDER}/{name}/relation.fits" for name in EXPOSURES]
    )
with configuration.mistakes_in_one_line():
    check_prior(config["relation"]["file"], FOLDER, EXPOSURES)
EVENTS_SIMULATED = not config["events"]["files"]
COLUMNS = {key: name for key, name in config["events"]["columns"].items() if name is not None}
LAYOUT = INSTRUMENT["layouts"][config["events"]["layout"]]
HAS_TRUTH = LAYOUT["form"] == "events" and not {"channel"} & {*LAYOUT["columns"], *COLUMNS}
# Of the simulation: a real camera sees lines that no table has.
FLIGHT = config["simulation"]["camera"] == "flight"
LINES = shipped_or_given("resources/lines/complete.csv" if FLIGHT else configuration.IDEAL_LINES)
ATTENUATION = shipped_or_given("resources/attenuation/cdte.csv")
CATALOGUE = shipped_or_given("resources/lines/materials.csv")  # to name lines that a table lacks
SKY = [LINES, *([CATALOGUE] if FLIGHT else [])]  # what shines on a simulated camera
PIXEL_MAP = shipped_or_given(INSTRUMENT["pixel_map"])

RELATION_FIGURES = (
    "camera",
    "prior",
    "comparison",
    "statistics",
    "uncertainty",
    "energy_errors",
    "differences",
    "changes",
)
SPECTRUM_FIGURES = ("spectrum",)
LISTS = ("changed", "over_requirement", "no_answer")

# Named one by one: a key that is new in the schema makes nothing stale before a rule takes it.
SIMULATION = (
    "camera",
    "seed",
    "good_seconds",
    "earth_free_fraction",
    "multiple_fraction",
    "continuum_rates_per_s",
    "line_rates_per_s",
    "fwhm_keV.at_0",
    "fwhm_keV.at_60",
    "tail.fraction_60",
    "tail.scale",
    "escape_fraction",
    "spread.efficiency",
    "spread.resolution",
    "dead_fraction",
)
INJECTION = ("gain_sigma", "offset_sigma_keV", "seed")
LEARNT = ("bend", "free_elements", "include_lines")  # with the response
TWO_STEP = (
    "two_step.line_fwhm_keV",
    "two_step.tolerance_sigma",
    "two_step.block_chi_square_limit",
)
HISTORY = (
    "false_alarms",
    "alarms.camera_keV",
    "alarms.module_keV",
    "alarms.pixel_keV",
    "publication.requirement_fraction",
    "publication.pixels",
    "housekeeping.file",
    "housekeeping.column",
    "housekeeping.time",
)
EVENTS = (
    "events.files",
    "events.layout",
    "events.first_pixel",
    "events.gti.file",
    "events.gti.criteria",
    "events.multiplicity",
    "events.seed",
)


wildcard_constraints:
    exposure="|".join(map(re.escape, EXPOSURES)),


# --- settings -------------------------------------------------------------------------------------


def prior_relation():
    """The relation of all pixels; a relation file is an input instead."""
    return leaves(config["relation"], "gain_keV", "offset_keV")


def simulation_settings():
    """What the simulated camera and its background depend on."""
    return leaves(config["simulation"], *SIMULATION)


def injection_settings(wildcards):
    """The errors that are injected in the exposure."""
    return leaves(EXPOSURES[wildcards.exposure]["injection"], *INJECTION)


def response_settings(wildcards):
    """What the response of the camera depends on."""
    return leaves(EXPOSURES[wildcards.exposure]["fit"], "min_counts", *LEARNT)


def fit_settings(wildcards):
    """What the fit of a chunk depends on: the options of one method do not touch the other."""
    fit = EXPOSURES[wildcards.exposure]["fit"]
    of_method = ["response", "leave_one_out", *LEARNT] if fit["method"] == "joint" else TWO_STEP
    return leaves(fit, "method", "chunk_pixels", "min_counts", "pvalue_limit", *of_method)


def model_settings(wildcards):
    """What the model of one pixel's spectrum depends on; the size of a chunk is not among it."""
    return {key: value for key, value in fit_settings(wildcards).items() if key != "chunk_pixels"}


def common_settings():
    """What all exposures share and products depend on."""
    relation = ("relation.gain_keV", "relation.offset_keV", "relation.file")
    settings = leaves(config, "bad_pixels", "date", *EVENTS, *relation) | {"pixels": PIXELS}
    settings["events"]["columns"] = COLUMNS
    settings["instrument"] = config["instrument"]
    if EVENTS_SIMULATED:
        settings["simulation"] = simulation_settings()
    return ordered(settings)


def product_settings(wildcards):
    """All that the relation of an exposure depends on. The size of a chunk is not among it."""
    exposure = leaves(EXPOSURES[wildcards.exposure], "seconds", "multiplicity", "lines")
    dates = leaves(EXPOSURES[wildcards.exposure], "start", "stop")
    exposure |= {key: date for key, date in dates.items() if date is not None}
    exposure["injection"] = injection_settings(wildcards)
    exposure["fit"] = model_settings(wildcards)
    settings, files = common_settings(), EXPOSURE_FILES[wildcards.exposure]
    settings["events"]["files"] = files.events
    if len(files.gti) != len(gti_files(config)):
        settings["events"]["gti"]["file"] = files.gti
    return ordered(settings | {"exposure": exposure})


def report_exposures():
    """The exposures of the report, shortest first, for its tables."""
    return [
        {
            "name": name,
            "seconds": EXPOSURES[name]["seconds"],
            "multiplicity": EXPOSURES[name]["multiplicity"],
            "lines": line_table_of(name),
            "method": EXPOSURES[name]["fit"]["method"],
            "min_counts": EXPOSURES[name]["fit"]["min_counts"],
        }
        for name in REPORTED
    ]


def history_settings():
    """What the history depends on beside the relations."""
    return leaves(config["history"], *HISTORY)


def history_contents():
    """Checksums of the relations of other runs, and of what else the history reads."""
    return contents(
        *OTHER_RELATIONS,
        PIXEL_MAP,
        config["relation"]["file"],
        config["history"]["housekeeping"]["file"],
    )


def event_files(wildcards):
    """The event files that the exposure needs; none where events are simulated."""
    return EXPOSURE_FILES[wildcards.exposure].events


def event_contents(wildcards):
    """Checksums of what the spectra are binned from; the simulated events are products."""
    files = EXPOSURE_FILES[wildcards.exposure]
    return contents(PIXEL_MAP, *files.gti, config["relation"]["file"], large=files.events)


def response_contents(wildcards):
    """Checksums of the tables that the response of the camera is learnt from."""
    return contents(given_line_table(wildcards), config["bad_pixels"], CATALOGUE)


def fit_contents(wildcards):
    """Checksums of the line table of the exposure, and of the response where it is given."""
    fit = EXPOSURES[wildcards.exposure]["fit"]
    response = fit["response"] if fit["method"] == "joint" else None
    return contents(given_line_table(wildcards), response)


# --- files ----------------------------------------------------------------------------------------


def per_exposure(name, exposures=EXPOSURES):
    """One product of every exposure, shortest first, or of some."""
    return [f"{FOLDER}/{exposure}/{name}" for exposure in exposures]


def per_reported(name):
    """One product of every exposure of the report, shortest first."""
    return per_exposure(name, REPORTED)


def history_relations():
    """The relations of this run's exposures, and those of other runs."""
    return [*per_exposure("relation.fits"), *OTHER_RELATIONS]


def history_products():
    """All that the history consists of; calibration files where the mission has one."""
    names = ["history.fits", "history.html", "alarms.txt"]
    names += ["published"] if INSTRUMENT["mission_file"] else []
    return [f"{RESULTS}/history/{name}" for name in names]


def given_line_table(wildcards):
    """The line table of the exposure, as configured."""
    return shipped_or_given(EXPOSURES[wildcards.exposure]["lines"])


def line_table_of(exposure):
    """The line table that an exposure is fitted with: with the lines that were found, if asked."""
    settings = EXPOSURES[exposure]
    if settings["fit"]["include_lines"]:
        return f"{FOLDER}/{exposure}/lines.csv"
    return shipped_or_given(settings["lines"])


def line_table(wildcards):
    """The line table that the exposure is fitted with."""
    return line_table_of(wildcards.exposure)


def line_tables():
    """The line tables of the exposures of the report."""
    return sorted({line_table_of(exposure) for exposure in REPORTED})


@functools.cache
def check_nothing_replaced():
    """Stop with one line where results of another kind would be replaced; else remember these."""
    if not workflow.is_main_process:
        return
    made_from = {
        "kind": SIMULATED if EVENTS_SIMULATED else MEASURED,
        "instrument": configuration.instrument_folder(config),
        "files": listed_files(config["events"]["files"], sampled),
    }
    with configuration.mistakes_in_one_line():
        check_energy(RESULTS, FOLDER, made_from | {"pixels": PIXELS}, EXPOSURES)
    MADE_FROM["energy"] = made_from | {"pixels": pixel_ranges(PIXELS)}


def event_inputs(wildcards):
    """The event files and their good times: the user's, or the simulated ones."""
    check_nothing_replaced()
    if EVENTS_SIMULATED:
        folder = f"{FOLDER}/events"
        simulated = {"events": [f"{folder}/events.fits"], "gti": f"{folder}/gti.fits"}
        # What displaces energies of the simulated camera is part of their truth.
        return simulated | ({"pixels": f"{folder}/pixels.ecsv"} if HAS_TRUTH else {})
    files = EXPOSURE_FILES[wildcards.exposure]
    return {"events": files.events} | ({"gti": files.gti} if files.gti else {})


def prior_input(exposure="{exposure}"):
    """The relation file, where one is configured; that of ready spectra, which goes by their date."""
    if LAYOUT["form"] != "events":
        return {"prior": f"{FOLDER}/{exposure}/prior.ecsv"}
    return optional(prior=config["relation"]["file"])


def bad_pixels_input():
    """The table of bad pixels, where one is configured."""
    return optional(bad_pixels=config["bad_pixels"])


def undistributed_input():
    """The spectrum without energy redistribution, where events are simulated."""
    path = f"{FOLDER}/events/undistributed.fits"
    return {"undistributed": path} if EVENTS_SIMULATED else {}


def truth_of(folder):
    """The injected relation, where there is one; without one the file has NaN and no rule reads it."""
    return {"truth": f"{folder}/truth.ecsv"} if HAS_TRUTH else {}


def response_input(wildcards):
    """The response of the camera, which the joint method needs: learnt here, or given."""
    fit = EXPOSURES[wildcards.exposure]["fit"]
    if fit["method"] != "joint":
        return {}
    return {"response": fit["response"] or f"{FOLDER}/{wildcards.exposure}/response.fits"}


def relation_scripts(wildcards):
    """The scripts from the events to a relation: a response that is given was not learnt here."""
    fit = EXPOSURES[wildcards.exposure]["fit"]
    learnt = fit["method"] == "joint" and not fit["response"]
    return [
        "energy/bin_spectra" if LAYOUT["form"] == "events" else "energy/take_spectra",
        *(["energy/learn_response"] if learnt else []),
        "energy/fit_lines",
        "energy/merge_relation",
    ]


def response_files():
    """The responses of the exposures of the report that have one, shortest first."""
    return [
        EXPOSURES[name]["fit"]["response"] or f"{FOLDER}/{name}/response.fits"
        for name in REPORTED
        if EXPOSURES[name]["fit"]["method"] == "joint"
    ]


def mission_output():
    """The calibration file of the mission, where the instrument has one."""
    name = INSTRUMENT["mission_file"]
    return optional(mission=name and f"{FOLDER}/{{exposure}}/{name}.fits")


def chunk_files(wildcards):
    """The fits of all chunks of an exposure."""
    names = chunk_names(len(PIXELS), EXPOSURES[wildcards.exposure]["fit"]["chunk_pixels"])
    return [f"{FOLDER}/{wildcards.exposure}/chunks/{name}.fits" for name in names]


def reported_figures(names):
    """Outputs NAME_png, which Snakemake's own report shows too, and NAME_pdf of figures."""
    outputs = {}
    for name in names:
        path = f"{FOLDER}/{{exposure}}/figures/{name}"
        outputs[f"{name}_png"] = report(
            f"{path}.png",
            caption=f"../../report/{name}.rst",
            category=INSTRUMENT["title"],
            subcategory="{exposure}",
            labels={"exposure": "{exposure}", "figure": name.replace("_", " ")},
        )
        outputs[f"{name}_pdf"] = f"{path}.pdf"
    return outputs


def pictures_and_lists():
    """The figures and lists of every exposure, and its numbers: not all are in the report."""
    figures = [*RELATION_FIGURES, *SPECTRUM_FIGURES]
    names = [f"figures/{name}.{kind}" for name in figures for kind in ("png", "pdf")]
    names += [f"lists/{which}.txt" for which in LISTS]
    names += ["validation.json", "observing_time.json"]
    return [path for name in names for path in per_exposure(name)]


def chosen_pixel(wildcards):
    """The pixel of a picture; one that is not in the run stops the workflow."""
    if workflow.is_main_process:
        with configuration.mistakes_in_one_line():
            check_picture(RESULTS, "energy", {"pixels": PIXELS}, "pixels")
    if int(wildcards.pixel) not in PIXELS:
        raise WorkflowError(
            f"configuration: pixel {wildcards.pixel} is not among the {len(PIXELS)} selected by"
            " `pixels`; select it, or ask for another"
        )
    return wildcards.pixel
