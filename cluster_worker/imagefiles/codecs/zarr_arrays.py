"""Arrays of Zarr: their metadata, and their chunks, which imagecodecs decodes.

The library zarr brings numcodecs, 40 MB of codecs that imagecodecs has as well. Sources: Zarr core
specification 2 and 3, and the codecs blosc, bytes, crc32c, gzip, sharding_indexed, transpose and
zstd of version 3.
"""

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import imagecodecs
import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import DTYPES, Image
from cluster_worker.imagefiles.codecs.zarr_store import Store, whole

CHUNK_BYTES_MAX = 1 << 30
# Decoded chunks that are kept for the next window or plane, together.
KEPT_BYTES_MAX = 256 << 20
CHECKSUM = 4
INDEX_ENTRY = np.dtype("<u8")
MISSING = np.iinfo(np.uint64).max
ENDIAN: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}


@dataclass(frozen=True)
class Array:
    """An array: what its metadata says.

    Attributes
    ----------
    path : str
        In the store.
    shape, chunks : tuple of int
        Of the array, and of the pieces that can be decoded one by one.
    shards : tuple of int
        Of the parts of the store; the same as `chunks` without sharding.
    dtype : numpy dtype
        As it is stored, with its byte order.
    fill : float
        Value of chunks that are not there.
    keys : tuple of str
        What stands before the numbers of a part, and between them.
    codecs : tuple of mapping
        Of a chunk, as version 3 names them, from the array to bytes.
    index_codecs : tuple of mapping
        Of a shard's index.
    index_at_start : bool
        Whether the index stands before the chunks.
    order : tuple of int
        Axes as they are stored.
    """

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: float
    keys: tuple[str, str]
    codecs: tuple[Mapping[str, Any], ...]
    index_codecs: tuple[Mapping[str, Any], ...] = ()
    index_at_start: bool = False
    order: tuple[int, ...] = field(default=())


def array_of(store: Store, path: str, name: str) -> Array | None:
    """Read the metadata of an array; None if there is none at this path.

    Raises
    ------
    Rejected
        If it has a dtype or a codec that is not read.
    ValueError, KeyError, TypeError
        If it is damaged.
    """
    prefix = f"{path}/" if path else ""
    text = whole(store, f"{prefix}zarr.json", name)
    if text is not None:
        found = json.loads(text)
        return of_version_3(found, path, name) if found.get("node_type") == "array" else None
    text = whole(store, f"{prefix}.zarray", name)
    return None if text is None else of_version_2(json.loads(text), path, name)


def checked_array(array: Array, name: str) -> Array:
    """Return an array whose sizes are possible.

    Raises
    ------
    Rejected, ValueError
        If they are not.
    """
    sizes = array.shape, array.chunks, array.shards
    if len({len(each) for each in sizes}) != 1 or any(min(each, default=1) < 1 for each in sizes):
        raise ValueError(f"sizes {sizes}")
    if any(shard % chunk for shard, chunk in zip(array.shards, array.chunks, strict=True)):
        raise ValueError(f"chunks of {array.chunks} in {array.shards}")
    if math.prod(array.chunks) * array.dtype.itemsize > CHUNK_BYTES_MAX:
        most = CHUNK_BYTES_MAX >> 20
        raise Rejected(f"{name}: has chunks of more than {most} MiB; write it in smaller ones")
    if array.dtype.newbyteorder("=").name not in DTYPES:
        raise Rejected(
            f"{name}: has numbers of {array.dtype}; {', '.join(DTYPES)} are read, so save it as "
            "one of them"
        )
    return array


def numbers_of(values: Any) -> tuple[int, ...]:
    """Return a tuple of whole numbers."""
    return tuple(int(each) for each in values)


