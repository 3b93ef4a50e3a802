"""What reading JPEG and PNG through Pillow has in common.

The plugin's own class is opened instead of `Image.open`, so that nothing but the format that the
first bytes promise is tried, and a phone's JPEG with a second picture in it stays a JPEG.
"""

from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageFile

from cluster_worker.codecs.header import Image, as_stored, valid_orientation

# This app has a limit of its own, with a sentence of its own; Pillow's would warn or raise.
PIL.Image.MAX_IMAGE_PIXELS = None

# A file that ends early is refused, never filled with gray.
ImageFile.LOAD_TRUNCATED_IMAGES = False

# Pixels converted at once: beside Pillow's own copy of the image only so much is held twice.
BAND_PIXELS = 1 << 20

ORIENTATION = 0x0112


def orientation_of(file: ImageFile.ImageFile) -> tuple[int, tuple[str, ...]]:
    """Read how a picture lies; damaged EXIF data does not make it unreadable.

    Returns
    -------
    int, tuple of str
        The orientation, and a note if it could not be read.
    """
    try:
        # The base class's method: that of PNG decodes all pixels in search of EXIF behind them.
        return valid_orientation(PIL.Image.Image.getexif(file).get(ORIENTATION, 1)), ()
    except Exception:  # noqa: BLE001 - whatever a parser of strangers' bytes may raise
        return 1, ("the EXIF data is damaged; it was passed over",)


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
