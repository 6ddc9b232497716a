"""Calibrating a model: what counts as surprising, and by which scenes it is told."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.calibrating import calibrate, measure_excess
from scenes import random_scene


def scores_of(scene, nll=3.0, steps=30):
    shape = (len(scene.agents), 2)
    return SimpleNamespace(
        ids=scene.agents.ids,
        start=np.array([1.0, 2.0]),
        nll=np.full(shape, nll, np.float32),
        baseline=np.full(shape, 1.0, np.float32),
        steps=np.full(shape, steps),
        speed=np.full(shape, 10.0),
    )


def embed_nothing(scene):
    return SimpleNamespace(start=np.zeros(1), duration=np.ones(1), vectors=np.zeros((1, 2)))


def test_the_excess_is_what_is_beyond_constant_velocity_where_enough_was_seen():
    scores = scores_of(random_scene(0, agents=2))
    scores.steps[0] = 9
    scores.nll[1, 1] = np.inf
    np.testing.assert_array_equal(measure_excess(scores), [[np.nan, np.nan], [2.0, np.nan]])


def test_who_moves_as_nobody_foretold_earns_no_more_than_the_scene_s_usual_baseline():
    scores = scores_of(random_scene(0, agents=40))
    scores.baseline[:] = np.linspace(0.0, 4.0, 80).reshape(40, 2)
    scores.baseline[7] = 500.0
    scores.nll[7] = 60.0
    excess = measure_excess(scores)
    assert excess[7].min() > 50
    assert excess[7].min() == excess.max()
    # Within the usual it is the difference.
    middle = np.abs(scores.baseline - 2.0) < 0.9
    np.testing.assert_allclose(excess[middle], (scores.nll - scores.baseline)[middle], atol=1e-6)


def test_what_is_usual_is_that_of_road_users_of_like_speed():
    scores = scores_of(random_scene(0, agents=40))
    scores.speed[:20], scores.baseline[:20] = 0.0, -4.0
    excess = measure_excess(scores)
    np.testing.assert_array_equal(excess[:20], 7.0)
    np.testing.assert_array_equal(excess[20:], 2.0)


def test_a_model_is_calibrated_by_held_out_scenes_one_after_the_other():
    scenes = [random_scene(seed, agents=3) for seed in range(4)]
    found = calibrate(scores_of, embed_nothing, scenes, model="m")
    assert (found.model, len(found.scores["all"])) == ("m", 24)
    nobody = dataclasses.replace(
        scenes[0], agents=scenes[0].agents.select(np.zeros(0, int)), ego=None
    )
    with pytest.raises(InputError, match="nothing to calibrate"):
        calibrate(scores_of, embed_nothing, [nobody], model="m")


def test_the_centre_is_the_mean_of_all_moments_however_many_a_scene_has():
    rng = np.random.default_rng(0)
    scenes = [random_scene(seed, agents=3) for seed in range(3)]
    vectors = {
        scene.id: rng.normal(5.0, 1.0, (n, 2)) for scene, n in zip(scenes, (1, 0, 7), strict=True)
    }

    def embed(scene):
        moments = vectors[scene.id]
        return SimpleNamespace(
            start=np.arange(float(len(moments))), duration=np.ones(len(moments)), vectors=moments
        )

    found = calibrate(scores_of, embed, scenes, model="m")
    np.testing.assert_allclose(
        found.centre, np.concatenate(list(vectors.values())).mean(axis=0), atol=1e-6
    )
