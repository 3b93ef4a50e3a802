"""Write OME-Zarr 0.5: a zip file without compression, whose entries are shards of chunks.

Each plane has smaller copies, down to one chunk. A folder of the same Zarr is the zip, unpacked.
Sources: OME-NGFF 0.5; Zarr 3, the codec sharding_indexed; OME RFC-9 (zipped OME-Zarr).
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    TILE,
    ByteRange,
    Header,
    Image,
    Piece,
    channels_of,
    without_channels,
)
from cluster_worker.imagefiles.codecs.threads import in_threads
from cluster_worker.pixels.header import RGB, ImageHeader
from cluster_worker.pixels.stack import Stack

# Chunks along a side of a shard.
SHARD = 8
ZSTD_LEVEL = 3
VERSION = "0.5"
# The same bytes for the same pixels.
DATE = (1980, 1, 1, 0, 0, 0)
INCH_METRES, MICROMETRES = 0.0254, 1e6
# Reversed polynomial of CRC-32C (RFC 3720).
CASTAGNOLI = 0x82F63B78
# Order of the axes in a file, and what they are.
ORDER = "tcpz"
TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def crc32c(content: bytes) -> int:
    """Compute the checksum of an index, which is short."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def encode_tile(tile: Image) -> bytes:
    """Encode a tile as a chunk: all samples of a channel together, filled up to `TILE`."""
    samples = tile[..., np.newaxis] if tile.ndim == 2 else tile
    chunk = np.zeros((samples.shape[2], TILE, TILE), samples.dtype.newbyteorder("<"))
    chunk[:, : tile.shape[0], : tile.shape[1]] = np.moveaxis(samples, 2, 0)
    return bytes(imagecodecs.zstd_encode(chunk.tobytes(), level=ZSTD_LEVEL))


def decode_tile(content: bytes, dtype: str, samples: int) -> Image:
    """Return the pixels of a chunk, rows × columns × samples."""
    flat = np.frombuffer(imagecodecs.zstd_decode(content), np.dtype(dtype).newbyteorder("<"))
    return np.moveaxis(flat.reshape(samples, TILE, TILE), 0, 2)


def cut(band: Image) -> Iterator[Image]:
    """Cut rows of an image into tiles, in row order."""
    for top in range(0, band.shape[0], TILE):
        for left in range(0, band.shape[1], TILE):
            yield band[top : top + TILE, left : left + TILE]


def encode_tiles(spool: Path, image: Image, compression: str) -> list[ByteRange]:  # noqa: ARG001 - as others
    """Append the chunks of an image to a file."""
    ranges = []
    with spool.open("ab") as opened:
        offset = opened.tell()
        size = TILE * TILE * image.itemsize * channels_of(image.shape)
        for content in in_threads(encode_tile, cut(image), size):
            opened.write(content)
            ranges.append((offset, len(content)))
            offset += len(content)
    return ranges


def level_shapes(rows: int, columns: int) -> list[tuple[int, int]]:
    """Return (rows, columns) of a plane and its smaller copies, down to one chunk."""
    found = [(rows, columns)]
    while max(found[-1]) > TILE:
        rows, columns = -(-found[-1][0] // 2), -(-found[-1][1] // 2)
        found.append((rows, columns))
    return found


def halved(band: Image, *, averaged: bool) -> Image:
    """Return rows of an image in half size: means of 2 × 2 pixels, or the first of them."""
    if not averaged:
        return band[::2, ::2]
    padding = [(0, band.shape[0] % 2), (0, band.shape[1] % 2), *[(0, 0)] * (band.ndim - 2)]
    even = np.pad(band, padding, mode="edge")
    quads = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, *even.shape[2:])
    mean = quads.mean(axis=(1, 3), dtype=np.float64)
    found: Image = np.rint(mean) if band.dtype.kind in "iu" else mean
    return found.astype(band.dtype)


