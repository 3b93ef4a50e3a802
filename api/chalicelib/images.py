"""Which image files the app takes, and the sentences for those that it does not."""

import re
from typing import Literal

from config.contract.settings import MIB

# Patterns of a file's first bytes by content type. TIFF comes in two byte orders and two sizes.
MAGIC = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "image/tiff": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    # The last bytes are the length of the second header, which says what kind of BMP it is.
    "image/bmp": re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
    "image/x-portable-anymap": re.compile(rb"P[1-6][\s#]"),
    "image/jp2": re.compile(rb"\0\0\0\x0cjP  |\xffO\xffQ"),
    "image/avif": re.compile(rb".{4}ftypavif", re.DOTALL),
}
# The patterns above look at no more bytes; BMP's is the longest.
MAGIC_BYTES = 18

# The type that browsers state for a file whose ending they do not know.
UNKNOWN_TYPE = "application/octet-stream"
TYPES = (*MAGIC, UNKNOWN_TYPE)

# Who is at fault for a job that failed.
Cause = Literal["rejected", "broken"]

FORMATS = "JPEG, PNG, WebP, TIFF, GIF, BMP, PNM, JPEG 2000 or AVIF"


class UploadError(ValueError):
    """A file cannot be used; the sentence is for the visitor."""

    cause: Cause = "rejected"


class GoneError(UploadError):
    """The file that should be used again is not kept any more; nothing is wrong with it."""

    cause: Cause = "broken"


def sniff(name: str, first: bytes) -> str:
    """Return the content type of a file, from its first bytes.

    Raises
    ------
    UploadError
        If they belong to no format that the app reads.
    """
    for content_type, magic in MAGIC.items():
        if magic.match(first):
            return content_type
    raise UploadError(
        f"{name}: not an image this app reads (starts with {first[:4].hex(' ')}); use {FORMATS}"
    )


def check_size(name: str, found: int, announced: int, most: int) -> None:
    """Check the size of a file, in bytes.

    Raises
    ------
    UploadError
        If it is empty, too large, or not what was announced.
    """
    if found <= 0:
        raise UploadError(f"{name}: the file is empty")
    if found > most:
        raise UploadError(
            f"{name}: {found / MIB:.1f} MiB; at most {most / MIB:.5g} MiB are accepted"
        )
    if found != announced:
        raise UploadError(
            f"{name}: {found:,} bytes arrived where {announced:,} were announced; send it again"
        )
