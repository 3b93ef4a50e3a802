"""PNM: bilevel, gray and colours as plain numbers or bytes, of 1 to 16 bits.

Source: the manual pages pbm(5), pgm(5) and ppm(5) of Netpbm.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    narrowed,
    upright_shape,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import Item, first_of
from cluster_worker.imagefiles.codecs.jpeg import over_white
from cluster_worker.pixels.header import header_of

# Numbers are parted by white space; a comment reaches to the end of its line.
NUMBER = re.compile(rb"(?:\s|#[^\n]*\n)*(\d{1,9})")
COMMENTS = re.compile(rb"#([^\n]*)")
# Bytes that hold the header: it may have comments.
HEAD_BYTES = 1 << 16
BYTE_MAX, SHORT_MAX = 255, 65_535

NO_ALPHA = "transparency dropped: PNM cannot hold it"


class Numbers(NamedTuple):
    """What a file begins with.

    Attributes
    ----------
    number : int
        1 to 6, of the magic bytes: bilevel, gray and colours as numbers, then as bytes.
    columns, rows, most : int
        Size, and the value of white.
    start : int
        Offset of the pixels, in bytes.
    comment : bytes
        All comments before the pixels.
    """

    number: int
    columns: int
    rows: int
    most: int
    start: int
    comment: bytes

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return 3 if self.number in (3, 6) else 1

    @property
    def is_mask(self) -> bool:
        """Whether a pixel has one bit."""
        return self.number in (1, 4)

    @property
    def is_text(self) -> bool:
        """Whether pixels are written as numbers."""
        return self.number <= 3


def numbers_in(path: Path) -> Numbers:
    """Read what a file begins with.

    Raises
    ------
    EOFError
        If the file ends within it.
    ValueError
        If the value of white is not one of 1 to 16 bits.
    """
    with path.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    number, position = int(head[1:2]), 2
    found = []
    for _ in range(2 if number in (1, 4) else 3):
        match = NUMBER.match(head, position)
        if match is None:
            raise EOFError("the header ends too early")
        found.append(int(match[1]))
        position = match.end()
    columns, rows, most = (*found, 1)[:3]
    if not 1 <= most <= SHORT_MAX:
        raise ValueError(f"white is {most}")
    comment = b"\n".join(each.strip() for each in COMMENTS.findall(head[:position]))
    # One character of white space stands before the pixels.
    return Numbers(number, columns, rows, most, position + 1, comment)


def read_header(path: Path, name: str) -> Header:
    """Read a PNM's header; what is raised is as for `numbers_in`."""
    found = numbers_in(path)
    shape = upright_shape(found.rows, found.columns, found.channels, 1)
    bits = found.most.bit_length()
    is_full = found.most in (1, BYTE_MAX, SHORT_MAX)
    image = header_of(shape, "bool" if found.is_mask else dtype_of(found))
    if image.dtype == "uint16" and found.channels == 1:
        image = image._replace(kind="intensity")
    return Header(
        name=name,
        format="pnm",
        image=image,
        bits=1 if found.is_mask else 0 if is_full or found.most < BYTE_MAX else bits,
        items=(Item("comment", "", found.comment),) if found.comment else (),
    )


