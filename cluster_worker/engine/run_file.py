"""From file to file through an engine: in memory where it fits, else by windows."""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from cluster_worker.engine.job import EngineJob
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import TILE, Header
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.formats import FORMATS, check_result, format_of
from cluster_worker.imagefiles.streams import FileImage, RawFile, Spool, reserve
from cluster_worker.pixels.shared_memory import ALLOCATE_SECONDS, Pixels, Segment, Segments
from cluster_worker.plan.chain import PlanRequest, plan
from cluster_worker.plan.passes import Density, Plan

Steps = Sequence[Mapping[str, Any]]

# An image whose pixels (source, result, and between passes) take more than this is streamed.
MEMORY_BYTES_MAX = 256 << 20
# Share of it that the result of a streamed image may take, to be held and not cut into a file's
# tiles: a thumbnail's tile of 256 × 256 pixels would be made from a sixteenth of a gigapixel.
RESULT_SHARE = 0.25
# A user's own file may have any size; what it needs of memory and disk is planned.
PIXELS_MAX = 1 << 48


class JobFactory(Protocol):
    """What a `FileJob` needs of an engine; `Engine` has it, and imports this file."""

    segments: Segments
    decoders: WarmDecoders

    def plan_request(self, shape: tuple[int, ...], dtype: str, steps: Steps) -> PlanRequest:
        """Check steps and image, and that the plan's passes fit a rank's memory."""

    def check_memory(self, request: PlanRequest) -> None:
        """Check that a plan's passes fit a rank's memory."""

    def allocate_job(self, request: PlanRequest) -> EngineJob:
        """Reserve the memory of a job."""

    def make_job(
        self,
        request: PlanRequest,
        source: Pixels | FileImage,
        scratch: Sequence[Pixels | RawFile],
        result: Pixels | Spool,
        segments: Sequence[Segment] = (),
    ) -> EngineJob:
        """Make a job from a request and the places of its images."""


