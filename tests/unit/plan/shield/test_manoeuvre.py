import numpy as np

from kerbstone.plan.shield.manoeuvre import roll_out, sweep
from kerbstone.plan.shield.motion import advance
from shielded import SHARP, VEHICLE, states


def test_no_point_of_the_body_leaves_the_swept_box_during_a_step():
    rng = np.random.default_rng(0)
    count = 3000
    state = states(rng.uniform(0, 25, count), heading=rng.uniform(-3, 3, count))
    state[:, 4] = rng.uniform(-8, 3, count)
    most = np.minimum(0.6, np.arctan(6.0 * 2.9 / np.maximum(state[:, 3], 1.0) ** 2))
    state[:, 5] = most * rng.uniform(-1, 1, count)
    control = np.stack([rng.uniform(-20, 20, count), rng.uniform(-0.8, 0.8, count)], 1)[:, None]
    boxes = sweep(
        roll_out(state, control, vehicle=VEHICLE, step=0.1), vehicle=VEHICLE, assumptions=SHARP
    )
    corner = np.array([[3.9, 0.95], [3.9, -0.95], [-1.0, 0.95], [-1.0, -0.95], [1.0, 0.95]])
    worst = np.inf
    for duration in np.linspace(0.0, 0.1, 11):
        now = advance(state, control[:, 0], duration, VEHICLE)
        ahead = np.stack([np.cos(now[:, 2]), np.sin(now[:, 2])], axis=1)
        left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        for along, aside in corner:
            away = now[:, :2] + along * ahead + aside * left - boxes.centre[:, 0]
            direction = boxes.direction[:, 0]
            u = np.abs((away * direction).sum(axis=1))
            w = np.abs(away[:, 1] * direction[:, 0] - away[:, 0] * direction[:, 1])
            room = np.minimum(boxes.half[:, 0, 0] - u, boxes.half[:, 0, 1] - w)
            worst = min(worst, room.min())
    assert 0.0 <= worst < 0.01


def test_straight_braking_sweeps_little_more_than_its_way():
    made = roll_out(
        states([20.0], acceleration=-8.0), np.zeros((1, 1, 2)), vehicle=VEHICLE, step=0.1
    )
    boxes = sweep(made, vehicle=VEHICLE, assumptions=SHARP)
    way = 20 * 0.1 - 8 * 0.005
    # Half a step² of braking, over 8: the middle of a step lies ahead of its ends' line.
    expected = [2.45 + way / 2 + 8 * 0.01 / 8 + 1e-3, 0.95 + 8 * 0.01 / 8 + 1e-3]
    np.testing.assert_allclose(boxes.half[0, 0], expected, atol=1e-12)
