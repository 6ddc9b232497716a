"""The geometry of `kerbstone.scene` against Shapely for the same answers.

    python benchmarks/bench_scene.py

Shapely's geometries are made before the clock starts, which favours it: the row "box corners"
shows what making them costs.
"""

from __future__ import annotations

import numpy as np
import shapely
import shapely.affinity

from kerbstone.scene import LaneIndex, LaneKind, MapBuilder, PieceKind, boxes
from kerbstone.scene.frenet import project, project_packed
from kerbstone.scene.polylines import Segments, interpolate, resample, resample_packed
from timing import compare, print_rows, write_results

PAIRS = 100_000
TOWN_LANES = 500
TOWN_SIZE = 1000.0


def random_boxes(rng, number=PAIRS):
    """Boxes of which about one pair in five overlaps."""
    return np.column_stack(
        [
            rng.uniform(-6, 6, (number, 2)),
            rng.uniform(-np.pi, np.pi, number),
            rng.uniform([0.5, 0.3], [8, 3], (number, 2)),
        ]
    )


def random_line(rng, vertices):
    return np.cumsum(rng.normal([2, 0], [0.3, 0.6], (vertices, 2)), axis=0)


def shapely_corners(rows):
    """Build the same boxes as Shapely's users do: it turns them one at a time."""
    return np.array(
        [
            shapely.affinity.translate(
                shapely.affinity.rotate(
                    shapely.box(-length / 2, -width / 2, length / 2, width / 2),
                    heading,
                    origin=(0, 0),
                    use_radians=True,
                ),
                x,
                y,
            )
            for x, y, heading, length, width in rows
        ]
    )


def outlines_apart(corners, polygons):
    """Return how far the corners lie from the outlines of the polygons at most."""
    points = shapely.points(corners)
    return float(shapely.distance(shapely.boundary(polygons)[:, None], points).max())


def box_cases(rng):
    first, second = random_boxes(rng), random_boxes(rng)
    few = first[:2_000]
    yield (
        f"box corners ({len(few)})",
        lambda: boxes.box_corners_bev(few),
        lambda: shapely_corners(few),
        outlines_apart,
    )
    left, right = (shapely.polygons(boxes.box_corners_bev(rows)) for rows in (first, second))
    points = first[:, :2] + rng.uniform(-3, 3, (PAIRS, 2))
    queries = shapely.points(points)

    def shapely_area():
        return shapely.area(shapely.intersection(left, right))

    def shapely_iou():
        shared = shapely_area()
        return shared / (shapely.area(left) + shapely.area(right) - shared)

    yield (
        "boxes overlap",
        lambda: boxes.boxes_overlap(first, second),
        lambda: shapely.intersects(left, right),
        largest_difference,
    )
    yield (
        "box distance, overlap as 0",
        lambda: np.maximum(boxes.box_distance(first, second), 0),
        lambda: shapely.distance(left, right),
        largest_difference,
    )
    yield (
        "intersection area",
        lambda: boxes.bev_intersection_area(first, second),
        shapely_area,
        largest_difference,
    )
    yield "IoU", lambda: boxes.bev_iou(first, second), shapely_iou, largest_difference
    yield (
        "points in boxes",
        lambda: boxes.points_in_boxes(points, first),
        lambda: shapely.covers(left, queries),
        largest_difference,
    )


