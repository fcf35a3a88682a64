"""Relations that are known before: conventions, units, and values that no camera has.

One row for each situation, after the faults E7, E9 and E14.
"""

import numpy as np
import pytest
from helpers import faults
from helpers.faults import (
    GAIN,
    N_PIXELS,
    OFFSET,
    bin_spectra,
    merge,
    prior_columns,
    write_events,
    write_prior,
)
from helpers.instruments import ECLAIRS

from pixelcal.energy.prior import read_prior
from pixelcal.errors import InputError

ALL = np.arange(N_PIXELS)
KINDS = ("fits", "ecsv", "csv")
KEV = ("keV/chan", "keV")
CHANNELS = ("chan/keV", "chan")
NOTHING = (None, None)


def row(*values, id):
    """A row that is right today."""
    return pytest.param(*values, id=id)


def read(path):
    """Gain and offset of all pixels; what the reader says against the file is a failure."""
    try:
        return read_prior(path, ALL, 1.0, 0.0, instrument=ECLAIRS)
    except InputError as error:
        raise AssertionError(error) from None


def refusal(path):
    """What the reader says against a file."""
    try:
        gain, offset = read_prior(path, ALL, 1.0, 0.0, instrument=ECLAIRS)
    except InputError as error:
        return faults.without(path.parent, error)
    raise AssertionError(f"nobody noticed: gain {gain[0]:g}, offset {offset[0]:g}")


@pytest.mark.parametrize("kind", [row("fits", id="FITS")] + [row(k, id=k) for k in KINDS[1:]])
@pytest.mark.parametrize(
    ("gain", "offset", "units"),
    [
        row(GAIN, OFFSET, KEV, id="keV"),
        row(1e3 * GAIN, 1e3 * OFFSET, ("eV/chan", "eV"), id="eV"),
        row(1e3 * GAIN, OFFSET, ("eV/chan", "keV"), id="eV and keV"),
    ],
)
def test_energy_per_channel_is_read(gain, offset, units, kind, tmp_path):
    path = write_prior(tmp_path / f"prior.{kind}", prior_columns(gain=gain, offset=offset), units)
    read_gain, read_offset = read(path)
    assert read_gain == pytest.approx(GAIN) and read_offset == pytest.approx(OFFSET)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("units", [CHANNELS, ("chan / keV", "chan"), ("keV-1 chan", "channel")])
def test_channels_per_energy_are_read(units, kind, tmp_path):
    """channel = GAIN * E + OFFSET, the convention of STIX."""
    columns = prior_columns(gain=1 / GAIN, offset=-OFFSET / GAIN)
    gain, offset = read(write_prior(tmp_path / f"prior.{kind}", columns, units))
    assert gain == pytest.approx(GAIN) and offset == pytest.approx(OFFSET)


def test_channels_per_eV_are_read(tmp_path):
    columns = prior_columns(gain=1e-3 / GAIN, offset=-OFFSET / GAIN)
    gain, offset = read(write_prior(tmp_path / "prior.fits", columns, ("chan/eV", "chan")))
    assert gain == pytest.approx(GAIN) and offset == pytest.approx(OFFSET)


def one_pixel(name, value):
    """Columns in order, but for the value of pixel 7."""
    columns = prior_columns()
    columns[name][1][7] = value
    return columns


