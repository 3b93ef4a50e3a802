"""Dead letters, for the operator: list them with their reasons, and queue their jobs again."""

import time
from collections.abc import Collection
from typing import Any

from chalicelib import log, transitions
from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import Job, Message

# Letters that one call looks at; the next call looks at the rest.
LETTERS_MAX = 500
# The minute's sweep looks as well, and holds one letter at a time: a queue that seems empty is
# looked at again after this many seconds.
AGAIN_SECONDS = 0.5


def show(services: Services) -> list[dict[str, Any]]:
    """List the dead letters with their reasons; batch ids give access and are shown as hashes."""
    return [describe(message, find(services, message)) for message in look(services)]


def look(services: Services) -> list[Message]:
    """Read the letters without duplicates; they stay in their queue."""
    found = services.publisher.dead_letters(LETTERS_MAX)
    if not found:
        time.sleep(AGAIN_SECONDS)
        found = services.publisher.dead_letters(LETTERS_MAX)
    return list(dict.fromkeys(found))


def find(services: Services, message: Message) -> Job | None:
    """Read the job of a letter; None if it was deleted."""
    return services.table.job(message.batch, message.job)


def describe(message: Message, row: Job | None) -> dict[str, Any]:
    """Build the entry of one letter."""
    return {
        "job": message.job,
        "batch": resources.public_name(message.batch),
        "name": row.name if row else "",
        "state": row.state if row else "deleted",
        "reason": row.reason if row else "",
        "attempts": row.attempt if row else 0,
        "faults": row.faults if row else 0,
    }


def send_back(services: Services, wanted: Collection[str] | None = None) -> dict[str, int]:
    """Queue the jobs of dead letters again, and remove the letters.

    Parameters
    ----------
    services : Services
        What the API works with.
    wanted : collection of str, optional
        Job ids; without it, all.

    Returns
    -------
    dict
        How many letters were ``sent`` back, ``dropped`` because their job was deleted or changed
        since, and ``left`` because their job is queued or running.
    """
    done = {"sent": 0, "dropped": 0, "left": 0}
    settled = []
    for message in look(services):
        if wanted is not None and message.job not in wanted:
            continue
        what = send(services, message)
        done[what] += 1
        if what != "left":
            settled.append(message)
    services.publisher.drop_dead_letters(settled)
    log.event("letters_sent_back", "", **done)
    return done


def send(services: Services, message: Message) -> str:
    """Queue the job of one letter again; returns "sent", "dropped" or "left"."""
    row = find(services, message)
    if row is None or row.publish != message.publish:
        return "dropped"
    if row.state in ("queued", "running"):
        # The sweep moves it to `failed` within a minute, with the reason.
        return "left"
    if row.state != "failed":
        return "dropped"
    try:
        transitions.begin_again(services, row, retries=0)
    except Problem as problem:
        if problem.status not in (409, 410):
            raise
        return "dropped"
    return "sent"
