"""Decode and encode in a child that may die, so that a hostile file cannot end a world.

The child is warm, waits on a socket, and has a limit of memory; its parent kills it when its time
is over. Pixels go through a file in shared memory that both map. What the child answers is read as
JSON, never unpickled: a child taken over by a file must not take over its parent.

`cluster_worker.imagefiles.decoder_child` is the child's side.
"""

import base64
import contextlib
import json
import math
import os
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.codecs.header import COMPRESSIONS, Header, Piece
from cluster_worker.imagefiles.formats import DTYPES, FORMATS, TILE, check_size
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.timings import NOTHING, Spent

PIXELS_MAX = 400_000_000
MIB = 1 << 20

MEMORY_BYTES_MAX = 4096 * MIB
SECONDS_MAX = 60.0
START_SECONDS = 60.0

# A large result is put together in more time than one decode may take; a disk that writes no faster
# than this is broken.
ASSEMBLED_BYTES_PER_SECOND = 10 * MIB

# A child whose socket has closed is about to be dead; how it died is worth waiting for.
DYING_SECONDS = 1.0

# An answer is a header with its colour profile; nothing else comes near this.
ANSWER_BYTES_MAX = 32 * MIB

# One pool of memory for all of the child's threads, as glibc gives back what the first one holds;
# and no threads of arithmetic.
ONE_POOL = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}

# All that the child gets of the environment: the node's keys are not for strangers' bytes.
KEPT_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")


