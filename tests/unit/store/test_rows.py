"""Whatever is changed in a stored row is noticed when it is read: Lance keeps no checksums."""

import numpy as np
import pyarrow as pa
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import Clock
from kerbstone.store import heads, maps, sensors, states
from kerbstone.store.columns import arrays, checksum, packed, to_table, typed
from kerbstone.store.layout import MAPS, PIECES, SCENES, SENSORS, STATES
from scenes import assert_same, random_scene

MARK = {"part": 1, "written": None}


@pytest.fixture(scope="module")
def scene():
    return random_scene(3, steps=150)


@pytest.fixture(scope="module")
def head_rows(scene):
    rest = {"log_key": "", "fingerprint": "", "run": "", "written": None}
    return to_table(SCENES, [heads.head_row(scene, part=1, map_part=2) | rest])


def tampered(table, name):
    """Return the table with one value of a column changed."""
    field = table.schema.field(name)
    kind = field.type
    values = table.column(name).to_pylist()
    values[-1] = changed(values[-1], kind)
    place = table.schema.get_field_index(name)
    return table.set_column(place, field, pa.array(values, kind))


def changed(value, kind):
    if pa.types.is_list(kind):
        return [*value[:-1], changed(value[-1], kind.value_type)] if value else value + value
    if pa.types.is_string(kind):
        return (value or "") + "!"
    if pa.types.is_boolean(kind):
        return not value
    return 0 if value is None or np.isnan(value) else value + 1


def read_head(rows):
    key = heads.Key(**rows.select(heads.KEY_COLUMNS).to_pylist()[0])
    return heads.read_head(key, rows.select(heads.head_columns(key)))


@pytest.mark.parametrize("name", [*heads._SEALED, "checksum"])
def test_a_changed_head_is_noticed(head_rows, scene, name):
    assert read_head(head_rows).agent_ids == scene.agents.ids
    with pytest.raises(InputError, match="not as they were written") as error:
        read_head(tampered(head_rows, name))
    assert error.value.code == "store-damaged"


@pytest.mark.parametrize("name", [c for c in heads.SOURCE_COLUMNS if c not in ("id", "derived")])
def test_a_changed_source_is_noticed(head_rows, scene, name):
    rows = head_rows.select(heads.SOURCE_COLUMNS)
    assert_same(heads.read_source(rows), scene.source)
    with pytest.raises(InputError, match="source"):
        heads.read_source(tampered(rows, name))


@pytest.mark.parametrize("name", [c for c in heads.POSE_COLUMNS if c != "id"])
def test_changed_poses_are_noticed(head_rows, scene, name):
    rows = head_rows.select(heads.POSE_COLUMNS)
    assert_same(heads.read_poses(rows), scene.ego_poses)
    with pytest.raises(InputError, match="ego poses"):
        heads.read_poses(tampered(rows, name))


@pytest.fixture(scope="module")
def state_rows(scene):
    rows = [row | MARK for row in states.chunk_rows(scene)]
    return to_table(STATES, rows)


@pytest.mark.parametrize("name", [*states._SEALED, "checksum"])
def test_changed_states_are_noticed(head_rows, state_rows, scene, name):
    head = read_head(head_rows)
    assert_same(states.read_stretch(state_rows, head, head.key.clock).agents, scene.agents)
    with pytest.raises(InputError, match="states") as error:
        states.read_stretch(tampered(state_rows, name), head, head.key.clock)
    assert error.value.where == "scene random/000003, chunk 2"


def test_another_chunk_s_row_is_noticed(head_rows, state_rows):
    head = read_head(head_rows)
    clock = Clock(head.key.start_ns, head.key.dt_ns, 10)
    with pytest.raises(InputError, match="states"):
        states.read_stretch(state_rows.slice(1, 1), head, clock)


@pytest.mark.parametrize("name", sensors._SEALED)
def test_a_changed_sensor_is_noticed(scene, name):
    rows = to_table(SENSORS, [row | MARK for row in sensors.sensor_rows(scene)]).slice(0, 2)
    assert_same(sensors.read_sensors(rows)[0], scene.cameras)
    with pytest.raises(InputError, match="sensor"):
        sensors.read_sensors(tampered(rows, name))


@pytest.mark.parametrize("name", ["id", "kind", "marking", "x", "y", "z"])
def test_a_changed_piece_is_noticed(scene, name):
    rows = to_table(MAPS, [maps.map_row(scene.map) | MARK | {"key": maps.map_key(scene.map)}])
    pieces = to_table(PIECES, [row | MARK for row in maps.piece_rows(scene.map)])
    assert_same(maps.read_map(rows, pieces), scene.map)
    with pytest.raises(InputError, match="were changed"):
        maps.read_map(rows, tampered(pieces, name))


@pytest.mark.parametrize(
    "name", ["id", "key", "lane_id", "lane_width", "lane_centre", "lane_next_offsets"]
)
def test_a_changed_map_is_noticed(scene, name):
    rows = to_table(MAPS, [maps.map_row(scene.map) | MARK | {"key": maps.map_key(scene.map)}])
    pieces = to_table(PIECES, [row | MARK for row in maps.piece_rows(scene.map)])
    with pytest.raises(InputError, match="the rows of a map") as error:
        maps.read_map(tampered(rows, name), pieces)
    assert error.value.code == "store-damaged"


def test_arrays_of_other_types_are_stored_as_their_columns():
    """A reader may hand over float32 or a view; what is written is what is summed."""
    scene = random_scene(5)
    view = np.asfortranarray(scene.agents.size.astype(np.float32))
    row = typed(SCENES, {"agent_size": view})
    assert row["agent_size"].dtype == np.float64
    assert row["agent_size"].tolist() == view.ravel().tolist()
    assert row["agent_size"].flags.c_contiguous


def test_lists_come_back_with_their_nulls_and_lengths():
    schema = pa.schema([("x", pa.list_(pa.float64()))])
    values = [None, np.zeros(0), np.array([1.0, -0.0, np.nan])]
    table = to_table(schema, [{"x": value} for value in values])
    found = arrays(table, "x")
    assert found[0] is None
    assert found[1].size == 0
    assert found[2].tobytes() == values[2].tobytes()
    assert arrays(table.slice(2), "x")[0].tobytes() == values[2].tobytes()
    flat, offsets = packed(table.slice(1), "x")
    assert flat.tobytes() == values[2].tobytes()
    assert offsets.tolist() == [0, 0, 3]


def test_a_checksum_tells_where_one_value_ends_and_the_next_begins():
    one, two = np.array([1.0]), np.array([2.0])
    both = np.array([1.0, 2.0])
    sums = [checksum(v) for v in ([one, two], [two, one], [both], [both, None], [None, both], [])]
    assert len(set(sums)) == len(sums)
    assert checksum([one, "a", 3]) == checksum([one.copy(), "a", 3])


def test_a_value_that_does_not_fit_its_column_is_told_with_it():
    schema = pa.schema([("steps", pa.int32())])
    with pytest.raises(InputError, match="'steps'") as error:
        to_table(schema, [{"steps": 2**40}], where="log a")
    assert error.value.where == "log a"
