from itertools import pairwise

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.training.examples import WINDOW, Order
from kerbstone.world.training.splits import Listed


def scenes(count: int, *, logs: int = 10, cells: int = 1000) -> list[Listed]:
    durations = np.random.default_rng(0).uniform(5, 60, count).round(1)
    return [
        Listed(f"s{i:03}", "made", "", f"log{i % logs}", "1", float(durations[i]), cells)
        for i in range(count)
    ]


def draws(order: Order, start: int, stop: int):
    return [order.draw(number) for number in range(start, stop)]


def test_an_example_follows_from_the_seed_and_its_number_alone():
    one, other = Order(scenes(50), seed=3, group=8), Order(scenes(50), seed=3, group=8)
    there = draws(one, 0, 600)
    back = [other.draw(number) for number in reversed(range(600))][::-1]
    assert there == back
    assert one.rng(7).random() == other.rng(7).random()
    assert draws(Order(scenes(50), seed=4, group=8), 0, 600) != there


def test_examples_and_attempts_have_chances_of_their_own():
    order = Order(scenes(5), seed=0)
    values = {order.rng(n, attempt).random() for n in range(100) for attempt in range(3)}
    assert len(values) == 300


def test_windows_are_in_proportion_to_duration():
    listed = scenes(40)
    order = Order(listed, seed=0)
    counts = np.bincount(
        [draw.scene for draw in draws(order, 0, order.round)], minlength=len(listed)
    )
    durations = np.array([scene.duration for scene in listed])
    expected = order.round * durations / durations.sum()
    assert (np.abs(counts - expected) < 1).all()


def test_each_round_is_shuffled_anew():
    order = Order(scenes(40), seed=0)
    first = [draw.scene for draw in draws(order, 0, order.round)]
    second = [draw.scene for draw in draws(order, order.round, 2 * order.round)]
    assert first != second


def test_starts_are_whole_steps_within_the_scene_over_its_whole_length():
    listed = [Listed("a", "made", "", "l", "1", 30.0, 10), Listed("b", "made", "", "m", "1", 9, 10)]
    order = Order(listed, seed=0)
    found = draws(order, 0, 4000)
    long = np.array([draw.start for draw in found if draw.scene == 0])
    assert np.abs(long * 10 - np.round(long * 10)).max() < 1e-6
    assert long.min() == 0.0
    assert long.max() == pytest.approx(30.0 - WINDOW)
    assert {draw.start for draw in found if draw.scene == 1} == {0.0}


def test_few_scenes_are_needed_at_a_time_and_they_are_of_many_logs():
    order = Order(scenes(200, logs=20), seed=0, group=10)
    found = draws(order, 0, order.round)
    changes = sum(a.group != b.group for a, b in pairwise(found))
    groups = {draw.group for draw in found}
    # Each group is used once, in one piece.
    assert changes == len(groups) - 1
    assert all(draw.scene in draw.group for draw in found)
    assert max(len(group) for group in groups) == 10
    logs = [len({order.scenes[s].log for s in group}) / len(group) for group in groups]
    assert min(logs) > 0.5


def test_a_group_has_no_more_cells_than_fit_into_memory():
    order = Order(scenes(50, cells=900_000), seed=0, group=10)
    groups = {draw.group for draw in draws(order, 0, order.round)}
    assert max(len(group) for group in groups) == 2
    alone = Order(scenes(5, cells=9_000_000), seed=0, group=10)
    assert {len(draw.group) for draw in draws(alone, 0, alone.round)} == {1}


def test_a_window_of_no_use_is_replaced_first_from_its_group_then_from_anywhere():
    order = Order(scenes(100), seed=0, group=5)
    first = order.draw(11)
    near = [order.draw(11, attempt) for attempt in range(1, 9)]
    far = [order.draw(11, attempt) for attempt in range(9, 60)]
    assert all(draw.group == first.group for draw in near)
    assert len({draw.scene for draw in near}) > 1
    assert len({draw.group for draw in far}) > 5
    assert far == [Order(scenes(100), seed=0, group=5).draw(11, a) for a in range(9, 60)]


def test_no_scenes_give_no_examples():
    with pytest.raises(InputError, match="no scenes"):
        Order([], seed=0)
    with pytest.raises(InputError, match="no scenes"):
        Order([Listed("a", "made", "", "l", "1", 0.0, 0)], seed=0)
