"""Event files of the user's: by editing `events:` alone, to the end of the chain."""

import json
import shutil

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from helpers.instruments import ECLAIRS

from pixelcal.energy.relation import energy_error
from pixelcal.energy.simulation.writer import to_flight_layout, write_events
from pixelcal.io.provenance import file_sha256

SECONDS = 10000.0


def run_chain(folder, snakemake, name, settings):
    """Run the whole chain with `settings` on top of the CI configuration."""
    settings = {"exposures": {name: {"seconds": SECONDS}}} | settings
    (folder / "own.yaml").write_text(yaml.safe_dump(settings))
    run = snakemake(folder, "--configfile", "config/ci.yaml", "own.yaml")
    assert run.returncode == 0, run.stderr[-6000:]
    assert (folder / "results" / "report.html").is_file()
    return folder / "results" / "eclairs" / name


def counts_of(folder):
    return fits.getdata(folder / "spectra.fits", "SPECTRA")["COUNTS"]


@pytest.fixture
def simulated(ci_results):
    """The simulated events of the CI workflow and their good times."""
    folder = ci_results / "eclairs" / "events"
    return folder / "events.fits", folder / "gti.fits"


def test_own_column_names_in_two_files(simulated, ci_results, project, snakemake):
    """The simulated events under other names, cut in two: the same spectra."""
    events, gti = simulated
    data = fits.getdata(events, "EVENTS")
    header = fits.getheader(events, "EVENTS")
    middle = len(data) // 2
    for number, part in enumerate((data[:middle], data[middle:])):
        table = Table(
            {
                "WHEN": part["TIME"],
                "PIX": part["DETNUM"].astype("i4"),
                "E": part["energy"],
                "N": part["effMult"].astype("i2"),
            }
        )
        hdu = fits.table_to_hdu(table)
        for key in ("TSTART", "TSTOP", "MJDREFI", "MJDREFF", "TIMESYS"):
            hdu.header[key] = header[key]
        hdu.writeto(project / f"part{number}.fits")
    with fits.open(gti) as hdus:  # names of one's own for the criteria too
        hdus["GTICAL-NEO"].name, hdus["GTICAL-NSA"].name = "NIGHT", "OUTSIDE"
        hdus.writeto(project / "good.fits", checksum=True)
    own = {
        "files": ["part0.fits", "part1.fits"],
        "columns": {"energy": "E", "pixel": "PIX", "multiplicity": "N", "time": "WHEN"},
        "gti": {"file": "good.fits", "criteria": ["NIGHT", "OUTSIDE"]},
    }
    folder = run_chain(project, snakemake, "10ks", {"events": own})
    theirs = ci_results / "eclairs" / "10ks"
    assert np.array_equal(counts_of(folder), counts_of(theirs))
    assert (folder / "truth.ecsv").read_bytes() == (theirs / "truth.ecsv").read_bytes()
    assert not (project / "results" / "eclairs" / "events").exists()


def test_flight_layout_with_its_good_times(simulated, project, snakemake):
    """Channels made with a known relation come back as that relation; the truth says: none."""
    events, gti = simulated
    data = np.array(fits.getdata(events, "EVENTS"))
    data = data[data["effMult"] == 1].astype(data.dtype.newbyteorder("="))
    rng = np.random.default_rng(8)
    gain = 0.145 * (1 + 0.003 * rng.standard_normal(6400))
    offset = 3.0 + 0.1 * rng.standard_normal(6400)
    times = [("TSTART", data["TIME"][0], "[s]"), ("TSTOP", data["TIME"][-1], "[s]")]
    write_events(
        project / "flight.fits",
        [to_flight_layout(data, gain, offset, instrument=ECLAIRS)],
        "ecl-evt-cal",
        times,
    )
    shutil.copy(gti, project / "gti.fits")
    own = {
        "files": ["flight.fits"],
        "layout": "ecl-evt-cal",
        "multiplicity": "all",
        "gti": {"file": "gti.fits", "criteria": ["GTICAL-NEO", "GTICAL-NSA", "GTICAL-TLM"]},
    }
    folder = run_chain(project, snakemake, "flight", {"events": own})
    truth = Table.read(folder / "truth.ecsv")
    assert truth.meta["TRUTH"] is False and np.isnan(truth["GAIN"]).all()
    assert json.loads((folder / "validation.json").read_text())["truth"] is False
    relation = Table(fits.getdata(folder / "relation.fits", "RELATION"))
    for energy, requirement in ((15.0, 0.3), (50.0, 0.3), (80.0, 0.3)):
        error = energy_error(energy, relation["GAIN"], relation["OFFSET"], gain[:64], offset[:64])
        assert np.mean(np.abs(error) < requirement) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 64)


def test_pixel_17_in_other_company(ci_project, ci_results, project, snakemake):
    """Its spectrum is the same to the byte; so is its fit, once the response is the same."""
    shutil.copy(ci_results / "eclairs" / "10ks" / "response.fits", project / "response.fits")
    settings = {"pixels": "15-30,4000-4002", "fit": {"response": "response.fits"}}
    folder = run_chain(project, snakemake, "10ks", settings)
    theirs = ci_results / "eclairs" / "10ks"
    assert np.array_equal(counts_of(folder)[17 - 15], counts_of(theirs)[17])
    own, other = (fits.getdata(f / "relation.fits", "RELATION") for f in (folder, theirs))
    assert own["DETNUM"][17 - 15] == other["DETNUM"][17] == 17
    for name in own.columns.names:
        if name != "STATUS":  # neighbours are what bit 64 compares with
            np.testing.assert_array_equal(own[name][17 - 15], other[name][17], name)
    assert not (folder / "response.fits").exists()
    header = fits.getheader(folder / "relation.fits", "RELATION")
    assert header["RESPONSE"] == "response.fits"
    assert header["RESPSHA"] == file_sha256(project / "response.fits")
