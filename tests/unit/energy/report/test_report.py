"""The report: it holds the numbers of the products, needs no network, and is always the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.instruments import ECLAIRS, REFERENCE_ENERGIES_KEV
from helpers.page_text import is_shown, read_cells, unpack, words_of
from helpers.paths import PIXEL_MAP
from helpers.report_pages import TABLE, known_response, make_camera, page_data, write_report
from helpers.synthetic import GAIN, OFFSET, make_fits, silence

from pixelcal.camera import module_borders, read_pixel_map
from pixelcal.energy.report import camera as report_camera
from pixelcal.energy.report import changes as report_changes
from pixelcal.energy.report import energies as report_energies
from pixelcal.energy.report import observing as report_observing
from pixelcal.energy.report import pixels as report_pixels
from pixelcal.energy.report import response as report_response
from pixelcal.energy.report.products import Products, read_products
from pixelcal.energy.report.verdict import COLUMNS, verdict
from pixelcal.io.tables import read_columns
from pixelcal.plotting.colours import STATUS_COLOURS
from pixelcal.report.camera_map import view_of
from pixelcal.report.frame import compact_json, decimals, packed, scaled
from pixelcal.status import ENERGY_WORDS, EnergyStatus

SETTINGS = {"pixels": list(range(6400)), "note": "</script><b>&"}
MAP = read_pixel_map(PIXEL_MAP)


def spoil(rows):
    """A few pixels of each kind."""
    silence(rows, [17, 80], EnergyStatus.TOO_FEW_COUNTS)
    rows["COUNTS"][17] = 0
    silence(rows, [6399], EnergyStatus.NOT_CONVERGED)
    rows["STATUS"][[5, 6]] = EnergyStatus.POOR_FIT
    rows["PVALUE"][[5, 6]] = rows["PVALUE_CAMERA"][[5, 6]] = 2e-6


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Products of two exposures of the full camera, some pixels without a valid fit."""
    return make_camera(tmp_path_factory.mktemp("report"), change=spoil)


@pytest.fixture(scope="module")
def page(paths, tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("page"), paths, settings=SETTINGS)


@pytest.fixture(scope="module")
def data(page):
    return page_data(page)


def products(paths, method="joint", **extra):
    """The products of one exposure as the report reads them."""
    settings = {"name": "1ks", "method": method, "min_counts": 200} | extra
    lines = {"lines": PIXEL_MAP.parent / "lines" / "all_blocks.csv"}
    nominal = lambda detnum: (np.full(len(detnum), GAIN), np.full(len(detnum), OFFSET))  # noqa: E731
    return read_products(settings | lines, paths, nominal, instrument=ECLAIRS)


@pytest.fixture(scope="module")
def exposure(paths):
    return products(paths["1ks"])


# --- the page -------------------------------------------------------------------------------------


def test_the_page_shows_the_numbers_of_the_validation(page, paths):
    cells = read_cells(page).cells
    for exposure in paths.values():
        numbers = json.loads(exposure["validation"].read_text())
        for values in numbers["energies"].values():
            for part in (values, values["good"]):
                for _, key, form in COLUMNS:
                    value = part.get(key, values[key])
                    if value is not None:
                        factor = 100.0 if "%" in form else 1.0
                        assert is_shown(factor * value, cells), (key, value)
            assert any(f"{100 * values['pass_fraction']:.1f} %" in cell for cell in cells)
        assert f"All {numbers['n_answers']} valid fits" in cells
    reasons = "3 of 6400 pixels have no valid fit (2 too few counts, 1 not converged)."
    assert sum(reasons in cell for cell in cells) == len(paths)


