"""Ctrl-C, as a terminal sends it: to the whole process group of a command."""

import contextlib
import os
import signal
import subprocess
import time


def interruptible():
    """What a shell starts in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(command, folder, until, limit_s, **streams):
    """Exit code, stdout and stderr of a command that gets Ctrl-C once `until()`."""
    with subprocess.Popen(
        [*map(str, command)],
        cwd=folder,
        text=True,
        start_new_session=True,
        preexec_fn=interruptible,
        **streams,
    ) as process:
        try:
            limit = time.monotonic() + limit_s
            while not until() and process.poll() is None and time.monotonic() < limit:
                time.sleep(0.02)
            assert until(), "the moment for Ctrl-C has not come"
            os.killpg(process.pid, signal.SIGINT)
            said = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, *said
