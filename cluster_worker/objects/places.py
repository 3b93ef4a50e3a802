"""Where a large job leaves in an object store what its passes and its ranks write."""

from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import NamedTuple

from cluster_worker.errors import Broken, Rejected
from cluster_worker.log import event
from cluster_worker.objects.store import open_store

# How long the ranks of a job that was cancelled may still write.
SETTLED_SECONDS = 10.0


class StorePlace(NamedTuple):
    """The objects of one job.

    Attributes
    ----------
    address : str
        Of the store.
    prefix : str
        What their keys begin with.
    """

    address: str
    prefix: str

    def key(self, name: str) -> str:
        """Return what the keys of one surface begin with."""
        return f"{self.prefix}/{name}"

    def clear(self, done: "Future[None] | None" = None) -> None:
        """Delete all of them once `done` is set; a failure is only logged.

        A lifecycle rule of the store deletes what is left.
        """
        if done is not None:
            with suppress(TimeoutError, CancelledError):
                done.exception(SETTLED_SECONDS)
        try:
            open_store(self.address).delete(self.prefix)
        except (Broken, Rejected) as error:
            event("objects not deleted", objects=f"{self.address}/{self.prefix}", error=str(error))
