"""Image files: which formats there are, and reading and writing them with errors in words.

A codec given a stranger's bytes raises anything, SyntaxError, struct.error and MemoryError among
them. Here all of it becomes `Rejected` with one sentence that names the file. Untrusted files go
through `cluster_worker.imagefiles.decoder`, which calls these functions in a process that may die.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    DTYPES,
    TILE,
    Format,
    Header,
    Image,
    Piece,
    Place,
    channels_of,
)
from cluster_worker.imagefiles.codecs.jpeg import JPEG
from cluster_worker.imagefiles.codecs.png import PNG
from cluster_worker.imagefiles.codecs.tiff import TIFF
from cluster_worker.imagefiles.codecs.webp import WEBP

FORMATS: Mapping[str, Format] = {each.name: each for each in (JPEG, PNG, WEBP, TIFF)}

# Enough to tell every format; WebP is the last to say its name.
MAGIC_BYTES = 12

# Words by which Pillow and tifffile say that bytes are missing.
TOO_SHORT = ("truncated", "unexpected end", "end of file", "incomplete", "failed to read")

# Words by which Pillow and libjpeg say that memory was refused.
NO_MEMORY = ("out of memory", "insufficient memory")

__all__ = [
    "DTYPES",
    "FORMATS",
    "TILE",
    "Format",
    "Header",
    "assemble",
    "check_result",
    "encode_tiles",
    "format_of",
    "read_header",
    "read_pixels",
    "read_window",
    "recognise",
    "write",
]


def read_header(path: Path, name: str, pixels_max: int) -> Header:
    """Read what a file says of its image; no pixels are decoded.

    Parameters
    ----------
    path : Path
        The file; its name there does not matter.
    name : str
        As the visitor calls it; begins every sentence.
    pixels_max : int
        Largest image accepted, in rows × columns.

    Raises
    ------
    Rejected
        If this app does not read the file.
    OSError
        If there is no such file.
    """
    form = recognise(path, name)
    with rejected(name, form, "decode"):
        header = form.read_header(path, name)
    check_size(header, pixels_max)
    return header


def check_size(header: Header, pixels_max: int) -> None:
    """Refuse an image without pixels, or with too many.

    Raises
    ------
    Rejected
        With rows, columns and the limit.
    """
    rows, columns = header.shape[:2]
    if min(rows, columns) < 1:
        raise Rejected(f"{header.name}: has {rows} × {columns} pixels; an image has at least one")
    if rows * columns > pixels_max:
        raise Rejected(
            f"{header.name}: {rows} × {columns} = {megapixels(rows * columns)} megapixels; "
            f"at most {megapixels(pixels_max)} megapixels are accepted"
        )


def megapixels(pixels: int) -> str:
    """Show millions of pixels: whole ones, or three digits of fewer than ten."""
    return f"{pixels / 1e6:.3g}" if pixels < 10e6 else f"{pixels // 1_000_000}"


def read_pixels(path: Path, header: Header, out: Image) -> None:
    """Decode a file.

    Parameters
    ----------
    path : Path
        The file that the header was read from.
    header : Header
        From `read_header`.
    out : ndarray
        Of the header's shape and dtype; filled with the upright image. Its content is undefined
        if the file is refused.

    Raises
    ------
    Rejected
        If the file is damaged or ends too early.
    """
    check_out(out, header.shape, header.dtype)
    form = recognise(path, header.name)
    with rejected(header.name, form, "decode"):
        form.read_pixels(path, header, out)


def read_window(
    path: Path, header: Header, top: int, bottom: int, left: int, right: int, out: Image
) -> None:
    """Decode only those pieces of a file that meet a window.

    The last pieces are kept for the next window of the same file, so that windows are best asked
    for in row order.

    Parameters
    ----------
    path : Path
        The file that the header was read from.
    header : Header
        From `read_header`, with a block.
    top, bottom, left, right : int
        The window's rows and columns, half open, within the image.
    out : ndarray
        Of the window's rows and columns, the header's channels and its dtype.

    Raises
    ------
    Rejected
        If the file is damaged where it was read.
    ValueError
        If the file is not one that is read by windows, or the window lies outside of it.
    """
    rows, columns = header.shape[:2]
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise ValueError(
            f"window: must lie within {rows} × {columns} pixels, got rows {top} to {bottom}, "
            f"columns {left} to {right}"
        )
    check_out(out, (bottom - top, right - left, *header.shape[2:]), header.dtype)
    form = recognise(path, header.name)
    if form.read_window is None or header.block is None:
        raise ValueError(f"{header.name}: is not read by windows, as its header says")
    with rejected(header.name, form, "decode"):
        form.read_window(path, header, top, bottom, left, right, out)


def check_out(out: Image, shape: tuple[int, ...], dtype: str) -> None:
    """Check the array that pixels are to be decoded into.

    Raises
    ------
    ValueError
        If it does not fit.
    """
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out: must be {dtype} of shape {shape}, got {out.dtype} of {out.shape}")


def write(path: Path, image: Image, format: str, header: Header) -> tuple[str, ...]:
    """Write an image in its own depth.

    Parameters
    ----------
    path : Path
        The file to write.
    image : ndarray
        rows × columns, or rows × columns × 1 to 4 channels, 2 and 4 of which end with alpha;
        labels have one channel.
    format : str
        Name of one of `FORMATS`.
    header : Header
        Of the original: its colour profile and resolution are carried over.

    Returns
    -------
    tuple of str
        What the format could not keep, one sentence each.

    Raises
    ------
    Rejected
        If the format cannot hold such pixels; the sentence says what to choose.
    OSError
        If the file cannot be written.
    """
    check_result(header.name, str(image.dtype), image.shape, format)
    with in_memory(header.name):
        return FORMATS[format].write(path, image, header)


def encode_tiles(
    spool: Path, image: Image, format: str, name: str, compression: str = ""
) -> list[Place]:
    """Cut a block of an image into tiles, and append each, encoded, to a file.

    Parameters
    ----------
    spool : Path
        Made if it is not there; only one may append to it at a time.
    image : ndarray
        A block whose corner lies at multiples of `TILE` in the whole image, and which ends there
        too, or at the whole image's border.
    format : str
        Name of one of `FORMATS`.
    name : str
        As the visitor calls the file.
    compression : str
        Of the original, as its header has it; the file is put together with that header.

    Returns
    -------
    list of (int, int)
        Offset and bytes of each tile, in row order.

    Raises
    ------
    Rejected
        If the format is not written by tiles, or cannot hold such pixels.
    OSError
        If the file cannot be written.
    """
    encode = FORMATS[format].encode_tiles
    if encode is None:
        raise refuse_tiles(name, format)
    check_result(name, str(image.dtype), image.shape, format)
    with in_memory(name):
        return encode(spool, image, compression)


def assemble(
    path: Path,
    pieces: Sequence[Piece],
    shape: Sequence[int],
    dtype: str,
    format: str,
    header: Header,
) -> tuple[str, ...]:
    """Write a file of tiles that `encode_tiles` has encoded; few of them are in memory at a time.

    Parameters
    ----------
    path : Path
        The file to write.
    pieces : sequence of (Path, int, int)
        File, offset and bytes of each tile of the whole image, in row order.
    shape : sequence of int
        (rows, columns) or (rows, columns, channels) of the image.
    dtype : str
        Of the tiles.
    format : str
        Name of the format that they were encoded in.
    header : Header
        Of the original: its colour profile and resolution are carried over.

    Returns
    -------
    tuple of str
        What the format could not keep, one sentence each.

    Raises
    ------
    Rejected
        If the format is not written by tiles.
    OSError
        If a file cannot be read or written.
    """
    put_together = FORMATS[format].assemble
    if put_together is None:
        raise refuse_tiles(header.name, format)
    check_result(header.name, dtype, shape, format)
    with in_memory(header.name):
        return put_together(path, pieces, shape, dtype, header)


def refuse_tiles(name: str, format: str) -> Rejected:
    """Word the refusal to write a format tile by tile."""
    able = [form.title for form in FORMATS.values() if form.encode_tiles]
    return Rejected(
        f"{name}: the result is too large to be written as {FORMATS[format].title}; "
        f"choose {' or '.join(able)}"
    )


def check_result(name: str, dtype: str, shape: Sequence[int], format: str) -> None:
    """Refuse a result that a format does not hold, as can be told before it is made.

    Parameters
    ----------
    name : str
        As the visitor calls the original.
    dtype, shape : str, sequence of int
        Of the result.
    format : str
        Name of the format to write.

    Raises
    ------
    Rejected
        With what was found; the sentence says what to choose.
    """
    form = FORMATS[format]
    if dtype not in DTYPES:
        raise Rejected(f"{name}: the result is of {dtype}; files hold {', '.join(DTYPES)}")
    if dtype == "uint32" and channels_of(shape) > 1:
        raise Rejected(
            f"{name}: the result has labels in {channels_of(shape)} channels; labels have one"
        )
    if dtype not in form.dtypes:
        raise Rejected(refused_dtype(name, dtype, form))
    rows, columns = shape[:2]
    if form.side_max is not None and max(rows, columns) > form.side_max:
        raise Rejected(
            f"{name}: the result has {rows} × {columns} pixels, and {form.title} holds at most "
            f"{form.side_max} × {form.side_max}; choose PNG or TIFF"
        )


def refused_dtype(name: str, dtype: str, form: Format) -> str:
    """Word the refusal of a type that a format does not hold."""
    if dtype == "uint32":
        return (
            f"{name}: the result has labels, which {form.title} cannot hold; "
            "colour them (label2rgb) or choose TIFF"
        )
    depth = {"uint16": "16 bits", "float32": "32-bit floats", "float64": "64-bit floats"}
    choose = "PNG or TIFF" if dtype == "uint16" else "TIFF"
    return (
        f"{name}: the result has pixels of {depth[dtype]}, which {form.title} cannot hold; "
        f"choose {choose}"
    )


@contextmanager
def in_memory(name: str) -> Iterator[None]:
    """Word a lack of memory while a result is encoded, and keep warnings quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError as error:
        raise Rejected(needs_memory(name, "encode")) from error


