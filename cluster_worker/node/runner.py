"""What a job does on a worker: claim, fetch, decode, compute, encode, store, finish."""

import functools
import math
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Self

from cluster_worker.engine.engine import Engine
from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.run_file import FileJob
from cluster_worker.errors import Broken, Cancelled, RankDied, Rejected, classify_error
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_pool import Decoders
from cluster_worker.imagefiles.formats import FORMATS, Format, Header
from cluster_worker.log import event
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.fetching import Fetch
from cluster_worker.node.storage import Storage
from cluster_worker.node.views import SECONDS_MAX, Views
from cluster_worker.timings import Timings
from config import VERSION
from config.contract import resources
from config.contract.job import Batch, Job, Message
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable
from config.contract.table_access import Lost

# Orders under which no job of a batch is begun.
ENDING = ("cancel", "delete")
# A row may change between read and claim; beyond so many times something else is wrong.
CLAIMS_MAX = 5
# Batches whose recipe is remembered; jobs of one come together.
BATCHES_MAX = 256
# Wait before a job is handed back because S3, the table or a world is away: no hot loop.
BROKEN_SECONDS = 2.0
# Between two looks whether a job is still there whose pictures are being made.
LOOK_SECONDS = 5.0


@functools.cache
def versions() -> dict[str, str]:
    """Tell what makes results here: the app, and the libraries that pixels depend on."""
    return {"app": VERSION, **{name: version(name) for name in ("scikit-image", "numpy")}}


def milliseconds() -> int:
    """Now, as rows have it."""
    return int(time.time() * 1000)


