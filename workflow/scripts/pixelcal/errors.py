"""The one exception that is the user's to mend, and how it is said."""

from __future__ import annotations


class InputError(Exception):
    """A mistake in what the user gave: one line that says what is wrong, where, and what to do.

    Scripts print its text and exit with a non-zero code, without a traceback.
    Anything else that is raised is a fault of pixelcal and keeps its traceback.
    """


def one_line(text: object) -> str:
    """`text` on one line, and only what can be printed.

    Names of files and columns come into messages as they are: a line break or a control sequence
    of a terminal in one of them is written out.
    """
    joined = " ".join(str(text).splitlines())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in joined)
