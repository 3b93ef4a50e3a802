"""The hosts of a group, as an engine is given them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster_worker.engine.hosts.agent import PORT
from cluster_worker.engine.hosts.channel import check_secret
from cluster_worker.errors import Rejected
from cluster_worker.objects.store import open_store

HOSTS_MAX = 64


@dataclass(frozen=True)
class Hosts:
    """Hosts that work on one image together; on each an agent runs (`dip agent`).

    Attributes
    ----------
    names : tuple of (str, int)
        Name or address of each host, and the port of its agent.
    store : str
        Address of a folder or bucket that all hosts reach, for pixels on their way: between this
        host and the others, and between passes. What is written there is deleted with each job.
    secret : bytes
        The group's secret.
    ports : str
        Range of TCP ports of this host for MPI, as "30000:30100"; empty for any.
    lease : str
        Name of the lease of the hosts, which agents of worker nodes check; empty for no lease.
    """

    names: tuple[tuple[str, int], ...]
    store: str
    secret: bytes
    ports: str = ""
    lease: str = ""

    @classmethod
    def of(
        cls, hosts: Sequence[str], store: str, secret_file: str | Path, ports: str = ""
    ) -> "Hosts":
        """Read names, as "a" or "a:7321", and the secret; check the store.

        Raises
        ------
        Rejected
            If a name is none or given twice, the secret cannot be read or is too short, or the
            store is none.
        """
        names = tuple(name_of(each) for each in hosts)
        if not 1 <= len(names) <= HOSTS_MAX or len(set(names)) < len(names):
            raise Rejected(
                f"hosts: must be 1 to {HOSTS_MAX} different ones, got {', '.join(hosts)}"
            )
        open_store(store)
        return cls(names, store.rstrip("/"), read_secret(secret_file), ports)

    def without(self, host: str) -> "Hosts":
        """Return the group without a host, which is given as "name:port"."""
        left = tuple(each for each in self.names if f"{each[0]}:{each[1]}" != host)
        return replace(self, names=left)


def read_secret(path: str | Path) -> bytes:
    """Read the secret of a group from a file.

    Raises
    ------
    Rejected
        If the file cannot be read, or the secret is too short.
    """
    try:
        return check_secret(Path(path).read_bytes())
    except OSError as error:
        raise Rejected(f"{path}: cannot be read: {error.strerror}") from error


def name_of(text: str) -> tuple[str, int]:
    """Read a host's name and the port of its agent.

    Raises
    ------
    Rejected
        If there is no name, or the port is no number.
    """
    name, colon, port = text.strip().partition(":")
    if not name or (colon and not port.isdigit()):
        raise Rejected(f"hosts: must be NAME or NAME:PORT, got {text!r}")
    return name, int(port) if colon else PORT
