"""Run a recipe on the planes of a file, each by itself, and write files of as many planes.

Small planes are farmed over the ranks, several at a time; a large one is cut over all of them, as
any image. Planes are decoded, computed and written in the order of the file, and only those that
are at work are in memory.
"""

import shutil
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self, Union

from cluster_worker.engine.file_plans import MEMORY_BYTES_MAX
from cluster_worker.engine.file_results import FileResult
from cluster_worker.engine.job import EngineJob, Progress, ignore
from cluster_worker.engine.run_file import FileJob
from cluster_worker.engine.tables import JoinedTables, Table
from cluster_worker.engine.wire import Task
from cluster_worker.errors import Broken, Cancelled, Rejected
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.imagefiles.planes import ChosenPlanes
from cluster_worker.imagefiles.stacks import stack_refusal, unheld
from cluster_worker.imagefiles.streams import Spool
from cluster_worker.pixels.shared_memory import Pixels, Wait
from cluster_worker.pixels.stack import Stack
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan
from cluster_worker.plan.request import Request
from cluster_worker.timings import NOTHING, SHARES_MAX, Share

# Makes the job of a plane, by its number among the chosen ones; it may wait for shared memory.
MakeJob = Callable[[int, Wait], FileJob]
# How long a plane waits for shared memory before the first one gives up its own.
FIRST_SECONDS = 10.0

AnyFile = Union[FileJob, "StackFile"]
AnyJob = Union[EngineJob, "StackRun"]


class StackFile:
    """The chosen planes of one file that are processed to files of as many planes.

    It is used as a `FileJob`: call `read`, start `job` and wait for it, then call `write`. The
    results are written to a folder while the planes are computed, and `write` moves them.

    Parameters
    ----------
    decoders : WarmDecoders
        One of them writes the results: what is read may kill the child of the decoder that reads.
    ranks : int
        Of the engine.
    planes : ChosenPlanes
        The planes, with a stack.
    make_job : callable
        Makes the job of a plane.
    scratch_dir : Path
        Folder on disk for the results until they are moved.
    wait : Wait
        How to wait for shared memory that others use.

    Attributes
    ----------
    first : FileJob
        The job of the first plane, which is open until this one is closed, or shared memory is
        short: then its pixels are no longer there.
    stack : Stack
        What the planes are.
    job : StackRun
        Runs the planes.
    reads_file : bool
        Whether the file must stay until the job is done.
    has_pixels : bool
        Whether the pixels of the first plane are still there, for pictures.

    Raises
    ------
    Rejected
        If steps or the first plane are not accepted, or the format holds one plane.
    """

    reads_file = True
    has_pixels = True
    # Planes are read from a copy of the file.
    remote = None

    def __init__(
        self,
        decoders: WarmDecoders,
        ranks: int,
        planes: ChosenPlanes,
        make_job: MakeJob,
        scratch_dir: Path,
        wait: Wait,
    ) -> None:
        assert planes.stack is not None  # noqa: S101 - one plane is a `FileJob`
        self.decoders, self.ranks, self.planes = decoders, ranks, planes
        self.stack: Stack = planes.stack
        self.make_job, self.wait = make_job, wait
        with ExitStack() as stack:
            with self.naming(0):
                self.first = stack.enter_context(make_job(0, wait))
            for each in self.first.results:
                if FORMATS[each.format].open_stack is None:
                    raise stack_refusal(self.name, self.stack, each.format)
            self.folder = Path(tempfile.mkdtemp(prefix=".dip-", dir=scratch_dir))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.job = StackRun(self)
            stack.callback(self.job.close)
            self.closing = stack.pop_all()
        self.notes: list[Counter[str]] = [
            Counter(unheld(self.stack, FORMATS[each.format])) for each in self.results
        ]

    @property
    def name(self) -> str:
        """Name of the file; begins every error sentence."""
        return self.planes.whole.name

    @property
    def header(self) -> Header:
        """The header of the first plane, with the notes on the whole file."""
        return replace(self.first.header, notes=self.planes.whole.notes)

    @property
    def path(self) -> Path:
        """The file that is read."""
        return self.first.path

    @property
    def results(self) -> list[FileResult]:
        """The results of the first plane."""
        return self.first.results

    @property
    def format(self) -> str:
        """Name of the format of the last image."""
        return self.first.format

    @property
    def result(self) -> Header:
        """What the first plane of the last image is and carries."""
        return self.first.result

    @property
    def spool(self) -> Spool | None:
        """Where the tiles of the first plane lie until they are written."""
        return self.first.spool

    @property
    def unrolled(self) -> Pixels | None:
        """Where the bare pixels of the first plane lie on disk, if they do."""
        return self.first.unrolled

    @property
    def is_streamed(self) -> bool:
        """Whether the ranks read planes by windows."""
        return self.first.is_streamed

    def read(self) -> None:
        """Do nothing: planes are read when their turn comes."""

    def paths_beside(self, target: Path) -> tuple[dict[str, Path], dict[str, Path]]:
        """Return where kept images and tables are written beside the last image."""
        return self.first.paths_beside(target)

    def part(self, number: int) -> Path:
        """Return where a result lies until it is moved."""
        return self.folder / f"result-{number}"

    def write(self, path: Path, number: int = 0) -> tuple[str, ...]:
        """Move a result to its place; the last image is number 0.

        Returns
        -------
        tuple of str
            The notes on its planes. One that does not hold for all of them says for how many.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        shutil.move(self.part(number), path)
        planes = self.stack.planes
        return tuple(
            note if count == planes else f"{note} ({count} of {planes} planes)"
            for note, count in self.notes[number].items()
        )

    def add(self, decoder: Decoder, number: int, file: FileJob) -> None:
        """Write the results of a plane behind those before it.

        Raises
        ------
        Rejected
            If a format cannot hold it.
        OSError
            If a file cannot be written.
        """
        for index, (found, one) in enumerate(zip(file.results, self.results, strict=True)):
            if found.format != one.format:
                raise Rejected(
                    f"its result is a {FORMATS[found.format].title}, and that of the first plane "
                    f"a {FORMATS[one.format].title}; choose TIFF"
                )
            image = file.job.kept_pixels(index) if found.spool is None else found.spool.pieces()
            described = found.header.image
            given = image, described.shape, described.dtype, found.format, found.header
            said = decoder.write_plane(self.part(index), *given, self.stack, number)
            said = found.notes + said
            if index == 0:
                said = file.header.notes + file.notes + said
            known = self.planes.whole.notes
            self.notes[index].update({note for note in said if note not in known})

    def release_first(self) -> None:
        """Free the memory of the first plane, once it is written: no pictures are made of it."""
        self.has_pixels = False
        self.first.stack.close()

    def drop(self, decoder: Decoder) -> None:
        """Have the decoder close the files of results that were not completed."""
        for number in range(len(self.results)):
            with suppress(Rejected, Broken, OSError):
                decoder.drop_stack(self.part(number), self.name)

    @contextmanager
    def naming(self, number: int) -> Iterator[None]:
        """Name a plane in the sentence of its `Rejected`, unless the steps are at fault."""
        try:
            yield
        except Rejected as error:
            if str(error).startswith("steps"):
                raise
            text = str(error).removeprefix(f"{self.name}: ")
            whole = self.planes.whole.stack or self.stack
            plane = whole.name(self.planes.numbers[number])
            raise Rejected(f"{self.name}: {plane}: {text}") from error

    def __enter__(self) -> Self:
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the job if it is not done, and remove the scratch files."""
        self.closing.close()


