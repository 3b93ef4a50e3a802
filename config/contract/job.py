"""A job and its batch: their states, the message, and their rows in the table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from config.contract import resources

Depth = Literal["input", "native"]
Metadata = Literal["keep", "strip"]
State = Literal[
    "awaiting_upload",
    "joining",
    "queued",
    "running",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
]

# The states that may follow each state, and what happens then. A job is `joining` while S3 joins
# the parts of its file. A running job may be claimed again, by a new attempt.
STEPS: Mapping[State, Mapping[State, str]] = {
    "awaiting_upload": {
        "joining": "all parts arrived",
        "queued": "file accepted",
        "failed": "file refused",
        "cancelled": "cancel",
        "expired": "no upload came",
    },
    "joining": {
        "queued": "file accepted",
        "failed": "file refused, or parts lost",
        "cancelled": "cancel",
        "expired": "time is over",
    },
    "queued": {
        "queued": "published again, or released",
        "running": "claim",
        "failed": "dead letter",
        "cancelled": "cancel",
        "expired": "time is over",
    },
    "running": {
        "running": "claim by another attempt",
        "queued": "handed back, moved to bulk, or worker silent",
        "succeeded": "result stored",
        "failed": "rejected, or broken too often",
        "cancelled": "cancel",
    },
    "succeeded": {"expired": "time is over"},
    "failed": {
        "queued": "retry",
        "awaiting_upload": "retry without a file",
        "expired": "time is over",
    },
    "cancelled": {
        "queued": "retry",
        "awaiting_upload": "retry without a file",
        "expired": "time is over",
    },
    "expired": {},
}
TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    state: tuple(steps) for state, steps in STEPS.items()
}
STATES: tuple[State, ...] = tuple(TRANSITIONS)
FINAL: tuple[State, ...] = ("succeeded", "failed", "cancelled", "expired")
UNFINISHED: tuple[State, ...] = ("awaiting_upload", "joining", "queued", "running")

# Versions of messages. A worker puts off a job that it does not know how to do, for a newer one:
# 1 is a chain of steps that gives one image; 2 is a recipe whose steps name images, keep them or
# give tables; 3 has options that say how a file is read; 4 has options that say how it is written,
# a quality, a format of `writing.LATER_FORMATS`, or that a file that ends within its pixels is
# read.
CHAIN_VERSION = 1
RECIPE_VERSION = 2
READING_VERSION = 3
WRITING_VERSION = 4
VERSION_MAX = WRITING_VERSION

# Attributes that a job loses when it begins anew; it keeps the attempt, which is its fence.
AFRESH: Mapping[str, Any] = {
    "published_at": 0,
    "faults": 0,
    "lapses": 0,
    "too_new": 0,
    "tiles_done": 0,
    "tiles_total": 0,
    "left_ms": 0,
    "reason": "",
    "cause": "",
    "notes": [],
    "versions": {},
    "hosts": {},
    "result_key": "",
    "result_name": "",
    "result_type": "",
    "result_bytes": 0,
    "results": "",
    "rows": 0,
    "columns": 0,
    "dtype": "",
    "result_rows": 0,
    "result_columns": 0,
    "result_dtype": "",
    "started": 0,
    "finished": 0,
}


@dataclass(frozen=True)
class Message:
    """The message of a job on the broker, with the number of this publish.

    A message without a version is of an API that knew chains only.
    """

    batch: str
    job: str
    publish: int
    version: int = CHAIN_VERSION
    # Its traceparent, for people who look at the broker: a worker reads that of the row.
    trace: str = field(default="", compare=False)

    def to_bytes(self) -> bytes:
        """Encode for the broker; without a trace, as it was before there were any."""
        members = {name: value for name, value in asdict(self).items() if name != "trace" or value}
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Message":
        """Decode from the broker.

        Raises
        ------
        ValueError
            If the body is not a message of this app.
        """
        try:
            found = json.loads(body)
            ids = str(found["batch"]), str(found["job"])
            numbers = int(found["publish"]), int(found.get("version", CHAIN_VERSION))
            return cls(*ids, *numbers, str(found.get("trace", "")))
        except (ValueError, KeyError, TypeError) as error:
            # The body may hold a batch id, and this sentence is logged.
            raise ValueError(f"not a job message, {len(body)} bytes") from error


@dataclass(frozen=True)
class Job:
    """A job's row. Times are milliseconds since 1970, sizes are bytes."""

    batch: str
    job: str
    name: str
    bytes: int
    type: str
    state: State
    created: int
    kept_until: int
    changed: str = ""
    # ETag of the upload when the API queued the job; the worker reads with If-Match.
    etag: str = ""
    # S3's id of an upload in parts, once one was begun.
    upload: str = ""
    # Who made its batch: a hash of the address that the request came from.
    visitor: str = ""
    # Which queue its messages go to.
    lane: Literal["interactive", "bulk"] = "interactive"
    # "batch/job" whose upload is used again, or "".
    reuse: str = ""
    # Version of its messages: what a worker must know to do it.
    version: int = CHAIN_VERSION
    # traceparent of the request that queued it (`config.contract.trace`), or "".
    trace: str = ""
    # publish: number of the newest message; published_at: when the broker confirmed it, else 0.
    publish: int = 0
    published_at: int = 0
    # Number in its lane, which shows how many images are ahead; 0 if none was drawn.
    ticket: int = 0
    # Whether it waits, without a message, until its visitor's lane share has room.
    waiting: bool = False
    # attempt: the fence that every write of a worker is conditional on.
    attempt: int = 0
    # faults: how often ranks died on this job while it ran alone.
    faults: int = 0
    # lapses: how often its worker stopped writing progress.
    lapses: int = 0
    # too_new: how often a worker put it off because it needs a newer one.
    too_new: int = 0
    # retries: how often its visitor had it done again.
    retries: int = 0
    tiles_done: int = 0
    tiles_total: int = 0
    # Milliseconds that the rest of its computation was estimated to take, at the last write.
    left_ms: int = 0
    # Why the job failed, in one sentence, and whether the image or this app is at fault.
    reason: str = ""
    cause: Literal["", "rejected", "broken"] = ""
    notes: tuple[str, ...] = ()
    # Versions of the app and of the libraries that the result's pixels depend on.
    versions: Mapping[str, str] = field(default_factory=dict)
    # The ranks of each host that worked on it, by the names of the workers; empty if one host did.
    hosts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    result_key: str = ""
    result_name: str = ""
    result_type: str = ""
    result_bytes: int = 0
    # All its results, as `config.contract.results` writes them.
    results: str = ""
    rows: int = 0
    columns: int = 0
    result_rows: int = 0
    result_columns: int = 0
    # Dtypes of the pixels, such as uint16, once they are known.
    dtype: str = ""
    result_dtype: str = ""
    # Pictures for the page, which are made after the result: keys of those that are stored, and
    # the time until which the page should wait for the others, else 0.
    original_view: str = ""
    result_view: str = ""
    views_until: int = 0
    started: int = 0
    finished: int = 0
    due: int = 0

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Job":
        """Read a row as boto3's resource client returns it (numbers are Decimal)."""
        found: dict[str, Any] = {"batch": item["pk"]}
        for each in fields(cls):
            if each.name not in item:
                continue
            value = item[each.name]
            if each.type is int or each.type == "int":
                value = int(value)
            if each.name == "hosts":
                value = {name: tuple(map(int, ranks)) for name, ranks in value.items()}
            found[each.name] = tuple(value) if each.name == "notes" else value
        return cls(**found)

    def to_item(self) -> dict[str, Any]:
        """Write a new row, with its keys and the attributes that the indexes read."""
        values = {name: value for name, value in asdict(self).items() if name != "batch"}
        values["notes"] = list(self.notes)
        values["hosts"] = {name: list(ranks) for name, ranks in self.hosts.items()}
        return values | {
            "pk": self.batch,
            "sk": resources.job_sk(self.job),
            "due_shard": resources.due_shard(self.job),
            "ttl": time_to_live(self.kept_until),
        }

    @property
    def is_final(self) -> bool:
        """Whether the job stays as it is unless a client changes it."""
        return self.state in FINAL

    @property
    def changed_ms(self) -> int:
        """When the row last changed, in milliseconds since 1970."""
        return int(self.changed.partition("#")[0] or 0)

    def changes_at(self, now: int) -> str:
        """Return the `changed` of a write at `now`, in milliseconds since 1970.

        It is later than that of the write before, also if that one had a clock that is ahead.
        """
        return changed_at(max(now, self.changed_ms + 1), self.job)

    @property
    def message(self) -> Message:
        """The message of its newest publish."""
        return Message(self.batch, self.job, self.publish, self.version, self.trace)

    @property
    def is_out(self) -> bool:
        """Whether it has a message on the broker that counts in its visitor's lane share."""
        return self.state == "queued" and not self.waiting


