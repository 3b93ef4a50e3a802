"""The guard: a process that runs one command and ends all its descendants with it.

The supervisor starts one guard for each process of the app, as
``python guard.py STOP_SECONDS COMMAND…``. The guard lives as long as the command. It imports the
standard library only, so that it starts quickly and uses little memory.

Killing the process group of the command would not be enough: the ranks of mpiexec and Erlang's epmd
leave the group. Therefore the guard is a *subreaper*: a descendant whose parent ends becomes a
child of the guard, which can so find and kill all of them.

- stdin is the lifeline: it closes when the supervisor has ended; then the guard kills everything.
- SIGTERM stops the command: the guard sends it SIGTERM, waits STOP_SECONDS, then kills everything.
- stdout is the report: the pid of the command on the first line, its return code on the second.
- stderr receives both output streams of the command.
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
    """Run a command until it ends or must be stopped; then kill its descendants.

    Parameters
    ----------
    stop_seconds : float
        Time between SIGTERM and SIGKILL, in seconds.
    command : list of str
        Program and arguments.
    """
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    # Python writes the number of each signal into this pipe, which wakes the select in
    # `wait_for_exit`.
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is the supervisor's
            command, stdin=subprocess.DEVNULL, stdout=2, preexec_fn=set_death_signal
        )
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")
    write_report(process.pid)
    returncode = wait_for_exit(process.pid, read_end, stop_seconds)
    kill_descendants()
    write_report(returncode)


def write_report(number: int) -> None:
    """Write a line to the supervisor, unless the supervisor has ended."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, f"{number}\n".encode())


def set_death_signal() -> None:
    """Make the kernel kill the calling process when the guard dies; runs in the child."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for_exit(pid: int, signals: int, stop_seconds: float) -> int:
    """Wait until a child process ends, and stop it when asked to.

    Parameters
    ----------
    pid : int
        Pid of the child.
    signals : int
        Descriptor from which the numbers of arrived signals are read, one byte each.
    stop_seconds : float
        Time between SIGTERM and SIGKILL, in seconds.

    Returns
    -------
    int
        Return code of the child, negative for a signal.
    """
    lifeline = sys.stdin.fileno()
    deadline = float("inf")
    while True:
        timeout = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([lifeline, signals], [], [], timeout)
        arrived = os.read(signals, 64) if signals in readable else b""
        returncode = reap(pid)
        if returncode is not None:
            return returncode
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            os.kill(pid, signal.SIGTERM)
            deadline = min(deadline, time.monotonic() + stop_seconds)
        if lifeline in readable or time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            return os.waitstatus_to_exitcode(status)


def reap(pid: int) -> int | None:
    """Collect the children that have ended.

    Parameters
    ----------
    pid : int
        Pid of the child that runs the command.

    Returns
    -------
    int or None
        Return code of that child; None while it runs.
    """
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if ended == pid:
            return os.waitstatus_to_exitcode(status)
        if ended == 0:
            return None


def kill_descendants() -> None:
    """Kill all descendants.

    A descendant whose parent was killed becomes a child of this process. So kill and reap in turn
    until no child is left.
    """
    while True:
        for pid in list_descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def list_descendants(ancestor: int) -> list[int]:
    """List the pids of all descendants of a process, from one pass over /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The line reads "pid (name) state ppid …"; the name may hold blanks and
                # parentheses.
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
