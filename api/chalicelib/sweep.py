"""The sweep: repairs, on a schedule, what a crash, a lost message or a closed page left behind.

It reads the rows that the index of due rows names, never the whole table. Every write is
conditional on the row as it was read, so that sweeps may overlap, and a sweep never undoes what a
worker or visitor did meanwhile.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib import commands, log, objects, transitions, uploads
from chalicelib.images import UploadError
from chalicelib.problems import Problem
from chalicelib.queue import BrokerError
from chalicelib.quotas import QuotaUsedError
from chalicelib.services import Services
from chalicelib.transitions import FIRST_LOOK_MS, JOINING_LOOK_MS
from config.contract import resources
from config.contract.job import Job
from config.contract.table_access import Key, Lost

# The next sweep of the schedule begins after a minute, and does what is left.
SWEEP_SECONDS = 40.0
ROWS_PER_READ = 100
COMMAND_SLICE_SECONDS = 10.0

# A row that does not change is looked at less and less often, down to twice an hour.
LOOK_AGAIN_MS_MAX = 1_800_000

# When a row is due again that is left to the host. One sweep reads no row twice.
LEFT_MS = 1000

# S3 may take minutes to join the parts of a large file. After this time they count as lost.
JOINING_MS_MAX = 900_000
NOT_JOINED = "the parts of the file could not be joined; retry, and send the file again"

# How often workers may fall silent while they have a job, until its image counts as the cause. A
# new message is sent each time, so that the broker's own limit does not end this.
LAPSES_MAX = resources.DELIVERY_LIMIT


@dataclass
class Sweep:
    """One sweep: the state of the broker, and when it must end on the monotonic clock."""

    services: Services
    until: float
    is_broker_up: bool = True
    # When the queue was seen empty, in milliseconds since 1970; 0 if it was not.
    empty_at: int = 0
    # The highest ticket that a node claimed, for each lane.
    served: Mapping[str, int] = field(default_factory=dict)
    # The longest wait of a queued job that was looked at. A job is looked at again when its wait
    # has doubled, and at least twice an hour.
    oldest_ms: int = 0

    @property
    def has_time(self) -> bool:
        """Whether to begin with another row."""
        return time.monotonic() < self.until


def run(services: Services, seconds: float = SWEEP_SECONDS) -> dict[str, int]:
    """Sweep once.

    Parameters
    ----------
    services : Services
        What the API works with.
    seconds : float
        Time after which no further row is begun.

    Returns
    -------
    dict
        Number of rows, by what was done with them.
    """
    sweep = Sweep(services, time.monotonic() + seconds)
    done: dict[str, int] = {}
    ask_broker(sweep)
    sweep.served = served(services)
    for found in due_rows(sweep):
        what = handle(sweep, found)
        done[what] = done.get(what, 0) + 1
    services.metrics.publish({"OldestWaitingSeconds": sweep.oldest_ms // 1000})
    log.event("sweep", "", broker=broker_state(sweep), **done)
    return done


def broker_state(sweep: Sweep) -> str:
    """Return ``up``, ``down`` or ``out of reach``."""
    if not sweep.services.publisher.in_reach:
        return "out of reach"
    return "up" if sweep.is_broker_up else "down"


def ask_broker(sweep: Sweep) -> None:
    """Fail the jobs whose message is a dead letter, then check whether the queues are empty.

    The dead letters come first, so that no message is sent again for a job that has one.
    """
    services = sweep.services
    if not services.publisher.in_reach:
        sweep.is_broker_up = False
        return
    try:
        for message in services.publisher.dead_letters():
            row = services.table.job(message.batch, message.job)
            if row and row.publish == message.publish and row.state in ("queued", "running"):
                transitions.fail(services, row, gave_up(resources.DELIVERY_LIMIT + 1), "broken")
        now = services.clock()
        sweep.empty_at = now if services.publisher.waiting() == 0 else 0
    except BrokerError as error:
        sweep.is_broker_up = False
        log.trouble("broker_down", reason=str(error))


def served(services: Services) -> Mapping[str, int]:
    """Read the highest ticket that a node claimed, for each lane."""
    nodes = services.table.nodes()
    return {
        lane: max((node.served.get(lane, 0) for node in nodes), default=0)
        for lane in resources.LANES
    }


def gave_up(times: int) -> str:
    """Return the reason of a job that failed because its workers stopped again and again."""
    return f"the worker stopped {times} times while this image was in work"


def due_rows(sweep: Sweep) -> Iterator[Job | str]:
    """Read the rows that are due: jobs, and the ids of batches that have a command."""
    table, now = sweep.services.table, sweep.services.clock()
    # Each sweep begins with the next partition, so that none is always left for later.
    first = now // 60_000
    for turn in range(resources.DUE_SHARDS):
        shard = (first + turn) % resources.DUE_SHARDS
        seen: set[Key] = set()
        # Rows that were handled are due later, so the index is read from its beginning again. It
        # may lag and show a row twice.
        while keys := [key for key in table.due(shard, now, ROWS_PER_READ) if key not in seen]:
            for (pk, sk), item in table.items(keys).items():
                if not sweep.has_time:
                    return
                yield pk if sk == resources.BATCH_SK else Job.from_item(item)
            seen.update(keys)


def handle(sweep: Sweep, found: Job | str) -> str:
    """Do what one row needs; returns one word for what was done."""
    services = sweep.services
    if isinstance(found, str):
        return handle_command(sweep, found)
    if not 0 < found.due <= services.clock():
        return "not_due"
    try:
        return act(sweep, found)
    except (Lost, Problem):
        return "lost"
    except Exception:  # noqa: BLE001 - it is logged, and the sweep goes on
        # One row must not stop the sweep, now or next time.
        fields = {"job": found.job, "batch": resources.public_name(found.batch)}
        log.logger.exception("sweep_failed_on_row", extra={"fields": fields})
        postpone(services, found, services.clock() + LOOK_AGAIN_MS_MAX)
        return "broken"


def handle_command(sweep: Sweep, batch: str) -> str:
    """Go on with a batch's command; one that fails is tried again later."""
    until = min(sweep.until, time.monotonic() + COMMAND_SLICE_SECONDS)
    try:
        commands.carry_out(sweep.services, batch, until)
    except Exception:  # noqa: BLE001 - as for a row: the sweep goes on with the others
        fields = {"batch": resources.public_name(batch)}
        log.logger.exception("sweep_failed_on_command", extra={"fields": fields})
        commands.postpone(sweep.services, batch, sweep.services.clock() + LOOK_AGAIN_MS_MAX)
        return "broken"
    return "commands"


