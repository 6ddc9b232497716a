"""From the detections of a log to its labels: associate, refine, weigh, keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt8

from kerbstone.errors import InputError
from kerbstone.label.association import Association, associate
from kerbstone.label.evidence import gather_evidence
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.profile import Profile
from kerbstone.label.refinement import Tracks, refine
from kerbstone.label.rows import sum_by
from kerbstone.scene import Detections, Kind, Scene


@dataclass(frozen=True)
class LabelConfig:
    """How labels are made.

    Args:
        reach: How long a track that moves goes on before its first and after its last detection,
            where the evidence allows [s].
        standing_reach: The same for what stands [s].
        keep: Labels of a lower confidence are left out; by kind in the profile if not given.

    Raises:
        InputError: A reach is negative, or `keep` is no chance.
    """

    reach: float = 0.5
    standing_reach: float = 3.0
    keep: float | None = None

    def __post_init__(self) -> None:
        limits = {"reach": 1e6, "standing_reach": 1e6, "keep": 1.0}
        for name, most in limits.items():
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= most:
                raise InputError(
                    "config",
                    f"{name} is out of range",
                    why=f"{value}, expected {'0 to 1' if most == 1 else '0 or more'}",
                )

    def reach_steps(self, dt: float) -> tuple[int, int]:
        """Return both reaches in steps of `dt` seconds."""
        return round(self.reach / dt), round(self.standing_reach / dt)


def label_detections(
    detections: Detections,
    scene: Scene,
    profile: Profile,
    config: LabelConfig | None = None,
    *,
    names: Shaped[np.ndarray, " row"] | None = None,
) -> tuple[Labels, Association]:
    """Return the labels of a log, and which detections they were made of.

    Args:
        detections: What the detector saw.
        scene: What else is known of the log: its clock, and where the recording car was.
        profile: What is known of the detector and of road users.
        config: How labels are made.
        names: The detector's own class name of each detection, for formats with more classes
            than there are kinds.

    Raises:
        InputError: The detections have another clock than the scene.
    """
    clock = detections.clock
    if (clock.steps, clock.dt_ns) != (scene.clock.steps, scene.clock.dt_ns):
        raise InputError(
            "clock",
            "detections and scene have different clocks",
            where=f"scene {scene.id}",
            why=f"{clock.steps} steps of {clock.dt:g} s, the scene has {scene.clock.steps} of "
            f"{scene.clock.dt:g} s",
        )
    found = associate(detections, profile, sensor=sensor_path(scene))
    return label_tracks(detections, scene, found.track, profile, config, names=names), found


def label_tracks(
    detections: Detections,
    scene: Scene,
    track: Int64[np.ndarray, " row"],
    profile: Profile,
    config: LabelConfig | None = None,
    *,
    names: Shaped[np.ndarray, " row"] | None = None,
) -> Labels:
    """Return the labels of a log whose detections are known to belong together.

    Args:
        detections: What the detector saw.
        scene: As in `label_detections`.
        track: Track of each detection, numbered from 0 without holes; -1 for none. Where nothing is
            left out, agents are numbered in the same way.
        profile: As in `label_detections`.
        config: As in `label_detections`.
        names: As in `label_detections`.
    """
    config = config or LabelConfig()
    sensor = sensor_path(scene)
    reach = config.reach_steps(detections.clock.dt)
    tracks = refine(detections, track, profile, sensor=sensor, reach=reach)
    evidence = gather_evidence(tracks, detections, profile, sensor=sensor)
    kind = tracks.kind[tracks.chains.track]
    confidence = profile.confidence_of(kind, evidence)
    source = np.full(tracks.chains.cells, -1, np.int64)
    source[tracks.cell] = tracks.row
    labels = Labels(
        scene=scene,
        ids=tuple(str(number + 1) for number in range(len(tracks.kind))),
        kind=tracks.kind,
        name=_name_tracks(tracks, detections.kind, names),
        size=tracks.size,
        agent=tracks.chains.track,
        step=tracks.chains.step,
        place=tracks.place,
        heading=tracks.heading,
        velocity=tracks.velocity,
        std=tracks.std * profile.table["spread"][kind][:, None],
        confidence=confidence,
        provenance=_tell_provenance(tracks),
        row=source,
    )
    least = profile.table["keep"][kind] if config.keep is None else config.keep
    return labels.select(confidence >= least)


def sensor_path(scene: Scene) -> Float64[np.ndarray, "time 2"] | None:
    """Return where the recording car was at each step [m], or None where nobody knows."""
    return None if scene.ego is None else scene.agents.centre[scene.ego, :, :2]


def _tell_provenance(tracks: Tracks) -> UInt8[np.ndarray, " cell"]:
    chains = tracks.chains
    cells = np.arange(chains.cells)
    own = chains.track[tracks.cell]
    first = np.full(len(tracks.kind), chains.cells)
    last = np.full(len(tracks.kind), -1)
    np.minimum.at(first, own, tracks.cell)
    np.maximum.at(last, own, tracks.cell)
    inside = (cells > first[chains.track]) & (cells < last[chains.track])
    found = np.where(inside, Provenance.INTERPOLATED, Provenance.EXTRAPOLATED).astype(np.uint8)
    found[tracks.cell] = Provenance.DETECTED
    return found


def _name_tracks(
    tracks: Tracks, kind: UInt8[np.ndarray, " row"], names: Shaped[np.ndarray, " row"] | None
) -> tuple[str, ...]:
    """Return the class name that most of each track's detections carry, of those of its kind."""
    if names is None or not len(tracks.row):
        return tuple(Kind(int(kind)).name.lower() for kind in tracks.kind)
    known, code = np.unique(names[tracks.row].astype(str), return_inverse=True)
    own = tracks.chains.track[tracks.cell]
    # Others name it only where no single detection is of the kind that all together say it is.
    vote = np.where(kind[tracks.row] == tracks.kind[own], 1.0, 1e-9)
    pair, place = np.unique(own * len(known) + code, return_inverse=True)
    votes = sum_by(place, vote, len(pair))
    order = np.lexsort((-votes, pair // len(known)))
    _, first = np.unique(pair[order] // len(known), return_index=True)
    return tuple(known[pair[order][first] % len(known)].tolist())
