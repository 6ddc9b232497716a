import numpy as np

from kerbstone.plan.falsification.rails import Rails


def test_places_beside_a_rail_are_found_again():
    rng = np.random.default_rng(0)
    curvature = np.concatenate([np.zeros(20), rng.uniform(-0.02, 0.02, 180)])
    rails = Rails(rng.uniform(-3, 3, (200, 3)), curvature)
    along, left = rng.uniform(-60, 60, 200), rng.uniform(-8, 8, 200)
    place, heading = rails.place(along, left)
    found = rails.project(place)
    np.testing.assert_allclose(found[0], along, atol=1e-8)
    np.testing.assert_allclose(found[1], left, atol=1e-8)
    np.testing.assert_allclose(found[2], heading, atol=1e-9)


def test_rail_turns_left_where_its_curvature_is_above_zero():
    rails = Rails(np.zeros((1, 3)), np.array([0.1]))
    place, heading = rails.place(np.array([5 * np.pi]), np.zeros(1))
    np.testing.assert_allclose(place, [[10.0, 10.0]], atol=1e-12)
    np.testing.assert_allclose(heading, np.pi / 2)


def test_way_along_a_rail_is_measured_on_the_rail():
    rails = Rails(np.zeros((1, 3)), np.array([0.02]))
    steps = (
        rails.place(np.array([10.0]), np.zeros(1))[0]
        - rails.place(np.array([9.999]), np.zeros(1))[0]
    )
    np.testing.assert_allclose(np.hypot(*steps[0]), 0.001, rtol=1e-6)
