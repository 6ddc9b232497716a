import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.regions import FILE, SHARES, Cells, fit_regions, read_regions, write_regions

CELL = Cells(np.array([0.2]), np.array([True]), np.array([1 / 100]))


def draw(seed, count=20_000):
    """Return levels of a model whose regions are too small, the more so the further away.

    And the more so the wider they are.
    """
    rng = np.random.default_rng(seed)
    away = rng.uniform(0.1, 6.0, count)
    is_between = rng.random(count) < 0.5
    width = 2 ** rng.uniform(-7, 1, count)
    dataset = np.where(rng.random(count) < 0.5, "one", "other").astype(object)
    power = (1 + 0.5 * away + 2 * is_between) * np.where(dataset == "one", 1.0, 0.3)
    power *= np.where(width > 1 / 8, 2.0, 1.0)
    place = np.char.add(dataset.astype(str), rng.integers(10, size=count).astype(str))
    return rng.random(count) ** (1 / power), Cells(away, is_between, width), dataset, place


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_recalibrated_regions_hold_what_they_say_on_other_cells(share):
    regions = fit_regions(*draw(0, 60_000), model="m")
    level, cells, dataset, _ = draw(1)
    held = np.zeros(len(level), bool)
    for name in ("one", "other"):
        own = dataset == name
        held[own] = level[own] <= regions.level(share, cells.select(own), name)
        assert held[own].mean() == pytest.approx(share, abs=0.03)
    assert held.mean() == pytest.approx(share, abs=0.02)
    away, is_between, width = cells
    parts = (away < 1, away > 4, is_between, ~is_between, width < 1 / 16, width > 1 / 4)
    for part in parts:
        assert held[part].mean() == pytest.approx(share, abs=0.04)
    # Those that the model claims do not.
    assert abs((level <= share).mean() - share) > 0.04


def test_classes_with_few_cells_take_the_levels_of_all():
    level, cells, dataset, _ = draw(2, 300)
    regions = fit_regions(level, cells, dataset, dataset, model="m")
    assert set(regions.levels) == {"all"}
    one = regions.level(0.8, CELL)
    assert one == pytest.approx(np.quantile(level, 0.8), abs=0.02)


def test_regions_come_back_from_their_file(tmp_path):
    regions = fit_regions(*draw(0), model="m", scenes=["a", "b"])
    write_regions(regions, tmp_path)
    again = read_regions(tmp_path)
    assert again.model == "m"
    assert again.scenes == ("a", "b")
    assert set(again.levels) == set(regions.levels)
    for name, values in regions.levels.items():
        np.testing.assert_allclose(again.levels[name], values, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"regions": 1},
        {"levels": {}},
        {"levels": {"all": [0.5]}},
        {"levels": {"all": [2.0] * 99}},
        {"levels": {"all": ["a"] * 99}},
        {"levels": {"all": [0.9, 0.1] + [0.95] * 97}},
        {"model": 3},
    ],
)
def test_damaged_file_is_an_error_that_names_it(tmp_path, change):
    write_regions(fit_regions(*draw(0), model="m"), tmp_path)
    file = tmp_path / FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputError, match="does not tell of regions"):
        read_regions(tmp_path)


def test_missing_and_broken_files_are_errors(tmp_path):
    with pytest.raises(InputError, match="nothing on the regions"):
        read_regions(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        read_regions(tmp_path)


def test_nothing_to_fit_and_impossible_shares_are_errors():
    with pytest.raises(InputError, match="no cell"):
        fit_regions(np.array([np.nan]), CELL, ["one"], ["here"], model="m")
    regions = fit_regions(*draw(0), model="m")
    with pytest.raises(InputError, match="a share lies between"):
        regions.level(0.999, CELL)


def test_a_data_set_that_was_not_there_takes_what_holds_over_all():
    regions = fit_regions(*draw(0), model="m")
    overall = regions.level(0.8, CELL)
    assert regions.level(0.8, CELL, "third") == overall
    assert regions.level(0.8, CELL, "one") != overall


def test_a_width_that_was_seldom_seen_takes_the_levels_of_its_time_away():
    level, cells, dataset, place = draw(0, 80_000)
    common = cells.width < 1 / 2
    parts = level[common], cells.select(common), dataset[common], place[common]
    regions = fit_regions(*parts, model="m")
    narrow, wide = (Cells(np.array([2.5]), np.array([True]), np.array([w])) for w in (0.01, 3.0))
    coarse = np.interp(0.8, SHARES, regions.levels["between-3"])
    assert regions.level(0.8, wide) == pytest.approx(coarse)
    assert regions.level(0.8, narrow) < coarse


def test_few_places_do_not_tell_how_widths_differ():
    level, cells, dataset, place = draw(0, 80_000)
    for most, is_told in ((6, False), (10, True)):
        kept = np.array([int(name[-1]) < most for name in place])
        parts = level[kept], cells.select(kept), dataset[kept], place[kept]
        regions = fit_regions(*parts, model="m")
        assert ("one/between-3-2" in regions.levels) is is_told
        assert "one/between-3" in regions.levels


def test_many_places_of_which_little_was_seen_tell_a_time_away():
    level, cells, dataset, _ = draw(0)
    place = np.arange(len(level)).astype(str).astype(object)
    regions = fit_regions(level, cells, dataset, place, model="m")
    assert {"one/between-3", "other/beyond-4"} <= set(regions.levels)


def test_every_town_counts_the_same_however_much_was_seen_of_it():
    rng = np.random.default_rng(3)
    # In one town all lies far out, in the other near; of the first a tenth as much was seen.
    level = np.concatenate([rng.uniform(0.6, 1.0, 500), rng.uniform(0.0, 0.4, 5000)])
    place = np.repeat(["far", "near"], [500, 5000])
    cells = Cells(np.full(5500, 0.2), np.ones(5500, bool), np.full(5500, 0.1))
    regions = fit_regions(level, cells, ["one"] * 5500, place, model="m")
    held = level <= regions.level(0.75, cells, "one")
    assert held[place == "near"].all()
    assert held[place == "far"].mean() == pytest.approx(0.5, abs=0.02)