class Runner:
    """All that a job needs, made once for each node.

    Parameters
    ----------
    worker : str
        Name of this node, for the row.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        engine: Engine,
        decoders: Decoders,
        table: JobTable,
        storage: Storage,
        worker: str,
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.decoders = decoders
        self.table = table
        self.storage = storage
        self.worker = worker
        # Set when this node's time is over, and when that will be, on the monotonic clock.
        self.draining = threading.Event()
        self.ends = math.inf
        self.batches: dict[str, Batch] = {}
        # Told of each row whose message was taken, once it waits no more.
        self.on_taken: Callable[[Job], None] = lambda _: None

    def drain(self, until: float) -> None:
        """Hand back what will not be done by a time on the monotonic clock."""
        self.ends = until

    def run(self, message: Message) -> Verdict:
        """Do the job that a message names, and say what becomes of the message."""
        began = time.monotonic()
        timings = Timings()
        try:
            with tempfile.TemporaryDirectory(dir=self.engine.segments.folder) as folder:
                upload = Fetch(self.storage, Path(folder, "source"))
                with timings.timed("table"):
                    claimed = self.claim(message, upload)
                if claimed is None:
                    upload.give_up()
                    return Verdict.DONE
                verdict = self.attempt(*claimed, upload, timings)
        except (Broken, OSError) as error:
            # An OSError is the folder's, which cannot be made or removed.
            event("job put off", job=message.job, error=str(error))
            self.draining.wait(BROKEN_SECONDS)
            return Verdict.HAND_BACK
        seconds = round(time.monotonic() - began, 3)
        event(
            "message settled",
            job=message.job,
            verdict=verdict.value,
            seconds=seconds,
            stages=timings.as_log(),
        )
        return verdict

    def claim(self, message: Message, upload: Fetch) -> tuple[Job, Batch] | None:
        """Take the job over from whoever held it, and begin to fetch its upload if that is small.

        Returns
        -------
        (Job, Batch) or None
            None if there is nothing to do.
        """
        for tried in range(CLAIMS_MAX):
            row, batch = self.read(message, afresh=tried > 0)
            if row is None or row.is_final or message.publish < row.publish:
                state = "missing" if row is None else row.state
                event("message passed over", job=message.job, publish=message.publish, state=state)
                if row is not None:
                    self.on_taken(row)
                return None
            if batch is None or batch.order in ENDING:
                with suppress(Lost):
                    self.table.cancel(row, milliseconds)
                return None
            upload.begin(row)
            claimed = self.table.claim(row, self.worker, milliseconds())
            if claimed is not None:
                self.on_taken(claimed)
                return claimed, batch
        raise Broken(f"job {message.job}: its row changes faster than it can be claimed")

    def read(self, message: Message, afresh: bool) -> tuple[Job | None, Batch | None]:
        """Read a job, and its batch once: its recipe never changes, what is ordered a claim checks.

        Parameters
        ----------
        message : Message
            Names them.
        afresh : bool
            Whether to read the batch again.
        """
        if afresh:
            self.batches.pop(message.batch, None)
        known = self.batches.get(message.batch)
        if known is not None:
            return self.table.job(message.batch, message.job), known
        batch, row = self.table.batch_and_job(message.batch, message.job)
        if batch is not None and batch.order not in ENDING:
            if len(self.batches) >= BATCHES_MAX:
                self.batches.clear()
            self.batches[message.batch] = batch
        return row, batch

    def attempt(self, row: Job, batch: Batch, upload: Fetch, timings: Timings) -> Verdict:
        """Run one attempt and write its outcome, under the fence of its number."""
        try:
            self.carry_out(row, batch, upload, timings)
        except Rejected as error:
            self.table.fail(row, sentence(row, error), "rejected", milliseconds())
        except Cancelled:
            if self.ends < math.inf or self.draining.is_set():
                self.table.hand_back(row, milliseconds())
                return Verdict.HAND_BACK
        except RankDied as error:
            return self.fault(row, error)
        except (Broken, OSError) as error:
            # An OSError is this node's: no room for a file, or no process to decode it.
            self.table.hand_back(row, milliseconds())
            raise classify_error(error) from error
        return Verdict.DONE

    def fault(self, row: Job, error: RankDied) -> Verdict:
        """Count a fault; at the limit the job fails and its message goes to the dead letters."""
        counted = self.table.add_fault(row, milliseconds())
        if counted is None:
            return Verdict.DONE
        if counted.faults < self.settings.fault_limit:
            self.table.hand_back(counted, milliseconds())
            return Verdict.FAULT
        self.table.fail(counted, sentence(row, error), "broken", milliseconds())
        return Verdict.DEAD

    def carry_out(self, row: Job, batch: Batch, upload: Fetch, timings: Timings) -> None:
        """Fetch, decode, compute, encode, store, finish; then make the pictures for the page."""
        with ExitStack() as stack:
            decoder = stack.enter_context(self.decoders.checkout())
            source, target = upload.path, upload.path.with_name("result")
            with Heartbeat(self.table, row, self.settings.progress_seconds) as beat:
                upload.finish(row, timings)
                header = decoder.read_header(source, row.name)
                beat.check()
                kind = header.format if batch.format == "same" else batch.format
                spool = Path(self.settings.spool_dir)
                file = stack.enter_context(
                    FileJob(self.engine, decoder, source, header, batch.steps, kind, spool)
                )
                file.read()
                timings.add("decode", decoder.take_spent())
                if not file.is_streamed:
                    source.unlink()
                beat.watch(file.job)
                file.job.start(beat.note, first=row.lane == "interactive")
                self.wait(file.job)
                timings.add("compute", file.job.spent)
                beat.check()
                notes = file.write(target)
                timings.add("encode", decoder.take_spent())
                beat.check()
                views = Views(file)
                tiles = beat.tiles[1]
                self.store(row, target, FORMATS[kind], header, notes, views, tiles, timings)
            if views.needed:
                self.show(row, views, decoder, target)

    def wait(self, job: EngineJob) -> None:
        """Wait for the ranks; a drain gives up what its time is too short for."""
        while True:
            try:
                job.wait(1.0)
            except TimeoutError:
                late = time.monotonic() + job.seconds_left() > self.ends
                if late or self.draining.is_set():
                    job.cancel()
            else:
                return

    def store(
        self,
        row: Job,
        path: Path,
        kind: Format,
        header: Header,
        notes: tuple[str, ...],
        views: Views,
        tiles: int,
        timings: Timings,
    ) -> None:
        """Write the result under this attempt's own key, then name it in the row."""
        key = resources.result_key(row.batch, row.job, row.attempt, kind.extension)
        name = f"{Path(row.name).stem}.{kind.extension}"
        size = path.stat().st_size
        with timings.timed("s3"):
            self.storage.upload(path, key, kind.media_type, name)
        now = milliseconds()
        dtype, result_dtype = views.dtypes
        with timings.timed("table"):
            won = self.table.succeed(
                row,
                now,
                result_key=key,
                result_name=name,
                result_type=kind.media_type,
                result_bytes=size,
                notes=[*header.notes, *notes],
                versions=versions(),
                rows=header.shape[0],
                columns=header.shape[1],
                dtype=dtype,
                result_dtype=result_dtype,
                # A quick job is done before a first write of its progress.
                tiles_done=tiles,
                tiles_total=tiles,
                views_until=now + round(1000 * SECONDS_MAX) if views.needed else 0,
            )
        if not won:
            raise Cancelled

    def show(self, row: Job, views: Views, decoder: Decoder, target: Path) -> None:
        """Make the pictures for the page; the job is done without them as well."""
        began = time.monotonic()
        wanted = Wanted(self.table, row, self.draining)
        keys: dict[str, str] = {}
        try:
            with tempfile.TemporaryDirectory(prefix=".dip-", dir=self.settings.spool_dir) as folder:
                for image in views.needed:
                    path = views.make(image, decoder, target, Path(folder), wanted.check)
                    # What is stored for a job that was deleted meanwhile would outlive it.
                    wanted.look()
                    keys[f"{image}_view"] = self.store_view(row, image, path)
                    path.unlink()
        except (Rejected, Broken, Cancelled, OSError) as error:
            event("pictures not made", job=row.job, error=repr(error))
        try:
            self.table.add_views(row, milliseconds(), **keys)
        except Broken as error:
            event("pictures not shown", job=row.job, error=str(error))
        seconds = round(time.monotonic() - began, 3)
        event("pictures made", job=row.job, pictures=sorted(keys), seconds=seconds)

    def store_view(self, row: Job, image: str, path: Path) -> str:
        """Write a picture beside the result, and give its key."""
        extension = path.suffix.removeprefix(".")
        key = resources.view_key(row.batch, row.job, row.attempt, image, extension)
        name = f"{Path(row.name).stem}-{image}.{extension}"
        self.storage.upload(path, key, resources.VIEW_TYPES[extension], name)
        return key


