from dataclasses import replace

import numpy as np

from kerbstone.plan.falsification.families import set_stage
from kerbstone.plan.falsification.imperfections import (
    displace,
    draw_drift,
    draw_imperfections,
    see,
    see_exactly,
)
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import Vehicle

ASSUMED = Assumptions()


def _stage(family="following"):
    rng = np.random.default_rng(1)
    stage = set_stage(family, 300, rng=rng, assumptions=ASSUMED, vehicle=Vehicle())
    return rng, stage, draw_imperfections(rng, stage.crowd)


def test_errors_of_seeing_reach_their_limits_and_no_further():
    rng, stage, errors = _stage()
    seen = see(stage.crowd, stage.blind, body_centre(stage.ego, Vehicle()), errors, ASSUMED, rng)
    truth, limits = see_exactly(stage.crowd), ASSUMED.perception
    away = np.sqrt(((seen.position - truth.position) ** 2).sum(axis=-1))[truth.valid]
    assert 0.99 * limits.position < away.max() <= limits.position
    assert (away == 0).any()
    for name, most in (
        ("heading", limits.heading),
        ("speed", limits.speed),
        ("length", limits.size),
        ("width", limits.size),
    ):
        off = np.abs(getattr(seen, name) - getattr(truth, name))[truth.valid]
        assert 0.95 * most < off.max() <= most + 1e-12


def test_worst_errors_hide_danger():
    rng, stage, errors = _stage()
    errors = replace(
        errors, seen=np.ones_like(errors.seen), seen_worst=np.ones_like(errors.seen_worst)
    )
    centre = body_centre(stage.ego, Vehicle())
    seen = see(stage.crowd, stage.blind, centre, errors, ASSUMED, rng)
    true_away = np.sqrt(((stage.crowd.place - centre[:, None]) ** 2).sum(axis=-1))
    seen_away = np.sqrt(((seen.position - centre[:, None]) ** 2).sum(axis=-1))
    assert (seen_away > true_away).all()
    assert (seen.length < stage.crowd.length).all()


def test_errors_of_driving_stay_in_the_tube_and_use_it_up():
    rng, _, errors = _stage()
    drift = draw_drift(errors, ASSUMED, rng)
    tube = np.array([ASSUMED.tube.longitudinal, ASSUMED.tube.lateral, ASSUMED.tube.heading])
    assert (np.abs(drift) <= tube).all()
    np.testing.assert_allclose(np.abs(drift).max(axis=0), tube, rtol=1e-6)


def test_displacement_is_in_the_frame_of_the_car():
    state = np.array([[1.0, 2.0, np.pi / 2, 3.0, 0.0, 0.0]])
    moved = displace(state, np.array([[0.5, 0.25, 0.1]]))
    np.testing.assert_allclose(moved[0, :3], [0.75, 2.5, np.pi / 2 + 0.1])


def test_who_is_hidden_is_not_shown_until_it_comes_out():
    rng, stage, errors = _stage("hidden walker")
    centre = body_centre(stage.ego, Vehicle())
    seen = see(stage.crowd, stage.blind, centre, errors, ASSUMED, rng)
    assert stage.crowd.valid[:, 0].mean() > 0.7
    assert not seen.valid[:, 0].any()
    outside = replace(stage.crowd, place=stage.crowd.place + 10.0)
    seen = see(outside, stage.blind, centre, errors, ASSUMED, rng)
    assert (seen.valid[:, 0] == stage.crowd.valid[:, 0]).all()