def test_pulls_and_measured_points_are_those_of_the_validation(data, paths):
    for exposure, point in zip(data["exposures"], data["observing"]["measured"], strict=True):
        numbers = json.loads(paths[exposure["name"]]["validation"].read_text())["energies"]
        for pull in exposure["pulls"]:
            good = numbers[pull["energy"]]["good"]
            assert pull["mean"] == good["pull_mean"] and pull["width"] == good["pull_std"]
            step = pull["edges"][1] - pull["edges"][0]
            inside = step * sum(pull["density"]) * good["n"]
            rounded = 5e-5 * step * len(pull["density"]) * good["n"]
            assert inside + pull["outside"] == pytest.approx(good["n"], abs=rounded)
        for energy, values in numbers.items():
            assert point["passed"][energy] == pytest.approx(100 * values["pass_fraction"], abs=1e-3)
            assert point["rms"][energy] == values["rms_keV"]
    assert [point["name"] for point in data["observing"]["measured"]] == ["1ks", "10ks"]


def test_the_page_asks_the_network_for_nothing(page):
    addresses = read_cells(page).addresses
    assert addresses[0] == "data:,"
    assert all(address.startswith("#") for address in addresses[1:])


def test_five_exposures_of_the_camera_fit_into_10_megabytes(paths, page, tmp_path):
    five = {f"{name}{n}": exposure for n in range(3) for name, exposure in paths.items()}
    five.pop("10ks2")
    assert write_report(tmp_path, five).stat().st_size < 10e6


def test_settings_cannot_break_out_of_the_page(page):
    text = page.read_text("utf-8")
    assert "</script><b>&" not in text and "&lt;/script&gt;&lt;b&gt;&amp;" in text
    assert compact_json(["</script>"]) == '["\\u003c/script>"]'


def test_the_same_products_give_the_same_page(page, paths, tmp_path):
    again = write_report(tmp_path, paths, settings=SETTINGS)
    assert again.read_bytes() == page.read_bytes()


def test_the_page_names_inputs_with_their_checksums(page):
    cells = read_cells(page).cells
    assert {"events.fits", "0" * 64, "all_blocks.csv", "events counted"} <= set(cells)
    assert "events without a finite energy" not in cells  # no event was


def test_the_page_holds_the_relation(data, paths):
    relation = read_columns(paths["1ks"]["relation"], "RELATION")
    values = data["exposures"][0]["values"]
    for key, name in report_camera.SHOWN.items():
        column = np.asarray(relation[name])
        assert np.array_equal(unpack(values[key]), column.astype("f4"), equal_nan=True)
    assert unpack(values["status"])[17] == EnergyStatus.TOO_FEW_COUNTS
    assert np.array_equal(unpack(values["status"]), relation["STATUS"])
    assert np.isnan(unpack(values["gain"])[[17, 80, 6399]]).all()
    assert unpack(data["camera"]["x"])[:2].tolist() == [79, 78]
    assert unpack(data["camera"]["y"])[80] == 1
    assert len(np.unique(unpack(data["camera"]["module"]))) == 200


def test_the_shortest_exposure_that_is_enough_is_named(page):
    text = words_of(page)
    # The prediction may name another time, and says why.
    assert "The verdict at the top chooses among the exposures" in text
    assert "at all of them at once. Its time for 95 % can therefore be shorter or longer" in text
    assert "10ks (10 ks) is the shortest of the 2 exposures that meets the requirement." in text


# --- pages of unusual runs ------------------------------------------------------------------------


def lose_all(rows):
    silence(rows, rows["DETNUM"], EnergyStatus.TOO_FEW_COUNTS)


@pytest.mark.parametrize(
    ("n_pixels", "options", "method", "said"),
    [
        (64, {"change": lose_all}, "joint", "No pixel of any exposure has a valid fit."),
        (1, {}, "joint", "1 pixel is listed"),
        (64, {"with_truth": False}, "joint", "There is no truth for these events"),
        (64, {}, "two-step", "the method two-step learns no response."),
    ],
    ids=["no healthy pixel", "one pixel", "no truth", "two-step"],
)
def test_unusual_runs_get_a_page_that_says_so(tmp_path, n_pixels, options, method, said):
    paths = make_camera(tmp_path, n_pixels, {"week": 10000}, **options)
    page = write_report(tmp_path, paths, method=method)
    assert said in words_of(page)
    data = page_data(page)
    shown = data["exposures"][0]
    with_truth = options.get("with_truth", True)
    assert ("gain_true" in shown["values"]) == with_truth
    assert bool(shown["pulls"]) == (with_truth and "change" not in options)
    assert (shown["stack"] is None) == (method == "two-step" or "change" in options)


