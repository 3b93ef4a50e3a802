"""Photoshop documents: the flattened picture of 8 bits; read only.

Source: Adobe Photoshop file formats specification, file header section.
"""

import struct
from pathlib import Path

from PIL.PsdImagePlugin import PsdImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.plain_pictures import picture_format

# Version, channels, and bits of a channel and kind of colours.
HEAD, OFFSET = struct.Struct(">H6xH8xHH"), 4
LARGE, BITS = 2, (1, 8)


def check(path: Path, name: str) -> None:
    """Check that Pillow reads a document.

    Raises
    ------
    Rejected
        If it is a large document, or has more than 8 bits a channel.
    """
    with path.open("rb") as opened:
        opened.seek(OFFSET)
        version, _, bits, _ = HEAD.unpack(opened.read(HEAD.size))
    if version == LARGE or bits not in BITS:
        what = "a large document (PSB)" if version == LARGE else f"a document of {bits} bits"
        raise Rejected(f"{name}: is {what}, and Photoshop files of 8 bits are read; save a TIFF")


PSD = picture_format(
    "psd", "Photoshop", ("psd",), "image/vnd.adobe.photoshop", rb"8BPS", PsdImageFile, check
)
