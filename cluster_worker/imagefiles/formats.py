"""Image files: the list of formats, and functions that read and write files of any format.

The functions here turn all errors of codecs into `Rejected` with one sentence that names the file.
For untrusted files, `cluster_worker.imagefiles.decoder` calls these functions in a child process
that may die.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codec_errors import reject_codec_errors, reject_memory_errors
from cluster_worker.imagefiles.codecs.header import (
    DTYPES,
    TILE,
    ByteRange,
    Format,
    Header,
    Image,
    Piece,
)
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.imagefiles.codecs.picking import copy_picked, unpicked
from cluster_worker.imagefiles.codecs.zarr_store import is_zarr_folder
from cluster_worker.imagefiles.fitting import write_within
from cluster_worker.imagefiles.records import (
    FORMATS,
    WRITTEN,
    choice_of,
    format_by_ending,
    titles,
)
from cluster_worker.imagefiles.strangers import HEAD_BYTES, stranger
from cluster_worker.pixels.header import ImageHeader

__all__ = [
    "DTYPES",
    "FORMATS",
    "TILE",
    "WRITTEN",
    "Format",
    "Header",
    "assemble",
    "check_result",
    "encode_tiles",
    "format_by_ending",
    "format_of",
    "read_header",
    "read_pixels",
    "read_window",
    "recognise",
    "write",
]


def read_header(path: Path, name: str, pixels_max: int, plane: int | None = None) -> Header:
    """Read the header of a file, or of one plane in it, without decoding pixels.

    Parameters
    ----------
    path : Path
        The file; its extension does not matter.
    name : str
        Name that the visitor gave the file; begins every error sentence.
    pixels_max : int
        Largest image accepted, in rows × columns.
    plane : int, optional
        Number of a plane, counted from 0. By default the header is of the whole file: if it has
        several planes, it says what they are, and the image is the first one.

    Raises
    ------
    Rejected
        If this app does not read the file.
    OSError
        If there is no such file.
    """
    form = recognise(path, name)
    with reject_codec_errors(name, form, "decode"):
        if plane is None or form.read_plane_header is None:
            header = form.read_header(path, name)
        else:
            header = form.read_plane_header(path, name, plane)
    check_size(header, pixels_max)
    return header


def check_size(header: Header, pixels_max: int) -> None:
    """Check that an image has at least one pixel and at most `pixels_max`.

    Raises
    ------
    Rejected
        If not; the sentence has rows, columns and the limit.
    """
    rows, columns = header.shape[:2]
    if min(rows, columns) < 1:
        raise Rejected(
            f"{header.name}: has {rows} × {columns} pixels; an image has at least one, so save or "
            "export it again"
        )
    if rows * columns > pixels_max:
        raise Rejected(
            f"{header.name}: {rows} × {columns} = {megapixels(rows * columns)} megapixels; "
            f"at most {megapixels(pixels_max)} megapixels are accepted, so send a part of it or a "
            "smaller copy"
        )


def megapixels(pixels: int) -> str:
    """Format a number of pixels as megapixels: three digits below ten, else a whole number."""
    return f"{pixels / 1e6:.3g}" if pixels < 10e6 else f"{pixels // 1_000_000}"


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a file.

    Parameters
    ----------
    path : Path
        The file that the header was read from.
    header : Header
        From `read_header`.
    out : ndarray
        Of the header's shape and dtype; filled with the upright image. Its content is undefined
        after an error.

    Returns
    -------
    tuple of str
        Faults of the file that were tolerated, one sentence each.

    Raises
    ------
    Rejected
        If the file is damaged or ends too early.
    """
    check_out(out, header.shape, header.dtype)
    form = recognise(path, header.name)
    with reject_codec_errors(header.name, form, "decode", way_out(form, header)):
        whole, target = unpicked(header, out)
        notes = read_whole(path, form, whole, target)
        copy_picked(header, target, out)
        return notes


def way_out(form: Format, header: Header) -> str:
    """Return what else to do with a file that ends within its pixels."""
    able = form.read_incomplete is not None and not header.incomplete
    return ", or read what is there with the option incomplete" if able else ""