def test_without_truth_the_verdict_is_a_prediction(tmp_path):
    page = write_report(tmp_path, make_camera(tmp_path, 64, {"week": 10000}, with_truth=False))
    text = words_of(page)
    assert "of the pixels are predicted to pass" in text
    assert "two predicted σ within it at all reference energies" in page.read_text("utf-8")
    assert page_data(page)["observing"]["measured"][0]["passed"].keys() == {
        f"{energy:g}" for energy in REFERENCE_ENERGIES_KEV
    }


# --- verdict and numbers --------------------------------------------------------------------------


def make_numbers(fractions, truth=True, counts=(0, 0)):
    key = "pass_fraction" if truth else "predicted_pass_fraction"
    return {
        "truth": truth,
        "n_pixels": 100,
        "n_masked": 0,
        "n_answers": 100 - sum(counts) if any(fractions.values()) else 0,
        "n_no_answer": sum(counts),
        "status_counts": {"TOO_FEW_COUNTS": counts[0], "NOT_CONVERGED": counts[1]},
        "energies": {
            energy: {"trusted": {key: fraction}} for energy, fraction in fractions.items()
        },
        "n_doubtful": 0,
    }


@pytest.mark.parametrize(
    ("fractions", "meets", "text"),
    [
        ({"4": 0.95, "150": 0.99}, True, "Meets the requirement: at the worst energy, 4 keV"),
        (
            {"4": 0.97, "150": 0.949},
            False,
            "Does not meet the requirement: at the worst energy, 150 keV, 94.90 % of the pixels",
        ),
        ({"4": 0.97, "150": None}, False, "Does not meet"),
        ({"4": None, "150": None}, False, "No pixel has a valid fit"),
    ],
)
def test_verdict(fractions, meets, text):
    labels = {"TOO_FEW_COUNTS": "dim", "NOT_CONVERGED": "lost"}
    found = verdict(make_numbers(fractions, counts=(1, 2)), labels)
    assert found["meets"] is meets and found["text"].startswith(text)
    assert found["reasons"] == "3 of 100 pixels have no valid fit (1 dim, 2 lost)."


def test_without_truth_an_unknown_systematic_uncertainty_decides_nothing():
    """As by the method two-step, which knows none."""
    numbers = make_numbers({"4": 0.97, "150": 0.93}, truth=False)
    for values in numbers["energies"].values():
        values["common_sigma_keV"] = None
        values["trusted"]["predicted_pass_fraction_total"] = 0.9
    found = verdict(numbers, {"TOO_FEW_COUNTS": "dim", "NOT_CONVERGED": "lost"})
    assert found["meets"] is False and "93.00 %" in found["text"]


def test_every_bit_of_the_status_reaches_the_page():
    rows, _ = make_fits(len(EnergyStatus))
    rows["STATUS"] = list(EnergyStatus)
    prior = np.full(len(rows), GAIN), np.full(len(rows), OFFSET)
    exposure = Products({}, rows, {}, None, prior, None, TABLE, {}, {}, instrument=ECLAIRS)
    assert unpack(report_camera.values(exposure)["status"]).tolist() == list(EnergyStatus)


def test_status_in_words():
    assert len(ENERGY_WORDS.labels) == len(STATUS_COLOURS) == len(EnergyStatus) + 1
    assert ENERGY_WORDS.words(0) == "good fit"
    assert (
        ENERGY_WORDS.words(EnergyStatus.MASKED | EnergyStatus.OUTLIER)
        == "masked by the user, outlier"
    )
    indices = ENERGY_WORDS.dominant(
        [0, *EnergyStatus, EnergyStatus.POOR_FIT | EnergyStatus.NOT_CONVERGED]
    )
    assert indices.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3]


