"""What stands out: by rarity among the moments of other logs, and by criticality."""

import re

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.mine import rarity as module
from kerbstone.mine.moments.embeddings import put_vectors
from kerbstone.mine.rarity import measure_rarity, rare
from streets import put_scenes, street


def by_hand(values, group, count):
    apart = np.linalg.norm(values[:, None].astype(float) - values[None], axis=2)
    apart[group[:, None] == group] = np.inf
    nearest = np.sort(apart, axis=1)[:, :count]
    return np.array([row[np.isfinite(row)].mean() for row in nearest])


def test_rarity_is_the_mean_distance_to_the_nearest_of_other_groups():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 6)).astype(np.float32)
    group = rng.integers(4, size=60)
    for count in (1, 5, 100):
        found = measure_rarity(values, group, neighbours=count)
        np.testing.assert_allclose(found, by_hand(values, group, count), rtol=1e-4)
    some = np.array([3, 7, 50])
    np.testing.assert_allclose(
        measure_rarity(values, group, rows=some), measure_rarity(values, group)[some], rtol=1e-6
    )


def test_blocks_do_not_change_it(monkeypatch):
    rng = np.random.default_rng(1)
    values, group = rng.normal(size=(50, 3)).astype(np.float32), np.arange(50) % 5
    whole = measure_rarity(values, group)
    monkeypatch.setattr(module, "_BLOCK", 60)
    np.testing.assert_allclose(measure_rarity(values, group), whole, rtol=1e-6)


def test_a_sample_to_compare_with_keeps_the_outlier_first(monkeypatch):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(2000, 4)).astype(np.float32)
    values[1234] = 20.0
    group = np.arange(2000) // 100
    monkeypatch.setattr(module, "_COMPARED", 200)
    assert measure_rarity(values, group).argmax() == 1234


def test_one_group_alone_has_nothing_to_compare_with():
    with pytest.raises(InputError, match="nothing to compare"):
        measure_rarity(np.zeros((5, 2), np.float32), np.zeros(5, np.int64))


def test_the_odd_scene_comes_first_and_it_is_said_why(streets):
    found = rare(streets, top=4)
    assert found[0].scene.startswith(("walk", "brake"))
    said = " ".join(reason for one in found for reason in one.reasons)
    assert "pedestrian" in said
    assert re.search(r"own time to collision 0\.\d+ s \(usually none\)", said)
    assert "(usually" in said
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_repetition_within_a_log_does_not_make_a_thing_common(streets):
    once = {one.scene: one.score for one in rare(streets, top=100)}
    twins = [street(f"crash/{i}", speed=25.0, lead=12.0, brake=True, log="crash") for i in range(4)]
    put_scenes(streets, "crash", *twins)
    found = rare(streets, top=3)
    assert found[0].scene.startswith("crash")
    assert found[0].score > max(once.values())


def test_moments_of_a_scene_that_are_listed_lie_apart(streets):
    found = rare(streets, top=100)
    for i, one in enumerate(found):
        for other in found[:i]:
            apart = one.start - other.end >= 2.0 or other.start - one.end >= 2.0
            assert one.scene != other.scene or apart


def test_a_condition_narrows_what_is_ranked_and_not_what_it_is_compared_with(streets):
    whole = {(one.scene, one.start): one.score for one in rare(streets, top=100)}
    some = rare(streets, top=100, where="town = 'Here'")
    assert {one.scene for one in some} == {"walk/0", "walk/1", "brake/0"}
    for one in some:
        assert one.score == pytest.approx(whole.get((one.scene, one.start), one.score), rel=1e-5)


def test_scenes_are_compared_where_all_are_of_one_log(store):
    put_scenes(store, "log", *(street(f"s/{i}", speed=8 + i, walker=i == 2) for i in range(4)))
    assert rare(store, top=1)[0].scene == "s/2"


def test_an_embedding_without_names_is_ranked_without_reasons(streets):
    for number, log in enumerate(("plain-0", "plain-1", "brakes")):
        put_vectors(
            streets,
            "model",
            log=log,
            version="1",
            scenes=[log.replace("plain-", "plain/").replace("brakes", "brake/0")],
            start=np.zeros(1),
            duration=np.ones(1),
            vectors=np.full((1, 3), [0.0, 0.1, 9.0][number], np.float32),
        )
    found = rare(streets, embedding="model", top=1)
    assert (found[0].scene, found[0].reasons) == ("brake/0", ())


@pytest.mark.parametrize("changes", [{"by": "beauty"}, {"top": 0}])
def test_what_cannot_be_ranked_is_told(streets, changes):
    with pytest.raises(UsageError):
        rare(streets, **changes)


def test_by_criticality_the_collision_comes_first(streets):
    found = rare(streets, by="criticality", top=3)
    assert (found[0].scene, found[0].score) == ("brake/0", 1.0)
    assert set(found[0].agents) == {"ego", "lead"}
    assert any("time to collision" in reason or "touch" in reason for reason in found[0].reasons)
    assert {one.scene for one in rare(streets, by="criticality", where="town = 'There'")} <= {
        "plain/0",
        "plain/1",
        "plain/2",
    }
