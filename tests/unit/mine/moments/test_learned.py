"""What a model writes into a store: complete, once, again where it must be, and what it is worth."""

import json
from collections import Counter
from functools import partial

import jax
import numpy as np
import pytest
from scipy import stats

from kerbstone.errors import InputError
from kerbstone.mine.examples import like
from kerbstone.mine.moments.embeddings import read_vectors
from kerbstone.mine.moments.learned import embed, surprise_rows
from kerbstone.mine.moments.moments import moment_starts
from kerbstone.mine.moments.trained import WIDTH, fit_vectors, load_model, version_of
from kerbstone.mine.rarity import rare
from kerbstone.world import ModelConfig, build_model, embed_scene, score_scene
from kerbstone.world.calibrating import calibrate, measure_excess
from kerbstone.world.calibration_file import write_calibration
from kerbstone.world.training.model_file import write_model
from learned_models import load_toy, write_toy
from streets import put_scenes, street

HELD_OUT = [street(f"held/{i}", speed=8.0 + 0.1 * i, oncoming=3) for i in range(12)]
LOGS = {"plain-0", "plain-1", "plain-2", "walkers", "brakes"}


@pytest.fixture
def model(tmp_path):
    """A model with its calibration."""
    return write_toy(tmp_path / "model", HELD_OUT)


def surprises(store, condition="is_scene = false"):
    return store.rows("surprise", condition).to_pylist()


def test_each_scene_has_vectors_and_each_road_user_surprises(streets, model):
    report = embed(streets, model, load=load_toy)
    assert (report.logs, report.known, report.version, len(report.runs)) == (5, 0, "1", 2)
    vectors = read_vectors(streets, "world")
    assert vectors.values.shape[1] == WIDTH
    toy = load_toy(str(model))
    for name in streets.scenes(["id"]).column("id").to_pylist():
        scene = streets.scene(name)
        own = vectors.select(vectors.scene == name)
        np.testing.assert_array_equal(own.start, moment_starts(scene))
        told = toy.embed(scene).vectors - toy.calibration.centre
        np.testing.assert_allclose(own.values[:, :4], told, atol=1e-6)
        rows = {row["agent"]: row for row in surprises(streets, f"scene = '{name}'")}
        assert set(rows) == {"", *scene.agents.ids}
        assert [row["is_scene"] for row in rows.values()] == [not agent for agent in rows]
        scores = toy.score(scene)
        first = rows[scores.ids[0]]
        np.testing.assert_array_equal(first["start"], scores.start)
        np.testing.assert_allclose(first["excess"], measure_excess(scores)[0])
        np.testing.assert_allclose(first["surprise"], -np.log10(first["p"]), atol=2.0)


def test_p_values_of_road_users_like_those_of_the_calibration_are_uniform(store, tmp_path):
    scenes = [street(f"many/{i}", speed=8.0 + 0.1 * i, oncoming=5) for i in range(8)]
    put_scenes(store, "many", *scenes)
    embed(store, write_toy(tmp_path / "model", HELD_OUT), load=load_toy)
    p = np.concatenate([row["p"] for row in surprises(store)])
    assert len(p) == 8 * 7 * 9
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_who_brakes_surprises_most(streets, model):
    embed(streets, model, load=load_toy)
    rows = surprises(streets)
    best = max(rows, key=lambda row: max(row["surprise"]))
    assert best["scene"] == "brake/0"
    whole = surprises(streets, "is_scene = true")
    assert max(whole, key=lambda row: max(row["surprise"]))["scene"] == "brake/0"


def test_a_scene_is_as_rare_as_its_rarest_road_user_among_so_many(streets, model):
    toy, scene = load_toy(str(model)), streets.scene("brake/0")
    *rows, whole = surprise_rows(scene, toy.score(scene), toy.calibration).to_pylist()
    p = np.array([row["p"] for row in rows])
    np.testing.assert_allclose(whole["p"], np.minimum(len(p) * p.min(axis=0), 1.0))
    surprise = np.array([row["surprise"] for row in rows])
    expected = np.maximum(surprise.max(axis=0) - np.log10(len(p)), 0.0)
    np.testing.assert_allclose(whole["surprise"], expected)


def test_who_is_never_seen_for_long_enough_has_no_row_and_the_scene_still_has_one(streets, model):
    toy, scene = load_toy(str(model)), streets.scene("brake/0")
    scores = toy.score(scene)
    scores.steps[:] = 5
    (whole,) = surprise_rows(scene, scores, toy.calibration).to_pylist()
    assert (whole["is_scene"], whole["start"], whole["surprise"]) == (True, [], [])


def test_a_second_time_there_is_nothing_to_do(streets, model):
    embed(streets, model, load=load_toy)
    before, runs = streets.versions(), streets.runs().num_rows
    done = []
    report = embed(streets, model, load=load_toy, on_result=done.append)
    assert (report.logs, report.known, report.runs, done) == (0, 5, (), [])
    assert streets.versions() == before
    assert streets.runs().num_rows == runs


def test_a_log_that_was_replaced_is_done_again_and_no_other(streets, model):
    embed(streets, model, load=load_toy)
    put_scenes(streets, "brakes", street("brake/0", speed=5.0, log="brakes"), fingerprint="2")
    done, told = [], []
    report = embed(streets, model, load=load_toy, on_start=told.append, on_result=done.append)
    assert (report.logs, done, told) == (1, ["brakes", "brakes"], [2])
    assert max(max(row["excess"]) for row in surprises(streets, "scene = 'brake/0'")) < 8


