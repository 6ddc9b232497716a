import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from kerbstone.label.affinity import initial_affinity
from kerbstone.label.online import see, track_online
from kerbstone.label.profile import Profile
from kerbstone.scene import Kind
from sightings import detect, drive, shake, tracks_by_owner

AFFINITIES = pytest.mark.parametrize("affinity", [None, initial_affinity()], ids=["hand", "model"])


def is_kept(track, owner):
    """Tell that each owner has one track, and each track one owner."""
    found = tracks_by_owner(track, owner)
    numbers = [tracks[0] for tracks in found.values()]
    return all(len(tracks) == 1 for tracks in found.values()) and len(set(numbers)) == len(numbers)


@AFFINITIES
def test_crossing_tracks_keep_their_identity(affinity):
    one = drive(0, range(40), start=(-20, 0), velocity=(10, 0))
    other = drive(1, range(40), start=(0, -21.5), velocity=(0, 10))
    found, owner = detect(shake(one + other, 1))
    assert is_kept(track_online(found, Profile(), affinity=affinity), owner)


@AFFINITIES
def test_walkers_that_meet_keep_their_identity(affinity):
    one = drive(0, range(60), velocity=(1.4, 0), kind=Kind.PEDESTRIAN)
    other = drive(1, range(60), start=(8.4, 0.5), velocity=(-1.4, 0), kind=Kind.PEDESTRIAN)
    found, owner = detect(shake(one + other, 2, 0.05))
    assert is_kept(track_online(found, Profile(), affinity=affinity), owner)


@AFFINITIES
def test_who_was_hidden_for_a_second_gets_its_identity_back(affinity):
    seen = [*range(20), *range(30, 50)]
    hidden = drive(0, seen, velocity=(10, 0))
    beside = drive(1, range(50), start=(0, 3.5), velocity=(12, 0))
    found, owner = detect(shake(hidden + beside, 3, 0.05))
    assert is_kept(track_online(found, Profile(), affinity=affinity), owner)


def test_who_was_hidden_for_longer_than_a_lifetime_is_somebody_new():
    found, owner = detect(drive(0, [*range(20), *range(45, 60)], velocity=(0.0, 0.0)))
    track = track_online(found, Profile(lifetime=2.0))
    assert tracks_by_owner(track, owner) == {0: [0, 1]}
    assert track_online(found, Profile(lifetime=3.0)).max() == 0


def test_who_was_seen_once_is_forgotten_sooner():
    found, _ = detect(drive(0, [0, 5], velocity=(0.0, 0.0)))
    assert track_online(found, Profile(trial=0.3)).tolist() == [0, 1]
    assert track_online(found, Profile(trial=0.5)).tolist() == [0, 0]


def test_everything_lives_to_the_next_step_however_slow_the_detector_is():
    found, _ = detect(drive(0, range(5), velocity=(5.0, 0.0), dt=1.0), dt=1.0)
    assert track_online(found, Profile(trial=0.3)).tolist() == [0] * 5


def test_a_second_detection_of_the_same_thing_gets_a_track_of_its_own():
    rows = drive(0, range(20), velocity=(10, 0))
    doubles = drive(1, [9], start=(0.1, 0.0), velocity=(10, 0), score=0.3)
    found, owner = detect(rows + doubles)
    track = track_online(found, Profile())
    assert is_kept(track, owner)


@AFFINITIES
def test_headings_that_flip_break_no_track(affinity):
    rows = [
        (step, owner, x, y, turn + np.pi * (step % 3 == 1), *rest)
        for step, owner, x, y, turn, *rest in drive(0, range(40), velocity=(8, 3))
    ]
    found, owner = detect(shake(rows, 4))
    assert is_kept(track_online(found, Profile(), affinity=affinity), owner)


@AFFINITIES
def test_classes_that_are_confused_break_no_track(affinity):
    rows = [
        (*row[:5], Kind.TRUCK if row[0] % 4 == 2 else Kind.CAR, row[6])
        for row in drive(0, range(40))
    ]
    found, owner = detect(shake(rows, 5))
    assert is_kept(track_online(found, Profile(), affinity=affinity), owner)
    assert not is_kept(track_online(found, Profile(confusion=0.0), affinity=affinity), owner)


def test_a_walker_is_never_taken_for_a_car():
    found, owner = detect(
        drive(0, range(0, 20, 2), velocity=(0, 0))
        + drive(1, range(1, 20, 2), velocity=(0, 0), kind=Kind.PEDESTRIAN)
    )
    assert is_kept(track_online(found, Profile()), owner)


