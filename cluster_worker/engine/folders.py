"""The files of a folder: which are read, what their results are called, and which are done."""

import csv
import fcntl
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.zarr_store import is_zarr_folder
from cluster_worker.imagefiles.records import FORMATS, format_by_ending, titles

JOURNAL = "dip-run.jsonl"
# Of the journal's lines.
VERSION = 1
# The first columns of a joined table: name of the file, plane in it (from 1), and path below the
# folder.
IMAGE_COLUMNS = ("image", "plane", "path")
WILD = "*?["


@dataclass(frozen=True)
class FolderFile:
    """One image file of a folder.

    Attributes
    ----------
    path : Path
        Where it is.
    name : str
        Its path below the folder, with forward slashes.
    stem : str
        The path of its results below their folder, without the ending.
    """

    path: Path
    name: str
    stem: str

    def ending(self, format: str) -> str:
        """Return the ending of a result in a format: the file's own, if it is of that format."""
        own = format_by_ending(self.path.name)
        same = own is not None and own.name == format
        return ending_of(self.path) if same else f".{FORMATS[format].extension}"


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    source : str
        Path below the folder of the sources.
    size, changed : int
        Bytes of the source, and when it was last changed in nanoseconds, as the system tells.
    image : str
        Path of the result below its folder; empty if there is none.
    kept, tables : mapping of str to str
        Paths of kept images and tables by their names.
    notes : tuple of str
        One sentence for each property of the source that the result could not keep.
    error : str
        One sentence why there is no result.
    ours : bool
        Whether the error is a fault of ours or of the machine, and not of the file.
    """

    source: str
    size: int
    changed: int
    image: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    error: str = ""
    ours: bool = False

    @property
    def paths(self) -> list[str]:
        """Paths of all files that were written."""
        return [*filter(None, [self.image]), *self.kept.values(), *self.tables.values()]


def is_folder(source: str | Path) -> bool:
    """Return whether a path names a folder, or by a pattern many files."""
    if is_zarr_folder(Path(source)):
        return False
    return Path(source).is_dir() or (is_pattern(source) and not Path(source).exists())


def ending_of(path: Path) -> str:
    """Return the ending of an image file, which may have two points."""
    form = format_by_ending(path.name)
    for each in form.extensions if form else ():
        if path.name.lower().endswith(f".{each}"):
            return path.name[-len(each) - 1 :]
    return path.suffix


def is_pattern(source: str | Path) -> bool:
    """Return whether a path holds a wildcard."""
    return any(each in str(source) for each in WILD)


def list_files(source: str | Path, target: Path) -> list[FolderFile]:
    """Find the image files of a folder, with those of the folders in it, or of a pattern.

    Hidden files are left out, and so is the folder `target`.

    Parameters
    ----------
    source : str or Path
        A folder, or a pattern such as ``"scans/**/*.tif"``.
    target : Path
        Folder of the results.

    Returns
    -------
    list of FolderFile
        By their names.

    Raises
    ------
    Rejected
        If there is none, or all are below `target`.
    """
    top, pattern = split_pattern(source)
    own = target.resolve()
    found = sorted(
        path
        for path in top.glob(pattern)
        if format_by_ending(path.name) is not None
        and not any(part.startswith(".") for part in path.relative_to(top).parts)
        and (is_zarr_folder(path) if path.is_dir() else path.is_file())
    )
    # What lies in an OME-Zarr is no file of its own.
    folders = {path for path in found if path.is_dir()}
    found = [path for path in found if not folders.intersection(path.parents)]
    if not found:
        raise Rejected(f"{source}: no file there has the ending of {titles()}")
    found = [path for path in found if own not in path.resolve().parents]
    if not found:
        raise Rejected(
            f"{target}: must be another folder than that of the images; all of {source} lie in it"
        )
    names = [path.relative_to(top) for path in found]
    stems = Counter(bare(name) for name in names)
    # Two files that differ by their ending alone keep it as a part of their results' names.
    return [
        FolderFile(path, name.as_posix(), stem_of(name, stems[bare(name)] > 1))
        for path, name in zip(found, names, strict=True)
    ]


def check_names(files: Sequence[FolderFile], kept: Sequence[str], tables: Sequence[str]) -> None:
    """Check that no two results have one name.

    Parameters
    ----------
    files : sequence of FolderFile
        The sources.
    kept, tables : sequence of str
        Names of kept images and of tables, which end the names of their files: "cat_mask".

    Raises
    ------
    Rejected
        If a result would take the place of another one.
    """
    stems = [each.stem for each in files]
    images = [*stems, *(f"{stem}_{name}" for stem in stems for name in kept)]
    # A joined table has the name of the table alone.
    rows = [*tables, *(f"{stem}_{name}" for stem in stems for name in tables)]
    for found in (images, rows):
        for stem, count in Counter(found).items():
            if count > 1:
                raise Rejected(
                    f"{stem}: would be the name of {count} results; rename one of the files, or "
                    "give the step another id"
                )


def split_pattern(source: str | Path) -> tuple[Path, str]:
    """Return the folder above all that a pattern finds, and the pattern below it."""
    if not is_pattern(source) or Path(source).is_dir():
        return Path(source), "**/*"
    parts = Path(source).parts
    wild = next(number for number, part in enumerate(parts) if is_pattern(part))
    return Path(*parts[:wild]), str(Path(*parts[wild:]))


def stem_of(name: Path, with_ending: bool) -> str:
    """Return the path of a file's results without their ending."""
    stem = bare(name).as_posix()
    return f"{stem}_{name.suffix.lstrip('.')}" if with_ending else stem


