import sys
from dataclasses import replace

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from PIL import Image

from crossing import crossing_scene
from kerbstone.errors import InputError, MissingError
from kerbstone.formats.appearance import EGO_COLOUR, SIGNAL_COLOURS
from kerbstone.formats.mcap import write_mcap
from kerbstone.scene import Agents, Camera, Lidar, SignalState


def read_back(path):
    """Return schema names, messages and log times by topic."""
    topics = {}
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for schema, channel, message, decoded in reader.iter_decoded_messages():
            topic = topics.setdefault(channel.topic, (schema.name, [], []))
            topic[1].append(decoded)
            topic[2].append(message.log_time)
    return topics


def write_and_read(scene, tmp_path, **options):
    write_mcap(scene, tmp_path / "scene.mcap", **options)
    return read_back(tmp_path / "scene.mcap")


def place_of(pose):
    return [pose.position.x, pose.position.y, pose.position.z]


def test_every_topic_has_its_published_schema_and_the_times_of_the_clock(tmp_path):
    scene = crossing_scene()
    topics = write_and_read(scene, tmp_path)
    assert {topic: (schema, len(times)) for topic, (schema, _, times) in topics.items()} == {
        "/map": ("foxglove.SceneUpdate", 1),
        "/agents": ("foxglove.SceneUpdate", 60),
        "/signals": ("foxglove.SceneUpdate", 60),
        "/tf": ("foxglove.FrameTransforms", 60),
        "/ego/pose": ("foxglove.PoseInFrame", 60),
        "/ego/path": ("foxglove.PosesInFrame", 1),
    }
    for topic in ("/agents", "/signals", "/tf", "/ego/pose"):
        np.testing.assert_array_equal(topics[topic][2], scene.clock.times_ns)


def test_agents_are_cubes_at_their_places_with_their_facts(tmp_path):
    scene = crossing_scene(shift=(412_000.25, 5_498_000.5))
    _, messages, _ = write_and_read(scene, tmp_path)["/agents"]
    step = 25
    entities = {entity.id: entity for entity in messages[step].entities}
    here = scene.agents.valid[:, step]
    assert set(entities) == {scene.agents.ids[row] for row in np.flatnonzero(here)}
    assert not {"gap", "late"} & set(entities)
    for row in np.flatnonzero(here):
        (cube,) = entities[scene.agents.ids[row]].cubes
        np.testing.assert_allclose(place_of(cube.pose), scene.agents.centre[row, step], atol=1e-6)
    truck = entities["truck"]
    assert (truck.frame_id, truck.cubes[0].size.x) == ("world", 9.0)
    facts = {pair.key: pair.value for pair in truck.metadata}
    assert facts == {"kind": "truck", "label": "BOX_TRUCK", "speed": "5.000 m/s"}
    assert "speed" not in {pair.key for pair in entities["ghost"].metadata}
    colour = entities["ego"].cubes[0].color
    assert [round(255 * part) for part in (colour.r, colour.g, colour.b)] == [
        EGO_COLOUR >> 16,
        EGO_COLOUR >> 8 & 255,
        EGO_COLOUR & 255,
    ]


def test_a_box_vanishes_when_it_is_not_sent_again(tmp_path):
    scene = crossing_scene()
    _, messages, _ = write_and_read(scene, tmp_path)["/agents"]
    lifetime = messages[0].entities[0].lifetime
    length = lifetime.seconds * 10**9 + lifetime.nanos
    assert scene.clock.dt_ns < length < 2 * scene.clock.dt_ns


def test_the_map_joins_the_vertices_of_each_piece_and_no_others(tmp_path):
    scene = crossing_scene(shift=(412_000.0, 5_498_000.0))
    _, (message,), _ = write_and_read(scene, tmp_path)["/map"]
    found = 0
    for entity in message.entities:
        for line in entity.lines:
            origin = np.array(place_of(line.pose))
            points = np.array([[p.x, p.y, p.z] for p in line.points]) + origin
            pairs = np.array(line.indices).reshape(-1, 2)
            np.testing.assert_array_equal(pairs[:, 1] - pairs[:, 0], 1)
            found += len(points) - len(pairs)
            assert np.abs(points[:, :2] - [412_000, 5_498_000]).max() < 100
            assert np.abs(np.array([[p.x, p.y] for p in line.points])).max() < 200
    assert found == len(scene.map)


