"""The images of a job in the store: sent there for the ranks of other hosts, and fetched back."""

import uuid
from pathlib import Path

from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.wire import Task
from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.streams import FileImage, Spool
from cluster_worker.log import event
from cluster_worker.objects.access import AnySink, AnySource
from cluster_worker.objects.chunks import Chunks
from cluster_worker.objects.images import ObjectFile, ObjectImage
from cluster_worker.objects.spools import ObjectSpool
from cluster_worker.objects.store import open_store
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.checkpoints import START, Checkpoint, Finished, finished


class MovedJob:
    """A job whose images lie in a store. Use it in a ``with`` block, which deletes what it wrote.

    Parameters
    ----------
    job : EngineJob
        Its images lie on this host.
    store : str
        Address of the store.
    folder : Path
        Of this host, for a moment of a file's directories.

    Attributes
    ----------
    prefix : str
        What the keys of all its objects begin with.
    sources : list
        The image and the inputs, once `send` has moved them.
    places : dict of str to str
        What the current attempt reads or writes besides them, as "pass-0", "result-1" or "table-0",
        and the prefix of the attempt that writes it, or has written it.
    begin : Checkpoint
        Where the next attempt begins.
    """

    def __init__(self, job: EngineJob, store: str, folder: Path) -> None:
        self.job, self.store, self.folder = job, store, folder
        self.prefix = job.stored or f"dip-{uuid.uuid4().hex}"
        self.sources: list[AnySource] = []
        self.places: dict[str, str] = {}
        self.begin = START

    def send(self) -> None:
        """Write the image and the inputs to the store, unless they lie in one.

        Raises
        ------
        Broken, Rejected
            If the store does not answer or allow it, or the image is a later plane of a large file.
        """
        given = (self.job.task.source, *self.job.task.inputs)
        self.sources = [self.sent(each, f"source-{i}") for i, each in enumerate(given)]

    def sent(self, image: AnySource, name: str) -> AnySource:
        """Write one image to the store; return its description there."""
        key = f"{self.prefix}/{name}"
        if isinstance(image, Pixels):
            chunks = Chunks(self.store, key, image.shape, image.dtype)
            chunks.fill(self.job.memory.maps.map(image, writable=True))
            return chunks
        if isinstance(image, FileImage):
            if image.header.plane:
                raise Rejected(
                    f"{image.header.name}: only the first plane of a file of this size runs over "
                    "hosts so far; save the plane that you need as a file of its own"
                )
            open_store(self.store).write_file(key, Path(image.path))
            with ObjectFile(f"{self.store}/{key}", self.folder) as file:
                return file.image(image.header)
        if isinstance(image, ObjectImage):
            return image
        raise TypeError(f"{type(image).__name__}: is no image that is sent")

    def task(self, attempt: int) -> Task:
        """Return the task of an attempt, whose surfaces all lie in the store.

        What earlier attempts have finished stays where they have written it.
        """
        task, planned = self.job.task, self.job.plan
        own = f"{self.prefix}/attempt-{attempt}"
        kept = names_of(finished(planned, self.begin))
        results = (task.result, *task.kept)
        counts = {"pass": planned.buffers, "result": results, "table": task.tables}
        names = [f"{kind}-{i}" for kind, each in counts.items() for i in range(len(each))]
        self.places = {name: self.places[name] if name in kept else own for name in names}
        source, *inputs = self.sources
        scratch = tuple(
            Chunks(self.store, self.key_of(f"pass-{i}"), each.shape, each.dtype)
            for i, each in enumerate(planned.buffers)
        )
        result, *others = (
            self.target(each, self.key_of(f"result-{i}")) for i, each in enumerate(results)
        )
        tables = tuple(f"{self.store}/{self.key_of(f'table-{i}')}" for i in range(len(task.tables)))
        images = source, scratch, result, True, tuple(inputs), tuple(others)
        return Task(task.job, task.request, *images, tables, self.begin)

    def key_of(self, name: str) -> str:
        """Return what the keys of one of `places` begin with."""
        return f"{self.places[name]}/{name}"

    def target(self, image: AnySink, prefix: str) -> AnySink:
        """Return where a result lies in the store."""
        if isinstance(image, Pixels):
            return Chunks(self.store, prefix, image.shape, image.dtype)
        if isinstance(image, ObjectSpool):
            return image._replace(prefix=prefix)
        assert isinstance(image, Spool)  # noqa: S101 - the results of this host's jobs are these
        return ObjectSpool(self.store, prefix, *image[1:])

    def fetch(self, done: Task) -> None:
        """Read the results and tables of an attempt into the job's own.

        Raises
        ------
        Broken
            If the store does not answer, or something is missing.
        """
        own = (self.job.task.result, *self.job.task.kept)
        self.job.written = (done.result, *done.kept)
        for there, here in zip(self.job.written, own, strict=True):
            if isinstance(here, ObjectSpool):
                # It stays in the store.
                continue
            if isinstance(there, Chunks) and isinstance(here, Pixels):
                there.copy_to(self.job.memory.maps.map(here, writable=True))
            elif isinstance(there, ObjectSpool) and isinstance(here, Spool):
                there.fetch(here)
            else:
                raise Broken(f"a result lies as {type(there).__name__}")
        store = open_store(self.store)
        for address, path in zip(done.tables, self.job.task.tables, strict=True):
            Path(path).write_bytes(store.read(address.removeprefix(f"{self.store}/")))

    def keep(self, reached: Checkpoint) -> None:
        """Have the next attempt begin at a checkpoint that this one has reached."""
        self.begin = reached

    def drop(self) -> None:
        """Delete what the current attempt has not finished, or nothing will read any more."""
        kept = names_of(finished(self.job.plan, self.begin))
        for name in self.places.keys() - kept:
            self.delete(self.key_of(name))

    def delete(self, prefix: str) -> None:
        """Delete objects; a failure is only logged, as the job's own outcome is what counts."""
        try:
            open_store(self.store).delete(prefix)
        except (Broken, Rejected) as error:
            event("objects not deleted", objects=f"{self.store}/{prefix}", error=str(error))

    def __enter__(self) -> "MovedJob":
        """Return the moved job itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete all its objects, unless its results stay in the store."""
        if not self.job.stored:
            self.delete(self.prefix)


def names_of(done: Finished) -> set[str]:
    """Return the names in `MovedJob.places` of what is finished."""
    counts = {"pass": done.buffers, "result": done.results, "table": done.tables}
    return {f"{kind}-{i}" for kind, numbers in counts.items() for i in numbers}
