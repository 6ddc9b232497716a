"""Embeddings of a store: the descriptor, and any that a model brings."""

import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.mine.moments.describing import describe
from kerbstone.mine.moments.descriptor import measure_moments
from kerbstone.mine.moments.embeddings import (
    check_embedding,
    known_embeddings,
    nearest,
    put_vectors,
    read_vectors,
)
from kerbstone.mine.moments.scaling import FIT, known_scales
from streets import put_scenes, street


def put_model(store, log, scene, values, *, version="1"):
    count = len(values)
    put_vectors(
        store,
        "model",
        log=log,
        version=version,
        scenes=[scene] * count,
        start=np.arange(count, dtype=float),
        duration=np.ones(count),
        vectors=np.asarray(values, np.float32),
    )


def test_all_moments_of_all_scenes_are_described_in_order(streets):
    report = describe(streets)
    assert (report.logs, report.known) == (5, 0)
    vectors = read_vectors(streets)
    assert vectors.values.shape == (6 * 8, 112)
    assert vectors.scene.tolist() == sorted(vectors.scene.tolist())
    assert vectors.start[:8].tolist() == list(range(8))
    assert vectors.duration.tolist() == [3.0] * 48
    assert set(vectors.log) == {"plain-0", "plain-1", "plain-2", "walkers", "brakes"}


def test_vectors_are_the_scaled_features(streets):
    describe(streets)
    scene = streets.scene("brake/0")
    expected = known_scales(streets).to_vectors(measure_moments(scene))
    np.testing.assert_array_equal(read_vectors(streets, scenes=["brake/0"]).values, expected)


def test_a_scene_has_the_mean_of_its_moments(streets):
    describe(streets)
    moments, scenes = read_vectors(streets), read_vectors(streets, is_scene=True)
    assert scenes.scene.tolist() == sorted(set(moments.scene))
    for row, scene in enumerate(scenes.scene):
        own = moments.values[moments.scene == scene]
        np.testing.assert_allclose(scenes.values[row], own.mean(axis=0), atol=1e-6)
    assert scenes.duration.tolist() == [10.0] * 6


def test_scenes_that_come_later_are_scaled_as_those_before(streets):
    describe(streets)
    before = read_vectors(streets)
    put_scenes(streets, "late", street("late/0", speed=30.0, oncoming=8))
    assert describe(streets).logs == 1
    after = read_vectors(streets)
    assert after.version == before.version
    kept = np.isin(after.scene.astype(str), before.scene.astype(str))
    np.testing.assert_array_equal(after.values[kept], before.values)
    fits = [run for run in streets.runs().to_pylist() if run["command"] == FIT]
    assert len(fits) == 1
    assert len(json.loads(fits[0]["metrics"])["scales"]) == 112


def test_a_refit_describes_everything_anew(streets):
    describe(streets)
    before = read_vectors(streets)
    put_scenes(streets, "late", street("late/0", speed=30.0, oncoming=8))
    assert describe(streets, refit=True).logs == 6
    after = read_vectors(streets)
    assert after.version != before.version
    assert len(after) == len(before) + 8


def test_scenes_are_narrowed_down_by_a_condition(streets):
    describe(streets)
    found = read_vectors(streets, where="town = 'There'")
    assert set(found.scene) == {"plain/0", "plain/1", "plain/2"}
    with pytest.raises(InputError, match="condition"):
        read_vectors(streets, where="towm = 'There'")


def test_a_store_without_scenes_cannot_be_described(store):
    with pytest.raises(InputError, match="no scenes"):
        describe(store)


def test_a_model_brings_its_own_vectors_of_any_size(streets):
    describe(streets)
    rng = np.random.default_rng(0)
    for log, scene in (("plain-0", "plain/0"), ("brakes", "brake/0")):
        put_model(streets, log, scene, rng.normal(size=(4, 5)))
    assert known_embeddings(streets) == ["descriptor", "model"]
    vectors = read_vectors(streets, "model")
    assert vectors.values.shape == (8, 5)
    found = nearest(streets, vectors.values[:1], embedding="model", top=3)
    assert found.column("scene")[0].as_py() == vectors.scene[0]
    distance = np.linalg.norm(vectors.values - vectors.values[0], axis=1)
    np.testing.assert_allclose(
        found.column("distance").to_numpy(), np.sort(distance)[:3], rtol=1e-4, atol=1e-6
    )
    assert len(read_vectors(streets)) == 48


def test_only_vectors_of_the_version_that_was_written_last_are_compared(streets):
    put_model(streets, "plain-0", "plain/0", np.zeros((2, 4)), version="old")
    put_model(streets, "brakes", "brake/0", np.ones((3, 4)), version="new")
    assert set(read_vectors(streets, "model").scene) == {"brake/0"}
    found = nearest(streets, np.zeros((1, 4), np.float32), embedding="model", top=9)
    assert set(found.column("scene").to_pylist()) == {"brake/0"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"vectors": np.full((2, 3), np.nan, np.float32)}, "value"),
        ({"start": np.zeros(3)}, "shape"),
        ({"scenes": ["a"]}, "shape"),
    ],
)
def test_vectors_that_are_none_are_refused(streets, changes, code, unchecked):
    good = {
        "log": "plain-0",
        "version": "1",
        "scenes": ["plain/0", "plain/0"],
        "start": np.zeros(2),
        "duration": np.ones(2),
        "vectors": np.zeros((2, 3), np.float32),
    }
    with pytest.raises(InputError) as caught:
        put_vectors(streets, "model", **(good | changes))
    assert caught.value.code == code


def test_an_embedding_that_is_not_there_is_told_with_those_that_are(streets):
    describe(streets)
    with pytest.raises(InputError, match="no embedding") as caught:
        check_embedding(streets, "descripter")
    assert "'descriptor'" in caught.value.remedy
    with pytest.raises(InputError, match="cannot be called"):
        put_model_named(streets, "World Model")


def put_model_named(store, name):
    put_vectors(
        store,
        name,
        log="plain-0",
        version="1",
        scenes=["plain/0"],
        start=np.zeros(1),
        duration=np.ones(1),
        vectors=np.zeros((1, 3), np.float32),
    )
