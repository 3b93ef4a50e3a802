"""The worker: scikit-image pipelines over the ranks of an MPI world."""

from cluster_worker.engine import Engine
from cluster_worker.errors import Broken, Rejected

__all__ = ["Broken", "Engine", "Rejected"]
