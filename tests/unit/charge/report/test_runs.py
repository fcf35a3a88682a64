"""What the SSTCAM's page and terminal say of the flashes of a run that are left out."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from helpers.sstcam_pages import make_products, page_params

from pixelcal.charge.extraction.checks import tell_lost_events
from pixelcal.charge.extraction.io import event_cards
from pixelcal.charge.report import provenance
from pixelcal.charge.report.products import read_products
from pixelcal.charge.runs.waveforms import FLAGS, REASONS, count_reasons

N_GOOD = 300
LEFT_OUT = {"stale": 40, "incomplete": 21, "other": 3, "empty": 8, "type": 90, "gain": 13}


def test_the_table_of_runs_counts_every_flash(tmp_path):
    """So many flashes with each flag, counted by the flag alone, are what the page shows."""
    flags = np.repeat([0, *FLAGS.values()], [N_GOOD, *(LEFT_OUT[name] for name in FLAGS)])
    flags[-1] |= FLAGS["stale"]  # of two reasons the first counts
    products = read_products(make_products(tmp_path), page_params()["settings"])
    first, *others = products.charges
    header = first.copy()
    for keyword, *value in event_cards(len(flags), count_reasons(flags)):
        header[keyword] = tuple(value)
    changed = replace(products, charges=[header, *others])
    headings = provenance.run_headings(changed)
    shown = dict(zip(headings, provenance.run_rows(changed)[0][1:], strict=True))
    expected = {
        "used": N_GOOD,
        "stale": 41,
        "incomplete or empty": 29,
        "of another type": 90,
        "of another gain": 12,
        "other": 3,
    }
    assert {name: int(shown[name]) for name in expected} == expected
    assert int(shown["Events read"]) == len(flags) == sum(expected.values())


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("number", [5, 6])
def test_the_terminal_tells_of_more_than_five_per_cent(caplog, name, number):
    with caplog.at_level(logging.WARNING, "pixelcal"):
        tell_lost_events(100, dict.fromkeys(FLAGS, 0) | {name: number}, "led_1")
    said = [record.getMessage() for record in caplog.records]
    line = f"run led_1: {number} of 100 events are left out: {REASONS[name]}"
    assert said == ([line] if number > 5 and name != "type" else [])
