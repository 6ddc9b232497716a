"""Gaps filled by models that know the truth, that know nothing, and by a real one."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from kerbstone.label import LabelConfig, Labels, Profile, Provenance, held_out, infill
from kerbstone.label.fill_scores import Scores
from kerbstone.label.fillings import Filling
from kerbstone.label.gap_windows import fill_gaps
from kerbstone.label.gaps import BINS, find_gaps
from kerbstone.label.infilled import GapCount, Infilling, add_infillings
from kerbstone.label.labelling import label_tracks
from kerbstone.scene import Kind
from kerbstone.world import Mixture, ModelConfig, Prediction, build_model, predict_all
from kerbstone.world.windows import STEP, STEPS_PER_PATCH
from watched import WALKER, User, drive, make_clock, make_scene, true_boxes, walk, watch

SECONDS = 36
GAP = 3.0


def waver(lane, dt, *, gap=GAP, seconds=SECONDS):
    """Return a car that slows down and speeds up all the time, unseen for a while."""
    steps = round(seconds / dt)
    time = np.arange(steps) * dt
    speed = 8 + 5 * np.sin(2 * np.pi * (time / 4 + lane / 7))
    first = round((8 + lane) / dt)
    hidden = range(first, first + round(gap / dt)) if gap else ()
    return User(drive(speed, dt=dt, start=(0.0, 9.0 * lane, 0.0)), hidden=hidden)


class Oracle:
    """Knows where everybody was; says so with an offset, or with noise at each step."""

    def __init__(self, users, dt, *, offset=(0.0, 0.0), noise=0.0, scale=0.1):
        self.users, self.dt, self.offset, self.noise, self.scale = users, dt, offset, noise, scale
        self.rng = np.random.default_rng(0)
        self.seen = []

    def __call__(self, observed):
        for each in observed:
            self.seen.append(each)
            yield self.say(each)

    def say(self, observed):
        window = observed.window
        time = window.start + STEP * np.arange(window.steps)
        truth = np.stack([self.course(user, time) for user in self.users])
        far = np.hypot(*np.moveaxis(truth[None, ..., :2] - window.position[:, None], -1, 0))
        own = truth[np.nanmean(far, axis=2).argmin(axis=1)]
        shape = (len(window), 2, window.steps)
        place = own[:, None, :, :2] + np.array([[0.0], [20.0]])[:, :, None] + self.offset
        place = place + self.noise * self.rng.normal(size=place.shape)
        asked = np.repeat(observed.hidden, STEPS_PER_PATCH, axis=1) & ~window.valid
        hide = asked[:, None]
        return Prediction(
            asked=asked,
            mixture=Mixture(
                weight=np.tile([0.95, 0.05], (len(window), 1)),
                position=np.where(hide[..., None], place, np.nan),
                scale=np.where(hide[..., None], np.full((*shape, 2), self.scale), np.nan),
                axis=own[..., 2],
            ),
            heading=np.where(hide, own[:, None, :, 2], np.nan) + np.zeros(shape),
            presence=np.where(asked, 1.0, np.nan),
            kind=np.zeros((len(window), len(Kind))),
        )

    def course(self, user, time):
        at = user.steps * self.dt
        return np.column_stack([np.interp(time, at, user.course[:, k]) for k in range(3)])


def exact(users, clock):
    """Return labels without any error, whose gaps a ruler has filled with nonsense."""
    agent, step, box, _ = true_boxes(users)
    hidden = np.concatenate([np.isin(user.steps, user.hidden) for user in users])
    dt = clock.dt
    velocity = np.concatenate([np.gradient(user.course[:, :2], dt, axis=0) for user in users])
    return Labels(
        scene=make_scene(clock),
        ids=tuple(str(number + 1) for number in range(len(users))),
        kind=np.array([user.kind for user in users], np.uint8),
        name=("car",) * len(users),
        size=np.array([user.size for user in users]),
        agent=agent,
        step=step,
        place=box[:, :3] + np.where(hidden, 50.0, 0.0)[:, None],
        heading=box[:, 3] + hidden,
        velocity=velocity,
        std=np.full((len(agent), 4), 0.05),
        confidence=np.ones(len(agent)),
        provenance=np.where(hidden, Provenance.INTERPOLATED, Provenance.DETECTED).astype(np.uint8),
        row=np.where(hidden, -1, np.arange(len(agent))),
    )


def gap_cells(labels, users):
    """Return cells that were hidden, and where they truly were; agents are numbered as users."""
    agent, step, box, _ = true_boxes(users)
    hidden = np.concatenate([np.isin(user.steps, user.hidden) for user in users])
    steps = labels.scene.clock.steps
    wanted = (agent * steps + step)[hidden]
    cells = np.searchsorted(labels.agent * steps + labels.step, wanted)
    assert (labels.agent[cells] * steps + labels.step[cells] == wanted).all()
    return cells, box[hidden]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(held_out, "_ROUNDS", 3)


@pytest.fixture(scope="module")
def road():
    users = [waver(lane, 0.1) for lane in range(12)]
    return labelled(users, 0.1)


def labelled(users, dt):
    """Return users, detections and labels; who is who is given."""
    clock = make_clock(round(SECONDS / dt), dt)
    seen, who = watch(users, clock, noise=0.05)
    labels = label_tracks(seen, make_scene(clock), who, Profile(), LabelConfig(keep=0.0))
    return users, seen, labels, who


@pytest.mark.parametrize("dt", [0.05, 0.1, 0.5])
def test_gaps_are_filled_where_the_model_says_at_the_steps_of_the_log(dt):
    users = [waver(lane, dt) for lane in range(3)]
    labels = exact(users, make_clock(round(SECONDS / dt), dt))
    gaps = find_gaps(labels)
    assert gaps.length.tolist() == pytest.approx([GAP] * 3)
    fillings = fill_gaps(labels, gaps, np.arange(3), Oracle(users, dt, offset=(3.0, -2.0)))
    for user, filling in zip(users, fillings, strict=True):
        assert filling is not None
        true = user.course[user.hidden[0] : user.hidden[-1] + 1]
        # Its offset is taken out at both ends; what is left is how the first step bends.
        off = filling.place[filling.likeliest] - true[:, :2]
        assert np.abs(off).max() < (0.1 if dt < 0.5 else 0.5)
        np.testing.assert_allclose(filling.heading[filling.likeliest], true[:, 2], atol=1e-9)


def test_a_path_meets_the_track_at_both_ends_whatever_the_model_says():
    users = [User(drive(10.0, 0.3, steps=200), hidden=range(100, 130))]
    labels = exact(users, make_clock(200))
    gaps = find_gaps(labels)
    (filling,) = fill_gaps(labels, gaps, np.arange(1), Oracle(users, 0.1, offset=(9.0, 9.0)))
    assert filling is not None
    for path in filling.place:
        ends = 2 * path[[0, -1]] - path[[1, -2]]
        np.testing.assert_allclose(ends, users[0].course[[99, 130], :2], atol=1e-9)
    np.testing.assert_allclose(filling.heading[0], users[0].course[100:130, 2], atol=1e-6)


def test_what_is_in_gaps_is_hidden_from_the_model_and_detections_beside_them_are_not():
    users = [
        User(drive(8.0, steps=200), hidden=range(102, 114)),
        User(drive(8.0, steps=200, start=(0.0, 20.0, 0.0)), hidden=range(90, 150)),
        User(drive(8.0, steps=200, start=(0.0, 40.0, 0.0)), hidden=range(100, 103)),
    ]
    labels = exact(users, make_clock(200))
    gaps = find_gaps(labels)
    assert gaps.agent.tolist() == [0, 1]
    oracle = Oracle(users, 0.1)
    fill_gaps(labels, gaps, np.array([0]), oracle)
    (observed,) = oracle.seen
    step = round(observed.window.start / 0.1) + np.arange(observed.window.steps)
    for row, user in enumerate(users[:2]):
        np.testing.assert_array_equal(
            ~observed.window.valid[row], np.isin(step, user.hidden) | (step >= 200)
        )
    assert observed.window.valid[2, step < 200].all()
    assert not np.isfinite(observed.window.position[~observed.window.valid]).any()
    # The gap lies in the middle, and the patches that it touches are asked for.
    assert abs(observed.window.start + 5.5 - 10.75) <= 0.5
    patches = np.unique((np.flatnonzero(np.isin(step, users[0].hidden))) // STEPS_PER_PATCH)
    np.testing.assert_array_equal(np.flatnonzero(observed.hidden[0]), patches)


@pytest.mark.parametrize(("first", "steps"), [(2, 200), (188, 200), (60, 75)])
def test_gaps_at_the_ends_of_a_log_and_in_a_short_one_are_filled(first, steps):
    users = [User(drive(9.0, steps=steps), hidden=range(first, first + 10))]
    labels = exact(users, make_clock(steps))
    (filling,) = fill_gaps(labels, find_gaps(labels), np.arange(1), Oracle(users, 0.1))
    assert filling is not None
    true = users[0].course[first : first + 10, :2]
    np.testing.assert_allclose(filling.place[0], true, atol=1e-6)


def test_gaps_of_a_long_log_are_each_filled_at_their_own_time():
    hidden = [step for start in (300, 640, 1210, 1750) for step in range(start, start + 20)]
    speed = 8 + 4 * np.sin(np.arange(1800) / 15)
    users = [User(drive(speed), hidden=hidden)]
    labels = exact(users, make_clock(1800))
    gaps = find_gaps(labels)
    assert len(gaps) == 4
    fillings = fill_gaps(labels, gaps, np.array([3, 0, 2]), Oracle(users, 0.1))
    for gap, filling in zip((3, 0, 2), fillings, strict=True):
        assert filling is not None
        true = users[0].course[gaps.first[gap] + 1 : gaps.last[gap], :2]
        assert np.abs(filling.place[0] - true).max() < 0.05


def test_a_model_that_says_nothing_of_a_gap_fills_none():
    users = [waver(0, 0.1)]
    labels = exact(users, make_clock(360))
    oracle = Oracle(users, 0.1, offset=(np.nan, 0.0))
    assert fill_gaps(labels, find_gaps(labels), np.arange(1), oracle) == [None]


def test_a_model_that_knows_the_way_fills_the_gaps(road):
    users, seen, labels, who = road
    filled, told = infill(labels, seen, who, Profile(), Oracle(users, 0.1))
    cells, true = gap_cells(labels, users)
    before = np.hypot(*(labels.place[cells, :2] - true[:, :2]).T)
    after = np.hypot(*(filled.place[cells, :2] - true[:, :2]).T)
    assert np.sqrt((before**2).mean()) > 0.5
    assert np.sqrt((after**2).mean()) < 0.3
    (row,) = told.counts
    assert (row.group, row.longest, row.gaps, row.infilled) == ("wheeled", 4.0, 12, 12)
    assert row.held_out >= 20
    assert row.model > row.smoother + 0.5
    assert (filled.provenance[cells] == Provenance.INFILLED).all()
    assert filled.count()["infilled"] == len(cells)
    others = np.setdiff1d(np.arange(len(labels)), cells)
    for name in ("place", "heading", "velocity", "std", "provenance"):
        np.testing.assert_array_equal(getattr(filled, name)[others], getattr(labels, name)[others])
    np.testing.assert_array_equal(filled.place[:, 2], labels.place[:, 2])
    np.testing.assert_array_equal(filled.std[:, 2:], labels.std[:, 2:])
    # Speeds are those of the new path.
    scene, _ = filled.to_scene()
    step = (scene.agents.centre[:, 2:, :2] - scene.agents.centre[:, :-2, :2]) / 0.2
    off = np.abs(step - scene.agents.velocity[:, 1:-1])
    inside = filled.grid(filled.provenance == Provenance.INFILLED, fill=False)[:, 1:-1]
    assert off[inside].max() < 1e-9


def test_a_model_that_is_worse_fills_nothing(road):
    users, seen, labels, who = road
    filled, told = infill(labels, seen, who, Profile(), Oracle(users, 0.1, noise=4.0))
    (row,) = told.counts
    assert (row.infilled, row.gaps) == (0, 12)
    assert row.held_out >= 20
    assert row.model < row.smoother
    np.testing.assert_array_equal(filled.place, labels.place)
    assert "infilled" not in filled.count()


def test_a_model_that_is_too_sure_of_itself_fills_nothing(road):
    users, seen, labels, who = road
    oracle = Oracle(users, 0.1, noise=0.8, scale=1e-3)
    assert infill(labels, seen, who, Profile(), oracle)[1].infilled == 0


def test_the_same_log_is_filled_in_the_same_way(road):
    users, seen, labels, who = road
    one, told = infill(labels, seen, who, Profile(), Oracle(users, 0.1))
    two, again = infill(labels, seen, who, Profile(), Oracle(users, 0.1))
    assert told == again
    np.testing.assert_array_equal(one.place, two.place)


def test_logs_at_2_hz_are_filled_too():
    users, seen, labels, who = labelled([waver(lane, 0.5) for lane in range(12)], 0.5)
    filled, told = infill(labels, seen, who, Profile(), Oracle(users, 0.5))
    assert told.infilled == told.gaps > 6
    cells, true = gap_cells(labels, users)
    rms = [
        np.sqrt(((each.place[cells] - true[:, :3]) ** 2).sum(1).mean()) for each in (labels, filled)
    ]
    assert rms[1] < 0.6 * rms[0]


def test_with_few_to_judge_by_the_smoother_fills_all():
    users = [waver(0, 0.1, seconds=14)]
    users, seen, labels, who = labelled(users, 0.1)
    filled, told = infill(labels, seen, who, Profile(), Oracle(users, 0.1))
    assert (told.gaps, told.infilled) == (1, 0)
    assert told.counts[0].held_out < 20
    assert filled.place.tobytes() == labels.place.tobytes()


def test_labels_without_gaps_stay_as_they_are_and_no_model_is_asked():
    users = [waver(lane, 0.1, gap=0) for lane in range(2)]
    standing = User(drive(0.0, steps=360, start=(9.0, -9.0, 0.0)), hidden=range(100, 150))
    users, seen, labels, who = labelled([*users, standing], 0.1)

    def refuse(observed):
        raise AssertionError(observed)

    filled, told = infill(labels, seen, who, Profile(), refuse)
    assert filled is labels
    assert told.counts == ()
    nothing, none = seen.select(np.arange(0)), who[:0]
    empty = label_tracks(nothing, labels.scene, none, Profile())
    assert infill(empty, nothing, none, Profile(), refuse)[1].gaps == 0


def test_gaps_of_more_than_eight_seconds_are_left_alone():
    users = [User(drive(9.0, steps=300), hidden=range(100, 190))]
    gaps = find_gaps(exact(users, make_clock(300)))
    assert gaps.bin.tolist() == [len(BINS)]


def test_walkers_and_wheels_are_told_apart_and_bins_are_by_length():
    users = [
        User(drive(9.0, steps=200), hidden=[*range(50, 60), *range(100, 121)]),
        User(
            walk((1.2, 0.3), steps=200, start=(0.0, 30.0)), Kind.PEDESTRIAN, WALKER, 0, range(9, 14)
        ),
    ]
    gaps = find_gaps(exact(users, make_clock(200)))
    assert gaps.group.tolist() == [0, 0, 1]
    assert gaps.bin.tolist() == [0, 2, 0]


def test_an_untrained_model_runs_from_end_to_end(road):
    _, seen, labels, who = road
    model = build_model(ModelConfig(width=8, heads=2, layers=1, modes=2), key=jax.random.key(0))
    filled, told = infill(labels, seen, who, Profile(), partial(predict_all, model))
    (row,) = told.counts
    assert np.isfinite([row.model, row.smoother]).all()
    assert np.isfinite(filled.boxes()).all()
    assert np.isfinite(filled.std).all()
    gaps = find_gaps(labels)
    for filling in fill_gaps(labels, gaps, np.arange(3), partial(predict_all, model)):
        assert filling is not None
        assert np.isfinite(filling.place).all()


def test_the_density_of_a_filling_is_one_over_the_plane():
    filling = Filling(
        weight=np.array([0.7, 0.3]),
        place=np.array([[[0.0, 0.0]], [[3.0, 1.0]]]),
        heading=np.zeros((2, 1)),
        scale=np.array([[[0.5, 0.2]], [[0.3, 0.6]]]),
        axis=np.array([0.7]),
        variance=np.array([0.04]),
    )
    side = np.arange(-10, 13, 0.05)
    place = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    step = np.zeros(len(place), np.int64)
    density = np.exp(filling.log_density(step, place, np.full(len(place), 0.3)))
    assert density.sum() * 0.05**2 == pytest.approx(1.0, abs=0.01)
    exact_place = np.exp(filling.log_density(step, place, np.zeros(len(place))))
    second = ((place - filling.place[0]) ** 2 * exact_place[:, None]).sum(0) * 0.05**2
    # The variance of the ends is added whole to each axis.
    np.testing.assert_allclose(np.sqrt(second), filling.std()[0], rtol=0.02)


def scores(gain, tracks, group=0, bin_=0):
    count = len(gain)
    return Scores(
        group=np.full(count, group),
        bin=np.full(count, bin_),
        track=np.asarray(tracks, np.int64),
        stretch=np.arange(count),
        smoother=np.zeros(count),
        model=np.asarray(gain, np.float64),
        error=np.full(count, 0.5),
        believed=np.full(count, 0.1),
        noise=np.full(count, 0.1),
    )


def test_the_model_is_chosen_only_beyond_the_error_over_tracks():
    tracks = np.repeat(np.arange(5), 10)
    assert scores(np.full(50, 0.1), tracks).choose()[0, 0]
    assert not scores(np.full(50, -0.1), tracks).choose()[0, 0]
    # One track alone speaks for it: the error over tracks is larger than the gain.
    odd = np.where(tracks == 0, 5.0, -0.9)
    assert odd.mean() > 0
    assert not scores(odd, tracks).choose()[0, 0]
    assert not scores(np.full(50, 0.1), np.zeros(50)).choose().any()


def test_a_bin_of_few_goes_by_its_group_and_a_group_of_few_by_the_smoother():
    assert scores(np.full(25, 0.1), np.arange(25) % 5, 1, 2).choose().tolist() == [
        [False] * 4,
        [True] * 4,
    ]
    assert not scores(np.full(19, 0.1), np.arange(19)).choose().any()


def test_the_spread_is_how_far_off_detections_are_beyond_their_noise():
    told = scores(np.zeros(40), np.arange(40), 1)
    assert told.spread().tolist() == [[1.0] * 4, pytest.approx([2.0] * 4)]
    # What is far beyond all expectation counts as five times that.
    error = told.error.copy()
    error[0] = 1e6
    assert replace(told, error=error).spread()[1, 0] < 2.3
    assert replace(told, error=np.zeros(40)).spread()[1, 0] == 0.5


def test_each_length_has_its_own_spread_where_it_has_enough_stretches():
    told = scores(np.zeros(60), np.arange(60))
    bins = np.repeat([0, 2, 3], [25, 25, 10])
    error = np.where(bins == 0, 0.2, 1.0)
    spread = replace(told, bin=bins, error=error).spread()[0]
    assert spread[[0, 2]].tolist() == pytest.approx([1.0, 3.0])
    # Ten stretches tell nothing by themselves, and none even less.
    together = np.sqrt((25 * 0.1 + 35 * 0.9) / 60 / 0.1)
    assert spread[[1, 3]].tolist() == pytest.approx([together, together])


def test_what_is_filled_is_as_uncertain_as_the_model_turned_out_to_be(road):
    users, seen, labels, who = road
    oracle = Oracle(users, 0.1, noise=0.3, scale=0.03)
    filled, told = infill(labels, seen, who, Profile(), oracle)
    assert told.infilled == 12
    cells, true = gap_cells(labels, users)
    off = ((filled.place[cells, :2] - true[:, :2]) ** 2).sum(axis=1).mean()
    said = (filled.std[cells, :2] ** 2).sum(axis=1).mean()
    assert 0.6 < np.sqrt(off / said) < 1.6


def test_counts_of_logs_are_added_and_likelihoods_weighed_by_detections():
    one = Infilling((GapCount("wheeled", 1.0, 3, 2, 20, 100, -1.0, 0.0),))
    two = Infilling(
        (
            GapCount("on foot", 2.0, 1),
            GapCount("wheeled", 1.0, 1, 0, 30, 300, -2.0, -2.0),
        )
    )
    foot, wheeled = add_infillings([one, two, Infilling()]).counts
    assert wheeled == GapCount("wheeled", 1.0, 4, 2, 50, 400, -1.75, -1.5)
    assert foot.to_dict()["model"] is None


def test_filling_gaps_loads_no_jax_before_a_model_is_read():
    code = (
        "import sys, kerbstone.label; assert 'kerbstone.world.windows' not in sys.modules; "
        "kerbstone.label.infill; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
