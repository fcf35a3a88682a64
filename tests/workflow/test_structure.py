"""The house: who may import whom, and how large a room may be. Read from the import statements."""

import ast
from graphlib import TopologicalSorter

import pytest
from helpers.paths import PROJECT, SCRIPTS

LIBRARY = SCRIPTS / "pixelcal"
GROUND = (
    {"errors"},
    {"status", "instrument", "numerics"},
    {"io"},
    {"camera"},
    {"plotting"},
    {"report"},
)
"""What both cameras stand on. A package may import from the floors below its own, and from itself;
never from the one beside it."""
TOWERS = {
    "energy": (
        {"energy"},
        {"energy.events", "energy.response"},
        {"energy.fit"},
        {"energy.results"},
        {"energy.history"},
        {"energy.simulation", "energy.figures", "energy.report"},
    ),
    "charge": (
        {"charge.runs"},
        {"charge.extraction"},
        {"charge.spe"},
        {"charge.resolution"},
        {"charge.simulation", "charge.figures", "charge.report", "charge.history"},
    ),
    "workflow": ({"workflow"},),
}
"""The cameras and what knows the configuration: none of them sees another."""
ROOF = ("api", "api_checks", "api_files", "api_relations", "__main__")
"""They import what they like; nothing below imports them."""

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_MODULES = 15


def module_name(path):
    """Name of a module of the library within it, as `energy.fit.joint`."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}
PACKAGES = {name for floors in (GROUND, *TOWERS.values()) for floor in floors for name in floor}


def package_of(module):
    """The package of the plan that a module belongs to: the longest of its beginnings."""
    parts = module.split(".")
    beginnings = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in beginnings if name in PACKAGES), module)


def imported_modules(path):
    """Modules of the library that a file imports, those inside functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            short = name.removeprefix("pixelcal.")
            if name.startswith("pixelcal.") and short in MODULES:
                found.add(short)
    return {name for name in found if MODULES[name].name != "__init__.py"}


def floors_below(package):
    """Packages that a package may import from."""
    for floors in (GROUND, *((*GROUND, *tower) for tower in TOWERS.values())):
        for number, floor in enumerate(floors):
            if package in floor:
                return set().union(*floors[:number])
    raise AssertionError(f"{package} has no place in the plan of the house")


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("", *ROOF)])
def test_nothing_imports_upwards(module):
    package = package_of(module)
    if MODULES[module].name == "__init__.py":
        assert not MODULES[module].read_text(encoding="utf-8").strip(), "hashes follow the inits"
        return
    allowed = floors_below(package) | {package}
    upwards = {
        name for name in imported_modules(MODULES[module]) if package_of(name) not in allowed
    }
    assert not upwards


def test_there_is_no_circle():
    graph = {name: imported_modules(path) for name, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("folder", ["docs/tools", "benchmarks", "workflow/scripts/pixelcal"])
def test_nobody_takes_from_the_tests(folder):
    for path in (PROJECT / folder).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "from helpers" not in text and "import helpers" not in text, path.name


def test_modules_and_functions_are_of_a_size_to_read():
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= MOST_LINES, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                n_lines = node.end_lineno - node.lineno + 1
                reasoned = "long because" in (ast.get_docstring(node) or "").lower()
                assert n_lines <= MOST_LINES_OF_A_FUNCTION or reasoned, f"{name}.{node.name}"


def test_no_folder_is_flat():
    for folder in {path.parent for path in MODULES.values()}:
        assert len(list(folder.glob("[a-z]*.py"))) <= MOST_MODULES, folder.name


def test_no_two_test_files_have_one_name():
    """pytest refuses the second one, but only where both are collected together."""
    names = sorted(path.name for path in (PROJECT / "tests").rglob("test_*.py"))
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]


def test_own_is_no_name():
    """It was one 911 times: what is meant has a noun."""
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = getattr(node, "id", getattr(node, "arg", getattr(node, "attr", None)))
            assert named != "own", f"{name}, line {node.lineno}"