def recognise(path: Path, name: str) -> Format:
    """Tell a file's format by its first bytes.

    Raises
    ------
    Rejected
        If it is of none that this app reads.
    """
    with path.open("rb") as opened:
        start = opened.read(MAGIC_BYTES)
    for form in FORMATS.values():
        if form.magic.match(start):
            return form
    if not start:
        raise Rejected(f"{name}: the file is empty; use {titles()}")
    raise Rejected(
        f"{name}: not an image this app reads (starts with {start[:4].hex(' ')}); use {titles()}"
    )


def format_of(name: str) -> str:
    """Name the format of a file that is to be written, by its extension.

    Raises
    ------
    Rejected
        If no format has this extension.
    """
    extension = Path(name).suffix.lstrip(".").lower()
    for form in FORMATS.values():
        if extension in form.extensions:
            return form.name
    known = ", ".join(f".{form.extension}" for form in FORMATS.values())
    raise Rejected(f"{name}: its ending names the format; use one of {known}")


def titles() -> str:
    """List the formats for a sentence."""
    *others, last = (form.title for form in FORMATS.values())
    return f"{', '.join(others)} or {last}"


def needs_memory(name: str, verb: str) -> str:
    """Word a lack of memory."""
    return f"{name}: needs more memory to {verb} than is allowed"


@contextmanager
def rejected(name: str, form: Format, verb: str) -> Iterator[None]:
    """Turn whatever a codec raises into one sentence, and keep its warnings quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Rejected:
        raise
    except Exception as error:
        raise Rejected(sentence(error, name, form, verb)) from error


def sentence(error: Exception, name: str, form: Format, verb: str) -> str:
    """Word what a codec raised."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return needs_memory(name, verb)
    if isinstance(error, EOFError) or any(words in text for words in TOO_SHORT):
        return f"{name}: the file ends too early; save or upload it again"
    return f"{name}: the file is damaged and cannot be read as {form.title}"
