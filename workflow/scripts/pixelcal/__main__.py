"""The command line of pixelcal: questions about what the workflow made.

python -m pixelcal relation --pixel 1234 --date 2025-03-20
python -m pixelcal provenance results/eclairs/10ks/relation.fits
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence

from pixelcal.energy.history.query import find_relation, in_words
from pixelcal.energy.history.tables import read_history
from pixelcal.errors import InputError, one_line
from pixelcal.workflow.terminal.origin import origin_lines

DEFAULT_HISTORY = "results/history/history.fits"


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    main = argparse.ArgumentParser(
        prog="pixelcal", description="Answers questions about what the workflow made."
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    relation = commands.add_parser(
        "relation",
        help="gain and offset of a pixel on a date",
        description="Prints the best relation of a pixel on a date, its errors, and which"
        " calibration file is in force.",
    )
    relation.add_argument("--pixel", type=int, required=True, help="number of the pixel (DETNUM)")
    relation.add_argument("--date", required=True, help="UTC, as 2025-03-20 or 2025-03-20T12:00:00")
    relation.add_argument(
        "--history",
        default=DEFAULT_HISTORY,
        help="history.fits, by default %(default)s; `snakemake history` makes it",
    )
    relation.add_argument("--json", action="store_true", help="print JSON")
    provenance = commands.add_parser(
        "provenance",
        help="code, settings and input files of a product",
        description="Prints which rule, version and git revision made a FITS product, with which"
        " settings and from which files.",
    )
    provenance.add_argument("file", metavar="FILE", help="a FITS product, such as relation.fits")
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0, or 1 after a mistake of the user, which is said in one line."""
    given = parser().parse_args(arguments)
    try:
        if given.command == "provenance":
            print("\n".join(origin_lines(given.file)))
            return 0
        found = find_relation(read_history(given.history), given.pixel, given.date)
    except InputError as error:
        print(f"pixelcal: {one_line(error)}", file=sys.stderr)
        return 1
    print(_as_json(found) if given.json else in_words(found))
    return 0


def _as_json(found) -> str:
    """JSON, null for what is not known."""
    plain = lambda value: None if isinstance(value, float) and math.isnan(value) else value  # noqa: E731
    values = {
        key: [plain(one) for one in value] if isinstance(value, tuple) else plain(value)
        for key, value in found._asdict().items()
    }
    return json.dumps(values, indent=2)


if __name__ == "__main__":
    sys.exit(main())