def act(sweep: Sweep, row: Job) -> str:
    """Do what one job needs, by its state."""
    services = sweep.services
    if row.state == "running":
        return recover(sweep, row)
    if row.kept_until <= services.clock():
        return expire(services, row)
    if row.state == "awaiting_upload":
        return look_for_upload(services, row)
    if row.state == "joining":
        return look_for_joined(services, row)
    if row.state == "queued":
        return look_for_message(sweep, row)
    postpone(services, row, row.kept_until)
    return "kept"


def look_for_upload(services: Services, row: Job) -> str:
    """Queue a job whose file arrived without a call of `uploaded`; expire it after its wait."""
    try:
        if received := uploads.receive(services, row):
            return "joining" if received.state == "joining" else "received"
    except UploadError:
        return "rejected"
    except QuotaUsedError as used:
        postpone(services, row, services.clock() + 1000 * used.retry_seconds)
        return "beyond_quota"
    except objects.StillPlacing as slow:
        log.trouble("still_placing", row.batch, job=row.job, reason=str(slow))
    waits_until = row.changed_ms + 1000 * services.settings.upload_wait_seconds
    if waits_until <= services.clock():
        return expire(services, row)
    postpone(services, row, min(waits_until, later(services, row, FIRST_LOOK_MS)))
    return "awaited"


def look_for_joined(services: Services, row: Job) -> str:
    """Queue a job whose parts were joined, or have them joined; fail it after `JOINING_MS_MAX`."""
    try:
        received = uploads.receive(services, row)
    except UploadError:
        return "rejected"
    except QuotaUsedError as used:
        postpone(services, row, services.clock() + 1000 * used.retry_seconds)
        return "beyond_quota"
    if received is not None and received.state != "joining":
        return "received"
    if row.changed_ms + JOINING_MS_MAX <= services.clock():
        transitions.fail(services, row, f"{row.name}: {NOT_JOINED}", "broken")
        return "not_joined"
    postpone(services, row, services.clock() + JOINING_LOOK_MS)
    return "joining"


