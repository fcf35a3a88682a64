"""The date of a run, as a person writes it in `table.csv`, and as the products have it.

Uses the standard library alone, as `run_table` does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DAY_S = 86400.0
ZERO = datetime(1858, 11, 17)
"""Zero of the modified Julian date, UTC."""


def mjd_of(text: str) -> float:
    """Modified Julian date (d, UTC) of a date such as 2026-03-01 or 2026-03-01T12:00:00Z.

    A time without a zone is UTC.

    Raises
    ------
    ValueError
        Where the text is no date.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - ZERO).total_seconds() / DAY_S


def utc_of_mjd(mjd: float) -> str:
    """UTC (ISO, whole seconds) of a modified Julian date (d)."""
    return (ZERO + timedelta(seconds=round(mjd * DAY_S))).isoformat()