def read_whole(path: Path, form: Format, header: Header, out: Image) -> tuple[str, ...]:
    """Decode all channels of a file; of one that ends too early, what is there, if that is asked.

    Raises
    ------
    Exception
        Whatever the codec raises.
    """
    if not header.incomplete or form.read_incomplete is None:
        return form.read_pixels(path, header, out)
    try:
        return form.read_pixels(path, header, out)
    except (Rejected, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - codecs have errors of their own
        return form.read_incomplete(path, header, out)


def read_window(
    path: Path, header: Header, top: int, bottom: int, left: int, right: int, out: Image
) -> None:
    """Decode only those pieces of a file that overlap a window.

    The last pieces are kept for the next window of the same file, so that reading windows in row
    order is fastest.

    Parameters
    ----------
    path : Path
        The file that the header was read from.
    header : Header
        From `read_header`, with a block.
    top, bottom, left, right : int
        The window's rows and columns, half open, within the image.
    out : ndarray
        Of the window's rows and columns, the header's channels and its dtype; filled.

    Raises
    ------
    Rejected
        If the file is damaged where it was read.
    ValueError
        If the file cannot be read by windows, the window lies outside of the image, or `out` has
        another shape or dtype.
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
    with reject_codec_errors(header.name, form, "decode", way_out(form, header)):
        whole, target = unpicked(header, out)
        form.read_window(path, whole, top, bottom, left, right, target)
        copy_picked(header, target, out)


def check_out(out: Image, shape: tuple[int, ...], dtype: str) -> None:
    """Check the array that pixels will be decoded into.

    Raises
    ------
    ValueError
        If it has another shape or dtype.
    """
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out: must be {dtype} of shape {shape}, got {out.dtype} of {out.shape}")


def write(path: Path, image: Image, format: str, header: Header) -> tuple[str, ...]:
    """Write an image in its own bit depth.

    Parameters
    ----------
    path : Path
        The file to write.
    image : ndarray
        (rows, columns), or (rows, columns, channels). Labels have one channel.
    format : str
        Name of one of `FORMATS`.
    header : Header
        What the image is, and what it carries.

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
    described = header.image._replace(shape=image.shape, dtype=str(image.dtype))
    check_result(header.name, described, format)
    header, lost = holdable(header, format)
    form = FORMATS[format]
    if form.write is None:
        raise Rejected(f"{header.name}: {unwritten(form)}")
    with reject_memory_errors(header.name):
        if header.output.bytes_max is not None:
            return lost + write_within(path, image, form, header, header.output.bytes_max)
        return lost + form.write(path, image, header)


def holdable(header: Header, format: str) -> tuple[Header, tuple[str, ...]]:
    """Return a header without what files of a format cannot hold, and a note on each of it."""
    form = FORMATS[format]
    names = dict.fromkeys(each.name for each in header.items)
    lost = [TITLES[name] for name in names if name not in form.carries]
    if header.icc_profile and "profile" not in form.carries:
        lost.append(TITLES["profile"])
        header = replace(header, icc_profile=b"")
    if header.resolution and "resolution" not in form.carries:
        lost.append(TITLES["resolution"])
        header = replace(header, resolution=None)
    if header.image.nodata is not None and "nodata" not in form.carries:
        lost.append(f"{TITLES['nodata']} ({header.image.nodata:g})")
    if header.is_indexed and "palette" not in form.carries:
        lost.append(TITLES["palette"])
    items = tuple(each for each in header.items if each.name in form.carries)
    notes = tuple(f"{title} dropped: {form.title} files cannot hold it" for title in lost)
    return replace(header, items=items), notes


def encode_tiles(
    spool: Path, image: Image, format: str, name: str, compression: str = ""
) -> list[ByteRange]:
    """Cut a block of an image into tiles, encode each tile, and append it to a file.

    Parameters
    ----------
    spool : Path
        Made if it does not exist; only one process may append to it at a time.
    image : ndarray
        A block that begins and ends at multiples of `TILE` in the whole image, or ends at the
        image's border.
    format : str
        Name of one of `FORMATS`.
    name : str
        Name that the visitor gave the file; begins the error sentence.
    compression : str
        As in the header that the file will be assembled with.

    Returns
    -------
    list of (int, int)
        Offset and length in bytes of each tile, in row order.

    Raises
    ------
    Rejected
        If the format is not written by tiles, or cannot hold such pixels.
    OSError
        If the file cannot be written.
    """
    encode = FORMATS[format].encode_tiles
    if encode is None:
        raise tiles_refusal(name, format)
    check_result(name, ImageHeader(image.shape, str(image.dtype)), format)
    with reject_memory_errors(name):
        return encode(spool, image, compression)


def assemble(
    path: Path,
    pieces: Sequence[Piece],
    shape: Sequence[int],
    dtype: str,
    format: str,
    header: Header,
) -> tuple[str, ...]:
    """Write a file from tiles that `encode_tiles` has encoded, holding few of them in memory.

    Parameters
    ----------
    path : Path
        The file to write.
    pieces : sequence of (Path, int, int)
        File, offset and length in bytes of each tile of the whole image, in row order.
    shape : sequence of int
        (rows, columns) or (rows, columns, channels) of the image.
    dtype : str
        Of the tiles.
    format : str
        Name of the format that they were encoded in.
    header : Header
        What the image is, and what it carries.

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
    assemble_file = FORMATS[format].assemble
    if assemble_file is None:
        raise tiles_refusal(header.name, format)
    check_result(header.name, header.image._replace(shape=tuple(shape), dtype=dtype), format)
    header, lost = holdable(header, format)
    with reject_memory_errors(header.name):
        return lost + assemble_file(path, pieces, shape, dtype, header)


def tiles_refusal(name: str, format: str) -> Rejected:
    """Make the error for a format that cannot be written tile by tile."""
    able = [form.title for form in FORMATS.values() if form.encode_tiles]
    return Rejected(
        f"{name}: the result is too large to be written as {FORMATS[format].title}; "
        f"choose {' or '.join(able)}"
    )


def check_result(name: str, image: ImageHeader, format: str) -> None:
    """Check that a format can hold a result, before the result is computed.

    Parameters
    ----------
    name : str
        Name that the visitor gave the original; begins the error sentence.
    image : ImageHeader
        The result.
    format : str
        Name of the format to write.

    Raises
    ------
    Rejected
        If it cannot; the sentence says what was found and what to choose.
    """
    form, dtype = FORMATS[format], image.dtype
    if form.write is None:
        raise Rejected(f"{name}: {unwritten(form)}")
    if dtype not in DTYPES:
        raise Rejected(
            f"{name}: the result is of {dtype}; files hold {', '.join(DTYPES)}; use depth input"
        )
    if image.kind == "labels" and image.colours > 1:
        raise Rejected(
            f"{name}: the result has labels in {image.colours} channels; labels have one"
        )
    if dtype not in form.dtypes:
        raise Rejected(refused_dtype(name, image, form))
    if image.colours not in (1, 3) and not form.holds_bands:
        raise Rejected(
            f"{name}: the result has {image.colours} channels beside transparency, and "
            f"{form.title} holds gray or RGB; choose TIFF"
        )
    rows, columns = image.shape[:2]
    if form.side_max is not None and max(rows, columns) > form.side_max:
        raise Rejected(
            f"{name}: the result has {rows} × {columns} pixels, and {form.title} holds at most "
            f"{form.side_max} × {form.side_max}; choose PNG or TIFF"
        )


def unwritten(form: Format) -> str:
    """Return the sentence for a format that is read only, without the name of a file."""
    return f"{form.title} is read and not written; choose {choice_of(WRITTEN)}"


def refused_dtype(name: str, image: ImageHeader, form: Format) -> str:
    """Return the sentence for a dtype that a format cannot hold."""
    dtype = image.dtype
    if image.kind == "labels":
        return (
            f"{name}: the result has labels, which {form.title} cannot hold; "
            "colour them (label2rgb) or choose TIFF"
        )
    depth = {"uint16": "16 bits"} | {f"float{n}": f"{n}-bit floats" for n in (16, 32, 64)}
    depth |= {f"int{n}": f"{n} bits with sign" for n in (8, 16, 32, 64)}
    depth |= {f"uint{n}": f"{n} bits" for n in (32, 64)}
    choose = "PNG or TIFF" if dtype == "uint16" else "TIFF"
    return (
        f"{name}: the result has pixels of {depth[dtype]}, which {form.title} cannot hold; "
        f"choose {choose}"
    )


def recognise(path: Path, name: str) -> Format:
    """Recognise the format of a file by its first bytes.

    Raises
    ------
    Rejected
        If this app reads no such format, or the file is empty.
    OSError
        If the file cannot be read.
    """
    if is_zarr_folder(path):
        return FORMATS["zarr"]
    with path.open("rb") as opened:
        start = opened.read(HEAD_BYTES)
    for form in FORMATS.values():
        if form.magic.match(start):
            return form
    if not start:
        raise Rejected(f"{name}: the file is empty; use {titles()}")
    known = stranger(start)
    if known:
        what, way = known
        raise Rejected(f"{name}: is {what}, which this app does not read; {way}")
    raise Rejected(
        f"{name}: not an image this app reads (starts with {start[:4].hex(' ')}); use {titles()}"
    )


def format_of(name: str) -> str:
    """Return the name of the format that a file to be written has by its extension.

    Raises
    ------
    Rejected
        If no format has this extension.
    """
    form = format_by_ending(name)
    if form is not None and form.write is None:
        raise Rejected(f"{name}: {unwritten(form)}")
    if form is not None:
        return form.name
    known = ", ".join(f".{FORMATS[each].extension}" for each in WRITTEN)
    raise Rejected(f"{name}: its ending names the format; use one of {known}")
