from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.scene import Kind
from kerbstone.world.baselines import FORECASTS, INFILLS, Example, Tracks, fit_baseline
from kerbstone.world.baselines.forecasts import Steady, fit_steady, stand
from kerbstone.world.baselines.manoeuvres import cluster, fit_manoeuvres
from kerbstone.world.baselines.motion import estimate_motion
from kerbstone.world.baselines.neighbours import remember
from kerbstone.world.baselines.scales import fit_scales
from kerbstone.world.masks import Forecast, Infill
from kerbstone.world.metrics import joint_nll, score_forecast
from kerbstone.world.mixture import Mixture
from kerbstone.world.observed import hide
from kerbstone.world.windows import STEP, Window

STEPS = 60
constant_velocity = Steady(is_turning=False)
constant_turn_rate = Steady(is_turning=True)
PRESENT = 29
KINDS = np.array([Kind.CAR, Kind.CAR, Kind.PEDESTRIAN, Kind.CYCLIST, Kind.UNKNOWN], np.uint8)
EVERY = [(name, 1) for name in FORECASTS + INFILLS] + [(name, 6) for name in FORECASTS[1:]]


def drive(speed, turn_rate=0.0, acceleration=0.0, heading=0.0, steps=STEPS):
    """Return the places and headings of a drive, integrated finely."""
    fine = 200
    time = STEP / fine * (np.arange(steps * fine) + 0.5)
    velocity = np.maximum(speed + acceleration * time, 0)
    way = np.cumsum(velocity * np.exp(1j * (heading + turn_rate * time))) * STEP / fine
    place = np.concatenate([[0], way[fine - 1 :: fine]])[:steps]
    return place, heading + turn_rate * STEP * np.arange(steps)


def make_window(seed, agents=10):
    """Return a window with drives of all sorts, and holes in them."""
    rng = np.random.default_rng(seed)
    place, heading = np.zeros((agents, STEPS), complex), np.zeros((agents, STEPS))
    for row in range(agents):
        speed = [0.0, 1.5, 6.0, 12.0][row % 4] * rng.uniform(0.7, 1.3)
        place[row], heading[row] = drive(
            speed, rng.normal(0, 0.15), rng.normal(0, 0.6), rng.uniform(-3, 3)
        )
        place[row] += complex(*rng.normal(0, 40, 2))
    position = np.stack([place.real, place.imag], axis=-1)
    position += 0.02 * rng.normal(size=position.shape)
    valid = rng.random((agents, STEPS)) < 0.95
    valid[0, :12] = False
    valid[1, 50:] = False
    valid[:, PRESENT] = True
    position[~valid] = np.nan
    heading[~valid] = np.nan
    return Window(
        scene=f"scene-{seed}",
        start=0.0,
        ids=tuple(map(str, range(agents))),
        kind=KINDS[np.arange(agents) % len(KINDS)],
        size=np.ones((agents, 3)),
        position=position,
        heading=heading,
        valid=valid,
        is_heading_derived=np.zeros(agents, bool),
        map=None,
        light_place=np.zeros((0, 2)),
        light_heading=np.zeros(0),
        light_state=np.zeros((0, STEPS), np.uint8),
        ego=None,
    )


def mask_for(name):
    return Forecast(3.0) if name in FORECASTS else Infill(1.0, share=1.0)


def make_examples(name, seeds=range(12)):
    windows = [make_window(seed) for seed in seeds]
    rng = np.random.default_rng(0)
    return [
        Example.of(window, hide(window, mask_for(name)(window, rng)), log=window.scene)
        for window in windows
    ]


@pytest.fixture(scope="module")
def fitted():
    return {
        (name, modes): fit_baseline(name, make_examples(name), modes=modes) for name, modes in EVERY
    }


def see(place, heading=None, *, seen=PRESENT + 1, kind=Kind.CAR):
    """Return the tracks of which the first steps are visible."""
    place = np.atleast_2d(place)
    valid = np.broadcast_to(np.arange(place.shape[1]) < seen, place.shape).copy()
    position = np.stack([place.real, place.imag], axis=-1)
    heading = np.full(place.shape, np.nan) if heading is None else np.atleast_2d(heading)
    return Tracks(
        kind=np.full(len(place), kind, np.uint8),
        position=np.where(valid[..., None], position, np.nan),
        heading=np.where(valid, heading, np.nan),
        valid=valid,
        asked=~valid,
    )


