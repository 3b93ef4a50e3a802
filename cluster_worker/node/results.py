"""The results of a job: their files, before they are stored, and what the row says of them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster_worker.engine.run_stack import AnyFile, AnyJob, StackFile, StackRun
from cluster_worker.engine.steps import operation_catalogue
from cluster_worker.engine.tables import units_of
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.objects.spools import StoredTiles
from cluster_worker.plan.recipe import RecipePlan
from config.contract import recipe, resources
from config.contract.job import Job
from config.contract.results import Result, ResultStep, result_steps
from config.contract.settings import MIB

CSV_TYPE = "text/csv"
# Numbers of all tables of a job. A node holds them in its own memory, and their text, which is
# larger, in that of all jobs.
TABLES_BYTES_MAX = 256 * MIB


class ResultWriter:
    """Writes the results of a job that the engine has done to files.

    Parameters
    ----------
    file : FileJob or StackFile
        The job, which is done.
    row : Job
        The job, as this attempt claimed it.
    folder : Path
        For the files.

    Attributes
    ----------
    results : list of Result
        What the row will say of those that are written.
    main : Result
        The last image, once it is written.
    notes : tuple of str
        What the user should know of the images that are written, one sentence each.
    tiles : dict of Path to StoredTiles
        Of files that hold only the head of a result: what follows it lies in a store.
    """

    def __init__(self, file: AnyFile, row: Job, folder: Path) -> None:
        self.file = file
        self.row = row
        self.folder = folder
        self.steps = json.loads(file.job.request.steps)
        self.numbers = dict(file.job.plan.kept)
        self.results: list[Result] = []
        self.main: Result
        self.notes: tuple[str, ...] = ()
        self.tiles: dict[Path, StoredTiles] = {}

    @property
    def main_path(self) -> Path:
        """The file of the last image."""
        return self.folder / "result"

    def write(self, check: Callable[[], None]) -> Iterator[tuple[Path, Result]]:
        """Write the results one after the other, in the order of the recipe's steps.

        Parameters
        ----------
        check : callable
            Called before each; raises if the job is lost.

        Yields
        ------
        Path, Result
            The file, and what the row will say of it.

        Raises
        ------
        Rejected
            If a format cannot hold an image, or the tables are too large.
        OSError
            If a file cannot be written.
        """
        check_tables(self.file.job)
        found = result_steps(self.steps, recipe.by_name(operation_catalogue()))
        for number, step in enumerate(found):
            check()
            path = self.main_path if step.is_last_image else self.folder / f"result-{number}"
            write = self.table if step.kind == "table" else self.image
            self.results.append(write(step, path))
            if step.is_last_image:
                self.main = self.results[-1]
            yield path, self.results[-1]

    def image(self, step: ResultStep, path: Path) -> Result:
        """Write the last image, or one that is kept."""
        number = 0 if step.is_last_image else self.numbers[step.name]
        notes = self.file.write(path, number)
        form = FORMATS[self.file.results[number].format]
        if step.is_last_image:
            key = resources.result_key(*self.attempt, form.extension)
            name = f"{Path(self.row.name).stem}.{form.extension}"
            self.notes = notes + self.notes
        else:
            key, name = self.names(step, form.extension)
            self.notes += tuple(f"{step.name}: {each}" for each in notes)
        size = path.stat().st_size
        if self.file.results[number].stored and not isinstance(self.file, StackFile):
            self.tiles[path] = tiles = self.file.tiles(number)
            size += tiles.nbytes
        given = step.id, step.operation, step.kind
        kind = self.file.job.plan.results[number].result_kind
        return Result(*given, key, name, form.media_type, size, image_kind=kind)

    def table(self, step: ResultStep, path: Path) -> Result:
        """Write a table as CSV."""
        table = self.file.job.tables[step.name]
        table.to_csv(path)
        units = units_of(self.steps[step.number], table)
        columns = tuple(zip(table, units, strict=True))
        rows = max(map(len, table.values()), default=0)
        given = step.id, step.operation, step.kind, *self.names(step, "csv")
        size = pixel_size_of(self.file.job, step.name)
        return Result(*given, CSV_TYPE, path.stat().st_size, rows, columns, pixel_size=size)

    def names(self, step: ResultStep, extension: str) -> tuple[str, str]:
        """Return the key of a result beside the last image, and the name of its download."""
        key = resources.further_result_key(*self.attempt, step.name, extension)
        return key, f"{Path(self.row.name).stem}_{step.name}.{extension}"

    @property
    def attempt(self) -> tuple[str, str, int]:
        """What the keys of this attempt begin with."""
        return self.row.batch, self.row.job, self.row.attempt


def pixel_size_of(job: AnyJob, table: str) -> tuple[float, float] | None:
    """Return height and width in metres of the pixels that a table measures; None if unknown."""
    assert isinstance(job.plan, RecipePlan)  # noqa: S101 - a plan of one chain has no tables
    return next(each.pixel_size for each in job.plan.chains if each.table == table)


def check_tables(job: AnyJob) -> None:
    """Check the size of a job's tables: before they are read, or of the planes that are done.

    Raises
    ------
    Rejected
        If they are too large.
    """
    size = tables_bytes(job)
    if size > TABLES_BYTES_MAX:
        raise Rejected(
            f"the tables hold {size / MIB:,.0f} MiB of numbers; at most "
            f"{TABLES_BYTES_MAX / MIB:,.0f} MiB are kept for one image; measure fewer "
            "properties, or remove small objects before"
        )


def tables_bytes(job: AnyJob) -> int:
    """Return the size of a job's tables, without reading them; those of a stack are in memory."""
    if isinstance(job, StackRun):
        return job.joined.nbytes
    return sum(Path(each).stat().st_size for each in job.task.tables)
