"""The size in pixels of a TIFF in S3, read by two ranges: its first bytes and its directory.

Source: TIFF revision 6.0, section 2; BigTIFF design by Aware Systems.
"""

import struct
from collections.abc import Callable

from chalicelib.images import UploadError
from config.contract.settings import ApiSettings

# Returns bytes of the file by offset and length; fewer at its end.
Read = Callable[[int, int], bytes]

# Byte order and whether numbers have 64 bits, by the first bytes.
ORDERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True)}
ORDERS[b"MM\0+"] = (">", True)
HEAD_BYTES = 16
# A directory has some twenty tags, and their order is that of their codes: the first two are here.
DIRECTORY_BYTES = 1024
WIDTH, LENGTH = 256, 257
# How struct reads a value by its type.
TYPES = {3: "H", 4: "I", 16: "Q"}
MEGA = 1_000_000


def check(name: str, read: Read, settings: ApiSettings) -> None:
    """Check the size of the first image of a TIFF; a worker says what else is wrong with it.

    Raises
    ------
    UploadError
        If it has more pixels than are accepted.
    """
    rows, columns = shape(read)
    most = max(settings.streamed_pixels_max, settings.pixels_max)
    if rows * columns > most:
        raise UploadError(
            f"{name}: {rows} × {columns} = {rows * columns / MEGA:,.0f} megapixels; at most "
            f"{most / MEGA:,.0f} megapixels are accepted, so send a part of it or a smaller copy"
        )


def shape(read: Read) -> tuple[int, int]:
    """Return rows and columns of the first image of a TIFF; (0, 0) if they cannot be read."""
    head = read(0, HEAD_BYTES)
    order, big = ORDERS.get(head[:4], ("", False))
    if not order or len(head) < HEAD_BYTES:
        return 0, 0
    number, count, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    (offset,) = struct.unpack_from(order + number, head, 8 if big else 4)
    directory = read(offset, DIRECTORY_BYTES)
    begin, step = struct.calcsize(order + count), struct.calcsize(order + entry)
    sizes = {}
    for place in range(begin, len(directory) - step + 1, step):
        code, kind, _, value = struct.unpack_from(order + entry, directory, place)
        if code in (WIDTH, LENGTH) and kind in TYPES:
            (sizes[code],) = struct.unpack_from(order + TYPES[kind], value)
        if code >= LENGTH:
            break
    return sizes.get(LENGTH, 0), sizes.get(WIDTH, 0)