def test_lights_are_balls_in_the_colour_that_they_show(tmp_path):
    scene = crossing_scene()
    _, messages, _ = write_and_read(scene, tmp_path)["/signals"]
    for step in (0, 59):
        colours = [ball.color for ball in messages[step].entities[0].spheres]
        shown = [round(255 * c.r) << 16 | round(255 * c.g) << 8 | round(255 * c.b) for c in colours]
        states = scene.signals.state[:, step]
        assert shown == [SIGNAL_COLOURS[SignalState(int(state))] for state in states]


def test_the_ego_frame_hangs_in_the_world_as_it_was_recorded(tmp_path):
    scene = crossing_scene(shift=(412_000.25, 0.0))
    topics = write_and_read(scene, tmp_path)
    transform = topics["/tf"][1][10].transforms[0]
    assert (transform.parent_frame_id, transform.child_frame_id) == ("world", "ego")
    found = [transform.translation.x, transform.translation.y, transform.translation.z]
    np.testing.assert_allclose(found, scene.ego_poses.translation[10], atol=1e-6)
    assert transform.rotation.w == pytest.approx(np.sqrt(0.5))
    stamp = transform.timestamp
    assert stamp.seconds * 10**9 + stamp.nanos == scene.clock.times_ns[10]
    assert len(topics["/ego/path"][1][0].poses) == 60
    np.testing.assert_allclose(
        place_of(topics["/ego/pose"][1][7].pose), scene.agents.centre[0, 7], atol=1e-6
    )


def test_images_and_sweeps_are_put_in_with_where_their_sensors_sit(tmp_path):
    scene = crossing_scene()
    times = scene.clock.times_ns[[0, 20]]
    mount = np.eye(4)
    mount[:3, 3] = [1.0, 0.5, 1.6]
    for i in range(2):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{i}.jpg")
        np.full((3, 4), float(i), "<f4").tofile(tmp_path / f"{i}.bin")
    camera = Camera(
        name="front",
        paths=("0.jpg", "1.jpg"),
        times_ns=times,
        width_px=8,
        height_px=6,
        intrinsics=np.array([[7.0, 0.0, 4.0], [0.0, 7.0, 3.0], [0.0, 0.0, 1.0]]),
        distortion=np.array([0.1, 0.2, 0.0, 0.0, 0.3]),
        model="opencv",
        ego_from_camera=mount,
    )
    lidar = Lidar("top", ("0.bin", "1.bin"), times, np.eye(4))
    video = replace(camera, name="film", paths=("film.mp4",))
    source = replace(scene.source, path=str(tmp_path))
    scene = replace(scene, source=source, cameras=(camera, video), lidars=(lidar,))
    topics = write_and_read(scene, tmp_path)
    schema, images, logged = topics["/camera/front/image"]
    assert (schema, logged) == ("foxglove.CompressedImage", times.tolist())
    assert images[1].data == (tmp_path / "1.jpg").read_bytes()
    lens = topics["/camera/front/calibration"][1][0]
    assert (lens.distortion_model, lens.K[0], lens.P[3]) == ("plumb_bob", 7.0, 0.0)
    cloud = topics["/lidar/top/points"][1][1]
    np.testing.assert_array_equal(np.frombuffer(cloud.data, "<f4"), np.ones(9))
    transforms = {t.child_frame_id: t for t in topics["/tf_static"][1][0].transforms}
    assert set(transforms) == {"front", "top"}
    assert transforms["front"].translation.z == 1.6
    assert "/tf_static" not in write_and_read(scene, tmp_path, sensors=False)


def test_a_file_says_where_its_scene_comes_from(tmp_path):
    write_mcap(crossing_scene(), tmp_path / "a.mcap")
    with (tmp_path / "a.mcap").open("rb") as file:
        (record,) = make_reader(file).iter_metadata()
    assert (record.name, record.metadata["id"]) == ("scene", "made/crossing")
    assert record.metadata["town"] == "Nowhere"


def test_a_scene_in_which_nobody_is_can_be_written(tmp_path):
    scene = replace(crossing_scene(ego=False, road=False), agents=Agents.empty(60), ego_poses=None)
    topics = write_and_read(scene, tmp_path)
    assert list(topics) == ["/agents"]


def test_what_cannot_be_written_is_told(tmp_path, monkeypatch):
    scene = crossing_scene()
    with pytest.raises(InputError, match="no such folder"):
        write_mcap(scene, tmp_path / "no" / "a.mcap")
    early = replace(scene, clock=replace(scene.clock, start_ns=-5))
    with pytest.raises(InputError, match="before zero"):
        write_mcap(early, tmp_path / "a.mcap")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "foxglove", None)
    with pytest.raises(MissingError, match="'mcap'"):
        write_mcap(scene, tmp_path / "a.mcap")
