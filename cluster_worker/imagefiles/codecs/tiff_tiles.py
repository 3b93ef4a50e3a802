"""Pieces of a TIFF that is written: tiles and strips, encoded by each of its compressions."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from imagecodecs import (
    deflate_decode,
    deflate_encode,
    delta_decode,
    delta_encode,
    jpeg8_decode,
    jpeg8_encode,
    lzw_decode,
    lzw_encode,
    zstd_decode,
    zstd_encode,
)
from tifffile import TiffFile

from cluster_worker.imagefiles.codecs.header import TILE, ByteRange, Image, Piece
from cluster_worker.imagefiles.codecs.threads import in_threads
from cluster_worker.imagefiles.output import jpeg_of
from cluster_worker.pixels.header import ImageHeader

# Level 1 of deflate is four times as fast as the usual 6, and with differences the file is hardly
# larger. Level 1 of zstd takes three quarters of the time of deflate.
LEVEL = 1

ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "none": lambda content: bytes(np.asarray(content).tobytes()),
    "lzw": lzw_encode,
    "zstd": lambda content: bytes(zstd_encode(content, LEVEL)),
    "deflate": lambda content: bytes(deflate_encode(content, LEVEL)),
}
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "lzw": lzw_decode,
    "zstd": zstd_decode,
    "deflate": deflate_decode,
}
# tifffile's names. It has no G4, so that pages get another number, which is changed in the end.
NAMES = {"none": None, "lzw": "lzw", "zstd": "zstd", "deflate": "adobe_deflate", "g4": "packbits"}
# How many (columns, rows) of pixels share a colour.
FACTORS = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}


def coding_of(compression: str, image: ImageHeader, *, in_tiles: bool = False) -> str:
    """Return how the pieces of an image are compressed: as a header says, where that is possible.

    Parameters
    ----------
    compression : str
        Of the header; "" for the usual one.
    image : ImageHeader
        As it is written.
    in_tiles : bool
        Whether its pieces are tiles, for which there is no G4.
    """
    if compression == "g4" and (in_tiles or image.dtype != "bool"):
        return "deflate"
    channels = image.colours + image.alpha
    if jpeg_of(compression) and (image.dtype != "uint8" or channels not in (1, 3)):
        return "deflate"
    return compression or "deflate"


def has_predictor(dtype: str, coding: str) -> bool:
    """Return whether samples are stored as differences: whole numbers of up to 32 bits are.

    Only compressions without loss that find repeated bytes gain from it.
    """
    kind = np.dtype(dtype)
    return coding in ("deflate", "lzw", "zstd") and kind.kind in "iu" and kind.itemsize <= 4


def encode_tiles(spool: Path, image: Image, compression: str) -> list[ByteRange]:
    """Cut a block of an image into tiles, compress each tile, and append it to a file.

    Parameters
    ----------
    spool : Path
        Made if it does not exist; only one process may append to it at a time.
    image : ndarray
        (rows, columns) or (rows, columns, channels): a block that begins and ends at multiples of
        `TILE` in the whole image, or ends at the image's border, where its last pixels fill up
        tiles in JPEG, and zeros fill up others.
    compression : str
        As in the header of the result.

    Returns
    -------
    list of (int, int)
        Offset and length in bytes of each tile, in row order.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    layered = image if image.ndim == 3 else image[..., np.newaxis]
    rows, columns, channels = layered.shape
    corners = product(range(0, rows, TILE), range(0, columns, TILE))
    described = ImageHeader(layered.shape, layered.dtype.name)
    coding = coding_of(compression, described, in_tiles=True)
    ranges: list[ByteRange] = []
    with spool.open("ab") as opened:
        nbytes = TILE * TILE * channels * layered.itemsize
        for encoded in in_threads(partial(encoded_tile, layered, coding), corners, nbytes):
            ranges.append((opened.tell(), len(encoded)))
            opened.write(encoded)
    return ranges


def encoded_tile(image: Image, coding: str, corner: tuple[int, int]) -> bytes:
    """Compress one tile."""
    top, left = corner
    pixels = image[top : top + TILE, left : left + TILE]
    missing = (0, TILE - pixels.shape[0]), (0, TILE - pixels.shape[1]), (0, 0)
    if jpeg_of(coding):
        # Zeros would ring into the picture.
        tile = np.pad(pixels, missing, mode="edge")
    else:
        tile = np.zeros((TILE, TILE, image.shape[2]), image.dtype)
        tile[: pixels.shape[0], : pixels.shape[1]] = pixels
    return encoded_piece(tile, coding)


def encoded_piece(piece: Image, coding: str) -> bytes:
    """Compress (rows, columns, channels): integers as differences, masks as packed bits."""
    in_jpeg = jpeg_of(coding)
    if in_jpeg:
        quality, subsampling = in_jpeg
        if piece.shape[2] == 1:
            return bytes(jpeg8_encode(np.ascontiguousarray(piece[..., 0]), quality))
        return bytes(jpeg8_encode(np.ascontiguousarray(piece), quality, subsampling=subsampling))
    if piece.dtype == bool:
        piece = np.packbits(piece.reshape(len(piece), -1), axis=1)
    elif has_predictor(piece.dtype.name, coding):
        piece = delta_encode(np.ascontiguousarray(piece), axis=1)
    return bytes(ENCODERS[coding](np.ascontiguousarray(piece)))


def decoded_tile(content: bytes, coding: str, dtype: str, channels: int) -> Image:
    """Return the pixels of a tile, (TILE, TILE, channels)."""
    shape = TILE, TILE, channels
    if jpeg_of(coding):
        return np.asarray(jpeg8_decode(content)).reshape(shape)
    flat = np.frombuffer(DECODERS[coding](content), np.uint8)
    if dtype == "bool":
        packed = flat.reshape(TILE, -1)
        return np.unpackbits(packed, axis=1, count=TILE * channels).astype(bool).reshape(shape)
    tile = flat.view(dtype).reshape(shape)
    return delta_decode(tile, axis=1) if has_predictor(dtype, coding) else tile


def encoded_pieces(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """Read encoded tiles one after the other.

    Raises
    ------
    EOFError
        If a file ends before one of its tiles does.
    """
    for spool, run in groupby(pieces, key=itemgetter(0)):
        with spool.open("rb") as opened:
            for _, offset, nbytes in run:
                opened.seek(offset)
                encoded = opened.read(nbytes)
                if len(encoded) < nbytes:
                    raise EOFError(f"{spool.name} ends before the tile at {offset}")
                yield encoded


def compression_options(coding: str, image: ImageHeader) -> dict[str, Any]:
    """Return tifffile's options for pieces that are compressed so."""
    in_jpeg = jpeg_of(coding)
    if in_jpeg is None:
        found: dict[str, Any] = {"compression": NAMES[coding]}
        # Black on white is how programs of fax expect a page.
        return found | ({"photometric": "miniswhite"} if coding == "g4" else {})
    if image.colours == 1:
        return {"compression": "jpeg"}
    return {"compression": "jpeg", "photometric": "ycbcr", "subsampling": FACTORS[in_jpeg[1]]}


def strips_in_g4(mask: Image, rows: int) -> list[bytes]:
    """Compress a mask as a page of a fax; set pixels are white."""
    buffer = BytesIO()
    # Tag 278 is the number of rows of a strip.
    PIL.Image.fromarray(~mask).save(buffer, "TIFF", compression="group4", tiffinfo={278: rows})
    content = buffer.getvalue()
    with TiffFile(BytesIO(content)) as file:
        page = file.pages.first
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        return [content[start : start + size] for start, size in places]
