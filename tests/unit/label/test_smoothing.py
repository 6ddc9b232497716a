import itertools

import numpy as np
import pytest
from scipy.optimize import least_squares

from kerbstone.label.chains import Chains
from kerbstone.label.motion import predict_state, process_noise
from kerbstone.label.smoothing import Measurements, smooth
from watched import drive, walk

NOISE = np.array([0.3, 0.3, 0.06])
SLACK = np.array([0.01, 0.01, 0.002, 0.05, 0.01]) ** 2


def chain(*lengths):
    return Chains(np.zeros(len(lengths), np.int64), np.array(lengths, np.int64))


def measure(course, seed=0, *, cells=None, noise=NOISE):
    cells = np.arange(len(course)) if cells is None else np.asarray(cells)
    value = course[cells] + np.random.default_rng(seed).normal(size=(len(cells), 3)) * noise
    # Where there is no noise, the weights of it still must be.
    variance = np.broadcast_to(np.where(np.array(noise) > 0, noise, NOISE) ** 2, value.shape)
    return Measurements(cells, value, variance.copy())


def run(chains, measured, *, wheeled=True, dt=0.1, acceleration=1.0, turning=0.5, **more):
    count = len(chains.length)
    return smooth(
        chains,
        measured,
        wheeled=np.full(count, wheeled),
        acceleration=np.full(count, acceleration),
        turning=np.full(count, turning),
        speed=np.full(count, 10.0),
        dt=dt,
        **more,
    )


def rmse(found, true):
    return float(np.sqrt(((found[:, :2] - true[:, :2]) ** 2).sum(axis=1).mean()))


@pytest.mark.parametrize("dt", [0.05, 0.1, 0.5])
def test_exact_measurements_of_a_steady_turn_give_the_exact_course(dt):
    true = drive(10.0, 0.3, steps=60, dt=dt)
    course = run(chain(60), measure(true, noise=np.zeros(3)), dt=dt)
    np.testing.assert_allclose(course.state[:, :3], true, atol=0.02)
    np.testing.assert_allclose(course.state[5:-5, 3], 10.0, atol=0.05)
    np.testing.assert_allclose(course.state[5:-5, 4], 0.3, atol=0.01)


def test_exact_measurements_of_a_walker_give_the_exact_course():
    true = walk((1.0, -0.6), steps=50)
    course = run(chain(50), measure(true, noise=np.zeros(3)), wheeled=False)
    np.testing.assert_allclose(course.state[:, :3], true, atol=0.01)
    np.testing.assert_allclose(course.state[:, 3:], np.tile([1.0, -0.6], (50, 1)), atol=0.02)


@pytest.mark.parametrize("turn", [0.0, 0.25])
def test_smoothing_halves_the_error_of_what_was_measured(turn):
    true = drive(8.0, turn, steps=100)
    raw, found = [], []
    for seed in range(5):
        measured = measure(true, seed)
        raw.append(rmse(measured.value, true))
        found.append(rmse(run(chain(100), measured).state, true))
    assert np.mean(found) < 0.5 * np.mean(raw)


def test_a_course_is_the_optimum_that_a_general_solver_finds(monkeypatch):
    monkeypatch.setattr("kerbstone.label.smoothing._SETTLED", np.full(5, 1e-9))
    steps, dt = 8, 0.1
    true = drive(6.0, 0.4, steps=steps, dt=dt)
    measured = measure(true, 3)
    found = run(chain(steps), measured, rounds=40)
    wheeled = np.array([True])
    # The weights of the last round, taken as given, make it a plain sum of squares.
    weight = np.array([6.0, 5.0]) / (4.0 + found.misfit)
    noise = process_noise(
        found.state[:-1], np.full(steps - 1, True), np.ones(7), np.full(7, 0.5), dt
    )
    root = np.linalg.cholesky(np.linalg.inv(noise + np.diag(SLACK)))

    def residuals(flat):
        state = flat.reshape(steps, 5)
        after, _ = predict_state(state[:-1], np.repeat(wheeled, steps - 1), dt)
        driving = np.einsum("kji,kj->ki", root, state[1:] - after).ravel()
        off = (measured.value - state[:, :3]) / NOISE * np.sqrt(np.repeat(weight, [2, 1], axis=1))
        prior = [state[0, 3] / 10.0, state[0, 4] / 0.5]
        return np.concatenate([driving, off.ravel(), prior])

    best = least_squares(residuals, found.state.ravel(), xtol=1e-14, ftol=1e-14, gtol=1e-12)
    np.testing.assert_allclose(found.state.ravel(), best.x, atol=2e-4)


