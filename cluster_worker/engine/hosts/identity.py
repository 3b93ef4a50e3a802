"""What must be alike on all hosts of a world, so that they compute the same pixels."""

import hashlib
import os
import platform
from functools import cache
from importlib.metadata import version
from typing import Any

from cluster_worker.engine.compiling import TOP, are_compiled
from cluster_worker.errors import Rejected
from cluster_worker.process import processor_lines

LIBRARIES = (
    *("numpy", "scipy", "scikit-image", "numba", "imagecodecs", "opencv-python-headless"),
    *("tifffile", "mpi4py", "mpich"),
)


@cache
def code() -> str:
    """Return a digest of this app's sources and of the versions of what it computes with."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in sorted((TOP / "cluster_worker").rglob("*.py")):
        digest.update(path.relative_to(TOP).as_posix().encode() + path.read_bytes())
    for name in LIBRARIES:
        digest.update(version(name).encode())
    return digest.hexdigest()


@cache
def processor() -> str:
    """Return a digest of the features of the processor, which libraries choose their code by."""
    features = {each for each in processor_lines() if each.startswith(("flags", "Features"))}
    return hashlib.sha256("".join(sorted(features)).encode()).hexdigest()


def likeness() -> str:
    """Return a digest that is the same on hosts which compute the same pixels."""
    return hashlib.sha256(f"{code()} {processor()}".encode()).hexdigest()


def identity() -> dict[str, Any]:
    """Return what an agent says of its host."""
    return {
        "code": code(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernels": are_compiled(),
    }


def check_alike(hosts: dict[str, dict[str, Any]]) -> None:
    """Check that all hosts, and this one, compute the same pixels.

    Parameters
    ----------
    hosts : dict
        What each host says, by its name.

    Raises
    ------
    Rejected
        With the name of the host that does not.
    """
    first = next(iter(hosts))
    for name, found in hosts.items():
        if found["code"] != code():
            raise Rejected(
                f"host {name}: has another version of this app or of its libraries than this "
                "host; install the same on all hosts"
            )
        if found["processor"] != hosts[first]["processor"]:
            raise Rejected(
                f"host {name}: its processor has other features than that of {first}, so that "
                "results might differ in the last bit; use hosts of one kind"
            )
