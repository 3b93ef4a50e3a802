"""Ports on this machine: choose free ones, and check whether a server listens."""

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"

# Ports are chosen below the range that the kernel uses for outgoing connections. Otherwise such a
# connection could take a port after it was chosen and before its server listens there.
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 20_000


def free_ports(count: int) -> list[int]:
    """Choose `count` different ports on which nothing listens."""
    highest = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.is_file() else 32_768
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(LOWEST, max(highest, LOWEST + 1000))  # noqa: S311 - no secret
        if port not in found and is_free(port):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Return whether a server could listen on a port."""
    with socket.socket() as probe:
        # Servers set this too: lingering connections of a server that has ended do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Return whether a server listens on a port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
