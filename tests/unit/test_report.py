"""The page and the figures: they hold the numbers, need no network, and are the same every time."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from synthetic import PIXEL_MAP, make_fits, run_script, silence, write_exposure

from pixelcal.eclairs.quantities import STATUS_LABELS, gravest_status, status_words
from pixelcal.eclairs.relation import Status
from pixelcal.labels import STATUS_COLOURS
from pixelcal.products import write_text
from pixelcal.report import COLUMNS, compact_json, verdict

SECONDS = {"1ks": 1000, "10ks": 10000}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium command on PATH")


def write_report(folder, paths, name="report.html"):
    """Run the rule's script on the products of several exposures."""
    exposures = [{"name": own, "method": "joint"} for own in paths]
    given = {
        f"{kind}s": [own[kind] for own in paths.values() if kind in own]
        for kind in ("relation", "validation", "truth")
    }
    settings = {"pixels": list(range(6400)), "note": "</script><b>&"}
    params = {"exposures": exposures, "settings": settings}
    run_script("report", folder, given, {"report": folder / name}, params)
    return folder / name


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Products of two exposures of the full camera, some pixels without an answer."""
    folder = tmp_path_factory.mktemp("report")
    made = {}
    for seed, (name, seconds) in enumerate(SECONDS.items()):
        rows, truth = make_fits(seed=seed, sigma_slope=0.3 / np.sqrt(10 * seconds))
        silence(rows, [17, 80], Status.TOO_FEW_COUNTS)
        silence(rows, [6399], Status.NOT_CONVERGED)
        made[name] = write_exposure(folder, name, seconds, rows, truth)
    return made


@pytest.fixture(scope="module")
def page(paths, tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("page"), paths)


class Cells(HTMLParser):
    """Texts of all table cells, of captions, and all addresses that the page loads."""

    def __init__(self):
        super().__init__()
        self.cells, self.addresses, self._inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for key, value in attrs if key in ("src", "href")]
        if tag in ("td", "th", "caption"):
            self.cells.append("")
            self._inside = True

    def handle_endtag(self, tag):
        self._inside = self._inside and tag not in ("td", "th", "caption")

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


def read_cells(page):
    parser = Cells()
    parser.feed(page.read_text("utf-8"))
    return parser


def page_data(page):
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1])


def test_the_page_shows_the_numbers_of_the_validation(page, paths):
    cells = read_cells(page).cells
    for own in paths.values():
        numbers = json.loads(own["validation"].read_text())
        for values in numbers["energies"].values():
            for part in (values, values["good"]):
                for _, key, form in COLUMNS:
                    text = form.format(part[key])
                    assert any(cell.split(" ±")[0] == text for cell in cells), (key, text)
        assert f"All {numbers['n_answers']} answers" in cells
    reasons = "3 of 6400 pixels have no answer (2 too few counts, 1 not converged)."
    assert cells.count(reasons) == len(SECONDS)


def test_the_page_asks_the_network_for_nothing(page):
    assert read_cells(page).addresses == ["data:,"]
    assert page.stat().st_size < 10e6


def test_settings_cannot_break_out_of_the_page(page):
    text = page.read_text("utf-8")
    assert "</script><b>&" not in text and "&lt;/script&gt;&lt;b&gt;&amp;" in text
    assert compact_json(["</script>"]) == '["\\u003c/script>"]'


def test_the_same_products_give_the_same_page(page, paths, tmp_path):
    assert write_report(tmp_path, paths).read_bytes() == page.read_bytes()


def test_the_maps_hold_the_relation(page, paths):
    data = page_data(page)
    truth_in, _ = make_fits(seed=0, sigma_slope=0.3 / np.sqrt(10 * SECONDS["1ks"]))
    gain = data["maps"]["1ks"]["gain"]
    assert [i for i, value in enumerate(gain) if value is None] == [17, 80, 6399]
    known = [i for i in range(6400) if gain[i] is not None]
    assert np.allclose([gain[i] for i in known], truth_in["GAIN"][known], rtol=0, atol=5.1e-7)
    assert data["maps"]["1ks"]["status"][17] == Status.TOO_FEW_COUNTS
    assert data["x"][:2] == [79, 78] and data["y"][80] == 1
    assert {"error_4", "sigma_4"} <= data["maps"]["10ks"].keys()


def test_pass_fractions_by_rising_exposure(page, paths):
    passes = page_data(page)["passes"]
    assert passes["names"] == list(SECONDS) and passes["seconds"] == list(SECONDS.values())
    numbers = json.loads(paths["10ks"]["validation"].read_text())["energies"]
    for line in passes["lines"]:
        share = 100 * numbers[line["energy"]]["pass_fraction"]
        assert line["shares"][1] == pytest.approx(share, abs=5.1e-4)


def test_without_truth_the_page_shows_predictions(tmp_path):
    rows, truth = make_fits(64)
    paths = {"flight": write_exposure(tmp_path, "flight", 500, rows, truth, with_truth=False)}
    page = write_report(tmp_path, paths)
    assert "There is no truth for these events" in page.read_text("utf-8")
    assert any("are predicted to pass" in cell for cell in read_cells(page).cells)
    data = page_data(page)
    assert "error_4" not in data["maps"]["flight"]
    assert data["passes"]["title"] == "Predicted pass fraction"


def make_numbers(shares, truth=True, counts=(0, 0)):
    key = "pass_fraction" if truth else "predicted_pass_fraction"
    return {
        "truth": truth,
        "n_pixels": 100,
        "n_masked": 0,
        "n_no_answer": sum(counts),
        "status_counts": {"TOO_FEW_COUNTS": counts[0], "NOT_CONVERGED": counts[1]},
        "energies": {energy: {key: share} for energy, share in shares.items()},
    }


@pytest.mark.parametrize(
    ("shares", "meets", "text"),
    [
        ({"4": 0.95, "150": 0.99}, True, "Meets the requirement: at the worst energy, 4 keV"),
        (
            {"4": 0.97, "150": 0.949},
            False,
            "Does not meet the requirement: at the worst energy, 150",
        ),
        ({"4": 0.97, "150": None}, False, "Does not meet"),
        ({"4": None, "150": None}, False, "No pixel has an answer"),
    ],
)
def test_verdict(shares, meets, text):
    labels = {"TOO_FEW_COUNTS": "dim", "NOT_CONVERGED": "lost"}
    own = verdict(make_numbers(shares, counts=(1, 2)), labels)
    assert own["meets"] is meets and own["text"].startswith(text)
    assert own["reasons"] == "3 of 100 pixels have no answer (1 dim, 2 lost)."


def test_status_in_words():
    assert len(STATUS_LABELS) == len(STATUS_COLOURS) == len(Status) + 1
    assert status_words(0) == "good"
    assert status_words(Status.MASKED | Status.OUTLIER) == "masked by the user, outlier"
    indices = gravest_status([0, *Status, Status.POOR_FIT | Status.NOT_CONVERGED])
    assert indices.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 3]


@pytest.mark.parametrize("name", ["plot_camera", "plot_energy_errors"])
@pytest.mark.parametrize("kinds", [("relation", "truth"), ("relation",)])
def test_figures_are_the_same_every_time(paths, tmp_path, name, kinds):
    given = {kind: paths["10ks"][kind] for kind in kinds} | {"pixel_map": PIXEL_MAP}
    contents = []
    for number in range(2):
        made = tmp_path / f"{number}.png"
        run_script(name, tmp_path, given, {"figure": made}, {"exposure": "10ks"})
        contents.append(made.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"\x89PNG")
    for word in (b"Software", b"matplotlib", b"tIME"):
        assert word not in contents[0]


def browse(page, *arguments):
    """Run the browser without a network on a page and return what it wrote."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-background-networking", "--proxy-server=127.0.0.1:9", "--disable-sync"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=8000", "--window-size=1280,2400"]
    command += [f"--user-data-dir={page.parent / 'profile'}", *arguments, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


SELECT_ALL = """<script>
const failures = [];
window.addEventListener("error", event => failures.push(event.message));
window.addEventListener("load", () => {
  for (const one of exposure.options) for (const other of quantity.options) {
    exposure.value = one.value; quantity.value = other.value;
    quantity.dispatchEvent(new Event("change"));
    const title = document.querySelector("#camera .gtitle")?.textContent;
    if (title !== "Exposure " + one.value + ": " + other.textContent) failures.push(title);
  }
  document.body.dataset.failures = JSON.stringify(failures);
});
</script></head>"""


@needs_chromium
def test_the_page_draws_without_errors(page, tmp_path):
    tried = tmp_path / "tried.html"
    write_text(tried, page.read_text("utf-8").replace("</head>", SELECT_ALL, 1))
    run = browse(tried, "--dump-dom")
    assert "CONSOLE" not in run.stderr, run.stderr
    assert 'data-failures="[]"' in run.stdout
    assert run.stdout.count('class="hm"') == 1  # one heat map
    assert run.stdout.count("scatterlayer") > 0
    for energy in ("4 keV", "15 keV", "50 keV", "80 keV", "150 keV"):
        assert f">{energy}</text>" in run.stdout  # the legend of the pass fractions


@needs_chromium
def test_a_screenshot_is_not_empty(page, tmp_path):
    matplotlib_image = pytest.importorskip("matplotlib.image")
    shot = tmp_path / "page.png"
    run = browse(page, f"--screenshot={shot}")
    assert "CONSOLE" not in run.stderr, run.stderr
    image = matplotlib_image.imread(shot)[..., :3]
    assert image.shape[:2] == (2400, 1280)
    # A map of 6400 pixels in viridis: many different colours, where text has shades of grey.
    colours = np.unique((image[700:1900, :900].reshape(-1, 3) * 31).astype(int), axis=0)
    assert len(colours) > 200
