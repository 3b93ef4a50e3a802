"""Isolated hosts on one machine: each worker with its own network, shared memory and host name.

Only root may make them. A switch joins their networks, which have no other way out. The broker, S3
and the table stay where they are: in each host's network a door leads to their ports (`door.py`).
"""

import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from infra.local.process import LocalError, Process

TOOLS = ("ip", "unshare")
# The subnet is joined to no other network, so its addresses may occur elsewhere.
ADDRESS = "10.98.8.{}"
DEVICE = "net0"
HOSTS_MAX = 8
COMMAND_SECONDS = 20.0
# Folders of which each host has its own. /tmp is not among them: logs and settings of tests lie
# there.
PRIVATE = ("/dev/shm", "/var/tmp")  # noqa: S108 - folders to isolate


class IsolatedHosts:
    """Networks of some hosts, and the commands that run in them. Use it in a ``with`` block.

    Parameters
    ----------
    count : int
        Number of hosts.
    tag : str
        Begins the names of the network namespaces; short, and unique on this machine.

    Attributes
    ----------
    names : list of str
        Of the hosts: host-a, host-b, …

    Raises
    ------
    LocalError
        On entry, if this user may not make them, or a program is missing.
    """

    def __init__(self, count: int, tag: str) -> None:
        self.names = [f"host-{chr(ord('a') + number)}" for number in range(count)]
        self.tag = tag
        self.closing = ExitStack()

    def address(self, name: str) -> str:
        """Return the address of a host in the network of all."""
        return ADDRESS.format(1 + self.names.index(name))

    def namespace(self, name: str) -> str:
        """Return the name of a host's network namespace, as `ip netns` lists it."""
        return f"{self.tag}-{name}"

    def worker(self, name: str, process: Process) -> Process:
        """Return a process of a worker as it runs on a host."""
        mounts = " && ".join(f"mount -t tmpfs none {folder}" for folder in PRIVATE)
        script = f'{mounts} && hostname {name} && exec "$@"'
        command = (
            *("ip", "netns", "exec", self.namespace(name)),
            *("unshare", "--mount", "--ipc", "--uts", "sh", "-c", script, "sh"),
            *process.command,
        )
        environment = {
            **process.environment,
            "TMPDIR": PRIVATE[-1],
            "HOST_ADDRESS": self.address(name),
            "UCX_NET_DEVICES": DEVICE,
            "FI_TCP_IFACE": DEVICE,
        }
        return replace(process, command=command, environment=environment)

    def door(self, name: str, ports: list[int]) -> Process:
        """Return the process by which a host reaches ports of this machine at its own loopback."""
        given = self.namespace(name), *map(str, ports)
        return replace(Process.python(f"door-{name}", "infra.local.door", *given), stop_seconds=0.0)

    def _add(self) -> None:
        switch = self.namespace("switch")
        for each in (switch, *map(self.namespace, self.names)):
            if Path("/run/netns", each).exists():
                # The app was killed before it could remove it. Its port is ours now, and the tag.
                run("ip", "netns", "del", each)
            run("ip", "netns", "add", each)
            self.closing.callback(run, "ip", "netns", "del", each)
        run("ip", "-n", switch, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "switch", "up")
        for name in self.names:
            own = ("ip", "-n", self.namespace(name))
            peer = ("peer", "name", DEVICE, "netns", self.namespace(name))
            run("ip", "-n", switch, "link", "add", f"to-{name}", "type", "veth", *peer)
            run("ip", "-n", switch, "link", "set", f"to-{name}", "master", "switch", "up")
            run(*own, "address", "add", f"{self.address(name)}/24", "dev", DEVICE)
            run(*own, "link", "set", DEVICE, "up")
            run(*own, "link", "set", "lo", "up")

    def __enter__(self) -> Self:
        if os.getuid() != 0:
            raise LocalError("HOSTS: several isolated workers need root; run: sudo make run")
        missing = [each for each in TOOLS if shutil.which(each) is None]
        if missing:
            raise LocalError(f"HOSTS: needs {', '.join(missing)}: apt-get install iproute2")
        try:
            self._add()
        except BaseException:
            self.closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()


def run(*words: str) -> None:
    """Run a command.

    Raises
    ------
    LocalError
        With its last words, if it fails.
    """
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=COMMAND_SECONDS)  # noqa: S603 - our own words
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", b"") or b""
        raise LocalError(f"{' '.join(words)}: {said.decode().strip() or error}") from error


def check_count(count: int) -> None:
    """Check the number of hosts; raises LocalError."""
    if not 1 <= count <= HOSTS_MAX:
        raise LocalError(f"HOSTS: must lie between 1 and {HOSTS_MAX}, got {count}")