def example(place, **given):
    place = np.atleast_2d(place)
    position = np.stack([place.real, place.imag], axis=-1)
    log = given.pop("log", "a")
    return Example(see(place, **given), position, np.ones(place.shape, bool), log)


def as_complex(position):
    return position[..., 0] + 1j * position[..., 1]


@pytest.mark.parametrize("speed", [0.0, 0.3, 1.4, 30.0])
@pytest.mark.parametrize("rule", [constant_velocity, constant_turn_rate])
def test_a_straight_drive_is_forecast_exactly(speed, rule):
    place, _ = drive(speed, heading=2.0)
    tracks = see(place + (100 - 7j))
    told = as_complex(rule(tracks).position[0, 0])
    np.testing.assert_allclose(told[PRESENT + 1 :], (place + (100 - 7j))[PRESENT + 1 :], atol=1e-8)
    assert np.isnan(told[: PRESENT + 1]).all()


@pytest.mark.parametrize("reach", [2, 3, 5, 10])
@pytest.mark.parametrize("turn_rate", [-0.4, -0.02, 0.1, 0.4])
def test_a_circle_is_forecast_exactly_by_constant_turn_rate_even_with_holes(turn_rate, reach):
    time = STEP * np.arange(STEPS)
    place = 8.0 / turn_rate * np.exp(1j * (turn_rate * time - 1.0))
    tracks = see(place)
    holes = [PRESENT - 1, PRESENT - 3, PRESENT - 4] if reach > 3 else []
    tracks.valid[0, holes] = False
    tracks.position[0, holes] = np.nan
    paths = Steady(is_turning=True, reach=reach)(tracks)
    asked = slice(PRESENT + 1, None)
    np.testing.assert_allclose(as_complex(paths.position[0, 0, asked]), place[asked], atol=1e-8)
    direction = 1j * np.exp(1j * (turn_rate * time - 1.0))
    np.testing.assert_allclose(np.exp(1j * paths.axis[0, asked]), direction[asked], atol=1e-8)


def test_a_forecast_does_not_look_at_what_is_visible_after_a_gap():
    place, _ = drive(8.0, 0.1, 0.5)
    whole = see(place)
    gap = see(place, seen=STEPS)
    hidden = slice(PRESENT + 1, PRESENT + 10)
    gap.valid[0, hidden] = False
    gap.asked[0, hidden] = True
    gap.position[0, hidden] = np.nan
    for rule in (stand, constant_velocity, constant_turn_rate):
        np.testing.assert_array_equal(
            rule(gap).position[:, :, hidden], rule(whole).position[:, :, hidden]
        )


def test_motion_is_estimated_from_more_steps_where_tracks_are_noisier():
    rng = np.random.default_rng(0)
    place = np.stack([drive(8.0, 0.0, rng.normal(0, 1.0))[0] for _ in range(60)])
    noise = rng.normal(size=place.shape) + 1j * rng.normal(size=place.shape)
    for is_turning in (False, True):
        clean = fit_steady([example(place)], is_turning=is_turning)
        noisy = fit_steady([example(place + 0.3 * noise)], is_turning=is_turning)
        assert clean.reach == 2
        assert noisy.reach == 10


def test_who_is_slow_is_not_said_to_turn_and_a_fast_turn_is_bounded():
    slow, _ = drive(1.5, turn_rate=0.8)
    fast, _ = drive(20.0, turn_rate=0.9)
    motion = estimate_motion(see(np.stack([slow, fast])))
    assert motion.turn_rate[0] == 0
    assert motion.turn_rate[1] == pytest.approx(5 / np.abs(motion.velocity[1]))


def test_who_stands_stays_and_has_the_axis_of_its_heading():
    place = np.full(STEPS, 3 + 4j)
    paths = stand(see(place, np.full(STEPS, 1.2)))
    np.testing.assert_array_equal(as_complex(paths.position[0, 0, PRESENT + 1 :]), 3 + 4j)
    np.testing.assert_allclose(paths.axis[0, PRESENT + 1 :], 1.2)


def test_a_single_visible_cell_is_taken_to_stand():
    place, _ = drive(9.0)
    tracks = see(place)
    tracks.valid[0, :PRESENT] = False
    tracks.position[0, :PRESENT] = np.nan
    for rule in (constant_velocity, constant_turn_rate):
        told = as_complex(rule(tracks).position[0, 0, PRESENT + 1 :])
        np.testing.assert_allclose(told, place[PRESENT])


