"""Writes docs/images/gallery, small copies of the figures of a run.

python docs/tools/gallery.py [results/eclairs/10ks]

The pixel of the gallery has to be asked for before: PICTURES says which.
"""

from __future__ import annotations

import sys
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
N_COLOURS = 128


def shrink(source: Path, target: Path) -> None:
    """A copy of at most WIDTH_PIXELS, in N_COLOURS colours without dithering."""
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.width > WIDTH_PIXELS:
        height = round(picture.height * WIDTH_PIXELS / picture.width)
        picture = picture.resize((WIDTH_PIXELS, height), Image.Resampling.LANCZOS)
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


if __name__ == "__main__":
    try:
        make_gallery(Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_BRANCH))
    except InputError as error:
        sys.exit(f"gallery: {error}")
