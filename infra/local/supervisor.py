"""Keep the parts running: start again what dies, with backoff, until told to end."""

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.local.process import LocalError, Process, Running, last_line

# As systemd's RestartSec and RestartMaxDelaySec would be set: 1, 2, 4 … 30 s between two starts.
FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
# A part that ran so long was well: its next death counts as its first.
WELL_AFTER_SECONDS = 60.0

# How long a part may take to go once it was killed; only a process stuck in the kernel needs more.
KILLED_WITHIN_SECONDS = 10.0


def delay_after(previous: float, ran: float, first: float = FIRST_DELAY_SECONDS) -> float:
    """Seconds to wait before a part is started again.

    Parameters
    ----------
    previous : float
        The delay before the start that has just failed; 0 if that was the first start.
    ran : float
        How long the part ran, in seconds.
    first : float
        Shortest delay.
    """
    if previous == 0 or ran >= WELL_AFTER_SECONDS:
        return first
    return min(2 * previous, LONGEST_DELAY_SECONDS)


class Supervisor:
    """Start parts, start again what dies, end all.

    Until `keep` is called a part that dies stays dead, so that a start that fails is told from a
    part that fails later.

    Parameters
    ----------
    folder : Path
        Where the logs go.
    say : callable
        Takes each line that is for the user.
    first_delay : float
        Shortest time before a part is started again, in seconds.
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
        self.parts: dict[str, Running] = {}
        self._delays: dict[str, float] = {}
        self._start_at: dict[str, float] = {}
        self._keeping = False
        self._ending = False
        self._lock = threading.Lock()
        # A byte in this pipe tells the watching thread that something has changed.
        self._woken, self._wake = os.pipe()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, part: Process) -> None:
        """Start a part and watch it."""
        with self._lock:
            self.parts[part.name] = Running(part, self.folder)
        self._notify()

    def keep(self) -> None:
        """From now on start again what dies, and what has died already."""
        self._keeping = True
        self._notify()

    def pids(self) -> dict[str, int]:
        """Pids of the parts that run, by name."""
        with self._lock:
            return {
                name: running.pid
                for name, running in self.parts.items()
                if running.returncode is None
            }

    def await_ready(self, name: str, is_ready: Callable[[], bool], timeout: float) -> None:
        """Wait until a part is ready.

        Raises
        ------
        LocalError
            If it ends before, or is not ready in time.
        """
        deadline = time.monotonic() + timeout
        while not is_ready():
            running = self.parts[name]
            if running.returncode is not None:
                raise LocalError(
                    f"{name} ended ({running.end_in_words()}) before it was ready; "
                    f"its log is {running.log}{last_line(running.log)}"
                )
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{name} was not ready within {timeout:g} s; its log is {running.log}"
                )
            time.sleep(0.02)

    def end(self, drained_first: Sequence[str] = ()) -> None:
        """End every part, those named first of all; returns when nothing is left."""
        with self._lock:
            self._ending = True
        self._notify()
        self._watcher.join()
        first = [running for name, running in self.parts.items() if name in drained_first]
        rest = [running for name, running in self.parts.items() if name not in drained_first]
        for group in (first, rest):
            for running in group:
                running.stop()
            for running in group:
                if not running.wait(running.part.stop_seconds + KILLED_WITHIN_SECONDS):
                    running.kill()
        os.close(self._woken)
        os.close(self._wake)

    def kill(self) -> None:
        """End every part at once, without its time to stop; good from a signal handler."""
        self._ending = True
        for running in list(self.parts.values()):
            running.kill()
        self._notify()

    def _notify(self) -> None:
        # The pipe is closed once all has ended.
        with contextlib.suppress(OSError):
            os.write(self._wake, b".")

    def _watch(self) -> None:
        """See parts end, and start them again when their time has come."""
        while not self._ending:
            with selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                with self._lock:
                    for running in self.parts.values():
                        if running.returncode is None:
                            selector.register(running, selectors.EVENT_READ, running)
                events = selector.select(self._until_next_start())
            with self._lock:
                if self._ending:
                    return
                for key, _ in events:
                    if key.data is None:
                        os.read(self._woken, 64)
                    else:
                        key.data.wait()
                self._start_again()

    def _until_next_start(self) -> float | None:
        """Seconds until a part is due to be started again; None if none is."""
        if not self._start_at:
            return None
        return max(0.0, min(self._start_at.values()) - time.monotonic())

    def _start_again(self) -> None:
        """Say what has died and start what is due."""
        if not self._keeping:
            return
        now = time.monotonic()
        for name, running in self.parts.items():
            if running.returncode is None:
                continue
            if name not in self._start_at:
                delay = delay_after(
                    self._delays.get(name, 0.0), now - running.since, self.first_delay
                )
                self._delays[name] = delay
                self._start_at[name] = now + delay
                loses = f"; {running.part.loses}" if running.part.loses else ""
                self.say(
                    f"{name} ended ({running.end_in_words()}); started again in {delay:g} s{loses}"
                )
            elif now >= self._start_at[name]:
                del self._start_at[name]
                self.parts[name] = Running(running.part, self.folder)
