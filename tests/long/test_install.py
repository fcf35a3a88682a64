"""The library installed by itself: a wheel, an empty environment, the script of docs/library.md."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.paths import PROJECT, RESOURCES, SCRIPTS

from pixelcal import __version__
from pixelcal.energy.simulation.spectra import make_camera

UV = Path(sys.executable).with_name("uv")
SCRIPT = re.search(r"```python\n(.*?)```", (PROJECT / "docs/library.md").read_text(), re.DOTALL)[1]
ROW = re.compile(r"pixel +(\d+): gain ([\d.]+) ± ([\d.]+) keV/channel, σ\(80 keV\) ([\d.]+) keV")

pytestmark = pytest.mark.skipif(not UV.exists(), reason="uv is not installed")


def run(*command, folder=None):
    """What a command says."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--wheel", "--out-dir", folder, PROJECT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Python of an environment that holds the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    run(UV, "venv", "--python", sys.executable, folder)
    run(UV, "pip", "install", "--python", folder / "bin" / "python", wheel)
    return folder / "bin" / "python"


def test_the_wheel_holds_the_library_and_its_files_alone(wheel):
    made = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = SCRIPTS / "pixelcal"
    library = {path for path in package.rglob("*") if "__pycache__" not in path.parts}
    files = {f"pixelcal/{path.relative_to(package)}" for path in library if path.is_file()}
    shipped = {path for path in RESOURCES.rglob("*") if path.is_file()}
    files |= {f"pixelcal/resources/{path.relative_to(RESOURCES)}" for path in shipped}
    assert made == files


def test_a_script_outside_of_the_clone(python, tmp_path):
    assert len(SCRIPT.splitlines()) <= 15
    (tmp_path / "script.py").write_text(SCRIPT)
    said = run(python, "script.py", folder=tmp_path)
    rows = [[float(number) for number in row] for row in ROW.findall(said)]
    assert [row[0] for row in rows] == list(range(64))
    truth = make_camera(64, seconds=10_000, seed=1).gain_true
    pulls = [(gain - true) / error for (_, gain, error, _), true in zip(rows, truth, strict=True)]
    assert max(map(abs, pulls)) < 5
    assert all(0.02 < sigma < 0.3 for *_, sigma in rows)


def test_version_and_shipped_tables(python, tmp_path):
    code = (
        "import pixelcal; from pixelcal.api import read_line_table\n"
        "print(pixelcal.__version__, read_line_table('strongest').n_lines)"
    )
    version, lines = run(python, "-c", code, folder=tmp_path).split()
    assert version == __version__ == "0.1.0"
    assert int(lines) > 0