def look_for_message(sweep: Sweep, row: Job) -> str:
    """Publish a queued job again if the broker never confirmed its message, or has lost it."""
    services = sweep.services
    if row.waiting:
        return look_at_waiting(sweep, row)
    sweep.oldest_ms = max(sweep.oldest_ms, services.clock() - row.changed_ms)
    if not services.publisher.in_reach:
        return leave_to_host(services, row)
    least = 1000 * services.settings.republish_seconds
    if is_lost(sweep, row):
        if sweep.is_broker_up:
            return publish_again(sweep, row, {})
        # Not as `later`: the job would wait as long again once the broker is back.
        postpone(services, row, services.clock() + least)
    else:
        postpone(services, row, later(services, row, least))
    return "queued"


def leave_to_host(services: Services, row: Job) -> str:
    """Start the worker's host, whose own sweep sends the message of a queued or silent job.

    The row stays due, so that the host finds it at its first sweep.
    """
    services.fleet.wake()
    postpone(services, row, services.clock() + LEFT_MS)
    return "left_to_host"


def is_lost(sweep: Sweep, row: Job) -> bool:
    """Return whether the broker does not have a queued job's message any more.

    It never confirmed it, or its queues were empty later, or later messages of the lane were
    claimed and this one was not in the time of a lapse. The third rule also holds on a busy day,
    when no sweep sees the queues empty.
    """
    if row.published_at == 0 or row.published_at < sweep.empty_at:
        return True
    services = sweep.services
    lapse_ms = 1000 * services.settings.heartbeat_lapse_seconds
    is_overtaken = 0 < row.ticket < sweep.served.get(row.lane, 0)
    return is_overtaken and row.published_at + lapse_ms < services.clock()


def look_at_waiting(sweep: Sweep, row: Job) -> str:
    """Release the waiting jobs that there is room for, in case no worker did so."""
    services = sweep.services
    if not services.publisher.in_reach:
        return leave_to_host(services, row)
    if sweep.is_broker_up:
        if not row.visitor:
            # A row of an older API, which kept the lines of waiting jobs elsewhere.
            return publish_again(sweep, row, {"waiting": False})
        transitions.release_waiting(services, row)
    postpone(services, row, later(services, row, 1000 * services.settings.republish_seconds))
    return "waiting"


def recover(sweep: Sweep, row: Job) -> str:
    """Queue a job again whose worker fell silent, or fail it after too many lapses."""
    if not sweep.services.publisher.in_reach:
        return leave_to_host(sweep.services, row)
    lapses = row.lapses + 1
    if lapses > LAPSES_MAX:
        transitions.fail(sweep.services, row, gave_up(lapses), "broken")
        return "given_up"
    return publish_again(
        sweep, row, {"lapses": lapses, "tiles_done": 0, "tiles_total": 0, "left_ms": 0}
    )


def publish_again(sweep: Sweep, row: Job, values: Mapping[str, Any]) -> str:
    """Move a job to `queued` under the next publish number, as it was read, and publish it."""
    services, now = sweep.services, sweep.services.clock()
    due = now + 1000 * services.settings.republish_seconds
    again = services.table.queue_again(row, values, now, due)
    log.event("published_again", row.batch, job=row.job, publish=again.publish, was=row.state)
    sweep.is_broker_up = sweep.is_broker_up and transitions.publish(services, again)
    return "published_again"


def expire(services: Services, row: Job) -> str:
    """Delete the objects of a job and move it to `expired`."""
    for _ in objects.delete_objects(services, row.batch, row.job):
        pass
    services.table.expire(row, services.clock())
    log.event("expired", row.batch, job=row.job, was=row.state)
    return "expired"


def later(services: Services, row: Job, least: int) -> int:
    """Compute when to look at a row again: after the time since its last change, within limits."""
    now = services.clock()
    return now + max(least, min(now - row.changed_ms, LOOK_AGAIN_MS_MAX))


def postpone(services: Services, row: Job, due: int) -> None:
    """Have the sweep look at a row later."""
    services.table.postpone(row, due)
