import numpy as np

from crossing import crossing_scene
from kerbstone.world import Forecast, cut_window, hide, predict
from kerbstone.world.anchors import anchor
from kerbstone.world.covering import cover_cells, describe_cells


def test_cells_of_forecasts_and_gaps_are_told_apart(crossing, model):
    level, cells, scene = cover_cells(model, [crossing])
    assert (level >= 0).all()
    assert (level <= 1).all()
    assert len(level) == len(cells.away)
    assert scene.tolist() == [crossing.id] * len(level)
    assert cells.is_between.any()
    assert not cells.is_between.all()
    assert cells.away.min() > 0
    assert (cells.width > 0).all()
    # A forecast reaches further than a gap, of which both ends are seen.
    assert cells.away[~cells.is_between].max() > cells.away[cells.is_between].max()


def test_the_width_of_a_cell_is_that_of_its_likeliest_mode(crossing, model):
    window = cut_window(crossing, 0.0, 12)
    left = hide(window, Forecast(3.0)(window, np.random.default_rng(0)))
    said = predict(model, left)
    cells = describe_cells(left, said.mixture)
    agent, step = np.argwhere(said.asked)[-1]
    scale = said.mixture.scale[agent, said.mixture.weight[agent].argmax(), step]
    unit = anchor(left).unit[agent, step]
    np.testing.assert_allclose(cells.width[agent, step], np.sqrt(scale[0] * scale[1]) / unit)
    last = np.flatnonzero(left.window.valid[agent])[-1]
    np.testing.assert_allclose(cells.away[agent, step], (step - last) * 0.1)
    assert np.isnan(cells.width[~said.asked]).all()


def test_a_scene_too_short_to_hide_anything_has_no_cells(model):
    assert len(cover_cells(model, [crossing_scene(steps=12)]).level) == 0
    assert len(cover_cells(model, []).level) == 0


def test_cells_are_the_same_each_time(crossing, model):
    first, second = (cover_cells(model, [crossing]) for _ in range(2))
    np.testing.assert_array_equal(first.level, second.level)
    for one, other in zip(first.cells, second.cells, strict=True):
        np.testing.assert_array_equal(one, other)
