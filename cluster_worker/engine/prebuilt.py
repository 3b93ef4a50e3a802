"""Kernels that were compiled when an image was built, for a family of processors.

The build of the image sets numba's target to a family, such as `x86-64-v3`, and runs
`python -m cluster_worker.engine.warm` with numba's folder inside the image. A node of the family
uses them as they are, so that it compiles nothing. Any other node compiles for itself.
"""

import os
import shutil
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from cluster_worker.engine.compiling import BEGUN, MARK
from cluster_worker.log import event

# Names of the families as LLVM knows them, and the flags in /proc/cpuinfo by which Linux says that
# a processor belongs to one (x86-64 psABI; LZCNT is called abm there).
V3 = frozenset(("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"))
FAMILIES: Mapping[str, frozenset[str]] = {
    "x86-64-v3": V3,
    "x86-64-v4": V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
NUMBA_SUFFIXES = (".nbi", ".nbc")
MARKS = (MARK, BEGUN)
CPUINFO = Path("/proc/cpuinfo")


def flags_of_processor() -> frozenset[str]:
    """Read what this machine's processor can do."""
    for line in CPUINFO.read_text().splitlines():
        name, _, values = line.partition(":")
        if name.strip() == "flags":
            return frozenset(values.split())
    return frozenset()


def target(family: str) -> dict[str, str]:
    """Return the environment in which numba compiles for a family, and for nothing beyond it."""
    return {"NUMBA_CPU_NAME": family, "NUMBA_CPU_FEATURES": ""}


def use_prebuilt(folder: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Have numba use the kernels of a folder, if this machine's processor is of their family.

    Must be called before numba is imported, also by processes that this one starts.

    Parameters
    ----------
    folder : str
        Has a folder with numba's files, whose name is the family; empty for none.
    environment : mapping
        Has ``NUMBA_CACHE_DIR``, a folder that can be written. It gets links to the files, which
        numba may replace, and the family becomes numba's target.

    Returns
    -------
    bool
        Whether they are used.
    """
    cache = environment.get("NUMBA_CACHE_DIR")
    if not folder or not cache:
        return False
    flags = flags_of_processor()
    # The largest family is the last.
    for family in reversed(tuple(FAMILIES)):
        source = Path(folder) / family
        if FAMILIES[family] <= flags and source.is_dir():
            link_files(source, Path(cache))
            environment.update(target(family))
            event("kernels of the image", family=family)
            return True
    event("no kernels in the image for this processor", folder=folder)
    return False


def link_files(source: Path, target: Path) -> None:
    """Link numba's files of a folder into another one, and copy what marks them as complete."""
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.suffix not in NUMBA_SUFFIXES and path.name not in MARKS:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        if path.name in MARKS:
            shutil.copyfile(path, copy)
        else:
            copy.symlink_to(path)


def count_compiled(environment: Mapping[str, str] = os.environ) -> int:
    """Count the loops that this machine has compiled itself: files that are no links."""
    cache = environment.get("NUMBA_CACHE_DIR")
    return sum(not path.is_symlink() for path in Path(cache).rglob("*.nbc")) if cache else 0
