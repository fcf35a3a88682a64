"""Runs read through ctapipe: another camera, several gains, broken files, missing parts."""

import builtins
import hashlib
import sys

import h5py
import numpy as np
import pytest
from helpers import simtel_files
from helpers.real_files import real_file
from helpers.synthetic import run_script

from pixelcal.charge.runs.ctapipe_source import adc_range_of, open_source
from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.charge.runs.ready_charges import read_ready_charges
from pixelcal.charge.runs.run_table import has_ready_charges, read_run_table
from pixelcal.charge.runs.run_writer import RunWriter
from pixelcal.errors import InputError

N_EVENTS, N_PIXELS, N_SAMPLES = 7, 55, 40


def ctapipe_or_skip():
    return pytest.importorskip(
        "ctapipe",
        reason="ctapipe is not installed: it needs an older astropy than the workflow"
        " (`make test-long` runs these in an environment of its own)",
    )


def waveforms(n_channels=1):
    """Samples that tell event, channel, pixel and sample apart."""
    shape = N_EVENTS, n_channels, N_PIXELS, N_SAMPLES
    return np.random.default_rng(3).integers(200, 4000, shape).astype(np.uint16)


@pytest.fixture
def camera_source():
    """Function: register an event source of another camera for files with the ending .other."""
    ctapipe_or_skip()
    from astropy import units as u
    from astropy.coordinates import EarthLocation
    from ctapipe.containers import (
        ArrayEventContainer,
        R0CameraContainer,
        R1CameraContainer,
        SimulatedCameraContainer,
        SimulatedEventContainer,
    )
    from ctapipe.instrument import SubarrayDescription
    from ctapipe.instrument.camera import CameraDescription, CameraGeometry, CameraReadout
    from ctapipe.instrument.optics import OpticsDescription, ReflectorShape, SizeType
    from ctapipe.instrument.telescope import TelescopeDescription
    from ctapipe.io import DataLevel, EventSource

    def description():
        side = np.arange(N_PIXELS)
        geometry = CameraGeometry(
            "Other", side, side % 8 * u.cm, side // 8 * u.cm, np.ones(N_PIXELS) * u.cm**2, "square"
        )
        readout = CameraReadout(
            "Other", 0.5 * u.GHz, np.ones((1, 3)), 1 * u.ns, 1, N_PIXELS, N_SAMPLES
        )
        optics = OpticsDescription(
            "Other", SizeType.SST, 1, 1 * u.m, 1 * u.m, 1 * u.m**2, 1, ReflectorShape.PARABOLIC
        )
        return TelescopeDescription("Other", optics, CameraDescription("Other", geometry, readout))

    class OtherSource(EventSource):
        """What a plug-in of another camera is."""

        data, level, n_telescopes, faults = waveforms(), "r0", 1, {}

        @staticmethod
        def is_compatible(path):
            return str(path).endswith(".other")

        @property
        def subarray(self):
            telescopes = range(1, self.n_telescopes + 1)
            return SubarrayDescription(
                "Array",
                {number: [0, 0, 0] * u.m for number in telescopes},
                {number: description() for number in telescopes},
                EarthLocation(0 * u.m, 0 * u.m, 6371 * u.km),
            )

        is_simulation = False
        observation_blocks = scheduling_blocks = {}
        datalevels = (DataLevel.R0,)

        def _generator(self):
            for count, data in enumerate(self.data):
                fault = self.faults.get(count)
                if isinstance(fault, Exception):
                    raise fault
                event = ArrayEventContainer(count=count, simulation=SimulatedEventContainer())
                event.index.event_id = 100 + count
                if fault == "absent":
                    yield event
                    continue
                properties = data[..., :-1] if fault == "short" else data
                container = {"r0": R0CameraContainer, "r1": R1CameraContainer}[self.level]
                getattr(event, self.level).tel[1] = container(waveform=properties)
                image = data[0, :, 0].astype(np.int32)
                event.simulation.tel[1] = SimulatedCameraContainer(true_image=image)
                yield event

    yield OtherSource
    # a subclass is found for as long as it lives; this one is not to claim other files
    OtherSource.is_compatible = staticmethod(lambda path: False)


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.other"
    path.write_bytes(b"of another camera")
    return path


