"""Run a recipe on the planes of a file, each by itself, and write files of as many planes.

Small planes are farmed over the ranks, several at a time; a large one is cut over all of them, as
any image. Planes are decoded, computed and written in the order of the file, and only those that
are at work are in memory.
"""

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from cluster_worker.engine.file_plans import MEMORY_BYTES_MAX
from cluster_worker.engine.file_results import FileResult
from cluster_worker.engine.run_file import FileJob
from cluster_worker.engine.tables import Table, write_rows
from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.imagefiles.planes import ChosenPlanes
from cluster_worker.imagefiles.stacks import stack_refusal
from cluster_worker.pixels.stack import Stack

Progress = Callable[[int, int], None]
# Makes the job of a plane, by its number among the chosen ones.
MakeJob = Callable[[int], FileJob]


class StackJob:
    """The chosen planes of one file, on their way to files of as many planes.

    Parameters
    ----------
    name : str
        Of the file; begins every error sentence.
    stack : Stack
        What the chosen planes are.
    planes : ChosenPlanes
        The planes, and the file that they are chosen from.
    ranks : int
        Of the engine.
    make_job : callable
        Makes the job of a plane.
    """

    def __init__(
        self, name: str, stack: Stack, planes: ChosenPlanes, ranks: int, make_job: MakeJob
    ) -> None:
        self.name = name
        self.stack = stack
        self.planes = planes
        self.ranks = ranks
        self.make_job = make_job

    def finished(self) -> Iterator[tuple[int, FileJob]]:
        """Yield number and job of each plane when it is computed; a job is closed after its turn.

        Raises
        ------
        Rejected, Broken, Cancelled
            As `EngineJob.wait`; the sentence of a rejected plane names the plane.
        """
        pending: deque[tuple[int, FileJob]] = deque()
        try:
            for number in range(self.stack.planes):
                while pending and not self.has_room([each for _, each in pending]):
                    yield from self.wait(*pending.popleft())
                with self.naming(number):
                    pending.append((number, self.make_job(number)))
                    pending[-1][1].read()
                pending[-1][1].job.start()
            while pending:
                yield from self.wait(*pending.popleft())
        finally:
            for _, each in pending:
                each.stack.close()

    def wait(self, number: int, file: FileJob) -> Iterator[tuple[int, FileJob]]:
        """Wait for the job of a plane, yield both, and close the job."""
        with file:
            with self.naming(number):
                file.job.wait()
            yield number, file

    def has_room(self, pending: list[FileJob]) -> bool:
        """Return whether another plane may be decoded while these are at work.

        One plane is always decoded ahead of the ranks, unless the ranks decode planes themselves.
        """
        last = pending[-1]
        if last.is_streamed:
            return False
        most = 2 if last.job.task.wide else self.ranks + 1
        taken = [sum(each.nbytes for each in file.job.segments) for file in pending]
        return len(pending) < most and sum(taken) + taken[-1] <= MEMORY_BYTES_MAX

    @contextmanager
    def naming(self, number: int) -> Iterator[None]:
        """Name a plane in the sentence of its `Rejected`, unless the steps are at fault."""
        try:
            yield
        except Rejected as error:
            if str(error).startswith("steps"):
                raise
            text = str(error).removeprefix(f"{self.name}: ")
            raise Rejected(f"{self.name}: {self.name_of(number)}: {text}") from error

    def name_of(self, number: int) -> str:
        """Return the name of a chosen plane: its place in the file."""
        whole = self.planes.whole.stack or self.stack
        return whole.name(self.planes.numbers[number])

    def columns(self, number: int, rows: int) -> dict[str, Any]:
        """Return the first columns of a table: the plane, and its place along several axes.

        All are places in the file, and count from 1 as the options that choose planes do.
        """
        whole, plane = self.planes.whole.stack or self.stack, self.planes.numbers[number]
        place = {"plane": plane + 1}
        if len(whole.axes) > 1:
            place |= {axis: each + 1 for axis, each in whole.place(plane).items()}
        return {name: np.full(rows, each, np.int64) for name, each in place.items()}


