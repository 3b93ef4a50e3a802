"""The headers of S3's requests: ranges, conditions, checksums, and what an object keeps."""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol

from infra.local.store.objects import NotThere, Stored
from infra.local.store.signatures import Refused

# Sent with an object, kept, and sent back.
KEPT_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
META = "x-amz-meta-"
RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)
CHECKSUM = "x-amz-checksum-"
# What follows the prefix above, but is no checksum.
NO_CHECKSUMS = {"algorithm", "mode", "type"}
CONTENT_HASH = "x-amz-content-sha256"
# CRC-32C's polynomial, of which bits are read from the lowest.
CASTAGNOLI = 0x82F63B78
NUMBER_MAX = 2**31 - 1


class Digest(Protocol):
    """A checksum of bytes that come one after the other, as in hashlib."""

    def update(self, chunk: bytes, /) -> None:
        """Go on behind these bytes."""

    def digest(self) -> bytes:
        """Return the checksum so far."""


class Crc:
    """A cyclic redundancy check of 32 bits.

    Parameters
    ----------
    step : callable
        Takes bytes and the value before them; returns the value behind them.
    """

    def __init__(self, step: Callable[[bytes, int], int]) -> None:
        self.step, self.value = step, 0

    def update(self, chunk: bytes, /) -> None:
        """Go on behind these bytes."""
        self.value = self.step(chunk, self.value)

    def digest(self) -> bytes:
        """Return the checksum so far."""
        return self.value.to_bytes(4, "big")


def crc32c_table() -> list[int]:
    """Return the remainders of all bytes under CRC-32C's polynomial."""
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (CASTAGNOLI if value & 1 else 0)
        found.append(value)
    return found


CRC32C = crc32c_table()


def crc32c(chunk: bytes, before: int = 0) -> int:
    """Compute CRC-32C byte by byte, some megabytes a second: no client of the app sends it."""
    value = ~before & 0xFFFFFFFF
    for each in chunk:
        value = CRC32C[(value ^ each) & 0xFF] ^ value >> 8
    return ~value & 0xFFFFFFFF


DIGESTS: dict[str, Callable[[], Digest]] = {
    "crc32": lambda: Crc(zlib.crc32),
    "crc32c": lambda: Crc(crc32c),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
}


class Checksums:
    """The checksums that a request gives of its body, compared when the body has come.

    Parameters
    ----------
    headers : mapping of str to str
        By name in lower case; or the fields of a form.

    Raises
    ------
    Refused
        If a checksum cannot be one, or is not offered here.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        # (S3's code, checksum as sent, checksum as computed)
        self.compared: list[tuple[str, bytes, Digest]] = []
        for header, text in headers.items():
            name = header.removeprefix(CHECKSUM)
            if name == header or name in NO_CHECKSUMS:
                continue
            if name not in DIGESTS:
                raise Refused("NotImplemented", f"{header}: not offered on one machine")
            self.add("BadDigest", decode(text), DIGESTS[name](), "InvalidRequest", header)
        if text := headers.get("content-md5", ""):
            md5 = hashlib.md5(usedforsecurity=False)
            self.add("BadDigest", decode(text), md5, "InvalidDigest", "Content-MD5")
        text = headers.get(CONTENT_HASH, "")
        if re.fullmatch(r"[0-9a-f]{64}", text):
            digest = hashlib.sha256()
            self.compared.append(("XAmzContentSHA256Mismatch", bytes.fromhex(text), digest))
        elif text.startswith("STREAMING-"):
            raise Refused("NotImplemented", "bodies in signed chunks: not offered on one machine")

    def add(self, code: str, sent: bytes, digest: Digest, wrong: str, header: str) -> None:
        """Add a checksum to those that are compared; raise Refused if it has another length."""
        if len(sent) != len(digest.digest()):
            raise Refused(wrong, f"Value for {header} header is invalid.")
        self.compared.append((code, sent, digest))

    def update(self, chunk: bytes) -> None:
        """Go on behind these bytes of the body."""
        for _, _, digest in self.compared:
            digest.update(chunk)

    def compare(self) -> None:
        """Raise Refused if the body is not what the request says."""
        for code, sent, digest in self.compared:
            if digest.digest() != sent:
                raise Refused(code, "A checksum you specified did not match what we received.")


def decode(text: str) -> bytes:
    """Decode base64; nothing if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def read_range(text: str, size: int) -> tuple[int, int] | None:
    """Return the first byte, and that behind the last, of a Range header.

    Parameters
    ----------
    text : str
        The header.
    size : int
        Bytes of the object.

    Returns
    -------
    (int, int) or None
        None if the header is no range of bytes, or several: the whole object is sent then.

    Raises
    ------
    Refused
        If the object has none of these bytes.
    """
    found = RANGE.fullmatch(text.strip())
    if not found:
        return None
    first, last = found.groups()
    if not first + last or (first and last and int(last) < int(first)):
        return None
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise Refused(
            "InvalidRange",
            "The requested range is not satisfiable",
            {"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def is_wanted(headers: Mapping[str, str], stored: Stored) -> bool:
    """Return whether an object is to be sent, by the conditions of a request.

    Returns
    -------
    bool
        False if the client has it already.

    Raises
    ------
    Refused
        If it is another object than the client wants.
    """
    if wanted := headers.get("if-match"):
        if not names(wanted, stored.etag):
            raise precondition()
    elif (moment := time_of(headers, "if-unmodified-since")) and int(stored.modified) > moment:
        raise precondition()
    if known := headers.get("if-none-match"):
        return not names(known, stored.etag)
    moment = time_of(headers, "if-modified-since")
    return moment is None or int(stored.modified) > moment


def check_writable(headers: Mapping[str, str], etag: str | None) -> None:
    """Raise Refused unless an object may be written, by the conditions of a request.

    Parameters
    ----------
    headers : mapping of str to str
        Of the request.
    etag : str or None
        Of the object that is there.

    Raises
    ------
    NotThere
        If the request is to replace an object, and there is none.
    """
    if known := headers.get("if-none-match"):
        if known.strip() != "*":
            raise Refused("NotImplemented", "If-None-Match of a write takes * only")
        if etag is not None:
            raise precondition()
    if wanted := headers.get("if-match"):
        if etag is None:
            raise NotThere("NoSuchKey")
        if not names(wanted, etag):
            raise precondition()


def precondition() -> Refused:
    """Make the error for a condition that does not hold."""
    return Refused(
        "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
    )


def names(text: str, etag: str) -> bool:
    """Return whether a header of entity tags names one of them, or all by a star."""
    tags = {each.strip().removeprefix("W/").strip('"') for each in text.split(",")}
    return "*" in tags or etag.strip('"') in tags


def time_of(headers: Mapping[str, str], name: str) -> float | None:
    """Return a header's time in seconds since 1970; None if it has none that can be read."""
    try:
        return parsedate_to_datetime(headers.get(name, "")).timestamp()
    except ValueError:
        return None


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, or fields of a form, that are kept with an object."""
    named = {name.lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in named.items()
        if name in KEPT_HEADERS or name.startswith(META)
    }


def read_number(text: str | None, default: int, low: int, high: int, what: str) -> int:
    """Read a number of a query; raise Refused if it is none, or out of its range."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and low <= int(text[:20]) <= high):
        raise Refused("InvalidArgument", f"{what} must be an integer between {low} and {high}")
    return int(text)
