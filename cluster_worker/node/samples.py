"""The beginnings of tables, for previews."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.steps import operation_catalogue
from cluster_worker.engine.tables import Table, units_of
from config.contract import recipe
from config.contract.results import result_steps

ROWS = 10
# All tables of an answer; the room that is left beside a picture is a little larger.
BYTES_MAX = 48 * 1024


def samples(job: EngineJob) -> list[Mapping[str, Any]]:
    """Return the first rows of the tables of a job that is done, in the order of the steps."""
    steps = json.loads(job.request.steps)
    found = []
    for step in result_steps(steps, recipe.by_name(operation_catalogue())):
        if step.kind == "image":
            continue
        table = job.tables[step.name]
        units = units_of(steps[step.number], table)
        columns = [{"name": name, "unit": unit} for name, unit in zip(table, units, strict=True)]
        found.append(
            {
                "id": step.id,
                "operation": step.operation,
                "rows": max(map(len, table.values()), default=0),
                "columns": columns,
                "first": first_rows(table),
            }
        )
    return fitting(found)


def fitting(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the samples that fit into an answer; those that do not are without rows, or absent."""
    found: list[Mapping[str, Any]] = []
    for sample in samples:
        for shown in (sample, {**sample, "first": []}):
            if len(json.dumps([*found, shown])) <= BYTES_MAX:
                found.append(shown)
                break
    return found


def first_rows(table: Table) -> list[list[float | int | None]]:
    """Return the first rows; NaN and infinity, which JSON does not have, are None."""
    columns = [each[:ROWS].tolist() for each in table.values()]
    return [
        [value if math.isfinite(value) else None for value in row]
        for row in zip(*columns, strict=True)
    ]
