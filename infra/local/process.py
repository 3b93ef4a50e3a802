"""A part of the app as a process: how it is started, and its end seen."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.contract.settings import TOP

GUARD = Path(__file__).with_name("guard.py")


class LocalError(RuntimeError):
    """The app cannot run on this machine; the text is one sentence for the user."""


@dataclass(frozen=True)
class Process:
    """What to run.

    Attributes
    ----------
    name : str
        What the user calls it; its log is ``<name>.log``.
    command : tuple of str
        Program and arguments.
    environment : mapping
        Its whole environment.
    stop_seconds : float
        Time to end after SIGTERM; then it is killed.
    loses : str
        What is gone when it is started again, for the line that says so.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stop_seconds: float = 3.0
    loses: str = ""

    @classmethod
    def python(cls, name: str, module: str, *arguments: str, **environment: str) -> "Process":
        """Build a part that is a module of this project, run by this interpreter.

        Parameters
        ----------
        name, module : str
            What the user calls it, and where it is.
        *arguments : str
            After ``python -m module``.
        **environment : str
            Added to this process's environment, of which nothing about AWS is taken over: a key
            or a profile of the user's has no business here.
        """
        inherited = {name: at for name, at in os.environ.items() if not name.startswith("AWS_")}
        # All that a part talks to is on this machine, past any proxy.
        here = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        command = (sys.executable, "-m", module, *arguments)
        return cls(name, command, inherited | here | {"PYTHONUNBUFFERED": "1"} | environment)


class Running:
    """A part that was started, under its guard.

    Attributes
    ----------
    pid : int
        Of the part itself, not of the guard; 0 if it could not be started.
    since : float
        When it was started, on the monotonic clock.
    """

    def __init__(self, part: Process, folder: Path) -> None:
        self.part = part
        self.log = folder / f"{part.name}.log"
        self.since = time.monotonic()
        self.returncode: int | None = None
        with self.log.open("ab") as log:
            self.guard = subprocess.Popen(  # noqa: S603 - commands are our own
                # Isolated and without site: a guard is up in 20 ms and takes little memory.
                [sys.executable, "-IS", str(GUARD), str(part.stop_seconds), *part.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(part.environment),
                cwd=TOP,
                # Ctrl-C on the terminal is for the supervisor, which ends the parts in order.
                start_new_session=True,
            )
        self.report = self.guard.stdout
        self.pid = int(self.read_line() or 0)

    def fileno(self) -> int:
        """Descriptor that becomes readable when the part has ended and nothing of it is left."""
        assert self.report is not None  # noqa: S101 - opened above
        return self.report.fileno()

    def read_line(self) -> bytes:
        """Read one line of the guard's report; empty if the guard is gone."""
        assert self.report is not None  # noqa: S101 - opened above
        return self.report.readline()

    def stop(self) -> None:
        """Ask the part to end; after its `stop_seconds` the guard kills it."""
        with contextlib.suppress(ProcessLookupError):
            self.guard.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the part and all that it started."""
        if self.guard.stdin is not None:
            self.guard.stdin.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing of the part is left.

        Returns
        -------
        bool
            False if it still runs after `timeout` seconds.
        """
        if self.returncode is not None:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            if not selector.select(timeout):
                return False
        line = self.read_line()
        self.kill()
        status = self.guard.wait()
        if self.report is not None:
            self.report.close()
        # Without a second line the guard itself was killed, and the part with it.
        self.returncode = int(line) if line else status
        return True

    def end_in_words(self) -> str:
        """Tell how it ended."""
        code = self.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def last_line(log: Path) -> str:
    """The last line of a log, to follow a sentence; empty if there is none."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return f", which ends: {lines[-1][:300]}" if lines else ""
