"""Breaking one assumption of the theorem at a time: each must lead to collisions.

Where no collision follows from a broken assumption, either the assumption is not needed or the
episodes are too tame to tell anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.plan.shield.assumptions import Assumptions, Behaviour, Perception, Tube
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.shield import Decision, Shield
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Kind


@dataclass(frozen=True)
class Break:
    """What is done to an assumption.

    Args:
        wild: The others brake, accelerate and swerve so many times as hard as assumed (A2).
        is_free: The others owe ego nothing (A2).
        seen: Errors of seeing are so many times as large as stated (A3).
        driven: Errors of driving are so many times as large as the tube (A4).
        is_unready: Only starts without a verified fail-safe are played (A1).
        step: Control step [s], and what lies between two steps is not covered (A5); 0 leaves both.
        is_forgetful: The shield does not know where ego must not stop (A6).
        families: What is played, in place of the campaign's families.
    """

    wild: float = 1.0
    is_free: bool = False
    seen: float = 1.0
    driven: float = 1.0
    is_unready: bool = False
    step: float = 0.0
    is_forgetful: bool = False
    families: tuple[str, ...] = ()

    def truth(self, assumed: Assumptions) -> Assumptions:
        """Return what holds in truth."""
        perception = Perception(
            **{name: value * self.seen for name, value in vars(assumed.perception).items()}
        )
        tube = Tube(**{name: value * self.driven for name, value in vars(assumed.tube).items()})
        behaviours: Mapping[Kind, Behaviour] = {
            kind: self._loosen(one) for kind, one in assumed.behaviours.items()
        }
        return replace(
            self.assumed(assumed),
            perception=perception,
            tube=tube,
            behaviours=behaviours,
            default=self._loosen(assumed.default),
        )

    def assumed(self, assumed: Assumptions) -> Assumptions:
        """Return what the shield assumes."""
        if not self.step:
            return assumed
        return replace(assumed, control_step=self.step, covers_intervals=False)

    def _loosen(self, behaviour: Behaviour) -> Behaviour:
        if self.wild == 1.0:
            return behaviour
        names = ("acceleration", "braking", "plane_acceleration", "lateral_speed", "speed")
        return replace(behaviour, **{name: getattr(behaviour, name) * self.wild for name in names})


class ForgetfulShield(Shield):
    """A shield that may not know where ego must not stop, while those who watch it do."""

    def __init__(
        self, road: Road, *, vehicle: Vehicle, assumptions: Assumptions, forgets: bool = False
    ) -> None:
        super().__init__(road, vehicle=vehicle, assumptions=assumptions)
        self._whole = road
        self._known = Road(road.lanes, drivable=road.drivable) if forgets else road

    def start(
        self,
        state: Float64[np.ndarray, "batch 6"],
        surroundings: Surroundings,
        *,
        route: Integer[np.ndarray, " batch"] | None = None,
    ) -> Bool[np.ndarray, " batch"]:
        """Begin episodes, on the road as it is known."""
        self.road = self._known
        ready = super().start(state, surroundings, route=route)
        self.road = self._whole
        return ready

    def step(
        self,
        state: Float64[np.ndarray, "batch 6"],
        nominal: Float64[np.ndarray, "batch *horizon 2"],
        surroundings: Surroundings,
    ) -> Decision:
        """Decide on the road as it is known."""
        self.road = self._known
        decision = super().step(state, nominal, surroundings)
        self.road = self._whole
        return decision


BREAKS: dict[str, Break] = {
    "A1": Break(is_unready=True),
    "A2": Break(wild=1.8, is_free=True),
    "A3": Break(seen=15.0),
    "A4": Break(driven=15.0),
    "A5": Break(step=0.7, families=("walkers", "cyclists", "curve")),
    "A6": Break(is_forgetful=True, families=("crossing",)),
}
"""A way to break each assumption."""
