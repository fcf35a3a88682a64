"""Products of whole exposures for the tests of the report, and the page made from them.

The spectra are drawn from a response that is known; relations, errors and truth are those of
`synthetic.make_fits`.
"""

from __future__ import annotations

import json
import re

import numpy as np
from astropy.io import fits

from helpers.instruments import ESCAPES_KEV, EXPECTED, N_CHANNELS, REFERENCE_ENERGIES_KEV
from helpers.paths import LINES, PIXEL_MAP
from helpers.synthetic import GAIN, OFFSET, make_fits, run_script, write_exposure
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.response.io import write_response
from pixelcal.energy.response.line_shape import escape_peaks, line_cdf
from pixelcal.energy.response.model import CONTINUUM_ORDER, Response, continuum_functions
from pixelcal.energy.response.population import wide_population_scale
from pixelcal.io.tables import read_table, table_hdu, write_ecsv, write_fits

TABLE = read_line_table(LINES)
PER_EXPOSURE = ("relation", "validation", "truth", "response", "prediction")


def known_response(counts_per_line=60.0) -> Response:
    """A response with lines in proportion to their intensities on a continuum of 5 counts/keV."""
    continuum = np.zeros((TABLE.n_blocks, CONTINUUM_ORDER + 1 + len(ESCAPES_KEV)))
    continuum[:, 0] = 5.0
    strengths = counts_per_line * TABLE.intensity
    return Response(
        EXPECTED,
        strengths,
        continuum,
        wide_population_scale(TABLE),
        np.zeros((2, 2)),
        500.0,
        480,
    )


def draw_spectra(rows, response: Response, seed: int) -> np.ndarray:
    """Poisson counts (n, 1024) of pixels whose relations are those of `rows`, in all blocks."""
    energy = np.arange(0.0, 160.0, 0.02)
    density = np.zeros(len(energy))
    limits = TABLE.block_limits_keV
    # A continuum goes on beyond its block, as a channel at the limit reaches out of it.
    owner = np.searchsorted((limits[:-1, 1] + limits[1:, 0]) / 2, energy)
    for block, (low, high) in enumerate(limits):
        near = (owner == block) & (energy > low - 1) & (energy < high + 1)
        functions = continuum_functions(
            (low, high), np.clip(energy[near], low, high), response.shape
        )
        density[near] = response.continuum[block] @ functions
    cumulative = np.concatenate([[0.0], np.cumsum(density)[:-1]]) * 0.02
    for profile in (line_cdf, escape_peaks):
        cumulative += response.line_strength @ profile(response.shape, TABLE.energy_keV, energy)
    gain = np.nan_to_num(rows["GAIN"], nan=GAIN)[:, None]
    offset = np.nan_to_num(rows["OFFSET"], nan=OFFSET)[:, None]
    edges = gain * np.arange(N_CHANNELS + 1) + offset
    expected = np.diff(np.interp(edges, energy, cumulative), axis=1)
    return np.random.default_rng(seed).poisson(expected)


def make_prediction():
    """A prediction as `observing_time.json` holds it, with numbers that are easy to recognise."""
    seconds = [1e3, 1e4, 1e5]
    fraction = [[0.5, 0.97 + 0.001 * i, 0.999] for i in range(5)]
    sigma = [[0.3 + 0.1 * i, 0.1, None] for i in range(5)]
    return {
        "seconds": seconds,
        "energies_keV": list(REFERENCE_ENERGIES_KEV),
        "sigma_keV": {"median": sigma, "p90": sigma, "rms": sigma},
        "pass_fraction": fraction,
        "pass_fraction_all": [0.4, 0.96, 0.998],
        "shortest_seconds": {"0.95": 8765.4, "0.99": 43210.0, "0.999": None},
        "why": {"0.999": "too many pixels see nothing"},
        "basis": "Fisher information of a test",
    }


RATE_BINS, FIRST_LOST, HALF_LOST = 200, 60, 80
"""Bins of the rate; from FIRST_LOST to HALF_LOST there is no good time, and half of it there."""


def make_rate(seconds: float, seed: int) -> np.ndarray:
    """A table RATE of `seconds` of good time in 200 bins with a gap, at 20 events per second."""
    rate = np.zeros(RATE_BINS, [("TIME", "f8"), ("SECONDS", "f8"), ("COUNTS", "i8")])
    step = seconds / (RATE_BINS - (HALF_LOST - FIRST_LOST) - 0.5)
    rate["TIME"] = 1e7 + step * np.arange(RATE_BINS)
    rate["SECONDS"] = step
    rate["SECONDS"][FIRST_LOST:HALF_LOST] = 0
    rate["SECONDS"][HALF_LOST] = step / 2
    rate["COUNTS"] = np.random.default_rng(seed).poisson(20 * rate["SECONDS"])
    return rate


