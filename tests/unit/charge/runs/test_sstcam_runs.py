"""The open layout, the tables of runs, and the simulated flashes against closed forms."""

import hashlib
import subprocess
import sys

import h5py
import numpy as np
import pytest
from helpers.paths import PROJECT
from helpers.sstcam_runs import SIMULATION, samples, table, write_run

from pixelcal.charge.extraction.charges import Window, extract_charges, first_samples
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.charge.runs.hdf5_names import root_names
from pixelcal.charge.runs.pixel_map import chosen_pixels, read_pixel_map
from pixelcal.charge.runs.run_table import read_run_table, run_table, simulated_runs
from pixelcal.charge.runs.run_writer import RunWriter
from pixelcal.charge.runs.waveforms import Block, RunProperties, count_reasons
from pixelcal.charge.simulation.flashes import Light, flash_blocks, make_pixels, make_pulse
from pixelcal.charge.simulation.truth import true_parameters
from pixelcal.errors import InputError


def properties(waveforms, **changes):
    return RunProperties(
        **{
            "pixel": np.arange(waveforms.shape[1], dtype=np.int32),
            "n_samples": waveforms.shape[2],
            "dtype": waveforms.dtype,
            "unit": "adu",
            "sample_ns": 1.0,
        }
        | changes
    )


# --- the open layout ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u2", "i2", "i4", ">u2", "f4"])
def test_a_run_is_read_as_it_was_written(tmp_path, dtype):
    expected = samples(dtype=dtype)
    pixels = np.array([9, 3, 4, 0, 2047])
    path = write_run(
        tmp_path / "run.h5",
        expected,
        pixels=pixels,
        sample_ns=0.5,
        event_ids=np.arange(6) * 10,
        event_flags=np.array([0, 1, 0, 2, 3, 4], np.uint8),
        true_pe=np.arange(30).reshape(6, 5),
    )
    with open_run(path) as run:
        blocks = list(run.blocks(block_bytes=1))
        found = run.properties
        assert run.n_events == 6
    assert (found.n_samples, found.unit, found.sample_ns) == (40, "adu", 0.5)
    assert found.dtype == np.dtype(dtype).newbyteorder("=") and blocks[0].waveforms.dtype.isnative
    assert np.array_equal(found.pixel, pixels)
    assert np.array_equal(np.concatenate([b.waveforms for b in blocks]), expected)
    assert np.concatenate([b.event_id for b in blocks]).tolist() == [0, 10, 20, 30, 40, 50]
    assert np.array_equal(np.concatenate([b.true_pe for b in blocks]).ravel(), np.arange(30))
    assert count_reasons(np.concatenate([b.flags for b in blocks])) == {
        "stale": 2,
        "incomplete": 1,
        "other": 1,
        "empty": 0,
        "type": 0,
        "gain": 0,
    }


def test_what_is_not_in_the_file_is_counted_or_unknown(tmp_path):
    with open_run(write_run(tmp_path / "run.h5", sample_ns=None)) as run:
        (block,) = run.blocks()
        assert run.properties.sample_ns == 1.0
    assert block.event_id.tolist() == list(range(6)) and not block.flags.any()
    assert block.true_pe is None


def test_blocks_are_whole_chunks(tmp_path):
    waveforms = samples(n_events=11)
    with open_run(write_run(tmp_path / "run.h5", waveforms, chunks=(3, 5, 40))) as run:
        sizes = [len(block.flags) for block in run.blocks(block_bytes=7 * waveforms[0].nbytes)]
        assert sizes == [6, 5]
        assert [len(b.flags) for b in run.blocks(max_events=4, block_bytes=1)] == [3, 1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"adc_min": -5}, None),
        ({"adc_max": 4095}, (0.0, 4095.0)),
        ({"adc_min": np.int16(-2048), "adc_max": np.float32(2047)}, (-2048.0, 2047.0)),
    ],
)
def test_the_range_of_the_adc(tmp_path, given, expected):
    with open_run(write_run(tmp_path / "run.h5", adc=given)) as run:
        (block,), found = run.blocks(), run.properties
        assert found.adc_range == expected
    with RunWriter(tmp_path / "copy.h5", found, with_truth=False) as copy:
        copy.append(block)
    with open_run(tmp_path / "copy.h5") as run:
        assert run.properties.adc_range == expected


