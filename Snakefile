"""pixelcal: from the raw data of a photon camera to a calibration of every pixel.

The rules stand in workflow/rules, one file per stage, in the order of the walk.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

PROJECT = Path(str(workflow.current_basedir)).resolve()
if not (PROJECT / "workflow" / "scripts" / "pixelcal").is_dir():
    print(
        "pixelcal: its library is not beside its Snakefile; clone the project and give the"
        " `module` statement the path of workflow/Snakefile in the clone",
        file=sys.stderr,
    )
    raise SystemExit(1)
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal import config as configuration

CONFIG_FILE = "config/config.yaml"
# A `module` statement with a configuration of its own reads no file: not ours, nor --configfile.
CONFIGURED = workflow.modifier.skip_configfile

if not CONFIGURED:
    with configuration.mistakes_in_one_line():
        for path in (CONFIG_FILE, *workflow.config_settings.configfiles):
            configuration.check_yaml(path)


configfile: CONFIG_FILE


with configuration.mistakes_in_one_line():
    if not CONFIGURED:
        overrides = workflow.config_settings.overwrite_config  # what --configfile gave
        config = configuration.replace_exposures(config, overrides)
    config = configuration.resolve(
        config,
        configuration.read_schema(PROJECT / "workflow" / "schemas" / "config.schema.yaml"),
        PROJECT,
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
