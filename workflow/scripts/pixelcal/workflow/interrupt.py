"""Ctrl-C before a script is in its frame: one line in place of a traceback.

Uses the standard library alone: a script installs it first, as its other imports take seconds.
"""

from __future__ import annotations

import sys

STOPPED = "stopped by the user (Ctrl-C)"
EXIT_STOPPED = 130
"""Exit code of a shell for what SIGINT has ended."""


def install() -> None:
    """Let an interrupt that nobody catches print one line; other exceptions print as before."""
    before = sys.excepthook

    def hook(kind, error, trace) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(STOPPED, file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = hook
