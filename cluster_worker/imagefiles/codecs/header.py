"""The header of an image file, the record of a format, and what several codecs share."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cluster_worker.imagefiles.codecs.items import Items
from cluster_worker.imagefiles.output import USUAL, Output
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.stack import Stack

Image = NDArray[Any]

# Offset and length, in bytes, of an encoded tile in a file.
ByteRange = tuple[int, int]
# An encoded tile: the file that holds it, and its offset and length there.
Piece = tuple[Path, int, int]

# Rows and columns of the tiles that results are written in.
TILE = 256

# The dtypes of images in files; labels are uint32.
DTYPES: tuple[str, ...] = (
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
)
DTYPES += ("float16", "float32", "float64")

# Profiles of cameras and printers have 0.5 to 3 MB.
PROFILE_BYTES_MAX = 8 * 1024 * 1024

# Inches in a unit of resolution, by the numbers that TIFF and EXIF use for inch and centimetre.
# Files without a number mean the inch.
INCHES = {2: 1.0, 3: 1 / 2.54}
INCHES_DEFAULT = 2

# Labels are uint32; PNG and TIFF store them in 16 bits if none is larger than this.
SHORT_LABELS_MAX = 65_535

# Pixels per inch: about four pixels per nanometre. Every format can still store this.
RESOLUTION_MAX = 1e8

# Entries of a palette, RGBA of 8 bits each.
PALETTE_MAX = 256


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was compressed, for a result in the same quality.

    Attributes
    ----------
    tables : tuple of tuple of int
        Quantization tables of 64 numbers, in the order of their numbers.
    subsampling : str
        Of the colours, as in "420".
    progressive : bool
        Whether a coarse picture comes first.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: str
    progressive: bool = False


class Picked(NamedTuple):
    """The channels of a file that are read, if these are not all.

    Attributes
    ----------
    numbers : tuple of int
        Of the channels, counted from 0, in the order in which they are read.
    stored : int
        Channels of the file.
    alpha : bool
        Whether the last of those is alpha.
    """

    numbers: tuple[int, ...]
    stored: int
    alpha: bool


@dataclass(frozen=True)
class Header:
    """What is known of an image file before its pixels are decoded; and what a result is to carry.

    Attributes
    ----------
    name : str
        Name that the visitor gave the file; error sentences begin with it.
    format : str
        Name of the file's `Format`.
    image : ImageHeader
        What the image is, turned upright. Its dtype is one of `DTYPES`. If the file has a palette,
        its kind decides what is decoded: "labels" for the indices, else the colours.
    orientation : int
        1 to 8 as EXIF and TIFF number them: how the stored rows and columns are turned.
    icc_profile : bytes
        Colour profile; empty if the file has none.
    resolution : tuple of float or None
        Pixels per inch along (columns, rows) of the upright image.
    notes : tuple of str
        What could not be kept, one sentence each.
    block : tuple of int or None
        (rows, columns) of the pieces that can be decoded one by one; (1, columns) if single rows
        can. None if the file cannot be read by windows.
    compression : str
        As in `output.coding`; a result in the same format is compressed in the same way.
    palette : bytes
        Red, green, blue and alpha of each index; empty if the file has no palette of 8 bits.
    bits : int
        Bits of a sample in the file, if the dtype has more; else 0.
    items : tuple of Item
        What else the file carries.
    jpeg : JpegCoding or None
        How it was compressed, if it is a JPEG.
    output : Output
        How a result is written.
    stack : Stack or None
        The planes of a file that has several; `image` is the first of them. None if the header is
        of one plane.
    plane : int
        Number of the plane in the file that the header is of.
    picked : Picked or None
        Which channels are read; None for all.
    parts : tuple of str
        Names of the planes of a file that are different pictures, as slide, label and smaller
        copies; the first one is read unless another is chosen. Empty for other files.
    is_told : bool
        Whether options of the request say what the image is, so that its steps do not.
    incomplete : bool
        Whether a file that ends within its pixels is read as far as it goes.
    """

    name: str
    format: str
    image: ImageHeader
    orientation: int = 1
    icc_profile: bytes = b""
    resolution: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    block: tuple[int, int] | None = None
    compression: str = ""
    palette: bytes = b""
    bits: int = 0
    items: Items = ()
    jpeg: JpegCoding | None = None
    output: Output = USUAL
    stack: Stack | None = None
    plane: int = 0
    picked: Picked | None = None
    parts: tuple[str, ...] = ()
    is_told: bool = False
    incomplete: bool = False

    @property
    def planes(self) -> int:
        """Number of planes that are read unless some are chosen."""
        return self.stack.planes if self.stack and not self.parts else 1

    @property
    def is_indexed(self) -> bool:
        """Whether the pixels are indices of the palette."""
        return bool(self.palette) and self.image.kind == "labels"

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, channels) of the upright image."""
        return self.image.shape

    @property
    def dtype(self) -> str:
        """Name of the dtype of the image."""
        return self.image.dtype

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.image.alpha

    @property
    def pixels_bytes(self) -> int:
        """Size of the decoded pixels, in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class StackWriter(Protocol):
    """Writes a file of several planes, one after the other."""

    def add(self, image: Image, header: Header) -> tuple[str, ...]:
        """Write the next plane; return notes on what was not kept."""

    def close(self) -> None:
        """Complete the file."""


@runtime_checkable
class TiledStackWriter(StackWriter, Protocol):
    """Writes a file of several planes in a format that has tiles."""

    def add_tiles(
        self, pieces: Sequence[Piece], shape: Sequence[int], dtype: str, header: Header
    ) -> tuple[str, ...]:
        """Write the next plane from encoded tiles; return notes on what was not kept."""


@dataclass(frozen=True)
class Format:
    """An image format.

    Attributes
    ----------
    name, title : str
        Name in the interfaces, and name in sentences.
    extensions : tuple of str
        Without the dot; results get the first one.
    media_type : str
        Of the results.
    magic : pattern
        Matches the first bytes of a file of this format.
    read_header : callable
        (path, name) to `Header`; decodes no pixels.
    read_pixels : callable
        (path, header, out) to notes on faults that were tolerated: fills `out`, which has the
        header's shape and dtype.
    read_incomplete : callable or None
        As `read_pixels`, for a file that ends within its pixels: those that are missing get the
        value of pixels without data, or 0. None if the format cannot be read so.
    write : callable or None
        (path, image, header) to notes on what was not kept. The header says what the image is and
        what it carries. None if the format is read only.
    read_window : callable or None
        (path, header, top, bottom, left, right, out): fills `out` with these rows and columns.
        None if the format is not read by windows.
    encode_tiles : callable or None
        (spool, image, compression) to byte ranges: appends the encoded tiles of an image to a
        file. None if the format is not written by tiles.
    assemble : callable or None
        (path, pieces, shape, dtype, header of the original) to notes: writes a file from encoded
        tiles. None if the format is not written by tiles.
    dtypes : tuple of str
        The dtypes of results that it can hold; bool for masks, uint32 for labels.
    carries : frozenset of str
        Names of the items that its files can hold, as in `items.TITLES`.
    holds_bands : bool
        Whether it can hold other channels than gray or RGB with or without alpha.
    side_max : int or None
        Largest number of rows, and of columns, that it can store.
    read_plane_header : callable or None
        (path, name, number of a plane) to `Header` of this plane; decodes no pixels. None if files
        have one plane.
    open_stack : callable or None
        (path, stack, header of the first plane) to `StackWriter`. None if results have one plane.
    holds_axes, holds_times : bool
        Whether files of several planes can hold the names of axes, and how long each is shown.
    decodes_rows : bool
        Whether pixels are decoded from top to bottom with little memory beside them, so that a
        large image may be decoded to a file on disk.
    has_quality : bool
        Whether results may have a quality, since they can be written with loss.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    media_type: str
    magic: re.Pattern[bytes]
    read_header: Callable[[Path, str], Header]
    read_pixels: Callable[[Path, Header, Image], tuple[str, ...]]
    read_incomplete: Callable[[Path, Header, Image], tuple[str, ...]] | None = None
    write: Callable[[Path, Image, Header], tuple[str, ...]] | None = None
    read_window: Callable[[Path, Header, int, int, int, int, Image], None] | None = None
    encode_tiles: Callable[[Path, Image, str], list[ByteRange]] | None = None
    assemble: (
        Callable[[Path, Sequence[Piece], Sequence[int], str, Header], tuple[str, ...]] | None
    ) = None
    dtypes: tuple[str, ...] = DTYPES
    carries: frozenset[str] = frozenset()
    holds_bands: bool = False
    side_max: int | None = None
    read_plane_header: Callable[[Path, str, int], Header] | None = None
    open_stack: Callable[[Path, Stack, Header], StackWriter] | None = None
    holds_axes: bool = False
    holds_times: bool = False
    decodes_rows: bool = False
    has_quality: bool = False

    @property
    def extension(self) -> str:
        """The extension of results, without the dot."""
        return self.extensions[0]


