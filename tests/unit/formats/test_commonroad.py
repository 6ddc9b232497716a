import gzip

import numpy as np
import pytest

from kerbstone.formats.commonroad import CommonRoad
from kerbstone.scene import (
    DrivingSide,
    Kind,
    LaneKind,
    Marking,
    PieceKind,
    Scene,
    SignalState,
    Tristate,
)
from laws.format_laws import FormatLaws, read_all, refused, walk
from small.commonroad import BIKE_SHAPE, CAR_SHAPE, NAME, STEPS, write_scenario

READER = CommonRoad()


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder)


class TestLawsOnVersion2018b(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder, version="2018b")


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    return read_all(write_scenario(tmp_path_factory.mktemp("new")), READER)[0]


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Scene:
    folder = tmp_path_factory.mktemp("old")
    return read_all(write_scenario(folder, version="2018b"), READER)[0]


def edited(tmp_path, *changes: tuple[str, str], version: str = "2020a"):
    """Return the path of a scenario with some text replaced."""
    path = write_scenario(tmp_path, version=version)
    text = path.read_text()
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    path.write_text(text)
    return path


def lane(scene: Scene, name: str) -> int:
    return scene.map.lanes.ids.index(name)


def test_obstacles_become_agents(scene):
    agents = scene.agents
    assert agents.ids == ("57", "58", "59", "60")
    assert [Kind(k) for k in agents.kind] == [Kind.CAR, Kind.CAR, Kind.TRUCK, Kind.CYCLIST]
    assert agents.label[0] == "parkedVehicle"
    assert (scene.clock.steps, scene.clock.hz) == (STEPS, 10.0)
    assert agents.valid.sum(axis=1).tolist() == [STEPS, STEPS, 5, 2]
    np.testing.assert_allclose(agents.centre[1, 4, :2], [8.6, 1.75])
    np.testing.assert_array_equal(agents.velocity[1, 4], [9.0, 0.0])
    np.testing.assert_array_equal(agents.size[1], [4.5, 1.8, np.nan])


def test_static_obstacles_stand_all_the_time(scene):
    np.testing.assert_array_equal(scene.agents.centre[0, :, :2], [[40.0, -5.0]] * STEPS)
    np.testing.assert_array_equal(scene.agents.velocity[0], 0.0)
    np.testing.assert_array_equal(scene.agents.heading[0], 1.57)


def test_a_position_may_be_another_point_than_the_middle(scene):
    # The lorry's position is 4 m behind its middle.
    forward = 4 * np.array([np.cos(0.3), np.sin(0.3)])
    np.testing.assert_allclose(scene.agents.centre[2, 0, :2], np.array([10, 5.25]) + forward)


def test_a_slip_angle_turns_the_velocity_against_the_body(scene):
    np.testing.assert_allclose(scene.agents.heading[2, :5], 0.3)
    np.testing.assert_allclose(
        scene.agents.velocity[2, 0], 5 * np.array([np.cos(0.5), np.sin(0.5)])
    )


def test_intervals_and_regions_give_their_middle_and_say_so(scene):
    assert scene.source.derived == ("interval-middle",)
    assert scene.agents.heading[3, 1] == pytest.approx(0.5)
    assert scene.agents.speed[3, 1] == pytest.approx(4.0)
    # A polygon's box lies off its origin, here 0.1 m ahead.
    expected = [30 + 0.1 * np.cos(0.5), 2 + 0.1 * np.sin(0.5)]
    np.testing.assert_allclose(scene.agents.centre[3, 1, :2], expected)
    np.testing.assert_allclose(scene.agents.size[3, :2], [2.0, 0.6])


def test_a_lateral_velocity_is_across_the_body(tmp_path):
    across = "<slipAngle><exact>0.2</exact></slipAngle>"
    path = edited(tmp_path, (across, "<velocityY><exact>2.0</exact></velocityY>"))
    velocity = read_all(path, READER)[0].agents.velocity[2, 0]
    cos, sin = np.cos(0.3), np.sin(0.3)
    np.testing.assert_allclose(velocity, [5 * cos - 2 * sin, 5 * sin + 2 * cos])


