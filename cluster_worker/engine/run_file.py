"""The job of one image file or of one plane: in memory if the pixels fit, else by windows."""

import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np

from cluster_worker.engine.file_plans import (
    as_read,
    check_room,
    is_joined,
    is_small,
    is_worth_store,
    should_stream,
)
from cluster_worker.engine.file_results import FileResult, beside, file_result
from cluster_worker.engine.folders import ending_of
from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.steps import checked_steps
from cluster_worker.imagefiles.carry import Metadata
from cluster_worker.imagefiles.codecs.header import TILE, Header
from cluster_worker.imagefiles.codecs.tiff_head import complete_head
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_messages import without_burden
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.imagefiles.output import USUAL, Output
from cluster_worker.imagefiles.planes import read_input_header
from cluster_worker.imagefiles.streams import FileImage, RawFile, Spool, reserve
from cluster_worker.objects.access import AnySink, AnySource, AnySurface, is_by_windows
from cluster_worker.objects.chunks import CHUNK, Chunks
from cluster_worker.objects.images import ObjectFile
from cluster_worker.objects.places import StorePlace
from cluster_worker.objects.spools import COPIED_BYTES_MIN, ObjectSpool, StoredTiles
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.shared_memory import PATIENT, Pixels, Segment, Segments, Wait
from cluster_worker.pixels.stack import Stack
from cluster_worker.plan.nodata import stands_apart
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan, plan_any
from cluster_worker.plan.request import Depth, Request

Steps = Sequence[Mapping[str, Any]]
Files = Mapping[str, Path]
# In effect no limit: a user's own file may have any size. Memory and disk are checked in the plan.
PIXELS_MAX = 1 << 48


class JobFactory(Protocol):
    """What a `FileJob` needs of an `Engine`, whose file imports this one."""

    ranks: int
    segments: Segments
    decoders: WarmDecoders
    chunk: int

    def plan_request(
        self,
        image: ImageHeader,
        steps: Steps,
        depth: Depth = "input",
        inputs: Mapping[str, ImageHeader] = ...,
    ) -> Request:
        """Check steps, shape and dtype, and that a rank has the memory for the plan's passes."""

    def check_memory(self, request: Request) -> None:
        """Check that a rank has the memory for the plan's passes."""

    def allocate_job(
        self, request: Request, source: Pixels | None = None, wait: Wait = PATIENT
    ) -> EngineJob:
        """Make a job with all its images in shared memory, for which it may have to wait."""

    def make_job(
        self,
        request: Request,
        source: AnySource,
        scratch: Sequence[AnySurface],
        result: AnySink,
        segments: Sequence[Segment] = (),
        *,
        inputs: Sequence[AnySource] = (),
        kept: Sequence[AnySink] = (),
        folder: Path | None = None,
    ) -> EngineJob:
        """Make a job from a request and its surfaces; closing the job releases `segments`."""