def upright_shape(rows: int, columns: int, channels: int, orientation: int) -> tuple[int, ...]:
    """Compute the shape of an image after it is turned upright.

    Parameters
    ----------
    rows, columns, channels : int
        As stored in the file.
    orientation : int
        1 to 8 as EXIF numbers them.

    Returns
    -------
    tuple of int
        (rows, columns), or (rows, columns, channels) if there are several channels.
    """
    sides = (columns, rows) if orientation >= 5 else (rows, columns)
    return sides if channels == 1 else (*sides, channels)


def as_stored(upright: Image, orientation: int) -> Image:
    """View an upright image with the rows and columns that its file stores.

    A decoder that writes into this view turns the image upright without a copy.
    """
    if orientation in (2, 3, 6, 7):
        upright = upright[:, ::-1]
    if orientation in (3, 4, 7, 8):
        upright = upright[::-1]
    return np.swapaxes(upright, 0, 1) if orientation >= 5 else upright


def fill_rest(whole: Image, rows: Image, header: Header) -> str:
    """Fill an image with its first rows, and the others with what stands for missing pixels.

    Returns
    -------
    str
        A note on how many rows are there.
    """
    whole[: len(rows)] = rows
    whole[len(rows) :] = empty = missing_value(header)
    return (
        f"the file ends within its pixels: {len(rows)} of {len(whole)} rows are there, and the "
        f"others are {empty:g}"
    )


