"""The verdict: whether a model is a foundation, by a rule that was fixed before it was asked.

The rule has two halves, and both must hold.

1. *In its own domains* the frozen generalist reaches, in every task, at least 90 % of the
   specialist's skill over the best trivial rule. Skills are means over the own domains in which
   the task is defined; the generalist's must be positive too. In a task that has no specialist
   (retrieval) it must beat the best trivial rule in more of these cells than it is beaten in.
2. *In new domains* it wins more cells than it loses, over all tasks. A cell is won where the
   paired interval of the difference to its strongest opponent there, the better of the best
   trivial rule and the specialist, lies above 0, and lost where it lies below; else neither.

All tasks there are must have been asked, each must be defined in at least one own domain, and none
may lack its specialist; else the word is not used, whatever the figures. Then the text tells of how
many tasks and domains the model is general over:

- a task, if the first half holds for its cells in own domains and the second for those in new
  ones; a half without a defined cell is left out;
- an own domain, if the first half holds, cell by cell, in more than half of its tasks; a new one,
  if the second half holds for its cells.

Where a specialist is missing, the first half asks what it asks of tasks that have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kerbstone.judge.generality.outcomes import Row, tell_result

SHARE = 0.9
"""Of the specialist's skill, that a foundation reaches."""


@dataclass(frozen=True)
class Verdict:
    """What the matrix comes to.

    Args:
        is_foundation: Whether both halves of the rule hold.
        text: The verdict in words.
        tasks: Tasks that it is general over.
        of_tasks: All tasks that were asked for.
        domains: Domains that it is general over.
        of_domains: All domains.
        wins: Cells of new domains that it wins.
        losses: Those that it loses.
        reasons: What keeps it from being called a foundation.
    """

    is_foundation: bool
    text: str
    tasks: tuple[str, ...]
    of_tasks: tuple[str, ...]
    domains: tuple[str, ...]
    of_domains: tuple[str, ...]
    wins: int
    losses: int
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def give_verdict(
    rows: Sequence[Row], *, families: dict[str, str | None], registry: Sequence[str]
) -> Verdict:
    """Return the verdict on a matrix.

    Args:
        rows: All its cells, those that are not defined too.
        families: The specialist's name of each task that was asked for; None where a task has none.
        registry: Names of all tasks that there are: who was asked only some is no foundation.
    """
    tasks = tuple(families)
    domains = tuple(dict.fromkeys(row.domain for row in rows))
    defined = [row for row in rows if row.is_defined]
    own = [row for row in defined if row.is_own]
    new = [row for row in defined if not row.is_own]
    wins, losses = _count(new)
    reasons = []
    if missing := [name for name in registry if name not in tasks]:
        reasons.append(f"it was not asked {', '.join(missing)}")
    for task in tasks:
        cells = [row for row in own if row.task == task]
        if not cells:
            reasons.append(f"{task}: not defined in any of its own domains")
        elif not _reaches(cells, families[task]):
            reasons.append(f"{task}: {_tell_shortfall(cells, families[task])}")
        elif _lacks_specialist(cells, families[task]):
            reasons.append(f"{task}: there is no specialist to compare with")
    if wins <= losses:
        reasons.append(f"in new domains it wins {wins} cells and loses {losses}")
    general = tuple(task for task in tasks if _is_general(task, own, new, families[task]))
    places = tuple(name for name in domains if _is_general_in(name, own, new, families))
    is_foundation = not reasons
    counts = f"general over {len(general)} of {len(tasks)} tasks and "
    counts += f"{len(places)} of {len(domains)} domains"
    return Verdict(
        is_foundation=is_foundation,
        text=f"foundation: {counts}" if is_foundation else counts,
        tasks=general,
        of_tasks=tasks,
        domains=places,
        of_domains=domains,
        wins=wins,
        losses=losses,
        reasons=tuple(reasons),
    )


def _count(rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many cells are won, and lost, against the strongest opponent."""
    return sum(r.result == "win" for r in rows), sum(r.result == "loss" for r in rows)


def _wins_more(rows: Sequence[Row]) -> bool:
    wins, losses = _count(rows)
    return wins > losses


def _beats_trivial(rows: Sequence[Row]) -> bool:
    told = [tell_result(row.over_trivial) for row in rows]
    return told.count("win") > told.count("loss")


def _lacks_specialist(rows: Sequence[Row], family: str | None) -> bool:
    return family is not None and any(row.over_specialist.value is None for row in rows)


def _reaches(rows: Sequence[Row], family: str | None) -> bool:
    """Return whether the first half of the rule holds for some own cells."""
    if family is None or _lacks_specialist(rows, family):
        return _beats_trivial(rows)
    mine, theirs = _mean_skills(rows)
    return mine > 0 and mine >= SHARE * theirs


def _mean_skills(rows: Sequence[Row]) -> tuple[float, float]:
    mine = [row.skill.value or 0.0 for row in rows]
    theirs = [row.specialist_skill or 0.0 for row in rows]
    return sum(mine) / len(mine), sum(theirs) / len(theirs)


def _tell_shortfall(rows: Sequence[Row], family: str | None) -> str:
    if family is None or _lacks_specialist(rows, family):
        return "it does not beat the best trivial rule in more own cells than it loses"
    mine, theirs = _mean_skills(rows)
    if theirs <= 0:
        return f"skill {mine:.2f}, more than 0 is needed (the specialist's is {theirs:.2f})"
    return f"skill {mine:.2f}, {SHARE:.0%} of the specialist's {theirs:.2f} are needed"


def _is_general(task: str, own: Sequence[Row], new: Sequence[Row], family: str | None) -> bool:
    mine = [row for row in own if row.task == task]
    others = [row for row in new if row.task == task]
    if not mine and not others:
        return False
    return (not mine or _reaches(mine, family)) and (not others or _wins_more(others))


def _is_general_in(
    domain: str, own: Sequence[Row], new: Sequence[Row], families: dict[str, str | None]
) -> bool:
    others = [row for row in new if row.domain == domain]
    if others:
        return _wins_more(others)
    # Tasks with a specialist and without one are judged each by their own half.
    mine = [row for row in own if row.domain == domain]
    told = [_reaches([row], families[row.task]) for row in mine]
    return 2 * sum(told) > len(told)
