"""A small CommonRoad scenario, in the layouts of versions 2020a and 2018b.

Two lanes run east beside each other, the right one leads over a junction; a crosswalk lies ahead.
"""

from pathlib import Path

import numpy as np

NAME = "DEU_Testing-1_1_T-1"
STEPS = 12
SPEED = 9.0

STATIC = """
  <{tag} id="57">{role}
    <type>parkedVehicle</type>
    <shape><rectangle><length>4.2</length><width>1.9</width></rectangle></shape>
    <initialState>
      <position><point><x>40.0</x><y>-5.0</y></point></position>
      <orientation><exact>1.57</exact></orientation>
      <time><exact>0</exact></time>
    </initialState>
  </{tag}>"""


def points(*places: tuple[float, ...]) -> str:
    axes = "xyz"
    return "".join(
        "<point>" + "".join(f"<{a}>{v}</{a}>" for a, v in zip(axes, p, strict=False)) + "</point>"
        for p in places
    )


def lanelet(id_: int, left: str, right: str, more: str = "", *, marks: bool = True) -> str:
    marking = "<lineMarking>{}</lineMarking>" if marks else ""
    return (
        f'<lanelet id="{id_}">'
        f"<leftBound>{left}{marking.format('dashed')}</leftBound>"
        f"<rightBound>{right}{marking.format('curb')}</rightBound>{more}</lanelet>\n"
    )


def straight(y: float, start: float, end: float) -> str:
    return points(*((x, y) for x in np.linspace(start, end, 4).tolist()))


def lanelets(version: str) -> str:
    new = version == "2020a"
    limit = "" if new else "<speedLimit>13.5</speedLimit>"
    kind = "<laneletType>{}</laneletType>".format if new else lambda _: ""
    signs = '<trafficSignRef ref="84"/><trafficLightRef ref="87"/>' if new else ""
    stop = f"<stopLine>{points((49, 3.5), (49, 0))}<lineMarking>solid</lineMarking></stopLine>"
    return "".join(
        [
            lanelet(
                1,
                straight(3.5, 0, 50),
                straight(0, 0, 50),
                '<successor ref="3"/><successor ref="99"/>'
                '<adjacentLeft ref="2" drivingDir="same"/>'
                + limit
                + (stop if new else "")
                + kind("urban")
                + signs,
                marks=new,
            ),
            lanelet(
                2,
                straight(7, 0, 50),
                straight(3.5, 0, 50),
                '<adjacentRight ref="1" drivingDir="same"/>'
                '<adjacentLeft ref="6" drivingDir="opposite"/>' + kind("busLane") + kind("urban"),
                marks=new,
            ),
            lanelet(3, straight(3.5, 50, 90), straight(0, 50, 90), kind("urban"), marks=new),
            lanelet(
                4,
                points((50, 3.5), (54, 4), (58, 8)),
                points((50, 0), (56, 2), (61, 6)),
                '<predecessor ref="1"/>' + kind("urban"),
                marks=new,
            ),
            lanelet(
                5,
                points((70, 8), (70, -2)),
                points((67, 8), (67, -2)),
                kind("crosswalk") if new else "",
                marks=new,
            ),
            lanelet(
                6,
                straight(7, 50, 0),
                straight(10.5, 50, 0),
                '<adjacentLeft ref="2" drivingDir="opposite"/>' + kind("urban"),
                marks=new,
            ),
        ]
    )


def rules() -> str:
    return """
  <trafficSign id="84">
    <trafficSignElement>
      <trafficSignID>274</trafficSignID><additionalValue>13.5</additionalValue>
    </trafficSignElement>
    <trafficSignElement><trafficSignID>206</trafficSignID></trafficSignElement>
  </trafficSign>
  <trafficLight id="87">
    <cycle>
      <cycleElement><duration>4</duration><color>red</color></cycleElement>
      <cycleElement><duration>1</duration><color>redYellow</color></cycleElement>
      <cycleElement><duration>3</duration><color>green</color></cycleElement>
      <timeOffset>2</timeOffset>
    </cycle>
    <direction>left</direction>
    <active>true</active>
  </trafficLight>
  <intersection id="105">
    <incoming id="106">
      <incomingLanelet ref="1"/><successorsStraight ref="3"/><successorsLeft ref="4"/>
    </incoming>
  </intersection>"""


