"""The formats of image files that the app reads: what API and page know of them.

`formats.json` holds them. It is written from the records of `cluster_worker.imagefiles` by `make
generate`, and a test compares the two.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("formats.json")


class FileFormat(NamedTuple):
    """A format, as far as its first bytes tell.

    Attributes
    ----------
    title : str
        Name in sentences.
    type : str
        Content type; empty for a format that the app does not read.
    magic : pattern
        Matches the first bytes.
    way : str
        What to do with a file that is not read; empty for the others.
    """

    title: str
    type: str
    magic: re.Pattern[bytes]
    way: str = ""


class Known(NamedTuple):
    """All formats that are known.

    Attributes
    ----------
    read : tuple of FileFormat
        Those that the app reads.
    strangers : tuple of FileFormat
        Those that it names when it refuses them.
    head_bytes : int
        Bytes that the patterns look at.
    use : str
        What to use, for sentences.
    """

    read: tuple[FileFormat, ...]
    strangers: tuple[FileFormat, ...]
    head_bytes: int
    use: str


@cache
def known() -> Known:
    """Return the formats of `formats.json`."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    read = tuple(
        FileFormat(each["title"], each["type"], pattern(each["magic"])) for each in found["read"]
    )
    strangers = tuple(
        FileFormat(each["title"], "", pattern(each["magic"]), each["way"])
        for each in found["strangers"]
    )
    return Known(read, strangers, int(found["head_bytes"]), str(found["use"]))


def pattern(text: str) -> re.Pattern[bytes]:
    """Return a pattern of first bytes; the point stands for any byte."""
    return re.compile(text.encode("latin-1"), re.DOTALL)
