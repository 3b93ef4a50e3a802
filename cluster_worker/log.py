"""Logs: one JSON line per event on standard error."""

import json
import sys
import time
from typing import Any


def event(name: str, **fields: Any) -> None:
    """Write one event; a batch is named by `config.contract.resources.public_name` only."""
    line = {"time": round(time.time(), 3), "event": name} | fields
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()
