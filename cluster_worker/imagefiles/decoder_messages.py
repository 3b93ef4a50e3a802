"""What the decoder and its child process send each other, beside pixels: values as JSON has them.

Answers of the child are checked field by field. A file may have taken the child over, so nothing
that it sends is trusted.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.codec_errors import failed_decoder, lighter
from cluster_worker.imagefiles.codecs.header import (
    PALETTE_MAX,
    ByteRange,
    Header,
    JpegCoding,
    Picked,
    Piece,
)
from cluster_worker.imagefiles.codecs.items import TITLES, Item
from cluster_worker.imagefiles.formats import DTYPES, FORMATS, TILE
from cluster_worker.imagefiles.output import Output, is_coding
from cluster_worker.pixels.header import CHANNELS_MAX, KINDS, ImageHeader
from cluster_worker.pixels.stack import AXES, PLANES_MAX, Stack


def header_to_json(header: Header) -> dict[str, Any]:
    """Convert a header to values that JSON can hold; the colour profile becomes base64."""
    return {
        "name": header.name,
        "format": header.format,
        **header.image._asdict(),
        "orientation": header.orientation,
        "icc_profile": base64.b64encode(header.icc_profile).decode(),
        "resolution": header.resolution,
        "notes": list(header.notes),
        "block": header.block,
        "compression": header.compression,
        "palette": base64.b64encode(header.palette).decode(),
        "bits": header.bits,
        "items": [
            (each.name, each.key, base64.b64encode(each.value).decode()) for each in header.items
        ],
        "jpeg": astuple(header.jpeg) if header.jpeg else None,
        "output": list(header.output),
        "stack": header.stack,
        "plane": header.plane,
        "picked": header.picked,
        "parts": list(header.parts),
        "incomplete": header.incomplete,
    }


def without_burden(header: Header) -> Header:
    """Return a header without what only a result needs: a file has thousands of windows."""
    return replace(header, icc_profile=b"", items=(), jpeg=None)


def header_from_json(wire: Mapping[str, Any], name: str) -> Header:
    """Read a header that the child process sent, and check every field.

    Parameters
    ----------
    wire : mapping
        From `header_to_json`.
    name : str
        Name of the file, for the header and for the error sentence; the child's own is ignored.

    Raises
    ------
    Rejected
        If a field is missing, or has a value that no header has.
    """
    try:
        image = image_from_json(wire)
        resolution, block = wire["resolution"], wire["block"]
        header = Header(
            name=name,
            format=str(wire["format"]),
            image=image,
            orientation=int(wire["orientation"]),
            icc_profile=base64.b64decode(wire["icc_profile"]),
            resolution=(float(resolution[0]), float(resolution[1])) if resolution else None,
            notes=tuple(str(each) for each in wire["notes"]),
            block=(int(block[0]), int(block[1])) if block else None,
            compression=str(wire["compression"]),
            palette=base64.b64decode(wire["palette"]),
            bits=int(wire["bits"]),
            items=tuple(
                Item(str(kind), str(key), base64.b64decode(value))
                for kind, key, value in wire["items"]
            ),
            jpeg=coding_from_json(wire["jpeg"]),
            output=output_from_json(wire["output"]),
            stack=stack_from_json(wire["stack"]) if wire["stack"] else None,
            plane=int(wire["plane"]),
            picked=picked_from_json(wire["picked"]),
            parts=tuple(str(each) for each in wire["parts"]),
            incomplete=bool(wire["incomplete"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Rejected(failed_decoder(name)) from error
    fits = is_possible(image) and header.dtype in DTYPES and header.format in FORMATS
    fits = fits and (header.block is None or min(header.block) > 0)
    fits = fits and is_coding(header.compression) and 0 <= header.bits < 64
    fits = fits and len(header.palette) % 4 == 0 and len(header.palette) <= 4 * PALETTE_MAX
    fits = fits and len(header.parts) in (0, header.stack.planes if header.stack else 0)
    if not fits or any(each.name not in TITLES for each in header.items):
        raise Rejected(failed_decoder(name))
    return header


def is_possible(image: ImageHeader) -> bool:
    """Return whether an image can be as a description says."""
    shape = image.shape
    fits = len(shape) == 2 or (len(shape) == 3 and 2 <= shape[2] <= CHANNELS_MAX)
    fits = fits and image.axes == "yxs"[: len(shape)] and image.kind in KINDS
    fits = fits and len(image.channels) in (0, image.colours) and image.colours > 0
    size = image.pixel_size
    return fits and (size is None or all(0 < each < math.inf for each in size))


def coding_from_json(wire: Any) -> JpegCoding | None:
    """Read how a JPEG was compressed.

    Raises
    ------
    ValueError, TypeError
        If it is another value.
    """
    if wire is None:
        return None
    tables, subsampling, progressive = wire
    numbers = tuple(tuple(int(each) for each in table) for table in tables)
    coding = JpegCoding(numbers, str(subsampling), bool(progressive))
    sizes = all(len(each) == 64 and min(each) > 0 and max(each) < 256 for each in coding.tables)
    if not sizes or coding.subsampling not in ("444", "422", "420"):
        raise ValueError("no such compression")
    return coding


def output_from_json(wire: Any) -> Output:
    """Read how a result is written; the child only sends back what it was told."""
    quality, compression, layout, subsampling, progressive, bytes_max = wire
    texts = str(compression), str(layout), str(subsampling)
    quality, bytes_max = (None if each is None else int(each) for each in (quality, bytes_max))
    return Output(quality, *texts, bool(progressive), bytes_max)


def stack_from_json(wire: Any) -> Stack:
    """Read what the planes of a file are.

    Raises
    ------
    TypeError, ValueError
        If there are no such planes.
    """
    axes, shape, channels, step, milliseconds, loops = wire
    stack = Stack(
        str(axes),
        tuple(int(each) for each in shape),
        tuple(str(each) for each in channels),
        None if step is None else float(step),
        tuple(int(each) for each in milliseconds),
        int(loops),
    )
    fits = set(stack.axes) <= set(AXES) and len(stack.axes) == len(stack.shape)
    fits = fits and len(set(stack.axes)) == len(stack.axes) and min(stack.shape) > 0
    fits = fits and 1 < stack.planes <= PLANES_MAX and len(stack.milliseconds) in (0, stack.planes)
    if not fits or not (stack.step is None or 0 < stack.step < math.inf):
        raise ValueError("no such planes")
    return stack


def picked_from_json(wire: Any) -> Picked | None:
    """Read which channels are read; the child only sends back what it was told."""
    if wire is None:
        return None
    numbers, stored, alpha = wire
    return Picked(tuple(int(each) for each in numbers), int(stored), bool(alpha))


def image_from_json(wire: Mapping[str, Any]) -> ImageHeader:
    """Read the description of an image that the child process sent.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a field is missing or of another type.
    """
    size = wire["pixel_size"]
    return ImageHeader(
        shape=tuple(int(each) for each in wire["shape"]),
        dtype=str(wire["dtype"]),
        axes=str(wire["axes"]),
        kind=wire["kind"],
        alpha=bool(wire["alpha"]),
        nodata=None if wire["nodata"] is None else float(wire["nodata"]),
        pixel_size=(float(size[0]), float(size[1])) if size else None,
        channels=tuple(str(each) for each in wire["channels"]),
    )


def pieces_to_json(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Convert encoded tiles to their files, and number of a file, offset and length of each."""
    spools = {str(spool.absolute()): None for spool, _, _ in pieces}
    numbers = {spool: number for number, spool in enumerate(spools)}
    found = [(numbers[str(spool.absolute())], offset, size) for spool, offset, size in pieces]
    return {"spools": list(spools), "pieces": found}


