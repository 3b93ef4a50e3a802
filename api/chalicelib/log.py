"""Logs: one JSON line per event. Batch ids are replaced by their hashes in every line."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chalicelib import tracing
from config.contract import resources

logger = logging.getLogger("dip-api")

# A batch id gives access to its images, so whatever looks like one is replaced by its hash.
BATCH_ID = re.compile(r"[0-9a-f]{32}")


class JsonLines(logging.Formatter):
    """One JSON object per record; a traceback is one of its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        fields = dict(getattr(record, "fields", {}))
        trace = fields.pop("trace", "")
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in fields.items() if value is not None},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        text = BATCH_ID.sub(lambda found: resources.public_name(found[0]), json.dumps(line))
        # The id of a trace looks like that of a batch, and gives access to nothing.
        return f'{text[:-1]}, "trace": {json.dumps(trace)}}}' if trace else text


def set_up() -> None:
    """Send this app's events to standard error; a second call changes nothing."""
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # Lambda puts a handler on the root logger, which would print every event again.
    logger.propagate = False
    # Pika logs every failed connection several times; the publisher logs it once.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def trace_id() -> str:
    """Return the id of the trace of the request that is being answered; empty if it has none."""
    return tracing.current().trace


def event(name: str, batch: str = "", /, **fields: str | float | None) -> None:
    """Log one event; `batch` is written as its hash."""
    if batch:
        fields["batch"] = resources.public_name(batch)
    logger.info(name, extra={"fields": {**fields, "trace": trace_id()}})


def figures(described: Mapping[str, Any], values: Mapping[str, int]) -> None:
    """Log figures with their description for CloudWatch (`chalicelib.metrics`)."""
    logger.info("figures", extra={"fields": {"_aws": described, **values}})


def trouble(name: str, batch: str = "", /, **fields: str | float | None) -> None:
    """Log one event that an operator should look at; `batch` is written as its hash."""
    if batch:
        fields["batch"] = resources.public_name(batch)
    logger.warning(name, extra={"fields": {**fields, "trace": trace_id()}})
