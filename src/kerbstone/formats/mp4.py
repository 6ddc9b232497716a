"""What the header of an MP4 or MOV video says: image size and number of frames.

A reference to a video needs no more, so no decoder is needed either.

References:
    ISO/IEC 14496-12, the ISO base media file format: a file is a tree of boxes, each with its
    length and a four-letter type in front.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kerbstone.errors import InputError


@dataclass(frozen=True)
class Video:
    """The image track of a video.

    Args:
        width_px: Image width [px].
        height_px: Image height [px].
        frames: Number of images.
    """

    width_px: int
    height_px: int
    frames: int


def read_video_header(path: Path) -> Video:
    """Read what a video says about its images.

    Raises:
        InputError: The file is cut off, is no MP4 file or holds no images.
    """
    try:
        movie = _read_movie(path)
        for kind, track in _boxes(movie):
            if kind == b"trak":
                media = dict(_boxes(dict(_boxes(track))[b"mdia"]))
                if media[b"hdlr"][8:12] == b"vide":
                    return _describe(dict(_boxes(track))[b"tkhd"], media[b"minf"])
    except (struct.error, KeyError, EOFError) as error:
        raise InputError(
            "truncated",
            "the video's header cannot be read",
            where=str(path),
            why=f"{type(error).__name__} {error}",
            remedy="fetch the file again, or convert it with ffmpeg",
        ) from error
    raise InputError("empty", "the video holds no images", where=str(path))


def _read_movie(path: Path) -> bytes:
    """Return the content of the `moov` box; the images themselves are passed over."""
    with path.open("rb") as file:
        while head := file.read(8):
            length, kind = struct.unpack(">I4s", head)
            read = 8
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
                read = 16
            if kind == b"moov":
                content = file.read(length - read if length else -1)
                if length and len(content) < length - read:
                    raise EOFError("in the box 'moov'")
                return content
            if length < read:
                break
            file.seek(length - read, 1)
    raise EOFError("before the box 'moov'")


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        if length < 8 or start + length > len(content):
            raise EOFError(f"in the box {kind.decode('latin-1')!r}")
        yield kind, content[start + 8 : start + length]
        start += length


def _describe(track_header: bytes, media_information: bytes) -> Video:
    table = dict(_boxes(dict(_boxes(media_information))[b"stbl"]))
    width, height = struct.unpack(">II", track_header[-8:])
    (frames,) = struct.unpack_from(">I", table[b"stsz"], 8)
    # Sizes are fixed-point numbers with 16 bits behind the point.
    return Video(width >> 16, height >> 16, frames)
