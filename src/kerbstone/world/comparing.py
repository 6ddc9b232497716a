"""What models of different objectives are good for: the same tests for each, all frozen.

Losses of different objectives do not compare. What does is how well the models forecast, where
they can, and what a linear probe reads off what they have learned of road users from their past.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Float64, Int, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.scene import VEHICLES, Kind
from kerbstone.store import Store
from kerbstone.world.baselines import Example, Tracks, fit_baseline
from kerbstone.world.batches import map_batch
from kerbstone.world.drawing import Drawn, draw_windows
from kerbstone.world.embedding import encode_batch
from kerbstone.world.masks import Forecast, Mask
from kerbstone.world.metrics import (
    Interval,
    interval_of,
    interval_of_mean,
    reaches,
    score_forecast,
)
from kerbstone.world.mixture import Mixture
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import Observed, hide
from kerbstone.world.predicting import predict_all, run_model
from kerbstone.world.probes import fit_class_probe, fit_probe
from kerbstone.world.rollout import follow
from kerbstone.world.tokens import Tokens, turn_vectors
from kerbstone.world.training.splits import Split
from kerbstone.world.windows import PATCH, STEP, STEPS_PER_PATCH, Window

PAST = 2.0
"""What is seen before the present [s]: the shortest recordings are of 5 s."""
AHEAD = 3.0
"""How far ahead is asked [s]."""
MODES = 6
OBJECTIVES = ("masked", "next", "contrastive")
BASELINE = "constant velocity / majority"

_PRESENT = round(PAST / STEP) - 1
_LEAST_STEPS = 10
"""Whose kind is asked for is seen in so many steps."""
_CLASSES = 3
_CLASS_OF = np.full(len(Kind), -1, np.int64)
_CLASS_OF[[*VEHICLES]] = 0
_CLASS_OF[[Kind.CYCLIST, Kind.RIDER]] = 1
_CLASS_OF[Kind.PEDESTRIAN] = 2
_UNKNOWN = Interval(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class ComparedRow:
    """How an objective's model does at the tests, on held-out windows, with 95 % over logs.

    What an objective cannot tell is NaN.

    Args:
        name: The objective, or `BASELINE`.
        min_ade_1: Mean distance of the most probable forecast, of those who are there after 3 s
            [m].
        min_ade_6: The same of the one of six forecasts that ends nearest [m].
        displacement: Error of a linear probe for where somebody is after 3 s [m].
        kind: Balanced accuracy of one for vehicle, cyclist or pedestrian, kind and size hidden.
    """

    name: str
    min_ade_1: Interval
    min_ade_6: Interval
    displacement: Interval
    kind: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is not defined is None."""
        tests = ("min_ade_1", "min_ade_6", "displacement", "kind")
        return {"name": self.name} | {test: _plain(getattr(self, test)) for test in tests}


def compare_objectives(
    models: Mapping[str, SceneModel],
    store: Store,
    split: Split,
    *,
    windows: int = 100,
    seed: int = 0,
    on_result: Callable[[int], object] = lambda _: None,
) -> list[ComparedRow]:
    """Return how models do at the same tests: a row for the trivial baseline, and one for each.

    A model forecasts as it was trained: `masked` what is hidden, `next` by following itself six
    times, of which the first takes the most probable modes; `contrastive` does not. The probes
    read the token of the present and the mean of those of the past; the future is not there. They
    are fitted on windows of the training side, and judged on held-out ones, as all else is. The
    baseline goes on at constant velocity, with six learned manoeuvres where six forecasts count,
    and says that everybody is of the same kind.

    Args:
        models: The models, by the names of their objectives.
        store: The store, at the version of the split.
        split: What the models were trained on, and what was held out.
        windows: Windows of each side, at most.
        seed: Of all chance.
        on_result: Called with 1 after each model.

    Raises:
        UsageError: An objective is not known.
        InputError: No window of a side has anybody to be forecast.
    """
    for name in models:
        if name not in OBJECTIVES:
            raise UsageError(
                "name", f"there is no objective {name!r}", remedy=suggest_name(name, OBJECTIVES)
            )
    sides = [
        _Side.of(draw_windows(store, scenes, windows, past=PAST, ahead=AHEAD, seed=seed), seed)
        for scenes in (split.train, split.held_out)
    ]
    learned, judged = sides
    rows = [_judge_baseline(learned, judged, seed)]
    for name, model in models.items():
        mixtures = _forecast(name, model, judged, seed)
        nothing = (_UNKNOWN, _UNKNOWN)
        rows.append(
            ComparedRow(
                name,
                *(nothing if mixtures is None else _score(mixtures, mixtures, judged)),
                _probe_displacement(name, model, learned, judged),
                _probe_kind(name, model, learned, judged),
            )
        )
        on_result(1)
    return rows