def test_who_is_lost_before_the_present_goes_on_from_where_it_was_seen():
    place, _ = drive(9.0)
    tracks = see(place)
    lost = slice(PRESENT - 4, PRESENT + 1)
    tracks.valid[0, lost] = False
    tracks.position[0, lost] = np.nan
    paths = constant_velocity(tracks)
    np.testing.assert_allclose(
        as_complex(paths.position[0, 0, PRESENT + 1 :]), place[PRESENT + 1 :], atol=1e-8
    )
    assert paths.lag[0, PRESENT + 1] == 6


@pytest.mark.parametrize(("name", "modes"), EVERY)
def test_a_rigid_motion_moves_every_prediction_along(fitted, name, modes):
    baseline = fitted[name, modes]
    tracks = make_examples(name, [77])[0].tracks
    turn = np.array([[np.cos(2.1), -np.sin(2.1)], [np.sin(2.1), np.cos(2.1)]])
    moved = replace(
        tracks, position=tracks.position @ turn.T + [300, -80], heading=tracks.heading + 2.1
    )
    here, there = baseline.predict(tracks), baseline.predict(moved)
    np.testing.assert_allclose(there.position, here.position @ turn.T + [300, -80], atol=1e-6)
    np.testing.assert_allclose(there.weight, here.weight, atol=1e-8)
    np.testing.assert_allclose(there.scale, here.scale, atol=1e-8)
    np.testing.assert_allclose(np.exp(1j * there.axis), np.exp(1j * (here.axis + 2.1)), atol=1e-6)


@pytest.mark.parametrize(("name", "modes"), EVERY)
def test_what_is_hidden_changes_no_prediction(fitted, name, modes):
    window = make_window(88)
    mask = mask_for(name)(window, np.random.default_rng(1))
    hidden = np.repeat(mask.states, 5, axis=1)
    other = make_window(89)
    changed = replace(
        window,
        position=np.where(hidden[..., None], other.position, window.position),
        heading=np.where(hidden, other.heading, window.heading),
        valid=np.where(hidden, other.valid, window.valid),
    )
    baseline = fitted[name, modes]
    here = baseline.predict(Tracks.of(hide(window, mask)))
    there = baseline.predict(Tracks.of(hide(changed, mask)))
    for part in ("weight", "position", "scale", "axis"):
        np.testing.assert_array_equal(getattr(here, part), getattr(there, part))


@pytest.mark.parametrize(("name", "modes"), EVERY)
def test_a_prediction_is_whole_where_asked_and_nothing_elsewhere(fitted, name, modes):
    given = make_examples(name, [99])[0]
    mixture = fitted[name, modes].predict(given.tracks)
    agents = len(given.tracks)
    assert mixture.position.shape == (agents, modes, STEPS, 2)
    np.testing.assert_allclose(mixture.weight.sum(axis=1), 1)
    asked = given.tracks.asked
    told = np.isfinite(mixture.position).all(axis=(1, 3))
    np.testing.assert_array_equal(told, asked)
    assert (mixture.scale[np.isfinite(mixture.scale)] > 0).all()
    np.testing.assert_array_equal(np.isfinite(mixture.scale), np.isfinite(mixture.position))
    np.testing.assert_array_equal(np.isfinite(mixture.axis), told)
    assert np.isfinite(
        joint_nll(mixture, given.position, given.counted)[given.counted.any(1)]
    ).all()


@pytest.mark.parametrize(("name", "modes"), EVERY)
def test_who_is_nowhere_visible_is_undefined_and_no_agents_are_no_error(fitted, name, modes):
    tracks = see(np.zeros((2, STEPS), complex), seen=0)
    mixture = fitted[name, modes].predict(tracks)
    assert np.isnan(mixture.position).all()
    assert np.isnan(mixture.scale).all()
    none = fitted[name, modes].predict(see(np.zeros((0, STEPS), complex)))
    assert none.position.shape == (0, modes, STEPS, 2)


@pytest.mark.parametrize(("name", "modes"), EVERY)
def test_fitting_twice_gives_the_same(fitted, name, modes):
    again = fit_baseline(name, iter(make_examples(name)), modes=modes)
    np.testing.assert_array_equal(again.scales.table, fitted[name, modes].scales.table)


def test_the_scale_of_one_mode_is_the_mean_error_of_its_group_speed_and_lag():
    rng = np.random.default_rng(2)
    time = STEP * np.arange(STEPS)
    place = 10 * time + np.zeros((4000, 1))
    after = np.maximum(np.arange(STEPS) - PRESENT, 0)
    place = place + after * (
        0.3 * rng.laplace(size=place.shape) + 0.1j * rng.laplace(size=place.shape)
    )
    table = fit_scales([example(place)], constant_velocity).table[0, 2]
    lag = np.arange(1, STEPS - PRESENT)
    np.testing.assert_allclose(table[lag, 0], 0.3 * lag, rtol=0.08)
    np.testing.assert_allclose(table[lag, 1], 0.1 * lag, rtol=0.08)


