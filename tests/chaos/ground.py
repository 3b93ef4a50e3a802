"""The app that a storm strikes: little memory, a link that can be cut, and short waits."""

import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from infra.local.app import LocalApp
from infra.local.ports import HOST, free_ports

SHM_BYTES = 1 << 30
SPOOL_BYTES = 256 << 20
SETTINGS = {
    "HEARTBEAT_LAPSE_SECONDS": "10",
    "REPUBLISH_SECONDS": "5",
    # Larger images are computed from file to file, through the spool.
    "JOB_SECONDS_MAX": "60",
}
WITH_OWN_MEMORY = "CHAOS_HAS_OWN_MEMORY"


def enter_own_memory():
    """Run this program again with a /dev/shm of its own, which a storm can fill; needs root."""
    if WITH_OWN_MEMORY in os.environ:
        return
    if os.geteuid() != 0:
        sys.exit("make chaos: needs root, for a /dev/shm and a spool of its own")
    mount = f"mount -t tmpfs -o size={SHM_BYTES} tmpfs /dev/shm"
    command = ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    command += [sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, WITH_OWN_MEMORY: "1"})  # noqa: S606 - no shell


def mount_spool(folder):
    """Make a folder with little room for images larger than memory."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SPOOL_BYTES}", "tmpfs", str(folder)], check=True
    )
    return folder


class StruckApp(LocalApp):
    """The local app, whose API reaches the broker over a link that can be cut.

    Attributes
    ----------
    link : Link
        Between API and broker.
    spool : Path
        The worker's folder for images larger than memory.
    """

    def __init__(self, folder, ranks=2, say=print):
        self.link = Link()
        self.spool = mount_spool(folder / "spool")
        super().__init__(
            folder / "app",
            ranks=ranks,
            sweep_seconds=1.0,
            say=say,
            SPOOL_DIR=str(self.spool),
            **SETTINGS,
        )

    def _api(self, port):
        process = super()._api(port)
        url = self.environment["BROKER_URL"]
        address = url.rpartition(":")[2].rstrip("/")
        self.link.open(int(address))
        environment = {
            **process.environment,
            "BROKER_URL": url.replace(address, str(self.link.port)),
        }
        return replace(process, environment=environment)

    def broker_command(self, *command):
        """Run rabbitmqctl against the app's broker; return what it prints."""
        environment = self.supervisor.processes["broker"].process.environment
        return subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", environment["RABBITMQ_NODENAME"], *command],
            env={**environment, "RABBITMQ_SERVER_START_ARGS": ""},
            check=False,  # the broker may be struck at the same time
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def unmount(self):
        """Release the spool's memory."""
        subprocess.run(["umount", str(self.spool)], check=False)


class Link:
    """Forwards TCP connections from a port of its own. Cut, it delivers nothing, closes nothing."""

    def __init__(self):
        self.listener = socket.create_server((HOST, free_ports(1)[0]))
        self.port = self.listener.getsockname()[1]
        self.whole = threading.Event()
        self.whole.set()

    def open(self, target):
        """Begin to forward to a port of this machine."""
        threading.Thread(target=self.accept, args=(target,), daemon=True).start()

    def accept(self, target):
        """Accept connections for ever."""
        while True:
            near, _ = self.listener.accept()
            threading.Thread(target=self.join, args=(near, target), daemon=True).start()

    def join(self, near, target):
        """Connect one connection with the target, both ways."""
        self.whole.wait()
        try:
            far = socket.create_connection((HOST, target), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    def copy(self, one, other):
        """Copy what arrives at one side to the other, but only while the link is whole."""
        try:
            while content := one.recv(1 << 16):
                self.whole.wait()
                other.sendall(content)
        except OSError:
            pass
        for each in (one, other):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def cut(self):
        """Stop delivering."""
        self.whole.clear()

    def mend(self):
        """Deliver again, first what was held back."""
        self.whole.set()


def free_bytes(folder):
    """Return the free bytes of the file system of a folder."""
    found = os.statvfs(Path(folder))
    return found.f_bavail * found.f_frsize
