"""What the charge chain's verdict claims, and what it can know (C10, C13; C11, the map).

Each row is a scan or a camera, and what the products and the page may say of it.
"""

import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.charge_faults import (
    N_PIXELS,
    SSTCAM_MAP,
    Fault,
    Run,
    clipped,
    convert,
    ends,
    event,
    flashes,
    rows,
    run_chain,
    says,
    stops,
    two_runs,
)

SCAN_PE, SCAN_FLASHES = 30.0, 300
LEVELS = (0.125, 1.25)


def highest_sample():
    """End of an ADC that clips at 20 photoelectrons."""
    return int(clipped(np.full((1, N_PIXELS, 1), 9999), 20).max())


def scan_run(name, pe=SCAN_PE, nsb=0.125, nsb_meas=None, true_pe=None, change=None):
    """A run of the scan; `pe` is what its table says, `true_pe` what its flashes have."""
    true_pe = pe if true_pe is None else true_pe
    waveforms = flashes(true_pe, n_flashes=SCAN_FLASHES)
    if change is not None:
        waveforms = change(waveforms)
    columns = {"nsb": nsb, "nsb_meas": nsb if nsb_meas is None else nsb_meas}
    adc = None if change is None else {"adc_min": 0, "adc_max": highest_sample()}
    return Run(name, pe, waveforms, columns=columns, adc=adc)


def scan(*runs, bad=()):
    return lambda folder: run_chain(folder, two_runs(), runs, bad_pixels=bad, report=True)


# --- C10: each run against its own level of the night sky -----------------------------------------


def judged_at(level, *names):
    """Only these runs are compared with the requirement of this level (MEETS is -1 elsewhere)."""

    def check(result):
        ends(result)
        verdict = fits.getdata(result.paths["resolution"], "VERDICT")
        run = [str(row["RUN"]).strip() for row in result.camera]
        own = verdict[np.isclose(verdict["NSB"], level)]
        judged = {run[row["RUN_ROW"]] for row in own if row["MEETS"] >= 0}
        assert judged == set(names), f"at NSB {level:g}: {sorted(judged)}"

    return check


def claims_nothing_at(level):
    """The page does not claim that a requirement is met at a level at which no run was taken."""

    def check(result):
        ends(result)
        claim = rf"NSB {level:g} p\.e\./ns: [1-9]\d* of \d+ runs meet"
        assert not re.search(claim, result.page)
        assert "Meets the requirement at every charge" not in result.page
        says(result, rf"{level:g}[^.]*(not measured|no run|not taken|none of the runs)")

    return check


def all_of(*checks):
    def check(result):
        for own in checks:
            own(result)

    return check


C10 = rows(
    Fault(
        "a scan at NSB 0: level 1.25",
        scan(scan_run("a", nsb=0.0), scan_run("b", 100.0, nsb=0.0)),
        all_of(judged_at(1.25), claims_nothing_at(1.25)),
    ),
    Fault(
        "a scan at NSB 0: level 0.125",
        scan(scan_run("a", nsb=0.0), scan_run("b", 100.0, nsb=0.0)),
        judged_at(0.125),
    ),
    Fault(
        "a scan at the first level: that level",
        scan(scan_run("a"), scan_run("b", 100.0)),
        judged_at(0.125, "a", "b"),
    ),
    Fault(
        "a scan at the first level: the other one",
        scan(scan_run("a"), scan_run("b", 100.0)),
        all_of(judged_at(1.25), claims_nothing_at(1.25)),
    ),
    *(
        Fault(
            f"a run at each level: {level:g}",
            scan(scan_run("low"), scan_run("high", 100.0, nsb=1.25)),
            judged_at(level, name),
        )
        for level, name in zip(LEVELS, ("low", "high"), strict=True)
    ),
    Fault(
        "set to 1.25 and measured at 1.18",
        scan(scan_run("a", nsb=1.25, nsb_meas=1.18), scan_run("b", 100.0, 1.25, 1.31)),
        all_of(judged_at(1.25, "a", "b"), judged_at(0.125)),
    ),
    Fault(
        "set to 1.25 and measured at 0.13",
        scan(scan_run("a", nsb=1.25, nsb_meas=0.13)),
        judged_at(1.25),
    ),
    Fault(
        "a level between the two",
        scan(scan_run("a", nsb=0.5)),
        all_of(judged_at(1.25), judged_at(0.125)),
    ),
)


