"""Charges against numpy, peaks, and the files of both."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from helpers.sstcam_runs import samples, write_run
from scipy.stats import norm

from pixelcal.charge.extraction.charges import (
    Charges,
    Window,
    charge_step,
    extract_charges,
    first_samples,
    outside_waveform,
    piled_up,
)
from pixelcal.charge.extraction.checks import check_same_kind, rows_of
from pixelcal.charge.extraction.io import (
    SATURATED_FRACTION,
    charge_hdus,
    peak_hdus,
    read_charges,
    read_peaks,
)
from pixelcal.charge.extraction.peaks import MeanWaveform, Peaks, find_peaks
from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.charge.runs.waveforms import Block
from pixelcal.errors import InputError
from pixelcal.io.tables import write_fits

WINDOWS = [Window(16, 6), Window(1, 0), Window(40, 20), Window(16, 6, 16), Window(12, 5, 10)]


def block_of(waveforms, flags=None, true_pe=None):
    n = len(waveforms)
    flags = np.zeros(n, np.uint8) if flags is None else np.asarray(flags, np.uint8)
    return Block(waveforms, np.arange(n) + 7, flags, true_pe)


def peaks_at(peak):
    peak = np.asarray(peak)
    nothing = np.zeros(len(peak), bool)
    return Peaks(np.arange(len(peak)), peak, nothing, nothing, np.zeros((len(peak), 40)))


def by_numpy(waveforms, peak, window):
    """Charges (n_pixels, n_events), rolling each waveform as the original does."""
    out = np.empty((waveforms.shape[1], len(waveforms)))
    for event, data in enumerate(waveforms.astype(np.float64)):
        for pixel, wave in enumerate(data):
            if window.baseline_samples:
                wave = wave - wave[: window.baseline_samples].mean()
            rolled = np.roll(wave, window.window_shift - peak[pixel])
            out[pixel, event] = rolled[: window.window].sum()
    return out


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8, np.float32])
def test_charges_are_those_of_numpy(window, dtype):
    waveforms = samples(n_events=9, dtype=np.uint16) - 250
    waveforms = waveforms.astype(dtype)
    peak = [20, 20, 20, 20, 20] if window.window == 40 else [18, 19, 20, 21, 23]
    first = first_samples(peaks_at(peak), 40, window)
    made = extract_charges([block_of(waveforms)], np.arange(5), first, window, np.ones(5, bool))
    expected = by_numpy(waveforms, peak, window)
    step = charge_step(waveforms.dtype, window)
    if dtype is np.float32:
        assert step == 0.0 and made.charges.dtype == np.float32
        assert np.allclose(made.charges, expected, rtol=1e-6, atol=1e-4)
    else:
        assert made.charges.dtype == np.int32
        assert np.allclose(made.charges * step, expected, rtol=0, atol=1e-9)


def test_the_step_is_the_smallest_difference_of_charges():
    assert charge_step(np.uint16, Window(16, 6)) == 1.0
    assert charge_step(np.uint16, Window(16, 6, 16)) == 1.0
    assert charge_step(np.uint16, Window(16, 6, 12)) == pytest.approx(4 / 12)
    assert charge_step(np.uint16, Window(12, 6, 7)) == pytest.approx(1 / 7)


def test_the_largest_charges_fit():
    waveforms = np.full((2, 1, 1024), 65535, np.uint16)
    waveforms[:, :, :31] = 0
    window = Window(900, 0, 31)
    first = first_samples(peaks_at([100]), 1024, window)
    made = extract_charges([block_of(waveforms)], np.arange(1), first, window, np.ones(1, bool))
    assert made.charges.tolist() == [[31 * 900 * 65535] * 2]


def test_charges_that_32_bits_do_not_hold():
    waveforms = np.full((2, 1, 1024), 65535, np.uint16)
    waveforms[:, :, :512] = 0
    window = Window(511, 0, 512)
    first = first_samples(peaks_at([513]), 1024, window)
    with pytest.raises(InputError, match="more steps than 32 bits hold"):
        extract_charges([block_of(waveforms)], np.arange(1), first, window, np.ones(1, bool))


def test_bad_events_are_left_out_and_counted_once_each():
    waveforms = samples(n_events=8)
    truth = np.arange(40).reshape(8, 5)
    flags = [0, 1, 2, 3, 4, 0, 6, 0]
    window, rows = Window(16, 6), np.array([4, 0])
    first = first_samples(peaks_at([20, 20]), 40, window)
    blocks = [block_of(waveforms, flags, truth)]
    made = extract_charges(blocks, rows, first, window, np.ones(2, bool))
    assert made.event_id.tolist() == [7, 12, 14] and made.n_read == 8
    assert {name: n for name, n in made.bad.items() if n} == {
        "stale": 2, "incomplete": 2, "other": 1,
    }  # fmt: skip
    assert made.true_pe.tolist() == [[4, 29, 39], [0, 25, 35]]
    expected = by_numpy(waveforms[[0, 5, 7]][:, rows], [20, 20], window)
    assert np.array_equal(made.charges, expected)


def test_an_event_with_a_sample_that_is_no_number_is_bad():
    waveforms = samples(n_events=4, dtype=np.float32)
    waveforms[1, 2, 20] = np.nan
    waveforms[2, 2, 0] = np.inf  # outside of the window
    waveforms[:, 4] = np.nan  # a pixel that never has any
    live = np.array([True, True, True, True, False])
    window = Window(16, 6)
    first = first_samples(peaks_at([20] * 5), 40, window)
    made = extract_charges([block_of(waveforms)], np.arange(5), first, window, live)
    assert made.event_id.tolist() == [7, 9, 10] and made.bad["other"] == 1


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("baseline_samples", [0, 10])
def test_flashes_at_an_end_of_the_adc_are_counted(dtype, baseline_samples):
    """Against numpy; samples outside of the window and of the baseline do not count."""
    rng = np.random.default_rng(4)
    waveforms = rng.integers(0, 4096, (200, 5, 40)).astype(dtype)
    waveforms[rng.random(waveforms.shape) > 0.01] = 2000
    waveforms[rng.random(waveforms.shape) < 0.02] = 4095
    waveforms[rng.random(waveforms.shape) < 0.01] = 0
    flags = (np.arange(200) % 7 == 0).astype(np.uint8)
    window, peak = Window(16, 6, baseline_samples), [18, 19, 20, 21, 23]
    first = first_samples(peaks_at(peak), 40, window)
    blocks = [block_of(waveforms[:90], flags[:90]), block_of(waveforms[90:], flags[90:])]
    arguments = np.arange(5), first, window, np.ones(5, bool)
    made = extract_charges(blocks, *arguments, adc_range=(0.0, 4095.0))
    at_end = (waveforms <= 0) | (waveforms >= 4095)
    expected = [
        (at_end[:, i, f : f + 16].any(axis=1) | at_end[:, i, :baseline_samples].any(axis=1))
        & (flags == 0)
        for i, f in enumerate(first)
    ]
    assert made.clipped.tolist() == [flags.sum() for flags in expected]
    assert 20 < made.clipped.min() < made.clipped.max() < 150
    without = extract_charges(blocks, *arguments)
    assert np.array_equal(without.charges, made.charges)
    at_top = [  # no range: many flashes at the highest value, and few below it
        ((waveforms >= 4095)[:, i, f : f + 16].any(axis=1) & (flags == 0)).sum()
        for i, f in enumerate(first)
    ]
    assert without.clipped.tolist() == at_top


def test_an_event_that_became_bad_is_not_among_those_clipped():
    waveforms = samples(n_events=4, dtype=np.float32)
    waveforms[:2, 0, 20] = 4095.0
    waveforms[1, 2, 20] = np.nan
    window = Window(16, 6)
    first = first_samples(peaks_at([20] * 5), 40, window)
    arguments = np.arange(5), first, window, np.ones(5, bool)
    made = extract_charges([block_of(waveforms)], *arguments, adc_range=(0.0, 4095.0))
    assert made.clipped.tolist() == [1, 0, 0, 0, 0] and made.n_read == 4


@pytest.mark.parametrize("lowest_step", [1, 7])
def test_flashes_that_pile_up_at_the_highest_sample(lowest_step):
    """Cut off they stand at one value; a tail that ends by itself has few there."""
    rng = np.random.default_rng(6)
    highest = 300 + lowest_step * np.rint(rng.exponential(12, (20, 3000))).astype(int)
    assert piled_up(highest) is None
    end = 300 + lowest_step * 45  # 2 % lie beyond
    cut = np.minimum(highest, end)
    assert piled_up(cut).tolist() == (highest >= end).sum(axis=1).tolist()
    one = highest.copy()
    one[3] = cut[3]
    assert np.flatnonzero(piled_up(one) >= 0).tolist() == [3]
    quiet = np.where(rng.random((20, 3000)) < 0.5, 300, 301)  # the noise of a coarse ADC
    assert piled_up(quiet) is None


def test_windows_of_a_few_pixels_that_do_not_fit():
    """They are moved inside and named; of more than a fifth the window is at fault."""
    peaks = peaks_at([20] * 9 + [2])
    first = first_samples(peaks, 40, Window(16, 6))
    assert first.tolist() == [14] * 9 + [0]
    assert np.flatnonzero(outside_waveform(peaks, 40, Window(16, 6))).tolist() == [9]


@pytest.mark.parametrize(
    ("window", "peak", "said"),
    [
        (Window(41, 0), 20, "window: 41 samples are asked for, but a waveform has 40"),
        (Window(16, 6, 41), 20, "baseline_samples: 41 are asked for, but a waveform has 40"),
        (Window(16, 6), 5, r"the window of pixel 1, samples -1 to 14, is not inside"),
        (Window(16, 6), 31, r"samples 25 to 40, is not inside .* \(1 such pixels\)"),
    ],
)
def test_windows_that_do_not_fit(window, peak, said):
    with pytest.raises(InputError, match=said):
        first_samples(peaks_at([20, peak]), 40, window)


# --- peaks ----------------------------------------------------------------------------------------


def test_the_mean_waveform_is_that_of_the_good_events():
    waveforms = samples(n_events=30)
    flags = np.arange(30) % 5 == 3
    expected = waveforms[~flags][:, [3, 1]].mean(axis=0)
    means = []
    for size in (1, 7, 30):
        mean = MeanWaveform(2, 40)
        for first in range(0, 30, size):
            rows = slice(first, first + size)
            mean.add(block_of(waveforms[rows], flags[rows]), np.array([3, 1]))
        means.append(mean.mean())
        assert np.array_equal(mean.flags, flags)
    assert np.allclose(means[0], expected, rtol=1e-12)
    assert np.array_equal(means[0], means[1]) and np.array_equal(means[0], means[2])


def test_a_waveform_with_no_number_does_not_count():
    waveforms = samples(n_events=3, dtype=np.float32)
    waveforms[1, 0, 3] = np.nan
    waveforms[:, 1, 5] = np.inf
    mean = MeanWaveform(5, 40)
    mean.add(block_of(waveforms), np.arange(5))
    assert np.allclose(mean.mean()[0], waveforms[[0, 2], 0].mean(axis=0))
    assert np.isnan(mean.mean()[1]).all()


def pulses(amplitudes, peaks, n_samples=60):
    time = np.arange(n_samples)
    shape = np.exp(-0.5 * ((time - np.asarray(peaks)[:, None]) / 4.0) ** 2)
    return 300 + np.asarray(amplitudes)[:, None] * shape


def test_each_pixel_has_its_own_peak_and_a_dead_one_that_of_the_camera():
    mean = pulses([10, 11, 9, 0.1, 10], [20, 24, 21, 50, 22])
    peaks = find_peaks(np.arange(5), mean, time_skew=True, solo_pixels=False)
    assert peaks.peak.tolist() == [20, 24, 21, 21, 22]
    assert peaks.dead.tolist() == [False, False, False, True, False]
    common = find_peaks(np.arange(5), mean, time_skew=False, solo_pixels=False)
    assert common.peak.tolist() == [21] * 5 and not common.off.any()


def test_a_pixel_without_any_mean_is_dead():
    mean = pulses([10, 11, 9], [20, 20, 20])
    mean[1] = np.nan
    peaks = find_peaks(np.arange(3), mean, time_skew=True, solo_pixels=False)
    assert peaks.dead.tolist() == [False, True, False]


def test_solo_pixels():
    """One pixel in 16 is on; crosstalk shows a little of it in the others, and one is hot."""
    amplitude = np.full(64, 0.8)
    amplitude[::16] = [10, 12, 9, 11]
    amplitude[5] = 60.0
    peaks = find_peaks(
        np.arange(64), pulses(amplitude, [20] * 64), time_skew=True, solo_pixels=True
    )
    assert np.flatnonzero(peaks.live).tolist() == [0, 5, 16, 32, 48] and not peaks.dead.any()


def test_no_pulse_anywhere():
    with pytest.raises(InputError, match="no pixel has a pulse"):
        find_peaks(np.arange(2), np.full((2, 40), 300.0), time_skew=True, solo_pixels=False)


# --- files ----------------------------------------------------------------------------------------


def two_peaks():
    mean = pulses([10, 11], [20, 24])
    return find_peaks(np.array([3, 8]), mean, time_skew=True, solo_pixels=False)


def test_peaks_are_read_as_they_were_written(tmp_path):
    mean = pulses([10, 11, 0, 10], [20, 24, 21, 22])
    peaks = find_peaks(np.array([3, 8, 9, 2047]), mean, time_skew=True, solo_pixels=False)
    write_fits(tmp_path / "peaks.fits", peak_hdus(peaks, [("RUNNAME", "a", "")]))
    found, header = read_peaks(tmp_path / "peaks.fits")
    for name in ("pixel", "peak", "dead", "off"):
        assert np.array_equal(getattr(found, name), getattr(peaks, name))
    assert np.allclose(found.mean_waveform, mean, rtol=1e-6) and header["RUNNAME"] == "a"


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("brightest", [None, 100, 40000])
def test_charges_are_read_as_they_were_written(tmp_path, whole, brightest):
    peaks = find_peaks(
        np.array([3, 8]), pulses([10, 11], [20, 24]), time_skew=True, solo_pixels=False
    )
    values = np.array([[100, -3, 2**30], [0, 1, 2]])
    charges = Charges(
        values.astype(np.int32) if whole else values.astype(np.float32) / 7,
        np.array([4, 5, 2**40]),
        None if brightest is None else np.array([[0, 1, brightest], [2, 3, 4]]),
        5,
        {"stale": 1, "incomplete": 0, "other": 1},
    )
    step = 0.25 if whole else 0.0
    path = tmp_path / "run.fits"
    write_fits(path, charge_hdus(charges, peaks, step, [("WINDOW", 16, "samples summed")]))
    found = read_charges(path)
    assert np.array_equal(found.charges, charges.charges) and found.charges.dtype.isnative
    assert np.allclose(found.charges * (found.step or 1.0), values * 0.25 if whole else values / 7)
    assert found.step == step and found.pixel.tolist() == [3, 8] and found.peak.tolist() == [20, 24]
    assert found.event_id.tolist() == [4, 5, 2**40]
    if brightest is None:
        assert found.true_pe is None
    else:
        assert np.array_equal(found.true_pe, charges.true_pe)
    header = found.header
    assert [header[name] for name in ("NREAD", "NUSED", "NSTALE", "NOTHER", "WINDOW")] == [
        5, 3, 1, 1, 16,
    ]  # fmt: skip


def test_a_pixel_saturates_where_more_than_a_thousandth_of_its_flashes_do(tmp_path):
    peaks = peaks_at([20, 20, 20])
    none = {"stale": 0, "incomplete": 0, "other": 0}
    charges = Charges(np.zeros((3, 2000), np.int32), np.arange(2000), None, 2000, none)
    path = tmp_path / "run.fits"
    write_fits(path, charge_hdus(charges, peaks, 1.0))
    found = read_charges(path)
    assert found.clipped.tolist() == [-1, -1, -1] and not found.saturated.any()
    charges = replace(charges, clipped=np.array([0, 2, 3]))
    write_fits(path, charge_hdus(charges, peaks, 1.0))
    assert read_charges(path).saturated.tolist() == [False, False, True]


def test_what_is_lost_below_the_share_of_saturation():
    """Normal charges without their highest share lose 0.1 % of the standard deviation."""
    z = norm.isf(SATURATED_FRACTION)
    x = np.linspace(-9.0, 9.0, 400_001)
    weight = norm.pdf(x) * (x[1] - x[0])
    cut = np.minimum(x, z)
    sigma = np.sqrt((weight * cut**2).sum() - (weight * cut).sum() ** 2)
    assert 0.0005 < 1 - sigma < 0.0015


def test_a_file_of_charges_that_was_changed_is_noticed(tmp_path):
    peaks = find_peaks(
        np.array([3, 8]), pulses([10, 11], [20, 24]), time_skew=True, solo_pixels=False
    )
    none = {"stale": 0, "incomplete": 0, "other": 0}
    charges = Charges(np.zeros((2, 2000), np.int32), np.arange(2000), None, 2000, none)
    path = tmp_path / "run.fits"
    write_fits(path, charge_hdus(charges, peaks, 1.0))
    with fits.open(path) as hdus:
        place = hdus["CHARGES"].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="DATASUM|is not a whole FITS file"):
        read_charges(path)
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["CHARGES", "PIXELS", "EVENTS"]


def test_charges_do_not_depend_on_the_blocks(tmp_path):
    path = write_run(tmp_path / "run.h5", samples(n_events=50), chunks=(3, 5, 40))
    peaks, window = peaks_at([20] * 5), Window(16, 6, 10)
    sums = set()
    for size in (1, 9000, 10**9):
        with open_run(path) as run:
            rows, first = rows_of(run, peaks.pixel), first_samples(peaks, 40, window)
            blocks = run.blocks(block_bytes=size)
            charges = extract_charges(blocks, rows, first, window, peaks.live)
        write_fits(tmp_path / "run.fits", charge_hdus(charges, peaks, 0.2))
        sums.add(hashlib.sha256((tmp_path / "run.fits").read_bytes()).hexdigest())
    assert len(sums) == 1


def test_rows_of_the_chosen_pixels(tmp_path):
    with open_run(write_run(tmp_path / "run.h5", pixels=np.array([9, 3, 4, 0, 7]))) as run:
        assert rows_of(run, np.array([0, 4, 9])).tolist() == [3, 2, 0]
        with pytest.raises(InputError, match=r"lacks pixel 1 \(2 of the 3 that sstcam.pixels"):
            rows_of(run, np.array([0, 1, 10]))


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("NSAMPLES", 128, "samples of a waveform is 40, but 128"),
        ("UNITSAMP", "mV", "unit of samples is adu, but mV"),
        ("SAMPLENS", 2.0, "ns between samples is 1.0, but 2.0"),
    ],
)
def test_runs_of_different_kinds(tmp_path, keyword, value, said):
    header = {"NSAMPLES": 40, "UNITSAMP": "adu", "SAMPLENS": 1.0, "RUNNAME": "a"}
    with open_run(write_run(tmp_path / "run.h5")) as run:
        check_same_kind(run, header)
        with pytest.raises(InputError, match=said):
            check_same_kind(run, header | {keyword: value})
