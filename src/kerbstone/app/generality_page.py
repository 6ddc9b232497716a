"""The generality matrix as a page: a heat map of skill, and all its cells. No scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from kerbstone.app.pages import static_page
from kerbstone.judge.generality.domains import Domain
from kerbstone.judge.generality.matrix import Matrix
from kerbstone.judge.generality.outcomes import Bounds, Row

_MARKS = {"win": "▲", "loss": "▼"}
_LEVELS = 10
_NONE = "–"


def generality_page(matrix: Matrix) -> str:
    """Return a page with the matrix.

    It needs no network and runs no script: everything that comes from the data is put in as text.
    """
    return static_page(
        "generality",
        title="Generality",
        verdict=escape(matrix.verdict.text),
        notes="".join(f"<p>{escape(note)}</p>" for note in _notes(matrix)),
        groups=_head_groups(matrix.domains),
        domains="".join(_head(d, is_first=d == _first_new(matrix)) for d in matrix.domains),
        map="".join(_map_line(task, matrix) for task in matrix.verdict.of_tasks),
        cells="".join(map(_cell_line, matrix.rows)),
        reasons="".join(f"<li>{escape(reason)}</li>" for reason in matrix.verdict.reasons)
        or "<li>nothing</li>",
    )


def say_interval(bounds: Bounds) -> str:
    """Return an interval as "low – high", a dash where it is not known.

    Example:
        >>> say_interval(Bounds(0.5, 0.25, 0.75)), say_interval(Bounds(0.5))
        ('0.25 – 0.75', '–')
    """
    if bounds.low is None or bounds.high is None:
        return _NONE
    return f"{bounds.low:z.2f} – {bounds.high:z.2f}"


def say_value(value: float | None) -> str:
    """Return a figure with two or three digits, a dash where it is not known."""
    if value is None:
        return _NONE
    return f"{value:z.3f}" if abs(value) < 1 else f"{value:.2f}"


def _notes(matrix: Matrix) -> list[str]:
    verdict = matrix.verdict
    told = f"{matrix.model}: {matrix.windows} windows a cell, seed {matrix.seed}. "
    told += f"In new domains it wins {verdict.wins} cells and loses {verdict.losses}."
    return [told, *matrix.notes]


def _head_groups(domains: Sequence[Domain]) -> str:
    """Return the heads over runs of own and of new domains."""
    heads = []
    for is_own, members in groupby(domains, key=lambda domain: domain.is_own):
        label = "own domains, other logs" if is_own else "new domains"
        own = " first" if not is_own and heads else ""
        heads.append(
            f'<th scope="colgroup" class="group{own}" colspan="{len(list(members))}">{label}</th>'
        )
    return "".join(heads)


def _first_new(matrix: Matrix) -> Domain | None:
    """Return the first new domain behind own ones, before which a line is drawn."""
    pairs = zip(matrix.domains, matrix.domains[1:], strict=False)
    return next((after for before, after in pairs if before.is_own and not after.is_own), None)


def _head(domain: Domain, *, is_first: bool) -> str:
    told = f"{domain.where}: {len(domain.scenes)} scenes of {domain.logs} logs"
    side = ' class="first"' if is_first else ""
    return f'<th scope="col"{side} title="{escape(told)}">{escape(domain.name)}</th>'


def _map_line(task: str, matrix: Matrix) -> str:
    rows = {row.domain: row for row in matrix.rows if row.task == task}
    first = _first_new(matrix)
    cells = "".join(_map_cell(rows[d.name], is_first=d == first) for d in matrix.domains)
    return f'<tr><th scope="row">{escape(task)}</th>{cells}</tr>'


def _map_cell(row: Row, *, is_first: bool) -> str:
    edge = " first" if is_first else ""
    value = row.skill.value
    if value is None:
        why = row.reason or "a trivial rule is perfect already"
        return f'<td class="none{edge}" title="{escape(why)}">{_MARKS.get(row.result, _NONE)}</td>'
    level = min(round(abs(value) * _LEVELS), _LEVELS)
    side = "up" if value >= 0 else "down"
    title = f"{row.measure} {say_value(row.score.value)} {row.unit}, {row.trivial} "
    title += f"{say_value(row.trivial_score)}; {row.items} items of {row.logs} logs"
    said = f"{value:z.2f} {_MARKS.get(row.result, '')}".strip()
    return f'<td class="{side}{level}{edge}" title="{escape(title)}">{said}</td>'


def _cell_line(row: Row) -> str:
    head = f"<td>{escape(row.task)}</td><td>{escape(row.domain)}</td>"
    unit = f" [{row.unit}]" if row.unit else ""
    head += f"<td>{escape(row.measure + unit)}</td>"
    if not row.is_defined:
        return f'<tr class="dim">{head}<td colspan="10">not defined: {escape(row.reason)}</td></tr>'
    numbers = [
        say_value(row.score.value),
        say_interval(row.score),
        f"{say_value(row.trivial_score)} {row.trivial}",
        say_value(row.specialist_score),
        say_value(row.skill.value),
        say_interval(row.skill),
        say_value(row.specialist_skill),
        f"{row.items:,}",
        f"{row.logs:,}",
    ]
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
    return f'<tr>{head}{cells}<td class="{row.result}">{row.result}</td></tr>'
