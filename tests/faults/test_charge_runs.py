"""Runs that are not as they should be, and sets of runs that do not belong together (C6, C8, C9).

Each row is an input with one thing wrong, and what should come of it.
"""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from helpers.charge_faults import (
    ADC,
    N_FLASHES,
    N_PIXELS,
    PEAK,
    Fault,
    Run,
    clipped,
    digitised,
    ends,
    flashes,
    good_is_right,
    most_are_good,
    rows,
    run_chain,
    says,
    status_of,
    stops,
    two_runs,
)
from helpers.sstcam_runs import table

from pixelcal.charge.extraction.io import lab_values
from pixelcal.charge.runs.run_table import read_run_table
from pixelcal.io.tables import read_columns
from pixelcal.status import ChargeStatus


def spoilt(change, bad=(), changes=None, report=False, **options):
    """The usual runs with `change(waveforms, number)` done to each."""
    return lambda folder: run_chain(
        folder, two_runs(change, **options), bad_pixels=bad, changes=changes, report=report
    )


# --- C6: events without content, no light ---------------------------------------------------------


def zero_events(where, only=(0, 1)):
    def change(waveforms, number):
        if number in only:
            waveforms[where] = 0
        return waveforms

    return change


def left_out(number, names=("dark", "light")):
    """These events are left out and counted, and what is left is right."""

    def check(result):
        most_are_good(result)
        for name in names:
            header = result.header(name)
            assert header["NREAD"] - header["NUSED"] == number
            assert header["NINCOMPL"] + header["NOTHER"] == number

    return check


def told(*patterns):
    """It is said in these words, and no pixel is called good and wrong."""

    def check(result):
        says(result, *patterns)
        if not result.error:
            good_is_right(result)

    return check


def both(*checks):
    def check(result):
        for own in checks:
            own(result)

    return check


def last(share):
    return slice(round((1 - share) * N_FLASHES), None)


DARK = "no light|without light|dark run|sees no light"


def dark_beside(folder):
    """A run without light beside the usual ones."""
    return run_chain(folder, [Run("none", 0.001, flashes(1e-9)), *two_runs()], report=True)


def two_dark(folder):
    """No run has any light."""
    runs = [Run("dark", 0.7, flashes(1e-9, 1)), Run("light", 2.0, flashes(1e-9, 2))]
    return run_chain(folder, runs, report=True)


def brightest_is_dark(folder):
    """The shutter stayed closed in the brightest run, the darker one is in order."""
    runs = [Run("dark", 0.7, flashes(0.7)), Run("light", 2.0, flashes(1e-9, 2))]
    return run_chain(folder, runs, report=True)


C6_EMPTY = rows(
    Fault("one all-zero event", spoilt(zero_events(5)), left_out(1)),
    *(
        Fault(
            f"the last {share:.0%} all zero",
            spoilt(zero_events(last(share))),
            left_out(round(share * N_FLASHES)),
        )
        for share in (0.01, 0.05, 0.2, 0.5)
    ),
    Fault(
        "the last 20% all zero, with a range of the ADC",
        spoilt(zero_events(last(0.2)), adc=ADC),
        left_out(round(0.2 * N_FLASHES)),
    ),
    Fault(
        "every third event all zero",
        spoilt(zero_events(slice(None, None, 3))),
        left_out(len(range(0, N_FLASHES, 3))),
    ),
    Fault(
        "the last 20% all zero, in the darker run",
        spoilt(zero_events(last(0.2), [0])),
        left_out(round(0.2 * N_FLASHES), ["dark"]),
    ),
    Fault(
        "all events all zero",
        spoilt(zero_events(slice(None))),
        lambda result: stops(result, "zero|empty|constant"),
    ),
    Fault(
        "a run without light beside the others",
        dark_beside,
        both(most_are_good, told(DARK)),
    ),
    Fault("no light at all", two_dark, told(DARK)),
    Fault(
        "no light in the brightest run",
        brightest_is_dark,
        told(DARK),
    ),
)


