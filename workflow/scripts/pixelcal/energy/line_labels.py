"""Names of lines as figures and pages show them: Te Kα, Pb Kα₁, Cu Kβ₁,₃, Ba-133 γ 81.0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.lines import LineTable

JOINED_KEV = 0.8
"""Lines of one family closer than this have one name: the camera cannot tell them apart."""

GREEK = {"a": "α", "b": "β", "g": "γ", "n": "η"}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class LineLabel(NamedTuple):
    """The labels at one energy (keV) of one block, by the index of the block in the table."""

    text: str
    energy_keV: float
    block: int


def line_labels(table: LineTable) -> list[LineLabel]:
    """The lines that the camera can tell apart, by rising energy.

    Lines of one element and family (K alpha, K beta) closer than JOINED_KEV are one, at their mean
    energy weighted by intensity. The numbers of the transitions are left out where several lines
    are the whole of their family. Gammas (transitions that begin with g) bear their energy.
    """
    families: dict[tuple, list[int]] = {}
    for i in np.argsort(table.energy_keV, kind="stable"):
        family = table.transition[i][:2]
        family = "g" if family[0] == "g" else family
        key = (table.element[i], family, int(table.block[i]))
        families.setdefault(key, []).append(int(i))
    labels = []
    for (element, family, block), members in families.items():
        gaps = np.diff(table.energy_keV[members]) >= JOINED_KEV
        for part in np.split(np.array(members), np.flatnonzero(gaps) + 1):
            whole = 1 < len(part) == len(members)
            numbers = "" if whole else ",".join(sorted(table.transition[i][2:] for i in part))
            energy = np.average(table.energy_keV[part], weights=table.intensity[part])
            name = f"γ {energy:.1f}" if family == "g" else _family_name(family, numbers)
            text = f"{element} {name}"
            labels.append(LineLabel(text, float(energy), block))
    return sorted(labels, key=lambda label: label.energy_keV)


def _family_name(family: str, numbers: str) -> str:
    """Kα₁ for Ka1; other notations stay as they are."""
    if len(family) == 2 and family[1] in GREEK:
        return family[0] + GREEK[family[1]] + numbers.translate(SUBSCRIPTS)
    return family + numbers
