"""Files that pixelcal brings are found from any folder; a file of the user's comes first."""

from helpers.paths import RESOURCES as OF_THE_CLONE

from pixelcal.io.resources import RESOURCES, shipped_or_given

NAME = "resources/lines/all_blocks.csv"


def test_the_clone_has_its_own():
    assert RESOURCES == OF_THE_CLONE


def test_a_file_that_is_there_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped_or_given(NAME) == str(OF_THE_CLONE / "lines" / "all_blocks.csv")
    (tmp_path / "resources" / "lines").mkdir(parents=True)
    (tmp_path / NAME).touch()
    assert shipped_or_given(NAME) == NAME


def test_nothing_else_is_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pyproject.toml", "resources/none.csv", str(tmp_path / "none.csv")):
        assert shipped_or_given(name) == name
