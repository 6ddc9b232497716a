"""How soon one road user comes to where another has just been, by their recorded paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.scene import BevIndex, box_distance, boxes_overlap

Rows = Int64[np.ndarray, " pair"]
Steps = Int64[np.ndarray, " event"]
Values = Float64[np.ndarray, "pair time"]

_EARLIER = 1.0
"""How long before a enters a conflict area the two are put into relation [s]."""
_STRETCH = 8
"""Steps of a track that are looked at as one, to find where tracks may meet."""
_BLOCK = 1_000_000


@signal(agents=2, unit="s", margin=1.0)
def post_encroachment_time(facts: Facts, a: Rows, b: Rows) -> Values:
    """Time from a's leaving the area where their tracks cross to b's entering it; inf if none.

    The area is what both boxes sweep in the whole record. The value holds from one second before
    a enters the area until b leaves it, and is inf elsewhere. There is none where both are in the
    area at once, as when one follows the other, nor where a's leaving or b's entering was not
    seen.

    References:
        Allen, Shin and Cooper, "Analysis of traffic conflicts and collisions", Transportation
        Research Record 667, 1978.
    """
    known = _known(facts)
    out = np.where(known[a] & known[b], np.inf, np.nan)
    found = _find_events(facts, a, b)
    earlier = round(_EARLIER / facts.dt)
    for pair, enters, leaves, time in zip(
        found.pair, found.enters - earlier, found.other_leaves + 1, found.time, strict=True
    ):
        part = out[pair, max(enters, 0) : leaves]
        np.minimum(part, time, out=part)  # which leaves what is undefined as it is
    return out


class _Events(NamedTuple):
    """Road user a crosses an area, and b does after it.

    Args:
        pair: Which pair.
        enters: First step at which a is in the area.
        leaves: Last step at which a is in it.
        other_enters: First step at which b is.
        other_leaves: Last step at which b is.
        time: From a's leaving to b's entering [s].
    """

    pair: Steps
    enters: Steps
    leaves: Steps
    other_enters: Steps
    other_leaves: Steps
    time: Float64[np.ndarray, " event"]


def _known(facts: Facts) -> Bool[np.ndarray, "agent time"]:
    return facts.keep("known boxes", lambda: ~np.isnan(facts.boxes).any(axis=-1))


def _find_events(facts: Facts, a: Rows, b: Rows) -> _Events:
    asked = np.flatnonzero(facts.moves[a] & facts.moves[b])
    count = max(len(facts.agents), 1)
    low, high = np.minimum(a[asked], b[asked]), np.maximum(a[asked], b[asked])
    # Tracks meet in the same cells from either side.
    code, place = np.unique(low * count + high, return_inverse=True)
    meeting, step, other_step = _meet(facts, *np.divmod(code, count))
    swapped = a[asked] > b[asked]
    parts = []
    for turned in (False, True):
        row = np.full(len(code), -1)
        row[place[swapped == turned]] = asked[swapped == turned]
        wanted = row[meeting] >= 0
        steps = (other_step, step) if turned else (step, other_step)
        parts.append([row[meeting][wanted], *(s[wanted] for s in steps)])
    pair, step, other_step = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _events_of(facts, a, b, np.stack([pair, step, other_step]))


def _meet(facts: Facts, a: Rows, b: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all (pair, step of a, step of b) at which a's box there and b's box then overlap."""
    low, high = facts.keep("track stretches", lambda: _bound_stretches(facts))
    found = [np.zeros((3, 0), np.int64)]
    near = (low[a].min(axis=1) <= high[b].max(axis=1)) & (low[b].min(axis=1) <= high[a].max(axis=1))
    pairs = np.flatnonzero(near.all(axis=-1))
    inside = np.arange(_STRETCH)
    for pair, first, second in _stretches_that_meet(low, high, a, b, pairs):
        cells = np.broadcast_arrays(
            pair[:, None, None],
            first[:, None, None] * _STRETCH + inside[:, None],
            second[:, None, None] * _STRETCH + inside,
        )
        row, step, other_step = (part.ravel() for part in cells)
        within = (step < facts.steps) & (other_step < facts.steps)
        row, step, other_step = row[within], step[within], other_step[within]
        close = _discs_overlap(facts, (a[row], step), (b[row], other_step))
        row, step, other_step = row[close], step[close], other_step[close]
        boxes = facts.boxes
        overlap = boxes_overlap(boxes[a[row], step], boxes[b[row], other_step])
        found.append(np.stack([row, step, other_step])[:, overlap])
    row, step, other_step = np.concatenate(found, axis=1)
    return row, step, other_step


