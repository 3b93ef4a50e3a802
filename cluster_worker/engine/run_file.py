"""Run a chain from file to file on an engine: in memory if the pixels fit, else by windows."""

import json
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
from cluster_worker.engine.results import refuse_several
from cluster_worker.engine.steps import checked_steps
from cluster_worker.errors import Broken, Rejected, is_shortage
from cluster_worker.imagefiles.carry import Metadata, Outcome, carried
from cluster_worker.imagefiles.codecs.header import TILE, Header, palette_has_alpha
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_messages import without_burden
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.formats import FORMATS, check_result, format_of
from cluster_worker.imagefiles.streams import FileImage, RawFile, Spool, reserve
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.shared_memory import ALLOCATE_SECONDS, Pixels, Segment, Segments
from cluster_worker.plan.kinds import reads_labels
from cluster_worker.plan.nodata import NoRule, stands_apart
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan, plan_any
from cluster_worker.plan.request import Depth, Request

Steps = Sequence[Mapping[str, Any]]

# An image is streamed if its pixels (source, result, and between passes) take more bytes than this.
MEMORY_BYTES_MAX = 256 << 20
# Share of MEMORY_BYTES_MAX up to which the result of a streamed image is kept in memory. A small
# result must not be cut into the tiles of a file: one tile of 256 × 256 pixels of a thumbnail would
# be made from a sixteenth of a gigapixel.
RESULT_SHARE = 0.25
# Formats that change pixels.
LOSSY = ("jpeg",)
# In effect no limit: a user's own file may have any size. Memory and disk are checked in the plan.
PIXELS_MAX = 1 << 48


