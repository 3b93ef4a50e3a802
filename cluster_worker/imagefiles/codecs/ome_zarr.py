"""OME-Zarr 0.4 and 0.5, as a folder or a zip file; results are zip files of version 0.5.

Source: OME-NGFF specification 0.5, multiscales and omero.
"""

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs import zarr_store
from cluster_worker.imagefiles.codecs.header import Format, Header, Image, as_stored
from cluster_worker.imagefiles.codecs.zarr_arrays import (
    CHUNKS,
    Array,
    array_of,
    read_block,
    shard_index,
)
from cluster_worker.imagefiles.codecs.zarr_store import Store, open_store, whole
from cluster_worker.imagefiles.codecs.zarr_writing import ZarrStack, assemble, encode_tiles, write
from cluster_worker.pixels.header import KIND_OF_DTYPE, RGB, ImageHeader, Kind
from cluster_worker.pixels.stack import Stack, check_count

# Metres in the units of space that files name.
METRES = {"meter": 1.0, "centimeter": 1e-2, "millimeter": 1e-3, "micrometer": 1e-6}
METRES |= {"nanometer": 1e-9, "picometer": 1e-12, "angstrom": 1e-10, "inch": 0.0254}
METRES |= {"µm": 1e-6, "um": 1e-6, "nm": 1e-9, "mm": 1e-3, "m": 1.0}
INCH_METRES = 0.0254
# Names of channels that are the colours of a pixel.
COLOURS = (RGB, (*RGB, "alpha"), ("gray", "alpha"))
# Axes of the planes; all others are pages.
LEADING = {"t": "t", "c": "c", "z": "z"}
# A chunk that is larger is not read by windows.
PIECE_BYTES_MAX = 64 << 20


class Multiscale(NamedTuple):
    """An image of a Zarr: its array in full size, and what is said of it.

    Attributes
    ----------
    store : Store
        Where it lies.
    array : Array
        In full size.
    axes : str
        A letter for each axis of the array; p for one without a meaning here.
    scale : tuple of float
        Metres, or other units, of a step along each axis; 0 if unknown.
    channels : tuple of str
        Names along c; empty if they are not named.
    is_labels : bool
        Whether the numbers name regions.
    levels : tuple of str
        Paths of the smaller copies.
    stamps : tuple
        Of the files that say all this.
    """

    store: Store
    array: Array
    axes: str
    scale: tuple[float, ...]
    channels: tuple[str, ...]
    is_labels: bool
    levels: tuple[str, ...]
    stamps: tuple[Any, ...]

    @property
    def samples(self) -> int:
        """Channels of a pixel: those along c, if they are red, green and blue; else 1."""
        named = tuple(each.lower() for each in self.channels)
        is_colour = named in COLOURS and "c" in self.axes
        return len(named) if is_colour else 1

    @property
    def leading(self) -> tuple[int, ...]:
        """Axes along which planes lie, without those of length 1."""
        colour = self.axes.index("c") if self.samples > 1 else -1
        count = len(self.axes) - 2
        return tuple(k for k in range(count) if k != colour and self.array.shape[k] > 1)


