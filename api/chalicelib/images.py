"""Which image files the app takes, and the sentences for those that it does not."""

from typing import Literal, Protocol

from config.contract.formats import known
from config.contract.settings import MIB

# The patterns of first bytes look at no more.
MAGIC_BYTES = known().head_bytes

# The type that browsers state for a file whose ending they do not know.
UNKNOWN_TYPE = "application/octet-stream"
TYPES = (*dict.fromkeys(each.type for each in known().read), UNKNOWN_TYPE)

# Read by windows, so that larger ones are accepted.
TIFF = "image/tiff"
TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8", ".svs")

# Who is at fault for a job that failed.
Cause = Literal["rejected", "broken"]

FORMATS = known().use


class ByteLimits(Protocol):
    """Settings, or what of them shows in the schemas."""

    @property
    def upload_bytes_max(self) -> int:
        """Of every format."""

    @property
    def streamed_bytes_max(self) -> int:
        """Of those that are read by windows."""


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
        If they belong to no format that the app reads. The sentence names a format that is known.
    """
    for each in known().read:
        if each.magic.match(first):
            return each.type
    for each in known().strangers:
        if each.magic.match(first):
            raise UploadError(f"{name}: is {each.title}, which this app does not read; {each.way}")
    raise UploadError(
        f"{name}: not an image this app reads (starts with {first[:4].hex(' ')}); use {FORMATS}"
    )


def bytes_max(settings: ByteLimits, kind: str, name: str = "") -> int:
    """Return the largest size of a file of a type, in bytes.

    A file whose type is not known yet counts as what its name says.
    """
    is_named = kind in ("", UNKNOWN_TYPE) and name.lower().endswith(TIFF_ENDINGS)
    if kind == TIFF or is_named:
        return max(settings.streamed_bytes_max, settings.upload_bytes_max)
    return settings.upload_bytes_max


def shown(size: int, form: str = ".5g") -> str:
    """Return a size in words: in MiB, which `form` says how to write, or from 10 GiB on in GiB."""
    if size < 10_240 * MIB:
        return f"{format(size / MIB, form)} MiB"
    return f"{size / 1024 / MIB:,.0f} GiB"


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
        raise UploadError(f"{name}: {shown(found, '.1f')}; at most {shown(most)} are accepted")
    if found != announced:
        raise UploadError(
            f"{name}: {found:,} bytes arrived where {announced:,} were announced; send it again"
        )