SECOND = prior_columns(gain=1 / GAIN, offset=-OFFSET / GAIN)
WRONG = [
    (SECOND, NOTHING, "chan/keV, no unit"),
    (SECOND, KEV, "chan/keV, called keV/chan"),
    (prior_columns(offset=-OFFSET / GAIN), NOTHING, "an offset in channels, no unit"),
    (prior_columns(offset=OFFSET / GAIN), NOTHING, "an offset in channels, positive, no unit"),
    (prior_columns(gain=1e3 * GAIN, offset=1e3 * OFFSET), NOTHING, "eV, no unit"),
    (prior_columns(gain=1e-3 * GAIN, offset=1e-3 * OFFSET), NOTHING, "MeV, no unit"),
    (prior_columns(gain=1.0, offset=0.0), KEV, "an identity that stands for nothing"),
    (prior_columns(offset=400.0), KEV, "an offset of 400 keV"),
    (one_pixel("GAIN", 6.9), KEV, "one pixel's gain"),
    (one_pixel("OFFSET", -20.7), KEV, "one pixel's offset"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("columns", "units"),
    [row(columns, units, id=name) for columns, units, name in WRONG],
)
def test_values_that_no_camera_has_are_refused(columns, units, kind, tmp_path):
    said = refusal(write_prior(tmp_path / f"prior.{kind}", columns, units))
    assert f"prior.{kind}" in said
    assert "GAIN" in said or "OFFSET" in said
    assert "unit" in said or "keV" in said


@pytest.mark.parametrize(
    "units",
    [
        row(("chan/keV", None), id="chan/keV and nothing"),
        row((None, "chan"), id="nothing and chan"),
        row(("chan/keV", "keV"), id="chan/keV and keV"),
        row(("keV/chan", "chan"), id="keV/chan and chan"),
        row(("keV", "chan"), id="keV and chan"),
    ],
)
def test_units_of_two_conventions_are_refused(units, tmp_path):
    columns = SECOND if "chan/keV" in units else prior_columns()
    said = refusal(write_prior(tmp_path / "prior.fits", columns, units))
    assert "OFFSET" in said


@pytest.mark.parametrize("units", [NOTHING, (None, "keV"), ("keV/chan", None)])
def test_a_unit_that_is_missing_is_told(units, tmp_path):
    """Also where the values could be right."""
    path = write_prior(tmp_path / "prior.fits", units=units)
    events = write_events(tmp_path / "e.fits")
    bin_spectra(tmp_path, events, relation={"file": str(path)}).notices("prior.fits", "unit")


@pytest.mark.parametrize(
    "columns",
    [
        row(prior_columns(gain=0.0), id="a gain of 0"),
        row(prior_columns(gain=-GAIN), id="a negative gain"),
        row(one_pixel("GAIN", np.nan), id="no gain"),
        row(one_pixel("OFFSET", np.inf), id="an infinite offset"),
    ],
)
def test_values_that_nothing_has_are_refused(columns, tmp_path):
    assert "prior.fits" in refusal(write_prior(tmp_path / "prior.fits", columns))


@pytest.mark.parametrize("units", [NOTHING, KEV])
def test_nothing_is_published_from_such_a_file(units, tmp_path):
    """What the mission's file would keep for a pixel without a valid fit."""
    path = write_prior(tmp_path / "prior.fits", SECOND, units)
    made = merge(tmp_path, prior=path)
    made.refuses("prior.fits")


@pytest.mark.parametrize(
    ("relation", "key"),
    [
        row({"gain_keV": 6.9}, "relation.gain_keV", id="a gain in chan/keV"),
        row({"gain_keV": 145.0}, "relation.gain_keV", id="a gain in eV"),
        row({"offset_keV": -20.7}, "relation.offset_keV", id="an offset in channels"),
        row({"offset_keV": 3000.0}, "relation.offset_keV", id="an offset in eV"),
    ],
)
def test_the_configuration_is_held_against_the_same_range(relation, key, tmp_path):
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), relation=relation)
    made.refuses(key)


@pytest.mark.parametrize(
    ("gain", "offset"), [(0.1305, 3.0), (0.1595, 3.0), (0.145, 0.5), (0.145, 5.5)]
)
def test_values_that_a_camera_may_have_are_not_mentioned(gain, offset, tmp_path):
    path = write_prior(tmp_path / "prior.fits", prior_columns(gain=gain, offset=offset))
    events = write_events(tmp_path / "e.fits")
    made = bin_spectra(tmp_path, events, relation={"file": str(path)})
    assert not made.failed and not made.said


# --- E9: pixels numbered from 1 -------------------------------------------------------------------


@pytest.mark.parametrize("n", [N_PIXELS, 6400])
def test_a_relation_numbered_from_1_is_refused_with_a_hint(n, tmp_path):
    said = refusal(write_prior(tmp_path / "prior.fits", prior_columns(n, first_pixel=1)))
    assert "from 1" in said


def test_a_relation_numbered_from_1_under_a_run_without_pixel_0(tmp_path):
    """Pixels 1 to 63 are all there, each with the values of its neighbour."""
    columns = prior_columns(first_pixel=1)
    path = write_prior(tmp_path / "prior.fits", columns)
    events = write_events(tmp_path / "e.fits")
    made = bin_spectra(tmp_path, events, relation={"file": str(path)}, pixels="1-63")
    made.notices("from 1")


@pytest.mark.parametrize("pixels", ["1-63", "0-63", "3", "1-6399"])
def test_relations_numbered_from_0_are_not_mentioned(pixels, tmp_path):
    """Of the whole camera, of the pixels of the run, and where pixel 0 is in neither."""
    own = prior_columns(6400)
    if pixels == "1-63":
        own = {name: (form, array[1:64]) for name, (form, array) in own.items()}
    if pixels == "1-6399":
        own = {name: (form, array[1:]) for name, (form, array) in own.items()}
    path = write_prior(tmp_path / "prior.fits", own)
    events = write_events(tmp_path / "e.fits")
    made = bin_spectra(tmp_path, events, relation={"file": str(path)}, pixels=pixels)
    assert not made.failed and not made.said


# --- E14: in the files that people keep -----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS[1:])
def test_text_files_of_a_relation_are_used_by_the_whole_chain(kind, tmp_path):
    columns = prior_columns(gain=0.1451)
    path = write_prior(tmp_path / f"prior.{kind}", columns)
    same = write_prior(tmp_path / "prior.fits", columns)
    events = write_events(tmp_path / "e.fits")
    text, table = (
        bin_spectra(tmp_path, events, relation={"file": str(own)}) for own in (path, same)
    )
    text.is_as(table)
    assert not merge(tmp_path, prior=path).failed
