"""Learning an affinity through the relaxed assignment, by the likelihood of what was right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from kerbstone.errors import InputError
from kerbstone.label.affinity.examples import Example, LabelledDetections, collect_examples
from kerbstone.label.affinity.model import Affinity, initial_affinity
from kerbstone.label.affinity.transport import relax_assignment
from kerbstone.label.profile import Profile

Weights = dict[str, Array]
Batch = dict[str, Array]
_SMALLEST = 8


@dataclass(frozen=True)
class LearningConfig:
    """How an affinity is learned.

    Args:
        hidden: Hidden units of the network.
        rounds: How often the tracker runs with what was learned so far, to learn from its errors.
        epochs: Passes over all examples in each round.
        batch: Steps of the tracker that are looked at together.
        rate: Learning rate at first; it falls to 0 in each round.
        decay: How fast weights of the network fade, as a share of the rate.
        seed: Of all chance.

    Raises:
        InputError: A value is out of range.
    """

    hidden: int = 24
    rounds: int = 2
    epochs: int = 8
    batch: int = 32
    rate: float = 3e-3
    decay: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("rounds", 1),
            ("epochs", 1),
            ("batch", 1),
            ("decay", 0.0),
            ("seed", 0),
        ):
            if not getattr(self, name) >= least:
                raise InputError(
                    "config", f"{name} is out of range", why=f"{getattr(self, name)}, from {least}"
                )
        if not 0 < self.rate < 1:
            raise InputError(
                "config", "rate is out of range", why=f"{self.rate}, must be in (0, 1)"
            )


@dataclass(frozen=True)
class LearningProgress:
    """How far learning is.

    Args:
        round: Number of the round, from 1.
        epoch: Number of the pass in it, from 1.
        examples: Steps that are learned from.
        loss: Minus the mean log of the mass on what is right, over the epoch.
    """

    round: int
    epoch: int
    examples: int
    loss: float


def learn_affinity(
    logs: Sequence[LabelledDetections],
    profile: Profile,
    config: LearningConfig | None = None,
    *,
    on_progress: Callable[[LearningProgress], object] = lambda _: None,
) -> Affinity:
    """Learn what it costs to pair tracks and detections, from logs whose truth is known.

    In the first round the tracker runs with the hand-made cost, in each next one with what was
    learned before; the examples of all rounds are kept (dataset aggregation). The same logs,
    configuration and machine give the same affinity.

    Args:
        logs: What to learn from; logs of towns to test in must not be among them
            (`split_by_town`).
        profile: What is known of the detector and of road users; tracking needs the same one.
        config: How to learn.
        on_progress: Called after each epoch.

    Raises:
        InputError: In no log is there a choice to learn from.

    References:
        Ross, Gordon and Bagnell, "A Reduction of Imitation Learning and Structured Prediction to
        No-Regret Online Learning", AISTATS 2011.
    """
    config = config or LearningConfig()
    affinity = initial_affinity(hidden=config.hidden, seed=config.seed)
    rng = np.random.default_rng(config.seed)
    examples: list[Example] = []
    for turn in range(config.rounds):
        for log in logs:
            examples += collect_examples(log, profile, affinity if turn else None)
        if not examples:
            raise InputError("empty", "nothing moves near anything: there is no choice to learn")
        affinity = _fit(affinity, examples, config, rng, turn, on_progress)
    return affinity


def score_examples(affinity: Affinity, examples: Sequence[Example], *, batch: int = 32) -> float:
    """Return minus the mean log of the mass that an affinity puts on what is right."""
    weights = _to_weights(affinity)
    total = np.zeros(2)
    for part in _make_batches(examples, batch, None):
        total += np.array(_sum_losses(weights, part))
    return float(total[0] / total[1]) if total[1] > 0 else float("nan")


def _fit(
    affinity: Affinity,
    examples: Sequence[Example],
    config: LearningConfig,
    rng: np.random.Generator,
    turn: int,
    on_progress: Callable[[LearningProgress], object],
) -> Affinity:
    batches = list(_make_batches(examples, config.batch, rng))
    steps = config.epochs * len(batches)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            optax.cosine_decay_schedule(config.rate, steps),
            weight_decay=config.decay,
            mask={name: name in {"inward", "outward"} for name in affinity.arrays()},
        ),
    )
    weights = _to_weights(affinity)
    state = optimizer.init(weights)

    @jax.jit
    def learn(weights: Weights, state: optax.OptState, batch: Batch) -> tuple:
        loss, gradient = jax.value_and_grad(mean_loss)(weights, batch)
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state, loss

    for epoch in range(config.epochs):
        losses = []
        for place in rng.permutation(len(batches)):
            weights, state, loss = learn(weights, state, batches[place])
            losses.append(loss)
        mean = float(np.mean([float(loss) for loss in losses]))
        on_progress(LearningProgress(turn + 1, epoch + 1, len(examples), mean))
    return Affinity(**{name: np.asarray(value, np.float64) for name, value in weights.items()})


def mean_loss(weights: Weights, batch: Batch) -> Float[Array, ""]:
    """Return minus the mean log of the mass on what is right, over all tracks and detections."""
    total, weight = _sum_losses(weights, batch)
    return total / jnp.maximum(weight, 1.0)


@jax.jit
def _sum_losses(weights: Weights, batch: Batch) -> tuple[Array, Array]:
    told = batch["told"]
    hidden = jax.nn.relu(told @ weights["inward"] + weights["threshold"])
    pair_cost = told @ weights["linear"] + hidden @ weights["outward"]
    track_cost = batch["track_told"] @ weights["track"][:-1] + weights["track"][-1]
    row_cost = batch["row_told"] @ weights["row"][:-1] + weights["row"][-1]
    # Pairs that only pad a batch point beyond the last track, where nothing is kept.
    place = (jnp.arange(len(told))[:, None], batch["track"], batch["row"])
    shape = (len(told), track_cost.shape[1], row_cost.shape[1])
    cost = jnp.zeros(shape, told.dtype).at[place].set(pair_cost, mode="drop")
    allowed = jnp.zeros(shape, bool).at[place].set(True, mode="drop")
    right = jnp.zeros(shape, bool).at[place].set(batch["right"], mode="drop")
    plan = relax_assignment(cost, track_cost, row_cost, allowed)
    of_track = _log_mass(plan.pair, right, plan.track, batch["track_alone"], axis=2)
    of_row = _log_mass(plan.pair, right, plan.row, batch["row_alone"], axis=1)
    total = -(of_track * batch["track_weight"]).sum() - (of_row * batch["row_weight"]).sum()
    return total, batch["track_weight"].sum() + batch["row_weight"].sum()


def _log_mass(pair: Array, right: Array, alone: Array, right_alone: Array, *, axis: int) -> Array:
    """Return the log of the mass on the right choices of each track, or of each detection."""
    # Not -inf: the gradient of a sum of nothing is NaN.
    lowest = -1e4
    pairs = jnp.where(right, jnp.maximum(pair, lowest), lowest)
    alone = jnp.where(right_alone, jnp.maximum(alone, lowest), lowest)
    everything = jnp.concatenate([pairs, jnp.expand_dims(alone, axis)], axis=axis)
    return jax.scipy.special.logsumexp(everything, axis=axis)


def _to_weights(affinity: Affinity) -> Weights:
    return {name: jnp.asarray(value) for name, value in affinity.arrays().items()}


def _make_batches(
    examples: Sequence[Example], size: int, rng: np.random.Generator | None
) -> Iterator[Batch]:
    """Give the examples in batches of few shapes, so that few programs are compiled."""
    buckets: dict[tuple[int, int], list[Example]] = defaultdict(list)
    for example in examples:
        side = _round_up(max(len(example.track_told), len(example.row_told)))
        buckets[side, max(2 * side, _round_up(len(example.track)))].append(example)
    for (side, pairs), members in sorted(buckets.items()):
        order = np.arange(len(members)) if rng is None else rng.permutation(len(members))
        for start in range(0, len(members), size):
            part = [members[i] for i in order[start : start + size]]
            yield _stack(part, size, side, pairs)


def _round_up(count: int) -> int:
    """Return the next power of two."""
    return max(_SMALLEST, 1 << (count - 1).bit_length())


def _stack(examples: Sequence[Example], size: int, side: int, pairs: int) -> Batch:
    """Return examples as arrays of one shape; what pads them weighs nothing."""
    arrays = {}
    for name in Example._fields:
        parts = [getattr(example, name) for example in examples]
        is_pair = name in {"told", "track", "row", "right"}
        shape = (size, pairs if is_pair else side, *parts[0].shape[1:])
        kind = parts[0].dtype
        padding = side if name in {"track", "row"} else name.endswith("alone")
        stacked = np.full(shape, padding, kind)
        for place, part in enumerate(parts):
            stacked[place, : len(part)] = part
        arrays[name] = jnp.asarray(stacked)
    return arrays
