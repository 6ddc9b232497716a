import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.formats.av2_mining import Role
from kerbstone.lang import Answer, Facts, evaluate
from kerbstone.lang.library import prepare
from kerbstone.mine.search.referrals import refer, refer_nobody, refer_store, widen
from kerbstone.scene import Kind
from kerbstone.store import Store
from queries import moving_scene
from scenes import random_scene

NAN = np.nan
REF, REL, OTHER = Role.REFERRED, Role.RELATED, Role.OTHER


def street(steps=30, **changes):
    """Return ego standing, a car that drives by it and on, a pedestrian beside ego, a far car."""
    step = np.arange(steps)
    points = np.zeros((4, steps, 2))
    points[1] = np.stack([step - 15.0, np.full(steps, 4.0)], axis=-1)
    points[2] = [0.0, -3.0]
    points[3] = [300.0, 0.0]
    kinds = (Kind.CAR, Kind.CAR, Kind.PEDESTRIAN, Kind.CAR)
    return moving_scene(points, kinds=kinds, ego=0, heading=np.zeros((4, steps)), **changes)


def referral_of(text, scene, **options):
    return refer(evaluate(prepare(text), Facts(scene), floor=0.0), scene, "the prompt", **options)


def answer_of(values, *, text="vehicle v, pedestrian p: distance(v, p) < 3 m", rows=((1, 2),)):
    robustness = np.atleast_2d(np.asarray(values, float))
    return Answer(prepare(text), np.array(rows, np.int64), robustness)


def test_the_first_road_user_is_referred_to_and_the_further_ones_are_related():
    scene = street()
    found = referral_of("vehicle v, pedestrian p: distance(v, p) < 6 m", scene)
    near = np.abs(scene.agents.centre[1, :, 0]) < 2
    assert (found.role[0] == REF).all()  # ego stands beside the pedestrian all the time
    assert (found.role[2] == REL).all()
    assert (found.role[1][near] == REF).all()
    assert (found.role[3] == OTHER).all()
    assert (found.scene, found.prompt) == (scene, "the prompt")


def test_the_other_way_round_the_pedestrian_is_referred_to():
    found = referral_of("pedestrian p, vehicle v: distance(v, p) < 2 m", street())
    assert (found.role[2] == REF).all()
    assert (found.role[0] == REL).all()


def test_a_query_about_ego_alone_refers_to_it():
    found = referral_of("speed(ego) < 1 m/s", street())
    assert (found.role[0] == REF).all()
    assert (found.role[1:] == OTHER).all()


def test_ego_is_related_where_the_query_names_it_beside_another():
    found = referral_of("pedestrian p: distance(p, ego) < 5 m", street())
    assert (found.role[2] == REF).all()
    assert (found.role[0] == REL).all()


def test_who_is_both_is_referred_to():
    found = referral_of("car a, car b: distance(a, b) < 5 m", street())
    assert set(found.role[0].tolist()) <= {REF, OTHER}
    assert (found.role[1] == found.role[0]).all()
    assert (found.role[1] == REF).any()


def test_nobody_is_referred_to_where_nothing_holds():
    for text in ("truck v: speed(v) > 1 m/s", "car v: speed(v) > 100 m/s"):
        found = referral_of(text, street())
        assert (found.role == OTHER).all()
        assert (found.score == 0).all()


def test_without_a_recording_car_a_query_about_it_refers_to_nobody():
    scene = moving_scene(np.zeros((2, 5, 2)))
    found = refer(evaluate(prepare("speed(ego) < 1 m/s"), Facts(scene)), scene, "x")
    assert (found.role == OTHER).all()


def test_a_query_must_name_a_road_user():
    with pytest.raises(InputError) as caught:
        referral_of("time() > 1 s", street())
    assert caught.value.code == "query-kind"


def test_the_score_is_r_by_one_plus_r_of_the_strongest_binding():
    values = [[0.5, 3.0, -1.0], [1.0, NAN, -2.0]]
    answer = answer_of(values, rows=((1, 2), (1, 0)))
    found = refer(answer, street(3), "x", least=0.0)
    assert found.score[1].tolist() == pytest.approx([0.5, 0.75, 0.75])
    assert found.role[1].tolist() == [REF, REF, OTHER]


@given(st.lists(st.floats(0, np.inf, exclude_min=True), min_size=2, max_size=20))
def test_scores_rise_with_robustness_and_stay_above_zero_as_small_floats(values):
    values = sorted(values)
    scene = street(len(values))
    score = refer(answer_of(values), scene, "x").score[1].astype(np.float32)
    assert (score > 0).all()
    assert (score <= 1).all()
    assert (np.diff(score) >= 0).all()


def test_what_holds_without_limit_is_sure():
    found = refer(answer_of([np.inf, 1.0]), street(2), "x", least=0.0)
    assert found.score[1].tolist() == [1.0, 0.5]