def test_packed_numbers_come_back():
    values = np.array([0.0, 1.25, -3.5])
    assert np.array_equal(unpack(packed(values, "f4")), values)
    for top, kind in ((255, "u1"), (256, "u2"), (65536, "u4")):
        array = packed([0, top], "u4")
        assert array["type"] == kind and unpack(array).tolist() == [0, top]
    numbers = np.random.default_rng(1).uniform(0, 700, 500)
    assert np.abs(unpack(scaled(numbers)) - numbers).max() < 1e-5 * numbers.max()
    assert unpack(scaled(np.zeros(3))).tolist() == [0, 0, 0]
    assert decimals([1.23456, np.nan], 2) == [1.23, None]


# --- camera ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "n_areas"), [("MODULE", 200), ("SECTOR", 8)])
def test_borders_are_whole_lines(column, n_areas):
    lines = report_camera.broken_lines(MAP, column)
    x, y = (np.array(lines[name], float).reshape(-1, 3)[:, :2] for name in ("x", "y"))
    length = np.abs(np.diff(x)).sum() + np.abs(np.diff(y)).sum()
    # Modules: 9 borders from bottom to top, 19 from left to right; sectors: 1 and 3.
    expected = {200: 28 * 80, 8: 4 * 80}[n_areas]
    assert length == expected
    assert len(x) == {200: 28, 8: 4}[n_areas]
    if column == "MODULE":
        assert module_borders(MAP)[0].shape[1] == expected


def test_the_small_map_holds_each_pixel_once(exposure):
    paths = report_camera.pass_map(exposure, report_energies.PASS_WORDS, 79)
    image = np.full((80, 80), -1)
    for part in paths:
        for piece in filter(None, part["path"].split("z")):
            place, length = piece.removeprefix("M").split("v")[0].split("h")
            column, line = map(int, place.split())
            assert (image[line, column : column + int(length)] == -1).all()
            image[line, column : column + int(length)] = part["index"]
    assert (image >= 0).all()
    assert np.bincount(image.ravel(), minlength=4).tolist() == [part["n"] for part in paths]
    # DETNUM 17 is in the lowest row (Y = 0), 62 from the left: it has no valid fit.
    assert image[79, 62] == report_energies.WITHOUT_VALID_FIT


@pytest.mark.parametrize(
    ("x", "y", "view"),
    [
        (range(80), range(80), {"box": "0 0 80 80", "width": 124, "height": 124}),
        (range(16, 80), [79], {"box": "16 79 64 1", "width": 124, "height": 31}),  # a strip
        ([3], range(10, 50), {"box": "3 10 1 40", "width": 31, "height": 124}),
        (range(8, 24), range(40, 48), {"box": "8 40 16 8", "width": 124, "height": 62}),
        ([5], [6], {"box": "5 6 1 1", "width": 124, "height": 124}),
    ],
)
def test_a_small_map_is_of_its_pixels(x, y, view):
    columns, rows = np.meshgrid(x, y)
    assert view_of(columns.ravel(), rows.ravel()) == view


def test_all_five_energies_at_once(exposure):
    excess = np.abs(exposure.error()) / np.array([0.3, 0.3, 0.3, 0.3, 0.5])[:, None]
    passed = [bool((excess[:, i] <= 1).all()) for i in range(excess.shape[1])]
    point = report_observing.measured(exposure)
    assert point["passed"]["all"] == round(100 * sum(passed) / len(passed), 3)


# --- against energy -------------------------------------------------------------------------------


def test_bands_are_percentiles_of_the_error(exposure):
    bands = report_energies.bands(exposure)
    at = bands["energies"].index(80.0)
    gain_true, offset_true = exposure.truth.gain, exposure.truth.offset
    x = (80.0 - offset_true) / gain_true
    error = np.sort(exposure.column("GAIN") * x + exposure.column("OFFSET") - 80.0)
    error = error[np.isfinite(error)]
    for percent, band in zip(report_energies.BAND_PERCENTILES, bands["error"], strict=True):
        below = np.searchsorted(error, band[at]) / len(error)
        assert below == pytest.approx(percent / 100, abs=2 / len(error) + 1e-3)
    assert bands["requirement"][at] == 0.3 and bands["requirement"][at + 1] == 0.5