def _bound_stretches(facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest x and y of the boxes of each stretch: [agent, stretch, 2]."""
    boxes = facts.boxes
    cos, sin = np.abs(facts.ahead[..., 0]), np.abs(facts.ahead[..., 1])
    length, width = boxes[..., BevIndex.LENGTH] / 2, boxes[..., BevIndex.WIDTH] / 2
    half = np.stack([length * cos + width * sin, length * sin + width * cos], axis=-1)
    short = -facts.steps % _STRETCH
    shape = (len(boxes), (facts.steps + short) // _STRETCH, _STRETCH, 2)
    bounds = []
    for sign, missing, reduce in ((-1, np.inf, np.min), (1, -np.inf, np.max)):
        edge = facts.point + sign * half
        edge = np.where(np.isnan(edge), missing, edge)
        edge = np.pad(edge, ((0, 0), (0, short), (0, 0)), constant_values=missing)
        bounds.append(reduce(edge.reshape(shape), axis=2))
    return bounds[0], bounds[1]


def _stretches_that_meet(
    low: np.ndarray, high: np.ndarray, a: Rows, b: Rows, pairs: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give blocks of (pair, stretch of a, stretch of b) whose bounds overlap."""
    size = max(_BLOCK // max(low.shape[1] ** 2, 1), 1)
    most = max(_BLOCK // _STRETCH**2, 1)
    for start in range(0, len(pairs), size):
        pair = pairs[start : start + size]
        meet = np.ones((len(pair), low.shape[1], low.shape[1]), bool)
        for axis in (0, 1):
            first = low[a[pair], :, None, axis], high[a[pair], :, None, axis]
            second = low[b[pair], None, :, axis], high[b[pair], None, :, axis]
            meet &= (first[0] <= second[1]) & (second[0] <= first[1])
        row, first, second = np.nonzero(meet)
        for part in range(0, len(row), most):
            block = slice(part, part + most)
            yield pair[row[block]], first[block], second[block]


def _discs_overlap(
    facts: Facts, first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]
) -> np.ndarray:
    point, radius = facts.point, np.hypot(*facts.agents.size[:, :2].T) / 2
    offset = point[first] - point[second]
    reach = radius[first[0]] + radius[second[0]]
    return offset[:, 0] ** 2 + offset[:, 1] ** 2 <= reach**2


def _events_of(facts: Facts, a: Rows, b: Rows, cells: Int64[np.ndarray, "part cell"]) -> _Events:
    """Return the events among the (pair, step of a, step of b) at which the tracks meet."""
    if not cells.shape[1]:
        nothing = np.zeros(0, np.int64)
        return _Events(nothing, nothing, nothing, nothing, nothing, np.zeros(0))
    code = np.sort((cells[0] * facts.steps + cells[1]) * facts.steps + cells[2])
    code, other_step = np.divmod(code, facts.steps)
    pair, step = np.divmod(code, facts.steps)
    # A stay of a in what b sweeps: steps without a break.
    breaks = (np.diff(pair) != 0) | (np.diff(step) > 1)
    stay = np.concatenate([[0], np.cumsum(breaks)])
    first = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    last = np.concatenate([first[1:], [len(pair)]]) - 1
    pair, enters, leaves = pair[first], step[first], step[last]
    # The stays of b in what a swept in that one.
    stay, other_step = np.divmod(np.unique(stay * facts.steps + other_step), facts.steps)
    breaks = (np.diff(stay) != 0) | (np.diff(other_step) > 1)
    first = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    last = np.concatenate([first[1:], [len(stay)]]) - 1
    stay, other_enters, other_leaves = stay[first], other_step[first], other_step[last]
    together = (other_enters <= leaves[stay]) & (other_leaves >= enters[stay])
    alone = ~np.isin(stay, stay[together])
    later = np.flatnonzero(alone & (other_enters > leaves[stay]))
    later = later[np.flatnonzero(np.diff(stay[later], prepend=-1))]
    stay, other_enters, other_leaves = stay[later], other_enters[later], other_leaves[later]
    pair, enters, leaves = pair[stay], enters[stay], leaves[stay]
    known = _known(facts)
    seen = (leaves + 1 < facts.steps) & (other_enters > 0)
    seen &= known[a[pair], np.minimum(leaves + 1, facts.steps - 1)]
    seen &= known[b[pair], other_enters - 1]
    pair, enters, leaves = pair[seen], enters[seen], leaves[seen]
    other_enters, other_leaves = other_enters[seen], other_leaves[seen]
    stays = enters, leaves, other_enters, other_leaves
    return _Events(pair, *stays, _times_between(facts, a[pair], b[pair], *stays))


def _times_between(
    facts: Facts,
    a: Steps,
    b: Steps,
    enters: Steps,
    leaves: Steps,
    other_enters: Steps,
    other_leaves: Steps,
) -> Float64[np.ndarray, " event"]:
    """Return the time from a's leaving to b's entering [s].

    Between two steps the clearance to what the other one sweeps is taken to change evenly.
    """
    inside, outside = (
        _clearance(facts, a, step, b, other_enters, other_leaves) for step in (leaves, leaves + 1)
    )
    left = leaves + inside / (inside - outside)
    outside, inside = (
        _clearance(facts, b, step, a, enters, leaves) for step in (other_enters - 1, other_enters)
    )
    entered = other_enters - inside / (inside - outside)
    return np.maximum(entered - left, 0.0) * facts.dt


def _clearance(
    facts: Facts, agent: Steps, step: Steps, other: Steps, first: Steps, last: Steps
) -> Float64[np.ndarray, " event"]:
    """Return the signed distance of a box to what another sweeps from one step to another [m]."""
    if not len(agent):
        return np.zeros(0)
    counts = last - first + 1
    begins = np.cumsum(counts) - counts
    row = np.repeat(np.arange(len(agent)), counts)
    other_step = first[row] + np.arange(len(row)) - begins[row]
    boxes = facts.boxes
    apart = box_distance(boxes[agent[row], step[row]], boxes[other[row], other_step])
    return np.minimum.reduceat(apart, begins)
