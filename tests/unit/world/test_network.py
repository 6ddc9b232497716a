from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import SE2
from kerbstone.world.masks import Forecast, HideKind, Infill, Mask, Scatter, WholeAgent
from kerbstone.world.network import SIZES, ModelConfig, build_model
from kerbstone.world.observed import hide
from kerbstone.world.relative import relate
from kerbstone.world.tokens import Flag, Limits, tokenise
from kerbstone.world.windows import STEP, cut_window
from roads import moved

RNG = np.random.default_rng
LIMITS = Limits(agents=16, patches=16, pieces=96, lights=16)
FAMILIES = [Forecast(3.0), Infill(2.0, share=1.0), WholeAgent(0.5), Scatter(0.5), HideKind(0.5)]


@pytest.fixture(scope="module")
def run():
    return eqx.filter_jit(lambda model, tokens: model(tokens))


@pytest.fixture(scope="module")
def encode():
    return eqx.filter_jit(
        lambda model, tokens, is_causal=False: model.encode(tokens, is_causal=is_causal).tokens
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("turn", [0.9, -2.6])
def test_what_is_predicted_does_not_change_with_the_frame(crossing, model, run, family, turn):
    window = cut_window(crossing, 0.0, 16)
    motion = SE2(np.array([2000.0, -700.0]), np.array(turn))
    other = cut_window(moved(crossing, motion), 0.0, 16)
    mask = family(window, np.random.default_rng(0))
    found = [run(model, tokenise(hide(each, mask), LIMITS)[0]) for each in (window, other)]
    for name, first, second in zip(found[0]._fields, *found, strict=True):
        np.testing.assert_allclose(second, first, atol=1e-4, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
def test_hidden_patches_between_seen_ones_are_read_apart(window, model, run, family):
    mask = family(window, RNG(0))
    tokens, frame = tokenise(hide(window, mask), LIMITS)
    other = eqx.tree_at(lambda m: m.heads.within.first, model, model.heads.within.first + 1.0)
    change = np.abs(run(other, tokens).offset - run(model, tokens).offset).max(axis=(2, 3, 4))
    hidden = frame.observed.hidden
    seen = frame.observed.window.valid_patch & ~hidden
    before = np.maximum.accumulate(seen, axis=1)
    after = np.maximum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    expected = np.zeros(change.shape, bool)
    expected[: len(hidden), : hidden.shape[1]] = hidden & before & after
    np.testing.assert_array_equal(change > 0.5, expected)
    assert expected.any() == (isinstance(family, Infill | Scatter))


def test_what_is_predicted_hangs_on_what_is_seen(window, model, run):
    tokens, _ = tokenise(hide(window, Forecast(3.0)(window, np.random.default_rng(0))), LIMITS)
    whole = run(model, tokens)
    for name in ("state", "type", "piece", "light"):
        without = tokens._replace(**{name: np.zeros_like(getattr(tokens, name))})
        assert np.abs(run(model, without).offset - whole.offset).max() > 1e-4, name


def test_road_users_hang_on_each_other(window, model, encode):
    tokens, _ = tokenise(hide(window, Mask.nothing(window)), LIMITS)
    state = tokens.state.copy()
    state[0] += 1.0
    change = np.abs(encode(model, tokens._replace(state=state)) - encode(model, tokens))
    assert np.asarray(change)[1:].max() > 1e-5


def test_how_another_one_moves_is_told_in_the_own_frame():
    # Both go north; the other one is 10 m ahead and slower by 4 of what velocities are told in.
    query, key = jnp.array([3.0, 5.0, np.pi / 2]), jnp.array([3.0, 15.0, np.pi / 2])
    told = relate(query, key, jnp.zeros(()), jnp.array([0.0, -4.0]))
    still = relate(query, key, jnp.zeros(()), jnp.zeros(2))
    change = np.asarray(told - still)
    assert sorted(change.round(5)) == [-4.0] + [0.0] * (len(change) - 1)


def test_who_brakes_is_seen_to_brake(window):
    row = window.ids.index("ego")
    time = STEP * np.arange(window.steps)
    tokens = []
    for brake in (0.0, 3.0):
        position = window.position.copy()
        position[row, :, 1] = 12.0 * time - brake * time**2 / 2
        seen = hide(replace(window, position=position), Forecast(3.0)(window, RNG(0)))
        found, frame = tokenise(seen, LIMITS)
        tokens.append((found, int(np.flatnonzero(frame.rows == row)[0])))
    (even, one), (braked, two) = tokens
    last = 5  # the patch before what is hidden
    along = Flag.ACCELERATION_ALONG
    assert braked.flags[two, last, along] - even.flags[one, last, along] == pytest.approx(-1.0)
    # All that is hidden is told of it, too: it starts out from there.
    assert braked.flags[two, -1, along] == pytest.approx(braked.flags[two, last, along])
    # Who goes evenly is where going evenly brings him, at every step of a patch.
    offset = even.state[one, last].reshape(5, -1)[:, :2]
    np.testing.assert_allclose(offset, 0.0, atol=1e-3)


def test_a_causal_pass_knows_nothing_of_later_patches(window, model, encode):
    tokens, _ = tokenise(hide(window, Mask.nothing(window)), LIMITS)
    state, light = tokens.state.copy(), tokens.light.copy()
    state[:, 9:] = 3.0
    light[:, 9:] = 0.5
    other = tokens._replace(state=state, light=light)
    causal = [encode(model, each, True) for each in (tokens, other)]
    np.testing.assert_array_equal(causal[0][:, :9], causal[1][:, :9])
    assert np.abs(causal[0][:, 9:] - causal[1][:, 9:]).max() > 1e-3
    free = [encode(model, each) for each in (tokens, other)]
    assert np.abs(free[0][:, :9] - free[1][:, :9]).max() > 1e-3


def test_padding_changes_nothing(window, model, run):
    observed = hide(window, Forecast(3.0)(window, np.random.default_rng(0)))
    small, frame = tokenise(observed, LIMITS)
    large, _ = tokenise(observed, Limits(agents=24, patches=16, pieces=128, lights=24))
    count = len(frame.rows)
    first, second = run(model, small), run(model, large)
    for name, one, other in zip(first._fields, first, second, strict=True):
        np.testing.assert_allclose(one[:count], other[:count], atol=2e-5, err_msg=name)


def test_an_empty_window_is_predicted_without_a_nan(window, model, run):
    nobody = window.select(np.zeros(0, int))
    tokens, _ = tokenise(hide(nobody, Mask.nothing(nobody)), LIMITS)
    for value in run(model, tokens):
        assert np.isfinite(value).all()


@pytest.mark.parametrize(("name", "least", "most"), [("tiny", 2e5, 4e5), ("small", 2.5e6, 4.5e6)])
def test_sizes_are_about_what_they_say(name, least, most):
    shapes = eqx.filter_eval_shape(lambda key: build_model(SIZES[name], key=key), jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes) if hasattr(leaf, "size"))
    assert least < count < most


@pytest.mark.parametrize("wrong", [{"width": 0}, {"heads": 3}, {"layers": 1000}, {"modes": 0}])
def test_impossible_sizes_are_errors(wrong):
    with pytest.raises(InputError):
        ModelConfig(**wrong)
