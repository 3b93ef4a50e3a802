"""Batches: made and filled so that a repeated request changes nothing; looked at by change."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from chalicelib import jobs, log, problems
from chalicelib.fleet import START_MINUTES, STARTING
from chalicelib.jobs import FIRST_LOOK_MS
from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import UNFINISHED, Batch, Job, changed_at
from config.contract.table_access import Busy
from config.contract.writes import Write, put_new, reserve

# A transaction holds 100 items: these rows, at most eight counters, and the look at the batch.
JOBS_PER_TRANSACTION = 90

# Images beyond so many in a batch go to the bulk lane, where they hold up no small batch.
INTERACTIVE_JOBS_MAX = 50

# The index by change may show a row that late; each poll looks back so far. It also makes up for
# clocks of workers and API that differ, which must be by less.
LOOK_BACK_MS = 2000

PAGE_DEFAULT = 100
PAGE_MAX = 500

# A place in the index by change, with a sign that needs no quoting in an address.
CURSOR = re.compile(r"[0-9]{13}(-[0-9a-f]{16})?")
KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Request:
    """One request that makes jobs: from its key and body derive all that must not be doubled."""

    batch: str
    key: str
    body: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Where the request is remembered in its batch; the key itself is not kept."""
        return digest(self.batch, self.key)[:32]

    @property
    def fingerprint(self) -> str:
        """Tells this body from another."""
        return digest(json.dumps(self.body, sort_keys=True))

    def rows(self, batch: Batch, now: int) -> list[Job]:
        """Make the rows of its jobs; the batch counts those that it had before them."""
        ids = [digest(self.batch, self.key, str(i))[:16] for i in range(len(self.body["images"]))]
        return [
            Job(
                batch=batch.batch,
                job=job,
                name=image["name"],
                bytes=image["bytes"],
                type=image.get("type", ""),
                source=source_of(image),
                lane="interactive" if batch.jobs + i < INTERACTIVE_JOBS_MAX else "bulk",
                state="awaiting_upload",
                created=now,
                kept_until=batch.kept_until,
                changed=changed_at(now, job),
                due=now + FIRST_LOOK_MS,
            )
            for i, (job, image) in enumerate(zip(ids, self.body["images"], strict=True))
        ]


def source_of(image: Mapping[str, Any]) -> str:
    """Name the job whose file an image uses again, or ""."""
    source = image.get("source")
    return f"{source['batch']}/{source['job']}" if source else ""


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


def create(services: Services, raw: str | bytes, key: str) -> dict[str, Any]:
    """Make a batch with its first jobs."""
    body = services.bodies.new_batch(raw)
    now = services.clock()
    batch = Batch(
        batch=digest(key)[:32],
        steps=tuple(body["steps"]),
        format=body.get("format", "same"),
        created=now,
        kept_until=now + 1000 * services.settings.kept_seconds,
        jobs=len(body["images"]),
    )
    request = Request(batch.batch, key, body)
    rows = fill(services, batch, request, put_new(services.table.name, batch.to_item()))
    log.event("batch_created", batch.batch, jobs=len(rows), steps=len(batch.steps))
    return {
        "batch": batch.batch,
        "kept_until": rows[0].kept_until,
        "notice": notice(services),
        "estimate_usd": estimate(services, len(rows)),
        "jobs": [jobs.view_with_form(services, row) for row in rows],
    }


def notice(services: Services) -> str:
    """Wake the first worker, and say so while none is there; "" when images are worked on."""
    services.fleet.wake()
    if not services.fleet.group or any(
        node.is_there(services.clock()) for node in services.table.nodes()
    ):
        return ""
    return STARTING


def line(services: Services, by_state: Mapping[str, int]) -> dict[str, Any]:
    """Tell who works and how far the lanes have come, while a batch waits for anything."""
    nodes = []
    if any(by_state[state] for state in UNFINISHED):
        nodes = [node for node in services.table.nodes() if node.is_there(services.clock())]
    is_woken = bool(services.fleet.group) and not nodes
    return {
        "workers": len(nodes),
        "start_seconds": 60 * START_MINUTES if is_woken else 0,
        "served": {
            lane: max((node.served.get(lane, 0) for node in nodes), default=0)
            for lane in resources.LANES
        },
    }


