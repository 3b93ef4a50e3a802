"""The worker: runs scikit-image pipelines on the ranks of an MPI world."""

from typing import TYPE_CHECKING, Any

from cluster_worker.errors import Broken, Rejected

if TYPE_CHECKING:
    from cluster_worker.engine.engine import Engine

__all__ = ["Broken", "Engine", "Rejected"]


def __getattr__(name: str) -> Any:
    """Import the engine on first use: decoder processes import this package without it."""
    if name == "Engine":
        from cluster_worker.engine.engine import Engine

        return Engine
    raise AttributeError(name)