class Plane:
    """Writes a plane and its smaller copies from top to bottom, a row of tiles at a time.

    Parameters
    ----------
    archive : ZipFile
        The file to write.
    place : str
        Numbers of the plane along the axes before y, each followed by a slash.
    shape : tuple of int
        (rows, columns) or (rows, columns, samples).
    averaged : bool
        Whether pixels of smaller copies are means.
    """

    def __init__(
        self, archive: zipfile.ZipFile, place: str, shape: Sequence[int], *, averaged: bool
    ) -> None:
        self.archive, self.place, self.averaged = archive, place, averaged
        self.shapes = level_shapes(shape[0], shape[1])
        self.rows: list[list[list[bytes]]] = [[] for _ in self.shapes]
        self.halves: list[list[Image]] = [[] for _ in self.shapes]
        self.done = [0] * len(self.shapes)

    @property
    def has_copies(self) -> bool:
        """Whether pixels are needed for smaller copies."""
        return len(self.shapes) > 1

    def add(self, band: Image | None, tiles: list[bytes] | None = None, level: int = 0) -> None:
        """Add the next row of tiles: their pixels, and their chunks if these are encoded already.

        The pixels may be left out if there are no smaller copies.
        """
        if tiles is None:
            assert band is not None  # noqa: S101 - one of the two is given
            size = TILE * band.nbytes // max(1, band.shape[1])
            tiles = list(in_threads(encode_tile, cut(band), size))
        self.rows[level].append(tiles)
        self.done[level] += 1
        count = -(-self.shapes[level][0] // TILE)
        is_last = self.done[level] == count
        if is_last or len(self.rows[level]) == SHARD:
            self.write_shards(level)
        if level + 1 == len(self.shapes) or band is None:
            return
        self.halves[level + 1].append(halved(band, averaged=self.averaged))
        if is_last or len(self.halves[level + 1]) == 2:
            halves, self.halves[level + 1] = self.halves[level + 1], []
            self.add(np.concatenate(halves), level=level + 1)

    def write_shards(self, level: int) -> None:
        """Write the rows of tiles that are complete as shards."""
        rows, self.rows[level] = self.rows[level], []
        number = (self.done[level] - 1) // SHARD
        for left in range(0, len(rows[0]), SHARD):
            parts = {
                (i, j): content
                for i, row in enumerate(rows)
                for j, content in enumerate(row[left : left + SHARD])
            }
            key = f"{level}/c/{self.place}{number}/{left // SHARD}"
            write_entry(self.archive, key, shard_of(parts))


def shard_of(parts: dict[tuple[int, int], bytes]) -> bytes:
    """Return the bytes of a shard: its chunks, and where each of them lies."""
    index = np.full((SHARD, SHARD, 2), np.iinfo(np.uint64).max, "<u8")
    offset = 0
    for place, content in parts.items():
        index[place] = offset, len(content)
        offset += len(content)
    table = index.tobytes()
    return b"".join([*parts.values(), table, crc32c(table).to_bytes(4, "little")])


def write_entry(archive: zipfile.ZipFile, key: str, content: bytes) -> None:
    """Write a part of the Zarr."""
    archive.writestr(zipfile.ZipInfo(key, DATE), content)


class ZarrStack:
    """Writes a Zarr plane by plane.

    Parameters
    ----------
    path : Path
        The zip file to write.
    stack : Stack or None
        What the planes are; None for one.
    header : Header
        Of the first plane.

    Raises
    ------
    Rejected
        If the planes have an axis that the format cannot hold.
    """

    def __init__(self, path: Path, stack: Stack | None, header: Header) -> None:
        self.stack, self.first, self.number = stack, header, 0
        samples = channels_of(header.shape)
        axes = stack.axes if stack else ""
        if samples > 1 and ("c" in axes or "p" in axes):
            what = "channels" if "c" in axes else "pages"
            raise Rejected(
                f"{header.name}: the result has {what}, each of {samples} colours, and OME-Zarr "
                "holds one of the two; choose TIFF"
            )
        self.axes = "".join(axis for axis in ORDER if axis in axes or (axis == "c" and samples > 1))
        self.sizes = dict(zip(axes, stack.shape, strict=True)) if stack else {}
        self.samples = samples
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        # Readers find what the file is in its first entry.
        write_entry(self.archive, "zarr.json", as_json(self.group(header)))
        for level, shape in enumerate(level_shapes(*header.shape[:2])):
            described = self.array(header, shape)
            write_entry(self.archive, f"{level}/zarr.json", as_json(described))

    def group(self, header: Header) -> dict[str, Any]:
        """Return the metadata of the image."""
        sized = pixel_size(header) is not None
        known = {"y": sized, "x": sized, "z": bool(self.stack and self.stack.step), "t": True}
        axes = [axis_of(axis, known.get(axis, False)) for axis in f"{self.axes}yx"]
        datasets = [
            {"path": str(level), "coordinateTransformations": self.places(header, level)}
            for level in range(len(level_shapes(*header.shape[:2])))
        ]
        ome: dict[str, Any] = {
            "version": VERSION,
            "multiscales": [{"axes": axes, "datasets": datasets}],
        }
        names = self.names(header.image)
        if any(names):
            ome["omero"] = {"channels": [{"label": name} for name in names]}
        if header.image.kind == "labels":
            ome["image-label"] = {"version": VERSION}
        return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}

    def names(self, image: ImageHeader) -> tuple[str, ...]:
        """Return the names along c; colours are told by theirs."""
        if self.samples == 1:
            return self.stack.channels if self.stack and "c" in self.axes else ()
        alpha = ("alpha",) if image.alpha else ()
        if image.is_rgb and image.colours == len(RGB):
            return (*RGB, *alpha)
        named = image.channels if len(image.channels) == image.colours else ()
        return (*(named or ("gray",) * image.colours), *alpha)

    def places(self, header: Header, level: int) -> list[dict[str, Any]]:
        """Return size and place of the pixels of a level, in micrometres if they are known."""
        size = pixel_size(header)
        height, width = (MICROMETRES * each for each in size) if size else (1.0, 1.0)
        steps = {"z": MICROMETRES * self.stack.step} if self.stack and self.stack.step else {}
        if self.stack and self.stack.milliseconds and len(set(self.stack.milliseconds)) == 1:
            steps["t"] = self.stack.milliseconds[0] / 1000
        leading = [steps.get(axis, 1.0) for axis in self.axes]
        scale = [*leading, height * 2**level, width * 2**level]
        shift = (2**level - 1) / 2 if is_averaged(header.image) else 0.0
        found: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if shift:
            moved = [*[0.0] * len(leading), height * shift, width * shift]
            found.append({"type": "translation", "translation": moved})
        return found

    def array(self, header: Header, shape: tuple[int, int]) -> dict[str, Any]:
        """Return the metadata of a level."""
        counts = [self.samples if self.is_samples(axis) else self.sizes[axis] for axis in self.axes]
        thick = [self.samples if self.is_samples(axis) else 1 for axis in self.axes]
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        zstd = {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}}
        inner = {
            "chunk_shape": [*thick, TILE, TILE],
            "codecs": [little, zstd],
            "index_codecs": [little, {"name": "crc32c"}],
            "index_location": "end",
        }
        whole = [*thick, SHARD * TILE, SHARD * TILE]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [*counts, *shape],
            "data_type": header.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": whole}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": False if header.dtype == "bool" else 0,
            "codecs": [{"name": "sharding_indexed", "configuration": inner}],
            "dimension_names": [*self.axes, "y", "x"],
            "attributes": {},
        }

    def is_samples(self, axis: str) -> bool:
        """Return whether an axis is that of the colours of a pixel."""
        return axis == "c" and self.samples > 1

    def next_plane(self, shape: Sequence[int], dtype: str, header: Header) -> Plane:
        """Return the writer of the next plane.

        Raises
        ------
        Rejected
            If it has another size or dtype than the first one.
        """
        if tuple(shape) != tuple(self.first.shape) or dtype != self.first.dtype:
            raise Rejected(
                f"{header.name}: is {dtype} of {' × '.join(map(str, shape))}, and the first plane "
                f"{self.first.dtype} of {' × '.join(map(str, self.first.shape))}; planes of an "
                "OME-Zarr are alike, so choose TIFF"
            )
        numbers = self.stack.place(self.number) if self.stack else {}
        place = "".join(f"{numbers.get(axis, 0)}/" for axis in self.axes)
        self.number += 1
        return Plane(self.archive, place, shape, averaged=is_averaged(header.image))

    def add(self, image: Image, header: Header) -> tuple[str, ...]:
        """Write the next plane from its pixels."""
        image = without_channels(image)
        plane = self.next_plane(image.shape, image.dtype.name, header)
        for top in range(0, image.shape[0], TILE):
            plane.add(image[top : top + TILE])
        return ()

    def add_tiles(
        self, pieces: Sequence[Piece], shape: Sequence[int], dtype: str, header: Header
    ) -> tuple[str, ...]:
        """Write the next plane from its encoded tiles."""
        plane = self.next_plane(shape, dtype, header)
        rows, columns = shape[:2]
        across = -(-columns // TILE)
        for number, top in enumerate(range(0, rows, TILE)):
            row = pieces[number * across : (number + 1) * across]
            tiles = [content_of(each) for each in row]
            band = None
            if plane.has_copies:
                decoded = [decode_tile(each, dtype, self.samples) for each in tiles]
                band = np.concatenate(decoded, axis=1)[: min(TILE, rows - top), :columns]
                band = without_channels(band)
            plane.add(band, tiles)
        return ()

    def close(self) -> None:
        """Complete the file."""
        self.archive.close()


def is_averaged(image: ImageHeader) -> bool:
    """Return whether pixels of smaller copies are means: not of masks and labels."""
    return image.kind not in ("mask", "labels") and image.dtype != "bool"


def pixel_size(header: Header) -> tuple[float, float] | None:
    """Return (height, width) of a pixel in metres, None if it is not known."""
    if header.image.pixel_size is None and header.resolution:
        return INCH_METRES / header.resolution[1], INCH_METRES / header.resolution[0]
    return header.image.pixel_size


def axis_of(axis: str, has_unit: bool) -> dict[str, str]:
    """Return the metadata of an axis; one whose steps are not known has no unit."""
    found = {"name": axis} | ({"type": TYPES[axis]} if axis in TYPES else {})
    units = {"space": "micrometer", "time": "second"}
    unit = units.get(found.get("type", ""))
    return found | ({"unit": unit} if unit and has_unit else {})


def as_json(value: dict[str, Any]) -> bytes:
    """Return metadata as text."""
    return json.dumps(value, indent=2).encode()


def content_of(piece: Piece) -> bytes:
    """Read an encoded tile."""
    path, offset, size = piece
    with path.open("rb") as opened:
        opened.seek(offset)
        return opened.read(size)


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a Zarr of one plane."""
    image = without_channels(image)
    described = header.image._replace(shape=image.shape, dtype=image.dtype.name)
    writer = ZarrStack(path, None, Header(**{**vars(header), "image": described}))
    notes = writer.add(image, header)
    writer.close()
    return notes


def assemble(
    path: Path, pieces: Sequence[Piece], shape: Sequence[int], dtype: str, header: Header
) -> tuple[str, ...]:
    """Write a Zarr of one plane from encoded tiles."""
    described = header.image._replace(shape=tuple(shape), dtype=dtype)
    writer = ZarrStack(path, None, Header(**{**vars(header), "image": described}))
    notes = writer.add_tiles(pieces, shape, dtype, header)
    writer.close()
    return notes


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the zip file of a Zarr to a new folder.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir()
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
