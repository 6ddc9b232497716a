import numpy as np
import pytest

from kerbstone.errors import InputError, MissingError
from kerbstone.lang import Facts, evaluate, known_signals, signal
from kerbstone.lang.library import prepare
from kerbstone.lang.signals.models import provide
from kerbstone.scene import Kind
from queries import moving_scene


def facts_of(*kinds, steps=4):
    return Facts(moving_scene(np.zeros((len(kinds), steps, 2)), kinds=kinds))


def holders(text, facts):
    answer = evaluate(prepare(text), facts)
    return answer.rows[answer.holds.any(axis=1), 0].tolist()


def test_kinds_can_be_asked_for_by_a_claim():
    facts = facts_of(Kind.CAR, Kind.TRUCK, Kind.CYCLIST, Kind.BICYCLE)
    assert holders('any a: is_a(a, "truck")', facts) == [1]
    assert holders('any a: is_a(a, "bicycle")', facts) == [2, 3]
    assert holders('any a: labelled(a, "cyclist")', facts) == [2]


def test_an_unknown_kind_is_an_error_with_the_nearest_name():
    with pytest.raises(InputError, match="there is no kind") as caught:
        holders('any a: is_a(a, "trucks")', facts_of(Kind.CAR))
    assert "did you mean 'truck'" in caught.value.remedy


def test_sizes_are_those_of_the_box():
    facts = facts_of(Kind.CAR)
    assert holders("car c: length(c) == 4 m and width(c) == 2 m and height(c) == 1.5 m", facts)


def test_age_and_time_count_from_the_first_sight_and_the_scene_start():
    points = np.zeros((1, 5, 2))
    points[0, :2] = np.nan
    facts = Facts(moving_scene(points))
    found = known_signals()["age"].measure(facts)[0]
    np.testing.assert_allclose(found[2:], [0, 0.1, 0.2])
    assert np.isnan(found[:2]).all()
    np.testing.assert_allclose(known_signals()["time"].measure(facts), np.arange(5) * 0.1)


@pytest.mark.parametrize(
    "query", ["any a: surprise(a) > 2", 'similar("x") > 0.8', 'image("rain") > 0']
)
def test_without_a_model_its_signals_are_clear_errors(query):
    with pytest.raises(MissingError) as caught:
        evaluate(prepare(query), facts_of(Kind.CAR))
    assert caught.value.code == "model-missing"


def test_a_model_that_is_there_provides_its_signal():
    try:
        provide("surprise", lambda facts: np.full(facts.agents.valid.shape, 3.0))
        assert holders("any a: surprise(a) > 2", facts_of(Kind.CAR)) == [0]
    finally:
        provide("surprise", None)
    with pytest.raises(MissingError):
        holders("any a: surprise(a) > 2", facts_of(Kind.CAR))


def test_a_signal_of_a_name_that_is_taken_is_refused():
    def speed(facts):
        """Return nothing."""

    with pytest.raises(InputError, match="two signals 'speed'"):
        signal()(speed)
