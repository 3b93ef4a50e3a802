"""What several tests here need to know of processes."""

import time
from pathlib import Path


def eventually(condition, seconds=60):
    """Poll a condition until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def is_alive(pid):
    """Return whether a process runs; one that has ended but is not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def name_of(pid):
    """Return the name of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def sockets_of(pid):
    """Return the inodes of a process's sockets, and the names of its other open files."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()).removeprefix("socket:[").rstrip("]"))
        except FileNotFoundError:
            continue
    return found


def addresses_listened_on(sockets):
    """Return the addresses of the listening sockets, in hexadecimal as /proc writes them."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1].partition(":")[0])
    return found


# 127.0.0.1 and ::1.
THIS_MACHINE = {"0100007F", "0" * 24 + "01000000"}
