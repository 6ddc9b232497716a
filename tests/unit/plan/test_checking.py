import numpy as np
import pytest
import shapely
import shapely.affinity
from scipy.integrate import solve_ivp

from kerbstone.errors import InputError
from kerbstone.plan.checking import check_plans, place_discs, project_points, roll_out
from kerbstone.plan.corridor import Corridor, fit_corridor
from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
from kerbstone.plan.vehicle import Vehicle

CAR = Vehicle()
HORIZON = Horizon(8, 0.1)
CORRIDOR = ("line", "left", "right", "speed", "spacing")


def batch_of(corridors):
    return Corridor(*(np.stack([getattr(one, name) for one in corridors]) for name in CORRIDOR))


def road(curvature=0.0, left=3.0, right=2.0, speed=10.0, length=60.0, spacing=2.0):
    along = np.arange(-10.0, length + spacing / 2, spacing)
    x, y = place(along, curvature)
    full = np.ones(len(along))
    return fit_corridor(np.stack([x, y], -1), left * full, right * full, speed * full)


def place(along, curvature, beside=0.0):
    if curvature == 0:
        return along, beside + 0 * along
    radius = 1 / curvature
    return (radius - beside) * np.sin(along * curvature), radius - (radius - beside) * np.cos(
        along * curvature
    )


def winding_road():
    draw = np.random.default_rng(3)
    heading = np.cumsum(draw.normal(0, 0.08, 60))
    line = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], -1), axis=0) * 2.0
    return fit_corridor(line, *np.random.default_rng(4).uniform(2, 4, (3, 60)))


def problem_of(corridor=None, *, start=(0, 0, 0, 8, 0, 0), modes=1, ellipses=None, **more):
    corridor = batch_of([corridor or road()])
    shape = (1, modes, 2, HORIZON.steps)
    nothing = Ellipses(
        np.full((*shape, 2), np.nan),
        np.full((*shape, 2), np.nan),
        np.zeros(shape),
        np.zeros(shape, bool),
    )
    return Problem(
        np.array([start], float),
        corridor,
        ellipses or nothing,
        more.get("probability", np.full((1, modes), 1 / modes)),
        np.array([more.get("branch_step", 0)]),
        more.get("weights", Weights()),
    )


def still_ellipse(x, y, long, wide, heading=0.0, modes=1):
    shape = (1, modes, 1, HORIZON.steps)
    return Ellipses(
        np.broadcast_to([float(x), float(y)], (*shape, 2)),
        np.broadcast_to([float(long), float(wide)], (*shape, 2)),
        np.full(shape, float(heading)),
        np.ones(shape, bool),
    )


def no_controls(modes=1):
    return np.zeros((1, modes, HORIZON.steps, 2))


def check(problem, controls=None, **more):
    held = no_controls() if controls is None else controls
    return check_plans(problem, held, vehicle=CAR, horizon=HORIZON, **more)


def exact_motion(start, controls, dt):
    """Integrate the bicycle finely, one step of held controls after the other."""

    def slope(_, state, jerk, rate):
        _, _, heading, speed, acceleration, steering = state
        turn = speed * np.tan(steering) / CAR.wheelbase
        return [speed * np.cos(heading), speed * np.sin(heading), turn, acceleration, jerk, rate]

    for control in controls:
        start = solve_ivp(slope, (0, dt), start, args=tuple(control), rtol=1e-11, atol=1e-12).y[
            :, -1
        ]
    return start