class Decoder:
    """A warm child that decodes and encodes; used by one thread at a time.

    Parameters
    ----------
    pixels_max : int
        Largest image accepted, in rows × columns.
    memory_bytes_max : int
        Memory that the child may take, besides the shared pixels.
    seconds_max : float
        Longest time for one call; `assemble` has more for many bytes.
    """

    def __init__(
        self,
        pixels_max: int = PIXELS_MAX,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self.pixels_max = pixels_max
        self.memory_bytes_max = memory_bytes_max
        self.seconds_max = seconds_max
        self.child: Child | None = None
        self.spent = NOTHING

    def read_header(self, path: Path, name: str) -> Header:
        """Read what a file says of its image; as `formats.read_header`.

        Raises
        ------
        Rejected
            If this app does not read the file.
        Broken
            If no child starts.
        """
        asked = {"path": str(path), "name": name, "pixels_max": self.pixels_max}
        header = header_of(self.ask("read_header", name, "decode", asked)["header"], name)
        check_size(header, self.pixels_max)
        return header

    def read_pixels(self, path: Path, header: Header, pixels: Pixels) -> None:
        """Decode a file into shared memory.

        Parameters
        ----------
        path : Path
            The file that the header was read from.
        header : Header
            From `read_header`.
        pixels : Pixels
            Of the header's shape and type.

        Raises
        ------
        Rejected
            If the file is damaged, or takes too much time or memory.
        """
        asked = {"path": str(path), "header": wire_of(header), "pixels": list(pixels)}
        self.ask("read_pixels", header.name, "decode", asked)

    def write(self, path: Path, pixels: Pixels, format: str, header: Header) -> tuple[str, ...]:
        """Encode an image that lies in shared memory; as `formats.write`.

        Returns
        -------
        tuple of str
            What the format could not keep.

        Raises
        ------
        Rejected
            If the format cannot hold the image.
        OSError
            If the file cannot be written.
        """
        asked = {
            "path": str(path),
            "pixels": list(pixels),
            "format": format,
            "header": wire_of(header),
        }
        answer = self.ask("write", header.name, "encode", asked)
        return tuple(str(each) for each in answer["notes"])

    def read_window(
        self, path: Path, header: Header, window: tuple[int, int, int, int], pixels: Pixels
    ) -> None:
        """Decode a window of a file into shared memory; as `formats.read_window`.

        Parameters
        ----------
        path : Path
            The file that the header was read from.
        header : Header
            From `read_header`, with a block.
        window : tuple of int
            (top, bottom, left, right), half open, within the image.
        pixels : Pixels
            Of the window's rows and columns, the header's channels and its type.

        Raises
        ------
        Rejected
            If the file is damaged there, or takes too much time or memory.
        """
        asked = {
            "path": str(path),
            # There may be thousands of windows, and a profile has megabytes.
            "header": wire_of(replace(header, icc_profile=b"")),
            "window": list(window),
            "pixels": list(pixels),
        }
        self.ask("read_window", header.name, "decode", asked)

    def forget(self, name: str) -> None:
        """Let go of the decoded pieces of a file that no more windows will be read of.

        Raises
        ------
        Rejected
            If the child does not answer; the sentence begins with the name.
        """
        self.ask("forget", name, "decode", {})

    def encode_tiles(
        self, spool: Path, pixels: Pixels, format: str, name: str, compression: str = ""
    ) -> list[tuple[int, int]]:
        """Encode the tiles of a block that lies in shared memory; as `formats.encode_tiles`.

        Returns
        -------
        list of (int, int)
            Offset and bytes of each tile in the spool, in row order.

        Raises
        ------
        Rejected
            If the format is not written by tiles, or cannot hold such pixels.
        OSError
            If the spool cannot be written.
        """
        asked = {
            "spool": str(spool),
            "pixels": list(pixels),
            "format": format,
            "name": name,
            "compression": compression,
        }
        answer = self.ask("encode_tiles", name, "encode", asked)
        return places_of(answer, pixels.shape, name)

    def assemble(
        self,
        path: Path,
        pieces: Sequence[Piece],
        shape: Sequence[int],
        dtype: str,
        format: str,
        header: Header,
    ) -> tuple[str, ...]:
        """Put a file together from encoded tiles; as `formats.assemble`.

        Returns
        -------
        tuple of str
            What the format could not keep.

        Raises
        ------
        Rejected
            If the format is not written by tiles, or it takes too long for so many bytes.
        OSError
            If a file cannot be read or written.
        """
        spools = {str(spool): None for spool, _, _ in pieces}
        numbers = {spool: number for number, spool in enumerate(spools)}
        asked = {
            "path": str(path),
            "spools": list(spools),
            "pieces": [(numbers[str(spool)], offset, size) for spool, offset, size in pieces],
            "shape": list(shape),
            "dtype": dtype,
            "format": format,
            "header": wire_of(header),
        }
        size = sum(size for _, _, size in pieces)
        seconds = self.seconds_max + size / ASSEMBLED_BYTES_PER_SECOND
        answer = self.ask("assemble", header.name, "encode", asked, seconds)
        return tuple(str(each) for each in answer["notes"])

    def write_picture(self, path: Path, pixels: Pixels, header: Header) -> None:
        """Write an image that lies in shared memory as browsers show it; as `drawing`.

        Raises
        ------
        Rejected
            If it takes too much time or memory.
        OSError
            If the file cannot be written.
        """
        asked = {"path": str(path), "pixels": list(pixels), "header": wire_of(header)}
        self.ask("picture", header.name, "encode", asked)

    def draw(
        self, path: Path, image: Pixels | tuple[Path, Header], name: str
    ) -> Iterator[tuple[int, int]]:
        """Write an image as a picture in tiles, band by band; as `drawing.Board`.

        Parameters
        ----------
        path : Path
            The file to write; whole after the last band.
        image : Pixels or (Path, Header)
            In shared memory, or in a file whose header has a block.
        name : str
            Begins every sentence.

        Yields
        ------
        int, int
            Rows drawn, and all rows. The decoder must not be used for other files in between.

        Raises
        ------
        Rejected
            If the file is damaged, or a band takes too much time or memory.
        OSError
            If the file cannot be written.
        """
        asked: dict[str, Any]
        if isinstance(image, Pixels):
            rows, asked = image.shape[0], {"pixels": list(image)}
        else:
            source, header = image
            rows = header.shape[0]
            asked = {"file": str(source), "header": wire_of(replace(header, icc_profile=b""))}
        top = 0
        while top < rows:
            answer = self.ask("draw", name, "draw", {"path": str(path), "top": top, **asked})
            top = next_band(answer, top, rows, name)
            yield top, rows

    def ask(
        self,
        what: str,
        name: str,
        verb: str,
        asked: Mapping[str, Any],
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Have the child do one thing, and put what goes wrong into words."""
        seconds = self.seconds_max if seconds is None else seconds
        child = self.running()
        began = time.monotonic()
        try:
            answer = child.ask({"do": what, "seconds": seconds, **asked}, seconds)
        except TimeoutError:
            self.close()
            raise Rejected(f"{name}: took longer than {seconds:g} s to {verb}") from None
        except (OSError, ValueError) as error:
            status = child.kill(DYING_SECONDS)
            self.child = None
            raise Rejected(f"{name}: the decoder failed on this file ({status})") from error
        except BaseException:
            # Interrupted half-way: the next answer would be to this question.
            self.close()
            raise
        self.spent = self.spent.plus(Spent(time.monotonic() - began, cpu_seconds_of(answer)))
        if "memory" in answer:
            limit = self.memory_bytes_max // MIB
            raise Rejected(f"{name}: needs more than {limit} MiB to {verb}")
        if "rejected" in answer:
            raise Rejected(str(answer["rejected"]))
        if "refused" in answer:
            number, text = answer["refused"]
            raise OSError(int(number), str(text))
        if "broken" in answer:
            raise Broken(f"{name}: {answer['broken']}")
        return answer

    def take_spent(self) -> Spent:
        """Give what the calls since the last time took, with the child's own work."""
        spent, self.spent = self.spent, NOTHING
        return spent

    def running(self) -> "Child":
        """Give a child that is ready, a new one if the last has died."""
        if self.child is None or self.child.process.poll() is not None:
            self.start()
        assert self.child is not None  # noqa: S101 - start() has set it or raised
        try:
            self.child.wait_ready()
        except (OSError, ValueError) as error:
            status = self.child.kill(DYING_SECONDS)
            self.child = None
            raise Broken(f"the decoder does not start ({status})") from error
        return self.child

    def start(self) -> None:
        """Start a child without waiting for it."""
        self.close()
        self.child = Child(self.memory_bytes_max)

    def close(self) -> None:
        """End the child."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()

    def __enter__(self) -> Self:
        """Start, so that the first file finds the child warm."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the child."""
        self.close()


class Child:
    """One process and the socket to it."""

    def __init__(self, memory_bytes_max: int) -> None:
        self.socket, theirs = socket.socketpair()
        top = str(Path(__file__).resolve().parents[2])
        kept = {name: os.environ[name] for name in KEPT_NAMES if name in os.environ}
        path = os.pathsep.join(filter(None, [top, kept.get("PYTHONPATH")]))
        limits = (str(theirs.fileno()), str(memory_bytes_max))
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                # -P: the folder that we run in may hold files named as modules are.
                [sys.executable, "-P", "-m", "cluster_worker.imagefiles.decoder_child", *limits],
                env={**kept, "PYTHONPATH": path, **ONE_POOL},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self.received = bytearray()
        self.ready = False

    def wait_ready(self) -> None:
        """Wait for its first line, sent once all codecs are loaded."""
        if not self.ready:
            self.answer(time.monotonic() + START_SECONDS)
            self.ready = True

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send one line and wait for one.

        Raises
        ------
        TimeoutError
            If it takes too long.
        OSError, ValueError
            If the child died or talks nonsense.
        """
        deadline = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        self.socket.sendall(json.dumps(question).encode() + b"\n")
        return self.answer(deadline)

    def answer(self, deadline: float) -> dict[str, Any]:
        """Read one line."""
        while b"\n" not in self.received:
            # A deadline for the whole line: a child that drips must not live for ever.
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            part = self.socket.recv(1 << 16)
            if not part:
                raise ConnectionError("the child has gone")
            if len(self.received) > ANSWER_BYTES_MAX:
                raise ValueError("the child's answer has no end")
            self.received += part
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received = bytearray(rest)
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("the child's answer is no object")
        return answer

    def kill(self, grace: float = 0.0) -> str:
        """End the process, after some seconds to end by itself, and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        status = self.process.wait()
        self.socket.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class Decoders:
    """A pool of decoders, one for each job that a node has in hand.

    Parameters
    ----------
    count : int
        How many.
    pixels_max, memory_bytes_max, seconds_max : int, int, float
        Limits of each, as of `Decoder`.
    """

    def __init__(
        self,
        count: int,
        pixels_max: int = PIXELS_MAX,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        limits = pixels_max, memory_bytes_max, seconds_max
        self.all = [Decoder(*limits) for _ in range(count)]
        # The last returned is the warmest.
        self.free: queue.LifoQueue[Decoder] = queue.LifoQueue()
        for each in self.all:
            self.free.put(each)

    @contextmanager
    def checkout(self) -> Iterator[Decoder]:
        """Have a decoder for oneself, waiting for one if all are in use."""
        decoder = self.free.get()
        decoder.take_spent()
        try:
            yield decoder
        finally:
            self.free.put(decoder)

    def __enter__(self) -> Self:
        """Start all children."""
        for each in self.all:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all children."""
        for each in self.all:
            each.close()


class WarmDecoders:
    """Decoders that are started when they are needed, and stay warm for the next files.

    Parameters
    ----------
    pixels_max : int
        Largest image accepted, in rows × columns.
    """

    def __init__(self, pixels_max: int) -> None:
        self.pixels_max = pixels_max
        self.free: queue.LifoQueue[Decoder] = queue.LifoQueue()

    @contextmanager
    def checkout(self) -> Iterator[Decoder]:
        """Have a decoder for oneself."""
        try:
            decoder = self.free.get_nowait()
        except queue.Empty:
            decoder = Decoder(self.pixels_max)
        try:
            yield decoder
        finally:
            self.free.put(decoder)

    def close(self) -> None:
        """End the children of all that are not in use."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.free.get_nowait().close()


def wire_of(header: Header) -> dict[str, Any]:
    """Write a header as JSON has it."""
    return {
        "name": header.name,
        "format": header.format,
        "shape": list(header.shape),
        "dtype": header.dtype,
        "orientation": header.orientation,
        "icc_profile": base64.b64encode(header.icc_profile).decode(),
        "resolution": header.resolution,
        "notes": list(header.notes),
        "block": header.block,
        "compression": header.compression,
    }


def header_of(wire: Mapping[str, Any], name: str) -> Header:
    """Read a header that a child sent, believing nothing.

    Raises
    ------
    Rejected
        If it is no header.
    """
    try:
        shape = tuple(int(each) for each in wire["shape"])
        resolution, block = wire["resolution"], wire["block"]
        header = Header(
            name=name,
            format=str(wire["format"]),
            shape=shape,
            dtype=str(wire["dtype"]),
            orientation=int(wire["orientation"]),
            icc_profile=base64.b64decode(wire["icc_profile"]),
            resolution=(float(resolution[0]), float(resolution[1])) if resolution else None,
            notes=tuple(str(each) for each in wire["notes"]),
            block=(int(block[0]), int(block[1])) if block else None,
            compression=str(wire["compression"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Rejected(f"{name}: the decoder failed on this file") from error
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (2, 3, 4))
    fits = fits and (header.block is None or min(header.block) > 0)
    fits = fits and header.compression in COMPRESSIONS
    if not fits or header.dtype not in DTYPES or header.format not in FORMATS:
        raise Rejected(f"{name}: the decoder failed on this file")
    return header


def cpu_seconds_of(answer: Mapping[str, Any]) -> float:
    """Read how long a child says it has worked; what is no such number counts as nothing."""
    found = answer.get("cpu_seconds")
    return found if isinstance(found, float) and 0 <= found < math.inf else 0.0


def next_band(answer: Mapping[str, Any], top: int, rows: int, name: str) -> int:
    """Read how far a child has drawn, believing nothing.

    Raises
    ------
    Rejected
        If that is no further than before, or beyond the image.
    """
    found = answer.get("next")
    if not isinstance(found, int) or not top < found <= rows:
        raise Rejected(f"{name}: the decoder failed on this file")
    return found


def places_of(answer: Mapping[str, Any], shape: Sequence[int], name: str) -> list[tuple[int, int]]:
    """Read where a child put the tiles of a block, believing nothing.

    Raises
    ------
    Rejected
        If these are not as many places as the block has tiles.
    """
    try:
        places = [(int(offset), int(size)) for offset, size in answer["places"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Rejected(f"{name}: the decoder failed on this file") from error
    count = -(-shape[0] // TILE) * -(-shape[1] // TILE)
    if len(places) != count or min(min(place) for place in places) < 0:
        raise Rejected(f"{name}: the decoder failed on this file")
    return places
