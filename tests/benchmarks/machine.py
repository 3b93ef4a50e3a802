"""What the page says of the machine that it was measured on."""

import os
from datetime import UTC, datetime
from pathlib import Path


def machine():
    """Name the machine by its cores and their model."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{len(os.sched_getaffinity(0))} cores, {next(models, 'of no name')}"


def today():
    """Give the date."""
    return datetime.now(UTC).date().isoformat()