def sentence(row: Job, error: Exception) -> str:
    """Give the reason as one sentence that begins with the file's name."""
    text = str(error)
    return text if text.startswith(row.name) else f"{row.name}: {text}"


class Wanted:
    """Whether the pictures of a job that succeeded are still wanted.

    Parameters
    ----------
    draining : Event
        Set when this node's time is over.
    """

    def __init__(self, table: JobTable, row: Job, draining: threading.Event) -> None:
        self.table = table
        self.row = row
        self.draining = draining
        self.began = self.looked = time.monotonic()

    def check(self) -> None:
        """Look again if that was long ago.

        Raises
        ------
        Cancelled
            If the job is gone, the node has to end, or it has taken too long.
        Broken
            If the table does not answer.
        """
        now = time.monotonic()
        if self.draining.is_set() or now - self.began > SECONDS_MAX:
            raise Cancelled
        if now - self.looked > LOOK_SECONDS:
            self.look()

    def look(self) -> None:
        """Look at the row; raises as `check` does."""
        self.looked = time.monotonic()
        found = self.table.job(self.row.batch, self.row.job)
        if found is None or (found.state, found.attempt) != ("succeeded", self.row.attempt):
            raise Cancelled


class Heartbeat:
    """Writes a running job's progress, and hears by a failed write that it is no longer ours.

    Parameters
    ----------
    seconds : float
        Between two writes.
    """

    def __init__(self, table: JobTable, row: Job, seconds: float) -> None:
        self.table = table
        self.row = row
        self.seconds = seconds
        self.tiles = (0, 0)
        self.lost = threading.Event()
        self.ended = threading.Event()
        self.cancel: Callable[[], None] = lambda: None
        self.seconds_left: Callable[[], float] = lambda: 0.0
        self.thread = threading.Thread(target=self.beat, name="heartbeat", daemon=True)

    def note(self, done: int, total: int) -> None:
        """Take in how many tiles are done."""
        self.tiles = (done, total)

    def watch(self, job: EngineJob) -> None:
        """Tell of this engine job, and cancel it when the row is lost."""
        self.cancel, self.seconds_left = job.cancel, job.seconds_left
        self.check()

    def check(self) -> None:
        """Raise if the row is lost.

        Raises
        ------
        Cancelled
            If the job was cancelled or is another attempt's.
        """
        if self.lost.is_set():
            raise Cancelled

    def beat(self) -> None:
        """Write until ended."""
        while not self.ended.wait(self.seconds):
            try:
                left = round(1000 * self.seconds_left())
                ours = self.table.progress(self.row, *self.tiles, left, milliseconds())
            except Broken as error:
                # The table is away; the lapse of the heartbeat is far longer than one write.
                event("heartbeat missed", job=self.row.job, error=str(error))
                continue
            if not ours:
                self.lost.set()
                self.cancel()
                return

    def __enter__(self) -> Self:
        """Begin to beat."""
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop beating, and wait for a write under way."""
        self.ended.set()
        self.thread.join()