def line_cases(rng):
    for vertices in (11, 31, 101):
        line = random_line(rng, vertices)
        points = line[rng.integers(0, vertices, PAIRS)] + rng.uniform(-20, 20, (PAIRS, 2))
        yield projection_case(f"project onto {vertices} vertices", line, points)

    lines = [random_line(rng, vertices) for vertices in rng.integers(5, 40, 2_000)]
    segments = Segments.from_packed(
        np.concatenate(lines), np.cumsum([0] + [len(line) for line in lines])
    )
    of = rng.integers(0, len(lines), PAIRS)
    points = np.array([line[0] for line in lines])[of] + rng.uniform([0, -20], [80, 20], (PAIRS, 2))
    strings, queries = (
        np.array([shapely.linestrings(line) for line in lines])[of],
        points_of(points),
    )

    def ours():
        found = project_packed(points, segments, of)
        return np.stack([found.s, np.abs(found.d)])

    yield (
        "project onto 2,000 lines",
        ours,
        lambda: located(strings, queries),
        largest_difference,
    )

    line = random_line(rng, 31)
    string = shapely.linestrings(line)
    s = rng.uniform(0, string.length, PAIRS)
    yield (
        "interpolate",
        lambda: interpolate(line, s),
        lambda: shapely.get_coordinates(shapely.line_interpolate_point(string, s)),
        largest_difference,
    )
    yield (
        "resample 200 lines one by one",
        lambda: np.stack([resample(line, number=40) for line in lines[:200]]),
        lambda: np.concatenate([shapely_resample([line]) for line in lines[:200]]),
        largest_difference,
    )
    offsets = np.cumsum([0] + [len(line) for line in lines])
    vertices = np.concatenate(lines)
    yield (
        "resample 2,000 lines at once",
        lambda: resample_packed(vertices, offsets, number=40),
        lambda: shapely_resample(lines),
        largest_difference,
    )


def projection_case(name, line, points):
    string, queries = shapely.linestrings(line), points_of(points)
    shapely.prepare(string)

    def ours():
        found = project(points, line)
        return np.stack([found.s, np.abs(found.d)])

    return name, ours, lambda: located(string, queries), largest_difference


def lane_cases(rng):
    town = MapBuilder()
    for i in range(TOWN_LANES):
        # A line that bends, every half metre a vertex, as maps of recorded roads have them.
        along = np.arange(0, 100, 0.5)
        turn = np.cumsum(np.full(along.size, rng.normal(0, 0.005))) + rng.uniform(0, 2 * np.pi)
        line = np.cumsum(0.5 * np.column_stack([np.cos(turn), np.sin(turn)]), axis=0)
        piece = town.add_piece(PieceKind.LANE_CENTRE, line + rng.uniform(0, TOWN_SIZE, 2))
        town.add_lane(str(i), LaneKind.VEHICLE, piece)
    index = LaneIndex(town.build("town"))
    points = rng.uniform(0, TOWN_SIZE, (PAIRS, 2))
    queries, surfaces = points_of(points), index.surfaces
    tree = shapely.STRtree(surfaces)
    index.lanes_at(points[:1])

    def ours():
        return np.stack(index.lanes_at(points))

    def shapely_tree():
        found, surface = tree.query(queries, predicate="intersects")
        order = np.lexsort((surface, found))
        return np.stack([found[order], surface[order]])

    yield f"lanes at points, {TOWN_LANES} lanes", ours, shapely_tree, largest_difference


def located(lines, points):
    return np.stack([shapely.line_locate_point(lines, points), shapely.distance(lines, points)])


def shapely_resample(lines):
    strings = np.array([shapely.linestrings(line) for line in lines])
    points = shapely.line_interpolate_point(
        strings[:, None], np.linspace(0, 1, 40), normalized=True
    )
    return shapely.get_coordinates(points).reshape(len(lines), 40, 2)


points_of = shapely.points


def largest_difference(ours, peer):
    return float(np.abs(ours.astype(float) - peer.astype(float)).max())


def main():
    rng = np.random.default_rng(20)
    rows = []
    for name, ours, peer, difference in (
        *box_cases(rng),
        *line_cases(rng),
        *lane_cases(rng),
    ):
        row = compare(ours, peer).row(name, peer="shapely")
        rows.append(row | {"max_difference": difference(ours(), peer())})
    print_rows(f"scene geometry, {PAIRS:,} pairs, Shapely {shapely.__version__}", rows)
    print(f"\nwritten to {write_results('scene', rows).name}")


if __name__ == "__main__":
    main()