class StackRun:
    """The engine jobs of all planes of a file, started and awaited as one `EngineJob`.

    Parameters
    ----------
    file : StackFile
        The file.

    Attributes
    ----------
    done : Future
        Set once all planes are written, or one has failed.
    spent, shares : Spent, list of Share
        What the planes that are done have used, and what ranks did of the first of them.
    began : float
        Seconds on the monotonic clock; 0 before the start.
    joined : JoinedTables
        The tables of the planes that are done.
    is_waiting : bool
        Whether it waits for shared memory, and has none.
    """

    def __init__(self, file: StackFile) -> None:
        self.file = file
        self.done: Future[None] = Future()
        self.spent, self.began, self.planes_done = NOTHING, 0.0, 0
        self.shares: list[Share] = []
        self.joined = JoinedTables()
        self.is_waiting = False
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.running: set[EngineJob] = set()
        self.thread: threading.Thread | None = None

    @property
    def alone(self) -> EngineJob:
        """The job of the first plane."""
        return self.file.first.job

    @property
    def request(self) -> Request:
        """What the plan of the first plane is made from."""
        return self.alone.request

    @property
    def plan(self) -> Plan | RecipePlan:
        """The plan of the first plane."""
        return self.alone.plan

    @property
    def task(self) -> Task:
        """What the ranks receive for the first plane."""
        return self.alone.task

    @property
    def source_pixels(self) -> Pixels:
        """The first plane in shared memory."""
        return self.alone.source_pixels

    @property
    def result_pixels(self) -> Pixels:
        """The result of the first plane in shared memory."""
        return self.alone.result_pixels

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by their names, with the rows of all planes."""
        return self.joined.tables

    def start(self, progress: Progress = ignore, *, first: bool = True) -> None:
        """Run the planes on a thread.

        Parameters
        ----------
        progress : callable
            ``progress(planes done, planes in all)``. If it raises an error, the job is cancelled
            and `wait` raises the error.
        first : bool
            As for `EngineJob.start`, for each plane.
        """
        self.began = time.monotonic()
        given = progress, first
        self.thread = threading.Thread(target=self.work, args=given, name="stack", daemon=True)
        self.thread.start()

    def work(self, progress: Progress, first: bool) -> None:
        """Run the planes, and settle the future."""
        try:
            with self.file.decoders.checkout() as decoder:
                try:
                    for number, file in self.finished(first):
                        with self.file.naming(number):
                            self.file.add(decoder, number, file)
                            for name, table in file.job.tables.items():
                                self.joined.add(name, table, self.file.planes.place(number))
                        self.planes_done = number + 1
                        progress(self.planes_done, self.file.stack.planes)
                finally:
                    self.file.drop(decoder)
                    self.spent = self.spent.plus(decoder.take_spent())
        except BaseException as error:  # noqa: BLE001 - it is raised by `wait`
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    def finished(self, first: bool) -> Iterator[tuple[int, FileJob]]:
        """Yield number and job of each plane when it is computed; a job is closed after its turn.

        Raises
        ------
        Rejected, Broken, Cancelled
            As `EngineJob.wait`; the sentence of a rejected plane names the plane.
        """
        pending: deque[tuple[int, FileJob]] = deque()
        try:
            for number in range(self.file.stack.planes):
                while pending and not self.has_room([each for _, each in pending]):
                    yield from self.waited(*pending.popleft())
                while (made := self.begin(number, is_alone=not pending)) is None:
                    yield from self.waited(*pending.popleft())
                pending.append((number, made))
                with self.file.naming(number):
                    made.read()
                self.add(made.job)
                made.job.start(first=first)
            while pending:
                yield from self.waited(*pending.popleft())
        finally:
            for number, each in pending:
                self.close_plane(number, each)

    def begin(self, number: int, *, is_alone: bool) -> FileJob | None:
        """Make the job of a plane; None if shared memory is short while other planes take some.

        A stack whose planes hold memory must not wait for more: what it waits for may be held by
        its own planes, or by another stack that waits for these.

        Raises
        ------
        Broken
            If others use the shared memory for too long.
        Cancelled
            If the job is cancelled meanwhile.
        """
        if number == 0:
            return self.file.first
        first_wait = Wait(FIRST_SECONDS if is_alone else 0.0, self.check)
        with self.file.naming(number):
            with suppress(TimeoutError):
                return self.file.make_job(number, first_wait)
            if not is_alone:
                return None
            self.file.release_first()
            self.is_waiting = True
            try:
                return self.file.make_job(number, self.file.wait._replace(look=self.look))
            except TimeoutError as error:
                raise Broken(f"{self.file.name}: {error}") from error
            finally:
                self.is_waiting = False

    def check(self) -> None:
        """Raise Cancelled if the job is cancelled."""
        if self.ended.is_set():
            raise Cancelled

    def look(self) -> bool | None:
        """Answer as the look of the file's own wait, unless the job is cancelled."""
        self.check()
        return self.file.wait.look()

    def waited(self, number: int, file: FileJob) -> Iterator[tuple[int, FileJob]]:
        """Wait for the job of a plane, yield both, and close the job."""
        try:
            with self.file.naming(number):
                file.job.wait()
            self.spent = self.spent.plus(file.job.spent)
            self.shares += file.job.shares if len(self.shares) < SHARES_MAX else []
            yield number, file
        finally:
            self.close_plane(number, file)

    def close_plane(self, number: int, file: FileJob) -> None:
        """Close the job of a plane; that of the first one stays open for its pixels."""
        with self.lock:
            self.running.discard(file.job)
        if number:
            file.stack.close()

    def has_room(self, pending: list[FileJob]) -> bool:
        """Return whether another plane may be decoded while these are at work.

        One plane is always decoded ahead of the ranks, unless the ranks decode planes themselves.
        """
        last = pending[-1]
        if last.is_streamed:
            return False
        most = 2 if last.job.task.wide else self.file.ranks + 1
        taken = [sum(each.nbytes for each in file.job.segments) for file in pending]
        return len(pending) < most and sum(taken) + taken[-1] <= MEMORY_BYTES_MAX

    def add(self, job: EngineJob) -> None:
        """Note a job that is about to run; raises Cancelled if all have ended."""
        with self.lock:
            if self.ended.is_set():
                raise Cancelled
            self.running.add(job)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until all planes are written.

        Raises
        ------
        Rejected, Broken, Cancelled, TimeoutError
            As for `EngineJob.wait`; the sentence of a rejected plane names the plane.
        """
        self.done.result(seconds)

    def seconds_left(self) -> float:
        """Estimate the remaining seconds, by the pace so far or by the plan of a plane."""
        planes = self.file.stack.planes
        if self.planes_done:
            elapsed = time.monotonic() - self.began
            return elapsed * (planes - self.planes_done) / self.planes_done
        side_by_side = 1 if self.task.wide else min(planes, self.file.ranks)
        return self.alone.seconds_left() * planes / side_by_side

    def cancel(self) -> None:
        """Cancel the jobs of all planes; `wait` then raises Cancelled."""
        with self.lock:
            self.ended.set()
            for each in self.running:
                each.cancel()

    def close(self) -> None:
        """Cancel the job if it is not done, and wait for its thread."""
        if self.thread is not None:
            if not self.done.done():
                self.cancel()
            self.thread.join()
