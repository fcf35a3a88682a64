"""The files on the page "Your own camera" are valid as they stand there."""

import re

import yaml
from helpers.paths import PROJECT, RESOURCES

from pixelcal.camera import read_pixel_map
from pixelcal.workflow.instruments import instrument_settings
from pixelcal.workflow.schema_errors import check_schema

PAGE = (PROJECT / "docs" / "your-own-camera.md").read_text("utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_blocks_are_valid(tmp_path):
    instrument, *configurations = blocks("yaml")
    (pixel_map,) = blocks("csv")
    (tmp_path / "map.csv").write_text(pixel_map)
    (tmp_path / "sources.csv").write_text((RESOURCES / "lines" / "am241.csv").read_text())
    (tmp_path / "testcam.yaml").write_text(instrument)
    settings = instrument_settings(str(tmp_path / "testcam.yaml"))
    assert settings["title"] == "Testcam" and settings["layouts"]["spectra"]["form"] == "spectra"
    assert len(read_pixel_map(tmp_path / "map.csv")) == 3
    path = PROJECT / "workflow" / "schemas" / "config.schema.yaml"
    schema = yaml.safe_load(path.read_text("utf-8"))
    assert len(configurations) == 2
    for text in configurations:
        check_schema(yaml.safe_load(text), schema)
