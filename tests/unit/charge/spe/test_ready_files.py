"""Ready charges and histograms: the same fits as through our own waveforms, and real files."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.charge_faults import N_PIXELS, run_chain, status_of, two_runs
from helpers.ready_files import run_ready, whole_histograms, write_charges, write_histograms
from helpers.real_files import real_file
from helpers.report_pages import page_data

from pixelcal.status import ChargeStatus

PIXELS = tuple(range(N_PIXELS))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The chain from waveforms on: its result, and the whole charges (pixel, event) of each run."""
    result = run_chain(tmp_path_factory.mktemp("waveforms"), two_runs())
    assert not result.error, result.error
    charges = {
        name: fits.getdata(result.paths[name], "CHARGES").astype(np.int32)
        for name in ("dark", "light")
    }
    return result, charges


def rows_of(path, extension):
    """The bytes of a table's rows."""
    return np.asarray(fits.getdata(path, extension)).tobytes()


def in_hdf5(folder, charges):
    """Charges in another order of the pixels, and of another type."""
    order = np.random.default_rng(4).permutation(N_PIXELS)
    return {
        name: write_charges(folder / f"{name}.h5", values[order].T.astype(float), pixels=order)
        for name, values in charges.items()
    }


def test_charges_in_hdf5_give_the_same_bytes_as_waveforms(measured, tmp_path):
    result, charges = measured
    ready = run_ready(tmp_path, "charges", in_hdf5(tmp_path, charges), PIXELS, report=True)
    assert not ready.error, ready.error
    for name, extension in (("spectra", "SPECTRA"), ("spe", "SPE")):
        assert rows_of(ready.paths[name], extension) == rows_of(result.paths[name], extension)
    assert fits.getheader(ready.paths["dark"], "CHARGES")["STEP"] == 1.0
    assert page_data(ready.paths["report"])["waveform"]["mean"] == []


def test_our_own_files_of_charges_are_ready_charges(measured, tmp_path):
    result, _ = measured
    files = {name: result.paths[name] for name in ("dark", "light")}
    ready = run_ready(tmp_path, "charges", files, PIXELS)
    assert not ready.error, ready.error
    assert rows_of(ready.paths["spe"], "SPE") == rows_of(result.paths["spe"], "SPE")
    for name in files:
        for extension in ("CHARGES", "EVENTS"):
            assert rows_of(ready.paths[name], extension) == rows_of(files[name], extension)


def test_histograms_of_the_same_charges_give_the_same_bytes(measured, tmp_path):
    result, charges = measured
    files = {}
    for name, values in charges.items():
        counts, edges = whole_histograms(values)
        files[name] = write_histograms(tmp_path / f"{name}.h5", counts, edges=edges)
    ready = run_ready(tmp_path, "histograms", files, PIXELS, report=True)
    assert not ready.error, ready.error
    for name, extension in (("spectra", "SPECTRA"), ("spe", "SPE")):
        assert rows_of(ready.paths[name], extension) == rows_of(result.paths[name], extension)
    assert "the lamp is not checked" in ready.said
    header = fits.getheader(ready.paths["spe"], "SPE")
    assert header["LAMPCHK"] is False and "JITTER0" not in header
    assert "not checked" in ready.page and "2,000" in ready.page


def test_narrow_bins_are_added_up_as_those_of_charges_are(measured, tmp_path):
    """Charges in steps of a fiftieth: bins of both are a whole number of them wide."""
    _, charges = measured
    fine = {name: values[:2] * 50 for name, values in charges.items()}
    noise = np.random.default_rng(3)
    fine = {name: values + noise.integers(-25, 26, values.shape) for name, values in fine.items()}
    ready, counted = {}, {}
    for name, values in fine.items():
        ready[name] = write_charges(
            tmp_path / f"{name}.h5", values.T / 50, attributes={"step": 0.02}
        )
        counts, edges = whole_histograms(values)
        counted[name] = write_histograms(tmp_path / f"{name}_h.h5", counts, edges=edges / 50)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    by_charge = run_ready(tmp_path / "a", "charges", ready, (0, 1))
    by_count = run_ready(tmp_path / "b", "histograms", counted, (0, 1))
    a, b = (Table.read(each.paths["spectra"], hdu="SPECTRA") for each in (by_charge, by_count))
    assert (a["WIDTH"] > 0.02).all()
    assert np.allclose(a["WIDTH"], b["WIDTH"]) and np.allclose(a["START"], b["START"])
    assert np.array_equal(a["COUNTS"], b["COUNTS"])


