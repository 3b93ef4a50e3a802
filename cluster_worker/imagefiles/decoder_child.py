"""The child that decodes: `python -m cluster_worker.imagefiles.decoder_child SOCKET MEMORY`.

Started and ended by `cluster_worker.imagefiles.decoder`. Reads one JSON line per question
from an inherited socket and answers with one; ends when the socket does.
"""

import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import tiff_windows
from cluster_worker.imagefiles.decoder import header_of, wire_of
from cluster_worker.imagefiles.drawing import (
    Board,
    Read,
    reader_of_array,
    reader_of_file,
    write_picture,
)
from cluster_worker.pixels.memory import give_back_pages
from cluster_worker.pixels.shared_memory import Pixels

# What is drawn over many questions, one band each.
BOARD = Board()

# The parent's clock decides; ours only ends a decode whose parent has died.
GRACE_SECONDS = 2.0


def main(arguments: list[str]) -> None:
    """Set the limits, load the codecs, then serve until the parent leaves."""
    descriptor, memory = int(arguments[0]), int(arguments[1])
    # Ctrl-C and a service's stop reach the whole group, but jobs in hand are still to be encoded:
    # the parent ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Private memory only: pixels that are mapped from shared files do not count.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rb") as questions:
        connection.sendall(b'{"ready": true}\n')
        # Up to here errors are the operator's business; what C libraries print on a file is not.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        for line in questions:
            question = json.loads(line)
            # Not PR_SET_PDEATHSIG: that fires when the *thread* that started us ends.
            signal.setitimer(signal.ITIMER_REAL, question["seconds"] + GRACE_SECONDS)
            worked = time.process_time()
            answer = answer_to(question)
            answer["cpu_seconds"] = time.process_time() - worked
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.sendall(json.dumps(answer).encode() + b"\n")


def answer_to(question: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is asked, and put every error into the answer."""
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
    except Exception as error:  # noqa: BLE001 - a fault of ours, told to the parent
        return {"broken": f"{type(error).__name__}: {error}"}


def read_header(question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer with the header; a new file begins, so what is kept of the last one goes."""
    tiff_windows.forget()
    path, name = Path(question["path"]), question["name"]
    return {"header": wire_of(formats.read_header(path, name, question["pixels_max"]))}


def read_pixels(question: Mapping[str, Any]) -> dict[str, Any]:
    """Fill the shared pixels."""
    header = header_of(question["header"], question["header"]["name"])
    out = pixels_of(question["pixels"]).map(writable=True)
    formats.read_pixels(Path(question["path"]), header, out)
    return {}


def write(question: Mapping[str, Any]) -> dict[str, Any]:
    """Encode the shared pixels."""
    header = header_of(question["header"], question["header"]["name"])
    image = pixels_of(question["pixels"]).map(writable=False)
    notes = formats.write(Path(question["path"]), image, question["format"], header)
    return {"notes": list(notes)}


def read_window(question: Mapping[str, Any]) -> dict[str, Any]:
    """Fill the shared pixels with a window."""
    header = header_of(question["header"], question["header"]["name"])
    out = pixels_of(question["pixels"]).map(writable=True)
    top, bottom, left, right = question["window"]
    formats.read_window(Path(question["path"]), header, top, bottom, left, right, out)
    return {}


def forget(question: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - called as the others
    """Let go of the pieces that are kept of a file, and of the pages that they lay in."""
    tiff_windows.forget()
    give_back_pages()
    return {}


def encode_tiles(question: Mapping[str, Any]) -> dict[str, Any]:
    """Append the tiles of the shared pixels to the spool."""
    image = pixels_of(question["pixels"]).map(writable=False)
    asked = (question[each] for each in ("format", "name", "compression"))
    return {"places": formats.encode_tiles(Path(question["spool"]), image, *asked)}


def assemble(question: Mapping[str, Any]) -> dict[str, Any]:
    """Put a file together from tiles in spools."""
    header = header_of(question["header"], question["header"]["name"])
    spools = [Path(each) for each in question["spools"]]
    pieces = [(spools[number], offset, size) for number, offset, size in question["pieces"]]
    shape, dtype, kind = question["shape"], question["dtype"], question["format"]
    notes = formats.assemble(Path(question["path"]), pieces, shape, dtype, kind, header)
    return {"notes": list(notes)}


def picture(question: Mapping[str, Any]) -> dict[str, Any]:
    """Write the shared pixels as browsers show them."""
    header = header_of(question["header"], question["header"]["name"])
    image = pixels_of(question["pixels"]).map(writable=False)
    write_picture(Path(question["path"]), image, header)
    return {}


def draw(question: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the next band of a picture in tiles, and answer where the one after it begins."""
    shape, dtype, read = image_of(question)
    return {"next": BOARD.draw(Path(question["path"]), shape, dtype, read, question["top"])}


def image_of(question: Mapping[str, Any]) -> tuple[tuple[int, ...], str, Read]:
    """Find the image that is to be drawn: shared pixels, or a file that is read by windows."""
    if "pixels" in question:
        pixels = pixels_of(question["pixels"])
        return pixels.shape, pixels.dtype, reader_of_array(pixels.map(writable=False))
    header = header_of(question["header"], question["header"]["name"])
    return header.shape, header.dtype, reader_of_file(Path(question["file"]), header)


def pixels_of(wire: list[Any]) -> Pixels:
    """Read where pixels lie."""
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
    "picture": picture,
    "draw": draw,
}


if __name__ == "__main__":
    main(sys.argv[1:])
