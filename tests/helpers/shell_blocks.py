"""The shell blocks of a page of the documentation, as one script."""

import re

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "=== block {}"


def shell_blocks(page):
    """Text of each fenced `sh` block of a page (a path), in order."""
    return BLOCK.findall(page.read_text("utf-8"))


def as_script(blocks):
    """One bash script of the blocks, which ends at the first command that fails.

    It prints the number of each block before it. What a reader types stays in force: a sourced
    environment, an exported variable.
    """
    parts = [f"echo '{MARK.format(number)}'\n{block}" for number, block in enumerate(blocks)]
    return "set -eo pipefail\n" + "\n".join(parts)


def by_block(output, n):
    """What each of n blocks printed."""
    starts = [output.index(MARK.format(number) + "\n") for number in range(n)]
    return [output[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
