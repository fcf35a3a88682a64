"""Ctrl-C before a script is in its frame: one line in place of a traceback.

Uses the standard library alone: a script installs it first, because its other imports take seconds.
"""

from __future__ import annotations

import os
import sys

STOPPED = "stopped by the user (Ctrl-C)"
EXIT_STOPPED = 130
"""Exit code of a shell for what SIGINT has ended."""
COLLECTED = "PIXELCAL_MESSAGES_AT_THE_END"
"""Set where Snakemake's process tells at its end why a script ended, so that it is told once."""


def install() -> None:
    """Let an interrupt that is not caught print one line; other exceptions print as before.

    Snakemake catches it while jobs run, and not while it plans them.
    """
    before = sys.excepthook

    def hook(kind, error, trace) -> None:
        if issubclass(kind, KeyboardInterrupt):
            if not os.environ.get(COLLECTED):
                print(STOPPED, file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = hook
