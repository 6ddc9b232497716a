"""What the store's tests let other processes do; they import it by name."""

import os
import time
from pathlib import Path

import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.store import Store, table
from kerbstone.store.index import NoIndex
from scenes import random_scene


def double(number):
    return 2 * number


def fail_on_odd(number):
    """Halve a number, and fail in every way that a worker can."""
    if number == 1:
        raise InputError("value", "one is odd", where="the numbers")
    if number == 3:
        os._exit(7)
    if number == 5:
        raise ZeroDivisionError("five")
    return number // 2


def sleep(seconds):
    Path(f"{os.getpid()}.asleep").touch()
    time.sleep(seconds)


def write_logs(work):
    """Add logs of two scenes each, all at the same time as the other processes do."""
    uri, name, logs, crowd = work
    # Tidy at every turn, so that files are joined while others write.
    table._MANY_FRAGMENTS = {"scenes": 2, "states": 2, "sensors": 2, "pieces": 2, "maps": 2}
    table._TIDY_EVERY = 1
    Path(uri, f"{name}.ready").touch()
    while len(list(Path(uri).glob("*.ready"))) < crowd:
        time.sleep(0.01)
    store = Store.open(uri)
    with store.run(command=f"write {name}") as run:
        for log in logs:
            scenes = [random_scene(10 * log + i, steps=70, has_poses=False) for i in range(2)]
            events = pa.table({"scene": [scene.id for scene in scenes]})
            store.put_rows("events", events, log=f"log-{log}", run=run.id)
            added = store.add(scenes, log=f"log-{log}", fingerprint="1", run=run.id)
            run.metrics["scenes"] = run.metrics.get("scenes", 0) + added
    return run.metrics["scenes"]


def make_tables(work):
    """Make tables and append a row to each, all at the same time as the other processes do."""
    folder, number, names, crowd = work
    schema = pa.schema([("number", pa.int64())])
    deadline = time.monotonic() + 60
    for name in names:
        Path(folder, f"{name}-{number}.ready").touch()
        # If one of them fails, the others do not wait for ever.
        while len(list(Path(folder).glob(f"{name}-*.ready"))) < crowd:
            assert time.monotonic() < deadline
        made = table.Table(folder, name, NoIndex)
        made.create(schema)
        made.append(pa.table({"number": [number]}, schema=schema))
    return number


def write_and_die(work):
    """Add a log and die, as by `kill -9`, just before a table is written."""
    uri, doomed, fingerprint = work

    def die_at(method):
        def write(self, *arguments, **options):
            if self.name == doomed:
                os._exit(9)
            return method(self, *arguments, **options)

        return write

    table.Table.append = die_at(table.Table.append)
    table.Table.merge = die_at(table.Table.merge)
    store = Store.open(uri)
    scenes = [random_scene(i, steps=70) for i in range(2)]
    return store.add(scenes, log="log", fingerprint=fingerprint)
