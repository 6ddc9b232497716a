"""Baselines: rules with the scales of their errors, learned on the same data as the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.world.baselines.forecasts import fit_steady, stand
from kerbstone.world.baselines.gaps import cubic, linear
from kerbstone.world.baselines.manoeuvres import fit_manoeuvres
from kerbstone.world.baselines.neighbours import remember
from kerbstone.world.baselines.scales import Scales, fit_scales
from kerbstone.world.baselines.smoothing import fit_smoother
from kerbstone.world.baselines.tracks import Example, Rule, Tracks
from kerbstone.world.mixture import Mixture

FORECASTS = ("stand", "constant_velocity", "constant_turn_rate", "nearest_neighbour")
"""Baselines that tell the future from the past."""
INFILLS = ("linear", "cubic", "rts")
"""Baselines that tell a gap from both sides of it."""
_FIXED: dict[str, Rule] = {"stand": stand, "linear": linear, "cubic": cubic}
_SEVERAL = ("constant_velocity", "constant_turn_rate", "nearest_neighbour")


@dataclass(frozen=True, eq=False)
class Baseline:
    """A rule, and how large its errors are.

    Args:
        name: Which baseline it is.
        rule: Where it says that road users are.
        scales: Scales of its errors.
    """

    name: str
    rule: Rule
    scales: Scales

    def predict(self, tracks: Tracks) -> Mixture:
        """Return what it says, over all steps of the window.

        Cells that are not asked for are NaN, and so are those that it cannot tell: of road users
        that are not visible before (a forecast) or at all (an infill).
        """
        paths = self.rule(tracks)
        return Mixture(
            weight=paths.weight,
            position=paths.position,
            scale=self.scales.look_up(tracks.group, paths),
            axis=paths.axis,
        )


def fit_baseline(
    name: str, examples: Iterable[Example], *, modes: int = 1, seed: int = 0
) -> Baseline:
    """Fit a baseline to examples of the task that it is for.

    `constant_velocity` and `constant_turn_rate` learn from how many steps motion is best
    estimated, and `rts` how noisy it is. With several modes, the former two become the manoeuvres
    that were learned as changes of them, and `nearest_neighbour` tells as many neighbours. The
    errors of the nearest neighbour are learned on half of the logs, from a memory of the other.

    Args:
        name: One of `FORECASTS` or `INFILLS`.
        examples: What is visible, with the truth; none of a log that is to be tested on.
        modes: How many modes.
        seed: Of all chance.

    Raises:
        UsageError: There is no such baseline, or it has but one mode.
        InputError: There is too little to learn from.
    """
    examples = list(examples)
    if name not in FORECASTS + INFILLS:
        raise UsageError(
            "name",
            f"there is no baseline {name!r}",
            remedy=suggest_name(name, FORECASTS + INFILLS),
        )
    if modes < 1 or (modes > 1 and name not in _SEVERAL):
        raise UsageError(
            "usage",
            f"the baseline {name!r} cannot have {modes} modes",
            why=f"those with several are {', '.join(_SEVERAL)}",
        )
    if name == "nearest_neighbour":
        learned, tested = _halve(examples)
        half = remember(learned, modes=modes, seed=seed)
        rule: Rule = remember(examples, modes=modes, seed=seed)
        return Baseline(name, rule, fit_scales(tested, half, seed=seed))
    if name == "rts":
        rule = fit_smoother(examples, seed=seed)
    elif name in _FIXED:
        rule = _FIXED[name]
    else:
        is_turning = name == "constant_turn_rate"
        rule = (
            fit_steady(examples, is_turning=is_turning)
            if modes == 1
            else fit_manoeuvres(examples, is_turning=is_turning, modes=modes, seed=seed)
        )
    return Baseline(name, rule, fit_scales(examples, rule, seed=seed))


def _halve(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the examples of every other log, and the rest."""
    logs = list(dict.fromkeys(example.log for example in examples))
    if len(logs) < 2:
        raise InputError(
            "empty",
            "the errors of the nearest neighbour need examples of two logs",
            why=f"there is {len(logs)}",
        )
    even = set(logs[::2])
    return (
        [example for example in examples if example.log in even],
        [example for example in examples if example.log not in even],
    )