def test_a_track_keeps_its_best_score_where_it_is_not_referred_to():
    found = refer(answer_of([-1.0, 1.0, 3.0, -1.0]), street(4), "x", least=0.0)
    assert found.score[1].tolist() == pytest.approx([0.75, 0.5, 0.75, 0.75])
    assert found.role[1].tolist() == [OTHER, REF, REF, OTHER]
    assert found.score[2].tolist() == pytest.approx([0.0, 0.5, 0.75, 0.0])
    assert found.score[3].tolist() == [0.0] * 4


def test_a_short_stretch_becomes_as_long_as_the_benchmark_has_it():
    values = np.full(40, -1.0)
    values[20] = 2.0
    found = refer(answer_of(values), street(40), "x")
    held = np.flatnonzero(found.role[1] == REF)
    assert (held[0], held[-1], len(held)) == (13, 27, 15)
    np.testing.assert_allclose(found.score[1], 2 / 3)


def test_a_stretch_is_not_made_longer_where_its_road_user_is_not_there():
    scene = street(40)
    scene.agents.valid[1, :18] = False
    values = np.full(40, -1.0)
    values[20] = 2.0
    found = refer(answer_of(values), scene, "x")
    assert np.flatnonzero(found.role[1] == REF).tolist() == list(range(18, 28))


def test_widening_goes_on_with_the_robustness_of_each_end():
    wide = widen(np.array([[-1.0, NAN, 1.0, 2.0, -3.0, -1.0]]), 4)
    np.testing.assert_array_equal(wide, [[-1.0, 1.0, 1.0, 2.0, 2.0, -1.0]])


def test_widening_leaves_what_is_long_enough_and_stops_at_the_ends_of_time():
    np.testing.assert_array_equal(widen(np.array([[1.0, 1.0, 1.0, -1.0]]), 4), [[1, 1, 1, -1]])
    np.testing.assert_array_equal(widen(np.array([[3.0, -1.0, -1.0]]), 9), [[3.0, 3.0, 3.0]])
    np.testing.assert_array_equal(widen(np.array([[1.0, -1.0]]), 0), [[1.0, -1.0]])
    assert widen(np.zeros((0, 5)), 9).shape == (0, 5)
    assert widen(np.full((2, 0), NAN), 9).shape == (2, 0)


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, NAN]), min_size=1, max_size=25),
    st.integers(0, 12),
)
def test_widening_is_what_one_finds_stretch_by_stretch(values, steps):
    plain = np.array(values)
    expected = np.where(plain > 0, plain, 0.0)
    first = 0
    while first < len(plain):
        if not plain[first] > 0:
            first += 1
            continue
        stop = first
        while stop < len(plain) and plain[stop] > 0:
            stop += 1
        for far in range(1, (steps - (stop - first)) // 2 + 1):
            if first - far >= 0:
                expected[first - far] = max(expected[first - far], plain[first])
            if stop - 1 + far < len(plain):
                expected[stop - 1 + far] = max(expected[stop - 1 + far], plain[stop - 1])
        first = stop
    wide = widen(plain[None], steps)[0]
    np.testing.assert_array_equal(np.where(wide > 0, wide, 0.0), expected)
    np.testing.assert_array_equal(wide[expected == 0], plain[expected == 0])


def test_an_empty_scene_refers_to_nobody():
    scene = random_scene(1, agents=0)
    found = referral_of("vehicle v: speed(v) > 1 m/s", scene)
    assert found.role.shape == (0, scene.clock.steps)
    assert refer_nobody(scene, "x").role.shape == found.role.shape


def test_every_scene_of_a_store_answers_every_prompt(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    scenes = [random_scene(seed, has_ego=seed != 2) for seed in range(4)]
    for scene in scenes:
        store.add([scene], log=scene.source.log, fingerprint="1")
    counted = []
    queries = {"fast": prepare("any a: speed(a) > 1 m/s"), "unclear": None}
    found = dict(refer_store(queries, store, on_start=counted.append, on_result=counted.append))
    assert sorted(found) == sorted(scene.id for scene in scenes)
    assert counted == [4, 1, 1, 1, 1]
    without = found[scenes[2].id]
    assert isinstance(without, InputError)
    assert "no recording car" in str(without)
    for scene in (scenes[0], scenes[1], scenes[3]):
        fast, unclear = found[scene.id]
        assert (fast.prompt, unclear.prompt) == ("fast", "unclear")
        expected = referral_of("any a: speed(a) > 1 m/s", scene)
        np.testing.assert_array_equal(fast.role, expected.role)
        assert (unclear.role == OTHER).all()


def test_a_query_that_is_wrong_in_itself_is_no_failure_of_a_scene(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    store.add([random_scene(1)], log="log", fingerprint="1")
    with pytest.raises(InputError) as caught:
        list(refer_store({"x": prepare("time() > 1 s")}, store))
    assert caught.value.code == "query-kind"
