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
