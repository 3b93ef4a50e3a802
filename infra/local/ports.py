"""Ports on this machine: choosing free ones, and seeing whether something listens."""

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"

# Chosen below the range from which the kernel takes ports for outgoing connections: else one of
# those could take a port between its choice and the start of the part that is to listen there.
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 20_000


def free_ports(count: int) -> list[int]:
    """Choose different ports that nothing listens on."""
    highest = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.is_file() else 32_768
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(LOWEST, max(highest, LOWEST + 1000))  # noqa: S311 - no secret
        if port not in found and is_free(port):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on a port."""
    with socket.socket() as probe:
        # As servers do, so that connections of a server just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on a port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
