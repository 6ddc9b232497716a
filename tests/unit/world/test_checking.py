from dataclasses import replace

import numpy as np
import pytest

from kerbstone.world.checking import check_forecasts


def test_constant_velocity_is_right_about_who_drives_steadily(crossing, model):
    found = check_forecasts(model, [crossing])
    assert found.road_users > 5
    assert found.constant_velocity == pytest.approx(0.0, abs=1e-6)
    assert found.nearest <= found.likeliest
    assert found.likeliest > 0.01


def test_constant_velocity_is_off_by_what_is_braked(crossing, model):
    agents = crossing.agents
    time = 0.1 * np.arange(80) - 2.9
    centre = agents.centre.copy()
    centre[0, :, 1] -= 0.5 * 2.0 * np.maximum(time, 0) ** 2
    braking = replace(crossing, agents=replace(agents, centre=centre).select([0]))
    found = check_forecasts(model, [braking])
    assert found.road_users == 1
    assert found.constant_velocity == pytest.approx(9.0, abs=0.1)


def test_nobody_moves_where_nobody_is(model, crossing):
    found = check_forecasts(model, [crossing.window(0.0, 2.0)])
    assert found.road_users == 0
    assert np.isnan(found.likeliest)
