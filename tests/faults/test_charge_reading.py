"""Reading runs of flashes: no number, no truth, other events, other gains, other pixels.

Each row is an input with one thing wrong, and what should come of it (C1 to C5).
"""

import h5py
import numpy as np
import pytest
from helpers.charge_faults import (
    LIGHTS,
    N_EVENTS_SCAN,
    N_FLASHES,
    N_PIXELS,
    PDE,
    Fault,
    Run,
    convert,
    ends,
    event,
    flashes,
    most_are_good,
    photoelectrons,
    rows,
    run_chain,
    says,
    status_of,
    stops,
    two_runs,
    with_pedestals,
)

from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.status import ChargeStatus

# --- C1: samples that are no number ---------------------------------------------------------------


def with_nan(event=slice(None), pixel=slice(None), sample=slice(None), value=np.nan, runs=(0, 1)):
    """Both runs as float, with no number in some samples of some of the runs."""

    def change(waveforms, number):
        if number in runs:
            waveforms[event, pixel, sample] = value
        return waveforms

    return lambda: two_runs(change, np.float32)


def nan_chain(where, bad=()):
    return lambda folder: run_chain(folder, where(), bad_pixels=bad)


def lost_events(result, number):
    """So many events of each run are left out, and counted."""
    for name in ("dark", "light"):
        header = result.header(name)
        assert header["NREAD"] - header["NUSED"] == number
        assert header["NSTALE"] + header["NINCOMPL"] + header["NOTHER"] == number


def one_event_is_lost(result):
    most_are_good(result)
    lost_events(result, 1)


def only_pixel(number, status=None, n_lost=0):
    """One pixel is not good, with this STATUS if it is given; no event is lost to the others."""

    def check(result):
        most_are_good(result, but=[number])
        if status is not None:
            assert status_of(result, number) == status
        lost_events(result, n_lost)

    return check


def told_and_only_pixel(number):
    def check(result):
        only_pixel(number)(result)
        says(result, rf"pixel.*\b{number}\b")

    return check


A_THIRD = np.arange(N_FLASHES) % 3 == 0
C1 = rows(
    Fault("no NaN in a float run", nan_chain(with_nan(runs=())), most_are_good),
    Fault("one sample of one pixel in one event", nan_chain(with_nan(7, 3, 14)), one_event_is_lost),
    Fault("an infinite sample", nan_chain(with_nan(7, 3, 14, np.inf)), one_event_is_lost),
    Fault("one event, all pixels", nan_chain(with_nan(7)), one_event_is_lost),
    Fault("a sample outside of the window", nan_chain(with_nan(7, 3, 30)), most_are_good),
    Fault(
        "one pixel throughout",
        nan_chain(with_nan(pixel=3)),
        told_and_only_pixel(3),
    ),
    Fault(
        "one pixel throughout, listed as bad",
        nan_chain(with_nan(pixel=3), bad=[3]),
        only_pixel(3, ChargeStatus.MASKED),
    ),
    Fault(
        "one pixel throughout, in one run only",
        nan_chain(with_nan(pixel=3, runs=[0])),
        told_and_only_pixel(3),
    ),
    Fault(
        "one pixel throughout, in one run only, listed as bad",
        nan_chain(with_nan(pixel=3, runs=[0]), bad=[3]),
        only_pixel(3, ChargeStatus.MASKED),
    ),
    Fault(
        "one pixel in a third of the events",
        nan_chain(with_nan(A_THIRD, 3)),
        told_and_only_pixel(3),
    ),
    Fault(
        "one pixel in a third of the events, listed as bad",
        nan_chain(with_nan(A_THIRD, 3), bad=[3]),
        only_pixel(3, ChargeStatus.MASKED),
    ),
    Fault(
        "everything",
        nan_chain(with_nan()),
        lambda result: stops(result, "NaN|not finite|no number"),
    ),
    Fault(
        "all of the darker run",
        nan_chain(with_nan(runs=[0])),
        lambda result: stops(result, "NaN|not finite|no number"),
    ),
)