def identity_of(path: Path) -> tuple[int, ...]:
    """Return what tells a changed Zarr from another one."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def multiscale(path: Path, name: str) -> Multiscale:
    """Return the image of a Zarr, from the cache if it is one of the last ones.

    Raises
    ------
    Rejected
        If it holds none, or one that this app does not read.
    """
    identity = identity_of(path)
    found = cached_multiscale(path, name, *identity)
    if found.stamps != stamps_of(found.store, found.array.path):
        cached_multiscale.cache_clear()
        found = cached_multiscale(path, name, *identity)
    return found


def stamps_of(store: Store, path: str) -> tuple[Any, ...]:
    """Return what tells the metadata above and of an array from those written later."""
    groups = [each.as_posix() for each in (PurePosixPath(path), *PurePosixPath(path).parents)]
    return tuple(store.stamp(f"{group}/{each}") for group in groups for each in zarr_store.ROOTS)


@lru_cache(maxsize=4)
def cached_multiscale(path: Path, name: str, *identity: int) -> Multiscale:
    """Find the image of a Zarr."""
    del identity
    store = open_store(path)
    attributes = attributes_of(store, "", name)
    base = ""
    if not attributes.get("multiscales") and "bioformats2raw.layout" in attributes:
        base, attributes = "0/", attributes_of(store, "0/", name)
    if "plate" in attributes or "well" in attributes:
        raise Rejected(f"{name}: is a plate of many images; give one of them, such as {name}/A/1/0")
    found = attributes.get("multiscales")
    if not found:
        return plain_array(store, name)
    first = found[0]
    datasets = first["datasets"]
    array = array_of(store, base + str(datasets[0]["path"]), name)
    if array is None:
        raise Rejected(f"{name}: its array {datasets[0]['path']} is missing; copy the whole folder")
    named = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in axes_of(first)]
    if len(named) != len(array.shape) or [each["name"] for each in named[-2:]] != ["y", "x"]:
        letters = "".join(str(each["name"])[:1] for each in named)
        raise Rejected(
            f"{name}: has the axes {letters}; its last two must be y and x, so "
            "write them in this order"
        )
    omero = (attributes.get("omero") or {}).get("channels") or ()
    names = tuple(str(each.get("label") or "") for each in omero)
    axes = "".join(LEADING.get(str(each["name"]), "p") for each in named[:-2]) + "yx"
    count = array.shape[axes.index("c")] if "c" in axes else 0
    return Multiscale(
        store,
        array,
        axes,
        scale_of(first, datasets[0], named),
        names if len(names) == count and any(names) else (),
        "image-label" in attributes,
        tuple(str(each["path"]) for each in datasets[1:]),
        stamps_of(store, array.path),
    )


def axes_of(multiscales: Mapping[str, Any]) -> Any:
    """Return the axes that are named; the five of version 0.2 if there are none."""
    return multiscales.get("axes", list("tczyx"))


def attributes_of(store: Store, base: str, name: str) -> Mapping[str, Any]:
    """Return what is said of a group; in version 0.5 it lies one level deeper."""
    text = whole(store, f"{base}zarr.json", name)
    if text is not None:
        attributes = json.loads(text).get("attributes", {})
        found: Mapping[str, Any] = attributes.get("ome", attributes)
        return found
    text = whole(store, f"{base}.zattrs", name)
    return json.loads(text) if text is not None else {}


def plain_array(store: Store, name: str) -> Multiscale:
    """Return an array that no OME metadata describe: its last axes are rows and columns."""
    array = array_of(store, "", name)
    if array is None:
        raise Rejected(
            f"{name}: is a Zarr without an image at its top; choose the folder of one in it"
        )
    if len(array.shape) < 2:
        raise Rejected(
            f"{name}: is an array of {len(array.shape)} axes; an image has two or more, so choose "
            "another array"
        )
    axes = "p" * (len(array.shape) - 2) + "yx"
    scale, stamps = (0.0,) * len(axes), stamps_of(store, "")
    return Multiscale(store, array, axes, scale, (), is_labels=False, levels=(), stamps=stamps)


def scale_of(
    multiscales: Mapping[str, Any], dataset: Mapping[str, Any], axes: list[Mapping[str, Any]]
) -> tuple[float, ...]:
    """Return the size of a step along each axis, in metres along axes of space."""
    steps = [1.0] * len(axes)
    known = False
    for source in (dataset, multiscales):
        for each in source.get("coordinateTransformations", ()) or ():
            if each.get("type") == "scale" and len(each.get("scale", ())) == len(axes):
                steps = [a * float(b) for a, b in zip(steps, each["scale"], strict=True)]
                known = True
    found = []
    for step, axis in zip(steps, axes, strict=True):
        unit = METRES.get(str(axis.get("unit", "")), 0.0) if axis["name"] in "zyx" else 1.0
        size = step * unit if known else 0.0
        found.append(size if 0 < size < math.inf else 0.0)
    return tuple(found)


def read_header(path: Path, name: str) -> Header:
    """Read a Zarr's header.

    Raises
    ------
    Rejected
        If it holds no image that this app reads.
    """
    if path.is_dir():
        # A folder does not tell whether files in it have changed.
        cached_multiscale.cache_clear()
        CHUNKS.clear()
    found = multiscale(path, name)
    header = read_plane_header(path, name, 0)
    shape = tuple(found.array.shape[axis] for axis in found.leading)
    axes = "".join(found.axes[axis] for axis in found.leading)
    planes = math.prod(shape)
    check_count(planes, name)
    if planes == 1:
        return header
    if len(set(axes)) < len(axes) or ("p" in axes and len(axes) > 1):
        axes, shape = "p", (planes,)
    channels = found.channels if "c" in axes else ()
    step = found.scale[found.axes.index("z")] or None if "z" in axes else None
    return Header(**{**vars(header), "stack": Stack(axes, shape, channels, step)})


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of one plane."""
    found = multiscale(path, name)
    array, samples = found.array, found.samples
    shape = (*array.shape[-2:], *((samples,) if samples > 1 else ()))
    dtype = array.dtype.newbyteorder("=").name
    kind: Kind = KIND_OF_DTYPE.get(dtype, "picture" if dtype == "uint8" else "intensity")
    if found.is_labels and np.dtype(dtype).kind in "iu":
        kind = "labels"
    elif samples > 1:
        kind = "picture"
    elif kind == "labels":
        kind = "intensity"
    height, width = found.scale[-2:]
    size = (height, width) if height and width else None
    is_rgb = samples >= len(RGB)
    chunk = array.chunks[-2], array.chunks[-1]
    piece = math.prod(array.chunks) * array.dtype.itemsize
    names: tuple[str, ...] = RGB if is_rgb else ()
    if samples == 1 and found.channels and "c" in found.axes and len(found.channels) == 1:
        names = found.channels if found.channels[0] else ()
    return Header(
        name=name,
        format="zarr",
        image=ImageHeader(
            shape,
            dtype,
            "yxs"[: len(shape)],
            kind,
            alpha=samples in (2, 4),
            pixel_size=size,
            channels=names,
        ),
        resolution=(INCH_METRES / width, INCH_METRES / height) if size else None,
        block=chunk if piece <= PIECE_BYTES_MAX else None,
        plane=plane,
    )


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a plane into `out`; raises as `read_window`."""
    read_window(path, header, 0, out.shape[0], 0, out.shape[1], out)
    return ()


def read_window(
    path: Path, header: Header, top: int, bottom: int, left: int, right: int, out: Image
) -> None:
    """Decode the chunks that a window meets.

    Raises
    ------
    ValueError, EOFError
        If the file is damaged where it was read.
    """
    found = multiscale(path, header.name)
    shape = tuple(found.array.shape[axis] for axis in found.leading)
    place = dict(zip(found.leading, np.unravel_index(header.plane, shape), strict=True))
    starts = [int(place.get(axis, 0)) for axis in range(len(found.axes))]
    starts[-2:] = top, left
    sizes = [1] * len(starts)
    sizes[-2:] = bottom - top, right - left
    target = as_stored(out, header.orientation)
    if found.samples > 1:
        sizes[found.axes.index("c")] = found.samples
        target = np.moveaxis(target, 2, 0)
    block = target.reshape(sizes) if target.flags.c_contiguous else np.empty(sizes, out.dtype)
    read_block(found.store, found.array, tuple(starts), block, identity_of(path))
    if not target.flags.c_contiguous:
        target[...] = block.reshape(target.shape)


def forget() -> None:
    """Free the decoded chunks and the last parts of the last files."""
    CHUNKS.clear()
    shard_index.cache_clear()
    zarr_store.forget()


ZARR = Format(
    name="zarr",
    title="OME-Zarr",
    extensions=("zarr.zip", "ozx", "zarr"),
    media_type="application/zip",
    # A zip file whose first entries are those of a Zarr.
    magic=re.compile(
        rb"PK\x03\x04.{26}.{0,420}?(?:zarr\.json|\.zgroup|\.zattrs|\.zarray|\.zmetadata|\.zarr/)",
        re.DOTALL,
    ),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    read_window=read_window,
    encode_tiles=encode_tiles,
    assemble=assemble,
    carries=frozenset(("resolution",)),
    holds_bands=True,
    read_plane_header=read_plane_header,
    open_stack=ZarrStack,
    holds_axes=True,
)