def all_blocks(run, block_events=3, **options):
    blocks = list(run.blocks(block_events, **options))
    return (
        np.concatenate([block.waveforms for block in blocks]),
        np.concatenate([block.event_id for block in blocks]),
        np.concatenate([block.flags for block in blocks]),
        np.concatenate([block.true_pe for block in blocks]),
    )


def test_another_camera(camera_source, run_file):
    with open_source(run_file) as run:
        properties = run.properties
        assert (properties.n_samples, properties.sample_ns, properties.unit, properties.dtype) == (
            40,
            2.0,
            "adu",
            np.uint16,
        )
        assert np.array_equal(properties.pixel, np.arange(N_PIXELS))
        data, ids, flags, truth = all_blocks(run)
    expected = waveforms()[:, 0]
    assert np.array_equal(data, expected) and not flags.any()
    assert np.array_equal(ids, 100 + np.arange(N_EVENTS))
    assert np.array_equal(truth, expected[:, :, 0])


def test_calibrated_samples(camera_source, run_file):
    camera_source.level = "r1"
    camera_source.data = waveforms() / 7.0
    with open_source(run_file) as run:
        assert (run.properties.dtype, run.properties.unit) == (np.float32, "mV")
        data, *_ = all_blocks(run)
    assert np.array_equal(data, (waveforms()[:, 0] / 7.0).astype(np.float32))


def test_several_gain_channels_are_to_be_chosen_from(camera_source, run_file):
    camera_source.data = waveforms(2)
    with pytest.raises(InputError, match="2 gain channels; name one in sstcam.source.gain_channel"):
        open_source(run_file).__enter__()
    with pytest.raises(InputError, match="no gain channel 2"):
        open_source(run_file, gain_channel=2).__enter__()
    with open_source(run_file, gain_channel=1) as run:
        data, *_ = all_blocks(run)
    assert np.array_equal(data, waveforms(2)[:, 1])


def test_several_telescopes_are_to_be_chosen_from(camera_source, run_file):
    camera_source.n_telescopes = 2
    with pytest.raises(InputError, match=r"has several \(there is 1, 2\); name one"):
        open_source(run_file).__enter__()
    with pytest.raises(InputError, match="holds no event with waveforms"):
        open_source(run_file, telescope=2).__enter__()
    with open_source(run_file, telescope=1) as run:
        assert len(all_blocks(run)[1]) == N_EVENTS


def test_events_without_whole_waveforms_are_incomplete(camera_source, run_file):
    camera_source.faults = {0: "absent", 2: "short", 4: "absent"}
    with open_source(run_file) as run:
        blocks = list(run.blocks(3))
    ids = np.concatenate([block.event_id for block in blocks])
    flags = np.concatenate([block.flags for block in blocks])
    # the first is before any event with waveforms: it is not of this camera
    assert ids.tolist() == [101, 102, 103, 104, 105, 106]
    assert flags.tolist() == [0, 2, 0, 2, 0, 0]


def test_a_limit_of_events(camera_source, run_file):
    with open_source(run_file) as run:
        assert len(all_blocks(run, max_events=5)[1]) == 5


def test_a_file_that_breaks_off(camera_source, run_file):
    camera_source.faults = {5: OSError("bad block\nat 17")}
    with (
        open_source(run_file) as run,
        pytest.raises(InputError, match=r"cannot be read further \(bad block at 17\)"),
    ):
        list(run.blocks(3))


