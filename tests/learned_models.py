"""A model of scenes for the tests of what a model writes; worker processes import it by name."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from kerbstone.mine.moments.moments import LENGTH, moment_starts
from kerbstone.scene import Kind, Scene
from kerbstone.world.calibrating import calibrate
from kerbstone.world.calibration_file import read_calibration, write_calibration
from kerbstone.world.conformal import Calibration


@dataclass(frozen=True)
class ToyModel:
    """Is surprised by braking, and by chance; its vectors tell of walkers, speeds and the time."""

    version: str
    calibration: Calibration | None = None
    noise: float = 1.0
    broken: str = ""

    def embed(self, scene: Scene):
        start = moment_starts(scene)
        speed = np.where(scene.agents.valid, np.nan_to_num(scene.agents.speed), 0.0)
        steps = [
            slice(round(t / scene.clock.dt), round((t + LENGTH) / scene.clock.dt)) for t in start
        ]
        walks = (scene.agents.kind == Kind.PEDESTRIAN).sum() - 0.5
        spread = [speed[:, part].std() for part in steps]
        change = [np.ptp(speed[:, part], axis=1).max() - 1.0 for part in steps]
        features = [np.full(len(start), 40 * walks), spread, change, np.cos(start)]
        vectors = np.column_stack(features)
        if scene.id == self.broken:
            vectors[0] = np.nan
        duration = np.minimum(LENGTH, scene.clock.duration - start)
        return SimpleNamespace(start=start, duration=duration, vectors=vectors.astype(np.float32))

    def score(self, scene: Scene):
        agents, dt = scene.agents, scene.clock.dt
        start = np.arange(1.0, scene.clock.duration - 0.5)
        shape = (len(agents), len(start))
        seed = int.from_bytes(hashlib.blake2b(scene.id.encode(), digest_size=4).digest())
        nll = self.noise * np.random.default_rng(seed).normal(size=shape)
        steps, speed = np.zeros(shape, int), np.full(shape, np.nan)
        for row, time in enumerate(start):
            first = round(time / dt)
            part = agents.speed[:, first : first + round(LENGTH / dt)]
            steps[:, row] = np.isfinite(part).sum(axis=1)
            speed[:, row] = agents.speed[:, first]
            slower = np.nan_to_num(part[:, :-1] - part[:, 1:]).clip(0).sum(axis=1)
            nll[:, row] += 10 * (slower > 3)
        nll[steps == 0] = np.nan
        baseline = np.full(shape, 2.0)
        return SimpleNamespace(
            ids=agents.ids,
            start=start,
            nll=nll + baseline,
            baseline=baseline,
            steps=steps,
            speed=speed,
        )


def write_toy(folder: Path, scenes, *, version: str = "1", **told) -> Path:
    """Write a model with its calibration by scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"version": version, **told}
    (folder / "toy.json").write_text(json.dumps(told))
    toy = ToyModel(**told)
    write_calibration(calibrate(toy.score, toy.embed, scenes, model=version), folder)
    return folder


def load_toy(path: str) -> ToyModel:
    """Read a model that `write_toy` wrote."""
    folder = Path(path)
    with (folder / "loads.txt").open("a") as log:
        log.write("read\n")
    told = json.loads((folder / "toy.json").read_text())
    return ToyModel(calibration=read_calibration(folder), **told)
