"""What JPEG, PNG and WebP have in common: EXIF data, and pixels decoded by Pillow.

The plugin's own class is opened instead of `Image.open`, so that nothing but the format that the
first bytes promise is tried, and a phone's JPEG with a second picture in it stays a JPEG.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageFile

from cluster_worker.imagefiles.codecs.header import (
    INCHES,
    INCHES_DEFAULT,
    Image,
    as_stored,
    valid_resolution,
)

# This app has a limit of its own, with a sentence of its own; Pillow's would warn or raise.
PIL.Image.MAX_IMAGE_PIXELS = None

# A file that ends early is refused, never filled with gray.
ImageFile.LOAD_TRUNCATED_IMAGES = False

# Pixels converted at once: beside Pillow's own copy of the image only so much is held twice.
BAND_PIXELS = 1 << 20

# Tags of EXIF data, numbered as those of TIFF.
ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
KEPT_TAGS = (ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)

# JPEG counts its density in whole pixels per inch or centimetre, so that it may be off by half of
# one; in pixels per inch.
ROUNDING = 2.54 / 2


def exif_of(load: Callable[[], PIL.Image.Exif]) -> tuple[Mapping[int, Any], tuple[str, ...]]:
    """Read how a picture lies and how large it is; damaged EXIF data does not make it unreadable.

    Returns
    -------
    mapping, tuple of str
        The tags that matter, as far as they are there, and a note if they could not be read.
    """
    try:
        exif = load()
        return {tag: exif[tag] for tag in KEPT_TAGS if tag in exif}, ()
    except Exception:  # noqa: BLE001 - whatever a parser of strangers' bytes may raise
        return {}, ("the EXIF data is damaged; it was passed over",)


def resolution_of(
    density: Any, exif: Mapping[int, Any], orientation: int
) -> tuple[float, float] | None:
    """Tell pixels per inch; EXIF data has fractions where a format's own field is rounded.

    Parameters
    ----------
    density : tuple of float or None
        Pixels per inch along (columns, rows), from the format's own field.
    exif : mapping
        From `exif_of`.
    orientation : int
        Of the picture.
    """
    inches = INCHES.get(exif.get(RESOLUTION_UNIT, INCHES_DEFAULT))
    along = [exif.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    exact = valid_resolution(along, inches, orientation)
    rounded = valid_resolution(density, 1.0, orientation)
    if exact is None or rounded is None:
        return rounded or exact
    agrees = all(abs(x - y) <= ROUNDING for x, y in zip(exact, rounded, strict=True))
    # Where they differ, a program has changed the one and left the other behind.
    return exact if agrees else rounded


def resolution_exif(resolution: tuple[float, float]) -> PIL.Image.Exif:
    """Write pixels per inch as EXIF data."""
    exif = PIL.Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION] = resolution
    exif[RESOLUTION_UNIT] = INCHES_DEFAULT
    return exif


def fill(file: ImageFile.ImageFile, mode: str, orientation: int, out: Image) -> None:
    """Decode a file and write its pixels, converted to a mode, upright into `out`."""
    file.load()
    stored = as_stored(out, orientation)
    columns, rows = file.size
    step = max(1, BAND_PIXELS // columns)
    for top in range(0, rows, step):
        bottom = min(top + step, rows)
        band: Any = file.crop((0, top, columns, bottom))
        stored[top:bottom] = np.asarray(band if band.mode == mode else band.convert(mode))