def test_motion_is_exact_in_speed_and_of_second_order_in_place():
    start = np.array([1.0, 2.0, 0.3, 7.0, 0.5, 0.05])
    coarse = np.array([[2.0, 0.2], [-3.0, -0.3], [1.0, 0.1], [0.0, 0.25]])
    wanted = exact_motion(start, coarse, 0.4)
    errors = []
    for parts in (1, 2, 4, 8):
        held = np.repeat(coarse, parts, axis=0)[None, None]
        found = roll_out(start[None], held, vehicle=CAR, dt=0.4 / parts)[0, 0, -1]
        np.testing.assert_allclose(found[3:], wanted[3:], atol=1e-12)
        errors.append(np.abs(found[:3] - wanted[:3]).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(orders - 2.0).max() < 0.15
    assert errors[-1] < 2e-3


def test_a_step_is_the_midpoint_rule_by_hand():
    x, y, heading, v, a, phi, j, r, dt = 1.0, 2.0, 0.3, 7.0, 0.5, 0.1, 4.0, 0.5, 0.4
    middle = v + a * dt / 2 + j * (dt / 2) ** 2 / 2
    turn = middle * np.tan(phi + r * dt / 2) / CAR.wheelbase
    way = heading + turn * dt / 2
    wanted = [
        x + dt * middle * np.cos(way),
        y + dt * middle * np.sin(way),
        heading + dt * turn,
        v + a * dt + j * dt**2 / 2,
        a + j * dt,
        phi + r * dt,
    ]
    start = np.array([[x, y, heading, v, a, phi]])
    found = roll_out(start, np.array([[[[j, r]]]]), vehicle=CAR, dt=dt)
    np.testing.assert_allclose(found[0, 0], [start[0], wanted], rtol=1e-14)


def test_a_roll_out_matches_a_closed_circle():
    steering = 0.1
    radius = CAR.wheelbase / np.tan(steering)
    steps = 200
    dt = 2 * np.pi * radius / 5.0 / steps
    end = roll_out(
        np.array([[0, 0, 0, 5.0, 0, steering]]), np.zeros((1, 1, steps, 2)), vehicle=CAR, dt=dt
    )[0, 0, -1]
    np.testing.assert_allclose(end[:3], [0, 0, 2 * np.pi], atol=1e-9)


def test_discs_cover_the_car():
    state = np.array([3.0, -2.0, 0.7, 0, 0, 0])
    discs = shapely.union_all(
        shapely.buffer(shapely.points(place_discs(state, CAR)), CAR.disc_radius, quad_segs=64)
    )
    ahead, aside = np.array([np.cos(0.7), np.sin(0.7)]), np.array([-np.sin(0.7), np.cos(0.7)])
    middle = state[:2] + CAR.centre_offset * ahead
    corners = [
        middle + i * 0.499 * CAR.length * ahead + j * 0.499 * CAR.width * aside
        for i, j in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    ]
    assert discs.buffer(1e-3).covers(shapely.Polygon(corners))


def test_projection_agrees_with_a_dense_polyline():
    corridor = winding_road()
    along = np.linspace(0, 59, 60_000)
    line = dense_line(corridor, along)
    points = line[::1500] + np.random.default_rng(0).uniform(-4, 4, (len(line[::1500]), 2))
    found = project_points(batch_of([corridor]), points[None])
    reference = shapely.LineString(line)
    assert (
        np.abs(
            np.abs(found.distance[0]) - shapely.distance(reference, shapely.points(points))
        ).max()
        < 1e-6
    )
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = shapely.line_locate_point(reference, shapely.points(points))
    wanted = np.interp(at, length, along) * corridor.spacing
    assert np.abs(found.arc[0] - wanted).max() < 5e-3


def dense_line(corridor, along):
    """Evaluate a corridor's line with another library's B-splines."""
    from scipy.interpolate import BSpline

    knots = np.arange(-3, len(corridor.line) + 1)
    return BSpline(knots, corridor.line, 3)(along)


def test_a_projection_stands_at_right_angles_and_has_its_side():
    curvature = 0.02
    corridor = batch_of([road(curvature)])
    along, beside = np.meshgrid(np.linspace(10, 40, 7), [-5.0, -0.5, 0.0, 0.5, 5.0])
    points = np.stack(place(along.ravel(), curvature, beside.ravel()), -1)
    found = project_points(corridor, points[None])
    np.testing.assert_allclose(found.distance[0], beside.ravel(), atol=2e-6)
    chord = 2 / curvature * np.sin(curvature * 2.0 / 2)  # of a piece 2 m long
    np.testing.assert_allclose(found.arc[0], (along.ravel() + 10) * chord / 2.0, atol=1e-5)
    np.testing.assert_allclose(found.left, 3.0)
    np.testing.assert_allclose(found.right, 2.0)


def test_a_point_inside_a_tight_bend_finds_the_nearest_side_of_it():
    angle = np.linspace(0, 1.5 * np.pi, 40)
    line = 8.0 * np.stack([np.sin(angle), -np.cos(angle)], -1)
    corridor = batch_of([fit_corridor(line, *np.ones((3, 40)))])
    points = np.random.default_rng(2).uniform(-6, 6, (200, 2))
    found = project_points(corridor, points[None])
    dense = shapely.LineString(
        dense_line(fit_corridor(line, *np.ones((3, 40))), np.linspace(0, 39, 9000))
    )
    wanted = shapely.distance(dense, shapely.points(points))
    np.testing.assert_allclose(np.abs(found.distance[0]), wanted, atol=1e-5)


def test_who_passes_the_end_of_a_line_is_as_far_from_it_as_from_its_end():
    corridor = batch_of([road(length=20.0)])
    found = project_points(corridor, np.array([[[23.0, 4.0], [-13.0, -4.0]]]))
    np.testing.assert_allclose(found.distance[0], [5.0, -5.0])
    np.testing.assert_allclose(found.arc[0], [30.0, 0.0])


def test_a_fitted_corridor_passes_through_its_samples():
    draw = np.random.default_rng(1)
    heading = np.cumsum(draw.normal(0, 0.05, 30))
    line = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], -1), axis=0)
    corridor = batch_of([fit_corridor(line, *draw.uniform(2, 4, (3, 30)))])
    found = project_points(corridor, line[None])
    np.testing.assert_allclose(found.distance, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.arc[0], np.arange(30) * corridor.spacing, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "start", "control"),
    [
        ("speed", (0, 0, 0, 35.5, 0, 0), (0, 0)),
        ("speed", (0, 0, 0, -0.2, 0, 0), (0, 0)),
        ("acceleration", (0, 0, 0, 8, 3.5, 0), (0, 0)),
        ("acceleration", (0, 0, 0, 20, -8.5, 0), (0, 0)),
        ("steering", (0, 0, 0, 0.1, 0, 0.65), (0, 0)),
        ("steering", (0, 0, 0, 0.1, 0, -0.65), (0, 0)),
        ("lateral_acceleration", (0, 0, 0, 15, 0, 0.085), (0, 0)),
        ("jerk", (0, 0, 0, 8, 0, 0), (-21, 0)),
        ("steering_rate", (0, 0, 0, 0.1, 0, 0), (0, 0.9)),
    ],
)
def test_each_limit_is_found_and_told_by_name(name, start, control):
    controls = no_controls()
    controls[0, 0, 0] = control  # one step only: the rest goes on as it is
    found = check(problem_of(road(left=30.0, right=30.0), start=start), controls)
    assert not found.feasible[0]
    assert {key for key, value in found.excess.items() if value[0] > 1e-4} == {name}
    assert found.finite[0]


