"""Scaling curves as a page: what the ladder says, its losses with the law drawn. No scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from kerbstone.app.pages import static_page
from kerbstone.app.terminal import format_count
from kerbstone.world.scaling import AxisFit, Estimate, ScalingFit, describe_scaling, say_amount
from kerbstone.world.training.ladder import RungResult

_WIDTH, _HEIGHT = 420, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 96, 12, 40
_COLOURS = 6
_LINE = 12.0
_POINTS = 60
_BEYOND = 4.0
"""The law is drawn so many times beyond the ladder."""
_NONE = "–"
_VERDICTS = {"pays": "would pay", "saturated": "would not pay", "unknown": "cannot say"}


@dataclass(frozen=True)
class _Series:
    """Runs that differ along one axis alone, and what stays the same among them."""

    name: str
    x: list[float]
    loss: list[float]
    fixed: float


def scale_page(
    results: Sequence[RungResult], fit: ScalingFit, *, store: str, notes: Sequence[str] = ()
) -> str:
    """Return a page with the curves of a ladder.

    It needs no network and runs no script: everything that comes from the data is put in as text.

    Args:
        results: The runs.
        fit: The law of those with a loss.
        store: The store that they learned from.
        notes: What else a reader should know.
    """
    told = (
        f"Store {store}: {len(results)} runs, {fit.runs} of them in the law "
        "L(N, D) = E + A / N^a + B / D^b of N parameters and D hours. Lines are the law, drawn to "
        "four times beyond the runs; points are runs."
    )
    return static_page(
        "scale",
        title="Scaling",
        words="".join(f'<p class="word">{escape(word)}</p>' for word in describe_scaling(fit)),
        notes="".join(f"<p>{escape(note)}</p>" for note in (told, *notes)),
        charts=_draw_charts([r for r in results if r.loss is not None], fit),
        axes="".join(map(_axis_line, fit.axes)) or '<tr><td colspan="7">nothing varied</td></tr>',
        runs="".join(_run_line(result, fit) for result in results),
    )


def say_estimate(estimate: Estimate) -> tuple[str, str]:
    """Return a figure, and its interval; dashes where they are not defined."""
    if math.isnan(estimate.value):
        return _NONE, _NONE
    return f"{estimate.value:.3g}", f"{estimate.low:.3g} – {estimate.high:.3g}"


def _draw_charts(results: Sequence[RungResult], fit: ScalingFit) -> str:
    if not results:
        return ""
    sizes = sorted({r.parameters for r in results})
    hours = sorted({r.hours for r in results})
    of_size = [
        _Series(
            next(r.size for r in results if r.parameters == size),
            [r.hours for r in results if r.parameters == size],
            [r.loss or 0.0 for r in results if r.parameters == size],
            float(size),
        )
        for size in sizes
    ]
    of_hours = [
        _Series(
            f"{hour:.3g} h",
            [float(r.parameters) for r in results if r.hours == hour],
            [r.loss or 0.0 for r in results if r.hours == hour],
            hour,
        )
        for hour in hours
    ]
    return _draw("hours of road", of_size, fit, is_data=True) + _draw(
        "parameters", of_hours, fit, is_data=False
    )


def _draw(label: str, series: Sequence[_Series], fit: ScalingFit, *, is_data: bool) -> str:
    """Return a chart of the loss along one axis, a line of the law for each series."""
    x = [value for each in series for value in each.x]
    along = np.geomspace(min(x), max(x) * _BEYOND, _POINTS)
    lines = []
    for each in series:
        fixed = np.full(_POINTS, each.fixed)
        lines.append(fit.predict(fixed, along) if is_data else fit.predict(along, fixed))
    losses = [value for each in series for value in each.loss]
    losses += [float(value) for line in lines for value in line]
    plot = _Plot(min(along), max(along), min(losses), max(losses))
    parts = [plot.draw_axes(label)]
    heights = _keep_apart([plot.up(float(line[-1])) for line in lines])
    for number, (each, line) in enumerate(zip(series, lines, strict=True)):
        path = " ".join(
            f"{plot.across(a):.1f},{plot.up(b):.1f}" for a, b in zip(along, line, strict=True)
        )
        points = "".join(
            f'<circle cx="{plot.across(a):.1f}" cy="{plot.up(b):.1f}" r="3.5">'
            f"<title>{escape(each.name)}: {b:.4g}</title></circle>"
            for a, b in zip(each.x, each.loss, strict=True)
        )
        end = f'x="{_WIDTH - _RIGHT + 6}" y="{heights[number] + 4:.1f}"'
        name = f'<text class="label" {end}>{escape(each.name)}</text>'
        curve = f'<polyline class="law" points="{path}"/>'
        parts.append(f'<g class="s{number % _COLOURS}">{curve}{points}{name}</g>')
    said = f"held-out loss along {label}"
    svg = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg>'
    )
    return f"<figure>{svg}<figcaption>{escape(said)}</figcaption></figure>"


def _keep_apart(heights: Sequence[float]) -> list[float]:
    """Return heights of labels so far apart that they can be read [px]."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, np.float64)
    for before, after in pairwise(order.tolist()):
        placed[after] = max(placed[after], placed[before] + _LINE)
    # As far up again as the last one was moved down below where it belongs.
    moved = max(float(placed.max() - np.max(heights)), 0.0) / 2
    return (placed - moved).tolist()


