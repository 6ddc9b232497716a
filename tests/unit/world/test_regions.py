import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.regions import FILE, fit_regions, read_regions, write_regions


def draw(seed, count=20_000):
    """Return levels of a model whose regions are too small, the more so the further away."""
    rng = np.random.default_rng(seed)
    away = rng.uniform(0.1, 6.0, count)
    is_between = rng.random(count) < 0.5
    dataset = np.where(rng.random(count) < 0.5, "one", "other").astype(object)
    power = (1 + 0.5 * away + 2 * is_between) * np.where(dataset == "one", 1.0, 0.3)
    return rng.random(count) ** (1 / power), away, is_between, dataset


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_recalibrated_regions_hold_what_they_say_on_other_cells(share):
    regions = fit_regions(*draw(0), model="m")
    level, away, is_between, dataset = draw(1)
    held = np.zeros(len(level), bool)
    for name in ("one", "other"):
        own = dataset == name
        held[own] = level[own] <= regions.level(share, away[own], is_between[own], name)
        assert held[own].mean() == pytest.approx(share, abs=0.03)
    assert held.mean() == pytest.approx(share, abs=0.02)
    for part in (away < 1, away > 4, is_between, ~is_between):
        assert held[part].mean() == pytest.approx(share, abs=0.04)
    # Those that the model claims do not.
    assert abs((level <= share).mean() - share) > 0.04


def test_classes_with_few_cells_take_the_levels_of_all():
    level, away, is_between, dataset = draw(2, 300)
    regions = fit_regions(level, away, is_between, dataset, model="m")
    assert set(regions.levels) == {"all"}
    one = regions.level(0.8, np.array([0.2]), np.array([True]))
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
        {"regions": 2},
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
        fit_regions(np.array([np.nan]), np.array([1.0]), np.array([True]), ["one"], model="m")
    regions = fit_regions(*draw(0), model="m")
    with pytest.raises(InputError, match="a share lies between"):
        regions.level(0.999, np.array([1.0]), np.array([True]))


def test_a_data_set_that_was_not_there_takes_what_holds_over_all():
    regions = fit_regions(*draw(0), model="m")
    cell = np.array([0.2]), np.array([True])
    overall = regions.level(0.8, *cell)
    assert regions.level(0.8, *cell, "third") == overall
    assert regions.level(0.8, *cell, "one") != overall
