"""Joining tracklets that one road user left: over gaps, all at once, and where they overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from kerbstone.errors import InputError
from kerbstone.label.chains import Chains
from kerbstone.label.profile import Profile
from kerbstone.label.refinement import Tracks
from kerbstone.scene import bev_boxes, bev_iou

_STILL_SEEN = 0.2
"""What stands is overlooked at this share of the price of what moves: it stays hidden for long."""
_PAIRS = 2_000_000
"""Pairs that are looked at together."""


@dataclass(frozen=True)
class LinkPrices:
    """What it costs to join two tracklets, and what it costs not to.

    All are minus logs of chances. Two tracklets are joined where that is likelier than that one
    road user got lost, another one turned up, and both by chance fit together.

    Args:
        longest: Longest gap of what moves [s].
        longest_standing: Longest gap of what stands [s].
        unseen: Price of each second in which a road user that is there is not detected [1/s].
        apart: Price of leaving both as they are: of a death and a birth.
        density: How many tracklets start by chance in a square metre while one looks.

    Raises:
        InputError: A gap or the price of a second is negative, or the density is not positive.
    """

    longest: float = 6.0
    longest_standing: float = 20.0
    unseen: float = 1.0
    apart: float = 0.0
    density: float = 0.003

    def __post_init__(self) -> None:
        for name in ("longest", "longest_standing", "unseen", "density"):
            value = getattr(self, name)
            if not (0.0 < value if name == "density" else 0.0 <= value) or not np.isfinite(value):
                raise InputError(
                    "config",
                    f"{name} is out of range",
                    why=f"{value}, expected {'above 0' if name == 'density' else '0 or more'}",
                )


def link(
    tracks: Tracks,
    profile: Profile,
    prices: LinkPrices,
    dt: float,
    *,
    group: Int64[np.ndarray, " track"] | None = None,
) -> tuple[Int64[np.ndarray, " link"], Int64[np.ndarray, " link"]]:
    """Return which tracklets go on as which others.

    Each tracklet has at most one that follows it, and follows at most one. Of all such ways to
    join them the one of the least total price is taken; it is a flow of least cost through the
    tracklets, and since each can be passed once only, an assignment of followers.

    Args:
        tracks: The tracklets.
        profile: What is known of the detector and of road users.
        prices: What joining costs.
        dt: Time step [s].
        group: Group of each tracklet where some are one already (`find_doubles`). A group goes on
            from where the last of it ends to where the first of another begins; else two road
            users could follow, one on each double, and become one.

    References:
        Zhang, Li and Nevatia, "Global Data Association for Multi-Object Tracking Using Network
        Flows", CVPR 2008.
    """
    starts, ends = _group_ends(tracks.chains, group)
    befores, afters, gains = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for one, other in _candidates(tracks, profile, prices, dt):
        kept = ends[one] & starts[other]
        if group is not None:
            kept &= group[one] != group[other]
        before, after = one[kept], other[kept]
        gain = prices.apart - _price(tracks, before, after, profile, prices, dt)
        kept = gain > 0
        befores.append(before[kept])
        afters.append(after[kept])
        gains.append(gain[kept])
    gain = np.concatenate(gains)
    if not len(gain):
        return befores[0], afters[0]
    return _best_followers(np.concatenate(befores), np.concatenate(afters), gain)


def group_tracks(
    one: Int64[np.ndarray, " pair"], other: Int64[np.ndarray, " pair"], count: int
) -> Int64[np.ndarray, " track"]:
    """Return the group of each track when pairs of them are one, by first track from 0."""
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _group_ends(
    chains: Chains, group: Int64[np.ndarray, " track"] | None
) -> tuple[Bool[np.ndarray, " track"], Bool[np.ndarray, " track"]]:
    """Tell which tracks begin, and which end their group."""
    if group is None:
        return np.ones(len(chains.first), bool), np.ones(len(chains.first), bool)
    starts, ends = np.zeros(len(group), bool), np.zeros(len(group), bool)
    order = np.lexsort((chains.first, group))
    starts[order[np.diff(group[order], prepend=-1) != 0]] = True
    order = np.lexsort((chains.first + chains.length, group))
    ends[order[np.diff(group[order], append=-1) != 0]] = True
    return starts, ends


def _candidates(
    tracks: Tracks, profile: Profile, prices: LinkPrices, dt: float
) -> Iterator[tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]]:
    """Give all pairs that may be worth joining, some at a time.

    The second starts after the first ended, and both are so near and so sure that their price may
    be low enough; of a price at a distance r and a variance v, r²/(2v) + log(2πvd), the least over
    all v is 1 + log(πdr²).
    """
    chains, stands = tracks.chains, tracks.stands
    end = chains.first + chains.length - 1
    order = np.argsort(chains.first, kind="stable")
    starts = chains.first[order]
    low = np.searchsorted(starts, end, side="right")
    longest = _longest_gaps(tracks, profile, prices, dt)
    high = np.searchsorted(starts, end + longest, side="right")
    head, tail = chains.start, chains.start + chains.length - 1
    head_place, head_velocity = tracks.place[head, :2], tracks.velocity[head]
    tail_place, tail_velocity = tracks.place[tail, :2], tracks.velocity[tail]
    total = np.cumsum(high - low)
    bounds = np.searchsorted(total, np.arange(0, max(total[-1:].sum(), 1), _PAIRS))
    for part, following in zip(bounds, [*bounds[1:], len(low)], strict=True):
        rows = np.arange(part, following)
        number = high[rows] - low[rows]
        before = np.repeat(rows, number)
        place = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        after = order[np.repeat(low[rows], number) + place]
        gap = (chains.first[after] - end[before]) * dt
        still = stands[before] & stands[after]
        half = gap[:, None] / 2
        rest = head_place[after] - half * head_velocity[after]
        rest -= tail_place[before] + half * tail_velocity[before]
        budget = prices.apart - prices.unseen * np.where(still, _STILL_SEEN, 1.0) * gap
        near = (rest**2).sum(axis=1) * np.pi * prices.density < np.exp(budget - 1.0)
        near &= (gap <= prices.longest) | still
        yield before[near], after[near]


def _longest_gaps(
    tracks: Tracks, profile: Profile, prices: LinkPrices, dt: float
) -> Int64[np.ndarray, " track"]:
    """Return after how many steps at most each track could be followed at all.

    The less is known of how fast something moves, the sooner it could be anywhere.
    """
    longest = np.floor(prices.longest / dt + 1e-9)
    gap = np.arange(1, longest + 1) * dt
    tail = tracks.chains.start + tracks.chains.length - 1
    speed = _speed_variance(tracks, tail)[:, None]
    pull = profile.table["acceleration"][tracks.kind][:, None]
    variance = 0.01 + gap**2 / 4 * speed + (pull * gap**2 / 8) ** 2
    least = np.log(2 * np.pi * variance * prices.density) + prices.unseen * gap
    steps = (least < prices.apart).sum(axis=1)
    standing = np.floor(prices.longest_standing / dt + 1e-9)
    return np.where(tracks.stands, standing, steps).astype(np.int64)


def _price(
    tracks: Tracks,
    before: Int64[np.ndarray, " pair"],
    after: Int64[np.ndarray, " pair"],
    profile: Profile,
    prices: LinkPrices,
    dt: float,
) -> Float64[np.ndarray, " pair"]:
    """Return minus the log of how likely the second goes on where the first ended.

    The way between them is compared with half of both speeds: a constant acceleration in the gap
    cancels, and what is left is what it changed by, and the errors of both ends.
    """
    chains = tracks.chains
    tail, head = (chains.start + chains.length - 1)[before], chains.start[after]
    gap = (chains.first[after] - chains.first[before] - chains.length[before] + 1) * dt
    table = profile.table
    pull = table["acceleration"][tracks.kind[before]]
    way = tracks.place[head, :2] - tracks.place[tail, :2]
    rest = way - gap[:, None] / 2 * (tracks.velocity[tail] + tracks.velocity[head])
    place_variance = (tracks.std[tail, :2] ** 2 + tracks.std[head, :2] ** 2).mean(axis=1)
    speed_variance = _speed_variance(tracks, tail) + _speed_variance(tracks, head)
    variance = place_variance + gap**2 / 4 * speed_variance + (pull * gap**2 / 8) ** 2 + 0.01
    price = (rest**2).sum(axis=1) / (2 * variance) + np.log(2 * np.pi * variance * prices.density)
    change = ((tracks.velocity[head] - tracks.velocity[tail]) ** 2).sum(axis=1)
    price += change / (2 * (speed_variance + pull**2 * gap))
    still = tracks.stands[before] & tracks.stands[after]
    drift = table["drift"][tracks.kind[before]]
    slack = place_variance + drift**2 * gap + 0.04
    standing = (way**2).sum(axis=1) / (2 * slack) + np.log(2 * np.pi * slack * prices.density)
    price = np.where(still, standing, price)
    price += _size_price(tracks, before, after, profile)
    price += profile.strangeness[tracks.kind[before], tracks.kind[after]]
    return price + prices.unseen * np.where(still, _STILL_SEEN, 1.0) * gap


def _speed_variance(
    tracks: Tracks, cell: Int64[np.ndarray, " pair"]
) -> Float64[np.ndarray, " pair"]:
    """Return how uncertain the speed of a cell is, 0 for what stands [m²/s²]."""
    moves = ~tracks.stands[tracks.chains.track[cell]]
    return np.where(moves, tracks.course.covariance[cell, 3, 3], 0.0)


def _size_price(
    tracks: Tracks,
    before: Int64[np.ndarray, " pair"],
    after: Int64[np.ndarray, " pair"],
    profile: Profile,
) -> Float64[np.ndarray, " pair"]:
    ratio = np.log(tracks.size[before] / tracks.size[after])
    noise = 2 * profile.table["size_noise"][tracks.kind[before]]
    # Few sizes are independent of one another: many detections make them only somewhat surer.
    hits = np.bincount(tracks.chains.track[tracks.cell], minlength=len(tracks.kind))
    share = 1 / np.minimum(hits[before], 4) + 1 / np.minimum(hits[after], 4)
    return (ratio**2).sum(axis=1) / (2 * noise**2 * (0.5 + share))


def _best_followers(
    before: Int64[np.ndarray, " pair"],
    after: Int64[np.ndarray, " pair"],
    gain: Float64[np.ndarray, " pair"],
) -> tuple[Int64[np.ndarray, " link"], Int64[np.ndarray, " link"]]:
    """Return the links of the greatest total gain; each tracklet may also go without."""
    rows, row = np.unique(before, return_inverse=True)
    columns, column = np.unique(after, return_inverse=True)
    nobody = len(columns) + np.arange(len(rows))
    # The solver minimises and takes a weight of 0 for no edge, so all are shifted alike.
    shift = gain.max() + 1.0
    graph = coo_array(
        (
            np.concatenate([shift - gain, np.full(len(rows), shift)]),
            (
                np.concatenate([row, np.arange(len(rows))]),
                np.concatenate([column, nobody]),
            ),
        ),
        shape=(len(rows), len(columns) + len(rows)),
    ).tocsr()
    picked_row, picked_column = min_weight_full_bipartite_matching(graph)
    linked = picked_column < len(columns)
    return rows[picked_row[linked]], columns[picked_column[linked]]


def find_doubles(
    tracks: Tracks, profile: Profile, *, overlap: float = 0.25, share: float = 0.5
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
    """Return pairs of tracks that stand in one another's place for most of their common time.

    The track of fewer detections comes first, and is the double of one other only, that of most
    common steps: a false detection between two walkers must not make one of them.

    Args:
        tracks: All tracks.
        profile: Which kinds may be taken for one another; only such can be one road user.
        overlap: Least intersection over union, seen from above, of boxes in the same place.
        share: Least share of their common steps at which they are.
    """
    one, other = _near_cells(tracks)
    boxes = bev_boxes(tracks.boxes())
    same = bev_iou(boxes[one], boxes[other]) > overlap
    track = tracks.chains.track
    count = len(tracks.kind)
    pair = track[one[same]] * count + track[other[same]]
    pair, steps = np.unique(pair, return_counts=True)
    first, second = pair // max(count, 1), pair % max(count, 1)
    begin = np.maximum(tracks.chains.first[first], tracks.chains.first[second])
    ends = tracks.chains.first + tracks.chains.length
    common = np.minimum(ends[first], ends[second]) - begin
    kept = steps >= share * common
    kept &= np.isfinite(profile.strangeness[tracks.kind[first], tracks.kind[second]])
    first, second, steps = first[kept], second[kept], steps[kept]
    hits = np.bincount(track[tracks.cell], minlength=count)
    weaker = (hits[first] < hits[second]) | ((hits[first] == hits[second]) & (first > second))
    double, single = np.where(weaker, first, second), np.where(weaker, second, first)
    order = np.lexsort((single, -hits[single], -steps, double))
    best = order[np.diff(double[order], prepend=-1) != 0]
    return double[best], single[best]


def _near_cells(
    tracks: Tracks,
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
    """Return pairs of cells of one step whose centres are closer than both are long."""
    step = tracks.chains.step
    length = tracks.size[tracks.chains.track, 0]
    # Steps far apart along a third axis, so that one tree holds them all.
    reach = float(np.quantile(length, 0.99)) if len(length) else 1.0
    points = np.column_stack([tracks.place[:, :2], step * 4.0 * reach])
    pairs = KDTree(points).query_pairs(reach, output_type="ndarray").astype(np.int64)
    away = np.hypot(*(tracks.place[pairs[:, 0], :2] - tracks.place[pairs[:, 1], :2]).T)
    near = away < (length[pairs[:, 0]] + length[pairs[:, 1]]) / 2
    pairs = np.sort(pairs[near], axis=1)
    return pairs[:, 0], pairs[:, 1]
