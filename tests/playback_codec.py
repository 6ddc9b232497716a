"""What the page does with packed numbers, in Python."""

import base64
import zlib

import numpy as np


def unpack(text: str) -> np.ndarray:
    """Return the integers that `kerbstone.app.playback.codec.pack` was given."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(4, -1)
    steps = np.ascontiguousarray(planes.T).view("<u4").ravel()
    return np.cumsum(steps, dtype=np.uint32).view(np.int32)


def unpack_lines(layer: dict[str, str]) -> list[np.ndarray]:
    """Return the polylines of a layer of the road, relative to the origin [m]."""
    points = np.column_stack([unpack(layer["x"]), unpack(layer["y"])]) / 100
    return np.split(points, np.cumsum(unpack(layer["count"]))[:-1])
