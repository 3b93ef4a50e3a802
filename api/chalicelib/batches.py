"""New batches and jobs, made so that a repeated request changes nothing."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from chalicelib import batch_view, inputs, job_view, log, lookup, quotas
from chalicelib.problems import Problem
from chalicelib.services import Services
from chalicelib.transitions import FIRST_LOOK_MS
from config.contract import recipe
from config.contract.job import (
    CHAIN_VERSION,
    READING_VERSION,
    RECIPE_VERSION,
    WRITING_VERSION,
    Batch,
    Job,
    changed_at,
)
from config.contract.references import is_chain
from config.contract.table_access import Busy
from config.contract.writes import Write, put_new, reserve
from config.contract.writing import LATER_FORMATS, WITH_LOSS, fault

# A transaction holds 100 items: these rows, at most eight counters, and the check of the batch.
JOBS_PER_TRANSACTION = 90

# Further images of a batch go to the bulk lane, where they do not delay small batches.
INTERACTIVE_JOBS_MAX = 50

# Formats of results that have no quality.

KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Request:
    """A request that makes jobs. A repeated request has the same ids, so that nothing is doubled.

    Attributes
    ----------
    batch, key : str
        Id of the batch, and the idempotency key.
    body : mapping
        The body as checked.
    """

    batch: str
    key: str
    body: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Id under which the batch remembers the request; the key itself is not stored."""
        return digest(self.batch, self.key)[:32]

    @property
    def fingerprint(self) -> str:
        """Hash of the body."""
        return digest(json.dumps(self.body, sort_keys=True))

    def rows(self, batch: Batch, now: int) -> list[Job]:
        """Build the rows of its jobs; `batch.jobs` counts the jobs before them."""
        ids = [digest(self.batch, self.key, str(i))[:16] for i in range(len(self.body["images"]))]
        return [
            Job(
                batch=batch.batch,
                job=job,
                name=image["name"],
                bytes=image["bytes"],
                type=image.get("type", ""),
                reuse=reuse_of(image),
                visitor=batch.visitor,
                version=batch.version,
                lane="interactive" if batch.jobs + i < INTERACTIVE_JOBS_MAX else "bulk",
                state="awaiting_upload",
                created=now,
                kept_until=batch.kept_until,
                changed=changed_at(now, job),
                due=now + FIRST_LOOK_MS,
            )
            for i, (job, image) in enumerate(zip(ids, self.body["images"], strict=True))
        ]


def reuse_of(image: Mapping[str, Any]) -> str:
    """Return "batch/job" whose file an image uses again, or ""."""
    reuse = image.get("reuse") or image.get("source")
    return f"{reuse['batch']}/{reuse['job']}" if reuse else ""


def version_of(body: Mapping[str, Any], catalogue: Mapping[str, Any]) -> int:
    """Return the version of the messages of the jobs of a new batch."""
    is_written_anew = "quality" in body or body.get("format") in LATER_FORMATS
    if body.get("write") or is_written_anew or "incomplete" in body.get("read", {}):
        return WRITING_VERSION
    if body.get("read") or body.get("across", "plane") != "plane":
        return READING_VERSION
    return CHAIN_VERSION if is_chain(body["steps"], recipe.by_name(catalogue)) else RECIPE_VERSION


def quality_of(body: Mapping[str, Any]) -> int | None:
    """Return the quality that a new batch asks for; None for the usual one of each format.

    Raises
    ------
    Problem
        422 if it asks for a format without loss.
    """
    form = body.get("format", "same")
    in_jpeg = form == "tiff" and body.get("write", {}).get("compression") == "jpeg"
    if "quality" in body and form not in ("same", *WITH_LOSS) and not in_jpeg:
        raise Problem(
            422,
            f"quality: is for {', '.join(WITH_LOSS)} and same; {form} is written without loss, so "
            "leave it out",
            "/quality",
        )
    return body.get("quality")


