"""Run a recipe from file to file on an engine: on one image, or on every plane of a stack."""

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from cluster_worker.engine.file_results import check_output, check_planes, write_table
from cluster_worker.engine.run_file import FileJob, JobFactory, Steps
from cluster_worker.engine.run_stack import AnyFile, StackFile
from cluster_worker.engine.run_together import TogetherFile
from cluster_worker.errors import Broken, Rejected, is_shortage
from cluster_worker.imagefiles.carry import Metadata
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.zarr_store import is_zarr_folder
from cluster_worker.imagefiles.codecs.zarr_writing import unpack
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.formats import FORMATS, format_of, megapixels
from cluster_worker.imagefiles.output import USUAL, Output
from cluster_worker.imagefiles.planes import choose_planes, read_plane_header
from cluster_worker.imagefiles.stacks import stack_refusal
from cluster_worker.objects.files import beside_target, fetched, identity, sent
from cluster_worker.objects.images import ObjectFile
from cluster_worker.objects.places import StorePlace
from cluster_worker.objects.store import is_address, split
from cluster_worker.pixels.shared_memory import Look, Wait, no_look
from cluster_worker.pixels.stack import ALL, Choice
from cluster_worker.plan.request import Depth

Progress = Callable[[int, int], None]
# What the statistics of a stack are of: each plane, or the whole stack.
Across = Literal["plane", "stack"]


class RunOptions(NamedTuple):
    """How a recipe runs from file to file; the fields are the parameters of `Engine.run_file`."""

    scratch_dir: str | Path | None = None
    depth: Depth = "input"
    metadata: Metadata = "keep"
    inputs: Mapping[str, str | Path] = MappingProxyType({})
    choice: Choice = ALL
    output: Output = USUAL
    across: Across = "plane"


PLAIN = RunOptions()


@contextmanager
def open_file(
    engine: JobFactory,
    source: Path | str,
    target: Path | str,
    steps: Steps,
    options: RunOptions = PLAIN,
) -> Iterator[AnyFile]:
    """Make the job of a file, for a ``with`` block; the parameters are as for `Engine.run_file`.

    Raises
    ------
    Rejected
        With one sentence, if files or steps are not accepted, or there is too little room.
    """
    target_format = check_paths(source, target, options.inputs)
    own_folder = gettempdir() if is_address(target) else Path(target).parent
    folder = Path(options.scratch_dir or own_folder)
    with ExitStack() as stack:
        inputs = {
            name: stack.enter_context(fetched(each, folder))
            for name, each in options.inputs.items()
        }
        output = output_for(str(target), options.output)
        options = options._replace(inputs=inputs, output=output)
        decoder = stack.enter_context(engine.decoders.checkout())
        remote, path = None, Path(source)
        if is_address(source):
            remote = stack.enter_context(ObjectFile(str(source), folder))
            path = remote.copy.path
        whole = decoder.read_header(path, Path(source).name)
        given = path, whole, steps, target_format, folder, options, remote
        file = file_job(engine, decoder, *given)
        stack.push(file)
        yield file


def output_for(target: str, output: Output) -> Output:
    """Return how a result is written whose name may ask for an OME-TIFF."""
    named = target.lower().endswith((".ome.tif", ".ome.tiff"))
    return output._replace(layout="ome") if named and not output.layout else output


def file_job(
    engine: JobFactory,
    decoder: Decoder,
    path: Path,
    whole: Header,
    steps: Steps,
    format: str,
    folder: Path,
    options: RunOptions = PLAIN,
    remote: ObjectFile | None = None,
    look: Look = no_look,
    store: StorePlace | None = None,
) -> AnyFile:
    """Make the job of a file of one plane or of several.

    Parameters
    ----------
    engine, decoder, path, steps, format, folder, remote
        As for `FileJob`.
    whole : Header
        Of the file.
    options : RunOptions
        Which planes, and how they are processed; its inputs lie on this host.
    look : callable
        Asked while the job waits for shared memory, as that of a `Wait`.
    store : StorePlace, optional
        As for `FileJob`; only files of one plane use it.

    Raises
    ------
    Rejected, Cancelled, TimeoutError
        As `FileJob` and `StackFile`; Rejected also if results of the format are not written so.
    """
    check_output(options.output, format)
    planes = choose_planes(whole, options.choice)
    # Label and smaller copies of a slide are other pictures: nothing is read along with them.
    among = None if whole.parts else whole.stack
    if remote is not None and (planes.stack is not None or planes.numbers != (0,)):
        # Ranks read windows of the first plane only from a store.
        remote.fetch_all()
        remote = None
    inputs = {name: Path(each) for name, each in options.inputs.items()}
    how = options.depth, options.metadata, options.output
    given = steps, format, folder, *how, inputs, remote

    counted: set[int] = set()
    together = 0

    def check_together(header: Header, number: int) -> None:
        # Pages may have any sizes: the first one does not tell those of the others.
        nonlocal together
        together += 0 if number in counted else math.prod(header.shape[:2])
        counted.add(number)
        most = decoder.most_pixels(whole)
        if together > most:
            raise Rejected(
                f"{whole.name}: the planes up to this one have {megapixels(together)} megapixels "
                f"together; at most {megapixels(most)} are accepted, so send some "
                "planes as a file"
            )

    def read_header(number: int) -> Header:
        header = read_plane_header(decoder, path, planes, number)
        check_together(header, number)
        return header

    def make_job(number: int, wait: Wait, store: StorePlace | None = None) -> FileJob:
        header = read_header(number)
        return FileJob(engine, decoder, path, header, *given, among, wait, store)

    wait = Wait(look=look)
    if planes.stack is None:
        return make_job(0, wait, store)
    check_planes(options.output, planes.stack, whole.name)
    if format != "same" and FORMATS[format].open_stack is None:
        raise stack_refusal(whole.name, planes.stack, format)
    if options.across == "stack":
        names = "steps", "format", "scratch_dir", "depth", "metadata", "output", "inputs", "remote"
        known: dict[str, Any] = dict(zip(names, given, strict=True))
        known |= {"engine": engine, "decoder": decoder, "path": path, "among": whole.stack}
        return TogetherFile(planes, read_header, {**known, "header": read_header(0), "wait": wait})
    return StackFile(engine.decoders, engine.ranks, planes, make_job, folder, wait)


