import numpy as np
import pytest
from scipy.linalg import expm

from kerbstone.errors import InputError
from kerbstone.scene import Kind
from kerbstone.world.baselines import Example, Tracks
from kerbstone.world.baselines.gaps import cubic, find_ends, linear, slope_beside
from kerbstone.world.baselines.smoothing import PRIOR, Smoother, fit_smoother, make_model, smooth
from kerbstone.world.windows import STEP

STEPS = 40
TIME = STEP * np.arange(STEPS)
GAP = np.arange(15, 27)


def see(place, hidden=GAP, kind=Kind.CAR):
    place = np.atleast_2d(place)
    valid = np.ones(place.shape, bool)
    valid[:, hidden] = False
    position = np.stack([place.real, place.imag], axis=-1)
    return Tracks(
        kind=np.full(len(place), kind, np.uint8),
        position=np.where(valid[..., None], position, np.nan),
        heading=np.full(place.shape, np.nan),
        valid=valid,
        asked=~valid,
    )


def told(rule, place, hidden=GAP):
    position = rule(see(place, hidden)).position[0, 0, hidden]
    return position[:, 0] + 1j * position[:, 1]


SMOOTHER = Smoother(np.full(4, 3), np.full(4, 1e4))


@pytest.mark.parametrize("rule", [linear, cubic, SMOOTHER])
def test_an_even_drive_is_filled_exactly(rule):
    place = (3 - 2j) * TIME + 50j
    atol = 1e-2 if rule is SMOOTHER else 1e-9
    np.testing.assert_allclose(told(rule, place), place[GAP], atol=atol)


def test_cubic_is_exact_for_constant_acceleration_and_linear_is_not():
    place = (3 - 2j) * TIME + (1 + 0.5j) * TIME**2
    np.testing.assert_allclose(told(cubic, place), place[GAP], atol=1e-9)
    assert np.abs(told(linear, place) - place[GAP]).max() > 0.3


def test_cubic_nearly_follows_a_drive_of_constant_jerk():
    # Only the velocities at the ends are not quite known.
    place = 4 * TIME + (0.3 - 0.2j) * TIME**3
    off = np.abs(told(cubic, place) - place[GAP]).max()
    assert off < 0.05 * np.abs(told(linear, place) - place[GAP]).max()


@pytest.mark.parametrize("side", [-1, 1])
def test_slopes_see_only_one_side(side):
    place = np.where(np.arange(STEPS) <= 20, 2 * TIME, 4 + 7j * (TIME - 2.0)) + 0j
    tracks = see(place, hidden=[])
    for is_straight in (False, True):
        slope = slope_beside(tracks, side, is_straight=is_straight)[0, 20]
        assert slope == pytest.approx(2 if side < 0 else 7j)


def test_slopes_without_neighbours_are_undefined_and_with_one_they_are_the_chord():
    place = np.zeros(STEPS, complex)
    place[10], place[12] = 1, 2
    hidden = np.setdiff1d(np.arange(STEPS), [10, 12])
    slope = slope_beside(see(place, hidden), -1)[0]
    assert np.isnan(slope[10])
    assert slope[12] == pytest.approx(5)


def test_beside_a_single_visible_cell_cubic_is_linear():
    place = (3 - 2j) * TIME + TIME**2
    hidden = np.setdiff1d(np.arange(STEPS), [5, 30])
    inner = np.arange(6, 30)
    assert np.allclose(told(cubic, place, hidden)[5:29], told(linear, place, hidden)[5:29])
    even = place[5] + (place[30] - place[5]) * (inner - 5) / 25
    np.testing.assert_allclose(told(linear, place, hidden)[5:29], even)


@pytest.mark.parametrize("rule", [linear, cubic, SMOOTHER])
@pytest.mark.parametrize("hidden", [np.arange(8), np.arange(30, STEPS)])
def test_where_only_one_side_is_visible_all_go_straight_on(rule, hidden):
    place = (3 - 2j) * TIME + 50j
    np.testing.assert_allclose(told(rule, place, hidden), place[hidden], atol=1e-9)


def test_ends_are_the_nearest_visible_cells():
    rng = np.random.default_rng(0)
    valid = rng.random((20, STEPS)) < 0.3
    valid[0] = False
    ends = find_ends(valid)
    for row in range(1, 20):
        seen = np.flatnonzero(valid[row])
        for step in range(STEPS):
            before, after = seen[seen <= step], seen[seen >= step]
            assert ends.is_between[row, step] == (len(before) > 0 and len(after) > 0)
            assert ends.before[row, step] == (before[-1] if len(before) else after[0])
            assert ends.after[row, step] == (after[0] if len(after) else before[-1])
            assert ends.lag[row, step] == np.abs(seen - step).min()
    assert not ends.is_between[0].any()
    assert not ends.lag[0].any()


