import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.shield.assumptions import Assumptions, Behaviour
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.scene import Kind
from shielded import seen


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_behaviour_that_is_negative_or_not_finite_is_refused(value):
    with pytest.raises(InputError, match="negative or not finite"):
        Behaviour(braking=value)


def test_a_control_step_of_nothing_is_refused():
    with pytest.raises(InputError, match="not above zero"):
        Assumptions(control_step=0.0)


def test_each_kind_has_its_own_values_and_the_rest_the_default():
    kind = np.array([[Kind.CAR, Kind.PEDESTRIAN, Kind.OBJECT, Kind.TRAIN]], dtype=np.int64)
    speed = Assumptions().look_up("speed", kind)
    np.testing.assert_array_equal(speed, [[40.0, 3.0, 0.0, 40.0]])


@pytest.mark.parametrize(
    ("field", "value"), [("speed", -1.0), ("heading", np.nan), ("length", 0.0), ("width", np.inf)]
)
def test_a_road_user_that_cannot_be_is_refused_unless_it_is_not_valid(field, value):
    view = seen(np.zeros((2, 3, 2)), 0.0, 1.0)
    arrays = dict(vars(view))
    arrays[field] = arrays[field].copy()
    arrays[field][1, 2] = value
    with pytest.raises(InputError, match="cannot be used") as caught:
        Surroundings(**arrays)
    assert caught.value.where == "episode 1, agent 2"
    arrays["valid"] = arrays["valid"].copy()
    arrays["valid"][1, 2] = False
    Surroundings(**arrays)
