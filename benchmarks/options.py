"""Options of the fits as the workflow has them: the defaults of the schema."""

from __future__ import annotations

from pathlib import Path

from instruments import REFERENCE_ENERGIES_KEV, SEARCH

from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.two_step import two_step_options
from pixelcal.workflow.config import load_defaults, read_schema

SCHEMA = Path(__file__).resolve().parents[1] / "workflow" / "schemas" / "config.schema.yaml"
FIT = load_defaults(read_schema(SCHEMA))["fit"]
MIN_COUNTS = FIT["min_counts"]
OPTIONS = JointOptions(
    MIN_COUNTS, FIT["pvalue_limit"], search=SEARCH, energies_keV=REFERENCE_ENERGIES_KEV
)
TWO_STEP_OPTIONS = two_step_options(FIT)
