"""The child process that decodes: a fork of `decoder_forkserver`, asked by `decoder`.

It reads one JSON line for each question from a socket, and answers with one line. It ends when the
socket is closed.
"""

import json
import resource
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats, stacks
from cluster_worker.imagefiles.codecs import dicom, frames, ome_zarr, png_frames, tiff_windows
from cluster_worker.imagefiles.codecs.header import Piece, StackWriter
from cluster_worker.imagefiles.codecs.mapped import released
from cluster_worker.imagefiles.decoder_messages import (
    header_from_json,
    header_to_json,
    image_from_json,
    stack_from_json,
)
from cluster_worker.imagefiles.drawing import (
    ReadSpan,
    TiledDrawing,
    reader_of_array,
    reader_of_file,
    write_picture,
    write_values,
)
from cluster_worker.pixels.memory import private_bytes, trim_heap
from cluster_worker.pixels.shared_memory import Pixels, pages_of

# The picture in tiles that is drawn now: each question draws one band of it.
DRAWING = TiledDrawing()
# The files of several planes that are written now, by their paths: each question writes a plane.
STACKS: dict[str, StackWriter] = {}

# The parent enforces the limit of processor time. The timer here, this much later, only ends a
# decode whose parent has died.
GRACE_SECONDS = 2.0


def limit(memory_bytes: int) -> None:
    """Limit the private memory of this process to what it has now and `memory_bytes` more.

    Pixels mapped from shared files do not count.
    """
    most = private_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def serve(connection: socket.socket) -> None:
    """Answer questions until the other side closes the socket."""
    with connection, connection.makefile("rb") as questions:
        connection.sendall(b'{"ready": true}\n')
        for line in questions:
            question = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, question["seconds"] + GRACE_SECONDS)
            worked = time.process_time()
            answer = answer_to(question)
            answer["cpu_seconds"] = time.process_time() - worked
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.sendall(json.dumps(answer).encode() + b"\n")


