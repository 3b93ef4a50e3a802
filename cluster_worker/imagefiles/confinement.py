"""Give up the rights that a process which decodes untrusted bytes does not need, for good.

Linux offers this without privileges. Where the kernel lacks a part (Landlock before 5.13, a seccomp
filter on other processors), the other parts still hold.
"""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# linux/prctl.h
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2

# linux/landlock.h. The system calls have the same numbers on all processors.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_REGULAR, REFER, TRUNCATE, IOCTL_DEVICE = 1 << 8, 1 << 13, 1 << 14, 1 << 15
# All rights that a version knows: it adds REFER in version 2, TRUNCATE in 3, IOCTL_DEVICE in 5.
RIGHTS_BY_VERSION = ((1, (1 << 13) - 1), (2, REFER), (3, TRUNCATE), (5, IOCTL_DEVICE))
READ = READ_FILE | READ_DIR
USE = READ | WRITE_FILE | REMOVE_FILE | MAKE_REGULAR | TRUNCATE
# TCP: to bind and to connect. Beyond the own process: abstract Unix sockets, and signals.
NETWORK, SCOPES = 0b11, 0b11

# linux/audit.h, and the numbers of system calls by processor: a socket is the only way to other
# processes and machines, ptrace and process_vm_* are ways into other processes.
CALLS = {
    "x86_64": (
        0xC000003E,
        # socket, connect, execve, ptrace, process_vm_readv, process_vm_writev, execveat
        (41, 42, 59, 101, 310, 311, 322),
    ),
    "aarch64": (0xC00000B7, (198, 203, 221, 117, 270, 271, 281)),
}
# On all processors: io_uring_setup, which can do the same as these calls, and pidfd_getfd.
CALLS_EVERYWHERE = (425, 438)
# Numbers from here on are a second table of x86-64's system calls.
X32_CALLS = 0x40000000

# linux/bpf_common.h and linux/seccomp.h: instructions, and results of a filter.
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
# Offsets of the fields of seccomp_data.
NUMBER, ARCHITECTURE = 0, 4


class Ruleset(ctypes.Structure):
    """landlock_ruleset_attr: what is forbidden unless a rule allows it."""

    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class PathRule(ctypes.Structure):
    """landlock_path_beneath_attr: what is allowed beneath a folder."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class Instruction(ctypes.Structure):
    """sock_filter: one instruction of a filter."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class Program(ctypes.Structure):
    """sock_fprog: a filter."""

    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(Instruction)))


LIBC = ctypes.CDLL(None, use_errno=True)


def confine(folders: Sequence[str] | None) -> None:
    """Confine this process and its threads, for good.

    Afterwards it cannot open sockets, run programs, gain privileges, look into other processes or
    send them signals. It keeps the descriptors that it has open.

    Parameters
    ----------
    folders : sequence of str or None
        The only folders whose files it may read and write, beside the code that it runs. None: it
        may read and write all files that its user may.
    """
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    restrict_files(folders)
    filter_calls()


def restrict_files(folders: Sequence[str] | None) -> None:
    """Restrict files, network and signals by Landlock, as far as the kernel knows it."""
    version = LIBC.syscall(CREATE_RULESET, None, 0, ASK_VERSION)
    if version < 1:
        return
    # An old kernel takes the longer structure if the fields that it does not know are 0.
    known = sum(rights for since, rights in RIGHTS_BY_VERSION if version >= since)
    rules = Ruleset(
        files=known if folders is not None else known & ~(USE | REFER | IOCTL_DEVICE),
        network=NETWORK if version >= 4 else 0,
        scopes=SCOPES if version >= 6 else 0,
    )
    ruleset = LIBC.syscall(CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    if ruleset < 0:
        return
    if folders is not None:
        for folder, rights in (
            *((each, READ) for each in code_folders()),
            *((each, USE) for each in folders),
        ):
            allow(ruleset, folder, rights & known)
    LIBC.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def allow(ruleset: int, folder: str, rights: int) -> None:
    """Add a rule for all files beneath a folder, if the folder exists."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        rule = PathRule(rights, descriptor)
        LIBC.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(descriptor)


def code_folders() -> Iterator[str]:
    """Yield the folders from which this process may still load modules and libraries."""
    yield from {sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64"}
    yield str(Path(__file__).resolve().parents[1])


def filter_calls() -> None:
    """Refuse system calls that decoding does not need, by a seccomp filter."""
    if platform.machine() not in CALLS:
        return
    architecture, numbers = CALLS[platform.machine()]
    refused = (*numbers, *CALLS_EVERYWHERE)
    # Jumps are counted from the next instruction: the last two allow and refuse a call.
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, len(refused) + 1, 0, X32_CALLS),
        *((EQUAL, len(refused) - i, 0, number) for i, number in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    instructions = (Instruction * len(steps))(*(Instruction(*each) for each in steps))
    program = Program(len(steps), instructions)
    LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
