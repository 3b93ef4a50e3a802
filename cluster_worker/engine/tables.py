"""Tables of a recipe: columns of numbers, which ranks write and the engine reads."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.objects.store import is_address, write_object
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.declare import Table as TableDecomposition

# Columns that say which plane of a stack a row is of.
PLACES = ("plane", "t", "c", "z")

# Rows of a table that are turned into text at once.
CSV_ROWS = 1 << 14


class Table(dict[str, NDArray[Any]]):
    """A table: arrays of one length by the names of their columns."""

    def to_csv(self, path: str | Path) -> None:
        """Write it as CSV: a line of names, then a line for each row.

        Floats have as many digits as are needed to read the same numbers again.
        """
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            write_rows(csv.writer(file, lineterminator="\n"), list(self), list(self.values()))


class JoinedTables:
    """Tables whose rows come plane by plane, and are joined when they are first read.

    Attributes
    ----------
    nbytes : int
        Bytes of all rows that have come.
    """

    def __init__(self) -> None:
        self.parts: dict[str, list[Table]] = {}
        self.nbytes = 0

    def add(self, name: str, table: Table, place: Mapping[str, int]) -> None:
        """Add the rows of a plane to the table of a name.

        Parameters
        ----------
        name : str
            Of the table.
        table : Table
            The rows.
        place : mapping of str to int
            First columns: where the plane lies.

        Raises
        ------
        Rejected
            If they have other columns than those of the first plane.
        """
        count = len(next(iter(table.values()))) if table else 0
        rows = Table({column: np.full(count, each, np.int64) for column, each in place.items()})
        rows.update(table)
        parts = self.parts.setdefault(name, [])
        if parts and list(rows) != list(parts[0]):
            raise Rejected("its table has other columns than that of the first plane")
        parts.append(rows)
        self.nbytes += sum(column.nbytes for column in rows.values())

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by their names; not for two threads at the same time."""
        return {name: self.join(parts) for name, parts in self.parts.items()}

    def join(self, parts: list[Table]) -> Table:
        """Join the rows of a table into its first part, which alone stays, and return it."""
        first, *others = parts
        if others:
            # One column after the other, so that no two copies of a whole table are in memory.
            for column in first:
                first[column] = np.concatenate(
                    [first[column], *(each.pop(column) for each in others)]
                )
            del parts[1:]
        return first


def write_rows(writer: Any, names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
    """Write names and rows part by part, so that no table lies in memory as text."""
    writer.writerow(names)
    for first in range(0, len(columns[0]) if columns else 0, CSV_ROWS):
        part = [each[first : first + CSV_ROWS].tolist() for each in columns]
        writer.writerows(zip(*part, strict=True))


def write_columns(place: str, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write the columns of a table as arrays, which need no pickle, to a file or as an object."""
    if is_address(place):
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **dict(columns))
        write_object(place, content.getvalue())
        return
    # One column after the other, so that no copy of the table lies in the memory of the rank.
    with Path(place).open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(columns))


def read_columns(path: Path) -> Table:
    """Read the columns of a table that a rank has written."""
    with np.load(path, allow_pickle=False) as found:
        return Table({name: found[name] for name in found.files})


def units_of(step: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """Return the units of the columns of a step's table; "" for those without.

    `step` is checked, with every parameter present.
    """
    operation = OPERATIONS[step["operation"]]
    assert isinstance(operation.decomposition, TableDecomposition)  # noqa: S101 - the step gives a table
    unit = operation.decomposition.unit
    parameters = {name: step[name] for name in operation.parameters}
    return ["" if column in PLACES else unit(column, **parameters) for column in columns]