def test_errors_go_by_the_time_to_the_nearest_visible_step():
    paths = linear(see(3 * TIME + 0j))
    np.testing.assert_array_equal(
        paths.lag[0, GAP], np.minimum(GAP - GAP[0] + 1, GAP[-1] + 1 - GAP)
    )


def dense(place, valid, order, ratio):
    """The same by conditioning one large Gaussian on all that is visible."""
    advance, noise = make_model(order, ratio)
    size = STEPS * order
    lift = np.zeros((size, size))
    for step in range(STEPS):
        for origin in range(step + 1):
            block = np.linalg.matrix_power(advance, step - origin)
            lift[step * order : (step + 1) * order, origin * order : (origin + 1) * order] = block
    source = np.kron(np.eye(STEPS), noise)
    source[:order, :order] = PRIOR * np.eye(order)
    cov = lift @ source @ lift.T
    seen = np.flatnonzero(valid) * order
    inner = cov[np.ix_(seen, seen)] + np.eye(len(seen))
    start = place[valid][0]
    mean = cov[:, seen] @ np.linalg.solve(inner, place[valid] - start)
    return mean[::order] + start, mean[1::order]


@pytest.mark.parametrize(("order", "ratio"), [(2, 1.0), (2, 1e3), (3, 10.0), (3, 1e4)])
def test_the_smoother_agrees_with_conditioning_one_large_gaussian(order, ratio):
    rng = np.random.default_rng(order)
    place = (8 + 1j) * TIME + TIME**2 + 5 * np.exp(1j * TIME)
    place = place + 0.1 * (rng.normal(size=(2, 3, STEPS)) * [[[1]], [[1j]]]).sum(axis=0)
    valid = rng.random(place.shape) < 0.6
    valid[:, GAP] = False
    valid[1, :6] = False
    smoothed, velocity = smooth(place, valid, order=order, ratio=ratio)
    for row in range(3):
        expected = dense(place[row], valid[row], order, ratio)
        np.testing.assert_allclose(smoothed[row], expected[0], atol=2e-5)
        np.testing.assert_allclose(velocity[row], expected[1], atol=2e-4)


@pytest.mark.parametrize("order", [2, 3])
def test_the_noise_of_a_step_is_the_integral_of_white_noise_that_goes_on(order):
    advance, noise = make_model(order, 7.0)
    drift = np.diag(np.ones(order - 1), 1)
    np.testing.assert_allclose(advance, expm(STEP * drift), atol=1e-12)
    node, weight = np.polynomial.legendre.leggauss(4)
    pushed = np.stack([expm(STEP * (x + 1) / 2 * drift)[:, -1] for x in node])
    np.testing.assert_allclose(noise, 7.0 * STEP / 2 * (pushed.T * weight) @ pushed)


def test_the_smoother_does_not_read_what_is_not_visible():
    rng = np.random.default_rng(0)
    place = rng.normal(size=(4, STEPS)) + 0j
    valid = rng.random(place.shape) < 0.5
    other = np.where(valid, place, np.nan)
    for one, two in zip(
        smooth(place, valid, order=3, ratio=10.0),
        smooth(other, valid, order=3, ratio=10.0),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_a_road_user_without_visible_cells_is_undefined():
    place, velocity = smooth(
        np.zeros((1, STEPS), complex), np.zeros((1, STEPS), bool), order=2, ratio=1.0
    )
    assert np.isnan(place).all()
    assert np.isnan(velocity).all()


def example(noise, kind, seed):
    rng = np.random.default_rng(seed)
    jerk = rng.normal(size=(80, STEPS)) + 1j * rng.normal(size=(80, STEPS))
    place = 5 * TIME + np.cumsum(np.cumsum(np.cumsum(jerk, 1), 1), 1) * STEP**2.5
    seen = place + noise * (rng.normal(size=place.shape) + 1j * rng.normal(size=place.shape))
    truth = np.stack([place.real, place.imag], axis=-1)
    return Example(see(seen, kind=kind), truth, np.ones(place.shape, bool))


def test_the_fitted_noise_is_smoother_where_positions_are_noisier():
    rule = fit_smoother([example(0.001, Kind.CAR, 0), example(0.5, Kind.PEDESTRIAN, 1)], limit=500)
    vehicle, _, walker, _ = range(4)
    trusted, doubted = rule.ratio[vehicle], rule.ratio[walker]
    assert rule.order[vehicle] == 3
    assert trusted > 100 * doubted


def test_nothing_between_visible_cells_is_no_gap_to_learn_from():
    place = np.stack([3 * TIME + 0j])
    position = np.stack([place.real, place.imag], axis=-1)
    end = Example(see(place, np.arange(30, STEPS)), position, np.ones(place.shape, bool))
    with pytest.raises(InputError, match="no gap"):
        fit_smoother([end])
