"""How the car moves in a step: the kinematic bicycle, its derivatives, and whole rollouts.

Here and in the rest of the solver the batch is the last axis, so that every operation runs over
many problems at once; a state is `[6, mode, lane]`, a control `[2, mode, lane]`, and a lane is
one start of one problem.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from kerbstone.plan.vehicle import Vehicle

States = Float[Array, "step 6 *lane"]
Controls = Float[Array, "step 2 *lane"]


def move(
    state: Float[Array, "6 *lane"], control: Float[Array, "2 *lane"], vehicle: Vehicle, dt: float
) -> Float[Array, "6 *lane"]:
    """Return the state after one step: exact in speed, by the midpoint rule in place.

    References:
        Kong et al., Kinematic and Dynamic Vehicle Models for Autonomous Driving Control Design,
        IV 2015 (rear-axle form).
    """
    x, y, heading, speed, acceleration, steering = state
    jerk, rate = control
    speed_mid = speed + dt / 2 * acceleration + dt * dt / 8 * jerk
    turn = dt / vehicle.wheelbase * speed_mid * jnp.tan(steering + dt / 2 * rate)
    heading_mid = heading + turn / 2
    return jnp.stack(
        [
            x + dt * speed_mid * jnp.cos(heading_mid),
            y + dt * speed_mid * jnp.sin(heading_mid),
            heading + turn,
            speed + dt * acceleration + dt * dt / 2 * jerk,
            acceleration + dt * jerk,
            steering + dt * rate,
        ]
    )


def roll_out(
    start: Float[Array, "6 *lane"],
    controls: Controls,
    vehicle: Vehicle,
    dt: float,
) -> States:
    """Return the states after each step of `controls`, without the start."""

    def step(state: jax.Array, control: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = move(state, control, vehicle, dt)
        return state, state

    return jax.lax.scan(step, start, controls)[1]


def differentiate(
    states: States, controls: Controls, vehicle: Vehicle, dt: float
) -> tuple[Float[Array, "step *lane"], ...]:
    """Return what changes from step to step in the derivative of `move`.

    Those are the derivatives of x and of y by the heading, the speed half way and the steering
    half way, and those of the heading by the same speed and steering; `riccati.sweep` has the
    constants that go with them.

    Args:
        states: *Before* each step.
        controls: Of each step.
        vehicle: The car.
        dt: Length of a step [s].
    """
    heading, speed, acceleration, steering = (states[:, i] for i in (2, 3, 4, 5))
    jerk, rate = controls[:, 0], controls[:, 1]
    speed_mid = speed + dt / 2 * acceleration + dt * dt / 8 * jerk
    tangent = jnp.tan(steering + dt / 2 * rate)
    gain = dt / vehicle.wheelbase
    cos, sin = (f(heading + gain / 2 * speed_mid * tangent) for f in (jnp.cos, jnp.sin))
    by_speed = gain * tangent
    by_steering = gain * speed_mid * (1 + tangent * tangent)
    way = dt * speed_mid
    return (
        -way * sin,
        dt * cos - way * sin * by_speed / 2,
        -way * sin * by_steering / 2,
        way * cos,
        dt * sin + way * cos * by_speed / 2,
        way * cos * by_steering / 2,
        by_speed,
        by_steering,
    )


def bend(
    states: States,
    controls: Controls,
    worth: Float[Array, "step 6 mode lane"],
    vehicle: Vehicle,
    dt: float,
) -> Float[Array, "step 8 8 mode lane"]:
    """Return the second derivative of `worth · move` by state and control.

    Args:
        states: *Before* each step.
        controls: Of each step.
        worth: What a change of each entry of the state after the step is worth.
        vehicle: The car.
        dt: Length of a step [s].
    """
    heading, speed, acceleration, steering = (states[:, i] for i in (2, 3, 4, 5))
    jerk, rate = controls[:, 0], controls[:, 1]
    speed_mid = speed + dt / 2 * acceleration + dt * dt / 8 * jerk
    tangent = jnp.tan(steering + dt / 2 * rate)
    gain = dt / vehicle.wheelbase
    # Half the turn, by the speed and by the steering half way.
    by_speed = gain / 2 * tangent
    steep = gain * (1 + tangent * tangent)
    by_steering = steep / 2 * speed_mid
    middle = heading + by_speed * speed_mid
    cos, sin = jnp.cos(middle), jnp.sin(middle)
    way = -dt * speed_mid * (worth[:, 0] * cos + worth[:, 1] * sin)
    side = dt * (worth[:, 1] * cos - worth[:, 0] * sin)
    speed_speed = 2 * side * by_speed + way * by_speed**2
    speed_steering = 2 * side * by_steering + way * by_speed * by_steering + worth[:, 2] * steep
    steering_steering = way * by_steering**2 + 2 * tangent * by_steering * (
        side * speed_mid + 2 * worth[:, 2]
    )
    heading_speed = side + way * by_speed
    heading_steering = way * by_steering
    table = jnp.stack(
        [
            jnp.stack([way, heading_speed, heading_steering], axis=1),
            jnp.stack([heading_speed, speed_speed, speed_steering], axis=1),
            jnp.stack([heading_steering, speed_steering, steering_steering], axis=1),
        ],
        axis=1,
    )
    # What each column of state and control changes half way, and how much of it.
    middle = np.array([0, 0, 0, 1, 1, 2, 1, 2])
    part = np.array([0.0, 0.0, 1.0, 1.0, dt / 2, 1.0, dt * dt / 8, dt / 2])
    parts = jnp.asarray(np.outer(part, part)[:, :, None, None], table.dtype)
    return table[:, middle[:, None], middle] * parts
