"""What is known beforehand of a detector and of how road users move, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.special import expit

from kerbstone.label.confidence import PRIOR, Confidence
from kerbstone.scene import Detections, Kind


@dataclass(frozen=True)
class KindProfile:
    """One kind of road user, as a detector sees it.

    Args:
        noise: Standard deviation of the place in x and in y, at no distance [m].
        noise_growth: How much it grows with distance [m/m].
        height_noise: Standard deviation of the centre's height [m].
        heading_noise: Standard deviation of the heading, front and rear aside [rad].
        size_noise: Standard deviation of length, width and height, as a share of them.
        acceleration: Standard deviation of the acceleration [m/s²].
        turning: Standard deviation of the yaw acceleration of what has wheels [rad/s²]; of what
            walks, how far the heading wanders in a second [rad].
        speed: Standard deviation of the speed of what was just seen for the first time [m/s].
        size_scale: What the sizes of the detector are to be multiplied by, on average: length, width
            and height.
        anchoring: How much of an error of the length moves the centre: 0.5 where the near end is
            measured well and the far one guessed, 0 where the centre itself is measured.
        drift: How far the world itself wanders in a second, by errors of the recording car's
            poses, as seen by what stands [m].
        spread: How many times what smoothing believes of its own error the true one is.
        keep: Labels of a lower confidence are left out.
        even_score: Score at which a detection is as likely real as not.
        score_slope: How fast the log odds of being real grow with the score.
    """

    noise: float = 0.08
    noise_growth: float = 0.003
    height_noise: float = 0.1
    heading_noise: float = 0.06
    size_noise: float = 0.06
    acceleration: float = 2.5
    turning: float = 1.0
    speed: float = 8.0
    size_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    anchoring: float = 0.0
    drift: float = 0.0
    spread: float = 1.0
    keep: float = 0.4
    even_score: float = 0.5
    score_slope: float = 6.0


_WALKER = KindProfile(acceleration=1.5, turning=0.8, speed=1.5, heading_noise=0.25)
_RIDER = KindProfile(acceleration=2.0, turning=1.0, speed=5.0, heading_noise=0.12)
_DEFAULTS = {
    Kind.PEDESTRIAN: _WALKER,
    Kind.ANIMAL: _WALKER,
    Kind.RIDER: _WALKER,
    Kind.CYCLIST: _RIDER,
    Kind.BICYCLE: _RIDER,
    Kind.MOTORCYCLE: _RIDER,
}
_ALIKE = (
    (Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.TRAIN),
    (Kind.PEDESTRIAN, Kind.RIDER, Kind.CYCLIST, Kind.BICYCLE, Kind.MOTORCYCLE),
)


@dataclass(frozen=True)
class Profile:
    """What is known of a detector and of road users.

    Args:
        kinds: What is known of each kind; the built-in defaults for those that are missing.
        confidence: How sure labels of each kind are; a kind that is missing goes by the nearest of
            those that are there.
        confusion: Chance that a detection has the class of something alike: a car that of a
            truck, a cyclist that of a pedestrian. 0 keeps the classes apart.
        apart: Price of leaving two tracklets apart that may be one (`LinkPrices`): the more noise a
            detector makes, the lower.
        lifetime: How long a track goes on unseen before it ends [s].
        trial: The same for a track that was seen only once [s].
        slack: How many times its noise a detection may be off while it is matched: errors last from
            step to step, and are larger than usual now and then.
        gate: Largest squared Mahalanobis distance of a detection from where its track should be.
        std_scale: How many times what the detector itself says its error of the place is, where it
            says so.
    """

    kinds: Mapping[Kind, KindProfile] = field(default_factory=dict)
    confidence: Mapping[Kind, Confidence] = field(default_factory=dict)
    confusion: float = 0.05
    apart: float = 2.0
    lifetime: float = 1.5
    trial: float = 0.3
    slack: float = 2.5
    gate: float = 16.0
    std_scale: float = 1.0

    @cached_property
    def table(self) -> Mapping[str, Float64[np.ndarray, "kind ..."]]:
        """Each field of `KindProfile` as an array over `Kind`."""
        rows = [self.of(kind) for kind in Kind]
        return {
            each.name: np.array([getattr(row, each.name) for row in rows])
            for each in fields(KindProfile)
        }

    @cached_property
    def matching(self) -> Profile:
        """The same with the noise that matching allows for."""
        kinds = {
            kind: replace(
                row, noise=row.noise * self.slack, noise_growth=row.noise_growth * self.slack
            )
            for kind, row in ((kind, self.of(kind)) for kind in Kind)
        }
        return replace(self, kinds=kinds, slack=1.0, std_scale=self.std_scale * self.slack)

    def of(self, kind: Kind) -> KindProfile:
        """Return what is known of a kind."""
        return self.kinds.get(kind, _DEFAULTS.get(kind, KindProfile()))

    @cached_property
    def strangeness(self) -> Float64[np.ndarray, "kind kind"]:
        """Minus the log of the chance that one thing gets both classes; inf where it cannot."""
        cost = np.full((len(Kind), len(Kind)), np.inf)
        np.fill_diagonal(cost, 0.0)
        if self.confusion > 0:
            for group in _ALIKE:
                pairs = np.ix_(group, group)
                cost[pairs] = np.minimum(cost[pairs], -np.log(self.confusion))
        return cost

    def confidence_of(
        self, kind: UInt8[np.ndarray, " cell"], evidence: Float64[np.ndarray, "cell feature"]
    ) -> Float64[np.ndarray, " cell"]:
        """Return the chance that each cell's box overlaps the truth by more than half."""
        chance = np.zeros(len(kind))
        for each in np.unique(kind):
            rows = kind == each
            chance[rows] = self._confidence_model(Kind(int(each))).predict(evidence[rows])
        return chance

    def _confidence_model(self, kind: Kind) -> Confidence:
        alike = next((group for group in _ALIKE if kind in group), ())
        for other in (kind, *alike, *self.confidence):
            if other in self.confidence:
                return self.confidence[other]
        return PRIOR

    def place_noise(
        self, detections: Detections, sensor: Float64[np.ndarray, "time 2"] | None
    ) -> Float64[np.ndarray, " row"]:
        """Return the standard deviation of each detection's place in x and in y [m]."""
        if detections.std is not None:
            return self.std_scale * np.sqrt((detections.std[:, :2] ** 2).mean(axis=1))
        near = self.table["noise"][detections.kind]
        if sensor is None:
            return near
        away = detections.box[:, :2] - sensor[detections.step]
        reach = np.nan_to_num(np.hypot(away[:, 0], away[:, 1]))
        return near + self.table["noise_growth"][detections.kind] * reach

    def reality(
        self, kind: UInt8[np.ndarray, " row"], score: Float64[np.ndarray, " row"]
    ) -> Float64[np.ndarray, " row"]:
        """Return the chance that a detection is of something real, from its score alone."""
        return expit(self.table["score_slope"][kind] * (score - self.table["even_score"][kind]))