class JobFactory(Protocol):
    """What a `FileJob` needs of an `Engine`, whose file imports this one."""

    segments: Segments
    decoders: WarmDecoders

    def plan_request(self, image: ImageHeader, steps: Steps, depth: Depth) -> Request:
        """Check steps, shape and dtype, and that a rank has the memory for the plan's passes."""

    def check_memory(self, request: Request) -> None:
        """Check that a rank has the memory for the plan's passes."""

    def allocate_job(self, request: Request) -> EngineJob:
        """Make a job with all its images in shared memory."""

    def make_job(
        self,
        request: Request,
        source: Pixels | FileImage,
        scratch: Sequence[Pixels | RawFile],
        result: Pixels | Spool,
        segments: Sequence[Segment] = (),
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

    Attributes
    ----------
    header : Header
        Of the file, as it is read.
    result : Header
        What the result is and carries.
    job : EngineJob
        The job that runs the steps.
    format : str
        Name of the format that is written.

    Raises
    ------
    Rejected
        If steps or image are not accepted, if memory or disk are too small (with the numbers), or
        if the format cannot hold the result.
    Broken, OSError
        If the disk has no room now.
    """

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
    ) -> None:
        self.decoder = decoder
        self.path = path
        self.spool: Spool | None = None
        header, notes = as_read(header, checked_steps(steps), format)
        self.header = header
        # Names and sizes do not matter to the plan. Natively every channel is processed, as in
        # scikit-image.
        image = header.image._replace(pixel_size=None, channels=())
        image = image._replace(alpha=False) if depth == "native" else image
        request, unruled = planned_with_nodata(engine, image, steps, depth)
        refuse_several(request)
        planned = plan_any(request)
        self.format, chosen = choose_format(format, header.format, planned)
        self.result, lost = carried(header, outcome(header, planned, request), metadata)
        self.notes = notes + unruled + chosen + density_note(header, planned, metadata) + lost
        check_result(header.name, self.result.image, self.format)
        with ExitStack() as stack:
            if should_stream(header, planned, self.format):
                self.job = self.make_streamed_job(engine, request, scratch_dir, stack)
            else:
                self.job = engine.allocate_job(request)
            stack.callback(self.job.close)
            self.stack = stack.pop_all()

    def make_streamed_job(
        self, engine: JobFactory, request: Request, scratch_dir: Path, stack: ExitStack
    ) -> EngineJob:
        """Make a job that reads windows of the file, and writes to a spool or to memory."""
        in_memory = has_small_result(plan_any(request))
        if not in_memory:
            request = request._replace(grid=TILE)
            engine.check_memory(request)
        planned = plan_any(request)
        check_room(planned, scratch_dir, self.header.name)
        folder = Path(tempfile.mkdtemp(prefix=".dip-", dir=scratch_dir))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for slot, size in enumerate(planned.slots()):
            reserve(folder / f"scratch-{slot}", size)
        scratch = tuple(
            RawFile(str(folder / f"scratch-{each.slot}"), each.shape, each.dtype)
            for each in planned.buffers
        )
        # Without the colour profile, which only the target needs: a message of megabytes to a rank
        # that is stopped would make the engine wait.
        source = FileImage(str(self.path), without_burden(self.header))
        shape, dtype = planned.result_shape, planned.result_dtype
        if in_memory:
            segments = engine.segments.allocate([image_bytes(planned)[1]], ALLOCATE_SECONDS)
            result = Pixels(str(segments[0].path), shape, dtype)
            return engine.make_job(request, source, scratch, result, segments)
        name, compression = self.header.name, self.header.compression
        self.spool = Spool(str(folder), shape, dtype, self.format, name, compression)
        return engine.make_job(request, source, scratch, self.spool)

    @property
    def is_streamed(self) -> bool:
        """Whether the ranks read the file by windows."""
        return isinstance(self.job.task.source, FileImage)

    def read(self) -> None:
        """Decode the file into the job's source, unless it is streamed.

        Raises
        ------
        Rejected
            If the file is damaged.
        """
        if not self.is_streamed:
            pixels = self.job.source_pixels
            self.notes = self.decoder.read_pixels(self.path, self.header, pixels) + self.notes

    def write(self, path: Path) -> tuple[str, ...]:
        """Write the result.

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
        if self.spool is None:
            pixels = self.job.result_pixels
            return self.notes + self.decoder.write(path, pixels, self.format, self.result)
        pieces, shape, dtype = self.spool.pieces(), self.spool.shape, self.spool.dtype
        written = self.decoder.assemble(path, pieces, shape, dtype, self.format, self.result)
        return self.notes + written

    def __enter__(self) -> Self:
        """Return the file job itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the job, and remove the scratch files."""
        self.stack.close()


@contextmanager
def open_file(
    engine: JobFactory,
    source: Path,
    target: Path,
    steps: Steps,
    scratch_dir: str | Path | None = None,
    depth: Depth = "input",
    metadata: Metadata = "keep",
) -> Iterator[FileJob]:
    """Make a `FileJob` from paths, for a ``with`` block; the parameters are as for `run_file`.

    Raises
    ------
    Rejected
        With one sentence, if files or steps are not accepted, or there is too little room.
    """
    target_format = check_paths(source, target)
    with engine.decoders.checkout() as decoder:
        header = decoder.read_header(source, source.name)
        folder = Path(scratch_dir or target.parent)
        options = steps, target_format, folder, depth, metadata
        with FileJob(engine, decoder, source, header, *options) as file:
            yield file


def check_paths(source: Path, target: Path) -> str:
    """Check that the source exists and the target can be written; return the target's format.

    Raises
    ------
    Rejected
        If a check fails, or the suffix of the target is that of no format.
    """
    if not source.is_file():
        raise Rejected(f"{source}: no such file")
    target_format = format_of(target.name)
    if target.is_dir():
        raise Rejected(f"{target}: cannot be written: it is a folder; name a file in it")
    if not os.access(target.parent, os.W_OK):
        raise Rejected(f"{target}: cannot be written: {target.parent} is no folder to write to")
    return target_format


def run_file(
    engine: JobFactory,
    source: Path,
    target: Path,
    steps: Steps,
    progress: Callable[[int, int], None],
    scratch_dir: str | Path | None,
    depth: Depth,
    metadata: Metadata,
) -> tuple[str, ...]:
    """Run a chain from file to file; see `Engine.run_file`."""
    with open_file(engine, source, target, steps, scratch_dir, depth, metadata) as file:
        file.read()
        file.job.start(progress)
        file.job.wait()
        return file.header.notes + write_whole(file, target)


def write_whole(file: FileJob, target: Path) -> tuple[str, ...]:
    """Write to a file beside the target, then rename it: the target is complete or not there.

    Raises
    ------
    Rejected
        If the format cannot hold the result, or the file cannot be written.
    Broken
        If the disk has no room.
    """
    partial = target.with_name(f".{target.name}.part")
    try:
        notes = file.write(partial)
        partial.replace(target)
    except OSError as error:
        family = Broken if is_shortage(error) else Rejected
        raise family(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        # After a success the file has another name. A name too long to write cannot be removed.
        with suppress(OSError):
            partial.unlink()
    return notes


def choose_format(
    asked: str, source: str, planned: Plan | RecipePlan
) -> tuple[str, tuple[str, ...]]:
    """Return the name of the format to write, and notes for the user.

    Under "same" a mask or labels are not written as JPEG, which blurs them, and what the source's
    format cannot hold becomes a TIFF.

    Parameters
    ----------
    asked, source : str
        Name of a format, or "same" for `asked`.
    planned : Plan or RecipePlan
        The plan, which knows the result's dtype and kind.
    """
    kind = planned.result_kind
    if asked != "same":
        blurred = asked in LOSSY and kind != "picture"
        title = FORMATS[asked].title
        return asked, (f"written as {title}, which blurs a mask; choose PNG",) if blurred else ()
    chosen = "png" if source in LOSSY and kind != "picture" else source
    if planned.result_dtype not in FORMATS[chosen].dtypes:
        chosen = "tiff"
    if chosen == source:
        return source, ()
    what = {"mask": "a mask", "labels": "labels"}.get(kind, f"a result of {planned.result_dtype}")
    title = FORMATS[source].title
    return chosen, (f"written as {FORMATS[chosen].title}: {title} cannot hold {what} exactly",)


def should_stream(header: Header, planned: Plan | RecipePlan, format: str) -> bool:
    """Return whether to read a file by windows, and to write it by tiles if the result is large."""
    if header.block is None:
        return False
    if FORMATS[format].encode_tiles is None and not has_small_result(planned):
        return False
    total = sum(image_bytes(planned)) + sum(planned.slots())
    return total > MEMORY_BYTES_MAX and not any(each.whole for each in planned.passes)


def has_small_result(planned: Plan | RecipePlan) -> bool:
    """Return whether the result of a streamed image stays in memory until it is written."""
    return image_bytes(planned)[1] <= MEMORY_BYTES_MAX * RESULT_SHARE


def as_read(header: Header, steps: str, format: str) -> tuple[Header, tuple[str, ...]]:
    """Choose what of a file is read, if the steps decide that; return the header and a note.

    The indices of a palette are read for steps that take labels or a mask, and for steps that only
    move pixels if the result can have a palette. Whole numbers of 32 bits are labels only for such
    steps.
    """
    if not header.palette and (header.dtype, header.image.kind) != ("uint32", "labels"):
        return header, ()
    wants_labels = reads_labels(steps)
    image = header.image
    if not header.palette:
        if wants_labels is not False:
            return header, ()
        note = "whole numbers of 32 bits were taken as intensities, not as labels"
        return replace(header, image=image._replace(kind="intensity")), (note,)
    target = header.format if format == "same" else format
    # A fill is a level, and no index; a palette of TIFF has no transparency.
    unfit = fills(steps) or (target == "tiff" and palette_has_alpha(header.palette))
    holds = "palette" in FORMATS[target].carries
    if wants_labels or (wants_labels is None and holds and not unfit):
        indices = image._replace(
            shape=image.shape[:2], axes="yx", kind="labels", alpha=False, channels=()
        )
        return replace(header, image=indices), ()
    if wants_labels is None and not holds:
        return replace(header, image=image._replace(nodata=None)), ()
    why = "its colours were used" if wants_labels is None else "the steps computed with its colours"
    notes: tuple[str, ...] = (f"palette dissolved: {why}",)
    if image.nodata is not None:
        # The value is an index, and no level of a colour.
        notes += (f"{TITLES['nodata']} ({image.nodata:g}) dropped: it is an index of the palette",)
        header = replace(header, image=image._replace(nodata=None))
    return header, notes


def fills(steps: str) -> bool:
    """Return whether a step fills what lies beyond the border with a constant level."""
    return any(each.get("mode") == "constant" for each in json.loads(steps))


def planned_with_nodata(
    engine: JobFactory, image: ImageHeader, steps: Steps, depth: Depth
) -> tuple[Request, tuple[str, ...]]:
    """Plan a chain; if a step has no rule for pixels without data, take their value as it is.

    Returns
    -------
    Request, tuple of str
        And a note in that case.
    """
    try:
        return engine.plan_request(image, steps, depth), ()
    except NoRule as error:
        note = f"{error}; the value {image.nodata:g} was computed with as any other"
        return engine.plan_request(image._replace(nodata=None), steps, depth), (note,)


def outcome(header: Header, planned: Plan | RecipePlan, request: Request) -> Outcome:
    """Return what a plan, made from a request, does to the image of a file."""
    given, density = header.image, planned.density
    shape = planned.result_shape
    kept = shape[2:] == given.shape[2:]
    # Natively alpha is processed as every channel is; it stays alpha if no channel was lost.
    alpha = planned.result_alpha or (given.alpha and not planned.source_alpha and kept)
    size = given.pixel_size
    resolution = header.resolution
    if density is None:
        size = resolution = None
    if size is not None and density is not None:
        across, down = density.of((1 / size[1], 1 / size[0]))
        size = 1 / down, 1 / across
    if resolution is not None and density is not None:
        resolution = density.of(resolution)
    image = ImageHeader(
        shape,
        planned.result_dtype,
        "yxs"[: len(shape)],
        planned.result_kind,
        alpha,
        None,
        size,
        given.channels if kept else (),
    )
    holes_kept = request.depth == "input" and stands_apart(request.image)
    return Outcome(image, resolution, planned.placement, planned.values_kept, holes_kept)


def density_note(header: Header, planned: Plan | RecipePlan, metadata: Metadata) -> tuple[str, ...]:
    """Return a note if a result has no resolution, because its pixels have several sizes."""
    if header.resolution is None or planned.density is not None or metadata == "strip":
        return ()
    return ("resolution dropped: the result's pixels are not all of one size",)


def image_bytes(planned: Plan | RecipePlan) -> tuple[int, int]:
    """Return the size of source and result in bytes."""
    source = math.prod(planned.shape) * np.dtype(planned.dtype).itemsize
    result = math.prod(planned.result_shape) * np.dtype(planned.result_dtype).itemsize
    return source, result


def check_room(planned: Plan | RecipePlan, scratch_dir: Path, name: str) -> None:
    """Check that the disk has room for a job's scratch files and its result.

    Raises
    ------
    Rejected
        With the numbers, if it is too small.
    Broken
        With the numbers, if other files leave too little of it.
    """
    # For a moment the disk holds the result twice: as tiles, and as a file.
    need = sum(planned.slots()) + 2 * image_bytes(planned)[1]
    usage = shutil.disk_usage(scratch_dir)
    if need > usage.free:
        family = Rejected if need > usage.total else Broken
        raise family(
            f"{name}: needs up to {need / 2**30:.1f} GiB of disk in {scratch_dir} for this chain; "
            f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB are free"
        )