def make_exposure(
    folder,
    name,
    seconds,
    rows,
    truth,
    seed=3,
    prediction=None,
    response=None,
    n_above=0,
    old_spectra=False,
    **options,
) -> dict:
    """Paths of all products of one exposure, spectra and response among them.

    `n_above` events are lost above the last channel; `old_spectra` know neither their rate nor what
    became of the events.
    """
    paths = write_exposure(folder, name, seconds, rows, truth, **options)
    response = response or known_response()
    rate = make_rate(seconds, seed)
    n_used = int(rate["COUNTS"].sum())
    spectra = np.zeros(len(rows), [("DETNUM", "i2"), ("COUNTS", "i4", (N_CHANNELS,))])
    spectra["DETNUM"] = rows["DETNUM"]
    spectra["COUNTS"] = draw_spectra(rows, response, seed)
    spectra["COUNTS"][rows["COUNTS"] == 0] = 0
    cards = [("EXPOSURE", float(seconds)), ("GOODTIME", 20000.0)]
    fates = [
        ("EVREAD", n_used + 100 + n_above, "events read"),
        ("EVUSED", n_used, "events counted"),
        ("REJTIME", 100, "events outside the good time used"),
        ("REJNAN", 0, "events without a finite energy"),
        ("REJABOVE", n_above, "events above channel 1023"),
    ]
    hdus = [table_hdu(spectra, "SPECTRA", cards=cards + ([] if old_spectra else fates))]
    hdus += [] if old_spectra else [table_hdu(rate, "RATE", {"TIME": "s", "SECONDS": "s"})]
    write_fits(paths["spectra"], hdus)
    paths["response"] = folder / name / "response.fits"
    write_response(paths["response"], response, TABLE, [], None)
    paths["prediction"] = folder / name / "observing_time.json"
    paths["prediction"].write_text(json.dumps(prediction or make_prediction()))
    return paths


def displace(paths, sigma_keV=0.05):
    """Add to the truth of an exposure what displaces energies: normal draws, another per energy."""
    truth = read_table(paths["truth"])
    random = np.random.default_rng(4)
    for energy in REFERENCE_ENERGIES_KEV:
        truth[f"SHIFT_{energy:g}"] = sigma_keV * random.standard_normal(len(truth))
    write_ecsv(paths["truth"], truth)


def make_camera(folder, n_pixels=6400, seconds=None, change=None, **options) -> dict[str, dict]:
    """Products of several exposures by name; `change(rows)` spoils the fits first."""
    made = {}
    for seed, (name, good_time) in enumerate((seconds or {"1ks": 1000, "10ks": 10000}).items()):
        rows, truth = make_fits(n_pixels, seed=seed, sigma_slope=0.3 / np.sqrt(10 * good_time))
        if change is not None:
            change(rows)
        made[name] = make_exposure(folder, name, good_time, rows, truth, seed, **options)
    return made


def write_report(folder, paths, name="report.html", method="joint", settings=None, epochs=None):
    """Run the rule's script on the products of several exposures; `epochs`: shown ones and all."""
    exposures = [
        {"name": name, "method": method, "lines": str(LINES), "min_counts": 200} for name in paths
    ]
    given = {
        f"{kind}s": [exposure[kind] for exposure in paths.values() if kind in exposure]
        for kind in PER_EXPOSURE
    }
    given["spectra"] = [exposure["spectra"] for exposure in paths.values()]
    given["pixel_map"] = PIXEL_MAP
    params = {
        "exposures": exposures,
        "relation": {"gain_keV": GAIN, "offset_keV": OFFSET},
        "settings": settings or {"pixels": list(range(6400))},
        "threshold": 5.0,
        "camera": "eclairs",
        "epochs": epochs,
    }
    page = folder / name
    made = {"report": page, "summary": page.with_suffix(".json")}
    run_script("report", folder, given, made, params)
    return page


def page_data(page) -> dict:
    """What the page draws from."""
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1])


def set_in_relation(path, columns, cards=()) -> None:
    """Set columns (n,) of the table RELATION of a product, or add them, and header cards."""
    with fits.open(path) as hdus:
        table = hdus["RELATION"]
        kept = [column for column in table.columns if column.name not in columns]
        new = [fits.Column(name, "D", array=values) for name, values in columns.items()]
        table = fits.BinTableHDU.from_columns([*kept, *new], name="RELATION")
        table.header.extend(hdus["RELATION"].header, unique=True)
        table.header.extend(cards, update=True)
        others = [hdu.copy() for hdu in hdus if hdu.name != "RELATION"]
        fits.HDUList([others[0], table, *others[1:]]).writeto(path, overwrite=True, checksum=True)
