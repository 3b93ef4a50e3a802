"""What JPEG, PNG and WebP have in common: EXIF data, and pixels decoded by Pillow.

The codecs open the class of Pillow's plugin instead of calling `Image.open`. So Pillow tries only
the format that the first bytes state, and a phone's JPEG that holds a second picture stays a JPEG.
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

# This app has its own limit with its own error sentence; Pillow would warn or raise first.
PIL.Image.MAX_IMAGE_PIXELS = None

# A file that ends too early is refused, not filled with gray.
ImageFile.LOAD_TRUNCATED_IMAGES = False

# Pixels converted at a time. Pillow holds a copy of the whole image; only a band is held twice.
BAND_PIXELS = 1 << 20

# Tags of EXIF data; they have the numbers of TIFF tags.
ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
KEPT_TAGS = (ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)

# Largest rounding error of a JPEG's density, in pixels per inch: half a pixel per centimetre.
ROUNDING = 2.54 / 2


def exif_of(load: Callable[[], PIL.Image.Exif]) -> tuple[Mapping[int, Any], tuple[str, ...]]:
    """Read orientation and resolution from EXIF data; damaged EXIF data is only noted.

    Parameters
    ----------
    load : callable
        Parses the file's EXIF data; may raise anything.

    Returns
    -------
    mapping, tuple of str
        Values of those of `KEPT_TAGS` that exist, and a note if the data could not be read.
    """
    try:
        exif = load()
        return {tag: exif[tag] for tag in KEPT_TAGS if tag in exif}, ()
    except Exception:  # noqa: BLE001 - a parser of untrusted bytes may raise anything
        return {}, ("the EXIF data is damaged; it was passed over",)


def resolution_of(
    density: Any, exif: Mapping[int, Any], orientation: int
) -> tuple[float, float] | None:
    """Choose between the resolution in EXIF data and the one in the format's own field.

    EXIF data holds fractions, while the format's own field may be rounded.

    Parameters
    ----------
    density : tuple of float or None
        Pixels per inch along the stored (columns, rows), from the format's own field.
    exif : mapping
        From `exif_of`.
    orientation : int
        1 to 8 as EXIF numbers them.

    Returns
    -------
    tuple of float or None
        Pixels per inch along (columns, rows) of the upright image; None if the file has none.
    """
    inches = INCHES.get(exif.get(RESOLUTION_UNIT, INCHES_DEFAULT))
    along = [exif.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    exact = valid_resolution(along, inches, orientation)
    rounded = valid_resolution(density, 1.0, orientation)
    if exact is None or rounded is None:
        return rounded or exact
    agrees = all(abs(x - y) <= ROUNDING for x, y in zip(exact, rounded, strict=True))
    # If they differ by more than rounding, a program changed the field and left the EXIF data.
    return exact if agrees else rounded


def resolution_exif(resolution: tuple[float, float]) -> PIL.Image.Exif:
    """Return EXIF data that holds a resolution in pixels per inch along (columns, rows)."""
    exif = PIL.Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION] = resolution
    exif[RESOLUTION_UNIT] = INCHES_DEFAULT
    return exif


def fill(file: ImageFile.ImageFile, mode: str, orientation: int, out: Image) -> None:
    """Decode a file with Pillow, convert its pixels to a mode, and write them upright to `out`."""
    file.load()
    stored = as_stored(out, orientation)
    columns, rows = file.size
    step = max(1, BAND_PIXELS // columns)
    for top in range(0, rows, step):
        bottom = min(top + step, rows)
        band: Any = file.crop((0, top, columns, bottom))
        stored[top:bottom] = np.asarray(band if band.mode == mode else band.convert(mode))
