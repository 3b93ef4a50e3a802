"""Run a recipe on all image files of a folder: many side by side, each by itself.

Small images run on one rank each, so that all ranks have work; a large one is cut over all ranks.
A file that is refused stops no other one, and a run that was ended goes on where it was.
"""

import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cluster_worker.engine.file_results import check_output
from cluster_worker.engine.file_to_file import Across, RunOptions, file_job, write_whole
from cluster_worker.engine.folders import (
    FolderFile,
    Journal,
    Outcome,
    check_names,
    is_folder,
    join_tables,
    list_files,
)
from cluster_worker.engine.run_file import Files, JobFactory
from cluster_worker.engine.run_stack import AnyFile, AnyJob, StackRun
from cluster_worker.engine.steps import checked_steps, operation_catalogue
from cluster_worker.errors import Cancelled, Rejected, classify_error
from cluster_worker.imagefiles.carry import Metadata
from cluster_worker.imagefiles.formats import WRITTEN
from cluster_worker.imagefiles.output import USUAL, Output
from cluster_worker.pixels.stack import ALL, Choice
from cluster_worker.plan.request import Depth
from config.contract import recipe
from config.contract.results import result_steps

# While some files are decoded or encoded, others must keep the ranks busy.
SPARE_FILES = 2


class Engine(JobFactory, Protocol):
    """What a run of a folder needs of an engine."""

    ranks: int


@dataclass(frozen=True)
class FolderOptions:
    """What holds for all files.

    Attributes
    ----------
    steps : sequence of mapping
        The recipe, as for `Engine.run`.
    format : str
        Name of the results' format; "same" for that of each file, if it can hold the result.
    depth : {"input", "native"}
        As for `Engine.run`.
    metadata : {"keep", "strip"}
        As for `Engine.run_file`.
    inputs : mapping of str to Path
        Other images, the same for all files.
    choice : Choice
        Which planes and channels of each file are read.
    quality : int or None
        As for `Engine.run_file`; under "same", results without loss ignore it.
    across, output
        As for `Engine.run_file`.
    """

    steps: Sequence[Mapping[str, Any]]
    format: str = "same"
    depth: Depth = "input"
    metadata: Metadata = "keep"
    inputs: Files = field(default_factory=dict)
    choice: Choice = ALL
    quality: int | None = None
    across: Across = "plane"
    output: Output = USUAL

    @property
    def written(self) -> Output:
        """How results are written, with the quality."""
        quality = self.output.quality if self.quality is None else self.quality
        return self.output._replace(quality=quality)


@dataclass(frozen=True)
class FolderReport:
    """What became of a folder.

    Attributes
    ----------
    written, failed : tuple of Outcome
        The files of this run.
    before : int
        Number of files that had their results already.
    tables : tuple of Path
        CSV files with the rows of all images.
    """

    written: tuple[Outcome, ...]
    failed: tuple[Outcome, ...]
    before: int
    tables: tuple[Path, ...]


class Progress:
    """Hears of a run: how many files there are to do, then of each that is done."""

    def begin(self, files: int, before: int) -> None:
        """Hear how many files are to be done, and how many were done before."""

    def done(self, outcome: Outcome) -> None:
        """Hear what became of a file; called on the caller's thread."""


