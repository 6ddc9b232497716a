import xml.etree.ElementTree as ET

import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo.program import run_connected
from kerbstone.formats.sumo.towns import build_town
from kerbstone.formats.sumo.vehicle_types import CLASSES, read_vehicle_types, write_vehicle_types
from kerbstone.scene import Kind
from small.sumo import TYPES


def write(folder, *declarations):
    path = folder / "types.rou.xml"
    path.write_text("<routes>" + "".join(declarations) + "</routes>")
    return path


def test_a_declared_size_counts_and_the_class_fills_the_rest(tmp_path):
    path = write(tmp_path, '<vType id="t" vClass="bus" length="9.5"/>')
    found = read_vehicle_types([path])["t"]
    assert (found.length, found.width, found.height) == (9.5, 2.5, 3.4)
    assert found.kind == Kind.BUS


def test_types_inside_a_distribution_are_found(tmp_path):
    path = write(
        tmp_path, '<vTypeDistribution id="d"><vType id="t" vClass="bicycle"/></vTypeDistribution>'
    )
    assert read_vehicle_types([path])["t"].kind == Kind.CYCLIST


def test_what_is_written_is_read_again(tmp_path):
    (tmp_path / "types.rou.xml").write_text(TYPES)
    types = read_vehicle_types([tmp_path / "types.rou.xml"])
    write_vehicle_types(types.values(), tmp_path / "again.add.xml")
    assert read_vehicle_types([tmp_path / "again.add.xml"]) == types


@pytest.mark.parametrize(
    ("declaration", "code"),
    [
        ('<vType id="t" vClass="hovercraft"/>', "label"),
        ('<vType id="t" length="long"/>', "value"),
        ('<vType id="t" width="-1"/>', "value"),
        ('<vType id="t"', "syntax"),
    ],
)
def test_a_broken_declaration_is_refused(tmp_path, declaration, code):
    with pytest.raises(InputError) as caught:
        read_vehicle_types([write(tmp_path, declaration)])
    assert caught.value.code == code


def test_the_sizes_of_classes_are_sumos_own(tmp_path, sumo):
    build_town("roundabouts", tmp_path / "town.net.xml")
    root = ET.Element("routes")
    for name in CLASSES:
        ET.SubElement(root, "vType", {"id": name, "vClass": name})
    ET.ElementTree(root).write(tmp_path / "types.rou.xml")
    arguments = ["-n", str(tmp_path / "town.net.xml"), "-r", str(tmp_path / "types.rou.xml")]
    implicit = read_vehicle_types([])
    with run_connected(arguments, tmp_path / "log") as connection:
        get = connection.vehicletype
        for name, (_, *size) in CLASSES.items():
            found = [get.getLength(name), get.getWidth(name), get.getHeight(name)]
            assert found == pytest.approx(size), name
        for name, expected in implicit.items():
            assert get.getVehicleClass(name) == expected.vehicle_class
