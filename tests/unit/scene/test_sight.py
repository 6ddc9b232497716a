import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.scene import Agents, Clock, Kind, Scene, Source, see_agents

CAR, LORRY, WALKER = (4.5, 1.8, 1.5), (10.0, 2.5, 3.8), (0.5, 0.6, 1.7)


def make_scene(*others, heading=0.0, steps=1):
    """Return ego at the origin and others, each (x, y, heading, size)."""
    rows = [(0.0, 0.0, heading, CAR), *others]
    count = len(rows)
    size = np.array([row[3] for row in rows])
    centre = np.array([[row[0], row[1], row[3][2] / 2] for row in rows])
    return Scene(
        id="made/up",
        clock=Clock(0, 100_000_000, steps),
        agents=Agents(
            ids=tuple("e" if i == 0 else f"a{i}" for i in range(count)),
            kind=np.full(count, Kind.CAR, np.uint8),
            label=("",) * count,
            size=size,
            centre=np.repeat(centre[:, None], steps, axis=1),
            heading=np.repeat(np.array([[row[2]] for row in rows], float), steps, axis=1),
            velocity=np.zeros((count, steps, 2)),
            valid=np.ones((count, steps), bool),
        ),
        ego=0,
        source=Source("made", "up"),
    )


def visible(scene, *, reach=100.0, field_of_view=2 * np.pi, height=1.9):
    return see_agents(scene, reach=reach, field_of_view=field_of_view, height=height)[1][:, 0]


def test_what_nothing_hides_is_seen_whole():
    assert visible(make_scene((20.0, 3.0, 0.3, CAR)))[1] == 1.0


def test_a_lorry_hides_a_pedestrian_behind_it():
    assert visible(make_scene((15.0, 0.0, 0.0, LORRY), (24.0, 0.0, 0.0, WALKER)))[2] == 0.0


def test_a_lorry_does_not_hide_what_is_before_it_or_beside_it():
    lorry = (30.0, 0.0, 0.0, LORRY)
    assert visible(make_scene(lorry, (20.0, 0.0, 0.0, WALKER)))[2] == 1.0
    assert visible(make_scene(lorry, (30.0, 6.0, 0.0, WALKER)))[2] == 1.0


def test_over_a_car_one_sees_the_upper_half_of_a_lorry():
    seen = visible(make_scene((16.0, 0.0, 0.0, CAR), (25.0, 0.0, 0.0, LORRY)))
    assert seen[2] == pytest.approx(0.5)


def test_a_corner_hides_a_part():
    # The near car covers the left half of the far one's breadth.
    seen = visible(make_scene((15.0, 1.0, 0.0, LORRY), (40.0, 0.0, np.pi / 2, CAR)))
    assert 0.1 < seen[2] < 0.9


def test_two_that_hide_the_same_part_hide_it_once():
    target = (50.0, 0.0, 0.0, CAR)
    one = visible(make_scene((15.0, 0.8, 0.0, LORRY), target))[2]
    two = visible(make_scene((15.0, 0.8, 0.0, LORRY), (30.0, 1.6, 0.0, LORRY), target))[3]
    assert two <= one
    assert one < 1.0


def test_beyond_range_or_field_of_view_nothing_is_told():
    scene = make_scene((20.0, 0.0, 0.0, CAR), (-20.0, 0.0, 0.0, CAR), (120.0, 0.0, 0.0, CAR))
    assert np.isnan(visible(scene, field_of_view=np.pi)).tolist() == [True, False, True, True]


def test_what_is_outside_the_field_of_view_still_hides():
    # The lorry's middle lies beside the view, its tail reaches into it.
    scene = make_scene((12.0, 9.0, -0.7, (16.0, 2.5, 3.8)), (30.0, 8.0, 0.0, CAR))
    narrow = visible(scene, field_of_view=1.0)
    assert np.isnan(narrow[1])
    assert narrow[2] < 1.0


def test_an_agent_that_is_not_there_hides_nothing():
    scene = make_scene((15.0, 0.0, 0.0, LORRY), (24.0, 0.0, 0.0, WALKER))
    scene.agents.valid[1] = False
    scene.agents.centre[1] = np.nan
    scene.agents.heading[1] = np.nan
    seen = visible(scene)
    assert np.isnan(seen[1])
    assert seen[2] == 1.0


@settings(max_examples=40)
@given(
    st.floats(-np.pi, np.pi), st.floats(6, 40), st.floats(42, 90), st.floats(-0.2, 0.2),
    st.floats(-np.pi, np.pi),
)  # fmt: skip
def test_turning_the_world_changes_nothing(turn, near, far, aside, heading):
    def turned(angle):
        def place(reach, bearing):
            return reach * np.cos(bearing + angle), reach * np.sin(bearing + angle)

        return make_scene(
            (*place(near, aside), heading + angle, CAR),
            (*place(far, 0.0), 1.0 + angle, CAR),
            heading=angle,
        )

    # A ray that just touches a corner may fall to either side by rounding.
    np.testing.assert_allclose(visible(turned(turn)), visible(turned(0.0)), atol=0.11)


def test_many_road_users_over_many_steps_are_cut_into_parts(monkeypatch):
    from kerbstone.scene import sight

    rng = np.random.default_rng(0)
    others = [(*rng.uniform(-50, 50, 2), rng.uniform(-3, 3), CAR) for _ in range(30)]
    scene = make_scene(*others, steps=5)
    whole = see_agents(scene, reach=80.0, field_of_view=6.3, height=1.9)[1]
    monkeypatch.setattr(sight, "_PAIRS_AT_ONCE", 7)
    parts = see_agents(scene, reach=80.0, field_of_view=6.3, height=1.9)[1]
    np.testing.assert_array_equal(whole, parts)
    assert np.nanmin(whole) < 1
    assert np.nanmax(whole) == 1