class FileJob:
    """An image file on its way to another one.

    Use as a context: `read`, start `job` and wait for it, then `write`.

    Parameters
    ----------
    engine : JobFactory
        Runs it.
    decoder : Decoder
        Decodes and encodes what is held in memory, and puts tiles together.
    path : Path
        The file to read.
    header : Header
        As read from it.
    steps : sequence of mapping
        The chain, as in the API.
    format : str
        Name of the format to write.
    spool : Path
        Folder on disk for what does not fit into memory.

    Raises
    ------
    Rejected
        If steps or image cannot be run, with the numbers where there is too little room, or if
        the format does not hold the result.
    """

    def __init__(
        self,
        engine: JobFactory,
        decoder: Decoder,
        path: Path,
        header: Header,
        steps: Steps,
        format: str,
        spool: Path,
    ) -> None:
        self.decoder = decoder
        self.path = path
        self.header = header
        self.format = format
        self.spool: Spool | None = None
        request = engine.plan_request(header.shape, header.dtype, steps)
        planned = plan(request)
        check_result(header.name, planned.result_dtype, planned.result_shape, format)
        with ExitStack() as stack:
            if should_stream(header, planned, format):
                self.job = self.streamed(engine, request, spool, stack)
            else:
                self.job = engine.allocate_job(request)
            stack.callback(self.job.close)
            self.stack = stack.pop_all()

    def streamed(
        self, engine: JobFactory, request: PlanRequest, spool: Path, stack: ExitStack
    ) -> EngineJob:
        """Prepare a job from windows of the file to a spool of tiles, or to memory."""
        held = is_small(plan(request))
        if not held:
            request = request._replace(grid=TILE)
            engine.check_memory(request)
        planned = plan(request)
        check_room(planned, spool, self.header.name)
        folder = Path(tempfile.mkdtemp(prefix=".dip-", dir=spool))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for slot, size in enumerate(planned.slots()):
            reserve(folder / f"scratch-{slot}", size)
        scratch = tuple(
            RawFile(str(folder / f"scratch-{each.slot}"), each.shape, each.dtype)
            for each in planned.buffers
        )
        source = FileImage(str(self.path), self.header)
        shape, dtype = planned.result_shape, planned.result_dtype
        if held:
            segments = engine.segments.allocate([image_bytes(planned)[1]], ALLOCATE_SECONDS)
            result = Pixels(str(segments[0].path), shape, dtype)
            return engine.make_job(request, source, scratch, result, segments)
        name, compression = self.header.name, self.header.compression
        self.spool = Spool(str(folder), shape, dtype, self.format, name, compression)
        return engine.make_job(request, source, scratch, self.spool)

    @property
    def is_streamed(self) -> bool:
        """Whether it is read by windows."""
        return isinstance(self.job.task.source, FileImage)

    def read(self) -> None:
        """Decode the file into memory, unless it is streamed.

        Raises
        ------
        Rejected
            If it is damaged.
        """
        if not self.is_streamed:
            self.decoder.read_pixels(self.path, self.header, self.job.source_pixels)

    def write(self, path: Path) -> tuple[str, ...]:
        """Write the result, and give what the format could not keep.

        Raises
        ------
        Rejected
            If the format cannot hold the result.
        OSError
            If the file cannot be written.
        """
        header, notes = with_density(self.header, plan(self.job.request).density)
        if self.spool is None:
            return notes + self.decoder.write(path, self.job.result_pixels, self.format, header)
        pieces, shape, dtype = self.spool.pieces(), self.spool.shape, self.spool.dtype
        return notes + self.decoder.assemble(path, pieces, shape, dtype, self.format, header)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give memory and scratch files back."""
        self.stack.close()


@contextmanager
def open_file(
    engine: JobFactory,
    source: Path,
    target: Path,
    steps: Steps,
    scratch_dir: str | Path | None = None,
) -> Iterator[FileJob]:
    """Prepare a user's own file to be run to another one.

    Raises
    ------
    Rejected
        With one sentence, if files or steps cannot be used, or there is too little room.
    """
    kind = check_paths(source, target)
    with engine.decoders.checkout() as decoder:
        header = decoder.read_header(source, source.name)
        spool = Path(scratch_dir or target.parent)
        with FileJob(engine, decoder, source, header, steps, kind, spool) as file:
            yield file


def check_paths(source: Path, target: Path) -> str:
    """Check that a file is there, and another can be written, and name the latter's format.

    Raises
    ------
    Rejected
        If not.
    """
    if not source.is_file():
        raise Rejected(f"{source}: no such file")
    kind = format_of(target.name)
    if target.is_dir():
        raise Rejected(f"{target}: cannot be written: it is a folder; name a file in it")
    if not os.access(target.parent, os.W_OK):
        raise Rejected(f"{target}: cannot be written: {target.parent} is no folder to write to")
    return kind


def run_file(
    engine: JobFactory,
    source: Path,
    target: Path,
    steps: Steps,
    progress: Callable[[int, int], None],
    scratch_dir: str | Path | None,
) -> tuple[str, ...]:
    """Run a chain from file to file; as `Engine.run_file`."""
    with open_file(engine, source, target, steps, scratch_dir) as file:
        file.read()
        file.job.start(progress)
        file.job.wait()
        return file.header.notes + write_whole(file, target)


def write_whole(file: FileJob, target: Path) -> tuple[str, ...]:
    """Write beside the final name first, so that no half file is ever seen."""
    partial = target.with_name(f".{target.name}.part")
    try:
        notes = file.write(partial)
        partial.replace(target)
    except OSError as error:
        raise Rejected(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        # A name that is too long to write is too long to remove.
        with suppress(OSError):
            partial.unlink()
    return notes


def should_stream(header: Header, planned: Plan, format: str) -> bool:
    """Whether a file is read by windows, and written by tiles where the result is large."""
    if header.block is None:
        return False
    if FORMATS[format].encode_tiles is None and not is_small(planned):
        return False
    held = sum(image_bytes(planned)) + sum(planned.slots())
    return held > MEMORY_BYTES_MAX and not any(each.whole for each in planned.passes)


def is_small(planned: Plan) -> bool:
    """Whether the result of a streamed image is held in memory until it is written."""
    return image_bytes(planned)[1] <= MEMORY_BYTES_MAX * RESULT_SHARE


def with_density(header: Header, density: Density | None) -> tuple[Header, tuple[str, ...]]:
    """Give the header with the result's resolution, and a note if that has none."""
    if header.resolution is None or density == Density():
        return header, ()
    if density is None:
        dropped = "resolution dropped: the result's pixels are not all of one size"
        return replace(header, resolution=None), (dropped,)
    return replace(header, resolution=density.of(header.resolution)), ()


def image_bytes(planned: Plan) -> tuple[int, int]:
    """Bytes of source and result."""
    source = math.prod(planned.shape) * np.dtype(planned.dtype).itemsize
    result = math.prod(planned.result_shape) * np.dtype(planned.result_dtype).itemsize
    return source, result


def check_room(planned: Plan, spool: Path, name: str) -> None:
    """Refuse a job whose scratch files and result would not fit on the disk.

    Raises
    ------
    Rejected
        With the numbers.
    """
    # The result lies there twice for a moment: as tiles, and put together.
    need = sum(planned.slots()) + 2 * image_bytes(planned)[1]
    free = shutil.disk_usage(spool).free
    if need > free:
        raise Rejected(
            f"{name}: needs up to {need / 2**30:.1f} GiB of disk in {spool} for this chain; "
            f"{free / 2**30:.1f} GiB are free"
        )
