"""Which image files the app takes, and the sentences for those that it does not."""

from config.settings import MIB

# Content type by the first bytes of a file. TIFF comes in two byte orders and two sizes.
MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"II+\0": "image/tiff",
    b"MM\0+": "image/tiff",
}
MAGIC_BYTES = max(map(len, MAGIC))

# What a browser says of a file whose ending it does not know.
UNKNOWN_TYPE = "application/octet-stream"
TYPES = (*dict.fromkeys(MAGIC.values()), UNKNOWN_TYPE)

FORMATS = "JPEG, PNG or TIFF"


class UploadError(ValueError):
    """A file cannot be used; the sentence is for the visitor."""


def sniff(name: str, first: bytes) -> str:
    """Tell the content type from a file's first bytes.

    Raises
    ------
    UploadError
        If they are of no format that the app reads.
    """
    for magic, content_type in MAGIC.items():
        if first.startswith(magic):
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
