"""NIfTI volumes, plain or as gzip, slice by slice; read only.

Rows run along the second axis of the volume and columns along the first, both as stored. Source:
NIfTI-1.1 and NIfTI-2 headers.
"""

import gzip
import math
import re
import struct
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Format, Header, Image
from cluster_worker.pixels.header import RGB, ImageHeader
from cluster_worker.pixels.stack import Stack, check_count

GZIP = b"\x1f\x8b"
HEADS = {348: "nifti1", 540: "nifti2"}
DTYPES = {2: "uint8", 4: "int16", 8: "int32", 16: "float32", 64: "float64", 256: "int8"}
DTYPES |= {512: "uint16", 768: "uint32", 1024: "int64", 1280: "uint64"}
COLOURS = {128: 3, 2304: 4}
METRES = {1: 1.0, 2: 1e-3, 3: 1e-6}

LOST = "place and texts of the NIfTI header dropped: no other format holds them"


class Volume(NamedTuple):
    """What a header says: sizes from x on, dtype, colours, steps, scale, and offset of pixels."""

    sizes: tuple[int, ...]
    stored: np.dtype[Any]
    samples: int
    steps: tuple[float, ...]
    slope: float
    intercept: float
    offset: int

    @property
    def is_scaled(self) -> bool:
        """Whether pixels are other numbers than the stored ones."""
        return self.slope != 0 and (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def dtype(self) -> str:
        """Dtype of the pixels; float32 would round or overflow numbers of more digits."""
        plain = self.stored.newbyteorder("=").name
        if not self.is_scaled or plain == "float32":
            return plain
        return "float64" if self.stored.itemsize >= 4 else "float32"


def opened_at(path: Path) -> BinaryIO | gzip.GzipFile:
    """Open a file for reading, unpacked."""
    with path.open("rb") as opened:
        packed = opened.read(len(GZIP)) == GZIP
    return gzip.GzipFile(path, "rb") if packed else path.open("rb")


# Slices are read in turn: a packed file is unpacked once.
@lru_cache(maxsize=1)
def kept_open(path: Path, *identity: int) -> BinaryIO | gzip.GzipFile:
    """Return the last file, as it was left by its last slice."""
    del identity
    return opened_at(path)


def volume_in(path: Path, name: str) -> Volume:
    """Read a header, from the cache if it is one of the last files."""
    found = path.stat()
    return cached_volume(path, name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4)
def cached_volume(path: Path, name: str, *identity: int) -> Volume:
    """Read a header.

    Raises
    ------
    Rejected
        If its pixels are in another file, or of a kind that is not read.
    """
    del identity
    with opened_at(path) as opened:
        head = opened.read(540)
    if len(head) < min(HEADS):
        raise EOFError("the file ends within its header")
    order = next((each for each in "<>" if struct.unpack_from(f"{each}i", head)[0] in HEADS), "")
    if not order:
        raise Rejected(f"{name}: is packed by gzip and no NIfTI volume; unpack it")
    is_first = HEADS[struct.unpack_from(f"{order}i", head)[0]] == "nifti1"
    if (head[344:347] if is_first else head[4:7]) != (b"n+1" if is_first else b"n+2"):
        raise Rejected(f"{name}: is the header of a volume in two files; save it as .nii")
    if is_first:
        dimensions = struct.unpack_from(f"{order}8h", head, 40)
        kind = struct.unpack_from(f"{order}h", head, 70)[0]
        steps = struct.unpack_from(f"{order}8f", head, 76)
        offset, slope, intercept = struct.unpack_from(f"{order}3f", head, 108)
        units = head[123]
    else:
        kind = struct.unpack_from(f"{order}h", head, 12)[0]
        dimensions = struct.unpack_from(f"{order}8q", head, 16)
        steps = struct.unpack_from(f"{order}8d", head, 104)
        (offset,) = struct.unpack_from(f"{order}q", head, 168)
        slope, intercept = struct.unpack_from(f"{order}2d", head, 176)
        units = struct.unpack_from(f"{order}i", head, 500)[0]
    count = dimensions[0]
    if not 1 <= count <= 7 or min(dimensions[1 : count + 1]) < 1:
        raise ValueError(f"sizes {dimensions}")
    if kind not in DTYPES and kind not in COLOURS:
        raise Rejected(f"{name}: has numbers of NIfTI's kind {kind}; save whole numbers or floats")
    sizes = (*dimensions[1 : count + 1], 1)[: max(2, count)]
    stored = np.dtype(DTYPES.get(kind, "uint8")).newbyteorder("<" if order == "<" else ">")
    metres = METRES.get(units & 7, 0.0)
    sides = (abs(each) * metres for each in steps[1:4])
    lengths = tuple(each if 0 < each < math.inf else 0.0 for each in sides)
    if not math.isfinite(slope) or not math.isfinite(intercept):
        slope, intercept = 0.0, 0.0
    return Volume(sizes, stored, COLOURS.get(kind, 1), lengths, slope, intercept, int(offset))


def read_header(path: Path, name: str) -> Header:
    """Read a volume's header."""
    found = volume_in(path, name)
    header = read_plane_header(path, name, 0)
    # The last axis is the slowest one.
    leading = [(axis, size) for axis, size in zip("ztpppp", found.sizes[2:], strict=False)]
    kept = [(axis, size) for axis, size in reversed(leading) if size > 1]
    planes = math.prod(size for _, size in kept)
    if planes == 1:
        return header
    check_count(planes, name)
    axes = "".join(axis for axis, _ in kept)
    shape = tuple(size for _, size in kept)
    if "p" in axes and len(axes) > 1:
        axes, shape = "p", (planes,)
    step = found.steps[2] or None if "z" in axes else None
    return replace(header, stack=Stack(axes, shape, step=step))


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of one slice."""
    found = volume_in(path, name)
    colour = found.samples > 1
    shape = (found.sizes[1], found.sizes[0], *((found.samples,) if colour else ()))
    width, height = found.steps[:2]
    notes: tuple[str, ...] = (LOST,)
    if found.is_scaled:
        notes += (f"numbers were rescaled: stored × {found.slope:g} + {found.intercept:g}",)
    return Header(
        name=name,
        format="nifti",
        image=ImageHeader(
            shape,
            found.dtype,
            "yxs"[: len(shape)],
            "picture" if colour else "intensity",
            alpha=found.samples == 4,
            pixel_size=(height, width) if height and width else None,
            channels=RGB if colour else (),
        ),
        notes=notes,
        plane=plane,
    )


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Read a slice into `out`; raises EOFError if the file ends too early."""
    found = volume_in(path, header.name)
    count = found.sizes[0] * found.sizes[1] * found.samples
    size = count * found.stored.itemsize
    stated = path.stat()
    identity = stated.st_dev, stated.st_ino, stated.st_size, stated.st_mtime_ns
    opened = kept_open(path, *identity)
    opened.seek(found.offset + header.plane * size)
    content = opened.read(size)
    if len(content) < size:
        raise EOFError("pixels are missing")
    samples = np.frombuffer(content, found.stored).reshape(out.shape)
    if found.is_scaled:
        out[...] = samples * np.float64(found.slope) + np.float64(found.intercept)
    else:
        out[...] = samples
    return ()


NIFTI = Format(
    name="nifti",
    title="NIfTI",
    extensions=("nii", "nii.gz"),
    media_type="application/x-nifti",
    magic=re.compile(
        rb"\x1f\x8b|\x5c\x01\0\0.{340}n[+i]1\0|\0\0\x01\x5c.{340}n[+i]1\0"
        rb"|\x1c\x02\0\0n[+i]2\0|\0\0\x02\x1cn[+i]2\0",
        re.DOTALL,
    ),
    read_header=read_header,
    read_pixels=read_pixels,
    read_plane_header=read_plane_header,
)
