"""A small road drawn by hand, as SUMO writes it, with a car and a walker on it."""

from __future__ import annotations

from pathlib import Path

# Two roads in a row with two lanes and a sidewalk, one road back beside the first, a light and a
# crossing where the first two meet. One drives on the right.
NETWORK = """<?xml version="1.0" encoding="UTF-8"?>
<net version="1.20"{side}>
  <location netOffset="0.00,0.00" convBoundary="0.00,0.00,210.00,0.00"/>
  <edge id=":b_0" function="internal">
    <lane id=":b_0_0" index="0" disallow="pedestrian" speed="13.89" length="10.00"
          shape="100.00,{y1} 110.00,{y1}"/>
    <lane id=":b_0_1" index="1" disallow="pedestrian" speed="13.89" length="10.00"
          shape="100.00,{y2} 110.00,{y2}"/>
  </edge>
  <edge id=":b_c0" function="crossing" crossingEdges="ab">
    <lane id=":b_c0_0" index="0" allow="pedestrian" speed="1.39" length="8.00" width="4.00"
          shape="103.00,{y0} 103.00,{y3}"/>
  </edge>
  <edge id=":b_w0" function="walkingarea">
    <lane id=":b_w0_0" index="0" allow="pedestrian" speed="1.39" length="2.00" width="2.00"
          shape="100.00,{yk} 105.00,{yk} 105.00,{y0} 100.00,{y0}"/>
  </edge>
  <edge id="ab" from="a" to="b" type="highway.primary">
    <lane id="ab_0" index="0" allow="pedestrian" speed="13.89" length="100.00" width="2.00"
          shape="0.00,{y0} 100.00,{y0}"/>
    <lane id="ab_1" index="1" disallow="pedestrian" speed="13.89" length="100.00"
          shape="0.00,{y1} 100.00,{y1}"/>
    <lane id="ab_2" index="2" disallow="pedestrian" speed="13.89" length="100.00"
          shape="0.00,{y2} 100.00,{y2}"/>
  </edge>
  <edge id="ba" from="b" to="a">
    <lane id="ba_0" index="0" disallow="pedestrian" speed="8.33" length="100.00"
          shape="100.00,{y3} 0.00,{y3}"/>
  </edge>
  <edge id="bc" from="b" to="c" type="highway.motorway_link">
    <lane id="bc_0" index="0" allow="bicycle" speed="13.89" length="100.00" width="1.50"
          shape="110.00,{y1} 210.00,{y1}"/>
    <lane id="bc_1" index="1" disallow="pedestrian" speed="13.89" length="100.00"
          shape="110.00,{y2} 210.00,{y2}"/>
  </edge>
  <tlLogic id="b" type="static" programID="0" offset="0"><phase duration="30" state="GgG"/></tlLogic>
  <junction id="a" type="dead_end" x="0.00" y="0.00" incLanes="" intLanes="" shape="0,0 0,1"/>
  <junction id="b" type="traffic_light" x="105.00" y="0.00" incLanes="" intLanes=""
            shape="100.00,{yk} 110.00,{yk} 110.00,{y4} 100.00,{y4}"/>
  <junction id="c" type="priority" x="210.00" y="0.00" incLanes="" intLanes="" shape="210,0 210,1"/>
  <connection from="ab" to="bc" fromLane="1" toLane="0" via=":b_0_0" tl="b" linkIndex="0" dir="s"
              state="o"/>
  <connection from="ab" to="bc" fromLane="2" toLane="1" via=":b_0_1" tl="b" linkIndex="1" dir="s"
              state="o"/>
  <connection from=":b_0" to="bc" fromLane="0" toLane="0" dir="s" state="M"/>
  <connection from=":b_0" to="bc" fromLane="1" toLane="1" dir="s" state="M"/>
  <connection from="ba" to="ab" fromLane="0" toLane="2" dir="t" state="s"/>
</net>
"""

SIGNALS = """<tlsStates>
  <tlsState time="0.00" id="b" programID="0" phase="0" state="rGr"/>
  <tlsState time="1.00" id="b" programID="0" phase="1" state="uyr"/>
  <tlsState time="2.00" id="b" programID="0" phase="2" state="Ggr"/>
</tlsStates>
"""

TYPES = """<routes>
  <vType id="car" length="4.00" width="1.80" height="1.50"/>
  <vType id="walker" vClass="pedestrian" length="0.40" width="0.50" height="1.70"/>
</routes>
"""


def draw_network(*, left_hand: bool = False) -> str:
    """Return the road as XML; mirrored at the x axis for left-hand traffic."""
    rows = {"yk": -8.0, "y0": -6.0, "y1": -3.4, "y2": -0.2, "y3": 3.0, "y4": 6.0}
    sign = -1 if left_hand else 1
    side = ' lefthand="true"' if left_hand else ""
    return NETWORK.format(side=side, **{name: f"{sign * y:.2f}" for name, y in rows.items()})


def draw_drive(*, steps: int = 40, speed: float = 10.0, y: float = -3.4) -> str:
    """Return floating-car data: a car that drives along the first road, and a walker."""
    rows = []
    for k in range(steps):
        x = 10.0 + speed * 0.1 * k
        rows.append(
            f'<timestep time="{0.1 * k:.2f}">'
            f'<vehicle id="v" x="{x:.2f}" y="{y}" angle="90.00" type="car" speed="{speed}" '
            f'pos="{x:.2f}" lane="ab_1" slope="0"/>'
            f'<person id="p" x="{50 + 0.12 * k:.2f}" y="-6.00" angle="90.00" type="walker" '
            f'speed="1.2" pos="5" edge="ab" slope="0"/>'
            "</timestep>"
        )
    return "<fcd-export>\n" + "\n".join(rows) + "\n</fcd-export>\n"


def write_run(folder: Path, *, left_hand: bool = False) -> Path:
    """Write one's own run: network, types and recording; return the recording's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "town.net.xml").write_text(draw_network(left_hand=left_hand))
    (folder / "types.rou.xml").write_text(TYPES)
    (folder / "fcd.xml").write_text(draw_drive(y=3.4 if left_hand else -3.4))
    return folder / "fcd.xml"
