"""Dead letters, for the operator: which jobs they are of, why, and the way back."""

from collections.abc import Collection
from typing import Any

from chalicelib import jobs, log
from chalicelib.parts import Parts
from chalicelib.problems import Problem
from config.contract import places
from config.contract.job import Job, Message

# At most so many at once; the rest is for the next call.
LETTERS_MAX = 500


def show(parts: Parts) -> list[dict[str, Any]]:
    """List the dead letters with their reasons; a batch's id is its key and is not shown."""
    return [describe(message, find(parts, message)) for message in look(parts)]


def look(parts: Parts) -> list[Message]:
    """Look at all letters, each once."""
    return list(dict.fromkeys(parts.publisher.dead_letters(LETTERS_MAX)))


def find(parts: Parts, message: Message) -> Job | None:
    """Find the job that a letter is of."""
    return parts.table.job(message.batch, message.job)


def describe(message: Message, row: Job | None) -> dict[str, Any]:
    """Show one letter."""
    return {
        "job": message.job,
        "batch": places.public_name(message.batch),
        "name": row.name if row else "",
        "state": row.state if row else "deleted",
        "reason": row.reason if row else "",
        "attempts": row.attempt if row else 0,
        "faults": row.faults if row else 0,
    }


def send_back(parts: Parts, wanted: Collection[str] | None = None) -> dict[str, int]:
    """Queue the jobs of dead letters again, and take the letters away.

    Parameters
    ----------
    parts : Parts
        The app's parts.
    wanted : collection of str, optional
        Job ids; all without it.

    Returns
    -------
    dict
        How many letters were ``sent`` back, ``dropped`` because their job is gone or has gone on
        by itself, and ``left`` because it is still in work.
    """
    done = {"sent": 0, "dropped": 0, "left": 0}
    settled = []
    for message in look(parts):
        if wanted is not None and message.job not in wanted:
            continue
        what = send(parts, message)
        done[what] += 1
        if what != "left":
            settled.append(message)
    parts.publisher.drop_dead_letters(settled)
    log.event("letters_sent_back", "", **done)
    return done


def send(parts: Parts, message: Message) -> str:
    """Queue the job of one letter again; returns the word for what was done."""
    row = find(parts, message)
    if row is None or row.publish != message.publish:
        return "dropped"
    if row.state in ("queued", "running"):
        # The sweep fails it within a minute, with its reason.
        return "left"
    if row.state != "failed":
        return "dropped"
    try:
        jobs.begin_again(parts, row)
    except Problem as problem:
        if problem.status not in (409, 410):
            raise
        return "dropped"
    return "sent"
