"""Machine code on disk: edits anywhere behind a function are seen, and nothing piles up."""

import os
import shutil
import subprocess
import sys

import pytest
from helpers.paths import SCRIPTS

USER = """
from pixelcal.numerics.jit import njit
from pixelcal.numerics.inner import CONSTANT, added


@njit
def outer(x):
    return added(x) * CONSTANT
"""
INNER = """
from pixelcal.numerics.jit import njit

CONSTANT = {constant}


@njit
def added(x):
    return x + {summand}
"""
CALL = """
from pixelcal.numerics.user import outer
value = outer(1.0)
print(value, sum(outer.stats.cache_misses.values()))
"""


@pytest.fixture
def call(tmp_path):
    """Function: write the inner module, call the outer one; value, and how often it compiled."""
    package = tmp_path / "pixelcal"
    (package / "numerics").mkdir(parents=True)
    for name in ("__init__.py", "numerics/__init__.py", "numerics/jit.py"):
        shutil.copy(SCRIPTS / "pixelcal" / name, package / name)
    (package / "numerics" / "user.py").write_text(USER)

    def called(constant, summand, **environment):
        inner = INNER.format(constant=constant, summand=summand)
        (package / "numerics" / "inner.py").write_text(inner)
        run = subprocess.run(
            [sys.executable, "-c", CALL],
            # No bytecode: Python's looks at the second of an edit and the size alone.
            env=os.environ
            | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
            | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        value, misses = run.stdout.split()
        return float(value), int(misses)

    return called


def test_an_edit_in_what_a_function_calls_is_seen(call, tmp_path):
    assert call(1.0, 1.0) == (2.0, 1)
    assert call(1.0, 1.0) == (2.0, 0)
    assert call(1.0, 2.0) == (3.0, 1)
    assert call(5.0, 2.0) == (15.0, 1)
    (tmp_path / "pixelcal" / "report.py").write_text("ANOTHER = 1\n")
    assert call(5.0, 2.0) == (15.0, 0)
    assert call(1.0, 1.0) == (2.0, 0)  # back again, as from one branch to another


def test_old_states_are_removed(call, tmp_path):
    for summand in range(5):
        call(1.0, summand)
    folders = sorted((tmp_path / "pixelcal" / "numerics" / "__pycache__").glob("*-*"))
    assert [folder.name.rpartition("-")[0] for folder in folders] == ["inner"] * 3 + ["user"] * 3
    assert call(1.0, 4) == (5.0, 0)


def test_the_cache_goes_where_numba_is_told(call, tmp_path):
    assert call(1.0, 1.0, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == (2.0, 1)
    assert len(list((tmp_path / "cache").rglob("user-*/*.nbi"))) == 1
    assert not list((tmp_path / "pixelcal").rglob("*.nbi"))


def test_an_import_leaves_the_settings_of_numba_alone():
    code = (
        "import numba\n"
        "before = dict(vars(numba.config))\n"
        "import pixelcal.energy.fit.joint, pixelcal.charge.spe.fit\n"
        "assert vars(numba.config) == before\n"
    )
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
