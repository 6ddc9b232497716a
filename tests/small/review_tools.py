"""What a person does in a tool, on the files of each format of the review round trip.

A box is named by its track and step, and is moved along the first axis of the format's own frame.
"""

import json
import zipfile
from pathlib import Path

import numpy as np


class CvatTool:
    """CVAT, which rounds, numbers tracks anew, and keeps what the task's labels declare."""

    name = "cvat"
    axis = 0.0
    """Direction of the first axis in the ego frame, as the angle from its x axis [rad]."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "annotations.zip"
        with zipfile.ZipFile(self.path) as archive:
            self.content = json.loads(archive.read("annotations/default.json"))
        labels = json.loads((folder / "labels.json").read_text())
        declared = {each["name"]: each["default_value"] for each in labels[0]["attributes"]}
        tracks = []
        for item in self.content["items"]:
            item["id"] = f"pointcloud/{item['id']}"
            for each in item["annotations"]:
                told = each["attributes"]
                if told["track_id"] not in tracks:
                    tracks.append(told["track_id"])
                each["attributes"] = {name: told[name] for name in declared} | {
                    "keyframe": told["keyframe"],
                    "occluded": told["occluded"],
                    "track_id": tracks.index(told["track_id"]),
                }
                for name in ("position", "rotation", "scale"):
                    each[name] = np.round(each[name], 2).tolist()
        self.content["items"].reverse()

    def save(self) -> Path:
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("annotations/default.json", json.dumps(self.content))
        return self.path

    def items(self, step):
        return next(i for i in self.content["items"] if i["id"].endswith(f"{step:06d}"))

    def find(self, agent, step):
        own = self.items(step)["annotations"]
        return next(each for each in own if each["attributes"]["agent"] == agent)

    def move(self, agent, step, by):
        self.find(agent, step)["position"][0] += by

    def lengthen(self, agent, step, by):
        self.find(agent, step)["scale"][0] += by

    def spoil(self, agent, step, value):
        self.find(agent, step)["position"][1] = value

    def remove(self, agent, step):
        self.items(step)["annotations"].remove(self.find(agent, step))

    def repeat(self, agent, step):
        self.items(step)["annotations"].append(dict(self.find(agent, step)))

    def rename(self, agent, step, name):
        self.find(agent, step)["attributes"]["agent"] = name

    def confirm(self, agent, step):
        self.find(agent, step)["attributes"]["reviewed"] = True

    def classify(self, agent, step):
        names = [each["name"] for each in self.content["categories"]["label"]["labels"]]
        self.find(agent, step)["label_id"] = names.index("truck")


class LabelStudioTool:
    """Label Studio, in which a person submits the prediction as an annotation."""

    name = "label-studio"
    axis = 0.0

    def __init__(self, folder: Path) -> None:
        self.path = folder / "task.json"
        self.content = json.loads(self.path.read_text())
        (task,) = self.content
        result = task.pop("predictions")[0]["result"]
        task["id"] = 17
        task["annotations"] = [{"id": 4, "was_cancelled": False, "result": result}]

    @property
    def regions(self):
        return self.content[0]["annotations"][0]["result"]

    def save(self) -> Path:
        self.path.write_text(json.dumps(self.content))
        return self.path

    def region(self, agent):
        return next(each for each in self.regions if each["meta"]["text"] == [agent])

    def find(self, agent, step):
        sequence = self.region(agent)["value"]["sequence"]
        return next(each for each in sequence if each["frame"] == step + 1)

    def move(self, agent, step, by):
        self.find(agent, step)["x"] += by / 1.2

    def lengthen(self, agent, step, by):
        self.find(agent, step)["width"] += by / 1.2

    def spoil(self, agent, step, value):
        self.find(agent, step)["y"] = value

    def remove(self, agent, step):
        sequence = self.region(agent)["value"]["sequence"]
        at = sequence.index(self.find(agent, step))
        if at:
            sequence[at - 1]["enabled"] = False
        del sequence[at]

    def repeat(self, agent, step):
        sequence = self.region(agent)["value"]["sequence"]
        sequence.append(dict(self.find(agent, step)))

    def rename(self, agent, step, name):
        region = self.region(agent)
        own = next((each for each in self.regions if each["meta"]["text"] == [name]), None)
        if own is None:
            own = json.loads(json.dumps(region))
            own["meta"]["text"], own["value"]["sequence"], own["id"] = [name], [], "fresh"
            self.regions.append(own)
        key = self.find(agent, step)
        self.remove(agent, step)
        own["value"]["sequence"].append({**key, "enabled": False})

    def confirm(self, agent, _step):
        self.region(agent)["value"]["labels"].append("reviewed")

    def classify(self, agent, _step):
        self.region(agent)["value"]["labels"] = ["truck"]


class KittiTool:
    """An editor of KITTI's rows."""

    name = "kitti"
    # The first axis of a camera points to the right.
    axis = -np.pi / 2

    def __init__(self, folder: Path) -> None:
        self.path = folder / "0007.txt"
        self.rows = [line.split() for line in self.path.read_text().splitlines()]

    def save(self) -> Path:
        self.path.write_text("".join(" ".join(row) + "\n" for row in self.rows))
        return self.path

    def find(self, agent, step):
        return next(row for row in self.rows if row[:2] == [str(step), agent])

    def _add(self, agent, step, column, by):
        row = self.find(agent, step)
        row[column] = f"{float(row[column]) + by:.6f}"

    def move(self, agent, step, by):
        self._add(agent, step, 13, by)

    def lengthen(self, agent, step, by):
        self._add(agent, step, 12, by)

    def spoil(self, agent, step, value):
        self.find(agent, step)[14] = str(value)

    def remove(self, agent, step):
        self.rows.remove(self.find(agent, step))

    def repeat(self, agent, step):
        self.rows.append(list(self.find(agent, step)))

    def rename(self, agent, step, name):
        self.find(agent, step)[1] = name

    def confirm(self, agent, step):
        self.find(agent, step)[17] = "1"

    def classify(self, agent, _step):
        for row in self.rows:
            if row[1] == agent:
                row[2] = "Truck"