def run_folder(
    engine: Engine,
    source: str | Path,
    target: str | Path,
    options: FolderOptions,
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> FolderReport:
    """Run a recipe on all image files of a folder, and of the folders in it.

    Results have the names of their files, in the same folders below `target`. There, too, each
    table has one CSV with the rows of all images, and ``dip-run.jsonl`` has a line for each file.

    Parameters
    ----------
    engine : Engine
        Runs the jobs.
    source : str or Path
        A folder, or a pattern such as ``"scans/**/*.tif"``.
    target : str or Path
        Folder for the results; it is made if it is missing.
    options : FolderOptions
        Steps, format and more.
    progress : Progress, optional
        Hears of each file.
    again : bool
        Whether to make results anew that are there already.

    Returns
    -------
    FolderReport
        What was written and what failed, each with one sentence.

    Raises
    ------
    Rejected
        With one sentence, if the steps are not accepted, no image file is there, two results would
        have one name, or `target` holds results of other steps.
    """
    target = Path(target)
    check_options(source, target, options)
    steps = json.loads(checked_steps(options.steps, tuple(options.inputs)))
    files = list_files(source, target)
    found = result_steps(steps, recipe.by_name(operation_catalogue()))
    tables = [each.name for each in found if each.kind == "table"]
    check_names(files, [each.name for each in found if each.kind == "image" and each.name], tables)
    with Journal(target, {"steps": steps, **described(options)}, again=again) as journal:
        todo = [each for each in files if not journal.is_done(each)]
        heard = progress or Progress()
        heard.begin(len(todo), len(files) - len(todo))
        outcomes = []
        for outcome in FolderRun(engine, target, options).run(todo):
            journal.add(outcome)
            outcomes.append(outcome)
            heard.done(outcome)
        done = [journal.done[each.name] for each in files if each.name in journal.done]
    return FolderReport(
        tuple(each for each in outcomes if not each.error),
        tuple(each for each in outcomes if each.error),
        len(files) - len(todo),
        tuple(join_tables(target, done)),
    )


def check_options(source: str | Path, target: Path, options: FolderOptions) -> None:
    """Check all that does not depend on a single file; raises Rejected."""
    if not is_folder(source):
        raise Rejected(f"{source}: no such folder")
    if target.exists() and not target.is_dir():
        raise Rejected(f"{target}: must be a folder, since {source} holds many files")
    if options.format != "same" and options.format not in WRITTEN:
        raise Rejected(f"format: must be same, {', '.join(WRITTEN)}; got {options.format!r}")
    check_output(options.written, options.format)
    for each in options.inputs.values():
        if not each.is_file():
            raise Rejected(f"{each}: no such file")


def described(options: FolderOptions) -> dict[str, Any]:
    """Return the options besides the steps, as JSON can hold them."""
    inputs = {name: version_of(path) for name, path in options.inputs.items()}
    shown = ("format", "depth", "metadata", "quality")
    found = {name: getattr(options, name) for name in shown}
    planes = options.choice._asdict()
    # What is as the files say is left out, as in older journals; as text, NaN equals itself.
    kind, nodata, incomplete = (planes.pop(each) for each in ("kind", "nodata", "incomplete"))
    planes |= {"incomplete": True} if incomplete else {}
    planes |= {"kind": kind} if kind else {}
    planes |= {"nodata": str(nodata)} if nodata is not None else {}
    planes |= {"across": options.across} if options.across != "plane" else {}
    # Older journals say nothing of it.
    written = None if options.output == USUAL else options.output._asdict()
    return {**found, "inputs": inputs, "planes": planes, "output": written}


def version_of(path: Path) -> dict[str, Any]:
    """Return what tells a file, and its content, from others."""
    told = path.stat()
    return {"path": str(path.resolve()), "bytes": told.st_size, "changed": told.st_mtime_ns}


class FolderRun:
    """The files of a run, on threads that wait for decoders and ranks.

    Parameters
    ----------
    engine : Engine
        Runs the jobs.
    target : Path
        Folder for the results.
    options : FolderOptions
        Steps, format and more.
    """

    def __init__(self, engine: Engine, target: Path, options: FolderOptions) -> None:
        self.engine = engine
        self.target = target
        self.options = options
        self.waiting: queue.SimpleQueue[FolderFile] = queue.SimpleQueue()
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.jobs: set[AnyJob] = set()

    def run(self, files: Sequence[FolderFile]) -> Iterator[Outcome]:
        """Run all files, and yield each outcome as it comes; when closed early, cancel the rest."""
        for each in files:
            self.waiting.put(each)
        # Other hosts run one job after the other; each file that waits is in memory here.
        side_by_side = self.engine.ranks if self.engine.chunk == 1 else 1
        count = min(len(files), side_by_side + SPARE_FILES)
        threads = [threading.Thread(target=self.work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for _ in files:
                yield self.outcomes.get()
        finally:
            self.end()
            for thread in threads:
                thread.join()

    def end(self) -> None:
        """Begin no more files, and cancel those that run."""
        with self.lock:
            self.ended.set()
            jobs = list(self.jobs)
        for job in jobs:
            job.cancel()

    def work(self) -> None:
        """Take one file after the other; one thread of several."""
        while not self.ended.is_set():
            try:
                each = self.waiting.get_nowait()
            except queue.Empty:
                return
            self.outcomes.put(self.outcome_of(each))

    def outcome_of(self, each: FolderFile) -> Outcome:
        """Run one file, and tell what became of it."""
        try:
            told = each.path.stat()
        except OSError as error:
            return Outcome(each.name, 0, 0, error=f"{each.path}: {error.strerror}")
        known = each.name, told.st_size, told.st_mtime_ns
        try:
            with self.opened(each) as file:
                file.read()
                file.job.start()
                file.job.wait()
                target = self.target / f"{each.stem}{each.ending(file.format)}"
                notes = file.header.notes + write_whole(file, target)
                found = file.paths_beside(target)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread
            why = classify_error(error)
            text = str(why)
            # What a step or the memory refuses does not name the file.
            text = text if each.name in text else f"{each.name}: {text}"
            return Outcome(*known, error=text, ours=not isinstance(why, Rejected))
        kept, tables = (
            {name: self.name_of(path) for name, path in paths.items()} for paths in found
        )
        return Outcome(*known, self.name_of(target), kept, tables, notes)

    def name_of(self, path: Path) -> str:
        """Return the path of a result below the folder."""
        return path.relative_to(self.target).as_posix()

    @contextmanager
    def opened(self, each: FolderFile) -> Iterator[AnyFile]:
        """Make the job of a file, which `end` cancels, for a ``with`` block."""
        given = self.options
        folder = (self.target / each.stem).parent
        folder.mkdir(parents=True, exist_ok=True)
        how = given.depth, given.metadata, given.inputs, given.choice, given.written
        options = RunOptions(folder, *how, given.across)
        with self.engine.decoders.checkout() as decoder:
            header = decoder.read_header(each.path, each.name)
            place = each.path, header, given.steps, given.format, folder
            with file_job(self.engine, decoder, *place, options, look=self.look) as file:
                self.add(file.job)
                try:
                    yield file
                finally:
                    with self.lock:
                        self.jobs.discard(file.job)

    def add(self, job: AnyJob) -> None:
        """Note a job that is about to run; raises Cancelled if the run has ended."""
        with self.lock:
            if self.ended.is_set():
                raise Cancelled
            self.jobs.add(job)

    def look(self) -> bool:
        """Return whether files of this run hold shared memory and are at work.

        A file that waits for memory goes on to wait then, however long the others take. The engine
        ends those that take too long.

        Raises
        ------
        Cancelled
            If the run has ended.
        """
        with self.lock:
            if self.ended.is_set():
                raise Cancelled
            return any(not isinstance(job, StackRun) or not job.is_waiting for job in self.jobs)