def estimate(services: Services, images: int) -> float | None:
    """Tell what images will cost, as far as this installation knows its prices."""
    price = services.settings.thousand_images_usd
    return round(images * price / 1000, 6) if price else None


def add(services: Services, batch_id: str, raw: str | bytes, key: str) -> dict[str, Any]:
    """Add jobs to a batch."""
    body = services.bodies.more_images(raw)
    batch = jobs.live_batch(services, batch_id)
    request = Request(batch_id, key, body)
    opening = reserve(
        services.table.name, batch_id, len(body["images"]), services.settings.batch_jobs_max
    )
    rows = fill(services, batch, request, opening)
    log.event("jobs_added", batch_id, jobs=len(rows))
    return {"jobs": [jobs.view_with_form(services, row) for row in rows]}


def fill(services: Services, batch: Batch, request: Request, opening: Write) -> list[Job]:
    """Do a request's writes, as far as an earlier try of it has not, and return its jobs.

    Raises
    ------
    Problem
        409 if the key came with another body before, or the batch is full or being cancelled.
    """
    is_first = enter(services, batch, request, opening)
    if not is_first:
        batch = jobs.live_batch(services, request.batch)
    before = batch if "Put" not in opening else replace(batch, jobs=0)
    rows = request.rows(before, services.clock())
    with busy_as_problem():
        for start in range(0, len(rows), JOBS_PER_TRANSACTION):
            few = rows[start : start + JOBS_PER_TRANSACTION]
            services.table.put_jobs(few, lambda: check_batch(services, request.batch))
    # Of a repeated request the jobs may have gone on.
    return rows if is_first else services.table.jobs([(row.batch, row.job) for row in rows])


def enter(services: Services, batch: Batch, request: Request, opening: Write) -> bool:
    """Remember a request, once; whether it is seen for the first time."""
    with busy_as_problem():
        known = services.table.begin_request(
            batch, request.id, request.fingerprint, opening, lambda: check_room(services, request)
        )
    if known is not None and known != request.fingerprint:
        raise Problem(409, "Idempotency-Key: came with another body before; take a new one")
    return known is None


@contextmanager
def busy_as_problem() -> Iterator[None]:
    """Answer 503 where others kept changing a batch."""
    try:
        yield
    except Busy as error:
        raise Problem(503, "others kept changing this batch; try again") from error


def check_batch(services: Services, batch: str) -> None:
    """Refuse what needs a batch that is there and open."""
    jobs.check_open(jobs.live_batch(services, batch))


def check_room(services: Services, request: Request) -> None:
    """Tell why jobs may not be added to a batch, if there is a reason."""
    batch = services.table.batch(request.batch)
    if batch is None:
        return
    jobs.check_open(jobs.check_live(services, batch))
    most, more = services.settings.batch_jobs_max, len(request.body["images"])
    if batch.jobs + more > most:
        raise Problem(
            409,
            f"images: a batch holds at most {most:,}; it has {batch.jobs:,}, got {more} more",
            "/images",
        )


def show(services: Services, batch_id: str, since: str, limit: str) -> dict[str, Any]:
    """Show a batch with the jobs that changed since a cursor."""
    if since and not CURSOR.fullmatch(since):
        raise Problem(400, "since: must be the cursor of an earlier answer")
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
        raise Problem(400, f"limit: must lie between 1 and {PAGE_MAX}, got {limit[:20]}")
    found = services.table.summary(batch_id)
    if found is None:
        raise problems.not_found("batch")
    batch, by_state = found
    jobs.check_live(services, batch)
    now = services.clock()
    rows, more = services.table.changes(batch_id, since.replace("-", "#"), int(limit))
    return {
        "batch": batch_id,
        "steps": list(batch.steps),
        "format": batch.format,
        "created": batch.created,
        "kept_until": batch.kept_until,
        "order": batch.order,
        "counts": by_state,
        "line": line(services, by_state),
        "jobs": [jobs.view(row) for row in rows],
        "cursor": cursor(rows[-1].changed if rows else since, more, now),
        "more": more,
    }


def cursor(last: str, more: bool, now: int) -> str:
    """Say where the next page begins: after this one, or a little earlier at the end."""
    place = last.replace("#", "-")
    return place if more else min(place, f"{now - LOOK_BACK_MS:013d}")
