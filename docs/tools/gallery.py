"""Writes docs/images/gallery, small copies of the figures of a run; or a picture of a page.

python docs/tools/gallery.py [results/eclairs/10ks]
python docs/tools/gallery.py --page results/sstcam.html docs/images/sstcam-report.png

The pixel of the gallery has to be asked for before: PICTURES says which. A page needs a Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from pixelcal.errors import InputError
from pixelcal.io.tables import atomic

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "docs" / "images" / "gallery"
DEFAULT_BRANCH = "results/eclairs/10ks"

PICTURES = (
    "figures/spectrum.png",
    "figures/camera.png",
    "figures/prior.png",
    "figures/comparison.png",
    "figures/statistics.png",
    "figures/uncertainty.png",
    "figures/energy_errors.png",
    "figures/differences.png",
    "figures/changes.png",
    "pixels/0042.png",
)
WIDTH_PIXELS = 1050
PAGE_WIDTH, PAGE_HEIGHT = 1280, 1560
"""Window (px) in which the beginning of a page is taken."""
PATIENCE_S = 120
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
N_COLOURS = 128


def shrink(source: Path, target: Path, width: int = WIDTH_PIXELS) -> None:
    """A copy of at most `width` pixels, in N_COLOURS colours without dithering."""
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    # Other ways to choose the colours lose those of thin lines.
    picture = picture.quantize(
        N_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE
    )
    with atomic(target) as temporary:
        picture.save(temporary, optimize=True)


def make_gallery(branch: Path, folder: Path = FOLDER) -> None:
    """Shrink the figures of one exposure into `folder`.

    Raises
    ------
    InputError
        Where a figure is missing.
    """
    for name in PICTURES:
        source = branch / name
        if not source.is_file():
            raise InputError(f"{source}: no such figure; make it with snakemake {source}")
        kind, file = name.split("/")
        shrink(source, folder / (f"pixel_{file}" if kind == "pixels" else file))


def picture_of_page(page: Path, target: Path, width=PAGE_WIDTH, height=PAGE_HEIGHT) -> None:
    """The beginning of a page of a run, as a window of that size shows it, in few colours.

    Raises
    ------
    InputError
        Where the page is missing, or no browser takes its picture.
    """
    if not page.is_file():
        raise InputError(f"{page}: no such page; make it with snakemake {page}")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(f"no browser to take a picture with; install one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder, "page.png")
        options = (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--virtual-time-budget=5000", f"--window-size={width},{height}",
            f"--user-data-dir={folder}/profile", f"--screenshot={taken}",
        )  # fmt: skip
        subprocess.run(
            [browser, *options, page.resolve().as_uri()],
            timeout=PATIENCE_S,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not taken.is_file():
            raise InputError(f"{page}: {browser} took no picture of it")
        shrink(taken, target, width)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--page"] and len(sys.argv) == 4:
            sys.exit(picture_of_page(*map(Path, sys.argv[2:])))
        make_gallery(Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_BRANCH))
    except InputError as error:
        sys.exit(f"gallery: {error}")
