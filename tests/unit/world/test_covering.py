import numpy as np

from crossing import crossing_scene
from kerbstone.world.covering import cover_cells


def test_cells_of_forecasts_and_gaps_are_told_apart(crossing, model):
    cells = cover_cells(model, [crossing])
    assert (cells.level > 0).all()
    assert (cells.level <= 1).all()
    assert cells.is_between.any()
    assert not cells.is_between.all()
    assert cells.away.min() > 0
    # A forecast reaches further than a gap, of which both ends are seen.
    assert cells.away[~cells.is_between].max() > cells.away[cells.is_between].max()


def test_a_scene_too_short_to_hide_anything_has_no_cells(model):
    assert len(cover_cells(model, [crossing_scene(steps=12)]).level) == 0
    assert len(cover_cells(model, []).level) == 0


def test_cells_are_the_same_each_time(crossing, model):
    first, second = (cover_cells(model, [crossing]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