def test_pull_histograms_hold_all_valid_fits(exposure):
    for pull in report_energies.pulls(exposure):
        inside = sum(pull["density"]) * 0.25
        assert inside + pull["outside"] / 6397 == pytest.approx(1, abs=40 * 5e-5 * 0.25)


# --- response -------------------------------------------------------------------------------------


def test_the_stack_follows_the_response_it_was_drawn_from(exposure):
    # The spectra were drawn with the relations of the fits, not the truth: alignment is exact.
    relation = exposure.relation.copy()
    relation["GAIN_ERR"], relation["OFFSET_ERR"] = 1e-9, 1e-6
    relation["GAIN_OFFSET_COV"] = 0.0
    stack = report_response.stack(replace(exposure, relation=relation))
    assert stack["n_pixels"] == (exposure.status == 0).sum() > 6390
    assert stack["scale"] == pytest.approx(1, abs=0.002)
    for block in stack["blocks"]:
        residuals = np.array(block["residuals"])
        # Sharing counts with the neighbours makes residuals smaller than 1.
        assert np.sqrt(np.mean(residuals**2)) < 1.3, block["name"]
        assert (np.array(block["continuum"]) <= np.array(block["model"])).all()


def test_labels_of_lines_by_block():
    labels = report_pixels.labels_of_blocks(TABLE)
    texts = {name: [label["label"] for label in block] for name, block in labels.items()}
    assert texts["cadmium-tellurium"] == ["Cd Kα", "Cd Kβ", "Te Kα", "Te Kβ"]
    assert labels["copper"][1] == {"label": "Cu Kβ₁,₃", "energy": 8.905}


def test_the_shape_is_told_in_words():
    rows = dict(report_response.shape_table(known_response(), TABLE.block_names))
    assert rows["FWHM of the core at 60 keV"] == "1.600 keV"
    assert rows["Degrees of freedom"] == "480"


# --- pixels in question ---------------------------------------------------------------------------


def test_flagged_pixels_come_first_then_the_worst(exposure):
    # Beside those that were spoilt, of 6400 pixels one is an outlier by chance.
    rows, words = report_pixels.choose(exposure)
    n = int((exposure.status != 0).sum())
    assert exposure.detnum[rows[:3]].tolist() == [17, 80, 6399]
    assert {5, 6} <= set(rows[3:n]) and 5 <= n <= 8
    assert len(rows) == report_pixels.MOST_PIXELS
    excess = np.nan_to_num(exposure.excess().max(axis=0))
    good = np.flatnonzero(exposure.status == 0)
    assert excess[rows[n:]].min() >= np.sort(excess[good])[n - 100]
    over = int((excess[good] > 1).sum())
    assert f"100 pixels are listed: {n} with a STATUS other than 0 (masked ones apart)" in words
    assert f"of the {over} others over the requirement at any energy the {100 - n} worst" in words


def test_flags_leave_room_for_the_worst(paths):
    exposure = products(paths["1ks"])
    exposure.relation["STATUS"][1000:2000] |= int(EnergyStatus.OUTLIER)
    rows, words = report_pixels.choose(exposure)
    n = (exposure.status != 0).sum()
    assert (exposure.status[rows] != 0).sum() == report_pixels.MOST_FLAGGED
    assert len(rows) == report_pixels.MOST_PIXELS and f"70 of the {n} with a STATUS" in words
    exposure.relation["STATUS"][:] |= int(EnergyStatus.MASKED)
    rows, words = report_pixels.choose(exposure)
    assert len(rows) == 0 and words.startswith("No pixel is in question")


def test_reasons_in_words(exposure):
    assert report_pixels.reason(exposure, 17) == "too few counts: 0 of the 200 needed"
    assert report_pixels.reason(exposure, 6399) == "not converged: the fit found no minimum"
    assert report_pixels.reason(exposure, 5).startswith("poor fit: p-value 2.0 × 10⁻⁶")
    row = int(np.nanargmax(exposure.excess().max(axis=0)))
    at = int(np.argmax(exposure.excess()[:, row]))
    text = report_pixels.reason(exposure, row)
    error = f"{exposure.error()[at, row]:+.3f}".replace("-", "−")
    assert f"{error} keV at {REFERENCE_ENERGIES_KEV[at]:g} keV" in text


