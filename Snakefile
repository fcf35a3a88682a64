"""pixelcal: from the raw data of a photon camera to a calibration of every pixel.

The rules stand in workflow/rules, one file per stage, in the order of the walk.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

PROJECT = Path(str(workflow.current_basedir)).resolve()
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal import config as configuration

CONFIG_FILE = "config/config.yaml"
overrides = workflow.config_settings.overwrite_config  # what --configfile gave

with configuration.mistakes_in_one_line():
    for path in (CONFIG_FILE, *workflow.config_settings.configfiles):
        configuration.check_yaml(path)


configfile: CONFIG_FILE


with configuration.mistakes_in_one_line():
    config = configuration.resolve(
        configuration.replace_exposures(config, overrides),
        configuration.read_schema(PROJECT / "workflow" / "schemas" / "config.schema.yaml"),
    )
    configuration.check_results("results", config["exposures"])


include: "workflow/rules/common.smk"
include: "workflow/rules/events.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/response.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/relation.smk"
include: "workflow/rules/validation.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    """The ECLAIRs chain for every exposure, figures, lists, and the report."""
    default_target: True
    input:
        "results/report.html",
        pictures_and_lists(),
