"""Logs: one JSON line per event on standard error."""

import json
import sys
import time
from typing import Any


def event(name: str, **fields: Any) -> None:
    """Write one event as a line of JSON; refer to a batch only by its `public_name`.

    The id of a batch gives access to it, so it must not be in a log: see
    `config.contract.resources.public_name`.
    """
    line = {"time": round(time.time(), 3), "event": name} | fields
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()