@pytest.mark.parametrize("compression", [1, None])
def test_bytes_do_not_depend_on_blocks(tmp_path, compression):
    waveforms = samples(n_events=5000, n_pixels=2, n_samples=34)
    sums = set()
    for size in (1, 700, 5000):
        path = tmp_path / f"{size}.h5"
        with RunWriter(
            path,
            properties(waveforms),
            with_truth=True,
            attributes={"n_ph": 2.5, "source": "x"},
            compression=compression,
        ) as run:
            for first in range(0, 5000, size):
                rows = slice(first, first + size)
                ids = np.arange(5000)[rows]
                truth = waveforms[rows, :, 0].astype(np.int32)
                run.append(Block(waveforms[rows], ids, np.zeros(len(ids), np.uint8), truth))
        sums.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(sums) == 1
    with open_run(path) as run:
        assert np.array_equal(np.concatenate([b.waveforms for b in run.blocks()]), waveforms)
        assert run.attributes == {"layout": "pixelcal waveforms", "source": "x"}


def test_nothing_stands_under_the_name_of_a_run_that_failed(tmp_path):
    waveforms = samples()
    block = Block(waveforms, np.arange(6), np.zeros(6, np.uint8), None)
    with (
        pytest.raises(RuntimeError, match="half way"),
        RunWriter(tmp_path / "run.h5", properties(waveforms), with_truth=False) as run,
    ):
        run.append(block)
        raise RuntimeError("half way")
    assert not list(tmp_path.iterdir())


def linked(path, other):
    """A run whose waveforms are in another file."""
    with h5py.File(path, "w") as file:
        file["waveforms"] = h5py.ExternalLink(other.name, "/waveforms")
        file["pixels"] = np.arange(5)
    return path


def external(path):
    """A run whose waveforms are the bytes of another file."""
    path.with_name("raw").write_bytes(samples().tobytes())
    with h5py.File(path, "w") as file:
        size = samples().nbytes
        file.create_dataset("waveforms", (6, 5, 40), "u2", external=[("raw", 0, size)])
        file["pixels"] = np.arange(5)
    return path


def test_no_other_file_is_followed(tmp_path):
    whole = write_run(tmp_path / "whole.h5")
    for path in (linked(tmp_path / "a.h5", whole), external(tmp_path / "b.h5")):
        with pytest.raises(InputError, match="waveforms is no dataset of the file itself"):
            open_run(path).__enter__()


@pytest.mark.filterwarnings("ignore")
def test_random_damage_is_a_mistake_of_the_file(tmp_path):
    """Bytes changed anywhere, or the end missing: read as it is or refused, never a fault."""
    content = write_run(tmp_path / "run.h5", chunks=(2, 5, 40)).read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for number in range(200):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 1 + number % 5):
            damaged[place] = rng.integers(0, 256)
        damaged = damaged[: rng.integers(1, len(content))] if number % 3 == 0 else damaged
        path = tmp_path / "damaged.h5"
        path.write_bytes(damaged)
        try:
            with open_run(path) as run:
                for _ in run.blocks():
                    pass
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused >= 67  # those that were cut


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_of_runs(tmp_path):
    folder = table(tmp_path / "lab", "/data/b_r1.tio, 2.5", "# a comment", "a,0.5", "c.h5,2.5")
    for name in ("b_r1.tio", "a.h5", "c.h5"):
        (folder / name).touch()
    runs = read_run_table(folder, "spe")
    assert [(run.name, run.light["n_ph"]) for run in runs] == [
        ("a", 0.5),
        ("b_r1", 2.5),
        ("c", 2.5),
    ]
    assert [run.in_open_layout for run in runs] == [True, False, True]
    assert runs[1].path == str(folder / "b_r1.tio")


def test_the_table_of_a_scan_is_ordered_by_what_was_measured(tmp_path):
    header = "nsb,name,n_ph,n_ph_meas,nsb_meas,remark"
    folder = table(tmp_path / "lab", "0,a,10,12,0.1,x", "0.125,b,11,11.5,0.2,", header=header)
    (folder / "a.h5").touch()
    (folder / "b.h5").touch()
    runs = read_run_table(folder, "scan")
    assert [run.name for run in runs] == ["b", "a"]
    assert runs[0].light == {"n_ph": 11.0, "n_ph_meas": 11.5, "nsb": 0.125, "nsb_meas": 0.2}


def test_a_background_in_hz(tmp_path):
    header = "name,n_ph,n_ph_meas,nsb,nsb_meas,nsb_unit"
    rows = ("a,10,12,1.25e8,1.3e8,Hz", "b,20,21,0,0,Hz", "c,30,31,0.125,0,pe/ns")
    folder = table(tmp_path / "lab", *rows, header=header)
    for name in "abc":
        (folder / f"{name}.h5").touch()
    light = [run.light for run in read_run_table(folder, "scan")]
    assert [row["nsb"] for row in light] == [0.125, 0.0, 0.125]
    assert [row["nsb_meas"] for row in light] == [0.13, 0.0, 0.0]


