"""What the jobs of a run took, rule by rule, against what the rules ask a cluster for.

python benchmarks/cluster.py [--slurm] [FOLDER]

FOLDER, by default this one, is where the workflow ran; its results/benchmarks are read. With
--slurm, soon after a run through Slurm, a second table has its jobs: Slurm forgets them after
MinJobAge, 5 minutes by default.
"""

import argparse
import csv
import re
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

RULES = Path(__file__).resolve().parents[1] / "workflow" / "rules"


def main() -> int:
    """Print the tables; non-zero where there is nothing to print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=".", type=Path, metavar="FOLDER")
    parser.add_argument("--slurm", action="store_true", help="the jobs that Slurm still knows")
    arguments = parser.parse_args()
    records = measured(arguments.folder / "results" / "benchmarks")
    if not records:
        print(f"no benchmark files in {arguments.folder}/results/benchmarks", file=sys.stderr)
        return 1
    print_rules(records)
    if arguments.slurm:
        print()
        print_jobs(records, slurm_jobs(arguments.folder.resolve()))
    return 0


def asked() -> dict[str, tuple[str, int, int]]:
    """Rule -> (job or local, MB, minutes), read from the rule files."""
    found = {}
    for path in sorted(RULES.rglob("*.smk")):
        for rule in ("\n" + path.read_text(encoding="utf-8")).split("\nrule ")[1:]:
            name = rule.split(":", 1)[0]
            memory = re.search(r"^ +mem_mb=lambda .*: (\d+) \* attempt,$", rule, re.M)
            minutes = re.search(r"^ +runtime=(\d+),$", rule, re.M)
            where = "local" if re.search(r"^ +localrule: True\b", rule, re.M) else "job"
            found[name] = (where, int(memory[1]), int(minutes[1]))
    return found


def measured(folder: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Rule -> (seconds, CPU seconds, MB resident) of each of its jobs, the longest rule first."""
    records = defaultdict(list)
    for path in sorted(folder.glob("*/**/*.tsv")):
        with open(path, encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        # a job that ends before the first look at it has no numbers
        numbers = [row[key] for key in ("s", "cpu_time", "max_rss")]
        values = (float(number) if number not in ("-", "NA") else 0.0 for number in numbers)
        records[path.relative_to(folder).parts[0]].append(tuple(values))
    return dict(sorted(records.items(), key=lambda own: -max(own[1])[0]))


def slurm_jobs(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Rule -> (seconds in the queue, seconds on the node) of the finished jobs from a folder."""
    command = ["squeue", "--noheader", "--states", "COMPLETED", "--format", "%k|%V|%S|%e|%Z"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    jobs = defaultdict(list)
    for line in said.splitlines():
        comment, *times, work_folder = line.strip().split("|")
        if Path(work_folder) == folder:
            rule = comment.removeprefix("rule_").split("_wildcards_")[0]
            submitted, began, ended = (datetime.fromisoformat(time) for time in times)
            waited, took = began - submitted, ended - began
            jobs[rule].append((waited.total_seconds(), took.total_seconds()))
    return jobs


def print_rules(records: dict[str, list[tuple[float, float, float]]]) -> None:
    """What each rule took at most, and what it asks for."""
    print(f"{'rule':24}{'jobs':>5}{'s':>8}{'CPU s':>8}{'MB':>6}   {'runs as':9}", end="")
    print(f"{'mem_mb':>6}{'runtime, min':>14}")
    rules = asked()
    for rule in (name for name in records if name in rules):
        seconds, cpu, megabytes = map(max, zip(*records[rule], strict=True))
        where, memory, minutes = rules[rule]
        print(f"{rule:24}{len(records[rule]):5}{seconds:8.1f}{cpu:8.1f}{megabytes:6.0f}", end="")
        print(f"   {where:9}{memory:6}{minutes:14}")


def print_jobs(
    records: dict[str, list[tuple[float, float, float]]], jobs: dict[str, list[tuple[float, float]]]
) -> None:
    """Means of what the jobs cost in Slurm, and of what of it was the rule's own."""
    print(f"{'means, s':24}{'jobs':>5}{'in queue':>10}{'on node':>9}{'the rule':>10}{'beside':>8}")
    totals = [0.0, 0]
    for rule in (name for name in records if name in jobs):
        own = sum(record[0] for record in records[rule]) / len(records[rule])
        waited, took = (sum(times) / len(jobs[rule]) for times in zip(*jobs[rule], strict=True))
        print(f"{rule:24}{len(jobs[rule]):5}{waited:10.1f}{took:9.1f}{own:10.1f}{took - own:8.1f}")
        totals[0] += (took - own) * len(jobs[rule])
        totals[1] += len(jobs[rule])
    if totals[1]:
        print(f"{'all':24}{totals[1]:5}{totals[0] / totals[1]:37.1f}")


if __name__ == "__main__":
    sys.exit(main())
