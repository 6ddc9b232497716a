"""What a recording car would have detected of a scene, and the truth about it, apart.

The car sees along rays from its roof. A road user that others hide is seen in part or not at all;
far and small ones are missed more often, and misses last: they follow a slowly varying chance per
road user. What is detected is measured with noise that grows with range and occlusion. Ghosts
appear and stay for a few steps. Scores tell roughly how likely a detection is real.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy.signal import lfilter
from scipy.special import expit, ndtr

from kerbstone.errors import InputError
from kerbstone.scene import Kind, see_agents, wrap_angle

if TYPE_CHECKING:
    from kerbstone.scene import Scene


@dataclass(frozen=True)
class SensorConfig:
    """How good the car's perception is.

    Args:
        range: How far it sees [m].
        field_of_view: Horizontal angle around straight ahead [rad]; 2π all around.
        height: Height of the sensor above the road [m].
        recall: Share of near, unhidden road users that are detected.
        noise: Factor on all measurement noise; 0 for none.
        ghosts: Mean number of ghosts in each step.
        confusion: Chance of a wrong class at the end of the range; half of it near the car.

    Raises:
        InputError: A value is out of range.
    """

    range: float = 100.0
    field_of_view: float = 2 * np.pi
    height: float = 1.9
    recall: float = 0.98
    noise: float = 1.0
    ghosts: float = 1.0
    confusion: float = 0.1

    def __post_init__(self) -> None:
        limits = {
            "range": (0.0, np.inf),
            "field_of_view": (0.0, 2 * np.pi),
            "height": (0.0, np.inf),
            "recall": (0.0, 1.0),
            "noise": (0.0, np.inf),
            "ghosts": (0.0, np.inf),
            "confusion": (0.0, 1.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    "config",
                    f"{name} of the sensor is out of range",
                    why=f"{value}, must be from {low:g} to {high:g}",
                )


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections, and the truth about them. All are Arrow tables.

    Args:
        detections: One row each: `scene_id`, `detection` (its number), `time_ns`, `x`, `y`, `z`, `heading`, `length`,
            `width`, `height` (world frame, SI), `kind` (a `Kind`), `score` in (0, 1); by time,
            then by falling score.
        truth: For each detection: `scene_id`, `detection`, and `agent`, the road user's id, or
            null for a ghost.
        visibility: For each road user within range at each time: `scene_id`, `time_ns`, `agent`,
            `distance` [m] and `visible`, the share of it that nothing hides.
    """

    detections: Any
    truth: Any
    visibility: Any


# For each kind: the range at which half are missed [m], what it is mistaken for, and how common a
# ghost of that kind is.
_TRAITS: dict[Kind, tuple[float, tuple[Kind, ...], float]] = {
    Kind.CAR: (110.0, (Kind.TRUCK,), 0.45),
    Kind.TRUCK: (130.0, (Kind.BUS, Kind.CAR), 0.08),
    Kind.BUS: (140.0, (Kind.TRUCK,), 0.03),
    Kind.TRAILER: (130.0, (Kind.TRUCK,), 0.0),
    Kind.TRAIN: (150.0, (Kind.BUS, Kind.TRUCK), 0.0),
    Kind.MOTORCYCLE: (80.0, (Kind.CYCLIST,), 0.04),
    Kind.CYCLIST: (75.0, (Kind.PEDESTRIAN, Kind.MOTORCYCLE), 0.08),
    Kind.PEDESTRIAN: (65.0, (Kind.CYCLIST,), 0.32),
    Kind.RIDER: (65.0, (Kind.PEDESTRIAN, Kind.CYCLIST), 0.0),
}
_OTHER = (80.0, (Kind.CAR,), 0.0)
_GHOST_SIZE = {
    Kind.CAR: (4.4, 1.8, 1.5),
    Kind.TRUCK: (8.0, 2.4, 3.2),
    Kind.BUS: (11.5, 2.5, 3.1),
    Kind.MOTORCYCLE: (2.1, 0.8, 1.5),
    Kind.CYCLIST: (1.8, 0.6, 1.7),
    Kind.PEDESTRIAN: (0.5, 0.6, 1.7),
}
_MEMORY = 0.85
"""How strongly a road user's luck at one step carries over to the next, at 10 Hz."""
_GHOST_STEPS = 4.0