class NuScenesTool:
    """An editor of nuScenes' results."""

    name = "nuscenes"
    axis = None
    """The first axis is that of the world."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "0007.json"
        self.content = json.loads(self.path.read_text())

    def save(self) -> Path:
        self.path.write_text(json.dumps(self.content))
        return self.path

    def boxes(self, step):
        return self.content["results"][f"sample-{step}"]

    def find(self, agent, step):
        return next(box for box in self.boxes(step) if box["tracking_id"] == agent)

    def move(self, agent, step, by):
        self.find(agent, step)["translation"][0] += by

    def lengthen(self, agent, step, by):
        self.find(agent, step)["size"][1] += by

    def spoil(self, agent, step, value):
        self.find(agent, step)["translation"][1] = value

    def remove(self, agent, step):
        self.boxes(step).remove(self.find(agent, step))

    def repeat(self, agent, step):
        self.boxes(step).append(dict(self.find(agent, step)))

    def rename(self, agent, step, name):
        self.find(agent, step)["tracking_id"] = name

    def confirm(self, agent, step):
        self.find(agent, step)["tracking_score"] = 1.0

    def classify(self, agent, _step):
        for boxes in self.content["results"].values():
            for box in boxes:
                if box["tracking_id"] == agent:
                    box["tracking_name"] = "truck"


class Av2Tool:
    """An editor of Argoverse 2's tables."""

    name = "av2"
    axis = 0.0

    def __init__(self, folder: Path) -> None:
        from pyarrow import feather

        self.path = folder / "0007.feather"
        self.table = feather.read_table(self.path)
        self.rows = self.table.to_pylist()

    def save(self) -> Path:
        import pyarrow as pa
        from pyarrow import feather

        table = pa.Table.from_pylist(self.rows, schema=self.table.schema)
        feather.write_feather(table, self.path)
        return self.path

    def find(self, agent, step):
        time = step * 100_000_000
        own = (r for r in self.rows if r["track_uuid"] == agent and r["timestamp_ns"] == time)
        return next(own)

    def move(self, agent, step, by):
        self.find(agent, step)["tx_m"] += by

    def lengthen(self, agent, step, by):
        self.find(agent, step)["length_m"] += by

    def spoil(self, agent, step, value):
        self.find(agent, step)["ty_m"] = value

    def remove(self, agent, step):
        self.rows.remove(self.find(agent, step))

    def repeat(self, agent, step):
        self.rows.append(dict(self.find(agent, step)))

    def rename(self, agent, step, name):
        self.find(agent, step)["track_uuid"] = name

    def confirm(self, agent, step):
        self.find(agent, step)["score"] = 1.0

    def classify(self, agent, _step):
        for row in self.rows:
            if row["track_uuid"] == agent:
                row["category"] = "TRUCK"


TOOLS = (CvatTool, LabelStudioTool, KittiTool, NuScenesTool, Av2Tool)
