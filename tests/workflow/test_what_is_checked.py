"""The numbers in docs/what-is-checked.md are those of the code."""

import math

import pytest
from helpers.instruments import ECLAIRS, JUDGED_KEV
from helpers.paths import PROJECT

from pixelcal import status
from pixelcal.charge.extraction import charges, checks, copies, dark_runs, placeholders, ready
from pixelcal.charge.extraction import io as charge_io
from pixelcal.charge.report import adequacy as spe_adequacy
from pixelcal.charge.report import model as spe_model
from pixelcal.charge.resolution import scan
from pixelcal.charge.runs import run_table, same_histograms
from pixelcal.charge.spe import fit as spe_fit
from pixelcal.charge.spe.checks import cross_checks, halves, run_checks, run_gains
from pixelcal.charge.spe.checks import outliers as spe_outliers
from pixelcal.charge.spe.noise import fit as noise_fit
from pixelcal.energy.events import clock, good_times, intervals, losses, order, overlap
from pixelcal.energy.fit import (
    block_agreement,
    camera_prior,
    joint,
    learning,
    model,
    start,
)
from pixelcal.energy.fit import columns as fit_columns
from pixelcal.energy.fit.checks import consistency, missing_lines
from pixelcal.energy.fit.second_look import doubts, spoilt
from pixelcal.energy.fit.second_look import halves as fit_halves
from pixelcal.energy.fit.second_look import widths as fit_widths
from pixelcal.energy.history import relation_checks
from pixelcal.energy.report import verdict
from pixelcal.energy.response import energy_scale, scale_tests, tables
from pixelcal.energy.results import adequacy, lineage, outliers
from pixelcal.energy.results.channels import widths
from pixelcal.io import tiled_tables
from pixelcal.numerics import common_counts
from pixelcal.workflow import config

PAGE = PROJECT / "docs" / "what-is-checked.md"
SCHEMA = config.resolve({}, config.read_schema(PROJECT / "workflow/schemas/config.schema.yaml"))
FIT, SPE_FIT = SCHEMA["fit"], SCHEMA["sstcam"]["fit"]


def read_sections():
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")
    return {part.splitlines()[0]: part.replace("\n", " ") for part in parts[1:]}


SECTIONS = read_sections()


def per_cent(fraction):
    return f"{100 * fraction:g} %"


def scientific(number):
    return f"{number:.0e}".replace("e-0", "e-")


def pivot_keV(position):
    return f"{0.145 * position + 3.0:.1f}"


FAR_GAINS = (
    start.FAR_SCALES[0] * (1 - start.FAR.gain),
    start.FAR_SCALES[-1] * (1 + start.FAR.gain),
)
"""The least and the largest that is tried, in units of the prior's."""

HISTORY_GAINS = (
    ECLAIRS.gain_range_keV[0] / relation_checks.BEYOND,
    ECLAIRS.gain_range_keV[1] * relation_checks.BEYOND,
)

