"""All benchmarks, one after the other: what `make bench` runs.

Each prints a table of ratios from one run; the tables are also written to docs/benchmarks.md.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = {
    "Binning": ["binning.py"],
    "Fitting": ["fits.py"],
}
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
        page.append(
            f"## {title}\n\n`python benchmarks/{script}`\n\n```\n{run.stdout.rstrip()}\n```\n"
        )
    if not failed:
        (HERE.parent / "docs" / "benchmarks.md").write_text("\n".join(page), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
