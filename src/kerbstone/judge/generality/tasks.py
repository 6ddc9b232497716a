"""The tasks of the matrix, by their names. To add one is to add an object here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from kerbstone.errors import UsageError, suggest_name
from kerbstone.judge.generality.anomalies import AnomalyTask
from kerbstone.judge.generality.intents import ask_entries, ask_lane_changes, foretell_entries
from kerbstone.judge.generality.kinds import KindTask
from kerbstone.judge.generality.measures import AUROC, MEAN_DELAY, Measure
from kerbstone.judge.generality.motion import ForecastTask, InfillTask
from kerbstone.judge.generality.outcomes import Outcome
from kerbstone.judge.generality.questions import QuestionTask
from kerbstone.judge.generality.retrieval import RetrievalTask
from kerbstone.judge.generality.sampling import Sample
from kerbstone.judge.generality.subjects import Bench


@runtime_checkable
class GeneralityTask(Protocol):
    """Something that a frozen model is asked."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def family(self) -> str | None:
        """Name of its specialist; None where there is none."""
        ...

    @property
    def is_simulated_only(self) -> bool:
        """Whether the truth is known of simulated scenes only."""
        ...

    @property
    def measure(self) -> Measure:
        """The figure that counts."""
        ...

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the windows, or scenes, of a domain."""
        ...


TASKS: dict[str, GeneralityTask] = {
    task.name: task
    for task in (
        ForecastTask("forecast-1s", 1.0),
        ForecastTask("forecast-3s", 3.0),
        ForecastTask("forecast-5s", 5.0),
        InfillTask("infill-1s", 1.0),
        InfillTask("infill-2s", 2.0),
        InfillTask("infill-4s", 4.0),
        KindTask(),
        QuestionTask("lane-change", ask_lane_changes, AUROC, is_class=True),
        QuestionTask(
            "intersection-entry", ask_entries, MEAN_DELAY, is_class=False, foretell=foretell_entries
        ),
        AnomalyTask(),
        RetrievalTask(),
        ForecastTask(
            "forecast-3s-kind-hidden", 3.0, family="forecast-kind-hidden", is_kind_hidden=True
        ),
    )
}
"""All tasks. The last one is asked zero-shot: pre-training leaves its mask out."""


def choose_tasks(names: Sequence[str] = ()) -> list[GeneralityTask]:
    """Return tasks by their names, or by the beginnings of them; all if none are given.

    Raises:
        UsageError: A name is not known.

    Example:
        >>> [task.name for task in choose_tasks(["infill", "kind"])]
        ['infill-1s', 'infill-2s', 'infill-4s', 'kind']
    """
    chosen: dict[str, GeneralityTask] = {}
    for name in names or TASKS:
        found = [known for known in TASKS if known == name or known.startswith(f"{name}-")]
        if not found:
            raise UsageError("name", f"there is no task {name!r}", remedy=suggest_name(name, TASKS))
        chosen |= {known: TASKS[known] for known in found}
    return [chosen[name] for name in TASKS if name in chosen]