@dataclass(frozen=True)
class InputFile:
    """A file that was sent before, for another job, and that the steps of a batch read.

    Attributes
    ----------
    name : str
        As steps name it: ``input:NAME``.
    batch, job : str
        The job that it was sent for.
    etag : str
        ETag of the upload; a worker reads with If-Match.
    file : str
        Name of the file, for people.
    bytes : int
        Its size.
    """

    name: str
    batch: str
    job: str
    etag: str
    file: str
    bytes: int


BatchCommand = Literal["", "retry", "cancel", "delete"]


@dataclass(frozen=True)
class Batch:
    """A batch's row: the recipe that its jobs share, and the command for all of them.

    The sweep carries out a command. While it is ``cancel`` or ``delete``, no worker claims a job
    of the batch.
    """

    batch: str
    steps: tuple[Mapping[str, Any], ...]
    format: str
    created: int
    kept_until: int
    jobs: int = 0
    command: BatchCommand = ""
    # When the command was given, and the sort key up to which it has been carried out.
    commanded: int = 0
    command_after: str = ""
    due: int = 0
    depth: Depth = "input"
    # Who made it: a hash of the address that the request came from.
    visitor: str = ""
    metadata: Metadata = "keep"
    # Of results in a format with loss, from 1 to 100; None for the usual one of each format.
    quality: int | None = None
    # Other images that the steps read.
    inputs: tuple[InputFile, ...] = ()
    # Version of the messages of its jobs.
    version: int = CHAIN_VERSION
    # How files are read, by the options of `config.contract.reading`; as they say without any.
    read: Mapping[str, Any] = field(default_factory=dict)
    # How results are written, by the options of `config.contract.writing`.
    write: Mapping[str, Any] = field(default_factory=dict)
    # Whether statistics of a stack are of each plane, or of all of them.
    across: Literal["plane", "stack"] = "plane"

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Batch":
        """Read a row as boto3's resource client returns it."""
        return cls(
            batch=item["pk"],
            steps=tuple(json.loads(item["steps"])),
            format=item["format"],
            created=int(item["created"]),
            kept_until=int(item["kept_until"]),
            jobs=int(item["jobs"]),
            command=item["command"],
            commanded=int(item["commanded"]),
            command_after=item["command_after"],
            due=int(item["due"]),
            depth=item.get("depth", "input"),
            visitor=item.get("visitor", ""),
            metadata=item.get("metadata", "keep"),
            quality=None if item.get("quality") is None else int(item["quality"]),
            inputs=tuple(InputFile(**each) for each in json.loads(item.get("inputs", "[]"))),
            version=int(item.get("version", CHAIN_VERSION)),
            read=json.loads(item.get("read", "{}")),
            write=json.loads(item.get("write", "{}")),
            across=item.get("across", "plane"),
        )

    def to_item(self) -> dict[str, Any]:
        """Write a new row. What may hold floats is JSON text, since the table has none."""
        return asdict(self) | {
            "pk": self.batch,
            "sk": resources.BATCH_SK,
            "steps": json.dumps([dict(step) for step in self.steps]),
            "inputs": json.dumps([asdict(each) for each in self.inputs]),
            "read": json.dumps(dict(self.read)),
            "write": json.dumps(dict(self.write)),
            "due_shard": resources.due_shard(self.batch),
            "ttl": time_to_live(self.kept_until),
        }


def changed_at(now: int, job: str) -> str:
    """Return the sort value of the index by change: ordered by time, unique in its batch."""
    return f"{now:013d}#{job}"


def time_to_live(kept_until: int) -> int:
    """Return when DynamoDB may delete a row, in seconds since 1970: a day after the job's end.

    The API can answer 410 until then.
    """
    return kept_until // 1000 + 86_400