def test_a_bad_pixel_may_be_missing_in_both_forms(measured, tmp_path):
    _, charges = measured
    kept = np.arange(N_PIXELS) != 3
    files, counted = {}, {}
    for name, values in charges.items():
        pixels = np.flatnonzero(kept)
        files[name] = write_charges(tmp_path / f"{name}.h5", values[kept].T, pixels=pixels)
        counts, edges = whole_histograms(values[kept])
        counted[name] = write_histograms(
            tmp_path / f"{name}_h.h5", counts, pixels=pixels, edges=edges
        )
    for form, given in (("charges", files), ("histograms", counted)):
        stopped = run_ready(tmp_path, form, given, PIXELS)
        assert "lacks pixel 3 (1 of the 16 that sstcam.pixels selects" in stopped.error
        masked = run_ready(tmp_path, form, given, PIXELS, bad_pixels=(3,))
        assert not masked.error, masked.error
        assert status_of(masked, 3) == ChargeStatus.MASKED and masked.good.sum() == N_PIXELS - 1


def test_positions_of_the_files_are_those_of_the_table(measured, tmp_path):
    _, charges = measured
    x, y = np.arange(4) * 0.01, np.arange(4) * -0.02
    files, counted = {}, {}
    for name, values in charges.items():
        files[name] = write_charges(tmp_path / f"{name}.h5", values[:4].T, pixel_x=x, pixel_y=y)
        counts, edges = whole_histograms(values[:4])
        counted[name] = write_histograms(
            tmp_path / f"{name}_h.h5", counts, edges=edges, pixel_x=x, pixel_y=y
        )
    for form, given in (("charges", files), ("histograms", counted)):
        rows = run_ready(tmp_path, form, given, range(4)).spe
        assert np.allclose(rows["X"], x) and np.allclose(rows["Y"], y)


@pytest.mark.parametrize(("unit", "column"), [("mV ns", "mV ns"), ("pulses", None)])
def test_the_unit_is_told(measured, tmp_path, unit, column):
    _, charges = measured
    files = {
        name: write_charges(tmp_path / f"{name}.h5", values[:4].T, unit=unit)
        for name, values in charges.items()
    }
    ready = run_ready(tmp_path, "charges", files, range(4), report=True)
    header = fits.getheader(ready.paths["spe"], "SPE")
    number = list(ready.spe.colnames).index("PE") + 1
    assert header["UNITSAMP"] == unit and header.get(f"TUNIT{number}") == column
    assert f"({unit})" in ready.page


# --- real files -----------------------------------------------------------------------------------


def test_a_histogram_of_an_oscilloscope(tmp_path):
    """The authors of spefit find 2.67e-3 a photoelectron, and crosstalk 0.247, in their units."""
    path = real_file("sipm/spefit_scope_data.npy")
    ready = run_ready(tmp_path, "histograms", {"scope": path}, [0])
    assert not ready.error, ready.error
    (row,) = ready.spe
    assert row["PE"] == pytest.approx(2.67e-3, rel=0.01)
    assert row["STATUS"] & ChargeStatus.POOR_FIT  # bins scatter 3.4 times as much as counts do
    assert row["FLASHES"][0] == np.load(path)[1].sum()


def test_tables_of_a_multichannel_analyser(tmp_path):
    """Self-triggered: no pedestal, peaks 27 to 28 apart. All counts arrive; the fit is flagged."""
    names = ("M11_LED_5nA", "M11_LED_10nA", "M11_LED_100nA")
    files = {}
    for name in names:
        source = real_file(f"sipm/ketek/{name}.csv")
        files[name] = shutil.copy(source, tmp_path)
    ready = run_ready(tmp_path, "histograms", files, [7])
    assert not ready.error, ready.error
    (row,) = ready.spe
    total = [np.loadtxt(path, delimiter=",", skiprows=1)[:, 1].sum() for path in files.values()]
    assert row["PIXEL"] == 7 and row["FLASHES"].tolist() == total
    assert row["STATUS"] & (ChargeStatus.POOR_FIT | ChargeStatus.AT_LIMIT)
    assert row["PE"] == pytest.approx(27.5, rel=0.05)