@pytest.mark.parametrize("fault", C10)
def test_the_level_of_the_night_sky(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C13: a verdict of three ----------------------------------------------------------------------


def ratio_of(result):
    """Resolution over requirement of the only run, and its standard error."""
    (row,) = result.camera
    verdict = fits.getdata(result.paths["resolution"], "VERDICT")
    required = verdict["REQUIRED"][np.isclose(verdict["NSB"], 0.125)][0]
    return row["RESOLUTION"] / required, row["RESOLUTION_ERR"] / required


STATED = {1.05: 26.28, 1.003: 26.79, 0.997: 26.86, 0.9: 28.15}
"""What the table says of the light where the flashes have 30 photoelectrons, for each ratio of
resolution to requirement: the bias moves the resolution to where it is wanted."""


def near(ratio):
    """A scan of one run whose resolution is this many times the requirement at NSB 0.125."""
    return scan(scan_run("a", STATED[ratio], true_pe=SCAN_PE))


def verdict_is(state, ratio):
    """The page says that the requirement is met, is not, or that this cannot be said."""
    words = {
        "meets": r"meets the requirement",
        "misses": r"(misses|does not meet) the requirement",
        "unclear": r"cannot be (said|told|decided)|unclear|undecided"
        r"|within (the|its|two) (standard )?errors?",
    }

    def check(result):
        ends(result)
        found, error = ratio_of(result)
        assert found == pytest.approx(ratio, abs=0.006)
        assert (abs(found - 1) < 2 * error) == (state == "unclear")
        headline = re.search(r'class="headline">(.*?)</p>', _html(result), re.S).group(1)
        assert re.search(words[state], headline, re.IGNORECASE), headline
        for other, pattern in words.items():
            assert other == state or not re.search(pattern, headline, re.IGNORECASE), headline

    return check


def _html(result):
    return result.paths["report"].read_text("utf-8")


def nothing_of_nothing(result):
    ends(result)
    assert not re.search(r"\b0 of 0\b", result.told)
    says(result, "masked")


def in_question(result):
    """Reasons of the pixels listed under the heading "Pixels in question"."""
    part = re.search(r"<h2[^>]*>\s*Pixels in question.*?(?=<h2)", _html(result), re.S)
    return [] if part is None else re.findall(r"<td[^>]*>\s*(good;[^<]*)<", part.group(0))


def no_good_ones_in_question(result):
    ends(result)
    listed = in_question(result)
    assert not listed, f"{len(listed)} good pixels are 'in question'"


def does_not_judge_in_words(result):
    """A run that is not assessed is not said to judge, and its reason names what happened."""
    ends(result)
    (row,) = result.camera
    assert str(row["REASON"]).strip(), "the run is assessed"
    assert not re.search(r"judges: ", result.page), "'judges: ' before why it does not"
    assert not re.search("no pixel is left", result.page)
    says(result, "saturat|clipped")


HALF = np.arange(N_PIXELS // 2)


def half_clipped(waveforms):
    """One half ends at 20 photoelectrons; the other, of a smaller gain, stays below."""
    made = clipped(waveforms, 20, HALF)
    rest = np.setdiff1d(np.arange(N_PIXELS), HALF)
    made[:, rest] = 300 + (made[:, rest].astype(int) - 300) // 4
    return made


C13 = rows(
    Fault("clearly within the requirement", near(0.9), verdict_is("meets", 0.9)),
    Fault("clearly beyond it", near(1.05), verdict_is("misses", 1.05)),
    Fault("0.3% beyond it", near(1.003), verdict_is("unclear", 1.003)),
    Fault("0.3% within it", near(0.997), verdict_is("unclear", 0.997)),
    Fault(
        "all pixels listed as bad",
        lambda folder: run_chain(folder, two_runs(), bad_pixels=range(N_PIXELS), report=True),
        nothing_of_nothing,
    ),
    Fault(
        "all pixels good",
        lambda folder: run_chain(folder, two_runs(), report=True),
        no_good_ones_in_question,
    ),
    Fault(
        "one pixel masked, the others good",
        lambda folder: run_chain(folder, two_runs(), bad_pixels=[3], report=True),
        no_good_ones_in_question,
    ),
    Fault(
        "half of the pixels clipped, the others masked",
        scan(scan_run("a", change=half_clipped), bad=range(N_PIXELS // 2, N_PIXELS)),
        does_not_judge_in_words,
    ),
    Fault(
        "half of the pixels clipped",
        scan(scan_run("a", change=half_clipped)),
        does_not_judge_in_words,
    ),
)


@pytest.mark.parametrize("fault", C13)
def test_the_verdict(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C11: places of the pixels --------------------------------------------------------------------


PLACES = np.linspace(-0.1, 0.1, N_PIXELS), np.full(N_PIXELS, 0.3)
"""Pixels in a row of 16, which no SSTCAM has."""


def placed_runs(folder, places=PLACES):
    """The usual runs, whose files say where their pixels are."""
    runs = []
    for usual in two_runs():
        place = folder / usual.name
        place.mkdir()
        events = [event(waveform, n) for n, waveform in enumerate(usual.waveforms)]
        made = convert(place, events, places=places)
        ends(made)
        runs.append(Run(usual.name, usual.pe, made.paths["run"]))
    return runs


def test_places_of_the_file_are_used(tmp_path):
    result = run_chain(tmp_path, placed_runs(tmp_path), report=True)
    ends(result)
    table = result.spe
    assert np.allclose(table["X"], PLACES[0], atol=1e-9)
    assert np.allclose(table["Y"], PLACES[1], atol=1e-9)
    assert table["X"].unit == "m"


def test_a_map_that_the_user_names_goes_before_the_file(tmp_path):
    result = run_chain(tmp_path, placed_runs(tmp_path), map_given=True)
    ends(result)
    assert np.allclose(result.spe["X"], Table.read(SSTCAM_MAP, comment="#")["X"][:N_PIXELS])
    says(result, r"pixel map .*mm from the positions.*sstcam\.pixel_map")


def test_places_that_are_nearly_those_of_the_map_are_not_mentioned(tmp_path):
    """A camera is curved, and its map flat: tenths of a mm."""
    table = Table.read(SSTCAM_MAP, comment="#")[:N_PIXELS]
    near = np.array(table["X"]) + 2e-4, np.array(table["Y"]) - 1e-4
    result = run_chain(tmp_path, placed_runs(tmp_path, near), map_given=True)
    ends(result)
    assert not re.search("pixel map|position", result.said)


def test_a_place_that_the_file_does_not_know_is_that_of_the_map(tmp_path):
    x = np.where(np.arange(N_PIXELS) == 3, np.nan, PLACES[0])
    result = run_chain(tmp_path, placed_runs(tmp_path, (x, PLACES[1])), report=True)
    ends(result)
    table = Table.read(SSTCAM_MAP, comment="#")
    assert result.spe["X"][3] == pytest.approx(table["X"][3])
    assert result.spe["Y"][3] == pytest.approx(table["Y"][3])
    assert np.allclose(np.delete(result.spe["X"], 3), np.delete(x, 3))


def with_places(x, y):
    """The usual runs in the open layout, with these datasets of positions."""
    datasets = {
        name: values for name, values in (("pixel_x", x), ("pixel_y", y)) if values is not None
    }
    return two_runs(datasets=datasets)


def test_places_in_the_open_layout_are_used(tmp_path):
    result = run_chain(tmp_path, with_places(*PLACES), until="merge_spe")
    ends(result)
    assert np.allclose(result.spe["X"], PLACES[0])


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        pytest.param(PLACES[0], None, ["pixel_x", "both"], id="one of the two"),
        pytest.param(1e3 * PLACES[0], 1e3 * PLACES[1], ["pixel_x", "in m"], id="in mm"),
        pytest.param(PLACES[0][:5], PLACES[1][:5], ["pixel_x", "shape"], id="too few"),
        pytest.param(np.arange(16), np.arange(16), ["pixel_x", "floating"], id="integers"),
    ],
)
def test_places_that_cannot_be_right_are_refused(x, y, words, tmp_path):
    stops(run_chain(tmp_path, with_places(x, y)), *words)


def test_a_masked_pixel_that_is_not_in_the_run_has_the_place_of_the_map(tmp_path):
    result = run_chain(
        tmp_path, placed_runs(tmp_path), bad_pixels=[20], pixels=(*range(N_PIXELS), 20)
    )
    ends(result)
    assert result.spe["X"][-1] == pytest.approx(Table.read(SSTCAM_MAP, comment="#")["X"][20])
