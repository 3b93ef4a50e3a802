"""Decode and encode image files in a child process, so that a hostile file cannot end a world.

The child process stays warm, waits for questions on a socket, and has a memory limit. The parent
kills it when it has used its processor time. Pixels pass through a file in shared memory that both
processes map. Answers are JSON, never pickles: a file that takes over the child must not take over
the parent.

`decoder_process` is the child process as the parent sees it, `allowance` its time, `decoder_child`
what it does, and `decoder_messages` what both send each other. It is forked from
`decoder_forkserver`, which `decoder_source` starts and watches, and gives up its rights by
`confinement`. `decoder_pool` has several decoders.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cluster_worker.errors import Broken, DecoderDied, Rejected
from cluster_worker.imagefiles.allowance import Hangs
from cluster_worker.imagefiles.codecs.header import ByteRange, Header, Piece
from cluster_worker.imagefiles.decoder_messages import (
    cpu_seconds_of,
    header_from_json,
    header_to_json,
    next_band,
    notes_of,
    raise_failure,
    tile_ranges_of,
    without_burden,
)
from cluster_worker.imagefiles.decoder_process import Child, ChildDied
from cluster_worker.imagefiles.decoder_source import DecoderSource
from cluster_worker.imagefiles.formats import check_size
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.timings import NOTHING, Spent

PIXELS_MAX = 400_000_000
MIB = 1 << 20

MEMORY_BYTES_MAX = 4096 * MIB
SECONDS_MAX = 60.0

# Assembling a large result may take longer than one decode: it gets one more second of processor
# time for this many bytes.
ASSEMBLED_BYTES_PER_SECOND = 10 * MIB

# When the child's socket closes, the child is about to die. Wait this long, so that the error can
# say how it died.
DYING_SECONDS = 1.0

# A question is put to at most this many children, while they are killed from outside. After each
# of them the wait is twice as long, because memory may be short.
CHILDREN_MAX = 5
PAUSE_SECONDS = 0.05


class Decoder:
    """A warm child process that decodes and encodes; for one thread at a time.

    Parameters
    ----------
    pixels_max : int
        Largest image accepted, in rows × columns.
    memory_bytes_max : int
        Memory that the child process may take, in bytes, without the shared pixels.
    seconds_max : float
        Most processor time of the child for one call, in seconds; `assemble` gets more for many
        bytes.
    address : Path, optional
        Of the `DecoderSource` that makes the child; by default the decoder has one of its own.
    """

    def __init__(
        self,
        pixels_max: int = PIXELS_MAX,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        seconds_max: float = SECONDS_MAX,
        address: Path | None = None,
    ) -> None:
        self.pixels_max = pixels_max
        self.memory_bytes_max = memory_bytes_max
        self.seconds_max = seconds_max
        self.address = address
        self.own_source: DecoderSource | None = None
        self.child: Child | None = None
        self.spent = NOTHING

    def read_header(self, path: Path, name: str) -> Header:
        """Read the header of a file, as `formats.read_header` does.

        Raises
        ------
        Rejected
            If this app does not read the file.
        Broken
            If the child process does not start.
        """
        asked = {"path": str(path.absolute()), "name": name, "pixels_max": self.pixels_max}
        answer = self.ask("read_header", name, "decode", asked)
        header = header_from_json(answer["header"], name)
        check_size(header, self.pixels_max)
        return header

    def read_pixels(self, path: Path, header: Header, pixels: Pixels) -> tuple[str, ...]:
        """Decode a file into shared memory.

        Parameters
        ----------
        path : Path
            The file that the header was read from.
        header : Header
            From `read_header`.
        pixels : Pixels
            Of the header's shape and dtype; filled.

        Returns
        -------
        tuple of str
            Faults of the file that were tolerated, one sentence each.

        Raises
        ------
        Rejected
            If the file is damaged, or takes too much time or memory.
        """
        asked = {
            "path": str(path.absolute()),
            "header": header_to_json(without_burden(header)),
            "pixels": list(pixels),
        }
        return notes_of(self.ask("read_pixels", header.name, "decode", asked))

    def write(self, path: Path, pixels: Pixels, format: str, header: Header) -> tuple[str, ...]:
        """Encode an image from shared memory to a file, as `formats.write` does.

        Returns
        -------
        tuple of str
            What the format could not keep, one sentence each.

        Raises
        ------
        Rejected
            If the format cannot hold the image.
        OSError
            If the file cannot be written.
        """
        asked = {
            "path": str(path.absolute()),
            "pixels": list(pixels),
            "format": format,
            "header": header_to_json(header),
        }
        return notes_of(self.ask("write", header.name, "encode", asked))

    def read_window(
        self, path: Path, header: Header, window: tuple[int, int, int, int], pixels: Pixels
    ) -> None:
        """Decode a window of a file into shared memory, as `formats.read_window` does.

        Parameters
        ----------
        path : Path
            The file that the header was read from.
        header : Header
            From `read_header`, with a block.
        window : tuple of int
            (top, bottom, left, right), half open, within the image.
        pixels : Pixels
            Of the window's rows and columns, the header's channels and its dtype; filled.

        Raises
        ------
        Rejected
            If the file is damaged there, or takes too much time or memory.
        """
        asked = {
            "path": str(path.absolute()),
            "header": header_to_json(without_burden(header)),
            "window": list(window),
            "pixels": list(pixels),
        }
        self.ask("read_window", header.name, "decode", asked)

    def forget(self, name: str) -> None:
        """Free the decoded pieces of a file that the child process keeps for further windows.

        Parameters
        ----------
        name : str
            Of the file; begins the error sentence.

        Raises
        ------
        Rejected
            If the child process does not answer.
        """
        self.ask("forget", name, "decode", {})

    def encode_tiles(
        self, spool: Path, pixels: Pixels, format: str, name: str, compression: str = ""
    ) -> list[ByteRange]:
        """Encode the tiles of a block in shared memory, as `formats.encode_tiles` does.

        Returns
        -------
        list of (int, int)
            Offset and length in bytes of each tile in the spool, in row order.

        Raises
        ------
        Rejected
            If the format is not written by tiles, or cannot hold such pixels.
        OSError
            If the spool cannot be written.
        """
        asked = {
            "spool": str(spool.absolute()),
            "pixels": list(pixels),
            "format": format,
            "name": name,
            "compression": compression,
        }
        answer = self.ask("encode_tiles", name, "encode", asked)
        return tile_ranges_of(answer, pixels.shape, name)

    def assemble(
        self,
        path: Path,
        pieces: Sequence[Piece],
        shape: Sequence[int],
        dtype: str,
        format: str,
        header: Header,
    ) -> tuple[str, ...]:
        """Write a file from encoded tiles, as `formats.assemble` does.

        Returns
        -------
        tuple of str
            What the format could not keep, one sentence each.

        Raises
        ------
        Rejected
            If the format is not written by tiles, or if it takes longer than `seconds_max` plus
            the bytes of the pieces divided by `ASSEMBLED_BYTES_PER_SECOND`.
        OSError
            If a file cannot be read or written.
        """
        spools = {str(spool.absolute()): None for spool, _, _ in pieces}
        numbers = {spool: number for number, spool in enumerate(spools)}
        asked = {
            "path": str(path.absolute()),
            "spools": list(spools),
            "pieces": [
                (numbers[str(spool.absolute())], offset, size) for spool, offset, size in pieces
            ],
            "shape": list(shape),
            "dtype": dtype,
            "format": format,
            "header": header_to_json(header),
        }
        size = sum(size for _, _, size in pieces)
        seconds = self.seconds_max + size / ASSEMBLED_BYTES_PER_SECOND
        return notes_of(self.ask("assemble", header.name, "encode", asked, seconds))

    def write_picture(self, path: Path, pixels: Pixels, header: Header) -> None:
        """Write an image from shared memory as a PNG, as `drawing.write_picture` does.

        Raises
        ------
        Rejected
            If it takes too much time or memory.
        OSError
            If the file cannot be written.
        """
        asked = {
            "path": str(path.absolute()),
            "pixels": list(pixels),
            "header": header_to_json(header),
        }
        self.ask("picture", header.name, "encode", asked)

    def write_values(
        self, path: Path, pixels: Pixels, name: str, alpha: bool | None = None
    ) -> None:
        """Write the values of an image in shared memory, as `drawing.write_values` does.

        Parameters
        ----------
        path : Path
            The file to write.
        pixels : Pixels
            The image.
        name : str
            Begins every error sentence.
        alpha : bool, optional
            Whether the last channel is alpha; by default it is with 2 or 4 channels.

        Raises
        ------
        Rejected
            If it takes too much time or memory.
        OSError
            If the file cannot be written.
        """
        asked = {
            "path": str(path.absolute()),
            "pixels": list(pixels),
            "alpha": header_of(pixels.shape, "uint8", alpha).alpha,
        }
        self.ask("values", name, "encode", asked)

    def draw(
        self,
        path: Path,
        image: Pixels | tuple[Path, Header],
        name: str,
        alpha: bool | None = None,
        has_values: bool = True,
    ) -> Iterator[tuple[int, int]]:
        """Write an image as a picture in tiles, band by band, as `drawing.TiledDrawing` does.

        The decoder must not be used for other files before the last band is drawn.

        Parameters
        ----------
        path : Path
            The file to write; complete after the last band.
        image : Pixels or (Path, Header)
            In shared memory, or in a file whose header has a block.
        name : str
            Begins every error sentence.
        alpha : bool, optional
            Whether the last channel is alpha; by default it is with 2 or 4 channels.
        has_values : bool
            Whether the file gets the image's values, too.

        Yields
        ------
        int, int
            Rows drawn so far, and rows of the image.

        Raises
        ------
        Rejected
            If the file is damaged, or a band takes too much time or memory.
        OSError
            If the file cannot be written.
        """
        asked: dict[str, Any]
        if isinstance(image, Pixels):
            shape, asked = image.shape, {"pixels": list(image)}
        else:
            source, header = image
            shape, alpha = header.shape, header.has_alpha
            wire = header_to_json(without_burden(header))
            asked = {"file": str(source.absolute()), "header": wire}
        asked["alpha"] = header_of(shape, "uint8", alpha).alpha
        asked |= {"path": str(path.absolute()), "has_values": has_values}
        rows = shape[0]
        top = 0
        while top < rows:
            answer = self.ask("draw", name, "draw", {"top": top, **asked})
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
        """Send the child process one question, and turn every failure into an error.

        Parameters
        ----------
        what : str
            Name of the call in `decoder_child.CALLS`.
        name, verb : str
            Name of the file and what is done to it, for the error sentences.
        asked : mapping
            Arguments of the call, as JSON has them.
        seconds : float, optional
            Most processor time; `seconds_max` by default.

        Returns
        -------
        dict
            The answer, not yet checked.

        Raises
        ------
        Rejected
            If the child process refused the file, took too much processor time or memory, or
            crashed, and a second one as well.
        OSError
            If a file could not be read or written.
        DecoderDied
            If the child process hangs, or if `CHILDREN_MAX` of them were killed from outside.
        Broken
            If the child process did not start, or has a defect.
        """
        seconds = self.seconds_max if seconds is None else seconds
        began = time.monotonic()
        answer = self.ask_children(what, name, verb, asked, seconds)
        self.spent = self.spent.plus(Spent(time.monotonic() - began, cpu_seconds_of(answer)))
        raise_failure(answer, name, verb, self.memory_bytes_max)
        return answer

    def ask_children(
        self, what: str, name: str, verb: str, asked: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Send a question to a child process, and to another one if the first dies.

        Only what crashes two children is the file's fault. A child that is killed from outside, as
        by the kernel when memory is short, says nothing about the file.
        """
        crashed = False
        for tried in range(CHILDREN_MAX):
            try:
                return self.ask_child(what, name, verb, asked, seconds)
            except ChildDied as death:
                if asked.get("top", 0):
                    # The bands drawn so far are gone with the child.
                    raise DecoderDied(f"{name}: the decoder died ({death})") from death
                if crashed and not death.is_killed:
                    failed = f"{name}: the decoder failed on this file ({death})"
                    raise Rejected(failed) from death
                crashed = crashed or not death.is_killed
                last = death
                if death.is_killed:
                    time.sleep(PAUSE_SECONDS * 2**tried)
        raise DecoderDied(f"{name}: the decoder was killed {CHILDREN_MAX} times ({last})") from last

    def ask_child(
        self, what: str, name: str, verb: str, asked: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Send the child process one question, and return its answer.

        Raises
        ------
        ChildDied
            If the child died.
        Rejected
            If it took too much processor time, or its answer cannot be read.
        DecoderDied
            If it hangs.
        Broken
            If it did not start.
        """
        child = self.running()
        try:
            return child.ask({"do": what, "seconds": seconds, **asked}, seconds)
        except TimeoutError:
            self.end_child()
            raise Rejected(
                f"{name}: took more than {seconds:g} s of processor time to {verb}"
            ) from None
        except Hangs as error:
            self.end_child()
            raise DecoderDied(f"{name}: the decoder hangs: {error}") from error
        except (OSError, ValueError) as error:
            death = ChildDied(child.kill(DYING_SECONDS))
            self.child = None
            if isinstance(error, OSError):
                raise death from error
            raise Rejected(f"{name}: the decoder failed on this file ({death})") from error
        except BaseException:
            # The call was interrupted: the next answer on the socket would be this question's.
            self.end_child()
            raise

    def take_spent(self) -> Spent:
        """Return elapsed and child's processor seconds since this was last called; reset them."""
        spent, self.spent = self.spent, NOTHING
        return spent

    def running(self) -> Child:
        """Return a child process that is ready; start a new one if the last has died.

        Raises
        ------
        ChildDied
            If it is killed from outside while it starts.
        Broken
            If it does not start.
        """
        try:
            if self.child is None or not self.child.is_alive:
                self.start()
            assert self.child is not None  # noqa: S101 - start() has set it or raised
            self.child.wait_ready()
        except (OSError, ValueError, Hangs) as error:
            child, self.child = self.child, None
            if child is not None:
                death = ChildDied(child.kill(DYING_SECONDS))
                if child.pid and death.is_killed and isinstance(error, ConnectionError):
                    raise death from error
            raise Broken(f"the decoder does not start ({error})") from error
        return self.child

    def start(self) -> None:
        """Ask for a child process without waiting until it is ready.

        Raises
        ------
        OSError
            If nobody listens at the address.
        """
        self.end_child()
        if self.address is None:
            self.own_source = DecoderSource()
            self.address = self.own_source.address
        self.child = Child(self.address, self.memory_bytes_max)

    def end_child(self) -> None:
        """End the child process."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the child process, and the decoder's own source of it."""
        self.end_child()
        if self.own_source is not None:
            self.own_source.close()
            self.own_source = self.address = None

    def __enter__(self) -> Self:
        """Start the child process, so that it is warm before the first file."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the child process."""
        self.close()
