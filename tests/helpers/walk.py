"""The rules in the order of the walk, and the exposures that the tests of the plan ask for."""

CI = "config/ci.yaml"
THREE = {"3ks": {"seconds": 3000}, "5ks": {"seconds": 5000}, "10ks": {"seconds": 10000}}
PER_EXPOSURE = (
    "bin_spectra",
    "learn_response",
    "fit_lines",
    "merge_relation",
    "validate_relation",
    "predict_observing_time",
    "plot_relation",
    "plot_spectrum",
    "write_lists",
)
WALK = ("simulate_events", *PER_EXPOSURE, "report")
CHAIN = {*WALK, "all"}
"""The rules of a run of everything."""

SSTCAM_WALK = (
    "simulate_pixels",
    "list_runs",
    "simulate_flashes",
    "find_peaks",
    "extract_charges",
    "write_truth",
    "fill_spe_spectra",
    "plot_charges",
    "learn_spe_noise",
    "fit_spe",
    "merge_spe",
    "validate_spe",
    "plot_spe",
    "measure_charge_resolution",
    "validate_charge_resolution",
    "plot_charge_resolution",
    "report_sstcam",
)
"""The rules of the target `sstcam`: each before all that use what it makes."""