def test_a_run_through_ctapipe_is_the_run_in_the_open_layout(camera_source, run_file, tmp_path):
    with open_source(run_file) as run:
        path = tmp_path / "run.h5"
        options = {"with_truth": run.has_truth, "compression": None}
        with RunWriter(path, run.properties, **options) as written:
            for block in run.blocks(2):
                written.append(block)
    with open_run(path) as run:
        assert np.array_equal(next(run.blocks()).waveforms, waveforms()[:, 0])
    with h5py.File(path) as file:
        assert file["waveforms"].compression is None


def test_a_simtel_file_of_another_camera(tmp_path):
    ctapipe_or_skip()
    expected = waveforms()
    with open_source(simtel_files.write(tmp_path / "run.simtel", expected)) as run:
        properties = run.properties
        assert (len(properties.pixel), properties.n_samples, properties.dtype) == (
            N_PIXELS,
            N_SAMPLES,
            np.uint16,
        )
        assert (run.level, properties.unit, properties.sample_ns, run.has_truth) == (
            "r0",
            "adu",
            1.0,
            False,
        )
        blocks = list(run.blocks(3))
    assert [len(block.flags) for block in blocks] == [3, 3, 1]
    assert np.array_equal(np.concatenate([b.waveforms for b in blocks]), expected[:, 0])
    assert np.concatenate([b.event_id for b in blocks]).tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_simtel_file_with_two_gains(tmp_path):
    ctapipe_or_skip()
    path = simtel_files.write(tmp_path / "run.simtel", waveforms(2))
    with pytest.raises(InputError, match="has 2 gain channels"):
        open_source(path).__enter__()
    with open_source(path, gain_channel=0) as run:
        assert np.array_equal(next(run.blocks(100)).waveforms, waveforms(2)[:, 0])


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.999])
def test_a_simtel_file_that_is_cut_short(tmp_path, kept):
    ctapipe_or_skip()
    path = simtel_files.write(tmp_path / "run.simtel", waveforms())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    said = r"read (it|further) \(.*\); obtain a fresh copy"
    with pytest.raises(InputError, match=said) as raised, open_source(path) as run:
        list(run.blocks(3))
    assert "\n" not in str(raised.value)


def test_the_rule_that_converts_a_run(tmp_path):
    """The script as Snakemake runs it; the file says what it was made from."""
    ctapipe_or_skip()
    source = simtel_files.write(tmp_path / "run.simtel", waveforms(2))
    params = {"telescope": 1, "gain_channel": 1, "adc_range": [0, 4095], "max_events": 5}
    path = tmp_path / "run.h5"
    run_script("convert_run", tmp_path, {"run": source}, {"run": path}, params)
    with open_run(path) as run:
        (block,) = run.blocks()
        assert run.attributes["source"] == "run.simtel"
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        assert run.attributes["source_sha256"] == sha256
        assert run.properties.adc_range == (0.0, 4095.0)
    assert np.array_equal(block.waveforms, waveforms(2)[:5, 1])


def test_the_range_of_the_adc():
    assert adc_range_of(None) is None and adc_range_of([-5, 5]) == (-5.0, 5.0)
    with pytest.raises(InputError, match=r"sstcam.source.adc_range: 5 is not below 5; give"):
        adc_range_of([5, 5])


def test_an_unknown_file(tmp_path):
    ctapipe_or_skip()
    path = tmp_path / "run.tio"
    path.write_bytes(b"no reader knows this")
    with pytest.raises(InputError, match="no reader of ctapipe opens this file") as raised:
        open_source(path).__enter__()
    assert "\n" not in str(raised.value) and "plug-in" in str(raised.value)


def test_without_ctapipe(tmp_path, monkeypatch):
    path = tmp_path / "run.tio"
    path.write_bytes(b"anything")
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "ctapipe":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    for name in [name for name in sys.modules if name.split(".")[0] == "ctapipe"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="ctapipe is missing; install ctapipe and eventio"):
        open_source(path).__enter__()


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_source(tmp_path / "none.tio").__enter__()