def test_a_missing_velocity_is_derived_and_said_to_be(tmp_path):
    path = edited(tmp_path, ("<velocity><exact>9.0</exact></velocity>", ""))
    scene = read_all(path, READER)[0]
    assert "velocity" in scene.source.derived
    np.testing.assert_allclose(scene.agents.velocity[1], [[9.0, 0.0]] * STEPS)


@pytest.mark.parametrize(
    ("shape", "size", "middle"),
    [
        ("<circle><radius>0.4</radius></circle>", (0.8, 0.8), (0, 0)),
        (
            (
                "<rectangle><length>2</length><width>1</width><orientation>1.5707963</orientation>"
                "<center><x>1</x><y>2</y></center></rectangle>"
            ),
            (2, 1),
            (1, 2),
        ),
        (CAR_SHAPE + BIKE_SHAPE, (4.5, 1.8), (0, 0)),
        (f"<shapeGroup><shape>{CAR_SHAPE}</shape></shapeGroup>", (4.5, 1.8), (0, 0)),
        (
            (
                "<semiTrailerTruckShape><truckShape><truckDims><length>6</length><width>2.5</width>"
                "</truckDims><originXShift>-1.5</originXShift></truckShape><trailerDims/>"
                "</semiTrailerTruckShape>"
            ),
            (6, 2.5),
            (1.5, 0),
        ),
    ],
)
def test_shapes_become_boxes(tmp_path, shape, size, middle):
    agents = read_all(edited(tmp_path, (CAR_SHAPE, shape)), READER)[0].agents
    np.testing.assert_allclose(agents.size[1, :2], size)
    np.testing.assert_allclose(agents.centre[1, 0, :2], np.add((5, 1.75), middle))


def test_a_set_of_occupancies_leaves_the_initial_state_alone(tmp_path):
    states = write_scenario(tmp_path).read_text().split('<dynamicObstacle id="59">')[1]
    trajectory = "<trajectory>" + states.split("<trajectory>")[1].split("</trajectory>")[0]
    path = edited(tmp_path, (trajectory + "</trajectory>", "<occupancySet/>"))
    scene = read_all(path, READER)[0]
    assert scene.agents.valid[2].sum() == 1
    assert scene.source.extra["set_based_obstacles"] == ["59"]


def test_a_scenario_in_which_nothing_moves_lasts_until_its_goals(tmp_path):
    text = write_scenario(tmp_path).read_text()
    first, last = text.index("<dynamicObstacle"), text.index("<planningProblem")
    path = tmp_path / f"{NAME}.xml"
    path.write_text(text[:first] + text[last:])
    assert read_all(path, READER)[0].clock.steps == 31


def test_lanelets_follow_and_border_one_another(scene):
    lanes = scene.map.lanes
    following = [lanes.ids[i] for i in lanes.successors(lane(scene, "1"))]
    assert following == ["3", "4"]  # 99 is not in the map, 4 says so itself
    assert lanes.left[lane(scene, "1")] == lane(scene, "2")
    assert lanes.right[lane(scene, "2")] == lane(scene, "1")
    assert lanes.left[lane(scene, "2")] == lane(scene, "6")  # oncoming
    np.testing.assert_allclose(scene.map.centre_line(lane(scene, "6"))[:, 1], 8.75)
    np.testing.assert_allclose(lanes.width[:3], 3.5)


def test_lanelets_have_kinds_limits_and_places(scene):
    lanes = scene.map.lanes
    kinds = {name: LaneKind(kind) for name, kind in zip(lanes.ids, lanes.kind, strict=True)}
    assert kinds["1"] == LaneKind.VEHICLE
    assert kinds["2"] == LaneKind.BUS  # what narrows down counts
    assert kinds["5"] == LaneKind.PEDESTRIAN
    assert lanes.speed_limit[lane(scene, "1")] == 13.5
    assert np.isnan(lanes.speed_limit[lane(scene, "2")])
    inside = [lanes.ids[i] for i in np.flatnonzero(lanes.in_intersection == Tristate.YES)]
    assert inside == ["3", "4"]
    crosswalk = scene.map.piece(int(lanes.area[lane(scene, "5")]))
    np.testing.assert_array_equal(crosswalk[[0, 1, 2], 0], [70, 70, 67])


