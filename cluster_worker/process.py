"""Processes as the system shows them, also where /proc is hidden."""

import os
from contextlib import suppress
from pathlib import Path


def set_name(name: str) -> None:
    """Set the name of this process that ps and top show, if the system lets it."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def is_running(pid: int) -> bool:
    """Return whether there is a process with this number, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def processor_lines() -> list[str]:
    """Return what Linux says of the processors, in lines; none if it says nothing."""
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
