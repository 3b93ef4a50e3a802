"""Image files: which formats there are, and reading and writing them with errors in words.

A codec given a stranger's bytes raises anything, SyntaxError, struct.error and MemoryError among
them. Here all of it becomes `Rejected` with one sentence that names the file. Untrusted files go
through `cluster_worker.decoder`, which calls these functions in a process that may die.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cluster_worker.codecs.header import Format, Header, Image, channels_of
from cluster_worker.codecs.jpeg import JPEG
from cluster_worker.codecs.png import PNG
from cluster_worker.codecs.tiff import TIFF
from cluster_worker.codecs.webp import WEBP
from cluster_worker.errors import Rejected

FORMATS: Mapping[str, Format] = {each.name: each for each in (JPEG, PNG, WEBP, TIFF)}
# Labels are of uint32.
DTYPES = ("bool", "uint8", "uint16", "uint32", "float32", "float64")

# Enough to tell every format; WebP is the last to say its name.
MAGIC_BYTES = 12

# Words by which Pillow and tifffile say that bytes are missing.
TOO_SHORT = ("truncated", "unexpected end", "end of file", "incomplete", "failed to read")

__all__ = [
    "FORMATS",
    "Format",
    "Header",
    "format_of",
    "read_header",
    "read_pixels",
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
    if out.shape != header.shape or out.dtype != header.dtype:
        raise ValueError(
            f"out: must be {header.dtype} of shape {header.shape}, got {out.dtype} of {out.shape}"
        )
    form = recognise(path, header.name)
    with rejected(header.name, form, "decode"):
        form.read_pixels(path, header, out)


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
    if str(image.dtype) not in DTYPES:
        raise Rejected(
            f"{header.name}: the result is of {image.dtype}; files hold {', '.join(DTYPES)}"
        )
    if image.dtype == np.uint32 and channels_of(image.shape) > 1:
        raise Rejected(
            f"{header.name}: the result has labels in {channels_of(image.shape)} channels; "
            "labels have one"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return FORMATS[format].write(path, image, header)
    except MemoryError as error:
        raise Rejected(needs_memory(header.name, "encode")) from error


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
    if isinstance(error, MemoryError) or "out of memory" in text:
        return needs_memory(name, verb)
    if isinstance(error, EOFError) or any(words in text for words in TOO_SHORT):
        return f"{name}: the file ends too early; save or upload it again"
    return f"{name}: the file is damaged and cannot be read as {form.title}"