SAID = {
    "Reading": [
        f"more than {per_cent(losses.WARN_FRACTION)} are not whole numbers",
        "outside {} to {} keV/channel".format(*ECLAIRS.gain_range_keV),
        "or −{1:g} to {1:g} keV".format(*ECLAIRS.offset_range_keV),
        f"overlap by more than {overlap.SEAM_S:g} s",
        f"differ by more than {1e6 * overlap.TIME_STEP_S:g} µs",
        f"more than {overlap.MOST_COMPARED / 1e6:.0f} million events",
        f"from {overlap.FEWEST_WITHOUT_TIMES} events on",
        f"other than {', '.join(tiled_tables.ALGORITHMS)} |",
        f"energies of {losses.FEWEST_ENERGIES} events or more",
        f"wider than {losses.WARN_STEP:g} of a channel",
        f"more than {per_cent(order.REPEATED_FRACTION)} of the events, {order.FEWEST_REPEATED} of",
    ],
    "Time": [
        f"more than {order.JITTER_S:g} s earlier",
        f"differ by more than {1e6 * clock.EPOCH_TOLERANCE_S:g} µs",
        f"by more than {scientific(intervals.SHORTFALL_TOLERANCE)} of it",
        f"{per_cent(losses.WARN_FRACTION)} of its events are more than {good_times.SLACK_S:g} s",
        f"where {losses.FEWEST_EXPECTED:g} are expected, is more than"
        f" {per_cent(losses.WARN_FRACTION)} of the exposure",
        f"times of 32 bits | it is more than {order.JITTER_S:g} s",
    ],
    "Pixels and numbers": [
        f"{common_counts.COMMON_SIGMA:g} standard errors and"
        f" {per_cent(common_counts.COMMON_FRACTION)} of the",
        f"more than {per_cent(losses.WARN_FRACTION)} of the events",
        f"more than {per_cent(losses.REFUSE_FRACTION)} |",
        "the camera's last and one: {}, {} and {}".format(
            *(n + 1 for n in (ECLAIRS.n_pixels - 1, ECLAIRS.n_rows - 1, ECLAIRS.n_columns - 1))
        ),
        f"fewer than `fit.min_counts` ({FIT['min_counts']})",
        f"({per_cent(ECLAIRS.search.gain)} in gain, {ECLAIRS.search.offset_keV} keV in",
        f"0 in more than {per_cent(losses.MOST_ZERO)}: it counts from 0",
    ],
    "Within the exposure": [
        f"p below {fit_halves.DOUBT_HALVES} | the halves",
        f"more than {joint.CHANGE_KEV} keV at {pivot_keV(model.PIVOT_LOW)} or"
        f" {pivot_keV(model.PIVOT_HIGH)} keV, and p is below {scientific(joint.CHANGE_PVALUE)}",
        f"factor of {outliers.RATE_RATIO} and by {outliers.THRESHOLD_SIGMA:g} robust",
        f"drifts below {joint.CHANGE_KEV} keV",
        f"exceeds {fit_columns.SECOND_SIGMA} standard deviations",
        f"the best of {len(tables.STRETCHES)} gains",
        f"{per_cent(tables.STRETCHES.max())} larger or smaller".replace("10 %", "1 to 10 %"),
        f"fewer than {outliers.MIN_PIXELS} pixels",
    ],
    "Width": [
        f"a factor of {outliers.WIDTH_RATIO}, and by {outliers.WIDTH_SIGMA} robust",
        f"larger than 1 by {fit_widths.DOUBT_WIDTH_SIGMA} standard errors",
        "limit, {:.2f} or {:.2f}".format(*map(math.exp, model.LOG_RESOLUTION_LIMITS)),
        f"less than {per_cent(outliers.WIDTH_RATIO - 1)}, or by less than {outliers.WIDTH_SIGMA}",
        f"fewer than {outliers.MIN_PIXELS} pixels",
    ],
    "Blocks of lines, and neighbours": [
        f"{doubts.TENSION_SIGMA:g} standard errors and {doubts.TENSION_KEV} keV",
        f"off by less than {doubts.TENSION_KEV} keV",
        "windows of {}, {} and {} channels".format(*consistency.WINDOWS),
        f"or lack, by {doubts.EXCESS_SIGMA:g} standard deviations",
        f"more than {doubts.BRIGHTER}, and by {doubts.BRIGHTER_SIGMA} standard deviations",
        f"less than {missing_lines.MISSING_FRACTION} of it, by"
        f" {missing_lines.MISSING_SIGNIFICANCE:g} standard",
        f"| {fit_columns.BEND_KEV} keV in the middle, and {fit_columns.BEND_SIGMA} standard errors",
        f"and {fit_columns.POPULATION_SIGMA:g} standard deviations of the scatter between pixels",
        f"(here beyond {doubts.MENDED_TENSION} standard errors)",
        f"than belong there, by {doubts.LEAST_SURPLUS:g} standard deviations",
        f"`fit.pvalue_limit` ({scientific(FIT['pvalue_limit'])})",
        f"{per_cent(ECLAIRS.search.gain)} in gain, {ECLAIRS.search.offset_keV} keV in",
        "at {:g} and {:g} keV against the".format(*JUDGED_KEV),
        f"the {outliers.WINDOW_PIXELS**2 - 1} neighbours | {outliers.THRESHOLD_SIGMA:g} robust",
        f"{outliers.COUNTING_SIGMA:g} where counting makes {per_cent(outliers.COUNTING_PART)} of"
        f" the variance and the camera has {outliers.COUNTING_PIXELS} pixels",
        f"exceeds its expectation by {doubts.FAR_GAIN:g} | it falls by {doubts.FAR_GAIN:g} |",
        f"all blocks better by {doubts.FAR_GAIN_OVER_MENDED:g} than the others",
        f"describe them worse by less than {doubts.CLEARLY:g} |",
        f"p-value is below {doubts.DOUBT_PVALUE}, a block stands off by {doubts.DOUBT_SIGMA}"
        f" standard errors, counts gather by {doubts.DOUBT_EXCESS} standard deviations",
        "gains of {:.2f} to {:.2f} times".format(*FAR_GAINS),
        f"better by {doubts.FAR_PREFERENCE:g}, and the deviance of the fit by"
        f" {doubts.LEAST_GAIN:g} |",
        f"what is won is above {doubts.LEAST_GAIN:g}, and {doubts.CLEARLY:g} more than",
        f"the sum of their squares exceeds {spoilt.LEAST_SQUARES:g} |",
        f"both win more than {doubts.LEAST_GAIN:g}, by less than {doubts.CLEARLY:g} apart",
        {3: "more than three blocks"}[doubts.FEWEST_BLOCKS],
        f"better by {per_cent(round(camera_prior.FAR_RATIO - 1, 6))}, and at least"
        f" {camera_prior.FAR_PREFERENCE:g}, in each of {({4: 'four'})[camera_prior.PARTS]} parts",
        f"the deviance of {camera_prior.ASKED} pixels is better by {camera_prior.FAR_PREFERENCE:g}",
        f"more than {learning.WARN_KEV} keV and {learning.WARN_SIGMA:g} standard errors | warned",
        f"would fall by {scale_tests.TOLD_GAIN:g} with one explanation, and lines are off by more"
        f" than {scale_tests.TOLD_KEV} keV",
        f"bins of {fit_columns.RESIDUAL_STEP_KEV} keV, in windows",
        "windows of {}, {}, {} and {} bins".format(*adequacy.WIDTHS),
        f"chance in {adequacy.CHANCE} of the cameras",
        f"that by energy does, by {widths.CLEAR_SIGMA:g} standard deviations",
        f"more than {per_cent(adequacy.RELEVANT)} of the model",
        f"after {learning.MAX_EM_ITERATIONS} iterations still more than"
        f" {learning.CONVERGENCE_TOLERANCE} of",
        f"fewer than {learning.MIN_STACK_COUNTS} |",
        f"but for {1000 * energy_scale.ENERGY_PRIOR_SIGMA_KEV:g} eV per element",
        f"fewer than {block_agreement.MIN_PIXELS} pixels the blocks",
    ],
    "The verdict": [
        f"more than {per_cent(verdict.MOST_DOUBTFUL)}",
        f"above {verdict.MOST_CHI_SQUARE}",
        f"| {per_cent(verdict.REQUIRED_PASS_FRACTION)} | meets it",
        f"below {per_cent(verdict.REQUIRED_PASS_FRACTION)} at an energy | it cannot be said",
        "bits {}, {}, {}, {}, {})".format(
            *(int(bit) for bit in status.EnergyStatus if bit & status.DOUBTFUL)
        ),
    ],
    "Publication by STATUS": [
        "Bits 1, 2, 4 (no valid fit), {}, {}, {} and {} keep".format(
            *(
                int(bit)
                for bit in status.EnergyStatus
                if bit & status.KEEPS_PREVIOUS and not bit & status.NO_VALID_FIT
            )
        ),
    ],
    "Lineage": [f"differ by more than {per_cent(lineage._SHORTFALL)}"],
    "Histories": [
        "outside {:g} to {:g} keV/channel".format(*HISTORY_GAINS),
        f"to {relation_checks.BEYOND * ECLAIRS.offset_range_keV[1]:g} keV |",
    ],
    "Runs of the SSTCAM": [
        f"at most {per_cent(placeholders.MOST)}, such as",
        f"it is {placeholders.FAR:g} times the range of the others",
        f"exceeds {ready.COARSE:g} of their standard deviation",
        f"a ratio of the runs every {same_histograms.BINS_TOGETHER} bins | "
        f"{common_counts.COMMON_SIGMA:g} standard errors and"
        f" {per_cent(common_counts.COMMON_FRACTION)} of the smaller run",
        f"more than {per_cent(copies.SAME_FRACTION)}, {copies.FEWEST_SAME} of them and"
        f" {copies.ABOVE_CHANCE:g} times as many",
        f"over {copies.FEWEST_EVENTS} flashes or more",
        f"refused for more than {per_cent(copies.MOST_COPIES)} of the pixels",
        f"more than {per_cent(charges.MOST_PIXELS)} of the pixels, {charges.FEWEST_PIXELS} at",
        f"more than {per_cent(dark_runs.WARN_LIGHT)} of the pulse, by {dark_runs.SIGMA:g} standard",
        f"| the same | more than {per_cent(dark_runs.MOST_LIGHT)} | refused",
        f"a factor of {scan.MOST_APART:g}, with {scan.FEWEST_RUNS} runs or more",
        f"above {run_table.MOST_PER_NS:g} p.e./ns, or below {run_table.LEAST_PER_NS * 1e6:g} kHz",
        f"more than {per_cent(checks.MANY_LOST)} of a run",
        f"more than {charges.FEW_NOT_FINITE} flashes and more than"
        f" {per_cent(charges.MANY_NOT_FINITE)}",
        f"more than {per_cent(charges.MOST_OUTSIDE)} of the pixels",
        f"more than {per_cent(charge_io.SATURATED_FRACTION)} of a run",
        f"fewer than `min_flashes` ({SPE_FIT['min_flashes']})",
        f"{spe_fit.FEWEST_SIGMA:g} standard deviations, or {per_cent(spe_fit.PE_ERROR_LIMIT)} in",
        f"`pvalue_limit` ({scientific(SPE_FIT['pvalue_limit'])})",
        f"delayed crosstalk | {noise_fit.TRIED_SIGMA:g} standard deviations",
        f"lowers the deviance by less than {noise_fit.KEPT_SIGMA**2:g}",
        f"{cross_checks.CLEAR_SIGMA:g} standard errors, and {per_cent(cross_checks.PEAKS_DIFFER)}"
        f" (peaks) or {per_cent(cross_checks.MOMENTS_DIFFER)} (mean and variance) |"
        f" bit {int(status.ChargeStatus.GAINS_DISAGREE)}",
        f"{spe_outliers.THRESHOLD_SIGMA:g} robust",
        f"{per_cent(run_gains.LEAST_CHANGE)} and {run_gains.CLEAR_SIGMA:g} standard errors",
        f"{per_cent(run_gains.LEAST_CHANGE_OF_A_PIXEL)} and {run_gains.CLEAR_SIGMA:g} standard",
        f"{halves.CLEAR_SIGMA:g} standard errors, and {per_cent(halves.LEAST_CHANGE)} in the gain"
        f" or {per_cent(halves.LEAST_PEDESTAL)} of a gain in the pedestal | bit"
        f" {int(status.ChargeStatus.CHANGES)}",
        f"{per_cent(halves.LEAST_CHANGE)}; {per_cent(halves.LEAST_PEDESTAL)} of a gain | bit",
        f"| {run_checks.CLEAR_SIGMA:g} standard errors | crosstalk",
        f"| {per_cent(run_checks.UNSTABLE_JITTER)} | warned",
        f"below {run_checks.NO_LIGHT_PE} photoelectrons",
        f"misfit of {per_cent(spe_model.MISFIT_LIMIT)}",
        f"{spe_model.CLEAR_SIGMA:g} standard deviations and {per_cent(spe_model.RELEVANT)} of the"
        " flashes",
        "ranges of charge in it, windows of {}, {}, {} and {} bins | more than chance in {}".format(
            *spe_adequacy.WIDTHS, spe_adequacy.CHANCE
        ),
        f"need {run_gains.FEWEST_PIXELS} pixels",
    ],
}


@pytest.mark.parametrize("section", SAID)
def test_numbers_are_those_of_the_code(section):
    missing = [words for words in SAID[section] if words not in SECTIONS[section]]
    assert not missing


def test_every_kind_says_what_is_not_noticed():
    assert list(SECTIONS) == list(SAID)
    for section, text in SECTIONS.items():
        assert "**Not noticed**" in text, section
