"""The answer about a batch: counts, the jobs that changed, workers and cost."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib import inputs, job_view, lookup, problems
from chalicelib.fleet import START_MINUTES, STARTING
from chalicelib.problems import Problem
from chalicelib.schemas import PAGE_MAX
from chalicelib.services import Services
from config.contract import recipe, resources
from config.contract.job import UNFINISHED, Job
from config.contract.node import Node

# The index by change may show a row this much later than it was written; each poll looks back as
# far.
LOOK_BACK_MS = 2000
# Rows are ordered by the clocks of those who wrote them. A worker whose clock is behind writes rows
# where polls have looked already: from time to time a poll looks back further than clocks differ.
LOOK_FAR_BACK_MS = 60_000
LOOK_FAR_EVERY_MS = 10_000

# Characters of the rows' results in one answer. Lambda answers with 6 MB, and a job may have twenty
# tables of a hundred columns.
RESULTS_CHARACTERS_MAX = 2_000_000

# A position in the index by change, with a "-" that needs no quoting in an address, and when a poll
# last looked far back, which cursors of an older API do not say.
CURSOR = re.compile(r"([0-9]{13}(?:-[0-9a-f]{16})?)(?:~([0-9]{13}))?")


def show(services: Services, batch_id: str, since: str, limit: str) -> dict[str, Any]:
    """Build the answer's `Batch`, with the jobs that changed since a cursor.

    Raises
    ------
    Problem
        400 if `since` or `limit` is not one, 404 or 410 if the batch is not there.
    """
    now = services.clock()
    position, looked = begin(since, now)
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
        raise Problem(400, f"limit: must lie between 1 and {PAGE_MAX}, got {limit[:20]}")
    found = services.table.summary(batch_id)
    if found is None:
        raise problems.not_found("batch")
    batch, by_state = found
    lookup.check_live(services, batch)
    found_rows, more = services.table.changes(batch_id, position.replace("-", "#"), int(limit))
    rows = fitting(found_rows)
    more = more or len(rows) < len(found_rows)
    return {
        "batch": batch_id,
        "steps": recipe.with_unset(batch.steps, services.catalogue),
        "format": batch.format,
        "depth": batch.depth,
        "metadata": batch.metadata,
        "quality": batch.quality,
        "read": dict(batch.read),
        "write": dict(batch.write),
        "across": batch.across,
        "inputs": inputs.view(batch),
        "created": batch.created,
        "kept_until": batch.kept_until,
        "order": batch.command,
        "counts": by_state,
        "line": line(services, by_state),
        "jobs": [job_view.view(row) for row in rows],
        "cursor": f"{end(rows[-1].changed if rows else position, more, now)}~{looked:013d}",
        "more": more,
    }


def fitting(rows: Sequence[Job]) -> Sequence[Job]:
    """Return as many of the first rows as fit into one answer, at least one."""
    total = 0
    for count, row in enumerate(rows):
        total += len(row.results)
        if count and total > RESULTS_CHARACTERS_MAX:
            return rows[:count]
    return rows


def begin(since: str, now: int) -> tuple[str, int]:
    """Return the position where a page begins, and when a poll last looked far back.

    Raises
    ------
    Problem
        400 if `since` is no cursor.
    """
    if not since:
        return "", now
    found = CURSOR.fullmatch(since)
    if found is None:
        raise Problem(400, "since: must be the cursor of an earlier answer")
    position, looked = found[1], int(found[2] or 0)
    if abs(now - looked) < LOOK_FAR_EVERY_MS:
        return position, looked
    return min(position, f"{now - LOOK_FAR_BACK_MS:013d}"), now


def end(last: str, more: bool, now: int) -> str:
    """Return where the next page begins: after this page, or at the end a little earlier."""
    position = last.replace("#", "-")
    return position if more else min(position, f"{now - LOOK_BACK_MS:013d}")


def line(services: Services, by_state: Mapping[str, int]) -> dict[str, Any]:
    """Build the answer's `line`, from which a page estimates the wait: workers and tickets.

    It lists no workers if all jobs are finished.
    """
    nodes = nodes_there(services) if any(by_state[state] for state in UNFINISHED) else []
    is_woken = services.fleet.nodes is not None and not nodes
    return {
        "workers": len(nodes),
        "start_seconds": 60 * START_MINUTES if is_woken else 0,
        "served": {
            lane: max((node.served.get(lane, 0) for node in nodes), default=0)
            for lane in resources.LANES
        },
    }


def notice(services: Services) -> str:
    """Wake the first worker; returns the sentence for it while no worker is there, else ""."""
    services.fleet.wake()
    return STARTING if services.fleet.nodes and not nodes_there(services) else ""


def nodes_there(services: Services) -> list[Node]:
    """Read the worker nodes that run now."""
    return [node for node in services.table.nodes() if node.is_there(services.clock())]


def estimate(services: Services, images: int) -> float | None:
    """Estimate the price of images in US dollars; None if this installation has no price."""
    price = services.settings.thousand_images_usd
    return round(images * price / 1000, 6) if price else None
