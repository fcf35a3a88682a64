"""The benchmarks that `make bench` runs, one after the other, and the page of their tables.

python benchmarks/run.py [NAME ...]

Each prints a table of ratios from one run, which takes its place in docs/benchmarks.md; with names
only those are run and the other tables stay.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BENCHMARKS = {
    "binning": ("Binning", ["binning.py"]),
    "fits": ("Fitting", ["fits.py", "6400"]),
    "scaling": ("What the cost of a fit grows with", ["scaling.py"]),
    "workflow": ("What the cost of the workflow grows with", ["workflow_scale.py"]),
    "limit": ("The information limit", ["limit.py"]),
    "variants": (
        "Detectors that the ideal camera does not have",
        ["limit.py", "--exposures", "10", "30", "100", "--variant", "tail x 2", "tail / 2",
         "resolution x 2", "resolution / 2", "pixels differ"],
    ),
    "reality": (
        "The imperfections of real cameras",
        ["reality.py", "--exposures", "10", "100", "1000", "--preset", "ideal", "law", "tails",
         "lines", "noise_thresholds", "all"],
    ),
    "troubles": ("Sick pixels, and pixels whose relation has gone far", ["troubles.py"]),
    "history": ("The history of a mission", ["history.py"]),
    "sstcam_charges": ("SSTCAM: charges", ["sstcam_charges.py"]),
    "spe": ("Single-photoelectron fits", ["spe.py"]),
    "simsipm": ("Single-photoelectron fits of SimSiPM", ["simsipm.py", "--pixels", "20"]),
    "spe_runs": ("Runs of single photoelectrons with something wrong", ["spe_runs.py"]),
}  # fmt: skip
HEAD = """# Benchmarks

Written by `make bench` on a machine of two shared cores: look at the ratios, not at the times. What
the tables say, and what limits them, is in [performance](performance.md).
"""


def main() -> int:
    """Run what is asked for, print as it comes, write the page; non-zero where one failed."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names:
        title, (script, *arguments) = BENCHMARKS[name]
        command = [sys.executable, str(HERE / script), *arguments]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(f"== {title}\n{run.stdout}", flush=True)
        if run.returncode:
            failed += 1
            continue
        typed = shlex.join(["python", f"benchmarks/{script}", *arguments])
        write_page({title: f"`{typed}`\n\n```\n{run.stdout.rstrip()}\n```\n"})
    return 1 if failed else 0


def write_page(renewed: dict[str, str]) -> None:
    """Put the renewed sections into the page, in the order of the benchmarks."""
    sections = {}
    if PAGE.exists():
        parts = re.split(r"^## (.*)\n\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        sections = dict(
            zip(parts[1::2], (text.rstrip() + "\n" for text in parts[2::2]), strict=True)
        )
    sections |= renewed
    page = [HEAD]
    for title, _ in BENCHMARKS.values():
        if title in sections:
            page.append(f"## {title}\n\n{sections[title]}")
    PAGE.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