def test_scales_of_several_modes_do_not_count_the_modes_that_did_not_come_true():
    rng = np.random.default_rng(3)
    left = rng.random((3000, 1)) < 0.5
    after = np.maximum(np.arange(STEPS) - PRESENT, 0)
    straight = 10 * STEP * np.arange(STEPS)
    side = np.where(left, 1j, -1j) * 0.5 * after
    noise = 0.2 * (rng.laplace(size=(3000, STEPS)) + 1j * rng.laplace(size=(3000, STEPS)))
    given = example(straight + side + noise * (after > 0))

    def fork(tracks):
        paths = constant_velocity(tracks)
        there = paths.position[:, 0]
        aside = np.stack([0 * after, 0.5 * after], axis=-1)
        return replace(
            paths,
            weight=np.full((len(tracks), 2), 0.5),
            position=np.stack([there + aside, there - aside], axis=1),
        )

    table = fit_scales([given], fork).table[0, 2]
    np.testing.assert_allclose(table[5 : STEPS - PRESENT], 0.2, rtol=0.15)


def test_fitted_scales_are_the_most_likely_ones():
    given = [example(drive(9, 0.1 * k, 0.3 * k)[0], log=str(k)) for k in range(-3, 4)] * 30
    baseline = fit_baseline("constant_velocity", given)

    def nll(factor):
        values = []
        for each in given[:7]:
            said = baseline.predict(each.tracks)
            said = Mixture(said.weight, said.position, factor * said.scale, said.axis)
            values.append(joint_nll(said, each.position, each.counted))
        return np.mean(values)

    assert nll(1.0) < min(nll(0.8), nll(1.25))


def test_manoeuvres_are_those_that_were_done_as_often_as_they_were():
    done = [(-2.0, 0.0)] * 60 + [(0.0, 0.0)] * 120 + [(0.0, 0.3)] * 60
    places = []
    for acceleration, turn in done:
        before, _ = drive(8.0, steps=PRESENT + 1)
        after, _ = drive(8.0, turn, acceleration, steps=STEPS - PRESENT)
        places.append(np.concatenate([before, before[-1] + after[1:]]))
    rule = fit_manoeuvres([example(np.stack(places))], is_turning=False, modes=3)
    cell = 0, 2
    order = np.lexsort((rule.turn[cell], rule.acceleration[cell]))
    np.testing.assert_allclose(rule.acceleration[cell][order], [-2, 0, 0], atol=0.02)
    np.testing.assert_allclose(rule.turn[cell][order], [0, 0, 0.3], atol=0.02)
    np.testing.assert_allclose(rule.weight[cell][order], [0.25, 0.5, 0.25])
    paths = rule(see(np.stack(places)))
    off = np.abs(as_complex(paths.position) - np.stack(places)[:, None])[..., -1]
    assert off.min(axis=1).max() < 0.05


def test_a_manoeuvre_without_change_is_the_constant_turn_rate():
    time = STEP * np.arange(STEPS)
    place = 40 * np.exp(0.2j * time) * np.exp(1j * np.linspace(0, 6, 150))[:, None]
    tracks = see(place)
    rule = fit_manoeuvres([example(place)], is_turning=True, modes=1)
    np.testing.assert_allclose(
        rule(tracks).position, constant_turn_rate(tracks).position, atol=1e-6
    )


def test_who_brakes_to_a_stop_stays_there():
    place = np.stack([drive(6.0, acceleration=0)[0]] * 200)
    stop, _ = drive(6.0, 0.0, -4.0, steps=STEPS - PRESENT)
    place[:, PRESENT:] = place[:, PRESENT, None] + stop
    rule = fit_manoeuvres([example(place)], is_turning=False, modes=1)
    told = as_complex(rule(see(place[:1])).position[0, 0])
    assert np.abs(told[-1] - place[0, -1]) < 0.1
    np.testing.assert_allclose(told[-5:], told[-1])


def test_clusters_of_fewer_points_than_centres_still_have_weights():
    centre, share = cluster(np.zeros((4, 2)), 6, np.random.default_rng(0))
    np.testing.assert_array_equal(centre, 0)
    assert share.sum() == pytest.approx(1)
    assert (share > 0).all()


