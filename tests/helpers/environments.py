"""The environments of the rules, as their files say."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


ENVIRONMENTS = {path.stem: path for path in sorted((PROJECT / "envs").glob("*.yaml"))}


LOCKS = {"sstcam_source": "source"}
"""Environments whose versions are not those of a run: ctapipe wants an older astropy."""


def rules():
    """(rule, environment, script) of every rule with a script."""
    text = "\n".join(
        path.read_text() for path in sorted((PROJECT / "workflow/rules").rglob("*.smk"))
    )
    pattern = (
        r'^rule (\w+):.*?^ +conda:\n +"../../../envs/(\w+).yaml"'
        r'.*?^ +script:\n +"../../scripts/([\w/]+).py"'
    )
    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    assert len(found) == len(re.findall(r"^rule ", text, re.MULTILINE))
    return found
