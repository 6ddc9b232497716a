"""The task of kinds: what a road user is, told by how it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.judge.generality.measures import BALANCED_ACCURACY, Measure
from kerbstone.judge.generality.outcomes import Outcome
from kerbstone.judge.generality.sampling import Sample
from kerbstone.judge.generality.subjects import Bench, Subject, repeat_logs
from kerbstone.scene import VEHICLES, Kind
from kerbstone.world.masks import HideKind, MaskFamily
from kerbstone.world.windows import STEP, Window

CLASSES = ("vehicle", "cyclist", "pedestrian")
_CLASS_OF = np.full(len(Kind), -1, np.int64)
_CLASS_OF[[*VEHICLES]] = 0
_CLASS_OF[[Kind.CYCLIST, Kind.RIDER]] = 1
_CLASS_OF[Kind.PEDESTRIAN] = 2
_LEAST_STEPS = 10
_SPEEDS = (0.2, 0.8, 1.2, 1.6, 2.2, 3.5, 5.0, 7.0, 10.0)


@dataclass(frozen=True)
class KindTask:
    """Which of vehicle, cyclist and pedestrian somebody is whose kind and size are hidden.

    Sets of data do not agree on finer kinds. A class is named where its probability is largest
    relative to how frequent it is in training, which is the best for balanced accuracy.
    """

    name: str = "kind"
    family: str = "kind"
    is_simulated_only: bool = False
    measure: Measure = BALANCED_ACCURACY

    @property
    def mask(self) -> tuple[str, MaskFamily]:
        """Name of its mask, and the mask: as many are hidden as in pre-training."""
        return "kinds", HideKind()

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the windows of a domain."""
        if not len(sample):
            return Outcome.nothing("no window has a road user")
        rows = self._rows(sample)
        truth = self._truth(sample)
        known = self._truth(bench.training)
        frequency = np.maximum(np.bincount(known, minlength=len(CLASSES)), 1) / max(len(known), 1)
        answers = {
            subject.name: (self._tell(subject, sample, rows) / frequency).argmax(axis=1)
            for subject in bench.subjects(self.family)
        }
        answers["majority"] = np.full(len(truth), int(frequency.argmax()))
        answers["speed"] = self._tell_by_speed(bench.training, _speeds(sample, rows))
        log = repeat_logs(sample, [len(each) for each in rows])
        told = {name: values.astype(np.float64) for name, values in answers.items()}
        return Outcome(truth.astype(np.float64), log, told)

    def _rows(self, sample: Sample) -> list[np.ndarray]:
        """Return who is asked for in each window: hidden ones of a class, seen for a second."""
        seen = sample.observe(*self.mask)
        return [
            np.flatnonzero(
                left.is_type_hidden
                & (_CLASS_OF[each.window.kind] >= 0)
                & (each.window.valid.sum(axis=1) >= _LEAST_STEPS)
            )
            for each, left in zip(sample.drawn, seen, strict=True)
        ]

    def _truth(self, sample: Sample) -> Int64[np.ndarray, " item"]:
        pairs = zip(sample.drawn, self._rows(sample), strict=True)
        found = [_CLASS_OF[each.window.kind[rows]] for each, rows in pairs]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def _tell(
        self, subject: Subject, sample: Sample, rows: list[np.ndarray]
    ) -> Float64[np.ndarray, "item kind"]:
        pairs = zip(subject.predict(sample, *self.mask), rows, strict=True)
        found = np.concatenate([prediction.kind[each] for prediction, each in pairs])
        return np.stack([found[:, _CLASS_OF == one].sum(axis=1) for one in range(3)], axis=1)

    def _tell_by_speed(self, training: Sample, speed: np.ndarray) -> Int64[np.ndarray, " item"]:
        """Return the class in which a largest speed is most frequent."""
        place = np.digitize(_speeds(training, self._rows(training)), _SPEEDS)
        count = np.ones((len(CLASSES), len(_SPEEDS) + 1))
        np.add.at(count, (self._truth(training), place), 1)
        share = count / count.sum(axis=1, keepdims=True)
        return share[:, np.digitize(speed, _SPEEDS)].argmax(axis=0)


def _speeds(sample: Sample, rows: list[np.ndarray]) -> Float64[np.ndarray, " item"]:
    """Return how fast each was at most, half a second taken together [m/s]."""
    pairs = zip(sample.drawn, rows, strict=True)
    found = [_fastest(each.window.select(some)) for each, some in pairs]
    return np.concatenate([np.zeros(0), *found])


def _fastest(window: Window) -> Float64[np.ndarray, " agent"]:
    reach = 5
    apart = np.linalg.norm(window.position[:, reach:] - window.position[:, :-reach], axis=-1)
    speed = np.where(np.isfinite(apart), apart, 0.0) / (reach * STEP)
    return speed.max(axis=1, initial=0.0)
