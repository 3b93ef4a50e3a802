"""Run a recipe from file to file on an engine: on one image, or on every plane of a stack."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cluster_worker.engine.file_results import write_table
from cluster_worker.engine.run_file import FileJob, Files, JobFactory, Steps
from cluster_worker.engine.run_stack import StackFiles, StackJob
from cluster_worker.errors import Broken, Rejected, is_shortage
from cluster_worker.imagefiles.carry import Metadata
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.formats import FORMATS, format_of
from cluster_worker.imagefiles.planes import ChosenPlanes, choose_planes, read_plane_header
from cluster_worker.imagefiles.stacks import stack_refusal
from cluster_worker.objects.images import ObjectFile
from cluster_worker.objects.store import is_address
from cluster_worker.pixels.stack import ALL, Choice
from cluster_worker.plan.request import Depth

Progress = Callable[[int, int], None]


class RunOptions(NamedTuple):
    """How a recipe runs from file to file; the fields are the parameters of `Engine.run_file`."""

    scratch_dir: str | Path | None = None
    depth: Depth = "input"
    metadata: Metadata = "keep"
    inputs: Mapping[str, str | Path] = MappingProxyType({})
    choice: Choice = ALL


PLAIN = RunOptions()


class OpenedFile(NamedTuple):
    """A file whose planes are chosen, and what makes the job of each of them.

    Attributes
    ----------
    planes : ChosenPlanes
        The planes.
    make_job : callable
        Makes the job of a plane, by its number among them; it must be closed.
    """

    planes: ChosenPlanes
    make_job: Callable[[int], FileJob]


@contextmanager
def open_planes(
    engine: JobFactory, source: Path | str, target: Path, steps: Steps, options: RunOptions
) -> Iterator[OpenedFile]:
    """Read the header of a file, for a ``with`` block, with a decoder for its planes.

    Raises
    ------
    Rejected
        With one sentence, if files are not accepted, or there are no such planes.
    """
    inputs = {name: Path(each) for name, each in options.inputs.items()}
    target_format = check_paths(source, target, inputs)
    folder = Path(options.scratch_dir or target.parent)
    given = source, Path(source).name, steps, target_format, folder, options
    with open_source(engine, *given) as opened:
        yield opened


@contextmanager
def open_source(
    engine: JobFactory,
    source: Path | str,
    name: str,
    steps: Steps,
    format: str,
    folder: Path,
    options: RunOptions,
) -> Iterator[OpenedFile]:
    """Read the header of a file whose results need no path yet, as `open_planes`.

    `name` begins every error sentence. `format` may be "same". `folder` is for scratch files.
    """
    with ExitStack() as stack:
        decoder = stack.enter_context(engine.decoders.checkout())
        remote, path = None, Path(source)
        if is_address(source):
            remote = stack.enter_context(ObjectFile(str(source), folder))
            path = remote.copy.path
        planes = choose_planes(decoder.read_header(path, name), options.choice)
        if remote is not None and planes.whole.stack is not None:
            # Ranks read windows of the first plane only from a store.
            remote.fetch_all()
            remote = None
        make_job = partial(job_of, engine, decoder, path, planes, remote)
        yield OpenedFile(planes, partial(make_job, steps, format, folder, options))


def job_of(
    engine: JobFactory,
    decoder: Decoder,
    path: Path,
    planes: ChosenPlanes,
    remote: ObjectFile | None,
    steps: Steps,
    format: str,
    folder: Path,
    options: RunOptions,
    number: int,
) -> FileJob:
    """Make the job of a plane of a file, by its number among the chosen ones."""
    header = read_plane_header(decoder, path, planes, number)
    inputs = {name: Path(each) for name, each in options.inputs.items()}
    given = steps, format, folder, options.depth, options.metadata, inputs, remote
    return FileJob(engine, decoder, path, header, *given, among=planes.whole.stack)


@contextmanager
def open_file(
    engine: JobFactory, source: Path | str, target: Path, steps: Steps, options: RunOptions = PLAIN
) -> Iterator[FileJob]:
    """Make the job of the first chosen plane of a file, for a ``with`` block.

    Raises
    ------
    Rejected
        With one sentence, if files or steps are not accepted, or there is too little room.
    """
    with open_planes(engine, source, target, steps, options) as opened, opened.make_job(0) as file:
        yield file


def check_paths(source: Path | str, target: Path, inputs: Files = MappingProxyType({})) -> str:
    """Check that the sources exist and the target can be written; return the target's format.

    Raises
    ------
    Rejected
        If a check fails, or the suffix of the target is that of no format.
    """
    for each in (source, *inputs.values()):
        if not is_address(each) and not Path(each).is_file():
            raise Rejected(f"{each}: no such file")
    target_format = format_of(target.name)
    if target.is_dir():
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
    source, target = source if is_address(source) else Path(source), Path(target)
    with open_planes(engine, source, target, steps, options) as opened:
        name, stack, form = opened.planes.whole.name, opened.planes.stack, format_of(target.name)
        if stack is not None and FORMATS[form].open_stack is None:
            raise stack_refusal(name, stack, form)
        return run_opened(engine, opened, lambda _: target, progress).notes


class Written(NamedTuple):
    """The files that a run has written.

    Attributes
    ----------
    image : Path
        The last image.
    kept, tables : dict of str to Path
        Kept images and tables by their names.
    notes : tuple of str
        One sentence for each property of the source that they could not keep.
    """

    image: Path
    kept: dict[str, Path]
    tables: dict[str, Path]
    notes: tuple[str, ...]


def run_opened(
    engine: JobFactory, opened: OpenedFile, target_of: Callable[[str], Path], progress: Progress
) -> Written:
    """Run a recipe on the planes of an opened file; `target_of` returns a path for a format."""
    if opened.planes.stack is None:
        with opened.make_job(0) as file:
            return run_plane(file, target_of(file.format), progress)
    given = opened.planes.whole.name, opened.planes.stack, opened.planes, engine.ranks
    job = StackJob(*given, opened.make_job)
    # What is read may kill the child of a decoder, so that results are written by another one.
    with engine.decoders.checkout() as decoder, StackFiles(decoder, job) as files:
        return run_planes(job, files, target_of, progress)


def run_plane(file: FileJob, target: Path, progress: Progress) -> Written:
    """Run the job of a file of one plane, and write its results."""
    file.read()
    file.job.start(progress)
    file.job.wait()
    notes = file.header.notes + write_whole(file, target)
    return Written(target, *file.paths_beside(target), notes)


def write_whole(file: FileJob, target: Path) -> tuple[str, ...]:
    """Write all results beside the target, then rename them: all are complete, or none is there.

    Raises
    ------
    Rejected
        If a format cannot hold its result, or a file cannot be written.
    Broken
        If the disk has no room.
    """
    writers: dict[Path, Callable[[Path], tuple[str, ...]]] = {}
    for path, number in images_of(file, target).items():
        writers[path] = partial(file.write, number=number)
    for path, name in tables_of(file, target).items():
        writers[path] = partial(write_table, file.job.tables[name])
    notes: tuple[str, ...] = ()
    with complete_files() as parts:
        for path, write in writers.items():
            said = write(parts(path))
            notes += said if path == target else named(path, said)
    return notes


def run_planes(
    job: StackJob, files: StackFiles, target_of: Callable[[str], Path], progress: Progress
) -> Written:
    """Run the jobs of all planes of a file, and write each plane when it is computed."""
    notes: tuple[str, ...] = ()
    with complete_files() as parts:
        for number, file in job.finished():
            if number == 0:
                target = target_of(file.format)
            with job.naming(number):
                for path, result in images_of(file, target).items():
                    files.add_image(parts(path), number, file, result)
                for path, name in tables_of(file, target).items():
                    files.add_table(parts(path), number, file.job.tables[name])
            progress(number + 1, job.stack.planes)
        for path in images_of(file, target):
            said = files.notes_of(parts(path))
            notes += said if path == target else named(path, said)
        files.close()
    return Written(target, *file.paths_beside(target), notes)


def images_of(file: FileJob, target: Path) -> dict[Path, int]:
    """Return the paths of all images that a job writes, and their numbers among its results."""
    kept, _ = file.paths_beside(target)
    return {target: 0, **{kept[name]: number for name, number in file.job.plan.kept}}


def tables_of(file: FileJob, target: Path) -> dict[Path, str]:
    """Return the paths of all tables that a job writes, and the names of the tables."""
    return {path: name for name, path in file.paths_beside(target)[1].items()}


def named(path: Path, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return notes on a further result, which begin with the name of its file."""
    return tuple(f"{path.name}: {each}" for each in notes)


@contextmanager
def complete_files() -> Iterator[Callable[[Path], Path]]:
    """Rename files at the end of a ``with`` block: all are complete, or none is there.

    Yields
    ------
    callable
        Returns the path to write to until then, beside the path that it is given.

    Raises
    ------
    Rejected
        If a file cannot be written.
    Broken
        If the disk has no room.
    """
    parts: dict[Path, Path] = {}

    def part_of(path: Path) -> Path:
        return parts.setdefault(path, path.with_name(f".{path.name}.part"))

    try:
        yield part_of
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        path = list(parts)[-1]
        family = Broken if is_shortage(error) else Rejected
        raise family(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        # After a success the files have other names. A name too long to write cannot be removed.
        for part in parts.values():
            with suppress(OSError):
                part.unlink()
