"""The backward sweep: from quadratic stages to the best change of each control."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

# Rows of a stage: the Hessian by the state (its entries that are not zero), the gradient by the
# state, the Hessian by the controls (a diagonal), the gradient by the controls, the dynamics.
_HESSIAN = {
    (0, 0): 0,
    (0, 1): 1,
    (1, 1): 2,
    (0, 2): 3,
    (1, 2): 4,
    (2, 2): 5,
    (3, 3): 6,
    (3, 5): 7,
    (5, 5): 8,
    (4, 4): 9,
}
_GRADIENT = slice(10, 16)
_CONTROL_HESSIAN, _CONTROL_GRADIENT = (16, 17), slice(18, 20)
_DYNAMICS = slice(20, 28)
# What the rows of the dynamics are the derivatives of, and by what: the columns of a state.
_DERIVATIVES = ((0, 2), (0, 3), (0, 5), (1, 2), (1, 3), (1, 5), (2, 3), (2, 5))


class Stages(NamedTuple):
    """A quadratic model around a plan.

    The state of a step is the one *after* it, so that the model of step `k` is one of
    `(state[k + 1], control[k])`.

    Args:
        rows: What is not zero in it, in the order above.
    """

    rows: Float[Array, "step 28 mode lane"]


class Policy(NamedTuple):
    """Change of each control: `step` and, for each change of the state before it, `gain`.

    Args:
        step: The change where the state does not change.
        gain: How it follows the state.
        decrease: What the whole change is expected to save, by the quadratic model.
    """

    step: Float[Array, "step 2 mode lane"]
    gain: Float[Array, "step 2 6 mode lane"]
    decrease: Float[Array, " lane"]


def sweep(
    stages: Stages,
    shared: Bool[Array, "step lane"],
    regularisation: Float[Array, " lane"],
    dt: float,
    one: Float[Array, ""],
) -> Policy:
    """Return the policy that minimises the quadratic model.

    Modes that still share their control (`shared`) are one decision: the sum of their models is
    minimised. Each then carries an equal part of the value, which keeps the sum.

    Args:
        stages: The model; the Hessian of the whole must be positive in the controls once
            `regularisation` is added.
        shared: Whether the modes share the control of a step.
        regularisation: Added to the diagonal of the Hessian by the controls.
        dt: Length of a step [s].
        one: The number one, not known to the compiler. Dividing by it keeps XLA from merging a
            product of matrices into each of its uses, where it would be computed over again.

    References:
        Tassa et al., Synthesis and Stabilization of Complex Behaviors through Online Trajectory
        Optimization, IROS 2012.
    """
    modes = stages.rows.shape[-2]
    fold, unfold = _fold_hessian(), unfold_dynamics(dt)

    def step(
        carry: tuple[jax.Array, jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        value, slope, decrease = carry
        stage, joint = inputs
        value = value + fold(stage)
        slope = slope + stage[_GRADIENT]
        f = unfold(stage[_DYNAMICS]) / one
        product = value[:, 0, None] * f[0][None]
        for k in range(1, 6):
            product = product + value[:, k, None] * f[k][None]
        product = product / one
        hessian = f[0, :, None] * product[0, None]
        gradient = f[0] * slope[0][None]
        for k in range(1, 6):
            hessian = hessian + f[k, :, None] * product[k, None]
            gradient = gradient + f[k] * slope[k][None]
        hessian = hessian.at[6, 6].add(stage[_CONTROL_HESSIAN[0]] + regularisation)
        hessian = hessian.at[7, 7].add(stage[_CONTROL_HESSIAN[1]] + regularisation)
        gradient = gradient.at[6:].add(stage[_CONTROL_GRADIENT])
        if modes > 1:
            hessian = jnp.where(joint, hessian.sum(-2, keepdims=True), hessian)
            gradient = jnp.where(joint, gradient.sum(-2, keepdims=True), gradient)
        hessian, gradient = hessian / one, gradient / one
        a, b, c = hessian[6, 6], hessian[6, 7], hessian[7, 7]
        scale = 1.0 / (a * c - b * b)
        a, b, c = a * scale, b * scale, c * scale
        first = jnp.concatenate([gradient[None, 6], hessian[6, :6]])
        second = jnp.concatenate([gradient[None, 7], hessian[7, :6]])
        gain = jnp.stack([b * second - c * first, b * first - a * second]) / one
        share = jnp.where(joint, 1.0 / modes, 1.0) if modes > 1 else 1.0
        value = share * (
            hessian[:6, :6]
            + hessian[6, :6, None] * gain[0, None, 1:]
            + hessian[7, :6, None] * gain[1, None, 1:]
        )
        slope = share * (gradient[:6] + hessian[6, :6] * gain[0, 0] + hessian[7, :6] * gain[1, 0])
        saved = -0.5 * (gradient[6] * gain[0, 0] + gradient[7] * gain[1, 0]) * share
        return (value, slope, decrease + saved.sum(-2)), (gain[:, 0], gain[:, 1:])

    zero = jnp.zeros((6, *stages.rows.shape[-2:]), stages.rows.dtype)
    carry = (jnp.zeros((6, *zero.shape), zero.dtype), zero, zero[0, 0])
    (_, _, decrease), (steps, gains) = jax.lax.scan(
        step, carry, (stages.rows, shared), reverse=True
    )
    return Policy(steps, gains, decrease)


def _fold_hessian() -> Callable[[jax.Array], jax.Array]:
    """Return the function that makes the Hessian by the state of a stage's rows."""
    row = np.zeros((6, 6), int)
    held = np.zeros((6, 6, 1, 1))
    for (i, j), at in _HESSIAN.items():
        row[i, j] = row[j, i] = at
        held[i, j] = held[j, i] = 1.0
    return lambda rows: rows[row] * jnp.asarray(held, rows.dtype)


def unfold_dynamics(dt: float) -> Callable[[jax.Array], jax.Array]:
    """Return the function that makes the derivative of a step, `[6, 8, mode, lane]`, of its parts.

    Args:
        dt: Length of a step [s].
    """
    row = np.zeros((6, 8), int)
    scale = np.zeros((6, 8, 1, 1))
    constant = np.zeros((6, 8, 1, 1))
    # The speed half way is `speed + dt/2 acceleration + dt²/8 jerk`, the steering half way
    # `steering + dt/2 rate`.
    middles = {
        2: [(2, 1.0)],
        3: [(3, 1.0), (4, dt / 2), (6, dt**2 / 8)],
        5: [(5, 1.0), (7, dt / 2)],
    }
    for at, (to, way) in enumerate(_DERIVATIVES):
        for column, factor in middles[way]:
            row[to, column] = at
            scale[to, column] = factor
    constant[range(6), range(6)] = 1.0
    constant[3, 4] = constant[4, 6] = constant[5, 7] = dt
    constant[3, 6] = dt * dt / 2
    return lambda parts: (
        parts[row] * jnp.asarray(scale, parts.dtype) + jnp.asarray(constant, parts.dtype)
    )
