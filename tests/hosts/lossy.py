"""A link that loses packets: two network devices and what moves frames between them.

`python -m tests.hosts.lossy CARD ADDRESS/BITS NAMESPACE NAME SHARE` makes the device net0 in its
own network namespace, with the hardware address CARD, and the device NAME, a port of the switch, in
another one. It loses that share of the frames, both ways.
"""

import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
from pathlib import Path

TUNSETIFF = 0x400454CA
# Frames with their Ethernet header, and nothing before it.
TAP, NO_HEADER = 0x0002, 0x1000
NEW_NETWORK = 0x40000000
FRAME_BYTES_MAX = 1 << 16


def device(name):
    """Make a network device in this process's namespace; return its frames' descriptor."""
    found = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(found, TUNSETIFF, struct.pack("16sH", name.encode(), TAP | NO_HEADER))
    return found


def set_up(*words):
    subprocess.run(["ip", *words], check=True, timeout=20)


def main():
    card, address, namespace, name, share = sys.argv[1:]
    inner = device("net0")
    set_up("link", "set", "net0", "address", card)
    set_up("address", "add", address, "dev", "net0")
    set_up("link", "set", "net0", "up")
    with Path("/run/netns", namespace).open() as other:
        if ctypes.CDLL(None, use_errno=True).setns(other.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
    outer = device(name)
    set_up("link", "set", name, "master", "switch", "up")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    lost = random.Random(5)  # noqa: S311 - no secret
    others = {inner: outer, outer: inner}
    while True:
        for each in select.select([inner, outer], [], [])[0]:
            frame = os.read(each, FRAME_BYTES_MAX)
            if lost.random() >= float(share):
                os.write(others[each], frame)


if __name__ == "__main__":
    main()
