"""Dark runs in their files and tables: which events they use, what a table may say of gains."""

import numpy as np
import pytest
from helpers.ready_files import write_charges
from helpers.sstcam_runs import samples, table, write_run

from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.charge.runs.ready_charges import read_ready_charges
from pixelcal.charge.runs.run_table import is_dark, read_run_table
from pixelcal.charge.runs.waveforms import EVENT_TYPES, FLAGS
from pixelcal.errors import InputError

TYPES = np.array([0, 2, 0, 3, 32, 4])
"""Flat field, pedestal, flat field, dark pedestal, subarray, electronic pedestal."""


def flags(path, **options):
    with open_run(path, **options) as run:
        return np.concatenate([block.flags for block in run.blocks()])


@pytest.mark.parametrize("names", [None, ["FLATFIELD"]])
def test_a_dark_run_uses_the_pedestals_of_its_file(tmp_path, names):
    path = write_run(tmp_path / "run.h5", samples(n_events=6), event_types=TYPES)
    pedestals = np.isin(TYPES, [EVENT_TYPES[n] for n in EVENT_TYPES if "PEDESTAL" in n])
    assert list(flags(path, event_types=names, dark=True) == FLAGS["type"]) == list(~pedestals)
    lit = flags(path, event_types=names) == FLAGS["type"]
    assert not np.any(~lit & pedestals) and not lit[0]
    charges = write_charges(tmp_path / "c.h5", np.ones((6, 2)), event_types=TYPES)
    ready = read_ready_charges(charges, names, dark=True)
    assert list(ready.flags == FLAGS["type"]) == list(~pedestals)


def test_a_dark_run_without_pedestals_or_types_is_used_as_it_is(tmp_path):
    lit_types = write_run(tmp_path / "a.h5", samples(n_events=6), event_types=np.full(6, 32))
    without = write_run(tmp_path / "b.h5", samples(n_events=6))
    for path in (lit_types, without):
        assert not flags(path, dark=True).any()


def test_a_run_of_no_photons_is_dark(tmp_path):
    folder = table(tmp_path / "lab", "none,0", "some,0.001")
    for name in ("none", "some"):
        (folder / f"{name}.h5").touch()
    assert [is_dark(run.light) for run in read_run_table(folder, "spe")] == [True, False]


@pytest.mark.parametrize(("text", "value"), [("0.95", 0.95), ("", None)])
def test_a_table_may_say_the_gain_of_a_run(tmp_path, text, value):
    header = "name,n_ph,n_ph_meas,nsb,nsb_meas,relative_gain"
    folder = table(tmp_path / "lab", f"a,10,12,0.1,0.1,{text}", header=header)
    (folder / "a.h5").touch()
    assert read_run_table(folder, "scan")[0].light.get("relative_gain") == value


@pytest.mark.parametrize("text", ["0", "-0.9", "90", "low", "nan"])
def test_a_gain_that_is_none(tmp_path, text):
    header = "name,n_ph,n_ph_meas,nsb,nsb_meas,relative_gain"
    folder = table(tmp_path / "lab", f"a,10,12,0.1,0.1,{text}", header=header)
    (folder / "a.h5").touch()
    with pytest.raises(InputError, match=f"line 2: relative_gain is '{text}'"):
        read_run_table(folder, "scan")