class _Plot:
    """A frame with a logarithmic axis across and a linear one up.

    Args:
        first: The least value across.
        last: The largest.
        low: The least value up.
        high: The largest.
    """

    def __init__(self, first: float, last: float, low: float, high: float) -> None:
        self._first, self._last = math.log10(first), math.log10(max(last, first * 1.01))
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        self._low, self._high = low - margin, high + margin

    def across(self, value: float) -> float:
        """Return where a value stands [px]."""
        share = (math.log10(value) - self._first) / (self._last - self._first)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def up(self, value: float) -> float:
        """Return how far down a loss stands [px]."""
        share = (value - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def draw_axes(self, label: str) -> str:
        """Return grid lines with their values, and what is told across."""
        right, foot = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        parts = []
        for value in np.linspace(self._low, self._high, 5).tolist():
            y = self.up(value)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="last" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:.3g}</text>'
            )
        for value in np.logspace(self._first, self._last, 4).tolist():
            x = self.across(value)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{foot}"/>'
                f'<text class="middle" x="{x:.1f}" y="{foot + 16}">{say_amount(value)}</text>'
            )
        middle = (_LEFT + right) / 2
        parts.append(
            f'<text class="middle" x="{middle:.1f}" y="{_HEIGHT - 6}">{escape(label)}</text>'
        )
        return "".join(parts)


def _axis_line(axis: AxisFit) -> str:
    percent = Estimate(100 * axis.gain.value, 100 * axis.gain.low, 100 * axis.gain.high)
    gain, gains = say_estimate(percent)
    numbers = [
        f"{say_amount(axis.most)} {'' if axis.unit == axis.name else axis.unit}".strip(),
        *say_estimate(axis.exponent),
        gain if gain == _NONE else f"{gain} %",
        gains,
    ]
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
    name = f'<th scope="row">{escape(axis.name)}</th>'
    return f"<tr>{name}{cells}<td>{_VERDICTS[axis.verdict]}</td></tr>"


def _run_line(result: RungResult, fit: ScalingFit) -> str:
    law = fit.predict(np.array([float(result.parameters)]), np.array([result.hours]))[0]
    ended = {"steps": "at its last step", "patience": "early"}.get(result.ended, "not yet")
    numbers = [
        format_count(result.parameters),
        f"{result.hours:.3g}",
        format_count(result.scenes),
        _NONE if result.loss is None else f"{result.loss:.4f}",
        f"{law:.4f}",
        format_count(result.best_step),
        format_count(result.steps),
    ]
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
    name = f'<th scope="row">{escape(result.name)}</th>'
    return f"<tr>{name}{cells}<td>{ended}</td></tr>"
