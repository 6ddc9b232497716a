"""Small KITTI sequences of a made-up drive, whose truth is known.

The car drives a bend at constant speed past a parked van, behind a car and beside a pedestrian.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from kerbstone.scene import SE3

STEPS = 40
SPEED = 8.0
TURN_RATE = 0.1
START_YAW = 0.7
LATITUDE, LONGITUDE = 49.0, 8.4
EARTH_RADIUS = 6_378_137.0

VAN = np.array([18.0, 6.0, 0.07])
VAN_HEADING = 0.3
VAN_SIZE = np.array([5.1, 1.9, 2.0])
CAR_START = np.array([10.0, -3.0, 0.0])
CAR_VELOCITY = np.array([7.0, 1.0, 0.0])
CAR_SIZE = np.array([4.2, 1.8, 1.5])
WALKER = np.array([25.0, -7.0, 0.1])
WALKER_VELOCITY = np.array([0.0, 1.5, 0.0])
WALKER_SIZE = np.array([0.6, 0.5, 1.7])

# Looking forward, each a little askew against the car, as in life.
_LOOKS_AHEAD = SE3.from_matrix(
    np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]])
)
VELODYNE_FROM_EGO = SE3.from_euler(
    roll=0.01, pitch=-0.02, yaw=0.005, translation=np.array([-0.8, 0.3, -0.8])
)
RECTIFY = SE3.from_euler(roll=0.01, pitch=0.004, yaw=-0.003, translation=np.zeros(3))
VELODYNE_TO_CAMERA = _LOOKS_AHEAD @ SE3.from_euler(
    roll=0.003, pitch=0.01, yaw=-0.004, translation=np.zeros(3)
)
CAMERA_FROM_VELODYNE = RECTIFY @ VELODYNE_TO_CAMERA
CAMERA_FROM_EGO = CAMERA_FROM_VELODYNE @ VELODYNE_FROM_EGO
INTRINSICS = np.array([[700.0, 0, 600], [0, 710, 170], [0, 0, 1]])
BASELINE = np.array([0.06, -0.001, 0.003])


def drive(steps: int = STEPS, *, yaw: float = 0.0) -> SE3:
    """Return the car's poses, in the plane, from the origin on."""
    angle = yaw + TURN_RATE * 0.1 * np.arange(steps)
    radius = SPEED / TURN_RATE
    x = radius * (np.sin(angle) - np.sin(yaw))
    y = radius * (np.cos(yaw) - np.cos(angle))
    return SE3.from_yaw(angle, np.column_stack([x, y, 0.01 * np.arange(steps)]))


def label_lines(steps: int = STEPS) -> list[str]:
    """Return the lines of a label file: what stands and moves in the frame of the first pose."""
    camera_from_world = CAMERA_FROM_EGO @ drive(steps).inverse()
    time = 0.1 * np.arange(steps)[:, None]
    things = [
        (0, "Van", VAN + 0 * time, VAN_HEADING, VAN_SIZE),
        (3, "Car", CAR_START + CAR_VELOCITY * time, np.arctan2(1.0, 7.0), CAR_SIZE),
        (7, "Pedestrian", WALKER + WALKER_VELOCITY * time, np.pi / 2, WALKER_SIZE),
    ]
    lines = []
    for frame in range(steps):
        lines.append(f"{frame} -1 DontCare -1 -1 -10" + " 1" * 4 + " -1000" * 3 + " -10 -1 -1 -1")
        for track, label, bottom, heading, (length, width, height) in things:
            pose = camera_from_world[frame]
            place = pose @ bottom[frame]
            ahead = pose.rotate(np.array([np.cos(heading), np.sin(heading), 0.0]))
            # What a camera that is askew sees: a turn about its own y axis.
            turn = np.arctan2(-ahead[2], ahead[0])
            numbers = " ".join(f"{v:.9f}" for v in (height, width, length, *place, turn))
            lines.append(f"{frame} {track} {label} 0 0 0.1 10 20 30 40 {numbers}")
    return lines


def write_calibration(path: Path, *, colons: bool = True) -> None:
    """Write a calibration file, in AB3DMOT's names or, without colons, in the benchmark's."""
    names = ("R0_rect", "Tr_velo_to_cam", "Tr_imu_to_velo")
    names = names if colons else ("R_rect", "Tr_velo_cam", "Tr_imu_velo")
    offset = -INTRINSICS @ BASELINE
    entries = {f"P{i}": np.column_stack([INTRINSICS, offset * (i == 2)]) for i in range(4)}
    entries[names[0]] = RECTIFY.matrix()[:3, :3]
    entries[names[1]] = VELODYNE_TO_CAMERA.matrix()[:3]
    entries[names[2]] = VELODYNE_FROM_EGO.matrix()[:3]
    path.parent.mkdir(parents=True, exist_ok=True)
    colon = ":" if colons else ""
    lines = [f"{n}{colon if n[0] != 'P' else ':'} {numbers(m)}" for n, m in entries.items()]
    path.write_text("\n".join(lines) + "\n\n")