def writing_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how the results of a new batch are written.

    Raises
    ------
    Problem
        422 if an option does not go with the format or with another option.
    """
    options: Mapping[str, Any] = body.get("write", {})
    chosen = {**options, **({"quality": body["quality"]} if "quality" in body else {})}
    name, why = fault(body.get("format", "same"), chosen)
    if name:
        raise Problem(422, f"write.{name}: {why}", f"/write/{name}")
    return options


def bytes_of(body: Mapping[str, Any]) -> int:
    """Add up the sizes of the images of a request."""
    return sum(image["bytes"] for image in body["images"])


def digest(*texts: str) -> str:
    """Hash texts to 64 hexadecimal digits."""
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def key_of(header: str | None) -> str:
    """Read an idempotency key; a request without one gets its own.

    Raises
    ------
    Problem
        400 if it is not 32 hexadecimal digits.
    """
    if header is None:
        return secrets.token_hex(16)
    if not KEY.fullmatch(header):
        raise Problem(400, "Idempotency-Key: must be 32 hexadecimal digits (0-9, a-f)")
    return header


def create(services: Services, body: Mapping[str, Any], key: str, visitor: str) -> dict[str, Any]:
    """Make a batch of a visitor with its first jobs.

    Raises
    ------
    Problem
        As `fill`, `inputs.find`, `quality_of` and `writing_of`; 429 if a quota is used up.
    """
    now = services.clock()
    quotas.check(services, visitor, bytes_of(body))
    batch = Batch(
        batch=digest(key)[:32],
        steps=tuple(recipe.without_unset(body["steps"], services.catalogue)),
        format=body.get("format", "same"),
        depth=body.get("depth", "input"),
        metadata=body.get("metadata", "keep"),
        quality=quality_of(body),
        inputs=inputs.find(services, body.get("inputs", {})),
        version=version_of(body, services.catalogue),
        read=body.get("read", {}),
        write=writing_of(body),
        across=body.get("across", "plane"),
        created=now,
        kept_until=now + 1000 * services.settings.kept_seconds,
        jobs=len(body["images"]),
        visitor=visitor,
    )
    request = Request(batch.batch, key, body)
    rows = fill(services, batch, request, put_new(services.table.name, batch.to_item()))
    log.event("batch_created", batch.batch, jobs=len(rows), steps=len(batch.steps))
    return {
        "batch": batch.batch,
        "kept_until": rows[0].kept_until,
        "notice": batch_view.notice(services),
        "estimate_usd": batch_view.estimate(services, len(rows)),
        "jobs": [job_view.view_with_form(services, row) for row in rows],
    }


def add(services: Services, batch_id: str, body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Add jobs to a batch; raises as `create`."""
    batch = lookup.live_batch(services, batch_id)
    quotas.check(services, batch.visitor, bytes_of(body))
    request = Request(batch_id, key, body)
    opening = reserve(
        services.table.name, batch_id, len(body["images"]), services.settings.batch_jobs_max
    )
    rows = fill(services, batch, request, opening)
    log.event("jobs_added", batch_id, jobs=len(rows))
    return {"jobs": [job_view.view_with_form(services, row) for row in rows]}


def fill(services: Services, batch: Batch, request: Request, opening: Write) -> list[Job]:
    """Write what a request makes, unless it was written at an earlier try, and return its jobs.

    Raises
    ------
    Problem
        409 if the key came with another body before, or the batch is full or being cancelled.
    """
    is_first = enter(services, batch, request, opening)
    if not is_first:
        batch = lookup.live_batch(services, request.batch)
    before = batch if "Put" not in opening else replace(batch, jobs=0)
    rows = request.rows(before, services.clock())
    with busy_as_problem():
        for start in range(0, len(rows), JOBS_PER_TRANSACTION):
            few = rows[start : start + JOBS_PER_TRANSACTION]
            services.table.put_jobs(few, lambda: check_open(services, request))
    # The jobs of a repeated request may have changed since.
    return rows if is_first else services.table.jobs([(row.batch, row.job) for row in rows])


def enter(services: Services, batch: Batch, request: Request, opening: Write) -> bool:
    """Write the request's id into its batch; returns whether it was not there before."""
    with busy_as_problem():
        known = services.table.begin_request(
            batch, request.id, request.fingerprint, opening, lambda: check_room(services, request)
        )
    if known is not None and known != request.fingerprint:
        raise Problem(409, "Idempotency-Key: came with another body before; take a new one")
    return known is None


@contextmanager
def busy_as_problem() -> Iterator[None]:
    """Answer 503 if others kept changing a batch."""
    try:
        yield
    except Busy as error:
        raise Problem(503, "others kept changing this batch; try again") from error


def check_open(services: Services, request: Request) -> None:
    """Check that the request's batch is there and open; raises as `lookup.open_batch`."""
    lookup.open_batch(services, request.batch)


def check_room(services: Services, request: Request) -> None:
    """Check that the request's batch is open and has room for its jobs; raises 409 or 410."""
    batch = services.table.batch(request.batch)
    if batch is None:
        return
    lookup.check_open(lookup.check_live(services, batch))
    most, more = services.settings.batch_jobs_max, len(request.body["images"])
    if batch.jobs + more > most:
        raise Problem(
            409,
            f"images: a batch holds at most {most:,}; it has {batch.jobs:,}, got {more} more",
            "/images",
        )