@pytest.mark.parametrize(("held_out", "version"), [(HELD_OUT[:6], "1"), (HELD_OUT, "2")])
def test_another_calibration_or_model_does_all_again(streets, model, held_out, version):
    embed(streets, model, load=load_toy)
    write_toy(model, held_out, version=version)
    done = Counter()
    embed(streets, model, load=load_toy, on_result=lambda log: done.update([log]))
    assert done == dict.fromkeys(LOGS, 2)
    assert len(read_vectors(streets, "world")) == 6 * 8


def test_two_workers_write_the_same_and_read_the_model_once_each(streets, model):
    embed(streets, model, load=load_toy, workers=2)
    # Once here for the version, and for each of the two tables once in each process.
    assert 3 <= len((model / "loads.txt").read_text().split()) <= 5

    def written():
        rows = sorted(surprises(streets), key=lambda row: (row["scene"], row["agent"]))
        return read_vectors(streets, "world").values, [row["excess"] for row in rows]

    (vectors, excess), _ = written(), write_toy(model, HELD_OUT, version="2")
    embed(streets, model, load=load_toy)
    np.testing.assert_array_equal(written()[0], vectors)
    assert written()[1] == excess


def test_a_condition_chooses_logs_and_a_dry_run_writes_nothing(streets, model):
    report = embed(streets, model, load=load_toy, where="town = 'There'", dry_run=True)
    assert (report.logs, report.runs) == (3, ())
    assert "surprise" not in streets.versions()
    embed(streets, model, load=load_toy, where="id = 'walk/0'")
    # Both scenes of the log.
    assert set(read_vectors(streets, "world").scene) == {"walk/0", "walk/1"}
    assert embed(streets, model, load=load_toy, where="town = 'Nowhere'").logs == 0


def test_a_log_that_cannot_be_done_is_told_and_the_others_are(streets, tmp_path):
    model = write_toy(tmp_path / "model", HELD_OUT, broken="walk/1")
    with pytest.raises(InputError, match="1 of 5 logs"):
        embed(streets, model, load=load_toy)
    assert len(set(read_vectors(streets, "world").scene)) == 4
    assert len(surprises(streets, "is_scene = true")) == 6
    with pytest.raises(InputError, match="1 of 1 logs"):
        embed(streets, model, load=load_toy)


def test_the_runs_tell_the_model(streets, model):
    report = embed(streets, model, load=load_toy)
    runs = [row for row in streets.runs().to_pylist() if row["id"] in report.runs]
    assert {row["command"] for row in runs} == {"fill-embeddings_world", "fill-surprise"}
    assert {json.loads(row["inputs"])["model"] for row in runs} == {str(model)}


def test_an_empty_store_or_a_calibration_of_another_model_is_told(store, streets, model):
    with pytest.raises(InputError, match="no scenes"):
        embed(store, model, load=load_toy)
    told = json.loads((model / "toy.json").read_text()) | {"version": "2"}
    (model / "toy.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="calibration is that of another model"):
        embed(streets, model, load=load_toy)


@pytest.mark.parametrize("width", [1, 128, 256, 640])
def test_models_of_all_widths_are_stored_alike_and_distances_and_angles_stay(width):
    rng = np.random.default_rng(0)
    vectors, centre = rng.normal(5.0, 1.0, (30, width)), np.full(width, 5.0)
    found = fit_vectors(vectors, centre, where="here")
    assert found.shape == (30, WIDTH)
    few = 1e-5 if width <= WIDTH else 0.2
    apart = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=-1), apart, rtol=few)
    told = vectors - centre
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (told, found.astype(float))]
    np.testing.assert_allclose(unit[1] @ unit[1].T, unit[0] @ unit[0].T, atol=few + 1e-6)
    np.testing.assert_array_equal(fit_vectors(vectors, centre, where="again"), found)


def test_vectors_that_do_not_fit_their_centre_are_refused():
    with pytest.raises(InputError, match="cannot be used"):
        fit_vectors(np.zeros((2, 3)), np.zeros(4), where="here")
    assert (fit_vectors(np.ones((2, 3)), np.zeros(0), where="here")[:, :3] == 1).all()


def test_like_and_rare_work_with_what_the_model_wrote(streets, model):
    with pytest.raises(InputError, match="no embedding 'world'") as caught:
        like("walk/0@4-8", streets, embedding="world")
    assert "kerbstone embed" in caught.value.remedy
    embed(streets, model, load=load_toy)
    assert like("walk/0@4-8", streets, embedding="world", top=1)[0].scene == "walk/1"
    # No other log has walkers.
    assert rare(streets, embedding="world", top=1)[0].scene in ("walk/0", "walk/1")
    with pytest.raises(InputError) as caught:
        like("walk/0", streets, embedding="wrld")
    assert "did you mean 'world'?" in caught.value.remedy


def test_a_trained_model_embeds_and_scores_what_it_was_calibrated_by(streets, tmp_path):
    network = build_model(ModelConfig(width=16, heads=2, layers=1), key=jax.random.key(0))
    write_model(tmp_path / "model.kst", network, config=network.config, objective="masked", told={})
    scenes = [streets.scene("plain/0")]
    calibration = calibrate(
        partial(score_scene, network),
        partial(embed_scene, network),
        scenes,
        model=version_of(tmp_path),
    )
    write_calibration(calibration, tmp_path)
    assert load_model(str(tmp_path)).version == version_of(tmp_path)
    assert embed(streets, tmp_path, where="id = 'plain/0'").logs == 1
    vectors = read_vectors(streets, "world").values
    np.testing.assert_allclose(vectors.mean(axis=0), 0.0, atol=1e-4)
    p = np.concatenate([row["p"] for row in surprises(streets)])
    # They are calibrated by themselves: each share of them has at most that p-value.
    assert (np.sort(p) >= np.arange(1, len(p) + 1) / (len(p) + 1) - 1e-9).all()