def test_the_state_at_the_start_is_not_held_to_limits():
    # Braking harder than allowed now, and within a step no longer.
    controls = no_controls()
    controls[0, 0, 0] = (10.0, 0.0)
    found = check(problem_of(start=(0, 0, 0, 20, -8.5, 0)), controls)
    assert found.feasible[0]
    assert found.excess["acceleration"][0] == pytest.approx(-0.5)


@pytest.mark.parametrize("curvature", [0.0, 0.02, -0.015])
def test_the_road_ends_where_a_disc_reaches_its_edge(curvature):
    room = CAR.disc_radius + 0.5
    for beside in (room - 1.0, room + 1.0):
        corridor = road(curvature, left=room, right=beside)
        found = check(problem_of(corridor, start=(0, 0, 0, 0, 0, 0)))
        # Standing on the line, a disc's centre is off it only by the bend of the road.
        off = (
            np.hypot(np.array(CAR.disc_offsets), 1 / curvature) - 1 / abs(curvature)
            if curvature
            else np.zeros(3)
        )
        distance = -np.sign(curvature) * off
        wanted = np.maximum(distance - 0.5, -distance - beside + CAR.disc_radius).max()
        assert found.excess["road"][0] == pytest.approx(wanted, abs=1e-5)
        assert found.feasible[0] == (wanted <= 1e-4)


def test_the_state_after_each_step_is_what_is_held_to_the_road_and_to_others():
    # At right angles to the road with 8 m/s, the front disc comes 0.8 m nearer to its edge a step.
    start = (0, 0, np.pi / 2, 8, 0, 0)
    front = CAR.disc_offsets[2] + 0.8 * HORIZON.steps
    far = still_ellipse(0, 40, 2, 2)
    found = check(problem_of(road(left=20.0, right=20.0), start=start, ellipses=far))
    assert found.excess["road"][0] == pytest.approx(front + CAR.disc_radius - 20.0)
    assert found.excess["ellipse"][0] == pytest.approx(1 - ((40 - front) / 2) ** 2)