@pytest.mark.parametrize(
    ("nsb", "unit", "said"),
    [
        ("1.25e8", "pe/ns", "nsb is 1.25e8, which cannot be in pe/ns; where it is in Hz, write it"),
        ("125", "pe/ns", "nsb is 125, which cannot be in pe/ns; where it is in MHz, write it"),
        ("125", "GHz", "nsb is 125, which cannot be in GHz; where it is in MHz, write it"),
        ("0.125", "Hz", "nsb is 0.125, which cannot be in Hz; where it is in pe/ns or MHz, write"),
        ("0.125", "kHz", "line 2: nsb_unit is 'kHz'; allowed: pe/ns, GHz, MHz, Hz"),
    ],
)
def test_a_background_that_must_be_in_another_unit(tmp_path, nsb, unit, said):
    header = "name,n_ph,n_ph_meas,nsb,nsb_meas,nsb_unit"
    folder = table(tmp_path / "lab", f"a,10,12,{nsb},0,{unit}", header=header)
    (folder / "a.h5").touch()
    with pytest.raises(InputError, match=said):
        read_run_table(folder, "scan")


def test_the_table_of_simulated_runs_is_one_of_real_runs(tmp_path):
    for which, n_runs in (("spe", 2), ("scan", 3)):
        runs = simulated_runs(SIMULATION, which, str(tmp_path))
        (tmp_path / "table.csv").write_text(run_table(runs, which))
        for run in runs:
            (tmp_path / f"{run.name}.h5").touch()
        assert read_run_table(tmp_path, which) == runs and len(runs) == n_runs
    assert [run.light["n_ph"] for run in runs] == [2.0, 20.0, 200.0]  # 1, 10, 100 over 0.5


@pytest.mark.parametrize(
    ("which", "settings", "said"),
    [
        ("spe", {"illuminations_pe": []}, "illuminations_pe: names no run"),
        ("spe", {"illuminations_pe": [1.0, 2.0, 1.0]}, "two runs have the same light"),
        ("scan", {"scan": {"lowest_pe": 5.0, "highest_pe": 5.0, "runs": 2}}, "is not above"),
    ],
)
def test_runs_that_cannot_be_simulated(which, settings, said):
    with pytest.raises(InputError, match=said):
        simulated_runs(SIMULATION | settings, which, "")


def test_the_snakefile_needs_no_numpy_for_the_tables():
    """What tables.py imports is imported before any job, where numpy may be missing."""
    code = "import sys; sys.modules['numpy'] = None; import pixelcal.charge.runs.run_table"
    scripts = PROJECT / "workflow" / "scripts"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(scripts)})


def test_the_pixel_map():
    where = read_pixel_map(PROJECT / "resources" / "sstcam_pixels.csv")
    x, y, module = np.array(where.x), np.array(where.y), np.array(where.module)
    assert len(where.pixel) == 2048 and np.all(np.bincount(module) == 64) and module.max() == 31
    centres = np.array([[x[module == m].mean(), y[module == m].mean()] for m in range(32)])
    grid = np.rint(centres / 0.0532 + 2.5).astype(int)
    assert np.allclose(centres, (grid - 2.5) * 0.0532, atol=1e-9)
    every = {(i, j) for i in range(6) for j in range(6)}
    assert set(map(tuple, grid)) == every - {(0, 0), (0, 5), (5, 0), (5, 5)}
    gaps = np.unique(np.round(np.diff(np.unique(np.round(x, 6))), 6))
    assert gaps.tolist() == [0.0064, 0.0084]


def test_chosen_pixels():
    assert chosen_pixels("0-2,7", 8) == [0, 1, 2, 7]
    with pytest.raises(InputError, match=r"^sstcam.pixels: 8 is out of range"):
        chosen_pixels([8], 8)


# --- simulated flashes ----------------------------------------------------------------------------


def simulated(pixels, light, n_events, block_events=1000, settings=SIMULATION, run="run"):
    blocks = list(flash_blocks(pixels, light, settings, run, n_events, block_events))
    *parts, _types = zip(*blocks, strict=True)
    return Block(*(np.concatenate(part) for part in parts))


def charges_of(pixels, block, window, peak=30):
    """Charges (n_pixels, n_events) with all windows at one peak, and what they have in truth."""
    n = len(pixels)
    nothing = np.zeros(n, bool)
    peaks = Peaks(np.arange(n), np.full(n, peak), nothing, nothing, np.zeros((n, 64)))
    first = first_samples(peaks, block.waveforms.shape[2], window)
    made = extract_charges([block], np.arange(n), first, window, peaks.live)
    truth = true_parameters(pixels, peaks.peak, window, SIMULATION["fwhm_ns"])
    return made.charges.astype(float), truth


