"""What is usual for a trained model: its calibration, by the scenes that it was not trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice, zip_longest
from pathlib import Path

from kerbstone.errors import InputError
from kerbstone.scene import Scene
from kerbstone.store import Store
from kerbstone.world.calibrating import calibrate
from kerbstone.world.calibration_file import read_calibration, write_calibration
from kerbstone.world.model_version import version_of
from kerbstone.world.regions import fit_regions, read_regions, write_regions
from kerbstone.world.training.model_file import read_model
from kerbstone.world.training.splits import Listed, hash_name, name_places

_LONGEST = 60.0
"""Of a scene no more than this is looked at [s]."""
_COVERED = 4
"""Regions are told by so many times as many scenes as surprise is: they are of many classes."""


def keep_calibrated(
    folder: Path | str,
    store: Store,
    held_out: Sequence[Listed],
    *,
    scenes: int,
    on_scene: Callable[[int, int], object] = lambda *_: None,
) -> bool:
    """Write what is usual for the model in a folder, where it is not known for this model.

    That is its calibration (by how much road users surprise it) and its regions (which of them
    hold how many truths). Half of the held-out logs tell it; the others are left to test it with.

    Args:
        folder: The run's folder.
        store: The store, at the version of the run.
        held_out: The scenes that it was not trained on.
        scenes: By how many of them to tell surprise, evenly over data sets and towns. Regions are
            told by some windows of four times as many, which costs less.
        on_scene: Called with how many scenes were looked at, and with how many will be, at first
            and after each.

    Returns:
        Whether it is known: not where nobody is seen for long enough.
    """
    version = version_of(folder)
    try:
        if read_calibration(folder).model == read_regions(folder).model == version:
            return True
    except InputError:
        pass  # none, or a damaged one: it is made anew
    chosen = choose_evenly(halve_logs(held_out), _COVERED * scenes)
    from kerbstone.world.covering import cover_cells
    from kerbstone.world.embedding import embed_scene
    from kerbstone.world.scoring import score_scene

    model, _ = read_model(folder)
    looks = count()
    total = len(chosen[:scenes]) + len(chosen)
    on_scene(next(looks), total)

    def beginnings(most: int) -> Iterator[Scene]:
        for _, scene in store.read([scene.id for scene in chosen[:most]]):
            if not isinstance(scene, InputError):  # a damaged one is told of by the training
                yield scene.window(0.0, min(_LONGEST, scene.clock.duration))
            on_scene(next(looks), total)

    try:
        calibration = calibrate(
            partial(score_scene, model),
            partial(embed_scene, model),
            beginnings(scenes),
            model=version,
        )
        level, cells, scene_of = cover_cells(model, beginnings(len(chosen)))
        datasets = {scene.id: scene.dataset for scene in chosen}
        places = dict(zip(datasets, name_places(chosen), strict=True))
        regions = fit_regions(
            level,
            cells,
            [datasets[name] for name in scene_of],
            [places[name] for name in scene_of],
            model=version,
            scenes=tuple(datasets),
        )
    except InputError as error:
        if error.code != "empty":
            raise
        return False
    write_regions(regions, folder)
    write_calibration(calibration, folder)
    return True


def halve_logs(scenes: Sequence[Listed]) -> list[Listed]:
    """Return the scenes of half of the logs of each data set: of every other one, town by town.

    Which they are follows from the names of the towns and logs alone. Of a single log it is that.

    Args:
        scenes: The scenes.
    """
    logs: dict[str, set[tuple[float, float, str]]] = defaultdict(set)
    for scene in scenes:
        # By hashes: in the order of names one half could have all that drive on one side.
        logs[scene.dataset].add((hash_name(scene.town), hash_name(scene.log), scene.log))
    kept = {log for names in logs.values() for _, _, log in sorted(names)[::2]}
    return [scene for scene in scenes if scene.log in kept]


def choose_evenly(scenes: Sequence[Listed], most: int) -> list[Listed]:
    """Return some of many scenes: in turn one of each data set, and of these of each town.

    Args:
        scenes: The scenes.
        most: How many, at most. Those of a town come as if drawn: what comes first by length or
            by name may be odd.
    """
    towns: dict[str, dict[str, list[Listed]]] = defaultdict(lambda: defaultdict(list))
    for scene in sorted(scenes, key=lambda each: (hash_name(each.id), each.id)):
        towns[scene.dataset][scene.town].append(scene)
    # In turn over the towns within each data set, then in turn over the data sets.
    queues = [list(_in_turn(list(places.values()))) for _, places in sorted(towns.items())]
    return list(islice(_in_turn(queues), most))


def _in_turn(queues: Sequence[Sequence[Listed]]) -> Iterator[Listed]:
    for round_ in zip_longest(*queues):
        yield from (each for each in round_ if each is not None)
