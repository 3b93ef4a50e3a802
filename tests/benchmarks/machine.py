"""The machine and the date of a measurement, as the page states them."""

import os
from datetime import UTC, datetime
from pathlib import Path


def machine():
    """Return the number of cores and their model as text."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{len(os.sched_getaffinity(0))} cores, {next(models, 'of no name')}"


def today():
    """Return today's date, in UTC."""
    return datetime.now(UTC).date().isoformat()
