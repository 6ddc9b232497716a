"""A scene whose source, map, ego poses and sensors are read when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from kerbstone.scene import Camera, EgoPoses, Lidar, Map, Scene, Source


class _Late:
    """A field that is read when it is first asked for, and kept."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, scene: Any, owner: type) -> Any:
        if scene is None:
            return self
        # It is no data descriptor: from now on the instance's own entry comes first.
        value = scene.__dict__[self._name] = scene._load(self._name)  # noqa: SLF001 - its own field
        return value


def _late() -> Any:
    return _Late()


class StoredScene(Scene):
    """A scene of a store, which reads at once only its agents and what changes with time.

    It is a `Scene` in every respect; to another process it goes as a plain one, whole.
    """

    source: Source = _late()
    map: Map | None = _late()
    ego_poses: EgoPoses | None = _late()
    cameras: tuple[Camera, ...] = _late()
    lidars: tuple[Lidar, ...] = _late()

    @classmethod
    def late(cls, load: Callable[[str], Any], **known: Any) -> StoredScene:
        """Return a scene of some known fields.

        Args:
            load: Returns the value of one of the other fields by its name.
            known: `id`, `clock`, `agents`, `ego` and `signals`.
        """
        scene = cls.__new__(cls)
        scene.__dict__.update(known, _load=load)
        scene.__post_init__()
        return scene

    def window_steps(self, first: int, steps: int) -> Scene:
        """Return `steps` time steps from step `first` on, as a view."""
        scene = type(self).__new__(type(self))
        scene.__dict__.update(
            self.__dict__,
            clock=self.clock.window(first, steps),
            agents=self.agents.window(first, steps),
            signals=None if self.signals is None else self.signals.window(first, steps),
        )
        return scene

    def __reduce__(self) -> tuple[Any, ...]:
        return Scene, tuple(getattr(self, field.name) for field in fields(Scene))
