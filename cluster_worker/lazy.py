"""Modules that are loaded when they are first used.

The engine's own process plans chains and never computes pixels. So it needs neither scikit-image
nor compiled loops, which take more memory than all the rest of it. What operations and kernels use
of them is loaded in the ranks.
"""

import importlib
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stands for a module, and loads it when one of its attributes is first used."""

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the module; it is kept here, so that later uses are as fast."""
        found = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, found)
        return found


# Names of all modules that `lazily` was asked for.
NAMES: set[str] = set()


def lazy_names() -> list[str]:
    """Return the names of all modules that may be loaded later."""
    return sorted(NAMES)


def lazily(name: str) -> ModuleType:
    """Return a module that is loaded when one of its attributes is first used.

    Use it for the modules of scikit-image and for compiled loops, not for others.

    Parameters
    ----------
    name : str
        Full name of the module. It must exist, or its first use raises ModuleNotFoundError.
    """
    NAMES.add(name)
    return LazyModule(name)
