"""Plain streets in which little happens, for the tests of searching and choosing among scenes."""

import dataclasses

import lance
import numpy as np
import pyarrow as pa

from kerbstone.scene import Kind, Scene
from kerbstone.store import Store
from roads import EAST, WEST, Track, drive, stage, straight_road, walk

STEPS = 100


def street(
    name: str,
    *,
    speed: float = 10.0,
    lead: float | None = 30.0,
    brake: bool = False,
    walker: bool = False,
    oncoming: int = 1,
    town: str = "Here",
    log: str = "log",
) -> Scene:
    """Return ten seconds of a street: ego, perhaps a leader that brakes, and a walker."""
    profile = np.full(STEPS, speed)
    if brake:
        profile[40:] = np.maximum(speed - 0.6 * np.arange(STEPS - 40), 0.0)
    tracks = [Track("ego", drive(EAST, start=60, speed=speed))]
    if lead is not None:
        tracks.append(Track("lead", drive(EAST, start=60 + lead, speed=profile)))
    tracks += [
        Track(f"other{i}", drive(WEST, start=20 + 25 * i, speed=speed)) for i in range(oncoming)
    ]
    if walker:
        x = -140 + 6 * speed + 12
        tracks.append(Track("walker", walk([x, -8], [x, 8], first=30, last=90), Kind.PEDESTRIAN))
    scene = stage(straight_road(crosswalk=0.0), tracks)
    source = dataclasses.replace(scene.source, town=town, log=log)
    return dataclasses.replace(scene, id=name, source=source)


def put_scenes(store: Store, log: str, *scenes: Scene, fingerprint: str = "1") -> None:
    """Write scenes as one log."""
    store.add(scenes, log=log, fingerprint=fingerprint)


def damage_scene(store: Store, name: str) -> None:
    """Change the states of a scene behind the store's back, as a bad disk would."""
    (part,) = store.parts([name])
    states = lance.dataset(f"{store.uri}/states.lance")
    rows = states.to_table()
    sums = [
        checksum + (owner == part)
        for owner, checksum in zip(
            rows.column("part").to_pylist(), rows.column("checksum").to_pylist(), strict=True
        )
    ]
    place = rows.schema.get_field_index("checksum")
    changed = rows.set_column(place, rows.schema.field(place), pa.array(sums, pa.int64()))
    lance.write_dataset(changed, states.uri, mode="overwrite")
