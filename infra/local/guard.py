"""A process between the supervisor and one part, so that nothing of the part outlives either.

Run as ``python guard.py STOP_SECONDS COMMAND…``; standard library only and no imports from the
project, since one guard is started for each part and stays as long as the part does.

Killing a process group is not enough here: mpiexec's ranks and Erlang's epmd leave the group of the
part that started them. As a *subreaper* the guard inherits whatever of its descendants loses its
parent, so that it can find them all, whatever they did to get away.

- stdin is the lifeline: when it closes, the supervisor is gone, and all is killed at once.
- SIGTERM ends the part: it gets SIGTERM and STOP_SECONDS to end, then all is killed.
- stdout is the report: the part's pid on a first line, its return code on a second.
- stderr is where the part writes, both its streams.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

# From linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

LIBC = ctypes.CDLL(None, use_errno=True)


def main(stop_seconds: float, command: list[str]) -> None:
    """Run a command until it ends or is to end; then see that nothing of it is left."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    # A signal that arrives wakes the select below by a byte in this pipe, its number.
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    try:
        part = subprocess.Popen(  # noqa: S603 - the command is the supervisor's
            command, stdin=subprocess.DEVNULL, stdout=2, preexec_fn=die_with_guard
        )
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")
    report(part.pid)
    returncode = watch(part.pid, read_end, stop_seconds)
    kill_descendants()
    report(returncode)


def report(number: int) -> None:
    """Write a line for the supervisor, which may be gone."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, f"{number}\n".encode())


def die_with_guard() -> None:
    """In the part: be killed should the guard itself be."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def watch(part: int, signals: int, stop_seconds: float) -> int:
    """Wait for the part to end, and end it when asked to.

    Parameters
    ----------
    part : int
        Its pid.
    signals : int
        Descriptor that signal numbers arrive on.
    stop_seconds : float
        Time between SIGTERM and SIGKILL.

    Returns
    -------
    int
        Its return code, negative for a signal.
    """
    lifeline = sys.stdin.fileno()
    deadline = float("inf")
    while True:
        timeout = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([lifeline, signals], [], [], timeout)
        arrived = os.read(signals, 64) if signals in readable else b""
        returncode = reap(part)
        if returncode is not None:
            return returncode
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            os.kill(part, signal.SIGTERM)
            deadline = min(deadline, time.monotonic() + stop_seconds)
        if lifeline in readable or time.monotonic() >= deadline:
            os.kill(part, signal.SIGKILL)
            _, status = os.waitpid(part, 0)
            return os.waitstatus_to_exitcode(status)


def reap(part: int) -> int | None:
    """Collect what has ended; return the part's return code once it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == part:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


def kill_descendants() -> None:
    """Kill every descendant; those that are orphaned by it come to this process, and go too."""
    while True:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def descendants(ancestor: int) -> list[int]:
    """List the pids of all descendants of a process, by one look at /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # pid (name) state ppid …; the name may hold blanks and parentheses.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