def test_an_ellipse_is_left_alone_outside_its_edge_and_not_inside():
    # The front disc stands 3 m from an ellipse's middle along a line turned by 0.4 to its axis.
    front = CAR.disc_offsets[2]
    for long, feasible in ((2.99, True), (3.01, False)):
        ellipses = still_ellipse(front + 3 * np.cos(0.4), 3 * np.sin(0.4), long, 0.5, 0.4)
        found = check(
            problem_of(road(left=9.0, right=9.0), start=(0, 0, 0, 0, 0, 0), ellipses=ellipses)
        )
        assert found.excess["ellipse"][0] == pytest.approx(1 - (3 / long) ** 2)
        assert found.feasible[0] == feasible


def test_ellipses_agree_with_shapely():
    draw = np.random.default_rng(5)
    circle = shapely.Point(0, 0).buffer(1.0, quad_segs=256)
    for _ in range(40):
        x, y = draw.uniform([-3, -3], [7, 3])
        long, wide, heading = *draw.uniform(0.5, 2.5, 2), draw.uniform(-3, 3)
        found = check(
            problem_of(start=(0, 0, 0, 0, 0, 0), ellipses=still_ellipse(x, y, long, wide, heading))
        ).excess["ellipse"][0]
        shape = shapely.affinity.rotate(
            shapely.affinity.scale(circle, long, wide), heading, use_radians=True
        )
        shape = shapely.affinity.translate(shape, x, y)
        inside = shapely.contains_xy(shape, place_discs(np.zeros(6), CAR)).any()
        if abs(found) > 1e-3:
            assert (found > 0) == inside


def test_an_absent_ellipse_is_nothing_whatever_its_numbers():
    present = still_ellipse(0, 0, 5, 5)
    absent = Ellipses(present.centre, present.semi_axes, present.heading, ~present.present)
    found = check(problem_of(ellipses=absent))
    assert found.feasible[0]
    assert found.excess["ellipse"][0] == -np.inf
    assert found.cost[0] == check(problem_of()).cost[0]


def test_an_ellipse_counts_only_at_its_time():
    ellipses = still_ellipse(CAR.disc_offsets[2] + 4.0, 0, 1.0, 1.0)
    for step, feasible in ((0, True), (4, False)):  # at 8 m/s the front is there after 0.5 s
        present = np.zeros((1, 1, 1, HORIZON.steps), bool)
        present[..., step] = True
        once = Ellipses(ellipses.centre, ellipses.semi_axes, ellipses.heading, present)
        assert check(problem_of(ellipses=once)).feasible[0] == feasible


def test_modes_share_their_controls_until_they_branch():
    controls = no_controls(modes=2)
    controls[0, 1, 3, 0] = 0.5
    before = check(problem_of(modes=2, branch_step=4), controls)
    assert before.excess["branch"][0] == 0.5
    assert not before.feasible[0]
    assert check(problem_of(modes=2, branch_step=3), controls).feasible[0]


def test_a_plan_is_infeasible_if_one_mode_is():
    ellipses = still_ellipse(8, 0, 2, 2, modes=2)
    ellipses.present.setflags(write=True)
    ellipses.present[0, 0] = False
    problem = problem_of(modes=2, ellipses=ellipses, probability=np.array([[1.0, 0.0]]))
    assert not check(problem, no_controls(2)).feasible[0]


