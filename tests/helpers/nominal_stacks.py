"""Stacks of pixels that stand at the nominal relation, and the response that they teach."""

import numpy as np

from helpers import cameras
from helpers.instruments import EXPECTED
from pixelcal.energy.response.learn import learn_response
from pixelcal.energy.response.population import wide_population_scale
from pixelcal.energy.response.stack import stack_blocks, stack_edges


def nominal_stacks(counts):
    """The stacks of the blocks of one spectrum (1, n_channels)."""
    relation = np.array([[cameras.NOMINAL_GAIN], [cameras.NOMINAL_OFFSET]])
    return stack_blocks(counts, *relation, stack_edges(cameras.line_table()))


def learnt_from(counts, start=EXPECTED):
    """The response that one spectrum (1, n_channels) teaches; learning starts at a shape."""
    table = cameras.line_table()
    scale = wide_population_scale(table)
    gain = cameras.NOMINAL_GAIN
    return learn_response(nominal_stacks(counts), table, gain, 1, start, scale, EXPECTED)