@pytest.mark.parametrize("fault", C1)
def test_samples_that_are_no_number(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C2: truth that is missing --------------------------------------------------------------------

SIMULATION = {"charge_resolution": {"convention": "simulation", "pde": PDE}}
SCAN_PE = 30.0


def scan_with_truth(change, changes=SIMULATION, dtype=np.int32):
    """The usual runs, and a scan of one run whose truth `change` spoils; None for no truth."""

    def make(folder):
        true = photoelectrons(SCAN_PE, n_flashes=N_EVENTS_SCAN).astype(dtype)
        true = change(true)
        own = {} if true is None else {"true_pe": true}
        scan = Run("scan", SCAN_PE, flashes(SCAN_PE, n_flashes=N_EVENTS_SCAN), own)
        return run_chain(folder, two_runs(), [scan], changes=changes)

    return make


def put(value, where):
    def change(true):
        true[where] = value
        return true

    return change


def right_resolution(result, tolerance=0.002):
    """That of the run with its whole truth; where half of it is known its error is 0.0006."""
    ends(result)
    (row,) = result.camera
    assert row["RESOLUTION"] == pytest.approx(0.1998, abs=tolerance)


def right_or_none(result):
    """The right value over what is known, or a clear refusal."""
    if result.error:
        stops(result, "true_pe|true photoelectrons")
    else:
        right_resolution(result)


HALF = np.arange(N_EVENTS_SCAN) % 2 == 0
FEW = np.arange(N_EVENTS_SCAN) % 20 == 0
C2 = rows(
    Fault("all known", scan_with_truth(lambda true: true), right_resolution),
    Fault(
        "no dataset",
        scan_with_truth(lambda true: None),
        lambda result: stops(result, "no true photoelectrons"),
    ),
    Fault(
        "NaN, as float",
        scan_with_truth(put(np.nan, HALF), dtype=np.float32),
        right_or_none,
    ),
    Fault("-1 in every 20th event", scan_with_truth(put(-1, FEW)), right_or_none),
    Fault("-1 in every second event", scan_with_truth(put(-1, HALF)), right_or_none),
    Fault("-1 in one event", scan_with_truth(put(-1, 5)), right_or_none),
    Fault(
        "-1 in one pixel",
        scan_with_truth(put(-1, (slice(None), 3))),
        right_or_none,
    ),
    Fault(
        "-1 throughout",
        scan_with_truth(put(-1, slice(None))),
        lambda result: stops(result, "no true photoelectrons"),
    ),
    Fault(
        "-1 throughout, in the lab convention",
        scan_with_truth(put(-1, slice(None)), {"charge_resolution": {"pde": PDE}}),
        lambda result: right_resolution(result, 0.008),  # the light fluctuates, too
    ),
)


@pytest.mark.parametrize("fault", C2)
def test_truth_that_is_missing(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C3: events of other types --------------------------------------------------------------------


def typed(share, with_types, number=2, report=False):
    """Pedestals among the flashes; where types are given, the flashes are of type 1."""

    def make(folder):
        runs = []
        for name, light in zip(("dark", "light"), LIGHTS, strict=True):
            waveforms, dark = with_pedestals(flashes(light), share, seed=len(name))
            types = np.where(dark, number, 1).astype(np.uint8)
            runs.append(Run(name, light, waveforms, {"event_types": types} if with_types else {}))
        return run_chain(folder, runs, report=report)

    return make


def left_out(share):
    """The pedestals are left out, counted, and the rest is right."""

    def check(result):
        most_are_good(result)
        for name in ("dark", "light"):
            header = result.header(name)
            assert header["NREAD"] - header["NUSED"] == round(share * N_FLASHES)

    return check


def mixture_is_told(result):
    ends(result)
    says(result, r"without light|pedestal events|mixture|flash[- ]to[- ]flash|fluctuat|jitter")


SHARES = (0.1, 0.3, 0.5)
C3 = rows(
    *(
        Fault(f"{share:.0%} pedestals with types", typed(share, True), left_out(share))
        for share in SHARES
    ),
    Fault("dark pedestals (3)", typed(0.3, True, 3), left_out(0.3)),
    Fault("electronic pedestals (4)", typed(0.3, True, 4), left_out(0.3)),
    Fault("types, all flashes", typed(0.0, True), most_are_good),
    *(
        Fault(
            f"{share:.0%} pedestals without types",
            typed(share, False, report=True),
            mixture_is_told,
        )
        for share in (0.05, 0.1, 0.3, 0.5)
    ),
)


@pytest.mark.parametrize("fault", C3)
def test_pedestals_among_the_flashes(fault, tmp_path):
    fault.check(fault.make(tmp_path))


def kinds(*names):
    """Events of these types, cyclically, as ctapipe gives them."""

    def make(folder):
        data = flashes(2.0, n_flashes=40)
        events = [event(own, n, kind=names[n % len(names)]) for n, own in enumerate(data)]
        return convert(folder, events)

    return make


def used_events(number):
    """So many of 40 events are used: the others are flagged, or absent, or of another type."""

    def check(result):
        ends(result)
        with h5py.File(result.paths["run"]) as file:
            usable = file["event_flags"][()] == 0
            if "event_types" in file:
                usable &= ~np.isin(file["event_types"][()], [2, 3, 4, 5])
        assert usable.sum() == number

    return check


C3_SOURCE = rows(
    Fault("flat-field events", kinds("FLATFIELD"), used_events(40)),
    Fault("single photoelectrons", kinds("SINGLE_PE"), used_events(40)),
    Fault("types that are not known", kinds("UNKNOWN"), used_events(40)),
    Fault("triggers of the array", kinds("SUBARRAY"), used_events(40)),
    *(
        Fault(f"every second one {kind.lower()}", kinds("FLATFIELD", kind), used_events(20))
        for kind in ("PEDESTAL", "SKY_PEDESTAL", "DARK_PEDESTAL")
    ),
)


@pytest.mark.parametrize("fault", C3_SOURCE)
def test_types_of_events_that_ctapipe_reads(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C4: gains ------------------------------------------------------------------------------------


def two_gains(n=12):
    """Events with the gain channels high and low, (2, pixel, sample); low is a tenth."""
    high = flashes(2.0, n_flashes=n)
    low = 300 + (high.astype(int) - 300) // 10
    return np.stack([high, low.astype(np.uint16)], axis=1)


def gains(events, **params):
    """The rule on these events, which `events` makes of those with two gains."""
    return lambda folder: convert(folder, events(two_gains()), **params)


def single_among(channel, level="r0"):
    """Every third event has only one gain channel, and says which for each pixel."""

    def events(data):
        selected = np.full(N_PIXELS, channel)
        return [
            event(own[channel : channel + 1], n, level, channel=selected)
            if n % 3 == 1
            else event(own, n, level)
            for n, own in enumerate(data)
        ]

    return events


def selected_per_pixel(data):
    """Half of the pixels of an event have the high gain, the others the low one."""
    chosen = np.arange(N_PIXELS) % 2
    mixed = [np.where(chosen[:, None] == 0, own[0], own[1])[None] for own in data]
    return [event(own, n, "r1", channel=chosen) for n, own in enumerate(mixed)]


def selected_now_and_then(data):
    """As `selected_per_pixel`, in the later half of the events only; all high before."""
    events = []
    for n, own in enumerate(data):
        chosen = np.arange(N_PIXELS) % 2 * (n >= 6)
        mixed = np.where(chosen[:, None] == 0, own[0], own[1])[None]
        events.append(event(mixed, n, "r1", channel=chosen))
    return events


def of_gain(channel, least=1):
    """Every event and pixel that is used has this gain; or the run is refused for its gains."""

    def check(result):
        if result.error:
            stops(result, "gain")
            return
        expected = two_gains()[:, channel]
        with h5py.File(result.paths["run"]) as file:
            data, flags = file["waveforms"][()], file["event_flags"][()]
            ids = file["event_ids"][()]
        assert (flags == 0).sum() >= least
        for own, flag, number in zip(data, flags, ids, strict=True):
            same = (own == expected[number]).all(axis=1) | ~np.isfinite(own.astype(float)).all(1)
            assert flag or same.all(), f"event {number}: {(~same).sum()} pixels of the other gain"

    return check


def two_then_one(data):
    return [event(own if n < 6 else own[:1], n) for n, own in enumerate(data)]


def one_then_two(data):
    return [event(own[1:] if n < 6 else own, n) for n, own in enumerate(data)]


C4 = rows(
    Fault(
        "two gains throughout, the low one wanted",
        gains(lambda data: [event(own, n) for n, own in enumerate(data)], gain_channel=1),
        of_gain(1, 12),
    ),
    Fault(
        "single-gain events of the wanted high gain",
        gains(single_among(0), gain_channel=0),
        of_gain(0, 8),
    ),
    Fault(
        "single-gain events of the low gain, the high one wanted",
        gains(single_among(1), gain_channel=0),
        of_gain(0, 8),
    ),
    Fault(
        "single-gain events of the low gain, the low one wanted",
        gains(single_among(1), gain_channel=1),
        of_gain(1, 8),
    ),
    Fault(
        "calibrated single-gain events of the low gain, the high one wanted",
        gains(single_among(1, "r1"), gain_channel=0),
        of_gain(0, 8),
    ),
    Fault(
        "a gain selected for each pixel, none named",
        gains(selected_per_pixel),
        lambda result: stops(result, "gain"),
    ),
    Fault(
        "a gain selected for each pixel, the high one wanted",
        gains(selected_per_pixel, gain_channel=0),
        of_gain(0, 0),
    ),
    Fault(
        "a gain selected for each pixel, later in the run",
        gains(selected_now_and_then),
        of_gain(0, 6),
    ),
    Fault(
        "one gain first, then two, none named",
        gains(one_then_two),
        lambda result: stops(result, "gain"),
    ),
    Fault(
        "two gains first, then one that is not named, the high one wanted",
        gains(two_then_one, gain_channel=0),
        of_gain(0, 6),
    ),
)


@pytest.mark.parametrize("fault", C4)
def test_gains(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- C5: pixels -----------------------------------------------------------------------------------


def missing_rows(absent, **own):
    """ctapipe events whose waveforms lack the rows of some pixels of the camera."""

    def make(folder):
        kept = np.setdiff1d(np.arange(N_PIXELS), absent)
        data = flashes(2.0, n_flashes=10)[:, kept]
        return convert(folder, [event(each, n) for n, each in enumerate(data)], **own)

    return make


def refused_for_pixels(result):
    stops(result, r"\b(15|12|16)\b", "pixel")


def numbered(result):
    ends(result)
    with h5py.File(result.paths["run"]) as file:
        assert file["pixels"][()].tolist() == np.arange(N_PIXELS)[::-1].tolist()


def twice(folder):
    data = flashes(2.0, n_flashes=10)
    ids = np.arange(N_PIXELS)
    ids[5] = 4
    return convert(folder, [event(own, n) for n, own in enumerate(data)], pix_id=ids)


def reversed_ids(folder):
    data = flashes(2.0, n_flashes=10)
    ids = np.arange(N_PIXELS)[::-1]
    return convert(folder, [event(own, n) for n, own in enumerate(data)], pix_id=ids)


C5_SOURCE = rows(
    Fault("numbers of the camera in another order", reversed_ids, numbered),
    Fault(
        "one pixel missing in every event",
        missing_rows([3]),
        refused_for_pixels,
    ),
    Fault(
        "four pixels missing in every event",
        missing_rows([0, 3, 8, 15]),
        refused_for_pixels,
    ),
    Fault(
        "a number twice in the camera",
        twice,
        lambda result: stops(result, "pixel 4|twice"),
    ),
)


@pytest.mark.parametrize("fault", C5_SOURCE)
def test_pixels_that_ctapipe_reads(fault, tmp_path):
    fault.check(fault.make(tmp_path))


def gain_by_pixel(waveforms):
    """Pixel i has the gain 1 + i / 50: a shift by one shows in PE."""
    gain = 1 + np.arange(N_PIXELS)[None, :, None] / 50
    return np.rint(300 + (waveforms.astype(float) - 300) * gain).astype(np.uint16)


def ordered(order=None, absent=(), bad=(), only=(0, 1)):
    """Rows in another order, or some missing, with the numbers that belong to them."""

    def make(folder):
        runs = []
        for number, (name, light) in enumerate(zip(("dark", "light"), LIGHTS, strict=True)):
            kept = np.arange(N_PIXELS) if order is None else np.asarray(order)
            if number in only:
                kept = kept[~np.isin(kept, absent)]
            waveforms = gain_by_pixel(flashes(light))[:, kept]
            runs.append(Run(name, light, waveforms, {"pixels": kept}))
        return run_chain(folder, runs, bad_pixels=bad)

    return make


def gains_are_right(but=()):
    def check(result):
        ends(result)
        table = result.spe
        pixel = np.asarray(table["PIXEL"])
        for number in but:
            assert status_of(result, number) != 0
        known = ~np.isin(pixel, but)
        pull = (table["PE"] / (30 * (1 + pixel / 50)) - 1)[known]
        assert (np.abs(pull) < 0.04).all()

    return check


def told_or_right(absent):
    """A pixel that a run lacks is named in one line, or has a STATUS and the others are right."""

    def check(result):
        if result.error:
            stops(result, rf"lacks pixel {absent}\b")
        else:
            gains_are_right([absent])(result)

    return check


C5 = rows(
    Fault("rows in another order", ordered(np.arange(N_PIXELS)[::-1]), gains_are_right()),
    Fault("a row missing", ordered(absent=[3]), told_or_right(3)),
    Fault("a row missing in the darker run", ordered(absent=[3], only=[0]), told_or_right(3)),
    Fault(
        "a row missing, its pixel listed as bad",
        ordered(absent=[3], bad=[3]),
        gains_are_right([3]),
    ),
    Fault(
        "a row missing in the darker run, its pixel listed as bad",
        ordered(absent=[3], bad=[3], only=[0]),
        gains_are_right([3]),
    ),
)


@pytest.mark.parametrize("fault", C5)
def test_pixels_of_the_open_layout(fault, tmp_path):
    fault.check(fault.make(tmp_path))


# --- pixel status of the source -------------------------------------------------------------------


def events_with_status(status, number=1):
    """Events of a run (event, pixel, sample) whose pixels have a status (event, pixel)."""
    waveforms = flashes(LIGHTS[number])
    return [
        event(data, number=i, status=row)
        for i, (data, row) in enumerate(zip(waveforms, status, strict=True))
    ]


def test_pixels_that_do_not_work_are_left_out_and_named(tmp_path):
    """One in all events, one in a tenth of them; a third spoils two events."""
    status = np.full((N_FLASHES, N_PIXELS), 4, np.uint8)
    status[:, 3] = 0
    status[::10, 8] = 1
    status[[5, 77], 11] = 0
    runs = []
    for number, name in enumerate(("dark", "light")):
        (tmp_path / name).mkdir()
        made = convert(tmp_path / name, events_with_status(status, number))
        says(made, "pixel 3, 8 does not work", r"\(2 such pixels\)", f"in 2 of {N_FLASHES} events")
        runs.append(Run(name, LIGHTS[number], made.paths["run"]))
    result = run_chain(tmp_path, runs)
    most_are_good(result, but=(3, 8))
    for pixel in (3, 8):
        assert status_of(result, pixel) & ChargeStatus.TOO_FEW
        assert np.ma.is_masked(result.spe["PE"][pixel])  # NaN
    assert result.header("light")["NOTHER"] == 2


def test_a_pixel_that_fails_in_one_run_has_no_valid_fit(tmp_path):
    status = np.full((N_FLASHES, N_PIXELS), 12, np.uint8)
    status[:, 5] = 0
    made = convert(tmp_path, events_with_status(status, 0))
    runs = [Run("dark", LIGHTS[0], made.paths["run"]), Run("light", LIGHTS[1], flashes(LIGHTS[1]))]
    result = run_chain(tmp_path, runs)
    most_are_good(result, but=(5,))
    assert status_of(result, 5) & ChargeStatus.TOO_FEW


def test_a_source_that_has_no_status_says_nothing(tmp_path):
    made = convert(tmp_path, events_with_status(np.zeros((N_FLASHES, N_PIXELS), np.uint8)))
    assert "does not work" not in made.said
    with open_run(made.paths["run"]) as run:
        assert run.properties.failing is None
