"""Answers of many scenes: put together, chosen from, kept and found again."""

import numpy as np
import pytest

from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import prepare
from kerbstone.mine.search.answers import Answers, keep_answers, known_answers, read_answer
from queries import moving_scene


def answers_of(text: str, speeds: list[list[float]], part: int, **limits: int) -> Answers:
    """Answers in a scene of cars that go at these speeds [m/s]."""
    velocity = np.zeros((len(speeds), len(speeds[0]), 2))
    velocity[..., 0] = speeds
    facts = Facts(moving_scene(np.zeros_like(velocity), velocity=velocity, ego=0))
    limits = {"most": 10, "near_misses": 10} | limits
    return read_answer(evaluate(prepare(text), facts), facts, part=part, **limits)


FAST = "car v: speed(v) > 5 m/s"
ONE = answers_of(FAST, [[9.0, 1.0, 7.0], [4.0, 4.0, 4.0], [6.0, 6.0, 6.0]], 11)
TWO = answers_of(FAST, [[1.0, 1.0, 1.0]], 22)


def as_lists(answers: Answers) -> dict:
    return {name: values.tolist() for name, values in vars(answers).items()}


def test_an_answer_lists_matches_and_then_near_misses_with_their_agents():
    assert ONE.agent.tolist() == [["a0"], ["a0"], ["a2"], ["a1"]]
    assert ONE.first.tolist() == [0, 2, 0, 0]
    assert ONE.last.tolist() == [0, 2, 2, 0]
    assert np.sign(ONE.robustness).tolist() == [1, 1, 1, -1]
    assert ONE.kind.tolist() == [[1]] * 4


def test_it_counts_all_matches_and_the_steps_at_which_anybody_matches():
    assert (ONE.total.tolist(), ONE.held.tolist()) == ([3], [3])
    few = answers_of(FAST, [[9.0, 1.0], [8.0, 1.0], [7.0, 1.0]], 1, most=2, near_misses=0)
    assert (few.total.tolist(), few.held.tolist(), len(few.first)) == ([3], [1], 2)


def test_a_query_about_ego_alone_has_matches_without_agents():
    answers = answers_of("speed(ego) > 5 m/s", [[9.0, 1.0]], 1)
    assert answers.agent.shape == (1, 0)
    both = Answers.join(0, [answers, answers])
    assert both.scene.tolist() == [0, 1]


def test_answers_of_scenes_are_joined_and_chosen_from():
    both = Answers.join(1, [ONE, Answers.empty(1, [33]), TWO])
    assert both.part.tolist() == [11, 33, 22]
    assert both.scene.tolist() == [0, 0, 0, 0, 2]
    assert as_lists(both.select(np.array([0]))) == as_lists(ONE)
    turned = both.select(np.array([2, 0]))
    assert (turned.part.tolist(), turned.scene.tolist()) == ([22, 11], [0, 1, 1, 1, 1])
    assert turned.robustness.tolist() == [*TWO.robustness, *ONE.robustness]
    assert as_lists(Answers.join(1, [])) == as_lists(Answers.empty(1))


def test_what_is_kept_is_found_again_bit_by_bit(store):
    both = Answers.join(1, [ONE, Answers.empty(1, [33]), TWO])
    keep_answers(store, both, query="q", most=10)
    assert as_lists(known_answers(store, query="q", most=10, slots=1)) == as_lists(both)
    assert as_lists(known_answers(store, query="other", most=10, slots=1)) == as_lists(
        Answers.empty(1)
    )


def test_answers_about_ego_alone_are_found_again(store):
    answers = answers_of("speed(ego) > 5 m/s", [[9.0, 1.0]], 1)
    keep_answers(store, answers, query="q", most=10)
    assert as_lists(known_answers(store, query="q", most=10, slots=0)) == as_lists(answers)


def test_a_scene_that_was_kept_twice_is_found_once(store):
    for _ in range(2):
        keep_answers(store, ONE, query="q", most=10)
    keep_answers(store, TWO, query="q", most=10)
    found = known_answers(store, query="q", most=10, slots=1)
    assert found.part.tolist() == [11, 22]
    assert len(found.first) == len(ONE.first) + len(TWO.first)


@pytest.mark.parametrize(("most", "count"), [(5, 1), (10, 1), (11, 0)])
def test_answers_that_list_too_few_matches_are_not_enough(store, most, count):
    keep_answers(store, ONE, query="q", most=10)
    assert len(known_answers(store, query="q", most=most, slots=1).part) == count


def test_nothing_is_written_for_no_scenes(store):
    keep_answers(store, Answers.empty(1), query="q", most=10)
    assert store.rows("answers").num_rows == 0
