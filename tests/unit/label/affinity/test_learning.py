import jax
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.affinity import (
    Affinity,
    LabelledDetections,
    LearningConfig,
    initial_affinity,
    learn_affinity,
    learning,
)
from kerbstone.label.affinity.examples import collect_examples
from kerbstone.label.online import track_online
from kerbstone.label.profile import Profile
from kerbstone.scene import Kind
from sightings import detect, drive, shake, tracks_by_owner

CONFIG = LearningConfig(hidden=4, rounds=2, epochs=3, batch=16, rate=0.02)


def crowd(seed, *, walkers=5, steps=30):
    """Return walkers that mill about closely, a car among them, and ghosts."""
    draw = np.random.default_rng(seed)
    rows = []
    for owner in range(walkers):
        seen = np.flatnonzero(draw.random(steps) < 0.8).tolist()
        start, velocity = draw.uniform(0, 4, 2), draw.normal(0, 1.2, 2)
        rows += drive(owner, seen, start, velocity=velocity, kind=Kind.PEDESTRIAN, dt=0.5)
    rows += drive(walkers, range(steps), (-10, 2), velocity=(2, 0), dt=0.5)
    for step in np.flatnonzero(draw.random(steps) < 0.7).tolist():
        x, y = draw.uniform(0, 4, 2)
        rows.append((step, -1, x, y, 0.0, Kind.PEDESTRIAN, 0.2))
    return LabelledDetections(*detect(shake(rows, seed, 0.15), dt=0.5), f"town {seed}")


@pytest.fixture(scope="module")
def logs():
    return [crowd(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def learned(logs):
    progress = []
    affinity = learn_affinity(logs, Profile(), CONFIG, on_progress=progress.append)
    return affinity, progress


def examples_of(logs, affinity=None):
    return [example for log in logs for example in collect_examples(log, Profile(), affinity)]


def test_what_was_learned_says_what_is_right_in_a_town_it_never_saw(learned):
    held = examples_of([crowd(77), crowd(78)])
    before = learning.score_examples(initial_affinity(hidden=4), held)
    assert learning.score_examples(learned[0], held) < 0.9 * before


def test_progress_is_told_after_each_epoch_of_each_round(learned):
    assert [(now.round, now.epoch) for now in learned[1]] == [
        (r, e) for r in (1, 2) for e in (1, 2, 3)
    ]
    assert learned[1][2].loss < learned[1][0].loss
    assert learned[1][3].examples > learned[1][2].examples


def test_the_same_seed_learns_the_same(logs, learned):
    again = learn_affinity(logs, Profile(), CONFIG)
    for name, value in learned[0].arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], value)


def test_a_learned_affinity_tracks_and_survives_its_file(logs, learned, tmp_path):
    from kerbstone.label.affinity import read_affinity

    learned[0].write(tmp_path / "affinity.json")
    found = logs[0].detections
    one, other = (
        track_online(found, Profile(), affinity=affinity)
        for affinity in (learned[0], read_affinity(tmp_path / "affinity.json"))
    )
    np.testing.assert_array_equal(one, other)
    car = tracks_by_owner(one, logs[0].agent)[5]
    assert len(car) == 1


def test_the_loss_is_that_of_plain_numbers():
    # One track, one detection: the mass on the pair is that of two choices each.
    examples = examples_of([crowd(5, walkers=0, steps=6)])
    lone = [each for each in examples if len(each.told) == 1 and each.right.all()]
    affinity = initial_affinity(hidden=4, alone=1.0)
    loss = learning.score_examples(affinity, lone)
    masses = []
    for each in lone:
        gain = 2.0 - affinity.cost(each.told)[0]
        # p² = (1 - p)² exp(-gain), as both dustbins take what the pair leaves.
        odds = np.exp(gain)
        mass = 1 + (1 - np.sqrt(1 + 4 * odds)) / (2 * odds)
        masses.append(mass)
    assert loss == pytest.approx(-np.log(masses).mean(), rel=1e-4)


def test_gradient_of_the_loss_is_that_of_finite_differences():
    examples = examples_of([crowd(3)])[:12]
    draw = np.random.default_rng(0)
    with jax.enable_x64(True):
        batch = next(iter(learning._make_batches(examples, 16, None)))
        weights = {
            name: jax.numpy.asarray(value + draw.normal(0, 0.1, value.shape))
            for name, value in initial_affinity(hidden=3).arrays().items()
        }
        loss = jax.jit(learning.mean_loss)
        gradient = jax.grad(loss)(weights, batch)
        ours, apart = [], []
        for name, value in weights.items():
            for cell in np.ndindex(value.shape):
                step = np.zeros(value.shape)
                step[cell] = 1e-6
                ends = [loss(weights | {name: value + sign * step}, batch) for sign in (1, -1)]
                apart.append(float(ends[0] - ends[1]) / 2e-6)
                ours.append(float(gradient[name][cell]))
    ours, apart = np.array(ours), np.array(apart)
    assert ours @ apart / np.linalg.norm(ours) / np.linalg.norm(apart) >= 0.9999


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_size_of_batches_does_not_change_a_score(batch):
    examples = examples_of([crowd(4, steps=8)])
    affinity = initial_affinity(hidden=4)
    expected = learning.score_examples(affinity, examples, batch=16)
    assert learning.score_examples(affinity, examples, batch=batch) == pytest.approx(
        expected, rel=1e-5
    )


def test_batches_have_few_shapes(logs):
    shapes = {b["told"].shape for b in learning._make_batches(examples_of(logs), 16, None)}
    assert len(shapes) <= 6
    assert all(side & (side - 1) == 0 for _, side, _ in shapes)


def test_no_score_of_no_examples():
    assert np.isnan(learning.score_examples(initial_affinity(), []))


def test_logs_without_a_choice_teach_nothing():
    rows = [(step, step, 500.0 * step, 0.0, 0.0, Kind.CAR) for step in range(5)]
    with pytest.raises(InputError) as caught:
        learn_affinity([LabelledDetections(*detect(rows))], Profile(), CONFIG)
    assert caught.value.code == "empty"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rounds": 0},
        {"epochs": 0},
        {"batch": 0},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"decay": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError) as caught:
        LearningConfig(**wrong)
    assert caught.value.code == "config"


def test_weights_stay_finite(learned):
    assert isinstance(learned[0], Affinity)
    assert all(np.isfinite(value).all() for value in learned[0].arrays().values())