def simulate_detections(
    scene: Scene, config: SensorConfig | None = None, *, seed: int = 0
) -> Detections:
    """Return what the recording car would have detected, and the truth about it.

    The same scene, configuration and seed give the same detections, bit by bit.

    Args:
        scene: A scene with a recording car.
        config: The car's perception.
        seed: Source of all chance, together with the scene's id.

    Raises:
        InputError: The scene has no recording car.
    """
    config = config or SensorConfig()
    if scene.ego is None:
        raise InputError(
            "value",
            "a scene without a recording car has nobody to see it",
            where=f"scene {scene.id}",
            remedy="name the recording car when the traffic is simulated",
        )
    rng = np.random.default_rng([seed, zlib.crc32(scene.id.encode())])
    distance, visible = see_agents(
        scene, reach=config.range, field_of_view=config.field_of_view, height=config.height
    )
    found, chance = _find(scene, distance, visible, config, rng)
    rows = _measure(scene, found, distance, visible, config, rng)
    rows["score"] = np.clip(chance[found] + rng.normal(0, 0.08, found.sum()), 0.02, 0.99)
    ghosts = _ghosts(scene, config, rng)
    agent = np.concatenate([np.nonzero(found)[0], np.full(len(ghosts["step"]), -1)])
    merged = {name: np.concatenate([rows[name], ghosts[name]]) for name in rows}
    order = np.lexsort((-merged["score"], merged["step"]))
    return _to_tables(
        scene,
        {name: value[order] for name, value in merged.items()},
        agent[order],
        distance,
        visible,
    )


def _find(
    scene: Scene,
    distance: Float64[np.ndarray, "agent time"],
    visible: Float64[np.ndarray, "agent time"],
    config: SensorConfig,
    rng: np.random.Generator,
) -> tuple[Bool[np.ndarray, "agent time"], Float64[np.ndarray, "agent time"]]:
    """Return who is detected when, and how likely that was."""
    half = np.array([_traits(int(kind))[0] for kind in scene.agents.kind])[:, None]
    with np.errstate(invalid="ignore"):
        chance = config.recall * expit((half - distance) / 12.0) * np.clip(visible, 0, 1) ** 0.7
        chance = np.where(visible > 0.12, chance, 0.0)
    white = rng.normal(size=distance.shape)
    return ndtr(_carry_over(white)) < chance, chance


