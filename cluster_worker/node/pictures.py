"""The pictures of a finished job, for the page."""

import tempfile
import threading
import time
from pathlib import Path

from cluster_worker.errors import Broken, Cancelled, Rejected
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.log import event
from cluster_worker.node.storage import Storage
from cluster_worker.node.table import milliseconds
from cluster_worker.node.views import JobChecker, Views
from config.contract import resources
from config.contract.job import Job
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable


class Pictures:
    """Makes the pictures of finished jobs, and stores them beside their results.

    Parameters
    ----------
    settings : WorkerSettings
        Of the node.
    table : JobTable
        Learns where the pictures are.
    storage : Storage
        Holds them.
    draining : Event
        Set when the time of a drain is over.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        table: JobTable,
        storage: Storage,
        draining: threading.Event,
    ) -> None:
        self.settings = settings
        self.table = table
        self.storage = storage
        self.draining = draining

    def show(self, row: Job, views: Views, decoder: Decoder, target: Path | str) -> None:
        """Make the pictures of a job; a failure is only logged, as the job has succeeded.

        Parameters
        ----------
        row : Job
            The job.
        views : Views
            What is drawn.
        decoder : Decoder
            Draws.
        target : Path or str
            File of the result, or its address in S3.
        """
        began = time.monotonic()
        checker = JobChecker(self.table, row, self.draining)
        keys: dict[str, str] = {}
        try:
            with tempfile.TemporaryDirectory(prefix=".dip-", dir=self.settings.spool_dir) as folder:
                for image in views.needed:
                    path = views.make(image, decoder, target, Path(folder), checker.check)
                    # If the job was deleted meanwhile, a picture stored now would never be deleted.
                    checker.check_now()
                    keys[f"{image}_view"] = self.store(row, image, path)
                    path.unlink()
        except (Rejected, Broken, Cancelled, OSError) as error:
            event("pictures not made", job=row.job, error=repr(error))
        try:
            self.table.add_views(row, milliseconds(), **keys)
        except Broken as error:
            event("pictures not shown", job=row.job, error=str(error))
        seconds = round(time.monotonic() - began, 3)
        event("pictures made", job=row.job, pictures=sorted(keys), seconds=seconds)

    def store(self, row: Job, image: str, path: Path) -> str:
        """Store a picture beside the result, and return its key."""
        extension = path.suffix.removeprefix(".")
        key = resources.view_key(row.batch, row.job, row.attempt, image, extension)
        name = f"{Path(row.name).stem}-{image}.{extension}"
        self.storage.upload(path, key, resources.VIEW_TYPES[extension], name, row.kept_until)
        return key