@dataclass(frozen=True, eq=False)
class _Side:
    """Windows of a side of the split, and who is asked about in them.

    Args:
        drawn: The windows.
        observed: What is left of them without the future.
        there: Who is seen at the present and after 3 s.
        classes: The class of each road user.
        named: Whose class is asked for.
    """

    drawn: list[Drawn]
    observed: list[Observed]
    there: list[Int64[np.ndarray, " chosen"]]
    classes: list[Int64[np.ndarray, " agent"]]
    named: list[Int64[np.ndarray, " chosen"]]

    @classmethod
    def of(cls, drawn: list[Drawn], seed: int) -> _Side:
        windows = [each.window for each in drawn]
        rng = np.random.default_rng(seed)
        there = [np.flatnonzero(w.valid[:, _PRESENT] & w.valid[:, -1]) for w in windows]
        if not any(map(len, there)):
            raise InputError(
                "empty",
                "there is nobody to compare forecasts of",
                why=f"in {len(windows)} windows nobody is seen both now and {AHEAD:g} s later",
                remedy="ingest longer logs, or more of them",
            )
        classes = [_CLASS_OF[w.kind] for w in windows]
        long = [w.valid[:, : _PRESENT + 1].sum(axis=1) >= _LEAST_STEPS for w in windows]
        return cls(
            drawn,
            [hide(window, Forecast(PAST)(window, rng)) for window in windows],
            there,
            classes,
            [
                np.flatnonzero(w.valid[:, _PRESENT] & seen & (of >= 0))
                for w, seen, of in zip(windows, long, classes, strict=True)
            ],
        )

    def logs(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Return the log of each of some road users of the windows."""
        names = [each.log for each in self.drawn]
        return np.repeat(np.array(names, object), [len(some) for some in rows])

    @property
    def kinds(self) -> Int64[np.ndarray, " item"]:
        """The class of everybody whose class is asked for."""
        pairs = zip(self.classes, self.named, strict=True)
        return np.concatenate([of[some] for of, some in pairs])


def _judge_baseline(learned: _Side, judged: _Side, seed: int) -> ComparedRow:
    examples = [
        Example.of(each.window, left, log=each.log)
        for each, left in zip(learned.drawn, learned.observed, strict=True)
    ]
    tracks = [Tracks.of(left) for left in judged.observed]
    one, six = (
        [
            fit.predict(each)
            for fit in [fit_baseline("constant_velocity", examples, modes=modes, seed=seed)]
            for each in tracks
        ]
        for modes in (1, MODES)
    )
    truth = judged.kinds
    majority = np.bincount(learned.kinds, minlength=_CLASSES).argmax()
    pairs = zip(one, judged.drawn, strict=True)
    error = [score_forecast(m, d.window.position, _ask(d.window)).min_fde for m, d in pairs]
    return ComparedRow(
        BASELINE,
        *_score(one, six, judged),
        interval_of_mean(_choose(error, judged.there), judged.logs(judged.there)),
        _balance(np.full(len(truth), majority), truth, judged.logs(judged.named)),
    )


def _forecast(name: str, model: SceneModel, side: _Side, seed: int) -> list[Mixture] | None:
    """Return a model's forecasts, None where its objective makes none."""
    if name == "masked":
        return [each.mixture for each in predict_all(model, side.observed)]
    if name == "next":
        rng = np.random.default_rng(seed)
        return [
            follow(model, left, rng, samples=MODES, leads=True).to_mixture()
            for left in side.observed
        ]
    return None


def _score(
    one: Sequence[Mixture], six: Sequence[Mixture], side: _Side
) -> tuple[Interval, Interval]:
    """Return the errors of the most probable forecast, and of the best of six."""
    found = []
    for mixtures, modes in ((one, 1), (six, MODES)):
        pairs = zip(mixtures, side.drawn, strict=True)
        scores = [
            score_forecast(m, d.window.position, _ask(d.window), modes=modes).min_ade
            for m, d in pairs
        ]
        found.append(interval_of_mean(_choose(scores, side.there), side.logs(side.there)))
    return found[0], found[1]


def _ask(window: Window) -> np.ndarray:
    """Return the cells of the future of all who are there at the present and at its end."""
    valid = window.valid & window.valid[:, _PRESENT, None]
    valid[:, : _PRESENT + 1] = False
    return reaches(valid, window.steps - 1)


def _probe_displacement(name: str, model: SceneModel, learned: _Side, judged: _Side) -> Interval:
    known, asked = (_read(name, model, side, side.there, hides=False) for side in (learned, judged))
    log = learned.logs(learned.there)
    told = np.stack(
        [fit_probe(known.features, known.way[:, k], log)(asked.features) for k in (0, 1)], axis=1
    )
    return interval_of_mean(np.hypot(*(told - asked.way).T), judged.logs(judged.there))


def _probe_kind(name: str, model: SceneModel, learned: _Side, judged: _Side) -> Interval:
    if len(np.unique(learned.kinds)) < 2 or not len(judged.kinds):
        return _UNKNOWN
    known, asked = (_read(name, model, side, side.named, hides=True) for side in (learned, judged))
    log = learned.logs(learned.named)
    probe = fit_class_probe(known.features, learned.kinds, log, classes=_CLASSES)
    return _balance(probe(asked.features), judged.kinds, judged.logs(judged.named))


def _balance(told: np.ndarray, truth: np.ndarray, log: np.ndarray) -> Interval:
    """Return the balanced accuracy; NaN where there is but one class to tell."""
    if len(np.unique(truth)) < 2:
        return _UNKNOWN
    right = told == truth

    def mean_recall(rows: np.ndarray) -> float:
        recalls = [right[rows][truth[rows] == each].mean() for each in np.unique(truth[rows])]
        return float(np.mean(recalls))

    return interval_of(mean_recall, log)


@dataclass(frozen=True, eq=False)
class _Read:
    """What a model has learned of road users, and which way they went, in their own frames."""

    features: Float64[np.ndarray, "item feature"]
    way: Float64[np.ndarray, "item 2"]


def _read(
    name: str, model: SceneModel, side: _Side, rows: Sequence[np.ndarray], *, hides: bool
) -> _Read:
    """Return what is learned of some road users of windows whose future is not there.

    Args:
        name: The objective; a model that was trained to see nothing later still does not.
        model: The model.
        side: The windows.
        rows: The road users of each, all seen at the present.
        hides: Whether kinds and sizes are hidden.
    """
    past = [_keep_past(each.window) for each in side.drawn]
    masks = [replace(Mask.nothing(w), types=np.full(len(w), hides)) for w in past]
    seen = [hide(window, mask) for window, mask in zip(past, masks, strict=True)]
    program = _encode_causal if name == "next" else encode_batch
    width = model.config.width
    features, ways = [np.zeros((0, 2 * width))], [np.zeros((0, 2))]
    results = run_model(program, model, seen)
    for ((tokens,), frame), each, some in zip(results, side.drawn, rows, strict=True):
        there = frame.observed.window.valid_patch[..., None]
        own = np.asarray(tokens[: len(frame.rows)], np.float64)
        mean = (own * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        full = np.zeros((len(each.window), 2 * width))
        full[frame.rows] = np.concatenate([own[:, -1], mean], axis=1)
        axis = np.zeros(len(each.window))
        axis[frame.rows] = frame.anchors.heading[:, -1]
        way = each.window.position[some, -1] - each.window.position[some, _PRESENT]
        features.append(full[some])
        ways.append(turn_vectors(way, -axis[some]))
    return _Read(np.concatenate(features), np.concatenate(ways))


@eqx.filter_jit
def _encode_causal(
    model: SceneModel, tokens: Tokens, count: Int[ArrayLike, ""]
) -> tuple[Float[Array, "sample agent patch width"]]:
    return (map_batch(lambda each: model.encode(each, is_causal=True).tokens, tokens, count),)


def _keep_past(window: Window) -> Window:
    """Return what a window holds up to the present."""
    steps = round(PAST / PATCH) * STEPS_PER_PATCH
    return replace(
        window,
        position=window.position[:, :steps],
        heading=window.heading[:, :steps],
        valid=window.valid[:, :steps],
        light_state=window.light_state[:, :steps],
        is_recorded=None if window.is_recorded is None else window.is_recorded[:steps],
        sources=None if window.sources is None else window.sources[:, :steps],
    )


def _choose(values: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([each[some] for each, some in zip(values, rows, strict=True)])


def _plain(interval: Interval) -> dict[str, float | int | None]:
    ends = {name: getattr(interval, name) for name in ("value", "low", "high")}
    told = {name: float(end) if np.isfinite(end) else None for name, end in ends.items()}
    return {**told, "logs": interval.logs}