def test_bounds_are_painted(scene):
    lanes = scene.map.lanes
    left, right = lanes.left_boundary[0], lanes.right_boundary[0]
    assert Marking(scene.map.marking[left]) == Marking.DASHED
    assert Marking(scene.map.marking[right]) == Marking.CURB


def test_stop_lines_without_points_lie_at_the_end_of_the_lane(tmp_path, scene):
    stop = scene.map.piece(int(scene.map.pieces_of(PieceKind.STOP_LINE)[0]))
    np.testing.assert_array_equal(stop[:, 0], [49, 49])
    given = "<point><x>49</x><y>3.5</y></point><point><x>49</x><y>0</y></point>"
    scene = read_all(edited(tmp_path, (given, "")), READER)[0]
    stop = scene.map.piece(int(scene.map.pieces_of(PieceKind.STOP_LINE)[0]))
    np.testing.assert_array_equal(stop[:, :2], [[50, 3.5], [50, 0]])
    np.testing.assert_array_equal(scene.signals.stop_point[0, :2], [50, 1.75])


def test_a_light_controls_the_lanes_it_points_to_and_follows_its_cycle(scene):
    signals = scene.signals
    assert [scene.map.lanes.ids[i] for i in signals.lane] == ["4"]  # to the left
    np.testing.assert_array_equal(signals.stop_point[0, :2], [49, 1.75])
    shown = [SignalState(s).name for s in signals.state[0]]
    red, both, green = "RED", "RED_YELLOW", "GREEN"
    assert shown == [green] * 2 + [red] * 4 + [both] + [green] * 3 + [red] * 2


def test_a_light_for_all_directions_controls_all_lanes_ahead(tmp_path):
    path = edited(tmp_path, ("<direction>left</direction>", ""))
    scene = read_all(path, READER)[0]
    assert [scene.map.lanes.ids[i] for i in scene.signals.lane] == ["3", "4"]


def test_a_light_that_is_not_active_is_off(tmp_path):
    path = edited(tmp_path, ("<active>true", "<active>false"))
    assert set(read_all(path, READER)[0].signals.state[0]) == {SignalState.OFF}


def test_the_old_version_says_less_and_is_read_alike(scene, old):
    np.testing.assert_array_equal(old.agents.centre, scene.agents.centre)
    np.testing.assert_array_equal(old.agents.velocity, scene.agents.velocity)
    assert old.map.lanes.speed_limit[lane(old, "1")] == 13.5
    assert set(old.map.lanes.kind) == {LaneKind.VEHICLE}
    assert set(old.map.lanes.in_intersection) == {Tristate.UNKNOWN}
    assert old.signals is None
    assert old.source.simulated


def test_what_else_a_scenario_says_is_kept(scene):
    source = scene.source
    assert (source.log, source.town) == (NAME, "DEU_Testing-1")
    assert source.driving_side == DrivingSide.RIGHT
    assert source.simulated
    assert source.extra["tags"] == ["urban", "simulated"]
    assert source.extra["location"]["gpsLatitude"] == 48.2
    (problem,) = source.extra["planning_problems"]
    assert problem["id"] == "200"
    assert problem["initialState"]["velocity"] == 7.0
    assert problem["initialState"]["position"]["point"] == {"x": 1.0, "y": 5.25}
    assert problem["goalState"] == {"time": [20.0, 30.0], "position": {"lanelet": 3.0}}


def test_a_scenario_without_lanelets_has_no_map(tmp_path):
    text = write_scenario(tmp_path).read_text()
    path = tmp_path / f"{NAME}.xml"
    first, last = text.index("<lanelet "), text.index("<staticObstacle")
    path.write_text(text[:first] + text[last:])
    assert read_all(path, READER)[0].map is None