@pytest.mark.parametrize("fault", C6_EMPTY)
def test_events_without_content_and_runs_without_light(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C6: clipping ---------------------------------------------------------------------------------


def cut(highest_pe, pixels, with_range):
    """All samples of some pixels end at a height; the range of the ADC says so or not."""
    adc = {"adc_min": 0, "adc_max": int(clipped(np.full((1, 16, 32), 9999), highest_pe).max())}
    change = lambda waveforms, number: clipped(waveforms, highest_pe, pixels)  # noqa: E731
    return spoilt(change, report=True, adc=adc if with_range else None)


def not_good(pixels):
    """These pixels are not called good, the others are; it is said in words."""

    def check(result):
        ends(result)
        table = result.spe
        chosen = np.isin(np.asarray(table["PIXEL"]), pixels)
        assert not result.good[chosen].any(), f"{result.good[chosen].sum()} clipped ones are good"
        assert result.good[~chosen].sum() >= max((~chosen).sum() - 1, 0)
        good_is_right(result)
        says(result, "clipped|saturat")

    return check


def right_or_flagged(result):
    """No pixel is good and wrong: at 8 photoelectrons little is lost."""
    ends(result)
    good_is_right(result)


ALL = tuple(range(N_PIXELS))
C6_CLIPPED = rows(
    *(
        Fault(
            f"clipped at {highest} pe in {words}, {'with' if known else 'without'} a range",
            cut(highest, pixels, known),
            not_good(pixels),
        )
        for highest in (2, 4, 5, 6)
        for words, pixels in (("one pixel", (5,)), ("all", ALL))
        for known in (True, False)
    ),
    *(
        Fault(
            f"clipped at 8 pe in {words}, {'with' if known else 'without'} a range",
            cut(8, pixels, known),
            right_or_flagged,
        )
        for words, pixels in (("one pixel", (5,)), ("all", ALL))
        for known in (True, False)
    ),
    Fault("a range that nothing reaches", spoilt(None, adc=ADC), most_are_good),
)


@pytest.mark.parametrize("fault", C6_CLIPPED)
def test_clipping(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C6: waveforms of another kind ----------------------------------------------------------------


def summed(waveforms, number):
    """One sample a waveform: the charge of the window, as some cameras give it."""
    return waveforms[:, :, PEAK - 6 : PEAK + 10].sum(axis=2, keepdims=True).astype(np.uint16)


ONE_SAMPLE = {"charges": {"window": 1, "window_shift": 0}}


def inverted(pixels=slice(None)):
    def change(waveforms, number):
        made = waveforms.astype(int)
        made[:, pixels] = 600 - made[:, pixels]
        return made.astype(np.uint16)

    return change


def moved(samples, pixels=slice(None)):
    """The pulse comes earlier (negative) or later by so many samples."""

    def change(waveforms, number):
        waveforms[:, pixels] = np.roll(waveforms[:, pixels], samples, axis=2)
        return waveforms

    return change


def flat(waveforms, number):
    """A pixel that reads the same number in all events."""
    waveforms[:, 3] = 300
    return waveforms


def only(number, status=None):
    """One pixel is not good, the others are."""

    def check(result):
        most_are_good(result, but=[number])
        if status is not None:
            assert status_of(result, number) == status

    return check


def most_are_good_or_says(*patterns):
    def check(result):
        if result.error:
            stops(result, *patterns)
        else:
            most_are_good(result)

    return check


C6_WAVEFORMS = rows(
    Fault(
        "one sample a waveform",
        spoilt(summed),
        lambda result: stops(result, r"\b(1|one) sample\b"),
    ),
    Fault(
        "one sample a waveform, and a window of one",
        spoilt(summed, changes=ONE_SAMPLE),
        most_are_good_or_says(r"\b(1|one) sample\b"),
    ),
    Fault(
        "inverted pulses",
        spoilt(inverted(), report=True),
        lambda result: says(result, "inverted|negative|polarity|downward"),
    ),
    Fault("inverted pulses in one pixel", spoilt(inverted(3)), only(3)),
    Fault("the same number in all events of a pixel", spoilt(flat), only(3)),
    Fault("a pulse at the left edge in one pixel", spoilt(moved(-12, [3])), only(3)),
    Fault("a pulse at the right edge in one pixel", spoilt(moved(15, [3])), only(3)),
    Fault(
        "a pulse at the edge in one pixel, listed as bad",
        spoilt(moved(-12, [3]), bad=[3]),
        only(3, ChargeStatus.MASKED),
    ),
    Fault(
        "pulses at the edge in four pixels, listed as bad",
        spoilt(moved(-12, [3, 4, 5, 6]), bad=[3, 4, 5, 6]),
        lambda result: most_are_good(result, but=[3, 4, 5, 6]),
    ),
    Fault(
        "pulses at the edge in all pixels",
        spoilt(moved(-12)),
        lambda result: stops(result, "not inside its waveform", r"window_shift"),
    ),
)


@pytest.mark.parametrize("fault", C6_WAVEFORMS)
def test_waveforms_of_another_kind(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C8: runs of a set that do not agree ----------------------------------------------------------

GAIN_TOLD = r"gains?\b.*\bruns?\b.*(differ|disagree|change|agree)|runs?\b.*(differ|disagree).*gain"


def gain_differs(share, third=False, pixels=slice(None)):
    """The gain of one run is larger, by voltage or temperature; PE of the mean is neither's."""

    def make(folder):
        light = flashes(2.0)
        light[:, pixels] = flashes(2.0, gain=1 + share)[:, pixels]
        runs = [Run("dark", 0.7, flashes(0.7)), Run("light", 2.0, light)]
        if third:
            runs.insert(1, Run("middle", 1.2, flashes(1.2)))
        return run_chain(folder, runs, report=True)

    return make


def runs_are_told(result):
    """It is said that gains of the runs differ, wherever pixels are called good."""
    ends(result)
    says(result, GAIN_TOLD)


def nothing_is_told(result):
    most_are_good(result)
    assert "differ" not in result.said


def pixel_is_flagged(result):
    most_are_good(result, but=[3])


C8 = rows(
    Fault("gains that agree", gain_differs(0.0), nothing_is_told),
    *(
        Fault(
            f"a gain {share:+.0%} in one run of {2 + third}",
            gain_differs(share, third),
            runs_are_told,
        )
        for share in (0.03, 0.06, 0.1, -0.06)
        for third in (False, True)
    ),
    Fault("a gain +10% in one run, in one pixel", gain_differs(0.1, pixels=3), pixel_is_flagged),
)


@pytest.mark.parametrize("fault", C8)
def test_gains_that_differ_between_runs(fault, tmp_path):
    fault.check(fault.make(tmp_path))


@pytest.mark.parametrize(
    "columns", ["bias_V,temperature_C", "vbias,temp", "bias_voltage,temperature"]
)
def test_voltage_and_temperature_of_the_table_are_in_the_products(columns, tmp_path):
    """What table.csv says of bias and temperature stands in the charges' header and on the page."""
    runs = two_runs()
    lab = table(tmp_path / "lab", "dark,1.5,2026-03-01T10:00,56.25,21.75",
                "light,4.3,2026-03-01T12:30:00Z,56.5,23.5",
                header=f"name,n_ph,date,{columns}")  # fmt: skip
    for own in runs:
        (lab / f"{own.name}.h5").write_bytes(b"")
    entries = {entry.name: entry for entry in read_run_table(lab, "spe")}
    for own in runs:
        own.columns = {k: v for k, v in entries[own.name].light.items() if k != "n_ph"}
    result = run_chain(tmp_path, runs, report=True)
    ends(result)
    values = [card.value for card in result.header("light").cards]
    assert 56.5 in values and 23.5 in values
    for number in ("56.25", "21.75", "56.5", "23.5", "2026-03-01T10:00:00"):
        assert number in result.page
    # The set as a whole, as the history takes it.
    of_set = read_columns(tmp_path / "spe.fits", "SPE").meta
    assert of_set["DATE-OBS"] == "2026-03-01T10:00:00"
    assert of_set["DATE-END"] == "2026-03-01T12:30:00"
    means = dict(zip(columns.split(","), (56.375, 22.625), strict=True))
    assert lab_values(of_set) == means


# --- C9: a run that calibrates must not be assessed -----------------------------------------------


def scan_of(which):
    """A scan in which one run is, byte by byte, one of the SPE runs, under another name."""

    def make(folder):
        runs = [Run(name, pe, flashes(pe)) for name, pe in zip("abc", (0.7, 1.2, 2.0), strict=True)]
        scan = [Run("bright", 30.0, flashes(30.0, n_flashes=300))]
        first = run_chain(folder, runs, until="merge_spe")
        if which is not None:
            own = next(run for run in runs if run.name == which)
            copied = shutil.copy(folder / f"{which}.h5", folder / "copy.h5")
            scan.append(Run("copy", own.pe, copied))
        assert not first.error
        return run_chain(folder, runs, scan)

    return make


def calibrates(expected):
    def check(result):
        ends(result)
        use = {str(row["RUN"]).strip(): str(row["USE"]).strip() for row in result.camera}
        assert use["bright"] == "judges"
        assert use.get("copy") == expected

    return check


def header_names_all(result):
    """spe.fits carries name and checksum of the waveforms of every run."""
    ends(result)
    header = fits.getheader(result.paths["spe"], "SPE")
    names = [value for key, value in header.items() if key.startswith("INFIL")]
    assert {"a.h5", "b.h5", "c.h5"} <= set(names)
    sums = [value for key, value in header.items() if key.startswith("INSHA")]
    for name in "abc":
        assert fits.getheader(result.paths[name], "CHARGES")["INSHA001"] in sums


C9 = rows(
    Fault("no run of both", scan_of(None), calibrates(None)),
    Fault("the first SPE run in the scan", scan_of("a"), calibrates("calibrates")),
    *(
        Fault(
            f"the {words} SPE run in the scan",
            scan_of(name),
            calibrates("calibrates"),
        )
        for words, name in (("second", "b"), ("last", "c"))
    ),
    Fault(
        "the header of spe.fits",
        scan_of(None),
        header_names_all,
    ),
)


@pytest.mark.parametrize("fault", C9)
def test_a_run_that_calibrates_is_not_assessed(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- changes within a run -------------------------------------------------------------------------


def stepped(waveforms, number):
    """The gain of all pixels rises by 15 % half-way."""
    factor = np.where(np.arange(len(waveforms)) < len(waveforms) // 2, 1.0, 1.15)
    base = 300.0
    return digitised(base + (waveforms - base) * factor[:, None, None])


def test_a_gain_that_steps_within_the_runs(tmp_path):
    """Every pixel has bit 128: STATUS 0 with pulls of 9 was what some had."""
    result = spoilt(stepped)(tmp_path)
    says(result, "16 of 16 pixels change within the run")
    assert ((result.spe["STATUS"] & int(ChargeStatus.CHANGES)) > 0).all()


def test_light_that_drifts_within_the_runs(tmp_path):
    """The first halves have 70 %, the second 130 % of it: no pixel changes."""

    def drifting(waveforms, number):
        half, light = len(waveforms) // 2, (0.7, 2.0)[number]
        parts = flashes(0.7 * light, seed=8), flashes(1.3 * light, seed=9)
        return np.concatenate([part[:half] for part in parts])

    result = spoilt(drifting)(tmp_path)
    most_are_good(result)
    assert not (result.spe["STATUS"] & int(ChargeStatus.CHANGES)).any()


def test_a_dark_run_of_few_flashes(tmp_path):
    """It would cost all pixels their fits: one line says so before any is fitted."""
    short = Run("none", 0.0, flashes(1e-9, 5)[:30])
    result = run_chain(tmp_path, [short, *two_runs()])
    stops(result, "run none: this dark run has 30 events", r"min_flashes \(500\)", "table.csv")