def of_version_3(found: Mapping[str, Any], path: str, name: str) -> Array:
    """Read the metadata of version 3; raises as `array_of`."""
    grid = found["chunk_grid"]
    if grid["name"] != "regular":
        raise Rejected(f"{name}: has chunks of several sizes; write it with a regular grid")
    shape, shards = numbers_of(found["shape"]), numbers_of(grid["configuration"]["chunk_shape"])
    codecs = tuple(found["codecs"])
    chunks, index_codecs, at_start = shards, (), False
    if codecs and codecs[0]["name"] == "sharding_indexed" and len(codecs) == 1:
        inner = codecs[0]["configuration"]
        chunks, codecs = numbers_of(inner["chunk_shape"]), tuple(inner["codecs"])
        index_codecs = tuple(inner["index_codecs"])
        at_start = inner.get("index_location", "end") == "start"
    if not isinstance(found["data_type"], str):
        raise Rejected(
            f"{name}: has numbers of {found['data_type']}, which are not read; save it as one of "
            f"{', '.join(DTYPES)}"
        )
    order, endian = tuple(range(len(shape))), "little"
    for each in codecs:
        if each["name"] not in DECODERS and each["name"] not in ("bytes", "transpose", "crc32c"):
            raise unread(name, each["name"])
        if each["name"] == "transpose":
            order = numbers_of(each["configuration"]["order"])
        if each["name"] == "bytes":
            endian = each.get("configuration", {}).get("endian", "little")
    for each in index_codecs:
        if each["name"] not in ("bytes", "crc32c"):
            raise unread(name, f"{each['name']} of an index")
    encoding = found.get("chunk_key_encoding", {"name": "default"})
    is_default = encoding["name"] == "default"
    between = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
    dtype = np.dtype(found["data_type"]).newbyteorder(ENDIAN[endian])
    array = Array(
        path,
        shape,
        chunks,
        shards,
        dtype,
        fill_of(found.get("fill_value")),
        (f"c{between}" if is_default else "", between),
        tuple(each for each in codecs if each["name"] not in ("bytes", "transpose")),
        index_codecs,
        at_start,
        order,
    )
    return checked_array(array, name)


def of_version_2(found: Mapping[str, Any], path: str, name: str) -> Array:
    """Read the metadata of version 2; raises as `array_of`."""
    if found.get("filters"):
        raise unread(name, str(found["filters"][0].get("id")))
    codecs: tuple[Mapping[str, Any], ...] = ()
    if found.get("compressor"):
        own = str(found["compressor"]["id"])
        if own not in DECODERS:
            raise unread(name, own)
        codecs = ({"name": own},)
    shape, chunks = numbers_of(found["shape"]), numbers_of(found["chunks"])
    axes = tuple(range(len(shape)))
    array = Array(
        path,
        shape,
        chunks,
        chunks,
        np.dtype(found["dtype"]),
        fill_of(found.get("fill_value")),
        ("", str(found.get("dimension_separator", "."))),
        codecs,
        order=axes[::-1] if found.get("order") == "F" else axes,
    )
    return checked_array(array, name)


def unread(name: str, codec: str) -> Rejected:
    """Make the error for a codec that is not read."""
    known = ", ".join(sorted(DECODERS))
    return Rejected(f"{name}: is compressed by {codec}, which is not read; write it by {known}")


def fill_of(value: Any) -> float:
    """Return the value of chunks that are not there."""
    return 0.0 if value is None else float(value)


def by_lz4(content: bytes) -> bytes:
    """Decode LZ4 with the length in front, as numcodecs writes it."""
    return bytes(imagecodecs.lz4_decode(content, header=True))


# By the names of both versions.
DECODERS: dict[str, Any] = {
    "blosc": imagecodecs.blosc_decode,
    "zstd": imagecodecs.zstd_decode,
    "numcodecs.zstd": imagecodecs.zstd_decode,
    "gzip": imagecodecs.gzip_decode,
    "zlib": imagecodecs.zlib_decode,
    "numcodecs.zlib": imagecodecs.zlib_decode,
    "lz4": by_lz4,
    "numcodecs.lz4": by_lz4,
    "bz2": imagecodecs.bz2_decode,
    "lzma": imagecodecs.lzma_decode,
}


class Chunks:
    """Decoded chunks of the last arrays, as many as fit into `KEPT_BYTES_MAX`."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Any, Image] = OrderedDict()
        self.bytes = 0

    def get(self, key: Any) -> Image | None:
        """Return a chunk that is kept."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        return None

    def keep(self, key: Any, chunk: Image) -> None:
        """Keep a chunk; the ones used longest ago make room."""
        self.kept[key] = chunk
        self.bytes += chunk.nbytes
        while self.bytes > KEPT_BYTES_MAX and len(self.kept) > 1:
            self.bytes -= self.kept.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Free all chunks."""
        self.kept.clear()
        self.bytes = 0


CHUNKS = Chunks()


def read_chunk(store: Store, array: Array, numbers: tuple[int, ...], identity: Any) -> Image | None:
    """Return a chunk of an array by its numbers along the axes; None if it is not there.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    part = part_of(array, numbers)
    stamp = store.stamp(part)
    if stamp is None:
        return None
    # Parts of a folder may be written again while the folder stays the same.
    key = identity, array.path, numbers, stamp
    kept = CHUNKS.get(key)
    if kept is not None:
        return kept
    content = stored_chunk(store, array, numbers, part, stamp)
    if content is None:
        return None
    chunk = decoded_chunk(content, array)
    CHUNKS.keep(key, chunk)
    return chunk