def test_an_outlier_is_ignored():
    true = drive(8.0, 0.1, steps=60)
    clean = measure(true, 1)
    dirty = measure(true, 1)
    dirty.value[30] += [6.0, -5.0, 1.5]
    found = run(chain(60), dirty)
    assert np.abs(found.state[:, :2] - run(chain(60), clean).state[:, :2]).max() < 0.15
    assert found.misfit[30].min() > 50
    assert np.median(found.misfit) < 2


def test_a_gap_is_bridged_along_the_curve_and_is_less_sure():
    true = drive(8.0, 0.4, steps=80)
    cells = np.r_[:30, 50:80]
    found = run(chain(80), measure(true, 2, cells=cells))
    assert np.abs(found.state[30:50, :2] - true[30:50, :2]).max() < 0.8
    spread = np.sqrt(found.covariance[:, 0, 0])
    assert spread[40] > 2 * spread[15]
    # A straight line between the ends would be off by a metre and a half.
    line = np.linspace(true[29, :2], true[50, :2], 22)[1:-1]
    assert np.abs(line - true[30:50, :2]).max() > 1.2


def test_beyond_the_ends_motion_goes_on_and_doubt_grows():
    true = drive(10.0, steps=60)
    found = run(chain(60), measure(true, 4, cells=np.arange(15, 45)))
    assert np.abs(found.state[:, :2] - true[:, :2]).max() < 2.5
    spread = np.sqrt(found.covariance[:, 0, 0])
    assert (np.diff(spread[45:]) > 0).all()
    assert (np.diff(spread[:15]) < 0).all()


def test_covariances_are_honest_for_motion_that_the_model_describes():
    draw = np.random.default_rng(7)
    steps, tracks, dt = 40, 150, 0.1
    walkers = np.full(tracks, False)
    state = np.zeros((tracks, steps, 5))
    state[:, 0, 3:] = draw.normal(0, 10.0, (tracks, 2))
    for k in range(steps - 1):
        after, _ = predict_state(state[:, k], walkers, dt)
        noise = process_noise(state[:, k], walkers, np.ones(tracks), np.full(tracks, 0.5), dt)
        root = np.linalg.cholesky(noise + np.diag(SLACK))
        state[:, k + 1] = after + (root @ draw.normal(size=(tracks, 5, 1)))[..., 0]
    chains = chain(*[steps] * tracks)
    true = state.reshape(-1, 5)
    # Every other step is measured; errors have the tails that smoothing expects.
    cells = np.arange(0, tracks * steps, 2)
    value = true[cells, :3] + draw.standard_t(4, (len(cells), 3)) * NOISE
    variance = np.broadcast_to(NOISE**2, value.shape).copy()
    found = run(chains, Measurements(cells, value, variance), wheeled=False)
    off = found.state - true
    square = np.einsum("ni,nij,nj->n", off, np.linalg.inv(found.covariance), off)
    # Of five values the mean is 5 where covariances are exact; tails are heavier than normal ones.
    assert 4.5 < square.mean() < 5.9
    whitened = off[:, 0] / np.sqrt(found.covariance[:, 0, 0])
    assert 0.62 < (np.abs(whitened) < 1).mean() < 0.75


def courses():
    steps = 100
    half = np.arange(steps) < 50
    near = np.abs(np.arange(steps) - 50)
    return {
        "sharp turn": drive(5.0, np.where(near < 5, np.pi / 2, 0.0), steps=steps),
        "u-turn": drive(3.0, np.where(near < 15, np.pi / 3, 0.0), steps=steps),
        "stop": drive(np.where(half, 12.0, 0.0)),
        "reversing": drive(-3.0, 0.3, steps=steps),
        "three-point turn": drive(np.where(half, -3.0, 5.0), np.where(half, 0.4, 0.0)),
        "fast bend": drive(20.0, 0.5, steps=steps),
    }


