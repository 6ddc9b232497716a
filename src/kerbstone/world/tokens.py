"""Tokens: a window as the network sees it, in arrays of static shapes, and what it is to predict.

Everything that is told of a road user is in its own frame at that time; places enter only as poses,
from which the network takes relative ones. So what comes out turns with the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32
from scipy.spatial import KDTree

from kerbstone.scene import Kind, SignalState, angle_difference
from kerbstone.world.anchors import Anchors, anchor
from kerbstone.world.masks import Mask
from kerbstone.world.neighbours import nearest_agents, nearest_points
from kerbstone.world.observed import Observed, hide
from kerbstone.world.roads import road_pieces
from kerbstone.world.windows import STEP, STEPS_PER_PATCH, Window

STATE_VALUES = 5 * STEPS_PER_PATCH
TYPE_VALUES = len(Kind) + 5
LIGHT_VALUES = len(SignalState)
_REACH = 100.0
"""Neighbours lie no further away than this [m]."""
_LONG = 10.0
"""Times are told in shares of this [s]."""
_FAST = 10.0
"""Velocities are told in shares of this [m/s]."""
_HARD = 3.0
"""Accelerations are told in shares of this [m/s²], up to twice as much: more is noise."""
_BEND = 0.3
"""How far a track is off going on evenly, within a patch, is told in shares of this [m]."""
_LARGE = 5.0
_JUMP = 15.0
"""A track that is further than so many units from its anchors, on average, has jumped."""


class Flag(IntEnum):
    """What is told of each patch besides its states."""

    SEEN = 0
    HIDDEN = 1
    PLACED = 2
    AGE = 3
    """Time since the last step that is seen, up to `_LONG`."""
    WAIT = 4
    """Time until the next step that is seen, up to `_LONG`."""
    ALONG = 5
    """Velocity of the anchor along its heading."""
    ACROSS = 6
    SPEED = 7
    ACCELERATION_ALONG = 8
    """Acceleration of the anchor along its heading."""
    ACCELERATION_ACROSS = 9


@dataclass(frozen=True)
class Limits:
    """How many of each sort there are room for, and how many each token attends to.

    Args:
        agents: Road users; of more, those that come nearest to the focus count.
        patches: Patches.
        pieces: Pieces of road; of more, those that are nearest to fewest road users are left out.
        lights: Traffic lights.
        near_agents: Road users that a token attends to at its time.
        near_pieces: Pieces of road that a token attends to.
        near_lights: Lights that a token attends to at its time.
    """

    agents: int = 32
    patches: int = 22
    pieces: int = 768
    lights: int = 32
    near_agents: int = 6
    near_pieces: int = 12
    near_lights: int = 2


class Tokens(NamedTuple):
    """What the network sees of a window; nothing hidden is in it.

    Arrays of NumPy, or of JAX once they are on the device.
    """

    state: Float32[Any, "*batch agent patch value"]
    flags: Float32[Any, "*batch agent patch flag"]
    type: Float32[Any, "*batch agent value"]
    pose: Float32[Any, "*batch agent patch 3"]
    is_there: Bool[Any, "*batch agent patch"]
    is_hidden: Bool[Any, "*batch agent patch"]
    piece: Float32[Any, "*batch piece value"]
    piece_pose: Float32[Any, "*batch piece 3"]
    light: Float32[Any, "*batch light patch value"]
    light_pose: Float32[Any, "*batch light 3"]
    near_agents: Int32[Any, "*batch agent patch neighbour"]
    near_pieces: Int32[Any, "*batch agent patch neighbour"]
    near_lights: Int32[Any, "*batch agent patch neighbour"]
    unit: Float32[Any, "*batch agent patch step"]


class Targets(NamedTuple):
    """What the network is to predict: offsets from the anchors, in their frames and units."""

    offset: Float32[Any, "*batch agent patch step 2"]
    turn: Float32[Any, "*batch agent patch step"]
    valid: Bool[Any, "*batch agent patch step"]
    is_recorded: Bool[Any, "*batch agent patch step"]
    kind: Int32[Any, "*batch agent"]
    is_kind_asked: Bool[Any, "*batch agent"]


class Example(NamedTuple):
    """What the network sees, and what it is to predict."""

    tokens: Tokens
    targets: Targets


@dataclass(frozen=True, eq=False)
class Frame:
    """How tokens lie in the world: what is needed to read a prediction.

    Args:
        rows: Row in the window of each road user among the tokens.
        origin: Where the tokens' frame has its origin, world frame [m].
        anchors: Of those road users, world frame.
        observed: What was seen of them.
    """

    rows: np.ndarray
    origin: Float64[np.ndarray, " 2"]
    anchors: Anchors
    observed: Observed


def tokenise(
    observed: Observed,
    limits: Limits,
    *,
    focus: Float64[np.ndarray, " 2"] | None = None,
    keep_order: bool = False,
) -> tuple[Tokens, Frame]:
    """Return what the network sees of what is left of a window.

    Args:
        observed: What is left of the window.
        limits: Sizes of the arrays.
        focus: Where it matters [m]; the middle of those who are seen if not given.
        keep_order: Whether road users keep their order; else the nearest to the focus come first.
    """
    anchors = anchor(observed)
    rows, origin = _choose(observed, anchors, limits.agents, focus)
    rows = np.sort(rows) if keep_order else rows
    observed = observed.select(rows)
    anchors = anchors.select(rows)
    window = observed.window
    shape = (len(rows), window.patches)
    last = slice(STEPS_PER_PATCH - 1, None, STEPS_PER_PATCH)
    pose = np.dstack([anchors.position[:, last] - origin, anchors.heading[:, last]])
    seen = window.valid_patch & ~observed.hidden
    is_there = seen | observed.hidden
    near = pose[..., :2] + origin
    pieces = road_pieces(window.map)
    near_pieces = nearest_points(near, is_there, pieces.tree, limits.near_pieces, _REACH)
    kept_pieces, near_pieces = _keep(near_pieces, len(pieces), limits.pieces)
    places = window.light_place
    near_lights = nearest_points(near, is_there, KDTree(places), limits.near_lights, _REACH)
    kept_lights, near_lights = _keep(near_lights, len(places), limits.lights)
    light_state = window.light_state[kept_lights][:, last]
    tokens = Tokens(
        state=_tell_states(observed, anchors, pose, origin),
        flags=_tell_flags(observed, anchors, pose, seen),
        type=_tell_types(observed),
        pose=pose,
        is_there=is_there,
        is_hidden=observed.hidden,
        piece=pieces.values[kept_pieces],
        piece_pose=pieces.pose[kept_pieces] - [*origin, 0.0],
        light=np.eye(LIGHT_VALUES, dtype=np.float32)[light_state],
        light_pose=np.column_stack(
            [places[kept_lights] - origin, window.light_heading[kept_lights]]
        ),
        near_agents=nearest_agents(near, is_there, limits.near_agents, _REACH),
        near_pieces=near_pieces,
        near_lights=near_lights,
        unit=anchors.unit.reshape(*shape, STEPS_PER_PATCH),
    )
    return pad(tokens, limits), Frame(rows, origin, anchors, observed)


def make_example(
    window: Window,
    mask: Mask,
    limits: Limits,
    *,
    focus: Float64[np.ndarray, " 2"] | None = None,
) -> Example:
    """Return what the network sees of a window under a mask, and what it is to predict."""
    tokens, frame = tokenise(hide(window, mask), limits, focus=focus)
    truth = window.select(frame.rows)
    anchors = frame.anchors
    shape = (len(frame.rows), window.patches, STEPS_PER_PATCH)
    last = STEPS_PER_PATCH - 1
    axis = anchors.heading.reshape(shape)[..., last:]
    apart = (truth.position - anchors.position).reshape(*shape, 2)
    offset = turn_vectors(apart, -axis) / anchors.unit.reshape(shape)[..., None]
    asked = truth.valid.reshape(shape) & frame.observed.hidden[..., None]
    follows = ~_find_jumps(offset, asked)[:, None, None]
    asked &= follows
    turn = angle_difference(truth.heading.reshape(shape), axis)
    recorded = np.ones(window.steps, bool) if truth.is_recorded is None else truth.is_recorded
    asked_kind = frame.observed.is_type_hidden & (truth.kind != Kind.UNKNOWN)
    targets = Targets(
        offset=np.where(asked[..., None], offset, 0.0),
        turn=np.where(asked & np.isfinite(turn), turn, np.nan),
        valid=asked,
        is_recorded=recorded.reshape(shape[1:]) & follows,
        kind=truth.kind.astype(np.int32),
        is_kind_asked=asked_kind,
    )
    return Example(tokens, pad(targets, limits))


def _find_jumps(
    offset: Float64[np.ndarray, "agent patch step 2"], asked: Bool[np.ndarray, "agent patch step"]
) -> Bool[np.ndarray, " agent"]:
    """Tell which tracks jump, or are another's: nothing is learned from them, nor judged by them.

    It is told by the anchors alone, so that no model can choose what it is judged by.
    """
    apart = np.where(asked, np.abs(offset).sum(axis=-1), 0.0).sum(axis=(1, 2))
    return np.asarray(apart > _JUMP * np.maximum(asked.sum(axis=(1, 2)), 1))


Arrays = TypeVar("Arrays", bound=tuple[Any, ...])
"""A named tuple of arrays."""


def stack(examples: Sequence[Arrays]) -> Arrays:
    """Return examples, or tokens, of one shape as a batch."""
    first = examples[0]
    parts = [
        stack([each[place] for each in examples])
        if isinstance(value, tuple)
        else np.stack([each[place] for each in examples])
        for place, value in enumerate(first)
    ]
    return type(first)(*parts)


def _choose(
    observed: Observed, anchors: Anchors, most: int, focus: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return whom there is room for, the nearest first, and the origin of their frame."""
    known = np.flatnonzero(anchors.is_known)
    seen = observed.window.position[known]
    if focus is None:
        focus = np.zeros(2) if not len(known) else np.nanmean(seen.reshape(-1, 2), axis=0)
    away = np.nanmin(np.hypot(*np.moveaxis(seen - focus, -1, 0)), axis=1, initial=np.inf)
    return known[np.argsort(away, kind="stable")[:most]], np.asarray(focus, np.float64)


