"""All benchmarks, one after the other: what `make bench` runs.

Each prints a table of ratios from one run; the tables are also written to docs/benchmarks.md.
"""

import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = {
    "Binning": ["binning.py"],
    "Fitting": ["fits.py", "6400"],
    "What the cost of a fit grows with": ["scaling.py"],
    "The physical limit": ["limit.py"],
    "Detectors that the default simulation does not have": [
        "limit.py", "--exposures", "10", "30", "100", "--variant",
        "tail x 2", "tail / 2", "resolution x 2", "resolution / 2", "pixels differ",
    ],
    "Sick pixels, and pixels whose relation has gone far": ["troubles.py"],
}  # fmt: skip
HEAD = """# Benchmarks

Written by `make bench` on a machine of two shared cores: look at the ratios, not at the times.
"""


def main() -> int:
    """Run all, print as they come, write the page; non-zero where one failed."""
    page, failed = [HEAD], 0
    for title, (script, *arguments) in BENCHMARKS.items():
        command = [sys.executable, str(HERE / script), *arguments]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(f"== {title}\n{run.stdout}", flush=True)
        failed += run.returncode != 0
        typed = shlex.join(["python", f"benchmarks/{script}", *arguments])
        page.append(f"## {title}\n\n`{typed}`\n\n```\n{run.stdout.rstrip()}\n```\n")
    if not failed:
        (HERE.parent / "docs" / "benchmarks.md").write_text("\n".join(page), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
