"""OpenEXR: half floats, floats and whole numbers of 32 bits; the first part of a file; read only.

Source: OpenEXR File Layout, Academy Software Foundation.
"""

import re
import struct
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import OpenEXR

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Format, Header, Image
from cluster_worker.pixels.header import CHANNELS_MAX, RGB, ImageHeader

# Bits of the version: data with a depth for each sample, and several parts.
DEEP, PARTS = 0x800, 0x1000
HEAD = struct.Struct("<II")
# Type, whether values are linear, and steps between pixels along columns and rows.
CHANNEL = struct.Struct("<IB3xii")
WINDOW = struct.Struct("<iiii")
HEAD_BYTES = 1 << 20
DTYPES = ("uint32", "float16", "float32")
COLOURS = {"R": 0, "G": 1, "B": 2, "A": 3}

PREMULTIPLIED = "colours were multiplied by transparency; they were divided by it"
FIRST = "the first of several parts of the file is read"


class Described(NamedTuple):
    """What a file says of its first part.

    Attributes
    ----------
    rows, columns : int
        Of the pixels that are stored.
    channels : tuple of str
        Their names in the order in which they are read: colours, then transparency.
    dtype : str
        That holds all of them.
    notes : tuple of str
        What is not read.
    """

    rows: int
    columns: int
    channels: tuple[str, ...]
    dtype: str
    notes: tuple[str, ...]


def described(content: bytes, name: str) -> Described:
    """Read the attributes of the first part.

    Raises
    ------
    Rejected
        If the file has deep data, channels of several sizes, or too many of them.
    EOFError
        If it ends within them.
    """
    try:
        _, version = HEAD.unpack_from(content)
        found = attributes(content)
        channels = channels_in(found[b"channels"])
        left, top, right, bottom = WINDOW.unpack(found[b"dataWindow"])
    except (struct.error, ValueError) as error:
        raise EOFError("the file ends within its attributes") from error
    if version & DEEP:
        raise Rejected(f"{name}: is an OpenEXR of deep data; flatten it, and save it again")
    if any(steps != (1, 1) for _, steps in channels.values()):
        raise Rejected(
            f"{name}: is an OpenEXR whose channels have several sizes (luminance and chroma); save "
            "it as RGB"
        )
    if not 0 < len(channels) <= CHANNELS_MAX:
        raise Rejected(
            f"{name}: is an OpenEXR of {len(channels)} channels; 1 to {CHANNELS_MAX} are read, so "
            "save some of them"
        )
    kinds = {kind for kind, _ in channels.values()}
    dtype = DTYPES[kinds.pop()] if len(kinds) == 1 else "float32"
    notes: tuple[str, ...] = (FIRST,) if version & PARTS else ()
    aspect = struct.unpack("<f", found.get(b"pixelAspectRatio", struct.pack("<f", 1)))[0]
    if aspect != 1:
        notes += (f"pixel aspect {aspect:g} dropped: pixels are taken as squares",)
    return Described(bottom - top + 1, right - left + 1, in_order(channels), dtype, notes)


def attributes(content: bytes) -> dict[bytes, bytes]:
    """Return the values of the attributes of the first part by their names."""
    found: dict[bytes, bytes] = {}
    place = HEAD.size
    while content[place : place + 1] != b"\0":
        end = content.index(b"\0", place)
        kind = content.index(b"\0", end + 1)
        (size,) = struct.unpack_from("<i", content, kind + 1)
        start = kind + 5
        if size < 0 or start + size >= len(content):
            raise ValueError("an attribute lies beyond the end")
        found[content[place:end]] = content[start : start + size]
        place = start + size
    return found


def channels_in(content: bytes) -> dict[str, tuple[int, tuple[int, int]]]:
    """Return type and steps of the channels by their names."""
    found = {}
    place = 0
    while content[place : place + 1] not in (b"\0", b""):
        end = content.index(b"\0", place)
        kind, _, across, down = CHANNEL.unpack_from(content, end + 1)
        if kind >= len(DTYPES):
            raise ValueError("no such type")
        found[content[place:end].decode("utf-8", "replace")] = kind, (across, down)
        place = end + 1 + CHANNEL.size
    return found


def in_order(channels: Collection[str]) -> tuple[str, ...]:
    """Return the names of channels, red, green, blue and transparency in this order."""
    if set(channels) in ({"R", "G", "B"}, {"R", "G", "B", "A"}):
        return tuple(sorted(channels, key=COLOURS.__getitem__))
    return tuple(sorted(channels, key=lambda each: (each == "A", each)))


def read_header(path: Path, name: str) -> Header:
    """Read an OpenEXR's header; what is raised is as for `described`."""
    with path.open("rb") as opened:
        found = described(opened.read(HEAD_BYTES), name)
    count = len(found.channels)
    alpha = found.channels[-1] == "A" and count > 1 and found.dtype != "uint32"
    colours = found.channels[: count - alpha]
    is_rgb = colours == ("R", "G", "B")
    notes = found.notes + ((PREMULTIPLIED,) if alpha else ())
    shape = (found.rows, found.columns)
    image = ImageHeader(
        shape if count == 1 else (*shape, count),
        found.dtype,
        "yx" if count == 1 else "yxs",
        "picture" if is_rgb else "intensity" if len(colours) == 1 else "bands",
        alpha,
        channels=RGB if is_rgb else colours if count > 1 else (),
    )
    return Header(name=name, format="exr", image=image, notes=notes)


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode an OpenEXR into `out`.

    Raises
    ------
    RuntimeError
        If the file is damaged or ends too early.
    """
    with path.open("rb") as opened:
        names = described(opened.read(HEAD_BYTES), header.name).channels
    layered = out if out.ndim == 3 else out[..., np.newaxis]
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        for number, name in enumerate(names):
            layered[..., number] = channels[name].pixels
    if header.has_alpha:
        divide(layered)
    return ()


def divide(image: Image) -> None:
    """Divide colours by their alpha, where that is not 0."""
    alpha = image[..., -1:].astype(np.float32)
    colours = image[..., :-1]
    np.divide(colours, alpha, out=colours, where=alpha != 0, casting="unsafe")


EXR = Format(
    name="exr",
    title="OpenEXR",
    extensions=("exr",),
    media_type="image/x-exr",
    magic=re.compile(rb"\x76\x2f\x31\x01"),
    read_header=read_header,
    read_pixels=read_pixels,
)