def test_a_log_without_detections_has_no_tracks():
    found, _ = detect([], steps=10)
    assert track_online(found, Profile()).shape == (0,)
    assert track_online(found, Profile(), affinity=initial_affinity()).shape == (0,)


def test_steps_without_detections_are_time_that_passes():
    found, owner = detect(drive(0, [0, 1, 2, 3, 12, 13], velocity=(6, 0)), steps=40)
    assert is_kept(track_online(found, Profile()), owner)


def test_tracks_are_numbered_by_their_first_row():
    found, _ = detect(
        [row for lane in range(4) for row in drive(lane, range(lane, 12), start=(0, 6.0 * lane))]
    )
    track = track_online(found, Profile())
    _, first = np.unique(track, return_index=True)
    assert (np.diff(first) > 0).all()
    assert track.max() == 3


@AFFINITIES
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_in_a_step_changes_nothing(affinity, seed):
    draw = np.random.default_rng(seed)
    rows = [
        row
        for owner in range(25)
        for row in drive(
            owner,
            np.flatnonzero(draw.random(25) < 0.8).tolist(),
            start=draw.uniform(0, 20, 2),
            velocity=draw.uniform(-6, 6, 2),
        )
    ]
    rows = shake(rows, seed)
    results = []
    for order in (None, random.Random(seed)):
        found, owner = detect(rows, order=order)
        track = track_online(found, Profile(), affinity=affinity)
        key = np.lexsort((owner, found.step))
        results.append(np.unique(track[key], return_index=True, return_inverse=True)[1:])
    # The same grouping, whatever the numbers are.
    one, other = (first[inverse] for first, inverse in results)
    np.testing.assert_array_equal(one, other)


def test_an_untaught_affinity_tracks_as_the_hand_made_cost_does():
    draw = np.random.default_rng(6)
    rows = [
        row
        for owner in range(20)
        for row in drive(
            owner, range(20), start=draw.uniform(0, 60, 2), velocity=draw.uniform(-9, 9, 2)
        )
    ]
    found, _ = detect(shake(rows, 6))
    sensor = np.zeros((found.clock.steps, 2))
    hand, model = (
        track_online(found, Profile(), sensor=sensor, affinity=affinity)
        for affinity in (None, initial_affinity(alone=100.0))
    )
    np.testing.assert_array_equal(hand, model)


def test_each_step_is_shown_before_it_is_decided():
    shown = []
    found, _ = detect(shake(drive(0, range(6)) + drive(1, range(2, 6), start=(0, 8)), 7))
    track = track_online(found, Profile(), on_step=shown.append)
    assert [now.first_row for now in shown] == [1, 2, 4, 6, 8]
    assert [len(now.number) for now in shown] == [1, 1, 2, 2, 2]
    last = shown[-1]
    assert track[last.first_row + last.pairs.row].tolist() == last.number[last.pairs.track].tolist()


def test_doubt_falls_with_the_score():
    found, _ = detect([(0, 0, 0.0, 0.0, 0.0, Kind.CAR, s) for s in (0.1, 0.5, 0.9)])
    assert (np.diff(see(found, Profile()).look[:, 4]) < 0).all()


def clutter(count, step, extent, seed):
    draw = np.random.default_rng(seed)
    places = draw.uniform(-extent, extent, (count, 2))
    return [(step, -1, x, y, 0.0, Kind.CAR, 0.1) for x, y in places]


@AFFINITIES
def test_ten_thousand_false_positives_in_a_step_break_no_track_and_fit_the_memory(affinity):
    lanes = [
        drive(lane, range(12), start=(-60.0 + 40 * (lane % 4), -100 + 8.0 * (lane // 4)))
        for lane in range(100)
    ]
    rows = shake([row for lane in lanes for row in lane], 8)
    found, owner = detect(rows + clutter(10_000, 6, 150, 9))
    tracemalloc.start()
    track = track_online(found, Profile(), affinity=affinity)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6
    real = owner >= 0
    before, after = (
        track[real & (found.step == step)][np.argsort(owner[real & (found.step == step)])]
        for step in (5, 11)
    )
    # A ghost may be nearer than the truth for once, and then the truth is a track of its own.
    assert (before == after).mean() > 0.95


def test_false_positives_in_one_heap_step_after_step_fit_the_memory():
    rows = [row for step in range(4) for row in clutter(3_000, step, 5, step)]
    found, _ = detect(rows)
    tracemalloc.start()
    track = track_online(found, Profile())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6
    for step in range(4):
        numbers = track[found.step == step]
        assert len(np.unique(numbers)) == len(numbers)


def test_tracking_loads_no_jax():
    code = (
        "import sys, kerbstone.label.online, kerbstone.label.affinity; "
        "sys.exit('jax' in sys.modules or 'optax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
