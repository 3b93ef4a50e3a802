"""Pictures of 8 bits in formats that Pillow reads, and that carry nothing else."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cluster_worker.imagefiles.codecs.colour_spaces import cmyk_note
from cluster_worker.imagefiles.codecs.header import Format, Header, Image, upright_shape
from cluster_worker.imagefiles.codecs.pillow import fill
from cluster_worker.pixels.header import header_of

# What a mode of Pillow is read as.
MODES = {"1": "1", "L": "L", "LA": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
MODES |= {"CMYK": "RGB", "LAB": "RGB"}
CHANNELS = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}

Check = Callable[[Path, str], None]


def accept(path: Path, name: str) -> None:
    """Accept every file."""


def mode_of(file: Any) -> str:
    """Return the mode that a file is read as."""
    return "RGBA" if file.mode == "P" and "transparency" in file.info else MODES[file.mode]


def read_header(plugin: Any, format: str, check: Check, path: Path, name: str) -> Header:
    """Read the header of a file by a plugin of Pillow.

    Raises
    ------
    Rejected
        If `check` refuses it.
    Exception
        If it is damaged.
    """
    check(path, name)
    with path.open("rb") as opened:
        file = plugin(opened)
        mode, (columns, rows) = mode_of(file), file.size
        notes: tuple[str, ...] = ()
        if file.mode == "CMYK":
            notes = (cmyk_note(None),)
        elif file.mode == "LAB":
            notes = ("Lab was converted to RGB",)
    shape = upright_shape(rows, columns, CHANNELS[mode], 1)
    image = header_of(shape, "bool" if mode == "1" else "uint8")
    return Header(name=name, format=format, image=image, notes=notes)


def read_pixels(plugin: Any, path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a file by a plugin of Pillow into `out`."""
    del header
    with path.open("rb") as opened:
        file = plugin(opened)
        fill(file, mode_of(file), 1, out)
    return ()


def picture_format(
    name: str,
    title: str,
    extensions: tuple[str, ...],
    media_type: str,
    magic: bytes,
    plugin: Any,
    check: Check = accept,
) -> Format:
    """Return the record of a format that is read by a plugin of Pillow."""
    return Format(
        name=name,
        title=title,
        extensions=extensions,
        media_type=media_type,
        magic=re.compile(magic, re.DOTALL),
        read_header=partial(read_header, plugin, name, check),
        read_pixels=partial(read_pixels, plugin),
    )
