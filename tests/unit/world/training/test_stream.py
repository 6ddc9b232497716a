import threading
import time

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.store import Store
from kerbstone.world.training.examples import Order
from kerbstone.world.training.splits import split_store
from kerbstone.world.training.stream import Examples, Stream
from streets import damage_scene
from training_toys import make_toy_example


def scenes_of(store):
    return split_store(store, held_out=["There"]).train


def test_batches_do_not_depend_on_the_number_of_threads(towns):
    def batches(loaders, ahead):
        examples = Examples(towns, Order(scenes_of(towns), seed=1, group=2), make_toy_example)
        with Stream(
            lambda n: examples.batch(n, 4), start=3, loaders=loaders, ahead=ahead
        ) as stream:
            return [next(stream) for _ in range(12)]

    one, many = batches(1, 1), batches(4, 7)
    for a, b in zip(one, many, strict=True):
        assert a.seen.shape == (4, 4)
        np.testing.assert_array_equal(a.seen, b.seen)
        np.testing.assert_array_equal(a.target, b.target)


def test_a_damaged_scene_is_named_and_its_examples_replaced_in_the_same_way_each_time(towns):
    damage_scene(towns, "log-1/0")
    store = Store.open(towns.uri)
    order = Order(scenes_of(store), seed=0, group=3)

    def collect(numbers):
        examples = Examples(store, order, make_toy_example)
        found = {number: examples.example(number) for number in numbers}
        return found, examples.damaged

    there, damaged = collect(range(40))
    back, _ = collect(reversed(range(40)))
    assert list(damaged) == ["log-1/0"]
    assert "store-damaged" in damaged["log-1/0"]
    for number in range(40):
        np.testing.assert_array_equal(there[number].seen, back[number].seen)


def test_a_scene_of_which_no_example_can_be_made_is_damaged(towns):
    def make(window, rng):
        if window.scene == "log-2/0":
            raise InputError("value", "nonsense")
        return make_toy_example(window, rng)

    examples = Examples(towns, Order(scenes_of(towns), seed=0), make)
    examples.batch(0, 20)
    assert examples.damaged == {"log-2/0": "value: nonsense"}


def test_a_scene_that_fails_now_and_then_gives_the_same_examples_in_any_order(towns):
    def make(window, rng):
        if rng.random() < 0.4:
            raise InputError("value", "nonsense")
        return make_toy_example(window, rng)

    order = Order(scenes_of(towns), seed=0)

    def collect(numbers):
        examples = Examples(towns, order, make)
        return {number: examples.example(number) for number in numbers}

    there, back = collect(range(40)), collect(reversed(range(40)))
    for number in range(40):
        np.testing.assert_array_equal(there[number].seen, back[number].seen)


def test_where_all_scenes_are_damaged_the_error_is_raised(towns):
    for number in range(3):
        damage_scene(towns, f"log-{number}/0")
    store = Store.open(towns.uri)
    examples = Examples(store, Order(scenes_of(store), seed=0), make_toy_example)
    with (
        Stream(lambda n: examples.batch(n, 2)) as stream,
        pytest.raises(InputError) as error,
    ):
        next(stream)
    assert error.value.code == "store-damaged"
    assert len(examples.damaged) == 3


def test_windows_with_nothing_in_them_are_passed_over(towns):
    def make(window, rng):
        return None if window.scene != "log-0/0" else make_toy_example(window, rng)

    examples = Examples(towns, Order(scenes_of(towns), seed=0, group=1), make)
    assert examples.batch(0, 8).seen.shape == (8, 4)
    assert not examples.damaged


def test_where_no_window_has_anything_in_it_that_is_told(towns):
    examples = Examples(towns, Order(scenes_of(towns), seed=0), lambda *_: None)
    with pytest.raises(InputError, match="nothing to learn from"):
        examples.example(0)


def test_an_error_in_the_program_is_raised_where_the_batch_would_be():
    def make(number):
        if number == 2:
            raise ZeroDivisionError
        return number

    with Stream(make, ahead=4) as stream:
        assert [next(stream), next(stream)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(stream)


def test_no_more_is_prepared_than_asked_for():
    made, lock = [], threading.Lock()

    def make(number):
        with lock:
            made.append(number)
        return number

    with Stream(make, ahead=3, loaders=2) as stream:
        for _ in range(5):
            next(stream)
        time.sleep(0.05)
        assert sorted(made) == list(range(8))


def test_waiting_is_measured():
    def make(number):
        time.sleep(0.05)
        return number

    with Stream(make, ahead=1) as stream:
        next(stream)
        assert stream.waited > 0.02
        time.sleep(0.15)
        before = stream.waited
        next(stream)
        assert stream.waited - before < 0.02


def test_few_scenes_are_held(towns):
    order = Order(scenes_of(towns), seed=0, group=1)
    examples = Examples(towns, order, make_toy_example)
    for number in range(order.round):
        examples.example(number)
    assert len(examples._groups) <= 2