def missing_value(header: Header) -> float:
    """Return the value of pixels that an incomplete file lacks."""
    return 0.0 if header.image.nodata is None else header.image.nodata


def valid_orientation(value: Any) -> int:
    """Check the orientation that a file states; return 1, upright, for all but 1 to 8."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def valid_resolution(
    along: Any, inches: float | None, orientation: int
) -> tuple[float, float] | None:
    """Check the resolution that a file states, and convert it to pixels per inch.

    Parameters
    ----------
    along : tuple of float or None
        Pixels per unit along the stored (columns, rows).
    inches : float or None
        Inches in a unit.
    orientation : int
        1 to 8 as EXIF numbers them.

    Returns
    -------
    tuple of float or None
        Pixels per inch along (columns, rows) of the upright image. None if the file states none,
        or one that does not lie between 1 and `RESOLUTION_MAX`: 1 is an aspect ratio.
    """
    try:
        x, y = (float(each) / inches for each in along) if inches else (0.0, 0.0)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not (1 < x < RESOLUTION_MAX and 1 < y < RESOLUTION_MAX):
        return None
    return (y, x) if orientation >= 5 else (x, y)


def valid_profile(profile: Any) -> tuple[bytes, tuple[str, ...]]:
    """Check the colour profile of a file.

    Returns
    -------
    bytes, tuple of str
        The profile, empty if there is none or if it cannot be kept, and then a note.
    """
    if not profile:
        return b"", ()
    if not isinstance(profile, bytes) or profile[36:40] != b"acsp":
        return b"", ("colour profile dropped: it is damaged",)
    if len(profile) > PROFILE_BYTES_MAX:
        most = PROFILE_BYTES_MAX >> 20
        return b"", (f"colour profile dropped: it has more than {most} MiB",)
    return profile, ()


def fitting_profile(shape: Sequence[int], header: Header) -> tuple[bytes, tuple[str, ...]]:
    """Return the original's colour profile if a result of this shape can have it.

    Returns
    -------
    bytes, tuple of str
        The profile; empty with a note if it is for another colour space.
    """
    space = header.icc_profile[16:20]
    result = "RGB" if header.is_indexed or channels_of(shape) > 2 else "gray"
    if not space or space == (b"RGB " if result == "RGB" else b"GRAY"):
        return header.icc_profile, ()
    profile = space.decode("ascii", "replace").strip()
    return b"", (f"colour profile dropped: it is for {profile}, the result is {result}",)


def channels_of(shape: Sequence[int]) -> int:
    """Count the channels of an image of this shape, with alpha."""
    return shape[2] if len(shape) == 3 else 1


def without_channels(image: Image) -> Image:
    """View an image of one channel as rows × columns; return others unchanged."""
    return image[..., 0] if image.shape[2:] == (1,) else image


def palette_of(colours: Image, alpha: bytes = b"") -> bytes:
    """Build the palette of a header.

    Parameters
    ----------
    colours : ndarray
        (indices, 3) of uint8.
    alpha : bytes
        Of the first indices; the others are opaque.
    """
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    clear = np.frombuffer(alpha, np.uint8)[: len(table)]
    table[: len(clear), 3] = clear
    return table.tobytes()


def palette_table(palette: bytes) -> Image:
    """Return a header's palette as an array, (indices, 4) of uint8."""
    return np.frombuffer(palette, np.uint8).reshape(-1, 4)


def palette_has_alpha(palette: bytes) -> bool:
    """Return whether some index of a palette is transparent."""
    return bool((palette_table(palette)[:, 3] < 255).any())


def in_8_bits(image: Image) -> Image:
    """Convert a mask to uint8 of 0 and 255, which every program shows; return others unchanged."""
    return image.astype(np.uint8) * np.uint8(255) if image.dtype == bool else image


def narrowed(image: Image) -> Image:
    """Convert labels to uint16 if the largest fits; return others unchanged."""
    fits = image.dtype == np.uint32 and image.max(initial=0) <= SHORT_LABELS_MAX
    return image.astype(np.uint16) if fits else image