def raise_failure(answer: Mapping[str, Any], name: str, verb: str, memory_bytes_max: int) -> None:
    """Raise the error that an answer tells, if it tells one.

    Raises
    ------
    Rejected
        If the child refused the file, or needs more memory than it may take.
    OSError
        If a file could not be read or written.
    Broken
        If the child has a defect.
    """
    if "memory" in answer:
        raise Rejected(
            f"{name}: needs more than {memory_bytes_max >> 20} MiB to {verb}; {lighter(verb)}"
        )
    if "rejected" in answer:
        raise Rejected(str(answer["rejected"]))
    if "refused" in answer:
        number, text = answer["refused"]
        raise OSError(int(number), str(text))
    if "broken" in answer:
        raise Broken(f"{name}: {answer['broken']}")


def notes_of(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the notes of an answer."""
    return tuple(str(each) for each in answer.get("notes", ()))


def cpu_seconds_of(answer: Mapping[str, Any]) -> float:
    """Read the processor time of an answer, in seconds; anything but a valid time counts as 0."""
    found = answer.get("cpu_seconds")
    return found if isinstance(found, float) and 0 <= found < math.inf else 0.0


def next_band(answer: Mapping[str, Any], top: int, rows: int, name: str) -> int:
    """Read the row at which the next band of a picture begins.

    Parameters
    ----------
    answer : mapping
        Of the child process.
    top, rows : int
        First row of the band just drawn, and rows of the image.
    name : str
        Begins the error sentence.

    Raises
    ------
    Rejected
        If the row does not lie below `top`, or lies beyond the image.
    """
    found = answer.get("next")
    if not isinstance(found, int) or not top < found <= rows:
        raise Rejected(failed_decoder(name))
    return found


def tile_ranges_of(answer: Mapping[str, Any], shape: Sequence[int], name: str) -> list[ByteRange]:
    """Read where the child process wrote the tiles of a block.

    Parameters
    ----------
    answer : mapping
        Of the child process.
    shape : sequence of int
        (rows, columns) or (rows, columns, channels) of the block.
    name : str
        Begins the error sentence.

    Returns
    -------
    list of (int, int)
        Offset and length of each tile in bytes, in row order.

    Raises
    ------
    Rejected
        If the number of ranges differs from the number of tiles, or a range is negative.
    """
    try:
        ranges = [(int(offset), int(size)) for offset, size in answer["ranges"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Rejected(failed_decoder(name)) from error
    count = -(-shape[0] // TILE) * -(-shape[1] // TILE)
    if len(ranges) != count or min(min(each) for each in ranges) < 0:
        raise Rejected(failed_decoder(name))
    return ranges