def check_paths(
    source: Path | str, target: Path | str, inputs: Mapping[str, Path | str] = MappingProxyType({})
) -> str:
    """Check that the sources exist and the target can be written; return the target's format.

    Of addresses only the ending is checked, without a request.

    Raises
    ------
    Rejected
        If a check fails, or the suffix of the target is that of no format.
    """
    for each in (source, *inputs.values()):
        if not is_address(each) and not Path(each).is_file() and not is_zarr_folder(Path(each)):
            raise Rejected(f"{each}: no such file")
    if is_address(target):
        return format_of(split(str(target))[1])
    target = Path(target)
    target_format = format_of(target.name)
    if target.is_dir() and not (is_folder_target(target) and is_zarr_folder(target)):
        raise Rejected(f"{target}: cannot be written: it is a folder; name a file in it")
    if not os.access(target.parent, os.W_OK):
        raise Rejected(f"{target}: cannot be written: {target.parent} is no folder to write to")
    return target_format


def run_file(
    engine: JobFactory,
    source: Path | str,
    target: Path | str,
    steps: Steps,
    progress: Progress,
    options: RunOptions,
) -> tuple[str, ...]:
    """Run a recipe from file to file; see `Engine.run_file`."""
    source = source if is_address(source) else Path(source)
    with (
        sent(target, options.scratch_dir) as path,
        open_file(engine, source, path, steps, options) as file,
    ):
        check_beside(file, target, (source, *options.inputs.values()))
        file.read()
        file.job.start(progress)
        file.job.wait()
        return file.header.notes + write_whole(file, path)


def check_beside(file: AnyFile, target: Path | str, sources: Iterable[Path | str]) -> None:
    """Check that no kept image or table takes the place of a source.

    Raises
    ------
    Rejected
        If a kept image or a table would.
    """
    own = {identity(each) for each in sources}
    for found in file.paths_beside(Path(target)):
        for name, path in found.items():
            written = beside_target(target, path.name)
            if identity(written) in own:
                raise Rejected(
                    f"{written}: is read, and would be replaced by the result {name} beside "
                    f"{target}; choose another target or id"
                )


def write_whole(file: AnyFile, target: Path) -> tuple[str, ...]:
    """Write all results beside the target, then rename them: all are complete, or none is there.

    Raises
    ------
    Rejected
        If a format cannot hold its result, or a file cannot be written.
    Broken
        If the disk has no room.
    """
    writers: dict[Path, Callable[[Path], tuple[str, ...]]] = {target: file.write}
    kept, tables = file.paths_beside(target)
    for name, number in file.job.plan.kept:
        writers[kept[name]] = partial(file.write, number=number)
    for name, table in file.job.tables.items():
        writers[tables[name]] = partial(write_table, table)
    parts = {path: path.with_name(f".{path.name}.part") for path in writers}
    folders = [path.with_name(f".{path.name}.old") for path in writers if is_folder_target(path)]
    notes: tuple[str, ...] = ()
    try:
        for path, write in writers.items():
            said = write(parts[path])
            notes += said if path == target else tuple(f"{path.name}: {each}" for each in said)
        for path, part in parts.items():
            if is_folder_target(path):
                replace_folder(part, path)
            else:
                part.replace(path)
    except OSError as error:
        family = Broken if is_shortage(error) else Rejected
        raise family(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        # After a success the files have other names. A name too long to write cannot be removed.
        for part in parts.values():
            with suppress(OSError):
                part.unlink()
        for each in folders:
            shutil.rmtree(each, ignore_errors=True)
    return notes


def is_folder_target(target: Path) -> bool:
    """Return whether a result becomes a folder: an OME-Zarr whose name does not end as a zip's."""
    return target.suffix.lower() == ".zarr"


def replace_folder(part: Path, target: Path) -> None:
    """Unpack a written OME-Zarr, and put the folder in its place.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder = part.with_name(f"{part.name}.d")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        unpack(part, folder)
        if target.exists():
            target.rename(target.with_name(f".{target.name}.old"))
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