def state(step: int, x: float, y: float, heading: float, more: str = "", tag: str = "state") -> str:
    return (
        f"<{tag}><position>{points((x, y))}</position>"
        f"<orientation><exact>{heading}</exact></orientation>"
        f"<time><exact>{step}</exact></time>{more}</{tag}>"
    )


def exact(name: str, value: float) -> str:
    return f"<{name}><exact>{value}</exact></{name}>"


def interval(name: str, start: float, end: float) -> str:
    inside = f"<intervalStart>{start}</intervalStart><intervalEnd>{end}</intervalEnd>"
    return f"<{name}>{inside}</{name}>"


CAR_SHAPE = "<rectangle><length>4.5</length><width>1.8</width></rectangle>"
LORRY_SHAPE = (
    "<rectangle><length>12</length><width>2.5</width><originXShift>-4</originXShift></rectangle>"
)
BIKE_SHAPE = f"<polygon>{points((-0.9, -0.3), (1.1, 0), (-0.9, 0.3))}</polygon>"


def moving(id_: int, kind: str, shape: str, states: list[str], version: str) -> str:
    tag = "dynamicObstacle" if version == "2020a" else "obstacle"
    role = "" if version == "2020a" else "<role>dynamic</role>"
    trajectory = f"<trajectory>{''.join(states[1:])}</trajectory>" if len(states) > 1 else ""
    return (
        f'<{tag} id="{id_}">{role}<type>{kind}</type><shape>{shape}</shape>'
        f"{states[0].replace('state>', 'initialState>')}{trajectory}</{tag}>\n"
    )


def obstacles(version: str) -> str:
    """Return a car that goes straight, a lorry that slides, a cyclist known roughly."""
    new = version == "2020a"
    tag, role = ("staticObstacle", "") if new else ("obstacle", "<role>static</role>")
    speed = exact("velocity", SPEED)
    car = [state(k, 5 + 0.1 * SPEED * k, 1.75, 0.0, speed) for k in range(STEPS)]
    lorry = [
        state(k, 10.0, 5.25 + 0.5 * k, 0.3, exact("velocity", 5) + exact("slipAngle", 0.2))
        for k in range(5)
    ]
    region = "<circle><radius>1</radius><center><x>30</x><y>2</y></center></circle>"
    bike = [
        state(0, 29.0, 2.0, 0.5, interval("velocity", 3, 5)),
        (
            f"<state><position>{region}</position>{interval('orientation', 0.4, 0.6)}"
            f"<time><exact>1</exact></time>{interval('velocity', 3, 5)}</state>"
        ),
    ]
    return (
        STATIC.format(tag=tag, role=role)
        + moving(58, "car", CAR_SHAPE, car, version)
        + moving(59, "truck", LORRY_SHAPE, lorry, version)
        + moving(60, "bicycle", BIKE_SHAPE, bike, version)
    )


def planning_problem() -> str:
    goal = interval("time", 20, 30) + "<position><lanelet ref='3'/></position>"
    start = state(0, 1.0, 5.25, 0.0, exact("velocity", 7), tag="initialState")
    return f'<planningProblem id="200">{start}<goalState>{goal}</goalState></planningProblem>'


def scenario(version: str = "2020a") -> str:
    head = (
        f'<commonRoad timeStepSize="0.1" commonRoadVersion="{version}" author="A. U. Thor" '
        f'affiliation="none" source="hand-crafted" benchmarkID="{NAME}" date="2024-01-01"'
    )
    if version == "2018b":
        head += ' tags="urban simulated">'
        extra = ""
    else:
        head += (
            "><location><geoNameId>1</geoNameId><gpsLatitude>48.2</gpsLatitude>"
            "<gpsLongitude>11.6</gpsLongitude></location>"
            "<scenarioTags><urban/><simulated/></scenarioTags>"
        )
        extra = rules()
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<!-- made by hand -->\n"
        f"{head}\n{lanelets(version)}{extra}\n{obstacles(version)}{planning_problem()}\n"
        "</commonRoad>\n"
    )


def write_scenario(folder: Path, *, version: str = "2020a") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.xml"
    path.write_text(scenario(version))
    return path
