"""The worker: runs scikit-image pipelines on the ranks of an MPI world."""

import importlib
from typing import TYPE_CHECKING, Any

from cluster_worker.errors import Broken, Rejected

if TYPE_CHECKING:
    from cluster_worker.engine.engine import Engine
    from cluster_worker.engine.hosts.group import Hosts
    from cluster_worker.engine.run_folder import FolderOptions, run_folder

__all__ = ["Broken", "Engine", "FolderOptions", "Hosts", "Rejected", "run_folder"]

# Imported on first use: decoder processes import this package without the engine.
LATER = {
    "Engine": "cluster_worker.engine.engine",
    "FolderOptions": "cluster_worker.engine.run_folder",
    "Hosts": "cluster_worker.engine.hosts.group",
    "run_folder": "cluster_worker.engine.run_folder",
}


def __getattr__(name: str) -> Any:
    """Import a part of the engine on first use."""
    if name not in LATER:
        raise AttributeError(name)
    return getattr(importlib.import_module(LATER[name]), name)
