"""What an HDF5 file holds in its root, read with the standard library alone.

The Snakefile has to know whether a run is in the open layout or is converted first, and may have no
h5py. Only groups of the oldest form are read, which h5py and PyTables write unless they are told
otherwise (HDF5 file format specification, III.A.1, III.B and III.D); of others nothing is said.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_NODES = 1000
"""A damaged file may have nodes in a circle."""


def root_names(path: str | Path) -> frozenset[str] | None:
    """Names of the groups and datasets in the root of an HDF5 file.

    None where the file is missing, no HDF5, damaged, or of a form that is not read here.
    """
    try:
        with open(path, "rb") as file:
            return _names(file)
    except (OSError, ValueError, IndexError, struct.error):
        return None


def _names(file: BinaryIO) -> frozenset[str] | None:
    head = file.read(100)
    if not head.startswith(SIGNATURE) or head[8] not in (0, 1) or head[13:15] != b"\x08\x08":
        return None
    at = 56 + 4 * head[8]
    (base,) = struct.unpack_from("<Q", head, 24 + 4 * head[8])
    _, _, cached, _, tree, heap = struct.unpack_from("<QQIIQQ", head, at)
    if cached != 1:
        return None
    _expect(file, base + heap, b"HEAP")
    size, _, data = struct.unpack("<4xQQQ", file.read(28))
    file.seek(base + data)
    texts = file.read(size)
    names, waiting = set(), [tree]
    for _ in range(MOST_NODES):
        if not waiting:
            return frozenset(names)
        below, offsets = _node(file, base + waiting.pop())
        waiting += below
        names |= {_text(texts, offset) for offset in offsets}
    return None


def _node(file: BinaryIO, address: int) -> tuple[list[int], list[int]]:
    """Addresses of the nodes below a node, and places of the names in it."""
    file.seek(address)
    kind = file.read(4)
    if kind == b"SNOD":
        (n_entries,) = struct.unpack("<2xH", file.read(4))
        entries = file.read(40 * n_entries)
        return [], [struct.unpack_from("<Q", entries, 40 * i)[0] for i in range(n_entries)]
    if kind != b"TREE":
        raise ValueError("no node")
    of_groups, _, n_entries = struct.unpack("<BBH16x", file.read(20))
    if of_groups != 0:
        raise ValueError("not of groups")
    values = struct.unpack(f"<{2 * n_entries}Q", file.read(16 * n_entries))
    return list(values[1::2]), []


def _expect(file: BinaryIO, address: int, kind: bytes) -> None:
    file.seek(address)
    if file.read(4) != kind:
        raise ValueError(f"no {kind.decode()}")


def _text(texts: bytes, offset: int) -> str:
    return texts[offset : texts.index(b"\0", offset)].decode("utf-8", "replace")
