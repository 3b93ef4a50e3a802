"""BMP: bilevel, gray, palettes and colours of 8 bits, in the kinds that Pillow decodes."""

import re
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.BmpImagePlugin import BmpImageFile

from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    in_8_bits,
    palette_of,
    upright_shape,
    valid_resolution,
    without_channels,
)
from cluster_worker.imagefiles.codecs.jpeg import over_white
from cluster_worker.imagefiles.codecs.pillow import fill
from cluster_worker.pixels.header import header_of

CHANNELS = {"1": 1, "L": 1, "P": 3, "RGB": 3, "RGBA": 4}
NO_ALPHA = "transparency dropped: few programs read it in a BMP, so the picture lies on white"
SIDE_MAX = (1 << 31) - 1


def read_header(path: Path, name: str) -> Header:
    """Read a BMP's header.

    Raises
    ------
    OSError
        If it is damaged, or of a kind that Pillow does not decode.
    """
    with path.open("rb") as opened:
        file = BmpImageFile(opened)
        columns, rows = file.size
        shape = upright_shape(rows, columns, CHANNELS[file.mode], 1)
        palette = b""
        if file.mode == "P" and file.palette is not None:
            colours = np.frombuffer(bytes(file.palette.palette), np.uint8)
            # BMP stores a fourth byte for each colour, which Pillow keeps in mode BGRX.
            size = 4 if file.palette.rawmode in ("BGRX", "BGR0") else 3
            table = colours[: len(colours) // size * size].reshape(-1, size)[:, :3]
            bgr = (file.palette.rawmode or "RGB").startswith("BGR")
            palette = palette_of(table[:, ::-1] if bgr else table)
        return Header(
            name=name,
            format="bmp",
            image=header_of(shape, "bool" if file.mode == "1" else "uint8"),
            resolution=valid_resolution(file.info.get("dpi"), 1.0, 1),
            palette=palette,
            bits=1 if file.mode == "1" else 0,
        )


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a BMP into `out`.

    Raises
    ------
    OSError
        If the file is damaged or ends too early.
    """
    with path.open("rb") as opened:
        file = BmpImageFile(opened)
        mode = "RGB" if file.mode == "P" and not header.is_indexed else file.mode
        fill(file, mode, 1, out)
    return ()


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a BMP; a mask of one that had 1 bit has 1 bit, and alpha is blended over white."""
    pixels = without_channels(image)
    pixels = pixels if header.bits == 1 else in_8_bits(pixels)
    notes: tuple[str, ...] = ()
    if header.image.alpha:
        pixels, notes = over_white(pixels), (NO_ALPHA,)
    picture = PIL.Image.fromarray(pixels)
    options = {"dpi": header.resolution} if header.resolution else {}
    picture.save(path, "BMP", **options)
    return notes


BMP = Format(
    name="bmp",
    title="BMP",
    extensions=("bmp", "dib"),
    media_type="image/bmp",
    # The last bytes are the length of the second header, which says what kind of BMP it is.
    magic=re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8"),
    carries=frozenset(("resolution",)),
    side_max=SIDE_MAX,
)