def answer_to(question: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a question, and put every error into the answer."""
    try:
        return CALLS[question["do"]](question)
    except Rejected as error:
        if isinstance(error.__cause__, MemoryError):
            return {"memory": True}
        return {"rejected": str(error)}
    except MemoryError:
        return {"memory": True}
    except OSError as error:
        return {"refused": [error.errno or 0, error.strerror or str(error)]}
    except Exception as error:  # noqa: BLE001 - a defect of this app, reported to the parent
        return {"broken": f"{type(error).__name__}: {error}"}


def read_header(question: Mapping[str, Any]) -> dict[str, Any]:
    """Read the header of a file, and free the pieces kept of the file before it."""
    tiff_windows.forget()
    path, name = Path(question["path"]), question["name"]
    given = question["pixels_max"], question["plane"]
    return {"header": header_to_json(formats.read_header(path, name, *given))}


def read_pixels(question: Mapping[str, Any]) -> dict[str, Any]:
    """Decode a file into the shared pixels."""
    header = header_from_json(question["header"], question["header"]["name"])
    pixels = pixels_of(question["pixels"])
    pages = pages_of(pixels.path, writable=True)
    with released(pages) if question["on_disk"] else nullcontext():
        notes = formats.read_pixels(Path(question["path"]), header, pixels.view_in(pages))
    return {"notes": list(notes)}


def write(question: Mapping[str, Any]) -> dict[str, Any]:
    """Encode the shared pixels to a file."""
    header = header_from_json(question["header"], question["header"]["name"])
    image = pixels_of(question["pixels"]).map(writable=False)
    notes = formats.write(Path(question["path"]), image, question["format"], header)
    return {"notes": list(notes)}


def read_window(question: Mapping[str, Any]) -> dict[str, Any]:
    """Decode a window of a file into the shared pixels."""
    header = header_from_json(question["header"], question["header"]["name"])
    out = pixels_of(question["pixels"]).map(writable=True)
    top, bottom, left, right = question["window"]
    formats.read_window(Path(question["path"]), header, top, bottom, left, right, out)
    return {}


def forget(question: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - called as the others
    """Free the pieces kept of a file, and return their pages to the system."""
    tiff_windows.forget()
    frames.forget()
    png_frames.forget()
    dicom.forget()
    ome_zarr.forget()
    trim_heap()
    return {}


def encode_tiles(question: Mapping[str, Any]) -> dict[str, Any]:
    """Encode the tiles of the shared pixels, and append them to the spool."""
    image = pixels_of(question["pixels"]).map(writable=False)
    asked = (question[each] for each in ("format", "name", "compression"))
    return {"ranges": formats.encode_tiles(Path(question["spool"]), image, *asked)}


def assemble(question: Mapping[str, Any]) -> dict[str, Any]:
    """Write a file from the encoded tiles in spools."""
    header = header_from_json(question["header"], question["header"]["name"])
    pieces = pieces_in(question)
    shape, dtype, name = (question[each] for each in ("shape", "dtype", "format"))
    notes = formats.assemble(Path(question["path"]), pieces, shape, dtype, name, header)
    return {"notes": list(notes)}


def pieces_in(question: Mapping[str, Any]) -> list[Piece]:
    """Return the encoded tiles of a question."""
    spools = [Path(each) for each in question["spools"]]
    return [(spools[number], offset, size) for number, offset, size in question["pieces"]]


def write_plane(question: Mapping[str, Any]) -> dict[str, Any]:
    """Write the next plane of a file: the first one begins the file, the last one completes it."""
    header = header_from_json(question["header"], question["header"]["name"])
    path, form, number = (question[each] for each in ("path", "format", "number"))
    stack = stack_from_json(question["stack"])
    if number == 0:
        STACKS[path] = stacks.open_stack(Path(path), form, stack, header)
    writer = STACKS[path]
    shape, dtype = question["shape"], question["dtype"]
    image: Any = None
    if "pixels" in question:
        image = pixels_of(question["pixels"]).map(writable=False)
    else:
        image = pieces_in(question)
    notes = stacks.write_plane(writer, image, shape, dtype, form, header)
    if number == stack.planes - 1:
        STACKS.pop(path).close()
    return {"notes": list(notes)}


def drop_stack(question: Mapping[str, Any]) -> dict[str, Any]:
    """Close a file of several planes that will not be completed."""
    writer = STACKS.pop(question["path"], None)
    if writer is not None:
        with suppress(Exception):
            writer.close()
    return {}


def picture(question: Mapping[str, Any]) -> dict[str, Any]:
    """Write the shared pixels as a PNG that browsers can show."""
    header = header_from_json(question["header"], question["header"]["name"])
    image = pixels_of(question["pixels"]).map(writable=False)
    write_picture(Path(question["path"]), image, header)
    return {}


def values(question: Mapping[str, Any]) -> dict[str, Any]:
    """Write the values of the shared pixels, for the page."""
    image = pixels_of(question["pixels"]).map(writable=False)
    write_values(Path(question["path"]), image, image_from_json(question["image"]))
    return {}


def draw(question: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the next band of a picture in tiles; the answer is the row where the band ends."""
    path, image = Path(question["path"]), image_from_json(question["image"])
    how = reader_of(question), question["top"], question["has_values"]
    return {"next": DRAWING.draw(path, image, *how)}


def reader_of(question: Mapping[str, Any]) -> ReadSpan:
    """Return the reader of the image to draw: shared pixels, or a file by windows."""
    if "pixels" in question:
        return reader_of_array(pixels_of(question["pixels"]).map(writable=False))
    header = header_from_json(question["header"], question["header"]["name"])
    return reader_of_file(Path(question["file"]), header)


def pixels_of(wire: list[Any]) -> Pixels:
    """Convert the JSON list (path, shape, dtype) to `Pixels`."""
    path, shape, dtype = wire
    return Pixels(path, tuple(shape), dtype)


CALLS = {
    "read_header": read_header,
    "read_pixels": read_pixels,
    "write": write,
    "read_window": read_window,
    "forget": forget,
    "encode_tiles": encode_tiles,
    "assemble": assemble,
    "write_plane": write_plane,
    "drop_stack": drop_stack,
    "picture": picture,
    "values": values,
    "draw": draw,
}
