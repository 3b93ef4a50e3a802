"""What is struck: processes are killed or stopped, memory is filled, links are cut."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.app.processes import named, parent_of
from tests.chaos.ground import free_bytes

EVERY_SECONDS = 2.0
STOPPED_SECONDS = (5.0, 15.0)
# What a full folder has left: nothing fits, but a log line does.
LEFT_BYTES = 64 << 10

# Parts of the worker, by words of their name or command line.
WORKERS_PARTS = {
    "seat": "dip seat",
    "wide rank": "dip rank",
    "mpiexec": "mpiexec -n",
    "forkserver": "dip forkserver",
    "decoder": "decoder",
}
PROCESSES = ("worker", "api", "front", "broker")


class Storm:
    """Strikes an app every EVERY_SECONDS, by a seed.

    Parameters
    ----------
    app : StruckApp
        What is struck.
    seed : int
        The same seed chooses the same strikes; what a strike hits depends on the moment.

    Attributes
    ----------
    counts : Counter
        Strikes by name, and ``missed`` ones that found nothing to hit.
    last : float
        When the last strike ended, in seconds since 1970.
    """

    def __init__(self, app, seed):
        self.app = app
        self.random = random.Random(seed)  # noqa: S311 - not for secrets
        self.counts = Counter()
        self.last = 0.0
        self.ending = threading.Event()
        self.threads = []

    def rage(self, seconds):
        """Strike for a time; at the end, undo what lasts."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            name, strike = self.choose()
            thread = threading.Thread(target=self.strike, args=(name, strike), daemon=True)
            thread.start()
            self.threads.append(thread)
            time.sleep(EVERY_SECONDS)
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        self.last = time.time()

    def choose(self):
        """Choose the next strike; return its name and a function that does it."""
        seconds = self.random.uniform(*STOPPED_SECONDS)
        pick = self.random.random()
        lasting = {
            "shared memory full": self.full_memory,
            "spool full": self.full_spool,
            "broker's memory alarm": self.alarm,
            "link to the broker cut": self.cut,
        }
        kind = self.random.choice(("kill", "stop"))
        name = self.random.choice((*WORKERS_PARTS, *WORKERS_PARTS, *PROCESSES))
        condition = self.random.choice(tuple(lasting))
        if self.may_last and pick < 0.25:
            return condition, lambda: self.hold(lasting[condition](), seconds)
        return f"{name} {kind}", lambda: self.hit(name, kind, seconds)

    @property
    def may_last(self):
        """Whether a lasting condition may begin: one at a time."""
        return not any(thread.is_alive() and thread.name == "lasting" for thread in self.threads)

    def strike(self, name, strike):
        """Do one strike and count it."""
        if not name.endswith(("kill", "stop")):
            threading.current_thread().name = "lasting"
        self.counts[name if strike() else f"{name}, missed"] += 1

    def hit(self, name, kind, seconds):
        """Kill a process, or stop it for a time; return whether there was one."""
        pid = self.find(name)
        if pid is None:
            return False
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return False
        with ExitStack() as stack:
            stack.callback(os.close, handle)
            with suppress(ProcessLookupError):
                if kind == "kill":
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    return True
                signal.pidfd_send_signal(handle, signal.SIGSTOP)
                self.ending.wait(seconds)
                signal.pidfd_send_signal(handle, signal.SIGCONT)
                return True
        return False

    def find(self, name):
        """Return the id of a process of this name; None if none runs now."""
        pids = self.app.pids()
        if name in PROCESSES:
            return pids.get(name) or None
        # The guard that has started the worker. It adopts ranks and decoders whose forkserver was
        # killed, so they are no descendants of the worker any more.
        guard = parent_of(pids.get("worker", 0))
        found = set(named(guard, WORKERS_PARTS[name])) - {guard} if guard > 1 else ()
        return self.random.choice(sorted(found)) if found else None

    def hold(self, condition, seconds):
        """Keep a condition for a time."""
        with condition:
            self.ending.wait(seconds)
        return True

    def full_memory(self):
        """Fill /dev/shm."""
        return full("/dev/shm")  # noqa: S108 - the storm's own

    def full_spool(self):
        """Fill the folder for images larger than memory."""
        return full(self.app.spool)

    @contextmanager
    def alarm(self):
        """Make the broker believe that its memory has run out: it stops reading from publishers."""
        self.app.broker_command("set_vm_memory_high_watermark", "0.0000001")
        yield
        self.app.broker_command("set_vm_memory_high_watermark", "0.4")

    @contextmanager
    def cut(self):
        """Cut the link between API and broker."""
        self.app.link.cut()
        yield
        self.app.link.mend()


@contextmanager
def full(folder):
    """Fill a folder, and keep it full while others free and take."""
    path = Path(folder) / "chaos.fill"
    with path.open("wb") as file:
        with suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(free_bytes(folder) - LEFT_BYTES, 1))
        yield
    path.unlink()
