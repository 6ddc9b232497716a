"""What was chosen and counted, in rows that people read and in files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from kerbstone.app.terminal import writing_file
from kerbstone.errors import UsageError
from kerbstone.mine.coverage import Coverage
from kerbstone.mine.rates import Rate
from kerbstone.mine.selection import Selection

_SUFFIXES = (".csv", ".json")


def check_choice_path(path: Path) -> None:
    """Check that a choice can be written under a name.

    Raises:
        UsageError: It ends neither in .csv nor in .json.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(
            "usage", "a choice is written as .csv or .json", why=f"found {path.name!r}"
        )


def write_choice(selection: Selection, path: Path) -> None:
    """Write a choice: a row for each scene or moment as CSV, or all of it as JSON.

    Raises:
        UsageError: The file ends in neither .csv nor .json.
        InputError: It cannot be written.
    """
    check_choice_path(path)
    rows = [item.to_dict() for item in selection.items]
    with writing_file(path), path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".json":
            json.dump(selection.to_dict(), file, indent=2, ensure_ascii=False)
            file.write("\n")
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def coverage_rows(
    coverage: Coverage,
) -> tuple[list[dict[str, Any]], dict[str, str], tuple[str, ...]]:
    """Return the rows of a table of rates, its columns, and those that are aligned right."""
    rows = [
        {
            "scenario": row.scenario,
            "group": row.group,
            "count": row.count,
            "hours": f"{row.per_hour.exposure:.3g}",
            "per_hour": say_number(row.per_hour.rate),
            "hour_interval": say_interval(row.per_hour),
            "per_1000_km": say_number(row.per_1000_km.rate),
            "km_interval": say_interval(row.per_1000_km),
            "method": row.per_hour.method,
            "logs": row.per_hour.logs,
        }
        for row in coverage.rows
    ]
    columns = {
        "scenario": "scenario",
        "group": coverage.by if coverage.by != "none" else "scenes",
        "count": "count",
        "hours": "hours",
        "per_hour": "per hour",
        "hour_interval": "95 %",
        "per_1000_km": f"per 1000 km ({coverage.distance})",
        "km_interval": "95 %",
        "method": "interval",
        "logs": "logs",
    }
    numbers = ("count", "hours", "per_hour", "hour_interval", "per_1000_km", "km_interval", "logs")
    return rows, columns, numbers


def say_number(value: float | None) -> str:
    """Return a rate to three digits; a dash where there is none.

    Example:
        >>> say_number(1234.5), say_number(0.01234), say_number(None)
        ('1,230', '0.0123', '–')
    """
    if value is None:
        return "–"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def say_interval(rate: Rate) -> str:
    """Return the interval of a rate; of what never happened, the bound."""
    if rate.high is None:
        return "–"
    if not rate.count:
        return f"< {say_number(rate.high)}"
    return f"{say_number(rate.low)}–{say_number(rate.high)}"