def test_cost_is_what_the_terms_say_by_hand():
    weights = Weights(*map(np.array, np.arange(1.0, 10.0) / 10), margin=np.array(2.0))
    start = (0.0, 0.3, 0.0, 9.0, 3.0, 0.0)
    problem = problem_of(
        road(speed=10.0 + 0.1 * np.arange(-10.0, 61.0, 2.0), left=5.0, right=5.0),
        start=start,
        ellipses=still_ellipse(6.0, 4.0, 3.0, 2.0),
        weights=weights,
    )
    draw = np.random.default_rng(0)
    controls = draw.uniform([-6, -0.3], [6, 0.3], (1, 1, HORIZON.steps, 2))
    found = check(problem, controls)
    wanted = 0.0
    for step in range(HORIZON.steps):
        x, y, heading, v, a, phi = found.states[0, 0, step + 1]
        j, r = controls[0, 0, step]
        lateral = v**2 * np.tan(phi) / CAR.wheelbase
        wish = 10 + 0.1 * (x + CAR.disc_offsets[1] * np.cos(heading))
        total = 0.2 * (v - wish) ** 2 + 0.4 * a**2 + 0.5 * lateral**2 + 0.6 * j**2 + 0.7 * r**2
        for value, low, high in ((a, -4.05, 2.4), (lateral, -4.89, 4.89), (j, -4.13, 4.13)):
            total += 0.8 * max(0, low - value, value - high) ** 2
        for offset in CAR.disc_offsets:
            px, py = x + offset * np.cos(heading), y + offset * np.sin(heading)
            gap = (np.hypot((px - 6) / 3, (py - 4) / 2) - 1) * 2
            total += 0.1 * py**2 + 0.9 * max(0, 2 - gap) ** 2
        wanted += HORIZON.dt * total
    end = found.states[0, 0, -1]
    middle = CAR.disc_offsets[1]
    wanted -= 0.3 * (end[0] + middle * np.cos(end[2]) - start[0] - middle)
    assert found.cost[0] == pytest.approx(wanted, rel=1e-9)


def test_modes_cost_by_their_probability():
    controls = no_controls(modes=2)
    controls[0, 1, :, 0] = 1.0
    each = [check(problem_of(), controls[:, i : i + 1]).cost[0] for i in range(2)]
    both = check(problem_of(modes=2, probability=np.array([[0.25, 0.75]])), controls)
    assert both.cost[0] == pytest.approx(0.25 * each[0] + 0.75 * each[1])


def test_weights_may_differ_from_problem_to_problem():
    corridor = batch_of([road(), road()])
    one = problem_of(start=(0, 0.4, 0, 8, 0, 0))
    twice = [
        np.concatenate([value, value]) for value in (one.start, one.probability, one.branch_step)
    ]
    ellipses = Ellipses(
        *(
            np.concatenate([getattr(one.ellipses, name)] * 2)
            for name in ("centre", "semi_axes", "heading", "present")
        )
    )
    names = Weights.__dataclass_fields__
    weights = Weights(*(np.array([0.1, 0.7]) for _ in names))
    problem = Problem(twice[0], corridor, ellipses, twice[1], twice[2], weights)
    both = check(problem, np.zeros((2, 1, HORIZON.steps, 2))).cost
    for cost, weight in zip(both, (0.1, 0.7), strict=True):
        alone = problem_of(
            start=(0, 0.4, 0, 8, 0, 0), weights=Weights(*[np.array(weight)] * len(names))
        )
        assert cost == pytest.approx(check(alone).cost[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_a_diverged_plan_is_infeasible_and_no_error(value):
    controls = no_controls()
    controls[0, 0, 2] = value
    found = check(problem_of(ellipses=still_ellipse(50, 0, 1, 1)), controls)
    assert not found.feasible[0]
    assert not found.finite[0]
    assert not any(np.isnan(values).any() for values in found.excess.values())
    assert found.excess["jerk"][0] > 1e199
    assert (found.excess["ellipse"][0] == np.inf) == (value != 1e200)


def test_nan_in_one_problem_leaves_the_others_alone():
    problem = problem_of()
    two = Problem(
        np.concatenate([problem.start, problem.start * np.nan]),
        batch_of([road(), road()]),
        Ellipses(
            *(
                np.concatenate([getattr(problem.ellipses, name)] * 2)
                for name in ("centre", "semi_axes", "heading", "present")
            )
        ),
        np.ones((2, 1)),
        np.zeros(2, int),
        Weights(),
    )
    found = check(two, np.zeros((2, 1, HORIZON.steps, 2)))
    assert found.feasible.tolist() == [True, False] == found.finite.tolist()


def test_controls_of_another_length_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        check(problem_of(), np.zeros((1, 1, HORIZON.steps - 1, 2)))
    with pytest.raises(InputError, match="do not fit"):
        check(problem_of(), np.zeros((1, 2, HORIZON.steps, 2)))


def test_the_tolerance_is_the_line_between_feasible_and_not():
    controls = no_controls()
    controls[0, 0, 0, 0] = CAR.jerk + 0.01
    controls[0, 0, 1, 0] = -CAR.jerk
    assert not check(problem_of(), controls).feasible[0]
    assert check(problem_of(), controls, tolerance=0.011).feasible[0]