def numbers(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in matrix.ravel())


def pose_lines(poses: SE3) -> list[str]:
    return [numbers(row[:3]) for row in poses.matrix()]


def oxts_lines(steps: int = STEPS) -> list[str]:
    """Return GPS/IMU rows of the drive, north-east from a place in Germany."""
    poses = drive(steps, yaw=START_YAW)
    scale = EARTH_RADIUS * np.cos(np.radians(LATITUDE))
    start = scale * np.log(np.tan(np.pi / 4 + np.radians(LATITUDE) / 2))
    x, y, z = poses.translation.T
    longitude = LONGITUDE + np.degrees(x / scale)
    latitude = np.degrees(2 * np.arctan(np.exp((start + y) / scale))) - 90
    rows = np.column_stack([latitude, longitude, 110 + z, 0 * x, 0 * x, poses.yaw])
    return [" ".join(f"{v:.12f}" for v in row) + " 0" * 24 for row in rows]


def write_tracking(
    root: Path, *, poses: str = "poses", sensors: bool = False, colons: bool = True
) -> Path:
    """Write a tracking sequence; `poses` is the folder of its poses: `oxts`, another, or none."""
    write_lines(root / "label_02" / "0000.txt", label_lines())
    write_calibration(root / "calib" / "0000.txt", colons=colons)
    if poses == "oxts":
        write_lines(root / "oxts" / "0000.txt", oxts_lines())
    elif poses:
        # Poses of camera 0 start at the identity.
        track = CAMERA_FROM_EGO @ drive() @ CAMERA_FROM_EGO.inverse()
        write_lines(root / poses / "0000.txt", pose_lines(track))
    if sensors:
        for frame in range(3):
            write_png(root / "image_02" / "0000" / f"{frame:06}.png", 12, 5)
            sweep = root / "velodyne" / "0000" / f"{frame:06}.bin"
            sweep.parent.mkdir(parents=True, exist_ok=True)
            sweep.write_bytes(b"")
    return root


def write_odometry(root: Path, *, has_poses: bool = True, steps: int = STEPS) -> Path:
    """Write an odometry sequence in the benchmark's layout, with images and sweeps."""
    folder = root / "sequences" / "03"
    calibration = {f"P{i}": np.column_stack([INTRINSICS, np.zeros(3)]) for i in range(4)}
    calibration["Tr"] = CAMERA_FROM_VELODYNE.matrix()[:3]
    write_lines(folder / "calib.txt", [f"{n}: {numbers(m)}" for n, m in calibration.items()])
    write_lines(folder / "times.txt", [f"{0.1037 * i:.6e}" for i in range(steps)])
    for frame in range(2):
        write_png(folder / "image_0" / f"{frame:06}.png", 14, 6)
        sweep = folder / "velodyne" / f"{frame:06}.bin"
        sweep.parent.mkdir(parents=True, exist_ok=True)
        sweep.write_bytes(b"")
    if has_poses:
        track = CAMERA_FROM_EGO @ drive(steps) @ CAMERA_FROM_EGO.inverse()
        write_lines(root / "poses" / "03.txt", pose_lines(track))
    return root


def write_videos(root: Path, *, readme: str = "", frames: int = STEPS + 5) -> Path:
    """Write poses with a video beside them."""
    track = CAMERA_FROM_EGO @ drive() @ CAMERA_FROM_EGO.inverse()
    write_lines(root / "poses_07_first.txt", pose_lines(track))
    (root / "image_0.mp4").write_bytes(mp4(620, 186, frames))
    if readme:
        (root / "README.md").write_text(readme)
    return root


def write_lines(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_png(path: Path, width: int, height: int) -> None:
    """Write a black grey image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0" * (width + 1) * height))
        + chunk(b"IEND", b"")
    )


def mp4(width: int, height: int, frames: int, *, handler: bytes = b"vide") -> bytes:
    """Return a video's boxes without its images."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    size = struct.pack(">II", width << 16, height << 16)
    sizes = box(b"stsz", struct.pack(">III", 0, 0, frames))
    media = box(b"hdlr", b"\0" * 8 + handler + b"\0" * 12)
    media += box(b"minf", box(b"stbl", sizes))
    track = box(b"trak", box(b"tkhd", b"\0" * 76 + size) + box(b"mdia", media))
    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 3) + b"abc"
    return box(b"ftyp", b"isom") + large + box(b"moov", box(b"mvhd", b"\0" * 20) + track)