def test_an_hdf5_file_of_ctapipe_is_known_by_its_content(tmp_path):
    """R1 as ctapipe writes it, with the ending of the open layout: the same samples come back."""
    ctapipe_or_skip()
    from ctapipe.io import DataWriter, EventSource

    source = simtel_files.write(tmp_path / "run.simtel", waveforms())
    path = tmp_path / "run.h5"
    options = {"skip_calibration_events": False, "focal_length_choice": "EQUIVALENT"}
    levels = {"write_r1_waveforms": True, "write_dl1_images": False, "write_dl1_parameters": False}
    with (
        EventSource(source, **options) as events,
        DataWriter(events, output_path=path, write_dl2=False, **levels) as written,
    ):
        for event in events:
            written(event)
    (tmp_path / "table.csv").write_text("name,n_ph\nrun.h5,1\n")
    (entry,) = read_run_table(tmp_path, "spe")
    assert not entry.in_open_layout
    with open_source(entry.path) as run:
        assert (run.level, run.properties.sample_ns) == ("r1", 1.0)
        data = np.concatenate([block.waveforms for block in run.blocks(3)])
    assert np.array_equal(data, waveforms()[:, 0])


def test_pixels_that_a_source_disables_do_not_work():
    """Six pixels of a real file of sim_telarray are masked in its monitoring."""
    ctapipe_or_skip()
    path = real_file("simtel/calib_true_pe.simtel.zst")
    with open_source(path, gain_channel=0) as run:
        n_events = sum(len(block.flags) for block in run.blocks(10))
        failing, spoilt = run.failing()
    assert (failing.sum(), spoilt.sum(), len(spoilt)) == (6, 0, n_events)


def test_images_of_dl1_are_ready_charges(camera_source, run_file, tmp_path):
    """A file that ctapipe writes, converted by the rule, holds the images that were in it."""
    from ctapipe.containers import (
        DL1CameraContainer,
        ObservationBlockContainer,
        SchedulingBlockContainer,
        TelescopeTriggerContainer,
    )
    from ctapipe.core import Provenance
    from ctapipe.io import DataWriter

    Provenance().start_activity("test")  # a writer asks for one, and for what was observed
    camera_source.scheduling_blocks = {1: SchedulingBlockContainer(sb_id=np.uint64(1))}
    block = ObservationBlockContainer(obs_id=np.uint64(1), sb_id=np.uint64(1))
    camera_source.observation_blocks = {1: block}
    path, charges = tmp_path / "run.h5", tmp_path / "charges.h5"
    images = np.random.default_rng(2).normal(3, 1, (N_EVENTS, N_PIXELS)).astype(np.float32)
    levels = {"write_dl1_images": True, "write_dl1_parameters": False, "write_dl2": False}
    with (
        camera_source(run_file) as events,
        DataWriter(events, output_path=path, **levels) as written,
    ):
        for event, image in zip(events, images, strict=True):
            event.dl1.tel[1] = DL1CameraContainer(image=image, peak_time=image * 0)
            event.trigger.tels_with_trigger, event.simulation = [1], None
            event.trigger.tel[1], event.index.obs_id = TelescopeTriggerContainer(), block.obs_id
            written(event)
    (tmp_path / "table.csv").write_text("name,n_ph\nrun.h5,1\n")
    (entry,) = read_run_table(tmp_path, "spe", "charges")
    assert not has_ready_charges(entry)
    params = {"telescope": None, "gain_channel": None, "adc_range": None, "max_events": None}
    params |= {"form": "charges"}
    run_script("convert_run", tmp_path, {"run": str(path)}, {"run": charges}, params)
    ready = read_ready_charges(charges)
    assert ready.unit == "pe" and ready.attributes["source"] == "run.h5"
    assert np.array_equal(ready.charges, images.T) and not ready.flags.any()
