"""The answer about a job."""

from typing import Any

from chalicelib import objects
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import Job
from config.contract.results import Result, from_text


def view(row: Job) -> dict[str, Any]:
    """Build the answer's `Job` from a row."""
    result = {
        "url": f"/{row.result_key}",
        "name": row.result_name,
        "type": row.result_type,
        "bytes": row.result_bytes,
        "rows": row.result_rows,
        "columns": row.result_columns,
    }
    return {
        "job": row.job,
        "name": row.name,
        "state": row.state,
        "tiles": {"done": row.tiles_done, "total": row.tiles_total},
        "left": row.left_ms,
        "lane": row.lane,
        "ticket": row.ticket,
        "attempt": row.attempt,
        "reason": row.reason,
        "cause": row.cause,
        "notes": list(row.notes),
        "versions": dict(row.versions),
        # The names of our machines are nothing to a visitor.
        "hosts": {
            f"host {number}": list(row.hosts[name])
            for number, name in enumerate(
                sorted(row.hosts, key=lambda each: list(row.hosts[each])), start=1
            )
        },
        "changed": row.changed_ms,
        "created": row.created,
        "started": row.started,
        "finished": row.finished,
        "rows": row.rows,
        "columns": row.columns,
        "bytes": row.bytes,
        "type": row.type,
        "result": result if row.state == "succeeded" else None,
        "results": [result_of(each) for each in from_text(row.results)],
        "views": views(row),
    }


def result_of(result: Result) -> dict[str, Any]:
    """Build the answer's `JobResult`: an image has its kind, a table rows and columns.

    A table also has the size of the pixels that it measures, if the file says it.
    """
    shown: dict[str, Any] = {
        "id": result.id,
        "operation": result.operation,
        "kind": result.kind,
        "address": f"/{result.key}",
        "name": result.name,
        "type": result.type,
        "bytes": result.bytes,
    }
    if result.kind == "image":
        shown["image_kind"] = result.image_kind
    else:
        columns = [{"name": name, "unit": unit} for name, unit in result.columns]
        shown |= {"rows": result.rows, "columns": columns}
        if result.pixel_size:
            shown["pixel_size"] = list(result.pixel_size)
    return shown


def views(row: Job) -> dict[str, Any]:
    """Build the addresses of a job's pictures, which show what browsers do not show well."""
    return {
        "original": view_at(row.original_view, row.dtype),
        "result": view_at(row.result_view, row.result_dtype),
        "until": row.views_until,
    }


def view_at(key: str, dtype: str) -> dict[str, str] | None:
    """Build the address of one picture; None if there is none."""
    if not key:
        return None
    return {"url": f"/{key}", "type": resources.VIEW_TYPES[key.rpartition(".")[2]], "dtype": dtype}


def view_with_form(services: Services, row: Job) -> dict[str, Any]:
    """Build the answer's `Job`, with an upload form if the job awaits its upload."""
    if row.state == "awaiting_upload":
        return view(row) | {"upload": objects.form(services, row)}
    return view(row)
