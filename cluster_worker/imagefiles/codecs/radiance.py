"""Radiance HDR: red, green and blue with one exponent for a pixel, read as floats; read only.

Source: G. Ward, Real Pixels, Graphics Gems II; the Radiance picture format.
"""

import re
from pathlib import Path

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Format, Header, Image, as_stored, upright_shape
from cluster_worker.pixels.header import RGB, ImageHeader

HEAD_BYTES = 1 << 16
RGBE = b"32-bit_rle_rgbe"
# Signs and axes of the size in the file, by the orientations of EXIF.
SIZE = re.compile(rb"([+-][XY]) (\d{1,9}) ([+-][XY]) (\d{1,9})\n")
ORIENTATIONS = {b"-Y+X": 1, b"-Y-X": 2, b"+Y-X": 3, b"+Y+X": 4}
ORIENTATIONS |= {b"+X-Y": 5, b"-X-Y": 8, b"-X+Y": 7, b"+X+Y": 6}
# A line of run lengths begins so; its length is 15 bits.
RUNS, RUN_COLUMNS = b"\2\2", range(8, 1 << 15)
LONG_RUN = 128
# The exponent counts from 128, and the mantissa has 8 bits.
BIAS = 128 + 8


def head_of(content: bytes, name: str) -> tuple[int, int, int, int]:
    """Return the stored rows and columns, the orientation, and where the pixels begin.

    Raises
    ------
    Rejected
        If the colours are not red, green and blue.
    EOFError
        If the file ends before its size.
    """
    end = content.find(b"\n\n")
    found = SIZE.match(content, end + 2) if end >= 0 else None
    if found is None:
        raise EOFError("the file ends before its size")
    for line in content[:end].split(b"\n"):
        if line.startswith(b"FORMAT=") and line.partition(b"=")[2].strip() != RGBE:
            raise Rejected(f"{name}: is a Radiance HDR in XYZ colours; save it as RGB")
    first, rows, second, columns = found.groups()
    orientation = ORIENTATIONS.get(first + second)
    if orientation is None:
        raise ValueError("the size names one axis twice")
    return int(rows), int(columns), orientation, found.end()


def read_header(path: Path, name: str) -> Header:
    """Read a Radiance HDR's header; what is raised is as for `head_of`."""
    with path.open("rb") as opened:
        content = opened.read(HEAD_BYTES)
    rows, columns, orientation, _ = head_of(content, name)
    shape = upright_shape(rows, columns, 3, orientation)
    lines = content.partition(b"\n\n")[0].split(b"\n")
    exposures = [each.partition(b"=")[2] for each in lines if each.startswith(b"EXPOSURE=")]
    notes: tuple[str, ...] = ()
    if exposures:
        notes = ("the exposure that the file states is not taken out of its values",)
    image = ImageHeader(shape, "float32", "yxs", "picture", channels=RGB)
    return Header(name=name, format="hdr", image=image, orientation=orientation, notes=notes)


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a Radiance HDR into `out`.

    Raises
    ------
    EOFError
        If the file ends too early.
    ValueError
        If a run is longer than its line.
    """
    stored = as_stored(out, header.orientation)
    content = path.read_bytes()
    place = head_of(content[:HEAD_BYTES], header.name)[-1]
    for row in stored:
        line, place = read_line(content, place, len(row))
        row[...] = floats(line)
    return ()


def read_line(content: bytes, place: int, columns: int) -> tuple[Image, int]:
    """Read a line, (columns, 4) of uint8, three mantissas and the exponent; return its end, too."""
    first = content[place : place + 4]
    if columns not in RUN_COLUMNS or first[:2] != RUNS or first[2:3] > b"\x7f":
        return old_line(content, place, columns)
    if int.from_bytes(first[2:]) != columns:
        raise ValueError("a line has another length")
    place += 4
    channels = []
    for _ in range(4):
        channel, place = channel_of(content, place, columns)
        channels.append(np.frombuffer(channel, np.uint8))
    return np.stack(channels, axis=1), place


def channel_of(content: bytes, place: int, columns: int) -> tuple[bytes, int]:
    """Read one channel of a line: runs of one byte, and bytes as they are."""
    parts: list[bytes] = []
    left = columns
    while left:
        if place + 1 >= len(content):
            raise EOFError("pixels are missing")
        count = content[place]
        if count > LONG_RUN:
            count -= LONG_RUN
            parts.append(content[place + 1 : place + 2] * count)
            place += 2
        else:
            parts.append(content[place + 1 : place + 1 + count])
            place += 1 + count
        if not 0 < count <= left:
            raise ValueError("a run is longer than its line")
        left -= count
    found = b"".join(parts)
    if len(found) < columns:
        raise EOFError("pixels are missing")
    return found, place


def old_line(content: bytes, place: int, columns: int) -> tuple[Image, int]:
    """Read a line of whole pixels; a pixel (1, 1, 1, n) repeats the one before it n times."""
    whole = np.frombuffer(content[place : place + 4 * columns], np.uint8)
    if len(whole) == 4 * columns and not (whole.reshape(-1, 4)[:, :3] == 1).all(axis=1).any():
        return whole.reshape(-1, 4), place + 4 * columns
    found = bytearray()
    shift = 0
    while len(found) < 4 * columns:
        pixel = content[place : place + 4]
        place += 4
        if len(pixel) < 4:
            raise EOFError("pixels are missing")
        if pixel[:3] == b"\1\1\1" and found:
            count = pixel[3] << shift
            if len(found) + 4 * count > 4 * columns:
                raise ValueError("a run is longer than its line")
            found += found[-4:] * count
            shift += 8
        else:
            found += pixel
            shift = 0
    return np.frombuffer(bytes(found), np.uint8).reshape(columns, 4), place


def floats(line: Image) -> Image:
    """Convert mantissas and exponents to floats; an exponent of 0 is black."""
    scale = np.ldexp(np.float32(1), line[:, 3:].astype(np.int32) - BIAS)
    scale[line[:, 3:] == 0] = 0
    found: Image = line[:, :3] * scale
    return found


HDR = Format(
    name="hdr",
    title="Radiance HDR",
    extensions=("hdr", "pic"),
    media_type="image/vnd.radiance",
    magic=re.compile(rb"#\?(?:RADIANCE|RGBE)\n"),
    read_header=read_header,
    read_pixels=read_pixels,
)