def _measure(
    scene: Scene,
    found: Bool[np.ndarray, "agent time"],
    distance: Float64[np.ndarray, "agent time"],
    visible: Float64[np.ndarray, "agent time"],
    config: SensorConfig,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return the measured boxes of those that were detected."""
    agents = scene.agents
    who, step = np.nonzero(found)
    reach = distance[found]
    # What is half hidden is measured worse.
    blur = config.noise * (1.0 + 1.5 * (1.0 - visible[found]))

    def chance() -> np.ndarray:
        # Half of an error stays with the road user for a while, half is new at each step.
        lasting = _carry_over(rng.normal(size=found.shape))[found]
        return (lasting + rng.normal(size=lasting.size)) / np.sqrt(2)

    centre = agents.centre[found].copy()
    line = centre[:, :2] - agents.centre[scene.ego, step, :2]
    bearing = np.arctan2(line[:, 1], line[:, 0])
    along = blur * (0.06 + 0.002 * reach) * chance()
    across = blur * (0.04 + 0.0015 * reach) * chance()
    centre[:, 0] += along * np.cos(bearing) - across * np.sin(bearing)
    centre[:, 1] += along * np.sin(bearing) + across * np.cos(bearing)
    centre[:, 2] += blur * 0.05 * chance()
    heading = agents.heading[found] + blur * (0.02 + 0.0006 * reach) * chance()
    # Now and then front and rear are mixed up, of pedestrians more often.
    is_walker = agents.kind[who] == Kind.PEDESTRIAN
    turned = rng.random(who.size) < config.noise * np.where(is_walker, 0.08, 0.01)
    heading = wrap_angle(np.where(turned, heading + np.pi, heading))
    bias = rng.normal(size=(len(agents), 3))[who]
    spread = blur[:, None] * (0.04 * bias + 0.02 * rng.normal(size=bias.shape))
    size = agents.size[who] * np.exp(spread)
    return {
        "step": step,
        "x": centre[:, 0],
        "y": centre[:, 1],
        "z": centre[:, 2],
        "heading": heading,
        "length": size[:, 0],
        "width": size[:, 1],
        "height": size[:, 2],
        "kind": _confuse(agents.kind[who], reach / config.range, config, rng),
    }


def _confuse(
    kind: np.ndarray, share: np.ndarray, config: SensorConfig, rng: np.random.Generator
) -> np.ndarray:
    """Return the classes that were recognised: some are mistaken for similar ones."""
    mistaken = rng.random(kind.size) < config.confusion * (0.5 + 0.5 * share)
    pick = rng.random(kind.size)
    taken = kind.copy()
    for each in np.unique(kind[mistaken]):
        similar = np.array(_traits(int(each))[1], np.uint8)
        rows = mistaken & (kind == each)
        taken[rows] = similar[(pick[rows] * len(similar)).astype(np.int64)]
    return taken


def _ghosts(scene: Scene, config: SensorConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return detections of nothing: each stands somewhere around the car for a few steps."""
    steps = scene.clock.steps
    count = rng.poisson(config.ghosts * steps / _GHOST_STEPS)
    first = rng.integers(0, steps, count)
    length = np.minimum(rng.geometric(1 / _GHOST_STEPS, count), steps - first)
    kinds = np.array(list(_GHOST_SIZE), np.uint8)
    shares = np.array([_TRAITS[kind][2] for kind in _GHOST_SIZE])
    kind = rng.choice(kinds, count, p=shares / shares.sum())
    # Evenly over the area that the car sees.
    reach = config.range * np.sqrt(rng.uniform(0.005, 1, count))
    bearing = rng.uniform(-0.5, 0.5, count) * config.field_of_view
    turn = bearing + scene.agents.heading[scene.ego, first]
    place = scene.agents.centre[scene.ego, first].copy()
    place[:, 0] += reach * np.cos(turn)
    place[:, 1] += reach * np.sin(turn)
    size = np.array([_GHOST_SIZE[Kind(each)] for each in kind]).reshape(-1, 3)
    size *= np.exp(rng.normal(0, 0.1, (count, 3)))
    place[:, 2] += size[:, 2] / 2 - scene.agents.size[scene.ego, 2] / 2
    heading = rng.uniform(-np.pi, np.pi, count)
    sure = rng.beta(1.6, 4.0, count)
    row = np.repeat(np.arange(count), length)
    start = np.repeat(np.cumsum(length) - length, length)
    centre = place[row] + rng.normal(0, 0.1 * config.noise + 1e-9, (row.size, 3))
    return {
        "step": first[row] + np.arange(row.size) - start,
        "x": centre[:, 0],
        "y": centre[:, 1],
        "z": centre[:, 2],
        "heading": heading[row],
        "length": size[row, 0],
        "width": size[row, 1],
        "height": size[row, 2],
        "kind": kind[row],
        "score": np.clip(sure[row] + rng.normal(0, 0.05, row.size), 0.02, 0.99),
    }


def _carry_over(white: Float64[np.ndarray, "agent time"]) -> Float64[np.ndarray, "agent time"]:
    """Return normal numbers that vary slowly along time, from independent ones."""
    fresh = np.sqrt(1 - _MEMORY**2)
    # The first value passes whole, so that all have the same spread.
    white = np.concatenate([white[:, :1] / fresh, white[:, 1:]], axis=1)
    return np.asarray(lfilter([fresh], [1.0, -_MEMORY], white, axis=1))


def _traits(kind: int) -> tuple[float, tuple[Kind, ...], float]:
    return _TRAITS.get(Kind(kind), _OTHER)


def _to_tables(
    scene: Scene,
    rows: dict[str, np.ndarray],
    agent: np.ndarray,
    distance: np.ndarray,
    visible: np.ndarray,
) -> Detections:
    import pyarrow as pa

    times_ns, ids = scene.clock.times_ns, np.array(scene.agents.ids, object)
    who, step = np.nonzero(np.isfinite(visible))
    names = pa.array([scene.id] * len(agent), pa.string())
    number = np.arange(len(agent), dtype=np.int64)
    columns = {name: value for name, value in rows.items() if name != "step"}
    return Detections(
        detections=pa.table(
            {
                "scene_id": names,
                "detection": number,
                "time_ns": times_ns[rows["step"]],
                **columns,
            }
        ),
        truth=pa.table(
            {
                "scene_id": names,
                "detection": number,
                "agent": pa.array([ids[i] if i >= 0 else None for i in agent], pa.string()),
            }
        ),
        visibility=pa.table(
            {
                "scene_id": pa.array([scene.id] * len(who), pa.string()),
                "time_ns": times_ns[step],
                "agent": pa.array(ids[who], pa.string()),
                "distance": distance[who, step],
                "visible": visible[who, step],
            }
        ),
    )
