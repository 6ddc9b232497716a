"""Made-up KITTI labels and results with every fault that an evaluator has a rule for.

They come from a seed by Python's own generator, whose `random()` never changes, so that figures
which other evaluators gave for them can be held in a test.
"""

import random
from pathlib import Path

NEIGHBOURS = {"Car": "Van", "Pedestrian": "Person", "Cyclist": "Misc"}
SIZES = {"Car": (1.5, 1.7, 4.2), "Pedestrian": (1.75, 0.7, 0.9), "Cyclist": (1.7, 0.6, 1.8)}
REGIONS = ((100.0, 120.0, 330.0, 260.0), (800.0, 100.0, 1010.0, 240.0))


def write_sequences(
    folder: Path, kind: str, *, seed: int, sequences: int = 3, neighbour: str = ""
) -> tuple[Path, Path]:
    """Write labels and results of some sequences, and return their folders."""
    truth, result = folder / "label_02", folder / "result"
    truth.mkdir()
    result.mkdir()
    draw = random.Random(seed)
    for number in range(sequences):
        labels, results = _make_sequence(draw, kind, neighbour or NEIGHBOURS[kind])
        for path, lines in ((truth, labels), (result, results)):
            text = "\n".join(line for _, line in sorted(lines, key=lambda line: line[0]))
            (path / f"{number:04d}.txt").write_text(text + "\n")
    return truth, result


def _make_sequence(draw, kind, neighbour, frames=40, objects=14):
    labels, results = [], []
    for frame in range(frames):
        for left, top, right, bottom in REGIONS:
            region = f"{left} {top} {right} {bottom}"
            line = f"{frame} -1 DontCare -1 -1 -10 {region} -1000 -1000 -1000 -10 -1 -1 -1"
            labels.append((frame, line))
    fresh = iter(range(1, 10_000))
    for track in range(objects):
        name = neighbour if draw.random() < 0.2 else kind
        size = [side * (0.9 + 0.2 * draw.random()) for side in SIZES[kind]]
        x, y, z = 24 * draw.random() - 12, 1.4 + 0.5 * draw.random(), 6 + 45 * draw.random()
        vx, vz, turn = draw.random() - 0.5, 1.4 * draw.random() - 0.7, 6 * draw.random() - 3
        born = int(frames / 2 * draw.random())
        dies = born + 3 + int(frames * draw.random())
        sway = draw.random()
        said, score, noise = next(fresh), 5 * draw.random(), 0.02 + 0.2 * draw.random()
        for frame in range(born, min(frames, dies)):
            x, z = x + vx, max(4.0, z + vz)
            truncated = 1 if draw.random() < 0.05 else 0
            occluded = int(4 * draw.random()) if sway < 0.4 else 0
            if draw.random() > 0.03:  # labels have holes, too
                box = _line(size, (x, y, z), turn)
                state = f"{truncated} {occluded}"
                labels.append((frame, f"{frame} {track} {name} {state} 0.0 {box}"))
            if draw.random() < 0.04:
                said = next(fresh)
            if draw.random() < 0.85:
                place = [v + noise * (draw.random() - 0.5) * 2 for v in (x, y, z)]
                sides = [v * (1 + noise * (draw.random() - 0.5)) for v in size]
                box = _line(sides, place, turn + 0.3 * (draw.random() - 0.5))
                sure = score + draw.random()
                results.append((frame, f"{frame} {said} {kind} 0 0 0.0 {box} {sure:.4f}"))
            if draw.random() < 0.08:  # a second box on the same object, of another track
                box = _line(size, (x + 0.3, y, z + 0.2), turn)
                other = 20_000 + track
                results.append((frame, f"{frame} {other} {kind} 0 0 0.0 {box} {score:.4f}"))
    for ghost in range(6):  # what was never there
        x, z, score = 24 * draw.random() - 12, 6 + 45 * draw.random(), 4 * draw.random()
        for frame in range(int(20 * draw.random()), 35, 2):
            box = _line(SIZES[kind], (x, 1.6, z), 0.1)
            ident = 30_000 + ghost
            results.append((frame, f"{frame} {ident} {kind} 0 0 0.0 {box} {score:.4f}"))
    return labels, results


def _line(size, place, turn):
    """Return image box, size, bottom centre and turn as the columns of a KITTI file."""
    (height, width, length), (x, y, z) = size, place
    across = max(width, length)
    left, right = (610 + 720 * (x + side * across / 2) / z for side in (-1, 1))
    top, bottom = (175 + 720 * (y - rise) / z for rise in (height, 0))
    values = (left, top, right, bottom, height, width, length, x, y, z, turn)
    return " ".join(f"{value:.4f}" for value in values)
