"""What is known of an image file before its pixels are decoded, and what a format is."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

# Where an encoded tile lies in a file: its offset and its length in bytes.
Place = tuple[int, int]
# The same with the file before it.
Piece = tuple[Path, int, int]

# Rows and columns of the tiles that results are written in.
TILE = 256

# Types of images in files; labels are of uint32.
DTYPES = ("bool", "uint8", "uint16", "uint32", "float32", "float64")

# How pixels may be compressed besides a format's usual way.
COMPRESSIONS = ("", "zstd")

# The channels of a result, by their number, and the colour space that a profile must be for.
COLOUR_SPACES = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}

# Profiles of cameras and printers have 0.5 to 3 MB.
PROFILE_BYTES_MAX = 8 * 1024 * 1024

# Inches in a unit of resolution, by the numbers that TIFF and EXIF give to inch and centimetre;
# without a number it is the inch.
INCHES = {2: 1.0, 3: 1 / 2.54}
INCHES_DEFAULT = 2

# Labels are whole numbers of 32 bits; files hold them in 16 if the largest is no larger than this.
SHORT_LABELS_MAX = 65_535

# Pixels per inch; at most four to a nanometre, which every format can still count.
RESOLUTION_MAX = 1e8


@dataclass(frozen=True)
class Header:
    """A file's header.

    Attributes
    ----------
    name : str
        As the visitor called the file; sentences begin with it.
    format : str
        Name of the `Format` that the file is of.
    shape : tuple of int
        (rows, columns) or (rows, columns, channels) of the upright image; 2 or 4 channels end
        with alpha.
    dtype : str
        bool, uint8, uint16, uint32 (labels), float32 or float64, in native byte order.
    orientation : int
        1 to 8 as EXIF and TIFF number them: how the file's rows and columns lie.
    icc_profile : bytes
        Colour profile; empty if the file has none.
    resolution : tuple of float or None
        Pixels per inch along (columns, rows) of the upright image.
    notes : tuple of str
        What could not be kept, one sentence each.
    block : tuple of int or None
        (rows, columns) of the pieces in which a window of the file can be read without decoding
        all of it; (1, columns) if any rows can. None if it cannot be read by windows.
    compression : str
        One of `COMPRESSIONS`: how a result in this format is compressed too.
    """

    name: str
    format: str
    shape: tuple[int, ...]
    dtype: str
    orientation: int = 1
    icc_profile: bytes = b""
    resolution: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    block: tuple[int, int] | None = None
    compression: str = ""

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return has_alpha(self.shape)

    @property
    def pixels_bytes(self) -> int:
        """Bytes that the decoded pixels take."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Format:
    """An image format.

    Attributes
    ----------
    name, title : str
        For the interfaces and for sentences.
    extensions : tuple of str
        Without the dot; a result gets the first.
    media_type : str
        For the results.
    magic : pattern
        Matches the first bytes of a file of this format.
    read_header : callable
        (path, name) to `Header`; decodes no pixels.
    read_pixels : callable
        (path, header, out): fills `out`, which has the header's shape and dtype.
    write : callable
        (path, image, header of the original) to notes on what was not kept.
    read_window : callable or None
        (path, header, top, bottom, left, right, out): fills `out` with these rows and columns.
    encode_tiles : callable or None
        (spool, image, compression): appends the image's tiles to a file and tells where each lies.
    assemble : callable or None
        (path, pieces, shape, dtype, header of the original) to notes: writes a file of encoded
        tiles.
    dtypes : tuple of str
        Types of results that it holds, black and white and labels among them.
    side_max : int or None
        Most rows, and most columns, that it counts.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    media_type: str
    magic: re.Pattern[bytes]
    read_header: Callable[[Path, str], Header]
    read_pixels: Callable[[Path, Header, Image], None]
    write: Callable[[Path, Image, Header], tuple[str, ...]]
    read_window: Callable[[Path, Header, int, int, int, int, Image], None] | None = None
    encode_tiles: Callable[[Path, Image, str], list[Place]] | None = None
    assemble: (
        Callable[[Path, Sequence[Piece], Sequence[int], str, Header], tuple[str, ...]] | None
    ) = None
    dtypes: tuple[str, ...] = DTYPES
    side_max: int | None = None

    @property
    def extension(self) -> str:
        """The extension that results get."""
        return self.extensions[0]


def has_alpha(shape: Sequence[int]) -> bool:
    """Whether the last channel of an image of this shape is alpha."""
    return len(shape) == 3 and shape[2] in (2, 4)


def upright_shape(rows: int, columns: int, channels: int, orientation: int) -> tuple[int, ...]:
    """Give the shape of an image once it is turned upright."""
    across = (columns, rows) if orientation >= 5 else (rows, columns)
    return across if channels == 1 else (*across, channels)


def as_stored(upright: Image, orientation: int) -> Image:
    """View an upright image in the order in which its file stores the pixels.

    A decoder that writes through this view turns the image upright without a copy.
    """
    if orientation in (2, 3, 6, 7):
        upright = upright[:, ::-1]
    if orientation in (3, 4, 7, 8):
        upright = upright[::-1]
    return np.swapaxes(upright, 0, 1) if orientation >= 5 else upright


def valid_orientation(value: Any) -> int:
    """Take an orientation from a file; what is not 1 to 8 means upright."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def valid_resolution(
    along: Any, inches: float | None, orientation: int
) -> tuple[float, float] | None:
    """Take a resolution from a file; zeros, infinities and one-to-one ratios mean none.

    Parameters
    ----------
    along : tuple of float or None
        Pixels per unit along the file's (columns, rows).
    inches : float or None
        Inches in a unit.
    orientation : int
        Of the picture.

    Returns
    -------
    tuple of float or None
        Pixels per inch along (columns, rows) of the upright image.
    """
    try:
        x, y = (float(each) / inches for each in along) if inches else (0.0, 0.0)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not (1 < x < RESOLUTION_MAX and 1 < y < RESOLUTION_MAX):
        return None
    return (y, x) if orientation >= 5 else (x, y)


def valid_profile(profile: Any) -> tuple[bytes, tuple[str, ...]]:
    """Take a colour profile from a file, or say why not.

    Returns
    -------
    bytes, tuple of str
        The profile, empty if there is none, and a note if one was dropped.
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
    """Give the original's colour profile if a result of this shape can carry it, else a note."""
    space = header.icc_profile[16:20]
    if not space or space == COLOUR_SPACES[channels_of(shape)]:
        return header.icc_profile, ()
    kind = space.decode("ascii", "replace").strip()
    result = "gray" if channels_of(shape) <= 2 else "RGB"
    return b"", (f"colour profile dropped: it is for {kind}, the result is {result}",)


def channels_of(shape: Sequence[int]) -> int:
    """Count the channels of an image of this shape, alpha included."""
    return shape[2] if len(shape) == 3 else 1


def without_channels(image: Image) -> Image:
    """View an image of one channel as rows × columns; others stay as they are."""
    return image[..., 0] if image.shape[2:] == (1,) else image


def in_8_bits(image: Image) -> Image:
    """Turn a mask into black and white, which every program shows; others stay as they are."""
    return image.astype(np.uint8) * np.uint8(255) if image.dtype == bool else image


def narrowed(image: Image) -> Image:
    """Store labels in 16 bits if the largest fits; others stay as they are."""
    fits = image.dtype == np.uint32 and image.max(initial=0) <= SHORT_LABELS_MAX
    return image.astype(np.uint16) if fits else image
