"""Subjects: the models that are compared, and what they and the rules may learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kerbstone.judge.generality.outcomes import GENERALIST, SPECIALIST
from kerbstone.judge.generality.sampling import Sample
from kerbstone.world.masks import MaskFamily
from kerbstone.world.network import SceneModel
from kerbstone.world.predicting import Prediction, predict_all


@dataclass(frozen=True, eq=False)
class Subject:
    """A frozen model.

    Args:
        name: What it is in a row: generalist or specialist.
        key: What tells it from the others.
        model: The model.
    """

    name: str
    key: str
    model: SceneModel

    def predict(self, sample: Sample, name: str, family: MaskFamily) -> list[Prediction]:
        """Return what it says was hidden of each window of a sample; it is asked once."""
        return sample.keep(
            ("predicted", self.key, name),
            lambda: list(predict_all(self.model, sample.observe(name, family))),
        )


@dataclass(frozen=True, eq=False)
class Bench:
    """What the cells are measured with.

    Args:
        generalist: The model that is asked about.
        specialists: Those that were trained for one task alone, by the family of the task.
        training: Windows of scenes that the generalist was trained on: what rules and probes are
            fitted to.
    """

    generalist: Subject
    specialists: Mapping[str, Subject]
    training: Sample

    @classmethod
    def of(
        cls, model: SceneModel, specialists: Mapping[str, SceneModel], training: Sample
    ) -> Bench:
        """Return a bench of models, specialists by the family of their task."""
        named = {f: Subject(SPECIALIST, f, each) for f, each in specialists.items()}
        return cls(Subject(GENERALIST, GENERALIST, model), named, training)

    def subjects(self, family: str | None) -> Iterator[Subject]:
        """Give the generalist, and the specialist of a family of tasks if there is one."""
        yield self.generalist
        if family is not None and family in self.specialists:
            yield self.specialists[family]


def repeat_logs(sample: Sample, counts: list[int]) -> np.ndarray:
    """Return the log of each item, where each window has some number of items."""
    logs = np.array([each.log for each in sample.drawn], object)
    return np.repeat(logs, counts)