class StackFiles:
    """The files of several planes that a `StackJob` writes: images and tables.

    Parameters
    ----------
    decoder : Decoder
        Encodes, and keeps the files open in its child process.
    job : StackJob
        The job.
    """

    def __init__(self, decoder: Decoder, job: StackJob) -> None:
        self.decoder = decoder
        self.job = job
        self.formats: dict[Path, str] = {}
        self.notes: dict[Path, Counter[str]] = {}
        self.tables: dict[Path, Any] = {}
        self.columns: dict[Path, list[str]] = {}
        self.stack = ExitStack()

    def add_image(self, path: Path, number: int, file: FileJob, result: int) -> None:
        """Write a result of a plane; the planes must come in order.

        Raises
        ------
        Rejected
            If the format cannot hold it.
        OSError
            If the file cannot be written.
        """
        found = file.results[result]
        if number == 0:
            self.begin(path, found)
        elif found.format != self.formats[path]:
            raise Rejected(
                f"its result is a {FORMATS[found.format].title}, and that of the planes before it "
                f"a {FORMATS[self.formats[path]].title}; choose TIFF"
            )
        image = file.job.kept_pixels(result) if found.spool is None else found.spool.pieces()
        shape, dtype = found.header.image.shape, found.header.image.dtype
        given = image, shape, dtype, found.format, found.header, self.job.stack, number
        notes = file.notes if result == 0 else ()
        notes += found.notes + self.decoder.write_plane(path, *given)
        self.notes[path].update(list(dict.fromkeys(file.header.notes * (result == 0) + notes)))

    def begin(self, path: Path, result: FileResult) -> None:
        """Note the format of a new file; the decoder gives it up if it is not completed.

        Raises
        ------
        Rejected
            If the format holds one plane.
        """
        if FORMATS[result.format].open_stack is None:
            raise stack_refusal(self.job.name, self.job.stack, result.format)
        form, stack = FORMATS[result.format], self.job.stack
        self.formats[path] = result.format
        self.notes[path] = Counter(unheld(stack, form.title, form.holds_axes, form.holds_times))
        self.stack.callback(self.drop, path)

    def drop(self, path: Path) -> None:
        """Have the decoder close a file, unless it is complete."""
        with suppress(Rejected, Broken, OSError):
            self.decoder.drop_stack(path, self.job.name)

    def add_table(self, path: Path, number: int, table: Table) -> None:
        """Append the rows of a plane to a table, with the plane's number in the file.

        Raises
        ------
        Rejected
            If the table has other columns than that of the first plane.
        OSError
            If the file cannot be written.
        """
        rows = len(next(iter(table.values()))) if table else 0
        whole = {**self.job.columns(number, rows), **table}
        if number == 0:
            opened = path.open("w", newline="", encoding="utf-8")
            self.tables[path] = csv.writer(self.stack.enter_context(opened), lineterminator="\n")
            self.columns[path] = list(whole)
            self.tables[path].writerow(list(whole))
        if list(whole) != self.columns[path]:
            raise Rejected("its table has other columns than that of the first plane")
        write_rows(self.tables[path], list(whole.values()))

    def close(self) -> None:
        """Close all files; those that are not complete are given up."""
        self.stack.close()

    def __enter__(self) -> Self:
        """Return the files themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files."""
        self.close()

    def notes_of(self, path: Path) -> tuple[str, ...]:
        """Return the notes on a file; a note on some planes says on how many."""
        planes = self.job.stack.planes
        return tuple(
            note if count == planes or planes == 1 else f"{note} ({count} of {planes} planes)"
            for note, count in self.notes[path].items()
        )


def unheld(stack: Stack, title: str, holds_axes: bool, holds_times: bool) -> dict[str, int]:
    """Return notes on what files of a format cannot hold of a stack, each on all planes."""
    notes = []
    if not holds_axes and stack.axes not in ("p", "t"):
        notes.append(f"axes {stack.axes} dropped: {title} files have frames without axes")
    if not holds_times and stack.milliseconds:
        notes.append(f"times of the frames dropped: {title} files cannot hold them")
    return dict.fromkeys(notes, stack.planes)