def part_of(array: Array, numbers: tuple[int, ...]) -> str:
    """Return the name of the part that holds a chunk."""
    shapes = zip(numbers, array.chunks, array.shards, strict=True)
    shard = [number * chunk // whole for number, chunk, whole in shapes]
    before, between = array.keys
    name = between.join(map(str, shard)) if shard else "0"
    return f"{array.path}/{before}{name}" if array.path else f"{before}{name}"


def stored_chunk(
    store: Store, array: Array, numbers: tuple[int, ...], part: str, stamp: tuple[int, ...]
) -> bytes | None:
    """Return the bytes of a chunk in a part with this stamp; None if it is not there."""
    per_shard = [s // c for s, c in zip(array.shards, array.chunks, strict=True)]
    size = store.size(part)
    if size is None:
        return None
    if not array.index_codecs:
        if size > CHUNK_BYTES_MAX:
            raise ValueError(f"{part} has {size} bytes")
        return store.read(part, 0, size)
    count = math.prod(per_shard)
    checks = sum(each["name"] == "crc32c" for each in array.index_codecs)
    length = 2 * INDEX_ENTRY.itemsize * count
    total = length + CHECKSUM * checks
    if size < total:
        raise EOFError("a shard ends before its index does")
    begin = 0 if array.index_at_start else size - total
    index = shard_index(store, part, begin, length, *stamp)
    entries = np.frombuffer(index, INDEX_ENTRY).reshape(*per_shard, 2)
    within = tuple(n % p for n, p in zip(numbers, per_shard, strict=True))
    offset, length = (int(each) for each in entries[within])
    if offset == MISSING:
        return None
    if offset + length > size or length > CHUNK_BYTES_MAX:
        raise ValueError("a chunk lies outside of its shard")
    return store.read(part, offset, length)


# Chunks of a shard are read in turn, and a large index takes longer to read than they do.
@lru_cache(maxsize=2)
def shard_index(store: Store, part: str, start: int, length: int, *stamp: int) -> bytes:
    """Return the index of a shard, from the cache if it is one of the last ones."""
    del stamp
    return store.read(part, start, length)


def decoded_chunk(content: bytes, array: Array) -> Image:
    """Decode the bytes of a chunk."""
    for codec in reversed(array.codecs):
        if codec["name"] == "crc32c":
            content = content[:-CHECKSUM]
        else:
            content = DECODERS[codec["name"]](content)
    flat = np.frombuffer(content, array.dtype)
    stored = [array.chunks[axis] for axis in array.order]
    if flat.size != math.prod(stored):
        raise ValueError(f"a chunk of {flat.size} numbers, not of {stored}")
    return flat.reshape(stored).transpose(np.argsort(array.order))


def read_block(
    store: Store, array: Array, starts: tuple[int, ...], out: Image, identity: Any
) -> None:
    """Fill `out`, which has an axis for each of the array's, from the chunks that it meets."""
    ranges = [
        range(start // chunk, -(-(start + count) // chunk))
        for start, count, chunk in zip(starts, out.shape, array.chunks, strict=True)
    ]
    for place in np.ndindex(*(len(each) for each in ranges)):
        numbers = tuple(each[k] for each, k in zip(ranges, place, strict=True))
        chunk = read_chunk(store, array, numbers, identity)
        source, target = [], []
        for axis, number in enumerate(numbers):
            first = number * array.chunks[axis]
            low = max(first, starts[axis])
            high = min(first + array.chunks[axis], starts[axis] + out.shape[axis])
            source.append(slice(low - first, high - first))
            target.append(slice(low - starts[axis], high - starts[axis]))
        out[tuple(target)] = array.fill if chunk is None else chunk[tuple(source)]
