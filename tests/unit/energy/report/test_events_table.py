"""What the report says of the events and of the learning, against events that are counted here."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.event_files import events, pira
from helpers.instruments import ECLAIRS, N_CHANNELS
from helpers.page_text import read_cells, unpack, words_of
from helpers.paths import LINES
from helpers.report_pages import known_response, make_camera, page_data, write_report
from helpers.synthetic import GAIN, OFFSET

from pixelcal.energy.events import losses
from pixelcal.energy.events.binning import TALLY, bin_events
from pixelcal.energy.events.reader import open_event_files
from pixelcal.energy.events.spectra_tables import spectra_hdus
from pixelcal.energy.events.tally import lost_out_of, meaning
from pixelcal.energy.report import events as report_events
from pixelcal.energy.report import response as report_response
from pixelcal.energy.report.products import read_products
from pixelcal.io.tables import read_columns, write_fits

N_EVENTS, DETNUM = 20_000, np.arange(3000)
GOOD_TIME = np.array([[100.0, 400.0], [650.0, 900.0]])


def products(paths):
    """The products of one exposure as the report reads them."""
    settings = {"name": "week", "method": "joint", "min_counts": 200, "lines": LINES}
    return read_products(
        settings,
        paths,
        lambda detnum: (np.full(len(detnum), GAIN), detnum * 0.0),
        instrument=ECLAIRS,
    )


@pytest.fixture(scope="module")
def data():
    """Events with everything that can be wrong with one."""
    return events(N_EVENTS, seed=4)


@pytest.fixture(scope="module")
def exposure(data, tmp_path_factory):
    """An exposure whose spectra were made from these events by the library."""
    folder = tmp_path_factory.mktemp("events")
    paths = make_camera(folder, 64, {"week": 1000})["week"]
    file = pira(folder / "events.fits", data, {"TSTART": 0.0, "TSTOP": 1000.0})
    files = open_event_files([file], "pira", {}, "single", instrument=ECLAIRS)
    relation = np.full(len(DETNUM), GAIN), np.full(len(DETNUM), OFFSET)
    spectra = bin_events(files, DETNUM, *relation, GOOD_TIME, "single", seed=1, instrument=ECLAIRS)
    write_fits(paths["spectra"], spectra_hdus(DETNUM, spectra, []))
    return products(paths)


def fates_by_hand(data):
    """Number of events by what became of them: the first of the tests that each fails."""
    time, pixel = data["time"], data["pixel"]
    channel = (data["energy"].astype(float) - OFFSET) / GAIN
    tests = {
        "REJTIME": ~((time[:, None] >= GOOD_TIME[:, 0]) & (time[:, None] < GOOD_TIME[:, 1])).any(1),
        "REJMULT": data["multiplicity"] != 1,
        "REJNOPIX": (pixel < 0) | (pixel >= 6400),
        "REJUNSEL": pixel >= len(DETNUM),
        "REJNAN": ~np.isfinite(channel),
        "REJBELOW": channel < 0,
        "REJABOVE": channel >= 1024,
    }
    left, found = np.ones(len(time), bool), {}
    for keyword, fails in tests.items():
        found[keyword] = int((left & fails).sum())
        left &= ~fails
    return {"EVUSED": int(left.sum())} | found


def test_the_table_says_what_became_of_each_event(exposure, data):
    expected = fates_by_hand(data)
    rows = report_events.table(exposure)
    shown = {row["cells"][0]: int(row["cells"][1].replace(",", "")) for row in rows}
    assert shown.pop("events read") == N_EVENTS == sum(shown.values())
    assert shown == {meaning(keyword, N_CHANNELS): n for keyword, n in expected.items() if n}
    for row in rows:
        n, text = int(row["cells"][1].replace(",", "")), row["cells"][2]
        assert float(text.split(" ")[0]) == pytest.approx(100 * n / N_EVENTS, abs=0.00501)


def test_reasons_without_an_event_are_left_out_and_few_events_are_not_none(exposure):
    header = exposure.spectra.meta.copy()
    for keyword in header:
        if keyword.startswith("REJ"):
            header[keyword] = 0
    header["REJNAN"], header["EVREAD"], header["EVUSED"] = 3, 1_000_000, 999_997
    spectra = exposure.spectra.copy()
    spectra.meta = header
    rows = report_events.table(replace(exposure, spectra=spectra))
    assert [row["cells"] for row in rows] == [
        ("events read", "1,000,000", "100.00 %"),
        ("events counted", "999,997", "100.00 %"),
        ("events without a finite energy", "3", "< 0.01 %"),
    ]


@pytest.mark.parametrize("fraction", [0.04, 0.06])
@pytest.mark.parametrize("keyword", TALLY)
def test_only_events_that_nobody_asked_to_leave_out_are_lost(exposure, keyword, fraction):
    """As `check_lost` has it: of the events that come to the test, not of all read."""
    header = exposure.spectra.meta.copy()
    tally = dict.fromkeys(TALLY, 0) | {"REJTIME": 5000, "REJMULT": 3000, "REJUNSEL": 1000}
    tally["EVUSED"] = 1000
    lost = keyword not in ("EVUSED", "REJTIME", "REJMULT", "REJUNSEL")
    if lost:
        n_selected = 1000 + (1000 if keyword == "REJNOPIX" else 0)
        n = round(n_selected * fraction / (1 - fraction))
        tally[keyword] = n
    for word, number in tally.items():
        header[word] = number
    header["EVREAD"] = sum(tally.values())
    spectra = exposure.spectra.copy()
    spectra.meta = header
    changed = replace(exposure, spectra=spectra)
    marked = [row["cells"][0] for row in report_events.table(changed) if row["is_lost"]]
    said = report_events.warnings(changed)
    if lost and fraction > losses.WARN_FRACTION:
        assert marked == [meaning(keyword, N_CHANNELS)]
        assert said == [
            f"{100 * n / (n_selected + n):.1f} % of the events are lost: {n} of {n_selected + n:,}"
            f" are {meaning(keyword, N_CHANNELS)}."
        ]
    else:
        assert marked == said == []


def test_events_that_were_dealt_are_told(exposure):
    assert not any("dealt" in row["cells"][0] for row in report_events.table(exposure))
    spectra = exposure.spectra.copy()
    spectra.meta = exposure.spectra.meta.copy()
    spectra.meta["EVDEALT"] = N_EVENTS
    changed = replace(exposure, spectra=spectra)
    *_, last = report_events.table(changed)
    assert "dealt to pixels at random" in last["cells"][0] and last["is_lost"]
    assert last["cells"][1:] == ("20,000", "100.00 %")
    assert any("dealt to the pixels at random" in text for text in report_events.warnings(changed))


def test_the_page_and_the_terminal_warn_from_the_same_fraction():
    assert report_events.WARN_FRACTION == losses.WARN_FRACTION
    assert {"EVUSED", *lost_out_of({}, 0)} < set(TALLY)


def test_lost_events_are_told_at_the_top_and_marked(tmp_path):
    paths = make_camera(tmp_path, 64, {"week": 10000}, n_above=30_000)
    page = write_report(tmp_path, paths)
    header = read_columns(paths["week"]["spectra"], "SPECTRA").meta
    n_tested = header["EVREAD"] - header["REJTIME"]
    said = f"⚠ {3e6 / n_tested:.1f} % of the events are lost: 30,000 of {n_tested:,} are events"
    cells = read_cells(page).cells
    places = [number for number, cell in enumerate(cells) if cell.startswith(said)]
    assert len(places) == 1 and places[0] < cells.index("4 keV")
    assert "⚠ events above channel 1023" in cells
    page = write_report(tmp_path, make_camera(tmp_path, 64, {"day": 10000}))
    assert "⚠" not in words_of(page)


def test_the_rate_is_that_of_the_events(exposure, data):
    rate = report_events.rate(exposure)
    seconds, counts = unpack(rate["seconds"]), unpack(rate["counts"])
    assert rate["step"] == pytest.approx(4.0) and len(counts) == 200
    assert seconds.sum() == pytest.approx(550) and (seconds[75:137] == 0).all()
    assert counts.sum() == fates_by_hand(data)["EVUSED"]
    assert (counts[seconds == 0] == 0).all()


def test_older_spectra_have_neither_table_nor_rate(tmp_path):
    paths = make_camera(tmp_path, 64, {"week": 10000}, old_spectra=True)
    page = write_report(tmp_path, paths)
    old = products(paths["week"])
    assert report_events.table(old) == report_events.warnings(old) == []
    assert report_events.rate(old) is None is page_data(page)["exposures"][0]["rate"]
    assert "events counted" not in words_of(page)


@pytest.mark.parametrize(
    ("converged", "row", "n_said"),
    [(True, "yes, 4 iterations", 0), (False, "no, 4 iterations", 1), (None, None, 0)],
)
def test_whether_the_learning_converged(tmp_path, converged, row, n_said):
    response = replace(known_response(), converged=converged, iterations=4 if row else 0)
    paths = make_camera(tmp_path, 64, {"week": 10000}, response=response)
    page = write_report(tmp_path, paths)
    read = products(paths["week"])
    assert (
        dict(report_response.shape_table(read.response, read.lines.block_names)).get(
            "Learning (EM) converged"
        )
        == row
    )
    cells = read_cells(page).cells
    assert (row in cells) == bool(row)
    said = "⚠ The learning of the response (EM) has not converged: 4 iterations"
    assert sum(cell.startswith(said) for cell in cells) == n_said
