"""The verdict: each half of the rule, and every way to miss the word."""

from dataclasses import replace

import pytest

from kerbstone.judge.generality.outcomes import Bounds, Row
from kerbstone.judge.generality.verdict import give_verdict

FAMILIES = {"forecast": "forecast", "kind": "kind", "retrieval": None}
WIN, LOSS, TIE = Bounds(1.0, 0.5, 1.5), Bounds(-1.0, -1.5, -0.5), Bounds(0.1, -0.5, 0.7)


def cell(task, domain, *, own=True, skill=0.5, special=0.5, trivial=WIN, over=TIE):
    has = FAMILIES[task] is not None and special is not None
    return Row(
        task, domain, own, "m", "",
        skill=Bounds(skill, skill, skill),
        specialist_skill=special if has else None,
        over_trivial=trivial,
        over_specialist=over if has else Bounds(),
    )  # fmt: skip


def foundation():
    """Cells of a foundation: as good as its specialists at home, and better elsewhere."""
    return [
        *(cell(task, home) for task in FAMILIES for home in ("grid", "left")),
        cell("forecast", "far", own=False, over=WIN),
        cell("kind", "far", own=False, over=WIN),
        cell("retrieval", "far", own=False, trivial=LOSS),
    ]


def judge(rows, families=FAMILIES, registry=tuple(FAMILIES)):
    return give_verdict(rows, families=dict(families), registry=list(registry))


def change(rows, task, domain, **values):
    return [
        replace(row, **values) if (row.task, row.domain) == (task, domain) else row for row in rows
    ]


def test_both_halves_make_a_foundation():
    verdict = judge(foundation())
    assert verdict.is_foundation
    assert verdict.text == "foundation: general over 2 of 3 tasks and 3 of 3 domains"
    assert (verdict.wins, verdict.losses, verdict.reasons) == (2, 1, ())


@pytest.mark.parametrize(("skill", "is_foundation"), [(0.81, True), (0.80, True), (0.78, False)])
def test_nine_tenths_of_the_specialists_mean_skill_are_needed(skill, is_foundation):
    rows = foundation()
    rows = change(rows, "kind", "grid", skill=Bounds(skill), specialist_skill=0.9)
    rows = change(rows, "kind", "left", skill=Bounds(0.01), specialist_skill=0.0)
    verdict = judge(rows)
    assert verdict.is_foundation is is_foundation
    assert ("kind" in verdict.tasks) is is_foundation
    assert "foundation" not in verdict.text or is_foundation


def test_where_the_specialist_has_no_skill_some_is_needed():
    rows = change(foundation(), "kind", "grid", skill=Bounds(-0.2), specialist_skill=-0.6)
    rows = change(rows, "kind", "left", skill=Bounds(-0.1), specialist_skill=-0.5)
    assert not judge(rows).is_foundation


def test_a_skill_that_is_not_above_nothing_is_told_to_have_to_be():
    rows = change(foundation(), "kind", "grid", skill=Bounds(-0.4), specialist_skill=-0.4)
    rows = change(rows, "kind", "left", skill=Bounds(-0.4), specialist_skill=-0.4)
    needed = "kind: skill -0.40, more than 0 is needed (the specialist's is -0.40)"
    assert judge(rows).reasons == (needed,)


def test_who_wins_no_more_than_it_loses_in_new_domains_is_none():
    rows = change(foundation(), "kind", "far", over_specialist=LOSS)
    verdict = judge(rows)
    assert (verdict.wins, verdict.losses, verdict.is_foundation) == (1, 2, False)
    assert verdict.text == "general over 1 of 3 tasks and 2 of 3 domains"
    assert "wins 1 cells and loses 2" in verdict.reasons[-1]


def test_a_win_over_the_rule_is_none_where_the_specialist_wins():
    rows = [cell("forecast", "far", own=False, trivial=WIN, over=LOSS)]
    assert judge(rows).wins == 0
    assert judge(rows).losses == 1


def test_ties_everywhere_are_no_more_wins_than_losses():
    rows = [replace(row, over_specialist=TIE, over_trivial=TIE) for row in foundation()]
    assert not judge(rows).is_foundation


def test_without_new_domains_it_is_none():
    verdict = judge([row for row in foundation() if row.is_own])
    assert not verdict.is_foundation
    assert verdict.text == "general over 3 of 3 tasks and 2 of 2 domains"


def test_who_was_not_asked_everything_is_none():
    families = {"forecast": "forecast"}
    rows = [row for row in foundation() if row.task == "forecast"]
    verdict = judge(rows, families)
    assert verdict.text == "general over 1 of 1 tasks and 3 of 3 domains"
    assert verdict.reasons == ("it was not asked kind, retrieval",)


def test_a_task_that_is_nowhere_defined_at_home_keeps_it_from_the_word():
    rows = change(foundation(), "retrieval", "grid", reason="too few")
    rows = change(rows, "retrieval", "left", reason="too few")
    verdict = judge(rows)
    assert not verdict.is_foundation
    assert verdict.reasons == ("retrieval: not defined in any of its own domains",)


def test_without_a_specialist_it_is_judged_by_the_rules_and_is_none():
    rows = [cell("forecast", "grid", special=None), cell("kind", "grid", special=None, trivial=TIE)]
    verdict = judge(rows)
    assert verdict.tasks == ("forecast",)
    assert not verdict.is_foundation
    assert "forecast: there is no specialist to compare with" in verdict.reasons
    assert any(reason.startswith("kind: it does not beat") for reason in verdict.reasons)


def test_a_task_without_a_family_must_beat_the_rules_at_home():
    rows = change(foundation(), "retrieval", "grid", over_trivial=LOSS)
    assert judge(rows).reasons == (
        "retrieval: it does not beat the best trivial rule in more own cells than it loses",
    )


def test_an_empty_matrix_is_general_over_nothing():
    verdict = judge([])
    assert not verdict.is_foundation
    assert verdict.text == "general over 0 of 3 tasks and 0 of 0 domains"
