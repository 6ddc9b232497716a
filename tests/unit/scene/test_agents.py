from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.scene import Agents, Kind, agents_from_rows, derive_heading, derive_velocity

KINDS = {"car": Kind.CAR, "person": Kind.PEDESTRIAN}


def rows(**changes):
    """A car that drives east at 10 m/s and a person seen only at step 2."""
    table = {
        "track": ["7", "7", "p", "7"],
        "step": np.array([0, 1, 2, 2]),
        "steps": 4,
        "dt": 0.1,
        "label": ["car", "car", "person", "car"],
        "kinds": KINDS,
        "centre": np.array([[0.0, 0, 1], [1, 0, 1], [5, 5, 0], [2, 0, 1]]),
        "size": np.array([[4.0, 2, 1.5], [4, 2, 1.5], [0.5, 0.5, 1.8], [4.2, 2, 1.5]]),
        "where": "a.csv",
    }
    return agents_from_rows(**{**table, **changes})


def test_rows_become_cells_and_the_rest_is_nan():
    agents = rows()
    assert agents.ids == ("7", "p")
    assert agents.label == ("car", "person")
    assert agents.kind.tolist() == [Kind.CAR, Kind.PEDESTRIAN]
    assert agents.valid.tolist() == [[True, True, True, False], [False, False, True, False]]
    assert np.isnan(agents.centre[~agents.valid]).all()
    assert agents.centre[0, :3, 0].tolist() == [0, 1, 2]


def test_a_size_that_varies_becomes_its_median():
    assert rows().size[0].tolist() == [4.0, 2.0, 1.5]


def test_an_unknown_size_stays_unknown():
    size = np.full((4, 3), np.nan)
    size[:, 0] = 4
    assert np.isnan(rows(size=size).size[:, 1:]).all()
    assert np.isnan(rows(size=None).size).all()


def test_velocity_is_derived_where_a_neighbour_is_there():
    agents = rows()
    np.testing.assert_allclose(agents.velocity[0, :3], [[10, 0]] * 3, atol=1e-12)
    assert np.isnan(agents.velocity[1]).all()


def test_heading_that_is_given_is_wrapped():
    heading = np.array([3 * np.pi / 2, -np.pi, np.pi, 0.5])
    agents = rows(heading=heading)
    np.testing.assert_allclose(agents.heading[0, :3], [-np.pi / 2, -np.pi, 0.5])
    assert agents.heading[1, 2] == np.pi


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"step": np.array([0, 0, 2, 2])}, "duplicate"),
        ({"step": np.array([0, 1, 2, 9])}, "clock"),
        ({"centre": np.array([[0.0, 0, 1], [np.nan, 0, 1], [5, 5, 0], [2, 0, 1]])}, "value"),
        ({"label": ["car", "car", "persn", "car"]}, "label"),
        ({"label": ["car", "cra", "person", "car"]}, "label"),
        ({"track": ["7", "7", None, "7"]}, "value"),
        (
            {"track": [], "step": np.zeros(0, np.int64), "label": [], "centre": np.zeros((0, 3))},
            "empty",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_rows_that_cannot_be_agents_are_an_error_that_names_the_place(changes, code):
    with pytest.raises(InputError) as caught:
        rows(**changes)
    assert caught.value.code == code


def test_velocity_is_one_sided_at_the_ends_and_unknown_alone():
    centre = np.zeros((1, 5, 3))
    centre[0, :, 0] = [0, 1, 4, np.nan, 9]
    valid = np.array([[True, True, True, False, True]])
    velocity = derive_velocity(centre, valid, 1.0)
    np.testing.assert_allclose(velocity[0, :3, 0], [1, 2, 3])
    assert np.isnan(velocity[0, 3:]).all()


def test_heading_of_a_standing_agent_is_held_and_noise_does_not_spin_it():
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(20) * 1.0, np.full(30, 19.0)])
    path = np.column_stack([np.zeros(50), y]) + rng.normal(0, 0.02, (50, 2))
    centre = np.column_stack([path, np.zeros(50)])[None]
    heading = derive_heading(centre, np.ones((1, 50), bool))
    np.testing.assert_allclose(heading, np.pi / 2, atol=0.1)


def test_heading_of_an_agent_that_never_moves_is_not_known():
    centre = np.random.default_rng(0).normal(0, 0.02, (1, 50, 3))
    assert np.isnan(derive_heading(centre, np.ones((1, 50), bool))).all()


@given(st.floats(-np.pi, np.pi), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_heading_of_straight_motion_is_its_direction_despite_gaps(angle, steps, seed):
    valid = np.random.default_rng(seed).random((1, steps)) < 0.7
    along = np.arange(steps)[:, None] * 2.0 * [np.cos(angle), np.sin(angle)]
    centre = np.where(valid[..., None], np.column_stack([along, np.zeros(steps)])[None], np.nan)
    heading = derive_heading(centre, valid)
    if valid.sum() >= 2:
        difference = heading[valid] - angle
        np.testing.assert_allclose(np.cos(difference), 1, atol=1e-9)
    else:
        assert np.isnan(heading).all()


def test_selection_takes_rows_in_the_order_given():
    agents = rows()
    assert agents.select([1, 0]).ids == ("p", "7")
    assert agents.select(agents.is_kind(Kind.PEDESTRIAN)).ids == ("p",)
    assert len(agents.select([])) == 0


def test_velocity_counts_the_time_that_passed_between_the_steps():
    centre = np.array([[[0.0, 0, 0], [1, 0, 0], [4, 0, 0]]])
    velocity = derive_velocity(centre, np.ones((1, 3), bool), np.array([0.1, 0.3]))
    np.testing.assert_allclose(velocity[0, :, 0], 10.0)


def test_an_agent_is_found_by_id():
    assert rows().index("p") == 1
    with pytest.raises(InputError, match="no agent 'q'"):
        rows().index("q")


def test_a_window_is_a_view():
    agents = rows()
    part = agents.window(1, 2)
    assert part.steps == 2
    assert np.shares_memory(part.centre, agents.centre)
    assert len(part) == 2


def test_speed_is_the_length_of_velocity():
    np.testing.assert_allclose(rows().speed[0, :3], 10)


@pytest.mark.usefixtures("unchecked")
def test_shapes_that_do_not_fit_are_an_error():
    agents = rows()
    with pytest.raises(InputError, match=r"agents\.size"):
        replace(agents, size=np.zeros((3, 3)))
    with pytest.raises(InputError, match="appears twice"):
        replace(agents, ids=("7", "7"))


def test_no_agents_are_agents_too():
    assert Agents.empty(5).steps == 5
    assert len(Agents.empty(5)) == 0
