import numpy as np
import pytest

from kerbstone.label.association import associate
from kerbstone.label.linking import LinkPrices
from kerbstone.label.profile import Profile
from kerbstone.scene import Kind, detections_from_rows
from watched import WALKER, User, drive, make_clock, purity, walk, watch

CLOCK = make_clock(150)
PRICES = LinkPrices(longest=6.0, longest_standing=20.0, unseen=0.5, apart=2.0, density=0.003)


def crossing():
    """Return a junction: cars that cross and meet, one hidden, one parked, and two walkers."""
    return [
        User(drive(9.0, steps=150, start=(-60.0, 0.0, 0.0))),
        User(drive(9.0, steps=150, start=(0.0, -66.0, np.pi / 2)), hidden=range(60, 82)),
        User(drive(8.0, steps=150, start=(60.0, 3.5, np.pi))),
        User(drive(0.0, steps=150, start=(20.0, -6.0, 0.1)), hidden=range(40, 95)),
        User(drive(6.0, np.where(np.arange(150) < 60, 0.0, 0.25), start=(-30.0, -20.0, 0.5))),
        User(walk((1.2, 0.0), steps=150, start=(-8.0, 7.0)), Kind.PEDESTRIAN, WALKER),
        User(walk((-1.1, 0.1), steps=150, start=(10.0, 7.6)), Kind.PEDESTRIAN, WALKER),
    ]


def rows_of(detections):
    return {name: getattr(detections, name) for name in ("step", "box", "kind", "score")}


def found(detections, **more):
    return associate(detections, Profile(), prices=PRICES, **more)


@pytest.mark.parametrize("seed", range(3))
def test_everybody_at_a_junction_is_one_track(seed):
    detections, who = watch(crossing(), CLOCK, seed=seed, recall=0.9)
    result = found(detections)
    assert purity(result.track, who) == (0, 0)
    assert len(np.unique(result.track)) == 7
    # The online pass alone loses those who were hidden for longer than tracks live.
    assert purity(result.online, who)[1] >= 1


@pytest.mark.parametrize("dt", [0.05, 0.5])
def test_other_rates_serve_as_well(dt):
    clock = make_clock(round(15 / dt), dt)
    users = [
        User(drive(9.0, steps=clock.steps, dt=dt, start=(-60.0, 0.0, 0.0))),
        User(drive(8.0, steps=clock.steps, dt=dt, start=(60.0, 3.5, np.pi))),
        User(drive(0.0, steps=clock.steps, dt=dt, start=(20.0, -6.0, 0.1))),
    ]
    detections, who = watch(users, clock, recall=0.95)
    result = found(detections)
    assert purity(result.track, who) == (0, 0)


def test_ghosts_do_not_mix_with_what_is_there():
    detections, who = watch(crossing(), CLOCK, ghosts=2.0)
    result = found(detections)
    real = who >= 0
    # A ghost may fall on a track and be taken for it, but none of these is lost or torn.
    assert purity(result.track, who) == (0, 0)
    assert (result.track[real] >= 0).mean() > 0.99
    longest = np.bincount(result.track[~real & (result.track >= 0)]).max()
    assert longest < 40


def test_doubles_become_one_and_the_surer_detection_counts():
    detections, _ = watch(crossing(), CLOCK)
    rows = rows_of(detections)
    second = {name: value.copy() for name, value in rows.items()}
    second["box"][:, :2] += 0.25
    second["score"] *= 0.6
    both = {name: np.concatenate([rows[name], second[name]]) for name in rows}
    doubled, _, kept = detections_from_rows(clock=CLOCK, **both)
    result = found(doubled)
    assert len(np.unique(result.track[result.track >= 0])) == 7
    cell = result.track * 150 + doubled.step
    taken = result.track >= 0
    assert len(np.unique(cell[taken])) == taken.sum()
    assert (kept[taken] < len(detections)).mean() > 0.95


def test_the_order_of_rows_in_a_file_changes_nothing():
    detections, _ = watch(crossing(), CLOCK, ghosts=2.0)
    order = np.random.default_rng(0).permutation(len(detections))
    rows = {name: value[order] for name, value in rows_of(detections).items()}
    shuffled, _, _ = detections_from_rows(clock=CLOCK, **rows)
    np.testing.assert_array_equal(found(shuffled).track, found(detections).track)


def test_a_detection_of_something_else_is_let_go():
    course = drive(8.0, steps=60)
    detections, _ = watch([User(course)], CLOCK, noise=0.02)
    rows = {name: value.copy() for name, value in rows_of(detections).items()}
    rows["box"][30, 1] += 2.2  # within reach of the online pass, but no part of it touches the car
    seen, _, _ = detections_from_rows(clock=CLOCK, **rows)
    track = found(seen).track
    assert track[30] not in np.delete(track, 30)
    assert len(np.unique(np.delete(track, 30))) == 1


def test_dropped_frames_are_gaps_like_any_other():
    users = crossing()
    for frame in (range(50, 60), range(100, 104)):
        users = [User(u.course, u.kind, u.size, u.first, [*u.hidden, *frame]) for u in users]
    detections, who = watch(users, CLOCK)
    assert purity(found(detections).track, who) == (0, 0)


def test_tracks_are_numbered_without_holes():
    detections, _ = watch(crossing(), CLOCK, ghosts=3.0)
    track = found(detections).track
    numbers = np.unique(track[track >= 0])
    np.testing.assert_array_equal(numbers, np.arange(len(numbers)))


@pytest.mark.parametrize("count", [0, 1])
def test_a_log_of_hardly_anything_is_no_trouble(count):
    detections, _ = watch([User(drive(0.0, steps=1))], CLOCK)
    result = found(detections.select(np.arange(count)))
    assert result.track.tolist() == [0] * count


def test_a_log_of_one_step_is_no_trouble():
    clock = make_clock(1)
    users = [User(drive(0.0, steps=1, start=(9.0 * k, 0.0, 0.0))) for k in range(5)]
    detections, who = watch(users, clock)
    assert purity(found(detections).track, who) == (0, 0)
    assert found(detections).track.max() == 4


def test_ten_thousand_false_positives_in_a_frame_do_no_harm():
    detections, who = watch(crossing(), CLOCK)
    draw = np.random.default_rng(1)
    count = 10_000
    rows = rows_of(detections)
    ghosts = {
        "step": np.full(count, 70),
        "box": np.column_stack(
            [
                draw.uniform(-80, 80, (count, 2)),
                np.full(count, 0.8),
                draw.uniform(-3, 3, count),
                np.tile((4.4, 1.8, 1.5), (count, 1)),
            ]
        ),
        "kind": np.full(count, Kind.CAR, np.uint8),
        "score": draw.uniform(0.01, 0.3, count),
    }
    seen, _, kept = detections_from_rows(
        clock=CLOCK, **{name: np.concatenate([rows[name], ghosts[name]]) for name in rows}
    )
    whose = np.concatenate([who, np.full(count, -1)])[kept]
    mixed, split = purity(found(seen).track, whose)
    # Who is hidden in that very frame may be taken for a ghost, and found again as another.
    assert (mixed, split <= 1) == (0, True)
