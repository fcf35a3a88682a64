"""YAML files of the user's: what is wrong in one, with its line."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pixelcal.errors import InputError

OWN_TAG, OTHER_TYPES = "tag:yaml.org,2002:", ("binary", "set", "omap", "pairs")
"""Types that YAML has and a configuration does not."""

OTHER_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?)")
"""A number with a zero in front, or with colons: YAML 1.1 takes 010 for 8, and 12:30 for 750."""


def check_yaml(path: str | Path) -> None:
    """Check that a file is YAML with keys at its top level and no key twice in one place.

    Raises
    ------
    InputError
        With file, line and reason.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"{path}{where}: is not YAML ({' '.join(problem.split())})") from None
    except (ValueError, RecursionError) as error:  # a date that there is not; endless brackets
        raise InputError(f"{path}: is not YAML ({error})") from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected keys with values at the top level")
    if "__use_yte__" in values:
        raise InputError(f"{path}: __use_yte__ would execute code from the file; remove it")
    _check_nodes(path, root, ())


def _check_nodes(path: str | Path, node: yaml.Node, above: tuple[yaml.Node, ...]) -> None:
    """YAML would silently keep the last of two equal keys, and let a value hold itself."""
    line = node.start_mark.line + 1
    if any(node is outer for outer in above):
        raise InputError(f"{path}, line {line}: a value holds itself; write it out")
    if node.tag.removeprefix(OWN_TAG) in OTHER_TYPES:
        raise InputError(
            f"{path}, line {line}: is of the YAML type {node.tag.removeprefix(OWN_TAG)}, which no"
            " key takes; write text, a number or a list"
        )
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if str(key.value) in seen:
                first = seen[str(key.value)]
                raise InputError(
                    f"{path}, line {line}: duplicate key {key.value} (first in line {first}); keep"
                    " one"
                )
            seen[str(key.value)] = line
            _check_nodes(path, value, above)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_nodes(path, item, above)
    elif node.style is None and OTHER_NUMBER.fullmatch(str(node.value)):
        value = yaml.safe_load(node.value)
        if isinstance(value, int | float):
            raise InputError(
                f"{path}, line {line}: {node.value} means {value} in YAML, as an octal number or a"
                " number of seconds; write it in quotes if it is text"
            )
