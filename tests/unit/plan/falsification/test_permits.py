import numpy as np
import pytest

from kerbstone.plan.falsification.adversaries import write_random
from kerbstone.plan.falsification.crowds import move_crowd
from kerbstone.plan.falsification.families import FAMILIES, set_stage
from kerbstone.plan.falsification.permits import cut_wish, look_up_permits
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import Vehicle

ASSUMED = Assumptions()
FINE = 100
STEP = 0.1


def _wander(family, seconds=2.0):
    """Follow wishes that ask for ten times of everything, sampled every millisecond."""
    rng = np.random.default_rng(3)
    stage = set_stage(family, 80, rng=rng, assumptions=ASSUMED, vehicle=Vehicle(), is_crowded=True)
    crowd, permits = stage.crowd, look_up_permits(stage.crowd, ASSUMED)
    scripts = write_random(rng, crowd)
    for number in range(round(seconds / STEP)):
        wish = cut_wish(crowd, scripts.read(crowd, number * STEP / seconds), permits, STEP)
        wake = move_crowd(crowd, wish, STEP, FINE)
        yield crowd, wake
        crowd = wake.after


@pytest.mark.parametrize("family", ["cut-in", "curve", "crossing"])
def test_speeds_and_accelerations_stay_permitted_between_the_looks(family):
    for crowd, wake in _wander(family):
        h = STEP / FINE
        real = crowd.valid
        assert (wake.speed[real] <= np.maximum(crowd.cap, crowd.speed)[real][:, None] + 1e-6).all()
        along = np.diff(wake.speed, axis=-1) / h
        for name, sign in (("acceleration", 1.0), ("braking", -1.0)):
            most = ASSUMED.look_up(name, crowd.kind)[real]
            assert ((sign * along[real]).max(axis=-1) <= most + 1e-3).all()
        pull = np.diff(wake.place, n=2, axis=-2) / h**2
        size = np.sqrt((pull[real] ** 2).sum(axis=-1))
        most = ASSUMED.look_up("plane_acceleration", crowd.kind)[real]
        # Places on rails are summed over the samples, which costs a little sharpness.
        assert (np.quantile(size, 0.99, axis=-1) <= 1.02 * most + 0.05).all()


def test_what_follows_lanes_slides_sideways_no_more_than_permitted():
    least_skew = np.inf
    for crowd, wake in _wander("cut-in"):
        chosen = crowd.valid & crowd.on_rail
        skew = wake.heading - crowd.rail.pose[..., [2]]
        skew = np.abs((skew + np.pi) % (2 * np.pi) - np.pi)[chosen]
        least_skew = min(least_skew, -skew.max())
        sideways = wake.speed[chosen] * np.sin(skew)
        slope = ASSUMED.look_up("lateral_slope", crowd.kind)[chosen]
        drift = ASSUMED.look_up("lateral_speed", crowd.kind)[chosen]
        assert (np.tan(skew) <= slope[:, None] + 1e-9).all()
        assert (sideways.max(axis=-1) <= drift + 1e-9).all()
    assert least_skew < -0.4  # the permits are used up


def test_permits_are_used_up_so_that_worst_cases_are_played():
    hardest = dict.fromkeys(("acceleration", "braking"), 0.0)
    for crowd, wake in _wander("following"):
        gain = (wake.speed[..., -1] - wake.speed[..., 0]) / STEP
        for name, sign in (("acceleration", 1.0), ("braking", -1.0)):
            most = ASSUMED.look_up(name, crowd.kind)
            share = np.where(crowd.valid & crowd.on_rail, sign * gain / np.maximum(most, 1e-9), 0)
            hardest[name] = max(hardest[name], share.max())
    assert min(hardest.values()) > 0.999


def test_families_put_everyone_inside_the_stage():
    for family in FAMILIES:
        stage = set_stage(
            family,
            40,
            rng=np.random.default_rng(0),
            assumptions=ASSUMED,
            vehicle=Vehicle(),
            is_crowded=True,
        )
        assert np.isfinite(stage.crowd.place).all()
        assert (stage.crowd.speed <= stage.crowd.cap + 1e-9).all()
        assert 3.0 < stage.crowd.valid.sum(axis=1).mean() < 11.0
