"""A door from the network of an isolated host to ports of this machine.

Run as ``python -m infra.local.door NAMESPACE PORT…``. It listens at the loopback address of the
namespace, and connects each client to the same port of this machine's.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from infra.local.ports import HOST

# From linux/sched.h.
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
BLOCK_BYTES = 1 << 18

Connect = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def main() -> None:
    """Serve until killed."""
    namespace, *ports = sys.argv[1:]
    listeners = [listen_inside(namespace, int(port)) for port in ports]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asyncio.run(serve(listeners))


def listen_inside(namespace: str, port: int) -> socket.socket:
    """Return a listening socket in a network namespace; this process does not stay there."""
    with Path("/proc/self/ns/net").open() as own:
        try:
            with Path("/run/netns", namespace).open() as other:
                enter(other.fileno())
            return socket.create_server((HOST, port), backlog=256)
        finally:
            enter(own.fileno())


def enter(namespace: int) -> None:
    """Move this thread to a network namespace; raises OSError."""
    if LIBC.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


async def serve(listeners: list[socket.socket]) -> None:
    """Connect the clients of all listeners until the process ends."""
    for each in listeners:
        await asyncio.start_server(connect_to(each.getsockname()[1]), sock=each)
    await asyncio.Event().wait()


def connect_to(port: int) -> Connect:
    """Return what connects a client to a port of this machine."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Either side may go at any time, which the other one sees as the end.
        with contextlib.closing(writer), contextlib.suppress(OSError):
            from_server, to_server = await asyncio.open_connection(HOST, port)
            with contextlib.closing(to_server):
                await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer))

    return connect


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes from one side to the other, until the first one has closed its direction."""
    while block := await reader.read(BLOCK_BYTES):
        writer.write(block)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


if __name__ == "__main__":
    main()
