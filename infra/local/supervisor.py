"""The supervisor: start the processes, restart those that end, and stop them all at the end."""

import contextlib
import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.local.guard import list_descendants
from infra.local.process import LocalError, Process, Running, cpu_seconds, last_line

# Like RestartSec and RestartMaxDelaySec of systemd: 1, 2, 4 … 30 s between two starts.
FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
# A process that ran this long was healthy: after its next end the delays begin anew.
HEALTHY_AFTER_SECONDS = 60.0
# Signals that come from outside. They say nothing about whether the process would fail again.
OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)

# Processor time that a process which starts uses at least between two looks, a minute apart. One
# that waits uses less.
PROGRESS_CPU_SECONDS = 1.0

# Time that a process may take to end after SIGKILL; only one stuck in the kernel needs more.
KILLED_WITHIN_SECONDS = 10.0


def compute_delay(
    previous: float, ran: float, returncode: int | None, first: float = FIRST_DELAY_SECONDS
) -> float:
    """Compute the delay before a process is restarted, in seconds.

    It grows only while the process fails by itself.

    Parameters
    ----------
    previous : float
        The delay before the run that has just ended, in seconds; 0 if that was the first run.
    ran : float
        How long the process ran, in seconds.
    returncode : int or None
        Its exit code, negative for a signal.
    first : float
        Shortest delay, in seconds.
    """
    if previous == 0 or ran >= HEALTHY_AFTER_SECONDS or returncode in OUTSIDE:
        return first
    return min(2 * previous, LONGEST_DELAY_SECONDS)


class Progress:
    """What a process that starts has done so far: lines of its log, and processor time.

    A busy machine may need minutes for what takes seconds on a quiet one. A process that waits for
    something that never comes does neither of the two.
    """

    def __init__(self, running: Running) -> None:
        self.seen = self.measure(running)

    def measure(self, running: Running) -> tuple[int, float]:
        """Return the size of the log in bytes, and the processor time in seconds."""
        size = running.log.stat().st_size if running.log.is_file() else 0
        pids = (running.pid, *list_descendants(running.pid))
        return size, sum(map(cpu_seconds, pids))

    def has_come(self, running: Running) -> bool:
        """Return whether there is more than at the last call."""
        before, self.seen = self.seen, self.measure(running)
        return self.seen[0] > before[0] or self.seen[1] > before[1] + PROGRESS_CPU_SECONDS


class Supervisor:
    """A set of processes that are started, restarted when they end, and stopped together.

    No process is restarted before `enable_restarts` is called, so that `await_ready` can report a
    process that ends while it starts.

    Parameters
    ----------
    folder : Path
        Folder of the logs.
    say : callable
        Called with each line for the user.
    first_delay : float
        Shortest delay before a process is restarted, in seconds.

    Attributes
    ----------
    processes : dict of str to Running
        The latest run of each process, by name.
    """

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        first_delay: float = FIRST_DELAY_SECONDS,
    ) -> None:
        self.folder = folder
        self.say = say
        self.first_delay = first_delay
        self.processes: dict[str, Running] = {}
        # By name: the latest delay, and the monotonic time at which a restart is due, in seconds.
        self._delays: dict[str, float] = {}
        self._restart_at: dict[str, float] = {}
        self._restarting = False
        self._ending = False
        self._lock = threading.Lock()
        # A byte in this pipe wakes the watching thread when something has changed.
        self._wake_read, self._wake_write = os.pipe()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, process: Process) -> None:
        """Start a process and watch it."""
        with self._lock:
            self.processes[process.name] = Running(process, self.folder)
        self._wake_watcher()

    def enable_restarts(self) -> None:
        """Restart processes that end from now on, and those that have ended already."""
        self._restarting = True
        self._wake_watcher()

    def pids(self) -> dict[str, int]:
        """Return the pids of the running processes, by name."""
        with self._lock:
            return {
                name: running.pid
                for name, running in self.processes.items()
                if running.returncode is None
            }

    def await_ready(self, name: str, is_ready: Callable[[], bool], timeout: float) -> None:
        """Wait until a process is ready, for as long as it shows progress.

        Parameters
        ----------
        name : str
            Name of the process.
        is_ready : callable
            Returns whether the process is ready; called every 20 ms.
        timeout : float
            Longest wait without progress, in seconds.

        Raises
        ------
        LocalError
            If the process ends before it is ready, or makes no progress for too long.
        """
        deadline = time.monotonic() + timeout
        progress = Progress(self.processes[name])
        while not is_ready():
            running = self.processes[name]
            if running.returncode is not None:
                raise LocalError(
                    f"{name} ended ({running.describe_exit()}) before it was ready; "
                    f"its log is {running.log}{last_line(running.log)}"
                )
            if time.monotonic() > deadline:
                if not progress.has_come(running):
                    raise LocalError(
                        f"{name} was not ready and made no progress for {timeout:g} s; "
                        f"its log is {running.log}"
                    )
                deadline = time.monotonic() + timeout
            time.sleep(0.02)

    def end(self, drained_first: Sequence[str] = ()) -> None:
        """Stop all processes and wait until they have ended.

        Parameters
        ----------
        drained_first : sequence of str
            Names of the processes to stop first; the others run until these have ended.
        """
        with self._lock:
            self._ending = True
        self._wake_watcher()
        self._watcher.join()
        first = [running for name, running in self.processes.items() if name in drained_first]
        rest = [running for name, running in self.processes.items() if name not in drained_first]
        for group in (first, rest):
            for running in group:
                running.stop()
            for running in group:
                if not running.wait(running.process.stop_seconds + KILLED_WITHIN_SECONDS):
                    running.kill()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def kill(self) -> None:
        """Kill all processes at once, without their time to stop.

        It takes no lock, so that a signal handler may call it.
        """
        self._ending = True
        for running in list(self.processes.values()):
            running.kill()
        self._wake_watcher()

    def _wake_watcher(self) -> None:
        # `end` has closed the pipe when a signal handler calls this late.
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b".")

    def _watch(self) -> None:
        """Wait for processes to end, and restart them after their delay; runs in a thread."""
        while not self._ending:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_read, selectors.EVENT_READ)
                with self._lock:
                    for running in self.processes.values():
                        if running.returncode is None:
                            selector.register(running, selectors.EVENT_READ, running)
                events = selector.select(self._seconds_to_next_restart())
            with self._lock:
                if self._ending:
                    return
                for key, _ in events:
                    if key.data is None:
                        os.read(self._wake_read, 64)
                    else:
                        key.data.wait()
                self._restart_ended()

    def _seconds_to_next_restart(self) -> float | None:
        """Return the time until the next restart is due, in seconds; None if none is planned."""
        if not self._restart_at:
            return None
        return max(0.0, min(self._restart_at.values()) - time.monotonic())

    def _restart_ended(self) -> None:
        """Report each process that has ended and plan its restart; restart those that are due."""
        if not self._restarting:
            return
        now = time.monotonic()
        for name, running in self.processes.items():
            if running.returncode is None:
                continue
            if name not in self._restart_at:
                previous, ran = self._delays.get(name, 0.0), now - running.started_at
                delay = compute_delay(previous, ran, running.returncode, self.first_delay)
                self._delays[name] = delay
                self._restart_at[name] = now + delay
                process = running.process
                loses = f"; {process.loses}" if process.loses else ""
                self.say(
                    f"{name} ended ({running.describe_exit()}); started again in {delay:g} s{loses}"
                )
            elif now >= self._restart_at[name]:
                del self._restart_at[name]
                self.processes[name] = Running(running.process, self.folder)
