import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.world.training.splits import (
    Listed,
    Split,
    check_apart,
    name_places,
    split_scenes,
    split_store,
)


def listed(name: str, *, town: str = "", log: str = "", dataset: str = "made") -> Listed:
    return Listed(name, dataset, town, log or f"{dataset}/{name}", "1", 20.0, 100)


def towns(count: int, *, logs: int = 2, dataset: str = "made") -> list[Listed]:
    return [
        listed(f"{dataset}/{town}/{log}", town=f"Town {town}", dataset=dataset)
        for town in range(count)
        for log in range(logs)
    ]


scenes_of_any_towns = st.lists(
    st.builds(
        lambda number, town, dataset: (number, town, dataset),
        st.integers(0, 30),
        st.sampled_from(["", "A", "B", "C-left", "C-right", "D"]),
        st.sampled_from(["one", "two"]),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[0],
)


@given(scenes_of_any_towns, st.floats(0.01, 0.9), st.integers(0, 5))
def test_no_town_of_many_and_no_log_is_on_both_sides(rows, share, seed):
    scenes = [listed(f"s{n:02}", town=town, dataset=dataset) for n, town, dataset in rows]
    if len(set(name_places(scenes))) < 2:
        with pytest.raises(InputError, match="only one"):
            split_scenes(scenes, share, seed=seed)
        return
    split = split_scenes(scenes, share, seed=seed)
    assert split.train
    assert split.held_out
    assert sorted([*split.train, *split.held_out]) == sorted(scenes)
    assert not {s.log for s in split.train} & {s.log for s in split.held_out}
    for dataset in ("one", "two"):
        known = {s.town.split("-")[0] for s in scenes if s.dataset == dataset}
        if len(known) > 1:
            sides = [
                {s.town.split("-")[0] for s in side if s.dataset == dataset and s.town}
                for side in (split.train, split.held_out)
            ]
            assert not sides[0] & sides[1]


def test_scenes_that_come_later_change_the_side_of_none():
    before = split_scenes(towns(40), 0.2)
    after = split_scenes(towns(60), 0.2)
    assert set(before.train) <= set(after.train)
    assert set(before.held_out) <= set(after.held_out)
    assert len(after.places) > len(before.places)


def test_the_share_is_about_what_was_asked_for():
    split = split_scenes(towns(1000, logs=1), 0.2)
    assert 160 < len(split.places) < 240


def test_another_seed_holds_out_other_towns():
    assert split_scenes(towns(40), 0.2).places != split_scenes(towns(40), 0.2, seed=1).places


def test_both_driving_sides_of_a_network_are_one_town():
    scenes = [
        listed("a", town="grid-1-left"),
        listed("b", town="grid-1-right"),
        listed("c", town="grid-2-left"),
    ]
    assert name_places(scenes) == ["grid-1", "grid-1", "grid-2"]
    split = split_scenes(scenes, ["grid-1-left"])
    assert [scene.id for scene in split.held_out] == ["a", "b"]


def test_a_town_of_two_datasets_is_one_town_even_if_one_knows_no_other():
    scenes = [
        listed("a", town="Miami", dataset="one"),
        listed("b", town="Boston", dataset="one"),
        listed("c", town="Miami", dataset="two"),
    ]
    assert name_places(scenes) == ["Miami", "Boston", "Miami"]


def test_a_dataset_of_one_town_is_split_by_log():
    scenes = [listed("a", town="Karlsruhe"), listed("b", town="Karlsruhe")]
    assert split_scenes(scenes, 0.1).places[0] in {"made/a", "made/b"}


def test_one_town_or_log_alone_cannot_be_split():
    scenes = [listed("a", log="x", town="Here"), listed("b", log="x", town="Here")]
    with pytest.raises(InputError, match="only one town, or log"):
        split_scenes(scenes)


def test_a_town_that_is_not_known_is_told_with_the_nearest():
    with pytest.raises(InputError) as error:
        split_scenes(towns(3), ["Town 11"])
    assert "Town 1" in error.value.remedy


def test_everything_cannot_be_held_out():
    with pytest.raises(InputError, match="nothing to learn from"):
        split_scenes(towns(2), ["Town 0", "Town 1"])


def test_a_town_on_both_sides_is_found():
    scenes = towns(3)
    leaky = Split(tuple(scenes[:3]), tuple(scenes[3:]), ("Town 2",))
    with pytest.raises(InputError, match="at once") as error:
        check_apart(leaky)
    assert "Town 1" in error.value.where


def test_the_fingerprint_changes_with_a_scene_and_with_the_split():
    split = split_scenes(towns(10))
    changed = split.train[0]._replace(fingerprint="2")
    other = dataclasses.replace(split, train=(changed, *split.train[1:]))
    moved = dataclasses.replace(
        split, train=split.train[1:], held_out=(split.train[0], *split.held_out)
    )
    assert len({split.fingerprint, other.fingerprint, moved.fingerprint}) == 3
    assert split.fingerprint == split_scenes(towns(10)[::-1]).fingerprint


def test_a_store_is_split_by_town_and_condition(towns):
    split = split_store(towns, held_out=["There"])
    assert [scene.id for scene in split.held_out] == ["log-3/0"]
    assert len(split.train) == 3
    assert split.train[0].cells == 300
    fewer = split_store(towns, "log_key <> 'log-0'", ["There"])
    assert [scene.id for scene in fewer.train] == ["log-1/0", "log-2/0"]
    with pytest.raises(InputError, match="no scenes to learn from"):
        split_store(towns, "agents > 1000")