def test_fits_of_the_pixels_are_their_spectra(exposure):
    rows = np.array([100, 17, 80])
    fits = report_pixels.fits(exposure, rows)
    fit = fits["100"]
    counts = unpack(fit["counts"])
    spectrum = np.asarray(exposure.spectra["COUNTS"])[100]
    gain, offset = exposure.column("GAIN")[100], exposure.column("OFFSET")[100]
    assert fit["gain"] == pytest.approx(gain, abs=1e-8)
    assert fit["offset"] == pytest.approx(offset, abs=1e-5)
    start = 0
    for first, size in zip(fit["first"], fit["sizes"], strict=True):
        assert np.array_equal(counts[start : start + size], spectrum[first : first + size])
        start += size
    # Drawn from that response: the deviation is that of counting.
    model = unpack(fit["model"])
    assert abs(counts.sum() - model.sum()) < 5 * np.sqrt(counts.sum())
    assert (unpack(fit["continuum"]) <= model + 1e-3).all()
    assert "model" not in fits["80"] and unpack(fits["80"]["counts"]).sum() > 0
    assert unpack(fits["17"]["counts"]).sum() == 0


def test_two_step_pixels_have_their_data(paths):
    without_response = {key: path for key, path in paths["1ks"].items() if key != "response"}
    fit = report_pixels.fits(products(without_response, "two-step"), np.array([100]))["100"]
    assert "model" not in fit and unpack(fit["counts"]).sum() > 0


# --- changes --------------------------------------------------------------------------------------


def single_change(gain_err, offset_err, covariance, gain, offset):
    rows, _ = make_fits(1)
    rows["GAIN"], rows["OFFSET"] = GAIN + gain, OFFSET + offset
    rows["GAIN_ERR"], rows["OFFSET_ERR"] = gain_err, offset_err
    rows["GAIN_OFFSET_COV"] = covariance
    return Products(
        {},
        rows,
        {},
        None,
        (np.array([GAIN]), np.array([OFFSET])),
        None,
        TABLE,
        {},
        {},
        instrument=ECLAIRS,
    )


def test_significance_of_a_change():
    apart = single_change(1e-3, 0.1, 0.0, 3e-3, 0.4)
    assert report_changes.significance(apart)[0] == pytest.approx(5.0)  # 3 and 4 sigma
    covariance = np.array([[1e-6, -8e-5], [-8e-5, 1e-2]])
    change = np.array([2e-3, 0.1])
    exposure = single_change(1e-3, 0.1, -8e-5, *change)
    expected = np.sqrt(change @ np.linalg.solve(covariance, change))
    assert report_changes.significance(exposure)[0] == pytest.approx(expected, rel=1e-9)


def test_the_list_of_changes_begins_with_the_largest(exposure):
    found = report_changes.changes(exposure, 5.0)
    size = report_changes.significance(exposure)
    assert found["rows"][0]["pixel"] == int(np.nanargmax(size))
    assert len(found["rows"]) == report_changes.MOST_CHANGES
    assert f"{int((size > 3).sum())} of 6397 pixels with a valid fit changed" in found["text"]


# --- how long to observe --------------------------------------------------------------------------


def test_the_prediction_is_shown(tmp_path):
    paths = make_camera(tmp_path, 64, {"week": 10000})
    page = write_report(tmp_path, paths)
    cells = read_cells(page).cells
    row = cells.index("8.77 ks")
    assert cells[row - 1 : row + 2] == ["week", "8.77 ks", "43.2 ks"]
    assert cells[row + 2] == "– too many pixels see nothing"
    assert any("Fisher information of a test" in cell for cell in cells)
    curves = page_data(page)["observing"]["predicted"]["week"]
    assert curves["seconds"] == [1e3, 1e4, 1e5]
    assert curves["passed"]["150"] == [50, 97.4, 99.9]
    assert curves["passed"]["all"] == [40, 96, 99.8]
    assert curves["sigma"]["15"] == [0.4, 0.1, None]