@pytest.mark.parametrize("name", courses())
@pytest.mark.parametrize("kept", [slice(None), np.r_[:30, 60:100]], ids=["whole", "gap"])
def test_hard_courses_stay_near_the_truth(name, kept):
    true = courses()[name]
    cells = np.arange(100)[kept]
    measured = measure(true, 5, cells=cells)
    found = run(chain(100), measured, acceleration=2.5, turning=1.0)
    off = np.hypot(*(found.state[cells, :2] - true[cells, :2]).T)
    # A stop from 12 m/s in no time is no driving that the model knows.
    assert np.sqrt((off**2).mean()) < (0.6 if name == "stop" else 0.25)
    assert np.isfinite(found.state).all()
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def cost(found, dt=0.1, acceleration=2.5, turning=1.0):
    """Return minus the log of how likely a car's course is, up to a constant."""
    cars = np.full(len(found.state) - 1, True)
    after, _ = predict_state(found.state[:-1], cars, dt)
    pull, turn = np.full(len(cars), acceleration), np.full(len(cars), turning)
    noise = process_noise(found.state[:-1], cars, pull, turn, dt) + np.diag(SLACK)
    off = found.state[1:] - after
    driving = np.einsum("ki,kij,kj->", off, np.linalg.inv(noise), off) / 2
    fit = 3.0 * np.log1p(found.misfit[:, 0] / 4) + 2.5 * np.log1p(found.misfit[:, 1] / 4)
    return driving + fit.sum()


@pytest.mark.parametrize("wrong", [np.pi / 2, np.pi])
@pytest.mark.parametrize("gap", [False, True])
def test_headings_that_contradict_the_way_do_not_make_it_diverge(wrong, gap):
    true = drive(20.0, 0.5, steps=100)
    cells = np.r_[:30, 70:100] if gap else np.arange(100)
    measured = measure(true, 6, cells=cells)
    measured.value[cells >= 50, 2] += wrong
    courses = [
        run(chain(100), measured, acceleration=2.5, turning=1.0, rounds=rounds)
        for rounds in (1, 2, 3, 4, 6, 10, 20, 40)
    ]
    costs = [cost(course) for course in courses]
    assert max(later / before for before, later in itertools.pairwise(costs)) < 1.05
    assert costs[-1] < 3000
    assert np.abs(courses[-1].state[:, :2] - true[:, :2]).max() < 60


def test_a_third_of_headings_across_the_road_does_no_harm():
    true = drive(10.0, 0.2, steps=100)
    measured = measure(true, 8)
    measured.value[::3, 2] += np.pi / 2
    found = run(chain(100), measured)
    assert rmse(found.state, true) < 0.2
    assert np.abs(found.state[:, 2] - true[:, 2]).max() < 0.1


def test_tracks_that_are_found_are_set_aside_and_change_nothing(monkeypatch):
    courses = [drive(0.0, steps=30), drive(0.0, steps=20), drive(12.0, 0.5, steps=60)]
    apart = [measure(course, seed) for seed, course in enumerate(courses)]
    starts = np.cumsum([0, 30, 20])
    together = Measurements(
        np.concatenate([start + each.cell for start, each in zip(starts, apart, strict=True)]),
        np.concatenate([each.value for each in apart]),
        np.concatenate([each.variance for each in apart]),
    )
    found = run(chain(30, 20, 60), together, rounds=12)
    monkeypatch.setattr("kerbstone.label.smoothing._SETTLED", np.full(5, 1e-9))
    exact = run(chain(30, 20, 60), together, rounds=12)
    np.testing.assert_allclose(found.state[:, :2], exact.state[:, :2], atol=0.02)
    np.testing.assert_allclose(found.covariance, exact.covariance, rtol=0.2, atol=1e-3)


def test_tracks_do_not_see_one_another():
    one, other = drive(8.0, 0.1, steps=40), walk((0.0, 1.5), steps=25, start=(5.0, 5.0))
    apart = [measure(one, 9), measure(other, 10)]
    together = Measurements(
        np.concatenate([apart[0].cell, 40 + apart[1].cell]),
        np.concatenate([each.value for each in apart]),
        np.concatenate([each.variance for each in apart]),
    )
    both = run(chain(40, 25), together)
    alone = [run(chain(len(c)), m) for c, m in zip((one, other), apart, strict=True)]
    np.testing.assert_allclose(both.state, np.vstack([each.state for each in alone]), atol=0.01)


def test_a_single_measurement_is_kept_as_it_is():
    measured = Measurements(np.array([0]), np.array([[3.0, 4.0, 0.5]]), np.full((1, 3), 0.01))
    found = run(chain(1), measured)
    np.testing.assert_allclose(found.state[0], [3.0, 4.0, 0.5, 0.0, 0.0], atol=1e-9)
    assert found.covariance[0, 3, 3] == pytest.approx(100.0)


def test_no_tracks_are_no_trouble():
    nothing = Measurements(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 3)))
    found = run(chain(), nothing)
    assert (found.state.shape, found.covariance.shape) == ((0, 5), (0, 5, 5))