class FileJob:
    """One image file that is processed to another file.

    Use it in a ``with`` block: call `read`, start `job` and wait for it, then call `write`.

    Parameters
    ----------
    engine : JobFactory
        The engine that runs the job.
    decoder : Decoder
        Decodes and encodes images in memory, and assembles a file from tiles.
    path : Path
        The file to read.
    header : Header
        The header of this file.
    steps : sequence of mapping
        The chain, as in the API.
    format : str
        Name of the format to write; "same" for that of the file, if it can hold the result.
    scratch_dir : Path
        Folder on disk for the scratch files of a streamed job.
    depth : {"input", "native"}
        As for `Engine.run`.
    metadata : {"keep", "strip"}
        Whether the result carries what the file carries, or only what a picture needs.
    output : Output
        How results are written.
    inputs : mapping of str to Path
        Other image files by the names under which steps read them.
    remote : ObjectFile, optional
        Where the file lies, if that is an object store; `path` is then its copy.
    among : Stack, optional
        The planes of the file, if `header` is of one of several.
    wait : Wait
        How to wait for shared memory that others use.
    store : StorePlace, optional
        Where passes and results of a large job lie instead of on this host's disk.

    Attributes
    ----------
    has_pixels : bool
        Whether its pixels are there until it is closed, for pictures: always.
    header : Header
        Of the file, as it is read.
    results : list of FileResult
        The images that are written, in the order of the plan's results: the last one first.
    job : EngineJob
        The job that runs the steps.
    unrolled : Pixels or None
        Where the bare pixels of the file lie on disk, if it is large and not read by windows.

    Raises
    ------
    Rejected
        If steps or image are not accepted, if memory or disk are too small (with the numbers), or
        if the format cannot hold the result.
    Broken, OSError
        If the disk has no room now.
    TimeoutError
        If others use the shared memory for too long.
    Cancelled
        If the wait is ended.
    """

    has_pixels = True
    # Whether `read` can decode a large file to bare pixels on disk.
    unrolls = True

    def __init__(
        self,
        engine: JobFactory,
        decoder: Decoder,
        path: Path,
        header: Header,
        steps: Steps,
        format: str,
        scratch_dir: Path,
        depth: Depth = "input",
        metadata: Metadata = "keep",
        output: Output = USUAL,
        inputs: Files = MappingProxyType({}),
        remote: ObjectFile | None = None,
        among: Stack | None = None,
        wait: Wait = PATIENT,
        store: StorePlace | None = None,
    ) -> None:
        self.decoder, self.wait, self.store = decoder, wait, store
        self.tiles_found: dict[int, StoredTiles] = {}
        self.path, self.remote = path, remote
        if header.stack is not None:
            raise ValueError(f"{header.name}: has {header.stack.planes} planes, and one is taken")
        header, notes = as_read(header, checked_steps(steps, tuple(inputs)), format)
        self.header = header
        self.inputs = {
            name: FileImage(
                str(each),
                without_burden(read_input_header(decoder, each, header.plane, among)),
            )
            for name, each in inputs.items()
        }
        headers = {name: to_plan(each.header, depth) for name, each in self.inputs.items()}
        image = to_plan(header, depth)
        request = engine.plan_request(image, steps, depth, headers)
        self.notes = notes
        planned = plan_any(request)
        holes = depth == "input" and stands_apart(request.image)
        self.results: list[FileResult] = [
            file_result(header, each, format, metadata, output, holes=holes)
            for each in planned.results
        ]
        self.unrolled: Pixels | None = None
        with ExitStack() as stack:
            formats = [each.format for each in self.results]
            on_disk = engine.chunk == 1 and self.unrolls
            if should_stream(header, planned, formats, on_disk=on_disk):
                self.job = self.make_streamed_job(engine, request, scratch_dir, stack)
            else:
                self.job = engine.allocate_job(request, wait=wait)
            stack.callback(self.job.close)
            self.stack = stack.pop_all()

    def make_streamed_job(
        self, engine: JobFactory, request: Request, scratch_dir: Path, stack: ExitStack
    ) -> EngineJob:
        """Make a job that reads windows of the files, and writes to spools or to memory."""
        request = request._replace(streamed=True)
        if not all(map(is_small, plan_any(request).results)):
            request = request._replace(grid=TILE)
            engine.check_memory(request)
        planned = plan_any(request)
        by_windows = self.header.block is not None
        store = self.store if is_worth_store(self.header, planned) else None
        if store and engine.chunk == 1:
            request = request._replace(chunk=CHUNK)
            engine.check_memory(request)
            planned = plan_any(request)
        # Of several hosts, what passes leave lies in the store.
        slots = planned.slots() if engine.chunk == 1 and store is None else []
        scratch_bytes = sum(slots) + (0 if by_windows else self.header.pixels_bytes)
        together = zip(planned.results, self.results, strict=True)
        on_disk = [each for each, result in together if not (store and is_joined(result))]
        check_room(on_disk, scratch_bytes, scratch_dir, self.header.name)
        folder = Path(tempfile.mkdtemp(prefix=".dip-", dir=scratch_dir))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for slot, size in enumerate(slots):
            reserve(folder / f"scratch-{slot}", size)
        scratch: tuple[AnySurface, ...] = tuple(
            RawFile(str(folder / f"scratch-{each.slot}"), each.shape, each.dtype)
            for each in (planned.buffers if slots else ())
        )
        if store:
            scratch = tuple(
                Chunks(store.address, store.key(f"pass-{i}"), each.shape, each.dtype)
                for i, each in enumerate(planned.buffers)
            )
        # Without the colour profile, which only the target needs: a message of megabytes to a rank
        # that is stopped would make the engine wait.
        light = without_burden(self.header)
        source: AnySource
        if not by_windows:
            self.unrolled = Pixels(str(folder / "source"), self.header.shape, self.header.dtype)
            reserve(folder / "source", self.header.pixels_bytes)
            source = RawFile(*self.unrolled)
        elif self.remote:
            source = self.remote.image(light)
        else:
            source = FileImage(str(self.path), light)
        inputs, (result, *kept), segments = self.surfaces(engine, planned, folder, store)
        job = engine.make_job(
            request, source, scratch, result, segments, inputs=inputs, kept=kept, folder=folder
        )
        if store:
            job.stored = store.prefix
            stack.callback(store.clear, job.done)
        return job

    def surfaces(
        self,
        engine: JobFactory,
        planned: Plan | RecipePlan,
        folder: Path,
        store: StorePlace | None,
    ) -> tuple[list[Pixels | FileImage], list[AnySink], list[Segment]]:
        """Return where the inputs and the results of a streamed job lie.

        Results that are small, and inputs that cannot be read by windows, are in memory.
        """
        given = {name: (each.shape, each.dtype) for name, each in planned.inputs}
        in_memory = [given[name] for name, each in self.inputs.items() if each.header.block is None]
        small = [is_small(each) for each in planned.results]
        in_memory += [
            (each.result_shape, each.result_dtype)
            for each, fits in zip(planned.results, small, strict=True)
            if fits
        ]
        sizes = [math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in in_memory]
        segments = engine.segments.allocate(sizes, self.wait) if sizes else []
        pixels = iter(
            Pixels(str(segment.path), *each)
            for segment, each in zip(segments, in_memory, strict=True)
        )
        inputs: list[Pixels | FileImage] = [
            next(pixels) if each.header.block is None else each for each in self.inputs.values()
        ]
        results: list[AnySink] = []
        for number, (each, fits) in enumerate(zip(planned.results, small, strict=True)):
            results.append(next(pixels) if fits else self.make_spool(number, each, folder, store))
        return inputs, results, list(segments)

    def make_spool(
        self, number: int, planned: Plan, folder: Path, store: StorePlace | None
    ) -> Spool | ObjectSpool:
        """Make the place for the tiles of a result."""
        result, name = self.results[number], f"result-{number}"
        given = planned.result_shape, planned.result_dtype, result.format
        coded = self.header.name, result.header.compression
        if store and is_joined(result):
            self.results[number] = replace(result, stored=True)
            return ObjectSpool(store.address, store.key(name), *given, *coded)
        own = folder / name
        own.mkdir()
        spool = Spool(str(own), *given, *coded)
        self.results[number] = replace(result, spool=spool)
        return spool

    @property
    def format(self) -> str:
        """Name of the format of the last image."""
        return self.results[0].format

    @property
    def result(self) -> Header:
        """What the last image is and carries."""
        return self.results[0].header

    @property
    def spool(self) -> Spool | None:
        """Where the tiles of the last image lie until its file is assembled."""
        return self.results[0].spool

    @property
    def is_streamed(self) -> bool:
        """Whether the ranks read the image by windows, from its file or from bare pixels."""
        return self.unrolled is not None or is_by_windows(self.job.task.source)

    @property
    def reads_file(self) -> bool:
        """Whether the file must stay until the job is done."""
        return self.is_streamed and self.unrolled is None

    def read(self) -> None:
        """Decode the files into the job's memory, unless they are read by windows.

        Raises
        ------
        Rejected
            If a file is damaged.
        """
        if self.remote is not None and not self.reads_file:
            self.remote.fetch_all()
        for image, pixels in zip(self.inputs.values(), self.job.task.inputs, strict=True):
            if isinstance(pixels, Pixels):
                self.decoder.read_pixels(Path(image.path), image.header, pixels)
        if self.unrolled is not None:
            said = self.decoder.read_pixels(self.path, self.header, self.unrolled, on_disk=True)
            self.notes = said + self.notes
        elif not self.is_streamed:
            pixels = self.job.source_pixels
            self.notes = self.decoder.read_pixels(self.path, self.header, pixels) + self.notes

    def write(self, path: Path, number: int = 0) -> tuple[str, ...]:
        """Write a result, or the head of one that is `stored`; the last image is number 0.

        Returns
        -------
        tuple of str
            One sentence for each property of the source that the format could not keep.

        Raises
        ------
        Rejected
            If the format cannot hold the result.
        OSError
            If the file cannot be written.
        """
        result = self.results[number]
        notes = (self.notes if number == 0 else ()) + result.notes
        if result.stored:
            return notes + self.write_head(path, number)
        if result.spool is None:
            pixels = self.job.kept_pixels(number)
            return notes + self.decoder.write(path, pixels, result.format, result.header)
        spool = result.spool
        given = spool.pieces(), spool.shape, spool.dtype, result.format, result.header
        return notes + self.decoder.assemble(path, *given)

    def tiles(self, number: int) -> StoredTiles:
        """Return where the tiles of a result lie in the store; raises Broken if one is missing."""
        if number not in self.tiles_found:
            task = self.job.task
            spool = (self.job.written or (task.result, *task.kept))[number]
            assert isinstance(spool, ObjectSpool)  # noqa: S101 - else the result is not `stored`
            self.tiles_found[number] = spool.tiles()
        return self.tiles_found[number]

    def write_head(self, path: Path, number: int) -> tuple[str, ...]:
        """Write the head of a result's file, which its tiles follow; return and raise as `write`.

        It is large enough for a part of an object that others follow.
        """
        result, tiles = self.results[number], self.tiles(number)
        none = path.with_name(f"{path.name}.none")
        none.touch()
        try:
            pieces = [(none, 0, 0)] * len(tiles.counts)
            shape, dtype = result.header.shape, result.header.dtype
            said = self.decoder.assemble(path, pieces, shape, dtype, result.format, result.header)
        finally:
            none.unlink()
        complete_head(path, tiles.offsets, tiles.counts, COPIED_BYTES_MIN)
        return said

    def paths_beside(self, target: Path) -> tuple[dict[str, Path], dict[str, Path]]:
        """Return where kept images and tables are written beside the last image, by their names."""
        kept = {}
        for name, number in self.job.plan.kept:
            own = self.results[number].format
            ending = ending_of(target) if own == self.format else f".{FORMATS[own].extension}"
            kept[name] = beside(target, name, ending)
        return kept, {name: beside(target, name, ".csv") for name in self.job.plan.tables}

    def __enter__(self) -> Self:
        """Return the file job itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the job, and remove the scratch files."""
        self.stack.close()


def to_plan(header: Header, depth: Depth) -> ImageHeader:
    """Return the header of an image for its plan, to which names do not matter.

    Natively every channel is processed, as in scikit-image.
    """
    image = header.image._replace(channels=())
    return image._replace(alpha=False) if depth == "native" else image
