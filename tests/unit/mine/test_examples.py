"""Search by example: what an example is, and what is like it."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.mine.examples import Example, like, parse_example
from kerbstone.mine.moments.embeddings import put_vectors, read_vectors
from streets import put_scenes, street


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("walk/0", Example("walk/0")),
        ("brake", Example("brake/0")),
        ("walk/0@3", Example("walk/0", 3.0, 3.0)),
        ("walk/0@3-5.5", Example("walk/0", 3.0, 5.5)),
        ("walk/0@0-10", Example("walk/0", 0.0, 10.0)),
    ],
)
def test_an_example_is_a_scene_or_seconds_of_it(streets, text, expected):
    assert parse_example(text, streets) == expected


def test_an_id_may_have_an_at_sign_in_it(store):
    scene = dataclasses.replace(street("a@3"), id="a@3")
    put_scenes(store, "log", scene)
    assert parse_example("a@3", store) == Example("a@3")
    assert parse_example("a@3@1-2", store) == Example("a@3", 1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nowhere", InputError, "no scene"),
        ("nowhere@1-2", InputError, "no scene"),
        ("walk", InputError, "give more of the id"),
        ("walk/0@", UsageError, "not numbers"),
        ("walk/0@one", UsageError, "not numbers"),
        ("walk/0@1-", UsageError, "not numbers"),
        ("walk/0@1-2-3", UsageError, "not numbers"),
        ("walk/0@5-3", UsageError, "ends before it begins"),
        ("walk/0@3-3", UsageError, "ends before it begins"),
        ("walk/0@nan", UsageError, "ends before"),
        ("walk/0@8-11", InputError, "beyond its scene"),
        ("walk/0@10", InputError, "beyond its scene"),
    ],
)
def test_what_is_no_example_is_told(streets, text, error, message):
    with pytest.raises(error) as caught:
        parse_example(text, streets)
    assert message in str(caught.value)


def test_the_other_walker_is_most_like_the_walker(streets):
    found = like("walk/0@4-8", streets, top=3)
    assert found[0].scene == "walk/1"
    assert [one.distance for one in found] == sorted(one.distance for one in found)


def test_the_same_stretch_under_another_name_is_found_at_distance_zero(streets):
    put_scenes(streets, "twin", street("twin/0", brake=True, lead=25.0, log="twin"))
    found = like("brake/0@4-7", streets, top=2)
    assert found[0].scene == "twin/0"
    assert found[0].distance == pytest.approx(0.0, abs=1e-6)
    assert found[0].start <= 4.0
    assert found[0].end >= 7.0


def test_the_distance_is_that_of_the_stretches_moment_by_moment(streets):
    (found, *_) = like("walk/0@4-8", streets, top=1)
    rows = read_vectors(streets)
    own = rows.select((rows.scene == "walk/0") & (rows.start >= 3) & (rows.start <= 6))
    other = rows.select(
        (rows.scene == found.scene) & (rows.start >= found.start) & (rows.start < found.start + 4)
    )
    assert len(own) == len(other) == 4
    apart = np.linalg.norm(own.values - other.values, axis=1)
    assert found.distance == pytest.approx(np.sqrt((apart**2).mean()), rel=1e-5)


def test_it_is_the_best_of_all_stretches_that_there_are(streets):
    (found, *_) = like("walk/0@4-6", streets, top=1)
    rows = read_vectors(streets)
    own = rows.select((rows.scene == "walk/0") & (rows.start >= 3) & (rows.start <= 4))
    best = np.inf
    for scene in set(rows.scene) - {"walk/0"}:
        part = rows.select(rows.scene == scene).values
        for first in range(len(part) - 1):
            apart = np.linalg.norm(own.values - part[first : first + 2], axis=1)
            best = min(best, np.sqrt((apart**2).mean()))
    assert found.distance == pytest.approx(best, rel=1e-5)


def test_what_is_found_overlaps_neither_itself_nor_the_example(streets):
    found = like("plain/1@3-5", streets, top=100)
    spans = [("plain/1", 3.0, 5.0), *((one.scene, one.start, one.end) for one in found)]
    for i, (scene, start, end) in enumerate(spans):
        for other, first, last in spans[:i]:
            assert scene != other or start >= last or end <= first
    assert len({one.scene for one in found}) == 6


def test_only_scenes_that_fulfil_the_condition_are_found(streets):
    found = like("walk/0@4", streets, top=50, where="town = 'There'")
    assert {one.scene for one in found} == {"plain/0", "plain/1", "plain/2"}
    assert like("walk/0@4", streets, where="town = 'Nowhere'") == []


def test_a_scene_without_times_is_compared_as_a_whole(streets):
    found = like("plain/1", streets, top=2)
    assert {one.scene for one in found} == {"plain/0", "plain/2"}
    assert all((one.start, one.end) == (0.0, 10.0) for one in found)
    assert len(like("plain/1", streets, top=50)) == 5


def test_any_embedding_can_be_searched(streets):
    for log, scene, value in (
        ("plain-0", "plain/0", 0),
        ("brakes", "brake/0", 1),
        ("plain-2", "plain/2", 5),
    ):
        put_vectors(
            streets,
            "model",
            log=log,
            version="1",
            scenes=[scene] * 4,
            start=2.5 * np.arange(4.0),
            duration=np.full(4, 2.5),
            vectors=np.full((4, 2), value, np.float32),
        )
    found = like("plain/0@1-6", streets, embedding="model", top=2)
    assert [one.scene for one in found] == ["brake/0", "brake/0"]
    assert found[0].distance == pytest.approx(np.sqrt(2))
    assert "descriptor" not in streets.versions()
    with pytest.raises(InputError, match="no vectors of the embedding"):
        like("walk/0", streets, embedding="model")
    with pytest.raises(InputError, match="no embedding"):
        like("walk/0", streets, embedding="world")


def test_nothing_is_asked_for_is_an_error(streets):
    with pytest.raises(UsageError):
        like("walk/0", streets, top=0)
