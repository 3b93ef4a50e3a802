"""SGI pictures of 8 bits, plain or as run lengths; read only.

Source: The SGI image file format, version 1.00.
"""

from pathlib import Path

from PIL.SgiImagePlugin import SgiImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.plain_pictures import picture_format

BYTES_AT, DEEP = 3, 2


def check(path: Path, name: str) -> None:
    """Check that Pillow keeps all bits of a file.

    Raises
    ------
    Rejected
        If it has 16 bits a channel.
    """
    with path.open("rb") as opened:
        head = opened.read(BYTES_AT + 1)
    if head[BYTES_AT] == DEEP:
        raise Rejected(f"{name}: is an SGI image of 16 bits, and those of 8 are read; save a TIFF")


SGI = picture_format(
    "sgi",
    "SGI",
    ("sgi", "rgb", "bw"),
    "image/x-sgi",
    rb"\x01\xda[\x00\x01][\x01\x02]",
    SgiImageFile,
    check,
)
