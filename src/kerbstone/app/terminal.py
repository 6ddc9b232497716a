"""How commands speak: data to stdout, progress and errors to stderr."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerbstone.errors import InputError, KerbstoneError

_UNBOUNDED = 10_000
# All but the ends of lines and tabs.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TENS = 10.0


def print_json(data: Any) -> None:
    """Print data as JSON on stdout."""
    text = json.dumps(data, indent=2, default=str, ensure_ascii=False)
    # JSON writes most control characters out by itself, but not those that some terminals obey.
    sys.stdout.write(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_text(text: str) -> None:
    """Print a line on stdout."""
    sys.stdout.write(show_controls(text) + "\n")


def show_controls(text: str) -> str:
    r"""Return a text whose control characters are written out: names in logs may hold any.

    Example:
        >>> show_controls("a" + chr(27) + "[31mb")
        'a\\x1b[31mb'
    """
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def print_table(
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    title: str = "",
    right: Sequence[str] = (),
) -> None:
    """Print rows as a table on stdout.

    Args:
        rows: One mapping per row.
        columns: Heading of each key that is shown.
        title: Line above the table.
        right: Keys that are aligned right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for key, heading in columns.items():
        is_right = key in right
        table.add_column(
            heading,
            justify="right" if is_right else "left",
            no_wrap=is_right,
            overflow="fold",
        )
    for row in rows:
        # `Text`, so that brackets in names are shown and not taken for markup.
        table.add_row(*(Text(_show(row.get(key))) for key in columns))
    console = Console(file=sys.stdout)
    if console.is_terminal:
        console.print(table)
        return
    # A pipe or a file has no width to wrap at.
    wide = Console(file=io.StringIO(), width=_UNBOUNDED)
    wide.print(table)
    lines = wide.file.getvalue().splitlines()  # pyright: ignore[reportAttributeAccessIssue]
    print_text("\n".join(line.rstrip() for line in lines))


def print_error(error: KerbstoneError, *, as_json: bool = False) -> None:
    """Print an error on stderr, in four lines or as JSON."""
    text = json.dumps({"error": error.to_dict()}, ensure_ascii=False) if as_json else str(error)
    sys.stderr.write(show_controls(text) + "\n")


def print_note(text: str) -> None:
    """Print a remark on stderr, where it does not mix with data."""
    sys.stderr.write(show_controls(text) + "\n")


@contextmanager
def writing_file(path: Path, *, flag: str = "--out") -> Iterator[None]:
    """Tell the user where a file could not be written, and why.

    Args:
        path: The file.
        flag: The option that names it.

    Raises:
        InputError: The system refused.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            "output",
            "a file cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            remedy=f"name another file with {flag}",
        ) from error


@dataclass(frozen=True)
class Progress:
    """How a long task tells how far it is.

    Args:
        start: Takes the total.
        advance: Takes the count that was done since.
    """

    start: Callable[[int], None]
    advance: Callable[[int], None]


@contextmanager
def show_progress(task: str, *, unit: str) -> Iterator[Progress]:
    """Show a bar with rate and time left on stderr; silent where stderr is no terminal.

    Args:
        task: What is being done.
        unit: What is counted.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        row = bar.add_task(task, total=None, rate="")

        def start(total: int) -> None:
            bar.update(row, total=total)

        def advance(count: int) -> None:
            bar.update(row, advance=count)
            speed = bar.tasks[0].speed
            if speed:
                bar.update(row, rate=f"{speed:.1f}/s")

        yield Progress(start, advance)


def format_count(count: float) -> str:
    """Return a number with thin groups of thousands.

    Example:
        >>> format_count(1234567)
        '1,234,567'
    """
    return f"{count:,.0f}"


def count_of(count: float, noun: str) -> str:
    """Return a number and what is counted.

    Example:
        >>> count_of(1, "log"), count_of(1234, "log")
        ('1 log', '1,234 logs')
    """
    return f"{format_count(count)} {noun}" + ("" if count == 1 else "s")


def format_duration(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> format_duration(15.7), format_duration(750), format_duration(44694)
        ('15.7 s', '12.5 min', '12.4 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _show(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= _TENS else f"{value:,.2f}"
    if isinstance(value, int):
        return format_count(value)
    return show_controls(str(value))
