"""What JPEG, PNG and WebP have in common: EXIF data, and pixels decoded by Pillow.

The codecs open the class of Pillow's plugin instead of calling `Image.open`. So Pillow tries only
the format that the first bytes state, and a phone's JPEG that holds a second picture stays a JPEG.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageFile

from cluster_worker.imagefiles.codecs import exif
from cluster_worker.imagefiles.codecs.header import (
    INCHES,
    INCHES_DEFAULT,
    Header,
    Image,
    as_stored,
    valid_resolution,
)
from cluster_worker.imagefiles.codecs.items import Item, first_of, split_texts

# This app has its own limit with its own error sentence; Pillow would warn or raise first.
PIL.Image.MAX_IMAGE_PIXELS = None

# A file that ends too early is refused, not filled with gray.
ImageFile.LOAD_TRUNCATED_IMAGES = False

# Pixels converted at a time. Pillow holds a copy of the whole image; only a band is held twice.
BAND_PIXELS = 1 << 20

# Tags of EXIF data; they have the numbers of TIFF tags.
ORIENTATION = exif.ORIENTATION
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = exif.RESOLUTION_TAGS
KEPT_TAGS = (ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)

# What stands before EXIF data in a JPEG, and sometimes in a WebP.
EXIF_START = b"Exif\0\0"

# Largest rounding error of a JPEG's density, in pixels per inch: half a pixel per centimetre.
ROUNDING = 2.54 / 2

DAMAGED = "the EXIF data is damaged; it was passed over"


def exif_of(block: bytes) -> tuple[Mapping[int, Any], tuple[Item, ...], tuple[str, ...]]:
    """Read EXIF data; damaged data is only noted.

    Parameters
    ----------
    block : bytes
        The data; b"" if there is none.

    Returns
    -------
    mapping, tuple of Item, tuple of str
        Values of those of `KEPT_TAGS` that exist, the item that a result carries, and a note if the
        data could not be read.
    """
    block = block.removeprefix(EXIF_START)
    if not block:
        return {}, (), ()
    try:
        exif.first_directory(block)
        found = PIL.Image.Exif()
        found.load(EXIF_START + block)
        values = {tag: found[tag] for tag in KEPT_TAGS if tag in found}
    except Exception:  # noqa: BLE001 - a parser of untrusted bytes may raise anything
        return {}, (), (DAMAGED,)
    return values, (Item("exif", "", block),), ()


def resolution_of(
    density: Any, values: Mapping[int, Any], orientation: int
) -> tuple[float, float] | None:
    """Choose between the resolution in EXIF data and the one in the format's own field.

    EXIF data holds fractions, while the format's own field may be rounded.

    Parameters
    ----------
    density : tuple of float or None
        Pixels per inch along the stored (columns, rows), from the format's own field.
    values : mapping
        From `exif_of`.
    orientation : int
        1 to 8 as EXIF numbers them.

    Returns
    -------
    tuple of float or None
        Pixels per inch along (columns, rows) of the upright image; None if the file has none.
    """
    inches = INCHES.get(values.get(RESOLUTION_UNIT, INCHES_DEFAULT))
    along = [values.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    exact = valid_resolution(along, inches, orientation)
    rounded = valid_resolution(density, 1.0, orientation)
    if exact is None or rounded is None:
        return rounded or exact
    agrees = all(abs(x - y) <= ROUNDING for x, y in zip(exact, rounded, strict=True))
    # If they differ by more than rounding, a program changed the field and left the EXIF data.
    return exact if agrees else rounded


def result_exif(
    header: Header, shape: tuple[int, ...], *, always: bool, texts: bool
) -> tuple[bytes, tuple[str, ...]]:
    """Return EXIF data for a result, without what stands before it in a file, and notes.

    Parameters
    ----------
    header : Header
        What the result carries.
    shape : tuple of int
        Of the result.
    always : bool
        Whether a resolution needs EXIF data even if the original had none.
    texts : bool
        Whether texts go there, because the format has no field for them.
    """
    block = first_of(header.items, "exif")
    resolution = header.resolution if always or block else None
    tags, notes = split_texts(header.items) if texts else ({}, ())
    if not block and resolution is None and not tags:
        return b"", notes
    try:
        return exif.adapted(block or exif.empty(), shape, resolution, tags), notes
    except ValueError:
        return b"", (*notes, "EXIF data dropped: it is damaged")


def fill(file: ImageFile.ImageFile, mode: str, orientation: int, out: Image) -> None:
    """Decode a file with Pillow, convert its pixels to a mode, and write them upright to `out`.

    The mode "P" is for the indices of a palette.
    """
    file.load()
    stored = as_stored(out, orientation)
    columns, rows = file.size
    step = max(1, BAND_PIXELS // columns)
    for top in range(0, rows, step):
        bottom = min(top + step, rows)
        band: Any = file.crop((0, top, columns, bottom))
        stored[top:bottom] = np.asarray(band if band.mode == mode else band.convert(mode))