def test_the_pulse():
    pulse = make_pulse(10.0)
    time = np.arange(-60, 60, 0.001)
    high = time[pulse.at(time) >= pulse.at(np.zeros(1)) / 2]
    assert high[-1] - high[0] == pytest.approx(10.0, abs=0.01)
    assert pulse.at(np.arange(-6, 10)).sum() == pytest.approx(1.0)
    # 1000 photoelectrons with their crosstalk stay within 12 bits
    assert 300 + 1000 / 0.85 * 30 * pulse.height < 4095


def test_charges_have_the_moments_of_the_branching_process():
    """Mean and variance of a generalised Poisson number of normal charges, pixel by pixel.

    z of a mean is standard normal; the mean of k of them within 4 / sqrt(k). A variance from N
    charges has the relative error sqrt((kurtosis - 1) / N), kurtosis about 3.5 here.
    """
    n_pixels, n_events, mean_pe = 16, 10000, 1.5
    pixels = make_pixels(np.arange(n_pixels), SIMULATION)
    block = simulated(pixels, Light(mean_pe), n_events)
    charges, truth = charges_of(pixels, block, Window(16, 6))
    light = mean_pe * np.asarray(pixels["EFFICIENCY"])
    chi = truth["OPCT"]
    mean = truth["EPED"] + truth["PE"] * light / (1 - chi)
    avalanches = truth["PE"] ** 2 / (1 - chi) ** 3 + truth["SIGMA_PE"] ** 2 / (1 - chi)
    variance = truth["SIGMA_PED"] ** 2 + light * avalanches
    z = (charges.mean(axis=1) - mean) / np.sqrt(variance / n_events)
    assert abs(z.mean()) < 4 / np.sqrt(n_pixels) and np.abs(z).max() < 5
    ratio = charges.var(axis=1) / variance
    assert abs(ratio.mean() - 1) < 4 * np.sqrt(2.5 / n_events / n_pixels)
    n_pe = block.true_pe.T
    assert np.all(np.abs(n_pe.mean(axis=1) - light) < 5 * np.sqrt(light / n_events))


def test_flashes_without_light_are_the_pedestal():
    n_pixels, n_events = 12, 10000
    pixels = make_pixels(np.arange(n_pixels), SIMULATION)
    block = simulated(pixels, Light(0.0), n_events)
    for window in (Window(16, 6), Window(12, 4, 16)):
        charges, truth = charges_of(pixels, block, window)
        charges = charges * (1.0 if not window.baseline_samples else 1 / 4)  # gcd(12, 16) / 16
        error = truth["SIGMA_PED"] / np.sqrt(n_events)
        assert np.all(np.abs(charges.mean(axis=1) - truth["EPED"]) < 5 * error)
        ratio = charges.std(axis=1) / truth["SIGMA_PED"]
        assert abs(ratio.mean() - 1) < 4 / np.sqrt(2 * n_events * n_pixels)


def test_the_window_holds_the_charge_that_the_truth_says():
    """Very bright, so that the share of the pulse inside shows: no model of the light needed."""
    settings = SIMULATION | {"opct": 0.0, "pe_adu": 3.0, "sigma_pe_adu": 0.0}
    pixels = make_pixels(np.arange(12), settings)
    block = simulated(pixels, Light(3000.0), 400, settings=settings)
    for window, peak in ((Window(16, 6), 30), (Window(10, 3), 32), (Window(30, 14), 28)):
        charges, truth = charges_of(pixels, block, window, peak)
        slope = (charges - truth["EPED"][:, None]).sum(axis=1) / block.true_pe.sum(axis=0)
        # noise of the window over the light of all events; rounding averages out
        error = truth["SIGMA_PED"] / (3000 * np.sqrt(400))
        assert np.all(np.abs(slope - truth["PE"]) < 5 * error + 1e-9)


def mean_wave(pixels, light):
    """Mean waveform of all pixels over 4000 flashes."""
    return simulated(pixels, light, 4000).waveforms.mean(axis=(0, 1))


