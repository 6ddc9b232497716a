"""Coverage as a page: a row for each scenario and group, with the interval drawn. No scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby

from kerbstone.app.choices import say_interval, say_number
from kerbstone.app.pages import static_page
from kerbstone.app.terminal import format_duration
from kerbstone.mine.coverage import ALL, Coverage, CoverageRow
from kerbstone.mine.rates import CLUSTERED, LEVEL, Rate

_WIDTH, _HEIGHT = 240, 22
_EDGE = 6
_CAP = 4.0
_MOST_TICKS = 6
_METHODS = (
    "Poisson intervals are exact for occurrences that come independently; where there are 8 logs "
    "or more, they are widened by how much more the counts vary between logs (the factor in "
    "brackets, of the rate per hour). What was never recorded has an upper bound."
)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def coverage_page(coverage: Coverage, docs: Mapping[str, str], *, store: str) -> str:
    """Return a page with the rates of scenarios and their intervals.

    It needs no network and runs no script: everything that comes from the data is put in as text.

    Args:
        coverage: The rates.
        docs: What each scenario is, in a sentence.
        store: The store that they are from.
    """
    scale = _Scale([row.per_hour for row in coverage.rows])
    return static_page(
        "coverage",
        title="Coverage",
        notes="".join(f"<p>{escape(note)}</p>" for note in _notes(coverage, store)),
        group=escape("" if coverage.by == "none" else coverage.by),
        distance="the recording car" if coverage.distance == "ego" else "all road users",
        axis=scale.draw_axis(),
        bodies="".join(
            _draw_scenario(name, docs.get(name, ""), list(rows), scale)
            for name, rows in groupby(coverage.rows, key=lambda row: row.scenario)
        ),
    )


class _Scale:
    """A logarithmic axis that holds all intervals; what is 0 stands at its left edge.

    Args:
        rates: What it must hold.
    """

    def __init__(self, rates: Sequence[Rate]) -> None:
        ends = [end for rate in rates for end in (rate.low, rate.rate, rate.high) if end]
        low, high = (min(ends), max(ends)) if ends else (1.0, 10.0)
        self._first, self._last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        self._last = max(self._last, self._first + 1)

    def place(self, value: float) -> float:
        """Return where a value stands [px]."""
        if value <= 0:
            return 0.0
        share = (math.log10(value) - self._first) / (self._last - self._first)
        return _EDGE + max(min(share, 1.0), 0.0) * (_WIDTH - 2 * _EDGE)

    def ticks(self) -> list[float]:
        """Return the powers of ten to mark."""
        step = max(math.ceil((self._last - self._first) / _MOST_TICKS), 1)
        return [10.0**power for power in range(self._first, self._last + 1, step)]

    def draw_axis(self) -> str:
        """Return the axis as SVG."""
        marks = "".join(
            f'<text x="{self.place(tick):.1f}" y="14" class="{self._anchor(tick)}">{_say_power(tick)}</text>'
            for tick in self.ticks()
        )
        return _svg("per hour, on a logarithmic axis", marks)

    def draw(self, rate: Rate) -> str:
        """Return a rate and its interval as SVG: a whisker with a point; an arrow for a bound."""
        if rate.high is None or rate.rate is None:
            return _svg("not known", "")
        lines = "".join(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_HEIGHT}"/>'
            for x in map(self.place, self.ticks())
        )
        low, middle, high = (self.place(end) for end in (rate.low, rate.rate, rate.high))
        kind = "clustered" if rate.method == CLUSTERED else "poisson"
        parts = [_whisker(kind, low, high, 0.0), _whisker(kind, high, high, _CAP)]
        if rate.count:
            point = f'<circle class="{kind}" cx="{middle:.1f}" cy="{_HEIGHT / 2}" r="3.5"/>'
            parts += [_whisker(kind, low, low, _CAP), point]
        said = f"{say_number(rate.rate)} per hour, {say_interval(rate)}"
        return _svg(said, lines + "".join(parts))

    def _anchor(self, tick: float) -> str:
        ticks = self.ticks()
        return "first" if tick == ticks[0] else "last" if tick == ticks[-1] else "middle"


def _say_power(tick: float) -> str:
    power = round(math.log10(tick))
    return f"{tick:g}" if -2 <= power <= 2 else f"10{str(power).translate(_RAISED)}"


def _whisker(kind: str, first: float, last: float, cap: float) -> str:
    top, bottom = _HEIGHT / 2 - cap, _HEIGHT / 2 + cap
    ends = f'x1="{first:.1f}" x2="{last:.1f}" y1="{top}" y2="{bottom}"'
    return f'<line class="whisker {kind}" {ends}/>'


def _svg(label: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{content}</svg>'
    )


def _draw_scenario(name: str, doc: str, rows: Sequence[CoverageRow], scale: _Scale) -> str:
    heading = f'<strong>{escape(name)}</strong><span class="doc">{escape(doc)}</span>'
    lines = "".join(_draw_row(row, scale) for row in rows)
    return f'<tbody><tr class="name"><th colspan="9" scope="rowgroup">{heading}</th></tr>{lines}</tbody>'


def _draw_row(row: CoverageRow, scale: _Scale) -> str:
    hour, way = row.per_hour, row.per_1000_km
    method = f"clustered (× {hour.effect:.1f})" if hour.method == CLUSTERED else hour.method
    cells = [
        (f"{row.count:,}", "number"),
        (say_number(hour.exposure), "number"),
        (say_number(hour.rate), "number"),
        (say_interval(hour), "number"),
    ]
    after = [(say_number(way.rate), "number"), (say_interval(way), "number"), (method, "method")]
    texts = [
        "".join(f'<td class="{kind}">{escape(t)}</td>' for t, kind in c) for c in (cells, after)
    ]
    kind = ' class="all"' if row.group == ALL else ""
    group = f'<th scope="row">{escape(row.group)}</th>'
    return f'<tr{kind}>{group}{texts[0]}<td class="plot">{scale.draw(hour)}</td>{texts[1]}</tr>'


def _notes(coverage: Coverage, store: str) -> list[str]:
    whole = [row for row in coverage.rows if row.group == ALL]
    hours = max((row.per_hour.exposure for row in whole), default=0.0)
    notes = [
        f"Store {store}: {format_duration(hours * 3600)} of road.",
        f"Of many such intervals, {LEVEL:.0%} hold the true rate. {_METHODS}",
    ]
    if coverage.failed:
        notes.append(f"{len(coverage.failed)} searches failed and do not count.")
    return notes