def bare(name: Path) -> Path:
    """Return a path without the ending of its format."""
    return name.with_name(name.name.removesuffix(ending_of(name)) or name.name)


class Journal:
    """The file in the folder of the results that tells what was done there.

    Its first line says with which steps and options. Each other line is an `Outcome`, written once
    the results of a file are complete. So a run that was ended is taken up where it was.

    Parameters
    ----------
    folder : Path
        Of the results; it is made if it is missing.
    options : mapping
        Steps and options, as JSON can hold them.
    again : bool
        Whether to forget what was done.

    Attributes
    ----------
    done : dict of str to Outcome
        The outcomes of files with a result, by source.

    Raises
    ------
    Rejected
        If the folder cannot be made or written, holds the results of other steps, or another run
        writes there.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], *, again: bool = False) -> None:
        self.folder = folder
        self.path = folder / JOURNAL
        self.done: dict[str, Outcome] = {}
        first = {"version": VERSION, **options}
        with ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self.file = stack.enter_context(self.path.open("a", encoding="utf-8"))
                # The system releases it when the file is closed, however that comes about.
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if again:
                    self.file.truncate(0)
                lines = list(read_lines(self.path))
                # A power cut may have torn the last line.
                self.file.write("\n" * (self.path.read_bytes()[-1:] not in (b"", b"\n")))
            except BlockingIOError as error:
                raise Rejected(f"{folder}: another run writes its results there") from error
            except OSError as error:
                raise Rejected(f"{folder}: cannot be written: {error.strerror}") from error
            if lines:
                self.check(lines[0], first)
            else:
                self.append(first)
            for line in lines[1:]:
                with suppress(TypeError):
                    self.note(Outcome(**line))
            self.stack = stack.pop_all()

    def check(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Check that the results in the folder are of these steps and options."""
        for name, value in json.loads(json.dumps(wanted)).items():
            if found.get(name) != value:
                raise Rejected(
                    f"{self.folder}: holds results that were made with other {name}; "
                    "choose another folder, or make them anew with --again"
                )

    def append(self, line: Mapping[str, Any]) -> None:
        """Write a line at once."""
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def add(self, outcome: Outcome) -> None:
        """Note what became of a file."""
        self.append(asdict(outcome))
        self.note(outcome)

    def note(self, outcome: Outcome) -> None:
        """Remember an outcome; the last one of a file counts."""
        if outcome.error:
            self.done.pop(outcome.source, None)
        else:
            self.done[outcome.source] = outcome

    def is_done(self, each: FolderFile) -> bool:
        """Return whether a file has its results, and has not changed since."""
        outcome = self.done.get(each.name)
        if outcome is None:
            return False
        told = each.path.stat()
        unchanged = (outcome.size, outcome.changed) == (told.st_size, told.st_mtime_ns)
        return unchanged and all((self.folder / path).is_file() for path in outcome.paths)

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.stack.close()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of a journal, without those that are torn or of another shape."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found


def join_tables(folder: Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """Join the tables of all images, so that each name has one CSV in the folder.

    The first columns tell the image of a row (see `IMAGE_COLUMNS`). A column that an image does not
    have is empty in its rows.

    Returns
    -------
    list of Path
        The files.
    """
    found: dict[str, list[Outcome]] = {}
    for each in outcomes:
        for name in each.tables:
            found.setdefault(name, []).append(each)
    written = []
    for name, having in found.items():
        path = folder / f"{name}.csv"
        part = path.with_name(f".{path.name}.part")
        # A file's name may be no UTF-8; its bytes stay as they are.
        with part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            join_table(file, folder, name, having)
        part.replace(path)
        written.append(path)
    return written


def join_table(file: Any, folder: Path, name: str, outcomes: Sequence[Outcome]) -> None:
    """Write the rows of one table of all images; see `join_tables`."""
    paths = {each.source: folder / each.tables[name] for each in outcomes}
    columns: dict[str, None] = {}
    for path in paths.values():
        with path.open(newline="", encoding="utf-8") as each:
            columns.update(dict.fromkeys(next(csv.reader(each), [])))
    # Tables of stacks have it themselves.
    columns.pop("plane", None)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*IMAGE_COLUMNS, *columns])
    for source, path in paths.items():
        with path.open(newline="", encoding="utf-8") as each:
            rows = csv.reader(each)
            places = {column: place for place, column in enumerate(next(rows, []))}
            order = [places.get(column) for column in columns]
            plane, name_of_file = places.get("plane"), source.rpartition("/")[2]
            for row in rows:
                image = name_of_file, 1 if plane is None else row[plane], source
                numbers = ("" if place is None else row[place] for place in order)
                writer.writerow([*image, *numbers])
