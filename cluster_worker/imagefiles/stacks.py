"""Files of several planes, written plane by plane."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codec_errors import reject_memory_errors
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    Piece,
    StackWriter,
    TiledStackWriter,
)
from cluster_worker.imagefiles.formats import FORMATS, check_result, holdable, tiles_refusal
from cluster_worker.pixels.stack import Stack


def open_stack(path: Path, format: str, stack: Stack, header: Header) -> StackWriter:
    """Begin a file of several planes.

    Parameters
    ----------
    path : Path
        The file to write.
    format : str
        Name of one of `FORMATS`.
    stack : Stack
        What the planes are.
    header : Header
        What the first plane is and carries.

    Raises
    ------
    Rejected
        If the format holds one plane.
    OSError
        If the file cannot be written.
    """
    open_file = FORMATS[format].open_stack
    if open_file is None:
        raise stack_refusal(header.name, stack, format)
    return open_file(path, stack, header)


def write_plane(
    writer: StackWriter,
    image: Image | Sequence[Piece],
    shape: Sequence[int],
    dtype: str,
    format: str,
    header: Header,
) -> tuple[str, ...]:
    """Write the next plane of a file, from pixels or from encoded tiles.

    Parameters and errors are those of `write` and of `assemble`.

    Returns
    -------
    tuple of str
        What the format could not keep, one sentence each.
    """
    check_result(header.name, header.image._replace(shape=tuple(shape), dtype=dtype), format)
    header, lost = holdable(header, format)
    with reject_memory_errors(header.name):
        if isinstance(image, np.ndarray):
            return lost + writer.add(image, header)
        if not isinstance(writer, TiledStackWriter):
            raise tiles_refusal(header.name, format)
        return lost + writer.add_tiles(image, shape, dtype, header)


def stack_refusal(name: str, stack: Stack, format: str) -> Rejected:
    """Make the error for a format that holds one plane."""
    able = [form.title for form in FORMATS.values() if form.open_stack]
    return Rejected(
        f"{name}: the result has {stack.planes} planes, and {FORMATS[format].title} holds one; "
        f"choose {' or '.join(able)}, or one plane, as by page 1"
    )


def unheld(stack: Stack, form: Format) -> dict[str, int]:
    """Return notes on what files of a format cannot hold of a stack, each on all planes."""
    notes = []
    if not form.holds_axes and stack.axes not in ("p", "t"):
        notes.append(f"axes {stack.axes} dropped: {form.title} files have frames without axes")
    if not form.holds_times and stack.milliseconds:
        notes.append(f"times of the frames dropped: {form.title} files cannot hold them")
    return dict.fromkeys(notes, stack.planes)