def dtype_of(found: Numbers) -> str:
    """Return the dtype of pixels that are no bits."""
    return "uint8" if found.most <= BYTE_MAX else "uint16"


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:  # noqa: ARG001 - as others
    """Decode a PNM into `out`.

    Levels of less than 8 bits are spread to 8 bits, as in a PNG; those of 9 to 15 bits are kept.

    Raises
    ------
    EOFError
        If the file ends too early.
    ValueError
        If a level is above white.
    """
    found = numbers_in(path)
    samples = (as_numbers if found.is_text else as_bytes)(path, found)
    if found.is_mask:
        # 1 stands for black.
        np.equal(samples.reshape(out.shape), 0, out=out)
        return ()
    if samples.max(initial=0) > found.most:
        raise ValueError("a level is above white")
    if found.most < BYTE_MAX:
        samples = (samples.astype(np.uint32) * BYTE_MAX + found.most // 2) // found.most
    out[...] = samples.reshape(out.shape)
    return ()


def as_bytes(path: Path, found: Numbers) -> Image:
    """Return the samples of a file that holds them as bytes, the first of two bytes the higher."""
    count = found.rows * found.columns * found.channels
    if found.is_mask:
        line = -(-found.columns // 8)
        packed = np.fromfile(path, np.uint8, found.rows * line, offset=found.start)
        check_count(len(packed), found.rows * line)
        return np.unpackbits(packed.reshape(found.rows, line), axis=1)[:, : found.columns]
    dtype = np.dtype(">u2") if found.most > BYTE_MAX else np.dtype(np.uint8)
    samples = np.fromfile(path, dtype, count, offset=found.start)
    check_count(len(samples), count)
    return samples


def as_numbers(path: Path, found: Numbers) -> Image:
    """Return the samples of a file that holds them as decimal numbers."""
    count = found.rows * found.columns * found.channels
    text = re.sub(rb"#[^\n]*", b"", path.read_bytes()[found.start :])
    if found.is_mask:
        # Bits need no space between them.
        digits = np.frombuffer(re.sub(rb"\s", b"", text), np.uint8)[:count] - ord("0")
        check_count(len(digits), count)
        return digits
    words = text.split()
    check_count(len(words), count)
    return np.array(words[:count], dtype=np.int64)


def check_count(found: int, count: int) -> None:
    """Check the number of samples or bytes; raises EOFError if there are too few."""
    if found < count:
        raise EOFError("pixels are missing")


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a PNM as bytes; alpha is dropped, and a picture of 8 bits then lies on white.

    Raises
    ------
    Rejected
        If the image has labels larger than 16 bits can hold.
    """
    pixels = narrowed(without_channels(image))
    notes: tuple[str, ...] = ()
    if pixels.dtype == np.uint32:
        raise Rejected(
            f"{header.name}: the result has labels up to {pixels.max()}, and PNM holds at most "
            f"{SHORT_MAX}; choose TIFF"
        )
    if header.image.alpha and pixels.dtype == np.uint8:
        pixels, notes = over_white(pixels), (f"{NO_ALPHA}, so the picture lies on white",)
    elif header.image.alpha:
        pixels, notes = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3], (NO_ALPHA,)
    rows, columns = pixels.shape[:2]
    comment = first_of(header.items, "comment")
    told = b"".join(b"#" + line + b"\n" for line in comment.splitlines())
    with path.open("wb") as opened:
        if pixels.dtype == bool:
            opened.write(b"P4\n" + told + b"%d %d\n" % (columns, rows))
            opened.write(np.packbits(~pixels, axis=1).tobytes())
            return notes
        most = white_of(pixels, header)
        magic = b"P5\n" if pixels.ndim == 2 else b"P6\n"
        opened.write(magic + told + b"%d %d\n%d\n" % (columns, rows, most))
        opened.write(pixels.astype(">u2" if pixels.dtype == np.uint16 else np.uint8).tobytes())
    return notes


def white_of(pixels: Image, header: Header) -> int:
    """Return the value of white: that of the original's bits, if all levels fit into them."""
    if pixels.dtype == np.uint8:
        return BYTE_MAX
    fits = header.bits > 8 and int(pixels.max(initial=0)) < 1 << header.bits
    return (1 << header.bits) - 1 if fits else SHORT_MAX


PNM = Format(
    name="pnm",
    title="PNM",
    extensions=("pnm", "pgm", "ppm", "pbm"),
    media_type="image/x-portable-anymap",
    magic=re.compile(rb"P[1-6][\s#]"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8", "uint16", "uint32"),
    carries=frozenset(("comment",)),
)
