"""ECLAIRs, and the options of the fits, as the workflow has them: the defaults of the schema."""

from __future__ import annotations

import os

# Before numpy: its threads wait for each other where the cores have other work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.two_step import two_step_options
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.io.instruments import load_instrument
from pixelcal.workflow.config import load_defaults, read_schema

SCHEMA = Path(__file__).resolve().parents[1] / "workflow" / "schemas" / "config.schema.yaml"
FIT = load_defaults(read_schema(SCHEMA))["fit"]
MIN_COUNTS = FIT["min_counts"]
ECLAIRS = load_instrument("eclairs")
REQUIREMENT = ECLAIRS.requirement
KNOWN = {"expected": expected_shape(ECLAIRS), "search": ECLAIRS.search}
"""What `learn_camera` is told of the camera."""
OPTIONS = JointOptions(MIN_COUNTS, FIT["pvalue_limit"], ECLAIRS.search, REQUIREMENT.energies_keV)
TWO_STEP_OPTIONS = two_step_options(FIT)
