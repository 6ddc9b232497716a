"""Writes what a prompt refers to in logs, as Argoverse 2's scenario-mining evaluator reads it.

The file is a pickle of NumPy arrays and builtins: `{(log, prompt): [frame, …]}`, a frame for each
step at which the recording car is there, in order. With `n` objects in it, a frame holds

| key | what |
|---|---|
| `seq_id`, `description` | `(log, prompt)`, and the prompt alone |
| `timestamp_ns` | when the step was measured; the evaluator pairs frames with those of the truth |
| `ego_translation_m` | the recording car's pose in the city frame, a list of three |
| `translation_m` | centres in the city frame, float64 `[n, 3]` |
| `size` | length, width, height, float32 `[n, 3]` |
| `yaw` | about z, from the city's x axis, float32 `[n]` |
| `velocity_m_per_s` | in the city frame, float64 `[n, 3]` |
| `label`, `name` | index into `CATEGORIES`, int32 `[n]`, and the category itself |
| `track_id` | the row of the agent in its scene, int32 `[n]` |
| `score` | how sure it is that the object is referred to, float32 `[n]` |

- All annotated objects are in it, at any distance: the evaluator drops what is farther than its
  `max_range_m` from `ego_translation_m`, in prediction and truth alike. It applies a mask of
  length `n` to every array of a frame, so nothing else in it may be an array.
- The recording car stands at `ego_translation_m`, which is the rear axle: the challenge's truth
  has it there, though that is not the middle of its box.
- `is_positive` belongs to the truth. In a prediction it would overrule the scores, so it is left
  out.
- The evaluator takes the log's name to be 36 characters long, as Argoverse 2's are.

References:
    https://github.com/argoverse/av2-api, `av2.evaluation.scenario_mining.eval` of av2 0.3.6.
    Davidson et al., "RefAV: Towards Planning-Centric Scenario Mining", 2025,
    https://arxiv.org/abs/2505.20981.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.formats.appearance import agent_sizes
from kerbstone.formats.stage import writing_whole
from kerbstone.scene import Scene

Frame = dict[str, Any]
_PROTOCOL = 4
"""Read by every Python that the evaluator runs on, and by the restricted reader."""


class Role(IntEnum):
    """What an object is to a prompt."""

    REFERRED = 0
    RELATED = 1
    OTHER = 2


CATEGORIES = tuple(f"{role.name}_OBJECT" for role in Role)
"""Names of the roles, as the evaluator spells them."""


@dataclass(frozen=True, eq=False)
class Referral:
    """Whom a prompt refers to in a scene, and when.

    Args:
        scene: The scene, a whole log.
        prompt: The words.
        role: `Role` of each agent at each step; it counts where the agent is there.
        score: How sure that is, from 0 to 1.

    Raises:
        InputError: The arrays do not fit the scene.
    """

    scene: Scene
    prompt: str
    role: UInt8[np.ndarray, "agent time"]
    score: Float64[np.ndarray, "agent time"]

    def __post_init__(self) -> None:
        for name, found in (("role", self.role), ("score", self.score)):
            if found.shape != self.scene.agents.valid.shape:
                raise InputError(
                    "shape",
                    f"{name} does not fit the agents",
                    where=f"scene {self.scene.id}",
                    why=f"{found.shape}, expected {self.scene.agents.valid.shape}",
                )


def write_referrals(path: str | Path, referrals: Iterable[Referral], *, every: int = 1) -> int:
    """Write what prompts refer to, for the evaluator.

    Referrals of one scene that come one after the other share its boxes, in the file too.

    Args:
        path: File to write; one that is there is replaced.
        referrals: One for each log and prompt.
        every: Takes every n-th frame only. The challenge scores its logs of 10 Hz at 2 Hz,
            which is 5; the frames must be those of the truth.

    Returns:
        How many log and prompt pairs were written.

    Raises:
        InputError: The folder is not there, a scene has no recording car, or a log and prompt
            come twice.
    """
    path = Path(path)
    sequences: dict[tuple[str, str], list[Frame]] = {}
    scene: Scene | None = None
    boxes: list[_Boxes] = []
    with writing_whole(path) as part:
        for referral in referrals:
            if referral.scene is not scene:
                scene, boxes = referral.scene, _box_frames(referral.scene, every)
            name = referral.scene.source.log, referral.prompt
            if name in sequences:
                raise InputError(
                    "duplicate",
                    "a log and prompt come twice",
                    where=str(path),
                    why=f"log {name[0]!r}, prompt {name[1]!r}",
                    remedy="write each prompt once, and logs of one name to files of their own",
                )
            sequences[name] = [_frame(frame, referral) for frame in boxes]
        with part.open("wb") as file:
            pickle.dump(sequences, file, protocol=_PROTOCOL)
    return len(sequences)


def find_ego(scene: Scene) -> int:
    """Return the row of the recording car, from which the evaluator measures distances.

    Raises:
        InputError: There is none.
    """
    if scene.ego is None:
        raise InputError(
            "value",
            "a scene has no recording car, which the evaluator measures distances from",
            where=f"scene {scene.id}",
            remedy="leave it out, as with --where 'ego is not null'",
        )
    return scene.ego


@dataclass(frozen=True, eq=False)
class _Boxes:
    """What the frames of a step have in common for all prompts."""

    step: int
    agents: Int64[np.ndarray, " n"]
    values: Frame


def _box_frames(scene: Scene, every: int) -> list[_Boxes]:
    agents, ego = scene.agents, find_ego(scene)
    steps = np.flatnonzero(agents.valid[ego])[::every]
    times = scene.clock.measured_ns[steps]
    # Heights, sizes and headings that a format does not give are no part of any score.
    centre = np.nan_to_num(agents.centre[:, steps])
    yaw = np.nan_to_num(agents.heading[:, steps])
    velocity = np.nan_to_num(agents.velocity[:, steps])
    if scene.ego_poses is not None and len(steps):
        pose = scene.ego_poses.at(times)
        centre[ego], yaw[ego] = pose.translation, pose.yaw
    size = agent_sizes(scene).astype(np.float32)
    frames = []
    for place, (step, time) in enumerate(zip(steps.tolist(), times.tolist(), strict=True)):
        there = np.flatnonzero(agents.valid[:, step])
        values = {
            "timestamp_ns": time,
            "ego_translation_m": centre[ego, place].tolist(),
            "translation_m": centre[there, place],
            "size": size[there],
            "yaw": yaw[there, place].astype(np.float32),
            "velocity_m_per_s": np.pad(velocity[there, place], ((0, 0), (0, 1))),
            "track_id": there.astype(np.int32),
            **_said(np.full(len(there), Role.OTHER, np.uint8), np.zeros(len(there))),
        }
        frames.append(_Boxes(step, there, values))
    return frames


def _frame(boxes: _Boxes, referral: Referral) -> Frame:
    label = referral.role[boxes.agents, boxes.step]
    score = referral.score[boxes.agents, boxes.step]
    frame = {
        "seq_id": (referral.scene.source.log, referral.prompt),
        "description": referral.prompt,
        **boxes.values,
    }
    # Most prompts say nothing of most frames, and what is said of nobody is shared too.
    if (label != Role.OTHER).any() or score.any():
        frame |= _said(label, score)
    return frame


def _said(label: UInt8[np.ndarray, " n"], score: Float64[np.ndarray, " n"]) -> Frame:
    return {
        "label": label.astype(np.int32),
        "name": np.array(CATEGORIES)[label],
        "score": score.astype(np.float32),
    }