def test_an_identical_past_recalls_exactly_its_future():
    examples = make_examples("nearest_neighbour")
    rule = remember(examples, modes=1)
    given = examples[3]
    paths = rule(given.tracks)
    whole = given.valid[:, PRESENT:].all(axis=1)
    assert whole.any()
    np.testing.assert_allclose(
        paths.position[whole, 0, PRESENT + 1 :], given.position[whole, PRESENT + 1 :], atol=1e-9
    )


def test_neighbours_are_of_the_same_group_and_the_nearest_weighs_most():
    ahead = np.stack([drive(5.0, acceleration=0.02 * k)[0] for k in range(8)])
    stays = ahead.copy()
    stays[:, PRESENT + 1 :] = stays[:, PRESENT, None]
    rule = remember([example(ahead), example(stays, kind=Kind.CYCLIST)], modes=2)
    for kind, expected in ((Kind.CAR, ahead), (Kind.CYCLIST, stays)):
        paths = rule(see(expected[3:4], kind=kind))
        np.testing.assert_allclose(as_complex(paths.position[0, 0, -1]), expected[3, -1])
        assert paths.weight[0, 0] > paths.weight[0, 1]


def test_memory_is_bounded_and_drawn_by_seed():
    examples = make_examples("nearest_neighbour")
    one, same, other = (remember(examples, limit=20, seed=seed) for seed in (0, 0, 1))
    assert len(one.group) == 20
    np.testing.assert_array_equal(one.past, same.past)
    assert not np.array_equal(one.past, other.past)


def test_who_was_lost_before_the_present_is_not_remembered_and_keeps_nobody_else_out():
    given = example(np.stack([drive(5.0)[0]] * 4))
    given.tracks.valid[0, PRESENT - 2 : PRESENT + 1] = False
    given.tracks.position[0, PRESENT - 2 : PRESENT + 1] = np.nan
    rule = remember([given], modes=1)
    assert rule.future.shape == (3, STEPS - 1 - PRESENT)


def test_later_than_is_remembered_the_future_goes_straight_on():
    short = drive(5.0, steps=45)[0]
    rule = remember([example(np.stack([short] * 3))], modes=1)
    place, _ = drive(5.0)
    told = as_complex(rule(see(place)).position[0, 0, PRESENT + 1 :])
    np.testing.assert_allclose(told, place[PRESENT + 1 :], atol=1e-6)


@pytest.mark.parametrize("name", FORECASTS[1:])
def test_the_best_of_six_modes_is_nearer_than_the_only_one(fitted, name):
    near = [
        np.concatenate(
            [
                score_forecast(
                    fitted[name, modes].predict(each.tracks), each.position, each.counted
                ).min_fde
                for each in make_examples(name, range(200, 206))
            ]
        )
        for modes in (1, 6)
    ]
    assert np.nanmean(near[1]) < 0.8 * np.nanmean(near[0])


def test_unknown_names_and_impossible_modes_are_refused_with_advice():
    with pytest.raises(UsageError) as refused:
        fit_baseline("constant_velocty", [])
    assert "constant_velocity" in refused.value.remedy
    with pytest.raises(UsageError, match="cannot have 6 modes"):
        fit_baseline("stand", [], modes=6)


@pytest.mark.parametrize("name", FORECASTS + INFILLS)
def test_nothing_to_learn_from_is_an_error(name):
    with pytest.raises(InputError) as refused:
        fit_baseline(name, [])
    assert refused.value.code == "empty"


def test_too_few_futures_or_logs_are_an_error():
    given = example(drive(5.0)[0])
    with pytest.raises(InputError, match="not enough futures"):
        remember([given], modes=6)
    with pytest.raises(InputError, match="two logs"):
        fit_baseline("nearest_neighbour", [given, given])
    with pytest.raises(InputError, match="manoeuvres"):
        fit_baseline("constant_velocity", [], modes=6)


def test_states_behind_a_mask_are_refused():
    tracks = see(drive(5.0)[0])
    with pytest.raises(InputError, match="hidden"):
        replace(tracks, position=np.zeros((1, STEPS, 2)))
    with pytest.raises(InputError, match="hidden"):
        replace(tracks, heading=np.zeros((1, STEPS)))
    with pytest.raises(InputError, match="no position"):
        replace(tracks, position=np.full((1, STEPS, 2), np.nan))
    with pytest.raises(InputError, match="does not fit"):
        Example(tracks, np.zeros((1, 9, 2)), np.ones((1, 9), bool))