def test_afterpulses_and_background_come_on_top():
    """Afterpulses add p / (1 - opct) of the charge, with their crosstalk; the background everywhere
    rate x charge / (1 - opct). Both means have a relative error below 1 %."""
    pixels = make_pixels(np.arange(8), SIMULATION)
    dark = mean_wave(pixels, Light(0.0))
    plain = mean_wave(pixels, Light(3.0)) - dark
    late = mean_wave(pixels, Light(3.0, 0.0, 0.3, 3.0)) - dark
    crosstalk = 1 / (1 - np.asarray(pixels["OPCT"]))
    # 34 samples after the light all that follow it by 3 samples on average have come
    assert late.sum() / plain.sum() == pytest.approx(1 + 0.3 * crosstalk.mean(), rel=0.02)
    assert np.argmax(late) >= np.argmax(plain)
    level = mean_wave(pixels, Light(0.0, nsb=0.2)) - dark
    area = make_pulse(10.0).at(np.arange(-60, 60)).sum()
    expected = (0.2 * np.asarray(pixels["GAIN"]) * area * crosstalk).mean()
    assert level == pytest.approx(expected, rel=0.05)


def test_twelve_bits():
    pixels = make_pixels(np.arange(4), SIMULATION)
    bright = simulated(pixels, Light(5000.0), 20)
    assert bright.waveforms.max() == 4095 and bright.waveforms.min() > 250


def test_a_pixel_and_its_flashes_depend_on_nothing_else():
    settings = SIMULATION | {"stale_fraction": 0.1, "incomplete_fraction": 0.1}
    every = make_pixels(np.arange(0, 160), settings)
    some = make_pixels([17, 150], settings)
    assert all(every[name][17] == some[name][0] for name in every.colnames)
    light = Light(2.0, 0.01, 0.1, 10.0)
    full = simulated(every, light, 30, 30, settings)
    part = simulated(some, light, 30, 7, settings)
    assert np.array_equal(full.waveforms[:, [17, 150]], part.waveforms)
    assert np.array_equal(full.true_pe[:, [17, 150]], part.true_pe)
    assert np.array_equal(full.flags, part.flags)
    other = simulated(some, light, 30, 30, settings, run="other run")
    assert not np.array_equal(other.true_pe, part.true_pe)


def test_bad_events_are_what_they_say():
    settings = SIMULATION | {"stale_fraction": 0.2, "incomplete_fraction": 0.2}
    pixels = make_pixels(np.arange(128), settings)
    block = simulated(pixels, Light(20.0), 200, settings=settings)
    stale, incomplete = block.flags & 1 > 0, block.flags & 2 > 0
    assert 15 < stale.sum() < 70 and 15 < incomplete.sum() < 70
    assert not block.true_pe[stale].any()
    lost = (block.waveforms == 0).all(axis=2)
    assert not lost[~incomplete].any()
    # two of 32 modules are here: whole modules are lost, and about one in sixteen of them is one
    by_module = lost.reshape(200, 2, 64)
    assert np.array_equal(by_module.all(axis=2), by_module.any(axis=2))


def test_dead_pixels():
    pixels = make_pixels(np.arange(400), SIMULATION | {"dead_fraction": 0.1})
    dead = np.asarray(pixels["EFFICIENCY"]) == 0
    assert 20 < dead.sum() < 65
    dark = simulated(pixels[dead][:3], Light(50.0, nsb=0.1), 20)
    assert not dark.true_pe.any() and dark.waveforms.max() < 330


# --- what a file is -------------------------------------------------------------------------------


@pytest.mark.parametrize("libver", [None, "earliest", ("earliest", "v110")])
@pytest.mark.parametrize("number", [0, 1, 7, 300])
def test_names_in_the_root_are_those_that_h5py_finds(tmp_path, number, libver):
    """300 of them need several nodes; one that was removed is not there any more."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver) as file:
        for i in range(number):
            file[f"name {i * 7919 % 1000}"] = np.arange(3)
        file.create_group("removed")
        del file["removed"]
        expected = set(file)
    assert root_names(path) == expected


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_of_other_files_no_names_are_known(tmp_path, content):
    path = tmp_path / "a.h5"
    assert root_names(path) is None
    path.write_bytes(content)
    assert root_names(path) is None


@pytest.mark.parametrize(
    ("file", "names", "opened"),
    [
        ("a.h5", ("waveforms", "pixels"), True),
        ("a.h5", ("r1", "configuration", "simulation"), False),
        ("a.hdf5", ("dl1", "dl2"), False),
        ("a.lab", ("waveforms", "pixels"), True),
        ("a.lab", ("other",), False),
        ("a.h5", ("other",), True),
    ],
)
def test_the_content_of_a_run_says_whether_it_is_converted(tmp_path, file, names, opened):
    with h5py.File(tmp_path / file, "w") as made:
        for name in names:
            made.create_group(name)
    table(tmp_path, f"{file},1")
    (run,) = read_run_table(tmp_path, "spe")
    assert run.in_open_layout == opened
