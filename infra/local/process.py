"""A process of the local app: start it under a guard, stop it, and notice when it has ended."""

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
    """The app cannot run on this machine; the message is one sentence for the user."""


@dataclass(frozen=True)
class Process:
    """The description of a process: what to run, and how to stop it.

    Attributes
    ----------
    name : str
        Name shown to the user; the log is ``<name>.log``.
    command : tuple of str
        Program and arguments.
    environment : mapping
        The whole environment of the process; nothing else is inherited.
    stop_seconds : float
        Time that the process has to end after SIGTERM, in seconds; then it is killed.
    loses : str
        What is lost when the process is restarted, for the line that reports the restart.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stop_seconds: float = 3.0
    loses: str = ""

    @classmethod
    def python(cls, name: str, module: str, *arguments: str, **environment: str) -> "Process":
        """Describe a process that runs a module of this project with this interpreter.

        Parameters
        ----------
        name : str
            Name shown to the user.
        module : str
            Dotted name of the module.
        *arguments : str
            Arguments after ``python -m module``.
        **environment : str
            Variables added to the environment of the current process. Variables whose names begin
            with ``AWS_`` are not inherited: the user's own keys and profiles must not be used.
        """
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("AWS_")
        }
        # The processes talk only to this machine, so no proxy must stand between them.
        no_proxy = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        command = (sys.executable, "-m", module, *arguments)
        return cls(name, command, inherited | no_proxy | {"PYTHONUNBUFFERED": "1"} | environment)


class Running:
    """A process that was started under its guard (`guard.py`).

    Parameters
    ----------
    process : Process
        What to run.
    folder : Path
        Folder of the log, to which both output streams are appended.

    Attributes
    ----------
    pid : int
        Pid of the process itself, not of the guard; 0 if it could not be started.
    started_at : float
        Time of the start, on the monotonic clock, in seconds.
    returncode : int or None
        Exit code, negative for a signal; None until `wait` has seen the end.
    """

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.log = folder / f"{process.name}.log"
        self.started_at = time.monotonic()
        self.returncode: int | None = None
        with self.log.open("ab") as log:
            self.guard = subprocess.Popen(  # noqa: S603 - commands are our own
                # -I and -S (isolated, without site): a guard starts in 20 ms and uses little
                # memory.
                [sys.executable, "-IS", str(GUARD), str(process.stop_seconds), *process.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(process.environment),
                cwd=TOP,
                # Ctrl-C on the terminal must reach the supervisor only, which ends the processes
                # in the right sequence.
                start_new_session=True,
            )
        self.report = self.guard.stdout
        self.pid = int(self.read_line() or 0)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the process has ended.

        Its descendants have ended then, too.
        """
        assert self.report is not None  # noqa: S101 - opened above
        return self.report.fileno()

    def read_line(self) -> bytes:
        """Read one line of the guard's report; return an empty one if the guard has ended."""
        assert self.report is not None  # noqa: S101 - opened above
        return self.report.readline()

    def stop(self) -> None:
        """Send SIGTERM to the process; the guard kills it after its `stop_seconds`."""
        with contextlib.suppress(ProcessLookupError):
            self.guard.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process and all its descendants."""
        # The guard kills them when its stdin closes.
        if self.guard.stdin is not None:
            self.guard.stdin.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process and all its descendants have ended.

        Parameters
        ----------
        timeout : float, optional
            Longest wait, in seconds; None waits without limit.

        Returns
        -------
        bool
            False if the process still runs after `timeout` seconds.
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
        # If the second line is missing, the guard itself was killed, and the process with it.
        self.returncode = int(line) if line else status
        return True

    def describe_exit(self) -> str:
        """Return how the process ended: ``signal 9`` or ``exit code 1``."""
        code = self.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of its ended children; 0 if it has ended."""
    try:
        # The line reads "pid (name) state …"; the name may hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, cutime and cstime, which are fields 14 to 17 of the line.
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def last_line(log: Path) -> str:
    """Return ``, which ends: …`` with the last line of a log; empty if the log has no line."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return f", which ends: {lines[-1][:300]}" if lines else ""
