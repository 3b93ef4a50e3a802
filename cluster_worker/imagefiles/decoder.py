"""Decode and encode image files in a child process, so that a hostile file cannot end a world.

The child process stays warm, waits for questions on a socket, and has a memory limit. The parent
kills it when it has used its processor time. Pixels pass through a file in shared memory that both
processes map. Answers are JSON, never pickles: a file that takes over the child must not take over
the parent.

`warm_child` keeps the child process and puts the questions, `decoder_process` is the child as the
parent sees it, `allowance` its time, `decoder_child` what it does, and `decoder_messages` what both
send each other. It is forked from `decoder_forkserver`, which `decoder_source` starts and watches,
and gives up its rights by `confinement`. `decoder_pool` has several decoders.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster_worker.imagefiles.codecs.header import ByteRange, Header, Piece
from cluster_worker.imagefiles.decoder_messages import (
    header_from_json,
    header_to_json,
    next_band,
    notes_of,
    pieces_to_json,
    tile_ranges_of,
    without_burden,
)
from cluster_worker.imagefiles.formats import check_size
from cluster_worker.imagefiles.warm_child import MEMORY_BYTES_MAX, SECONDS_MAX, WarmChild
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.pixels.stack import Stack

PIXELS_MAX = 400_000_000

# Assembling a large result may take longer than one decode: it gets one more second of processor
# time for this many bytes.
ASSEMBLED_BYTES_PER_SECOND = 10 << 20
# And one more for this many samples whose smaller copies are made.
HALVED_PER_SECOND = 5_000_000
# How many times longer a file may take for which the best quality is searched: it is written as
# usual, then in up to seven qualities, then perhaps in the best one again.
SEARCH_WRITES = 9


class Decoder(WarmChild):
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
    streamed_pixels_max : int
        Largest image of a file that is read by windows, where a caller asks for that; never fewer
        than `pixels_max`.
    """

    def __init__(
        self,
        pixels_max: int = PIXELS_MAX,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        seconds_max: float = SECONDS_MAX,
        address: Path | None = None,
        streamed_pixels_max: int = 0,
    ) -> None:
        super().__init__(memory_bytes_max, seconds_max, address)
        self.pixels_max = pixels_max
        self.streamed_pixels_max = max(pixels_max, streamed_pixels_max)

    def most_pixels(self, header: Header) -> int:
        """Return how many pixels a file may have; one of several planes is not streamed."""
        is_streamed = header.block is not None and header.stack is None
        return self.streamed_pixels_max if is_streamed else self.pixels_max

    def read_header(
        self, path: Path, name: str, plane: int | None = None, *, is_streamed: bool = False
    ) -> Header:
        """Read the header of a file, or of a plane in it, as `formats.read_header` does.

        With `is_streamed`, it may have `streamed_pixels_max` if it can be read by windows.

        Raises
        ------
        Rejected
            If this app does not read the file.
        Broken
            If the child process does not start.
        """
        most = self.streamed_pixels_max if is_streamed else self.pixels_max
        asked = {"path": str(path.absolute()), "name": name, "pixels_max": most}
        answer = self.ask("read_header", name, "decode", asked | {"plane": plane})
        header = header_from_json(answer["header"], name)
        check_size(header, min(most, self.most_pixels(header)))
        return header

    def read_pixels(
        self, path: Path, header: Header, pixels: Pixels, *, on_disk: bool = False
    ) -> tuple[str, ...]:
        """Decode a file into shared memory.

        Parameters
        ----------
        path : Path
            The file that the header was read from.
        header : Header
            From `read_header`.
        pixels : Pixels
            Of the header's shape and dtype; filled.
        on_disk : bool
            Whether the pixels lie on disk: then the child gives their pages back while it decodes.

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
            "on_disk": on_disk,
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
        seconds = self.seconds_max * (1 if header.output.bytes_max is None else SEARCH_WRITES)
        return notes_of(self.ask("write", header.name, "encode", asked, seconds))

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
        asked = {
            "path": str(path.absolute()),
            **pieces_to_json(pieces),
            "shape": list(shape),
            "dtype": dtype,
            "format": format,
            "header": header_to_json(header),
        }
        seconds = self.seconds_for(pieces, shape, header)
        return notes_of(self.ask("assemble", header.name, "encode", asked, seconds))

    def seconds_for(self, pieces: Sequence[Piece], shape: Sequence[int], header: Header) -> float:
        """Return the processor time to write encoded tiles, in seconds."""
        size = sum(size for _, _, size in pieces)
        seconds = self.seconds_max + size / ASSEMBLED_BYTES_PER_SECOND
        if header.output.layout in ("pyramid", "cog"):
            seconds += math.prod(shape) / HALVED_PER_SECOND
        return seconds

    def write_plane(
        self,
        path: Path,
        image: Pixels | Sequence[Piece],
        shape: Sequence[int],
        dtype: str,
        format: str,
        header: Header,
        stack: Stack,
        number: int,
    ) -> tuple[str, ...]:
        """Write a plane of a file of several planes, as `stacks.write_plane` does.

        Plane 0 begins the file and the last one completes it; in between, this decoder keeps the
        file open. `drop_stack` ends a file that will not be completed.

        Parameters
        ----------
        path : Path
            The file to write.
        image : Pixels or sequence of (Path, int, int)
            The plane in shared memory, or its encoded tiles.
        shape, dtype : sequence of int, str
            Of the plane.
        format : str
            Name of the format.
        header : Header
            What the plane is and carries.
        stack : Stack
            What the planes of the file are.
        number : int
            Of the plane, counted from 0.

        Returns
        -------
        tuple of str
            What the format could not keep, one sentence each.

        Raises
        ------
        Rejected
            If the format cannot hold the planes.
        DecoderDied, DecoderKilled
            If the child process died with the file half written.
        OSError
            If the file cannot be written.
        """
        asked: dict[str, Any] = {
            "path": str(path.absolute()),
            "shape": list(shape),
            "dtype": dtype,
            "format": format,
            "header": header_to_json(header),
            "stack": stack,
            "number": number,
        }
        seconds = self.seconds_max
        if isinstance(image, Pixels):
            asked["pixels"] = list(image)
        else:
            asked |= pieces_to_json(image)
            seconds = self.seconds_for(image, shape, header)
        return notes_of(self.ask("write_plane", header.name, "encode", asked, seconds))

    def drop_stack(self, path: Path, name: str) -> None:
        """Close a file of several planes that will not be completed; `name` is for errors."""
        self.ask("drop_stack", name, "encode", {"path": str(path.absolute())})

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
        self, path: Path, pixels: Pixels, name: str, image: ImageHeader | None = None
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
        image : ImageHeader, optional
            What it is; by default the last of 2 or 4 channels is alpha.

        Raises
        ------
        Rejected
            If it takes too much time or memory.
        OSError
            If the file cannot be written.
        """
        described = image or header_of(pixels.shape, pixels.dtype)
        asked = {
            "path": str(path.absolute()),
            "pixels": list(pixels),
            "image": described._asdict(),
        }
        self.ask("values", name, "encode", asked)

    def draw(
        self,
        path: Path,
        image: Pixels | tuple[Path, Header],
        name: str,
        described: ImageHeader | None = None,
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
        described : ImageHeader, optional
            What the image is; by default as its file says, and of pixels the last of 2 or 4
            channels is alpha.
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
            asked = {"pixels": list(image)}
            described = described or header_of(image.shape, image.dtype)
        else:
            source, header = image
            described = header.image
            wire = header_to_json(without_burden(header))
            asked = {"file": str(source.absolute()), "header": wire}
        asked |= {"image": described._asdict(), "path": str(path.absolute())}
        asked["has_values"] = has_values
        rows = described.shape[0]
        top = 0
        while top < rows:
            answer = self.ask("draw", name, "draw", {"top": top, **asked})
            top = next_band(answer, top, rows, name)
            yield top, rows