def _keep(near: np.ndarray, count: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the things that are near to anyone, at most so many, and their new numbers."""
    often = np.bincount(near[near >= 0], minlength=count)
    kept = np.flatnonzero(often)
    if len(kept) > most:
        kept = np.sort(kept[np.argsort(-often[kept], kind="stable")[:most]])
    number = np.full(count + 1, -1)
    number[kept] = np.arange(len(kept))
    return kept, number[near]


def _tell_states(
    observed: Observed, anchors: Anchors, pose: np.ndarray, origin: np.ndarray
) -> np.ndarray:
    window = observed.window
    shape = (*pose.shape[:2], STEPS_PER_PATCH)
    # A place that is left of a hidden patch is its pose already.
    valid = window.valid.reshape(shape) & ~observed.hidden[..., None]
    # Relative to going evenly: in metres a bend would be lost beside the way.
    velocity = anchors.velocity[:, STEPS_PER_PATCH - 1 :: STEPS_PER_PATCH]
    ago = STEP * np.arange(1 - STEPS_PER_PATCH, 1)
    evenly = origin + pose[..., None, :2] + velocity[..., None, :] * ago[:, None]
    apart = (window.position.reshape(*shape, 2) - evenly) / _BEND
    own = turn_vectors(apart, -pose[..., None, 2])
    turn = window.heading.reshape(shape) - pose[..., None, 2]
    values = np.concatenate([own, np.cos(turn)[..., None], np.sin(turn)[..., None]], axis=-1)
    values = np.where(valid[..., None] & np.isfinite(values), values, 0.0)
    return np.concatenate([values, valid[..., None]], axis=-1).reshape(*shape[:2], STATE_VALUES)


def _tell_flags(
    observed: Observed, anchors: Anchors, pose: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    last = slice(STEPS_PER_PATCH - 1, None, STEPS_PER_PATCH)
    own = turn_vectors(anchors.velocity[:, last], -pose[..., 2])
    flags = np.zeros((*seen.shape, len(Flag)))
    flags[..., Flag.SEEN] = seen
    flags[..., Flag.HIDDEN] = observed.hidden
    flags[..., Flag.PLACED] = observed.placed
    flags[..., Flag.AGE] = np.minimum(anchors.age[:, last], _LONG) / _LONG
    flags[..., Flag.WAIT] = np.minimum(anchors.wait[:, last], _LONG) / _LONG
    flags[..., Flag.ALONG] = own[..., 0] / _FAST
    flags[..., Flag.ACROSS] = own[..., 1] / _FAST
    flags[..., Flag.SPEED] = np.hypot(own[..., 0], own[..., 1]) / _FAST
    bent = turn_vectors(anchors.acceleration[:, last], -pose[..., 2]) / _HARD
    bent = np.clip(bent, -2.0, 2.0)
    flags[..., Flag.ACCELERATION_ALONG : Flag.ACCELERATION_ACROSS + 1] = bent
    return flags


def _tell_types(observed: Observed) -> np.ndarray:
    window, hidden = observed.window, observed.is_type_hidden
    values = np.zeros((len(window), TYPE_VALUES))
    values[np.arange(len(window)), window.kind] = ~hidden
    size = np.asarray(np.isfinite(window.size[:, :2]).all(axis=1))
    values[:, len(Kind)] = hidden
    values[:, len(Kind) + 1] = size
    values[:, len(Kind) + 2 : len(Kind) + 4] = np.where(
        size[:, None], window.size[:, :2] / _LARGE, 0.0
    )
    if window.ego is not None and not hidden[window.ego]:
        values[window.ego, len(Kind) + 4] = 1.0
    return values


def _sizes(limits: Limits) -> dict[str, tuple[int, ...]]:
    agents = (limits.agents, limits.patches)
    lights = (limits.lights, limits.patches)
    return {
        "type": (limits.agents,),
        "piece": (limits.pieces,),
        "piece_pose": (limits.pieces,),
        "light": lights,
        "light_pose": (limits.lights,),
        "kind": (limits.agents,),
        "is_kind_asked": (limits.agents,),
        "": agents,
    }


def pad(arrays: Arrays, limits: Limits) -> Arrays:
    """Return arrays of static shapes, in single precision: zeros after what is there."""
    sizes, padded = _sizes(limits), []
    names = type(arrays)._fields  # pyright: ignore[reportAttributeAccessIssue]
    for name, value in zip(names, arrays, strict=True):
        array = np.asarray(value)
        size = sizes.get(name, sizes[""])
        is_index = name.startswith("near_")
        kind = array.dtype if array.dtype == bool else np.int32
        kind = np.float32 if array.dtype.kind == "f" else kind
        full = np.full((*size, *array.shape[len(size) :]), -1 if is_index else 0, kind)
        full[tuple(slice(length) for length in array.shape)] = array
        padded.append(full)
    return type(arrays)(*padded)


def turn_vectors(
    vectors: Float64[np.ndarray, "*#batch 2"], angle: Float64[np.ndarray, "*#batch"]
) -> Float64[np.ndarray, "... 2"]:
    """Return vectors turned counter-clockwise by an angle [rad]."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
