"""Choosing what to label: what counts, what is left out, and what is recorded."""

import dataclasses
import json

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.mine.moments.criticality import assess, read_criticality
from kerbstone.mine.moments.embeddings import read_vectors
from kerbstone.mine.selection import SelectionConfig, select
from streets import put_scenes, street


def names(selection):
    return [item.scene for item in selection.items]


@pytest.mark.parametrize("method", ["facility", "centre"])
@pytest.mark.parametrize("unit", ["scene", "moment"])
def test_a_choice_is_the_same_every_time_and_its_beginning_that_of_fewer(streets, method, unit):
    config = SelectionConfig(method=method, unit=unit, criticality=0.0, radius=0.5)
    four = select(streets, 4, config)
    assert select(streets, 4, config).items == four.items
    assert select(streets, 2, config).items == four.items[:2]
    assert [item.rank for item in four.items] == [1, 2, 3, 4]


def test_without_criticality_the_kinds_of_scenes_are_all_chosen(streets):
    chosen = select(streets, 3, SelectionConfig(criticality=0.0))
    assert {name.split("/")[0] for name in names(chosen)} == {"plain", "walk", "brake"}
    assert chosen.candidates == 6
    assert [item.criticality for item in chosen.items] == [None] * 3
    assert "criticality" not in streets.versions()


def test_with_criticality_alone_the_most_critical_is_first(streets):
    assess(streets)
    rows = read_criticality(streets)
    worst = rows.scene[rows.score.argmax()]
    chosen = select(streets, 1, SelectionConfig(criticality=1.0, radius=1e-3))
    assert names(chosen) == [worst]
    assert chosen.items[0].criticality == rows.score.max()
    centre = select(streets, 1, SelectionConfig(criticality=1.0, method="centre"))
    assert names(centre) == [worst]


def test_more_criticality_never_makes_the_choice_less_critical(streets):
    means = []
    for part in (0.0, 0.5, 1.0):
        chosen = select(streets, 2, SelectionConfig(criticality=part, unit="moment"))
        scores = read_critical(streets, chosen)
        means.append(np.mean(scores))
    assert means[0] <= means[1] <= means[2]


def read_critical(store, chosen):
    assess(store)
    rows = read_criticality(store)
    score = dict(zip(zip(rows.scene, rows.start, strict=True), rows.score, strict=True))
    return [score[item.scene, item.start] for item in chosen.items]


def test_what_is_not_known_to_be_critical_is_neither_sought_nor_shunned(streets):
    scene = street("flat/0", walker=True, log="flat")
    agents = dataclasses.replace(scene.agents, size=np.full((len(scene.agents), 3), np.nan))
    put_scenes(streets, "flat", dataclasses.replace(scene, agents=agents))
    chosen = select(streets, 7, SelectionConfig(criticality=1.0, method="centre"))
    assert {item.scene: item.criticality for item in chosen.items}["flat/0"] is None
    assert names(chosen)[0] == "brake/0"
    assert names(chosen)[-1] != "flat/0"


def test_what_is_labelled_already_is_not_chosen_again_and_represents(streets):
    config = SelectionConfig(criticality=0.0, known=("plain/1",))
    chosen = select(streets, 2, config)
    # What is like the known one needs no label any more.
    assert {name.split("/")[0] for name in names(chosen)} == {"walk", "brake"}
    assert (chosen.known, chosen.candidates) == (1, 5)
    assert "plain/1" not in names(select(streets, 5, config))


def test_a_stretch_that_is_labelled_keeps_its_moments_from_being_chosen(streets):
    config = SelectionConfig(unit="moment", criticality=0.0, known=("brake/0@4-7",))
    chosen = select(streets, 40, config)
    for item in chosen.items:
        assert item.scene != "brake/0" or item.end <= 4.0 or item.start >= 7.0
    assert chosen.known == 5


def test_selections_of_other_names_count_as_chosen_and_one_of_the_same_name_is_replaced(streets):
    first = select(streets, 2, SelectionConfig(criticality=0.0, name="one"))
    second = select(streets, 2, SelectionConfig(criticality=0.0, name="two"))
    assert not set(names(first)) & set(names(second))
    assert second.known == 2
    third = select(streets, 1, SelectionConfig(criticality=0.0, name="one"))
    rows = streets.rows("selections").to_pylist()
    found = {name: {row["scene"] for row in rows if row["name"] == name} for name in ("one", "two")}
    assert found == {"one": set(names(third)), "two": set(names(second))}


def test_the_choice_is_recorded_with_its_run(streets):
    chosen = select(streets, 2, SelectionConfig(method="centre", where="town = 'There'"))
    run = next(r for r in streets.runs().to_pylist() if r["id"] == chosen.run)
    config = json.loads(run["config"])
    assert (run["command"], config["budget"], config["method"]) == ("select", 2, "centre")
    assert config["version"] == read_vectors(streets).version
    assert json.loads(run["metrics"])["chosen"] == 2
    assert {row["run"] for row in streets.rows("selections").to_pylist()} == {chosen.run}
    assert all(name.startswith("plain") for name in names(chosen))


def test_a_budget_beyond_the_store_chooses_all_there_is(streets):
    assert len(select(streets, 99, SelectionConfig(criticality=0.0)).items) == 6


def test_nothing_to_choose_from_is_told(streets):
    for config in (
        SelectionConfig(where="town = 'Nowhere'"),
        SelectionConfig(known=tuple(f"plain/{i}" for i in range(3)), where="town = 'There'"),
    ):
        with pytest.raises(InputError, match="nothing to choose from"):
            select(streets, 1, config)


@pytest.mark.parametrize(
    "values",
    [
        {"method": "magic"},
        {"unit": "frame"},
        {"criticality": 1.5},
        {"criticality": float("nan")},
        {"radius": 0.0},
        {"radius": float("inf")},
    ],
)
def test_a_configuration_out_of_range_is_told(values):
    with pytest.raises(UsageError):
        SelectionConfig(**values)


def test_a_budget_of_none_is_told(streets):
    with pytest.raises(UsageError):
        select(streets, 0)


def test_a_log_that_is_replaced_loses_its_selection(streets):
    select(streets, 6, SelectionConfig(criticality=0.0, name="all"))
    put_scenes(streets, "brakes", street("brake/1", log="brakes"), fingerprint="2")
    chosen = select(streets, 1, SelectionConfig(criticality=0.0))
    assert names(chosen) == ["brake/1"]
