import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.scene import BoxIndex, Clock, Detections, Kind, detections_from_rows

CLOCK = Clock(start_ns=0, dt_ns=100_000_000, steps=4)


def rows(count=12, seed=0):
    """Return columns of rows in any order."""
    draw = np.random.default_rng(seed)
    box = draw.normal(size=(count, 7)) * 10
    box[:, BoxIndex.HEADING] = draw.uniform(-9, 9, count)
    box[:, BoxIndex.LENGTH :] = draw.uniform(0.5, 5, (count, 3))
    return {
        "step": draw.integers(0, 4, count),
        "box": box,
        "kind": draw.integers(0, len(Kind), count).astype(np.uint8),
        "score": draw.random(count).round(1),
        "std": draw.uniform(0.1, 1, (count, 7)),
        "probability": draw.dirichlet(np.ones(len(Kind)), count),
        "image_box": draw.uniform(0, 100, (count, 4)),
    }


def take(columns, order):
    return {name: value[order] for name, value in columns.items()}


def test_rows_come_by_step_and_then_by_falling_score():
    seen, _, kept = detections_from_rows(clock=CLOCK, **rows())
    assert len(seen) == 12
    assert (np.diff(seen.step) >= 0).all()
    assert ((np.diff(seen.score) <= 0) | (np.diff(seen.step) > 0)).all()
    np.testing.assert_array_equal(seen.score, rows()["score"][kept])
    np.testing.assert_array_equal(seen.image_box, rows()["image_box"][kept])


@given(st.permutations(range(12)))
def test_the_order_of_a_file_changes_nothing(order):
    columns = rows()
    seen, rejects, kept = detections_from_rows(clock=CLOCK, **columns)
    again, same, from_file = detections_from_rows(clock=CLOCK, **take(columns, np.array(order)))
    for name in columns:
        np.testing.assert_array_equal(getattr(seen, name), getattr(again, name))
    np.testing.assert_array_equal(np.array(order)[from_file], kept)
    assert rejects == same


def test_headings_are_wrapped_and_the_rest_is_left_as_it_was():
    columns = rows()
    seen, _, kept = detections_from_rows(clock=CLOCK, **columns)
    turn = (seen.box - columns["box"][kept])[:, BoxIndex.HEADING] / (2 * np.pi)
    np.testing.assert_allclose(turn, np.round(turn), atol=1e-9)
    assert (np.abs(seen.box[:, BoxIndex.HEADING]) <= np.pi).all()
    others = [c for c in BoxIndex if c != BoxIndex.HEADING]
    np.testing.assert_array_equal(seen.box[:, others], columns["box"][kept][:, others])


def test_of_rows_that_repeat_one_another_the_surest_stays():
    columns = take(rows(), np.array([0, 1, 2, 1, 1]))
    columns["score"] = np.array([0.5, 0.3, 0.5, 0.9, 0.4])
    seen, rejects, kept = detections_from_rows(clock=CLOCK, **columns)
    assert (len(seen), rejects.duplicates, rejects.total) == (3, 2, 2)
    assert sorted(kept.tolist()) == [0, 2, 3]


def test_equal_boxes_of_other_steps_or_kinds_are_no_duplicates():
    columns = take(rows(), np.array([0, 0, 0]))
    columns["step"] = np.array([0, 1, 1])
    columns["kind"] = np.array([Kind.CAR, Kind.CAR, Kind.TRUCK], np.uint8)
    _, rejects, kept = detections_from_rows(clock=CLOCK, **columns)
    assert (rejects.total, len(kept)) == (0, 3)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("box", BoxIndex.X, np.nan),
        ("box", BoxIndex.HEADING, np.inf),
        ("box", BoxIndex.LENGTH, 0.0),
        ("box", BoxIndex.WIDTH, -1.0),
        ("box", BoxIndex.HEIGHT, np.nan),
        ("score", None, np.nan),
        ("std", BoxIndex.Y, np.nan),
        ("std", BoxIndex.X, 0.0),
        ("probability", 3, np.nan),
        ("probability", 3, -0.1),
    ],
)
def test_a_row_that_is_no_detection_is_left_out_and_counted(name, column, value):
    columns = rows()
    columns[name][5 if column is None else (5, column)] = value
    seen, rejects, kept = detections_from_rows(clock=CLOCK, **columns)
    assert (rejects.broken, rejects.total, len(seen)) == (1, 1, 11)
    assert 5 not in kept


def test_rows_beyond_the_log_are_left_out_and_counted():
    columns = rows()
    columns["step"][[2, 7]] = -1, 4
    columns["box"][7, 0] = np.nan  # counted once
    _, rejects, kept = detections_from_rows(clock=CLOCK, **columns)
    assert (rejects.outside, rejects.broken, len(kept)) == (1, 1, 10)


def test_all_rows_may_be_left_out():
    columns = rows()
    columns["score"][:] = np.nan
    seen, rejects, kept = detections_from_rows(clock=CLOCK, **columns)
    assert (len(seen), len(kept), rejects.broken) == (0, 0, 12)
    assert seen.starts().tolist() == [0, 0, 0, 0, 0]


def test_what_a_detector_does_not_say_stays_unsaid():
    columns = rows()
    for name in ("std", "probability", "image_box"):
        del columns[name]
    seen, _, _ = detections_from_rows(clock=CLOCK, **columns)
    assert seen.std is seen.probability is seen.image_box is None
    assert len(seen.select(seen.score > 0.5)) == (seen.score > 0.5).sum()


def test_starts_bound_the_rows_of_each_step():
    seen, _, _ = detections_from_rows(clock=CLOCK, **rows())
    bounds = seen.starts()
    assert len(bounds) == 5
    for step in range(4):
        assert (seen.step[bounds[step] : bounds[step + 1]] == step).all()
    assert bounds[-1] == len(seen)


def test_a_selection_keeps_what_belongs_together():
    seen, _, _ = detections_from_rows(clock=CLOCK, **rows())
    some = seen.select(np.array([1, 4, 9]))
    for name in rows():
        np.testing.assert_array_equal(getattr(some, name), getattr(seen, name)[[1, 4, 9]])
    assert some.clock is seen.clock


def sorted_rows():
    seen, _, _ = detections_from_rows(clock=CLOCK, **rows())
    return {name: getattr(seen, name).copy() for name in rows()}


@pytest.mark.parametrize(
    ("name", "row", "value", "code"),
    [
        ("step", 0, 3, "clock"),
        ("step", -1, 4, "clock"),
        ("box", 3, np.nan, "value"),
        ("score", 3, np.inf, "value"),
        ("kind", 3, 200, "value"),
        ("std", 3, -1.0, "value"),
        ("probability", 3, np.nan, "value"),
    ],
)
def test_detections_that_are_none_are_refused(name, row, value, code):
    columns = sorted_rows()
    columns[name][row] = value
    with pytest.raises(InputError) as caught:
        Detections(CLOCK, **columns)
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["box", "kind", "score", "std", "probability", "image_box"])
@pytest.mark.usefixtures("unchecked")
def test_columns_of_other_lengths_are_refused(name):
    columns = sorted_rows()
    columns[name] = columns[name][:-1]
    with pytest.raises(InputError, match=name):
        Detections(CLOCK, **columns)