def test_packed_files_are_read(tmp_path, scene):
    path = write_scenario(tmp_path)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    (log,) = walk(tmp_path, READER)
    assert log.name == f"commonroad/{NAME}"
    assert len(next(READER.read(log)).agents) == len(scene.agents)


CAR = '<dynamicObstacle id="58">'


@pytest.mark.parametrize(
    ("code", "before", "after", "place"),
    [
        ("syntax", "2020a", "2017a", ""),
        ("clock", 'timeStepSize="0.1"', 'timeStepSize="0"', ""),
        ("clock", 'timeStepSize="0.1"', "", ""),
        ("label", "<type>car</type>", "<type>boat</type>", ""),
        ("label", CAR_SHAPE, "<sphere/>", "obstacle 58"),
        ("label", ">curb<", ">paint<", "lanelet 1"),
        ("label", ">urban<", ">moon<", "lanelet 1"),
        ("label", ">redYellow<", ">blue<", "light 87"),
        ("column", "<type>car</type>", "", "obstacle 58"),
        ("column", f"<shape>{CAR_SHAPE}</shape>", "<shape/>", "obstacle 58"),
        ("column", "<rightBound>", "<otherBound>", ""),
        ("value", "<length>4.5</length>", "<length>-4.5</length>", "obstacle 58"),
        ("value", "<length>4.5</length>", "<length>long</length>", "obstacle 58"),
        ("value", "<x>8.6</x>", "<x>nan</x>", "obstacle 58, step 4"),
        ("value", "<x>8.6</x>", "<x/>", "obstacle 58, step 4"),
        ("value", "<additionalValue>13.5", "<additionalValue>fast", "sign 84"),
        ("value", "<duration>4", "<duration>0", "light 87"),
        ("clock", "<time><exact>4</exact>", "<time><exact>2</exact>", "obstacle 58"),
        ("duplicate", "<time><exact>4</exact>", "<time><exact>3</exact>", "obstacle 58"),
        ("duplicate", 'id="58"', 'id="57"', "obstacle 57"),
        ("duplicate", '<lanelet id="2"', '<lanelet id="1"', ""),
        ("reference", '<trafficLightRef ref="87"', '<trafficLightRef ref="88"', "lanelet 1"),
        ("truncated", "</commonRoad>", "", ""),
    ],
)
def test_malformed_scenarios_are_refused_with_their_place(tmp_path, code, before, after, place):
    changes = [(before, after)]
    if after == "<otherBound>":
        changes.append(("</rightBound>", "</otherBound>"))
    path = edited(tmp_path, *changes)
    error = refused(code, path, READER)
    assert str(path) in error.where
    assert place in error.where


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<point><x>70</x><y>8</y></point>", ""),
        ("<point><x>70</x><y>8</y></point><point><x>70</x><y>-2</y></point>",
         "<point><x>1</x><y>1</y></point><point><x>1</x><y>1</y></point>"),
        (BIKE_SHAPE, "<polygon><point><x>1</x><y>1</y></point></polygon>"),
    ],
)  # fmt: skip
def test_shapes_without_an_extent_are_refused(tmp_path, before, after):
    changes = [(before, after)]
    if "<x>1</x>" in after and "polygon" not in after:
        right = "<point><x>67</x><y>8</y></point><point><x>67</x><y>-2</y></point>"
        changes.append((right, after))
    refused("geometry", edited(tmp_path, *changes), READER)


def test_a_scenario_without_obstacles_is_refused(tmp_path):
    text = write_scenario(tmp_path).read_text()
    path = tmp_path / f"{NAME}.xml"
    first, last = text.index("<staticObstacle"), text.index("<planningProblem")
    path.write_text(text[:first] + text[last:])
    assert str(path) in refused("empty", path, READER).where


def test_a_file_that_declares_entities_is_refused(tmp_path):
    path = edited(tmp_path, ("<!-- made by hand -->", '<!DOCTYPE x [<!ENTITY a "b">]>'))
    refused("unsafe", path, READER)
