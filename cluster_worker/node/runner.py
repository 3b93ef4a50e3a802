"""The steps of a job on a worker: claim, fetch, decode, compute, encode, store, finish."""

import functools
import math
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

from cluster_worker.engine.engine import Engine
from cluster_worker.engine.file_to_file import RunOptions, file_job
from cluster_worker.engine.run_stack import AnyFile, AnyJob, StackRun
from cluster_worker.errors import Broken, Cancelled, DecoderKilled, Fault, Rejected, classify_error
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_pool import Decoders
from cluster_worker.imagefiles.output import Output
from cluster_worker.log import event
from cluster_worker.node import newer
from cluster_worker.node.charges import Charges, input_pixels, pixels_in, spent_on
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.fetching import Fetch, fetch_inputs, plainly
from cluster_worker.node.heartbeat import Heartbeat
from cluster_worker.node.hosts import HostGroup, Placed
from cluster_worker.node.killed import KilledAttempts
from cluster_worker.node.pictures import Pictures
from cluster_worker.node.results import ResultWriter, check_tables
from cluster_worker.node.scratch import scratch_of
from cluster_worker.node.storage import Storage
from cluster_worker.node.table import milliseconds
from cluster_worker.node.tracing import Attempt
from cluster_worker.node.views import SECONDS_MAX, Views
from cluster_worker.pixels.stack import choice_of
from cluster_worker.timings import Timings
from config import VERSION
from config.contract.job import Batch, Job, Message
from config.contract.results import to_text
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable
from config.contract.table_access import Lost
from config.contract.trace import Link

# Commands on a batch after which none of its jobs begins.
ENDING = ("cancel", "delete")
# How often a claim is tried. A row may change between read and claim, but not again and again.
CLAIMS_MAX = 5
# Batches kept in memory, for their recipe: the jobs of a batch come close together.
BATCHES_MAX = 256
# Wait before a job is handed back because S3, the table or the engine does not work. Without it,
# the job would come back at once, again and again.
BROKEN_SECONDS = 2.0
# A job of the interactive lane that is estimated to compute longer is moved to the bulk lane: each
# lane has few slots, and a visitor's ten long jobs would hold all of them.
INTERACTIVE_SECONDS_MAX = 1.0


class TooLong(Exception):
    """The job takes too long for the interactive lane."""


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the app and of the libraries that the pixels of results depend on."""
    return {"app": VERSION, **{name: version(name) for name in ("scikit-image", "numpy")}}


class Runner:
    """Runs jobs on a node; its methods are called on worker threads.

    Parameters
    ----------
    settings : WorkerSettings
        Of the node.
    engine : Engine
        Computes results.
    decoders : Decoders
        One for each job in hand.
    table : JobTable
        Holds the rows of the jobs.
    storage : Storage
        Holds uploads and results.
    worker : str
        Name of this node, for the rows.

    Attributes
    ----------
    draining : Event
        Set when the time of a drain is over.
    ends : float
        When that time will be over, on the monotonic clock; infinite if the node does not drain.
    charges : Charges
        What the jobs of each visitor used.
    on_taken : callable
        Called with the row of each job whose message was taken from the queue.
    on_moved : callable
        Called with the row of each job that was moved to the bulk lane and must be published.
    on_put_off : callable
        Called with the row of each job that needs a newer worker, and with the seconds after which
        it must be published.
    on_ended : callable
        Called with each attempt at a job that ended.
    group : HostGroup or None
        Leases other hosts for large images; None if this host works alone.
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
        self.draining = threading.Event()
        self.pictures = Pictures(settings, table, storage, self.draining)
        self.ends = math.inf
        self.batches: dict[str, Batch] = {}
        self.charges = Charges()
        self.killed = KilledAttempts()
        self.on_taken: Callable[[Job], None] = lambda _: None
        self.on_moved: Callable[[Job], None] = lambda _: None
        self.on_put_off: Callable[[Job, float], None] = lambda _row, _seconds: None
        self.on_ended: Callable[[Attempt], None] = lambda _: None
        self.group: HostGroup | None = None

    def drain(self, until: float) -> None:
        """Hand back jobs that will not be done by this time on the monotonic clock."""
        self.ends = until

    def run(self, message: Message) -> Verdict:
        """Run the job of a message, and return how to settle the message."""
        began, timings, trace = time.time_ns(), Timings(), Link.read(message.trace).trace
        try:
            with tempfile.TemporaryDirectory(dir=self.engine.segments.folder) as folder:
                upload = Fetch(self.storage, Path(folder, "source"))
                with timings.timed("table"):
                    claimed = self.claim(message, upload)
                if claimed is None:
                    upload.cancel()
                    return Verdict.DONE
                verdict = Verdict.HAND_BACK
                try:
                    verdict = self.attempt(*claimed, upload, timings)
                finally:
                    # A drain, or what fails on our side, costs the visitor nothing.
                    if verdict is not Verdict.HAND_BACK:
                        used = timings.pixels, timings.cpu_seconds()
                        self.charges.add(claimed[0].visitor, *used)
                    self.on_ended(Attempt(claimed[0], self.worker, began, time.time_ns(), timings))
        except newer.TooNew as error:
            return newer.put_off(self.table, error, self.worker, self.draining, self.on_put_off)
        except (Broken, OSError) as error:
            # OSError: the temporary folder cannot be made or removed.
            event("job put off", job=message.job, trace=trace, error=str(error))
            self.draining.wait(BROKEN_SECONDS)
            return Verdict.HAND_BACK
        seconds = round(1e-9 * (time.time_ns() - began), 3)
        event(
            "message settled",
            job=message.job,
            trace=trace,
            verdict=verdict.value,
            seconds=seconds,
            stages=timings.as_log(),
        )
        return verdict

    def claim(self, message: Message, upload: Fetch) -> tuple[Job, Batch] | None:
        """Claim a job, even if another node runs it, and begin to fetch its upload if it is small.

        Returns
        -------
        (Job, Batch) or None
            None if there is nothing to do: the job is gone, final, or published again since, or its
            batch ends.

        Raises
        ------
        TooNew
            If the job needs a newer worker.
        Broken
            If the row changed before each of `CLAIMS_MAX` claims, or the table does not answer.
        """
        for tried in range(CLAIMS_MAX):
            row, batch = self.read(message, afresh=tried > 0)
            if row is None or row.is_final or message.publish < row.publish:
                state = "missing" if row is None else row.state
                event("message passed over", job=message.job, publish=message.publish, state=state)
                if row is not None:
                    self.on_taken(row)
                return None
            if batch is None or batch.command in ENDING:
                with suppress(Lost):
                    self.table.cancel(row, milliseconds)
                self.on_taken(row)
                return None
            newer.check(message, row, batch)
            upload.begin(row)
            claimed = self.table.claim(row, self.worker, milliseconds())
            if claimed is not None:
                self.on_taken(claimed)
                return claimed, batch
        raise Broken(f"job {message.job}: its row changes faster than it can be claimed")

    def read(self, message: Message, afresh: bool) -> tuple[Job | None, Batch | None]:
        """Read a job and its batch; the batch from memory if it was read before.

        The recipe of a batch never changes, and a claim checks the command on the batch.

        Parameters
        ----------
        message : Message
            Has the ids of both.
        afresh : bool
            Whether to read the batch from the table again.

        Returns
        -------
        Job or None, Batch or None
            None if there is no such row.
        """
        if afresh:
            self.batches.pop(message.batch, None)
        known = self.batches.get(message.batch)
        if known is not None:
            return self.table.job(message.batch, message.job), known
        batch, row = self.table.batch_and_job(message.batch, message.job)
        if batch is not None and batch.command not in ENDING:
            if len(self.batches) >= BATCHES_MAX:
                self.batches.clear()
            self.batches[message.batch] = batch
        return row, batch

    def attempt(self, row: Job, batch: Batch, upload: Fetch, timings: Timings) -> Verdict:
        """Run one attempt, and write its outcome on condition that no newer attempt exists."""
        try:
            self.carry_out(row, batch, upload, timings)
            timings.outcome = "succeeded"
        except Rejected as error:
            timings.outcome = "failed"
            self.table.fail(row, self.sentence(row, error), "rejected", milliseconds())
        except TooLong:
            # The image is charged when it is done.
            timings.pixels, timings.outcome = 0, "moved to bulk"
            self.move_to_bulk(row)
        except Cancelled:
            if self.ends < math.inf or self.draining.is_set():
                self.table.hand_back(row, milliseconds())
                return Verdict.HAND_BACK
            timings.outcome = "cancelled"
        except DecoderKilled as error:
            if not self.killed.is_fault(row.job):
                self.table.hand_back(row, milliseconds())
                raise
            timings.outcome = "fault"
            return self.fault(row, error)
        except Fault as error:
            timings.outcome = "fault"
            return self.fault(row, error)
        except (Broken, OSError) as error:
            # OSError: this node has no room for a file, or cannot start a process to decode it.
            self.table.hand_back(row, milliseconds())
            raise Broken(self.sentence(row, classify_error(error))) from error
        return Verdict.DONE

    def move_to_bulk(self, row: Job) -> None:
        """Queue a job in the bulk lane, so that quick images need not wait until it is done."""
        moved = self.table.move_to_bulk(row, milliseconds())
        event("job moved to bulk", job=row.job, won=moved is not None)
        if moved is not None and not moved.waiting:
            self.on_moved(moved)

    def fault(self, row: Job, error: Fault | DecoderKilled) -> Verdict:
        """Count a fault; at the limit, the job fails and its message goes to the dead letters."""
        counted = self.table.add_fault(row, milliseconds())
        if counted is None:
            return Verdict.DONE
        if counted.faults < self.settings.fault_limit:
            self.table.hand_back(counted, milliseconds())
            return Verdict.FAULT
        self.table.fail(counted, self.sentence(row, error), "broken", milliseconds())
        return Verdict.DEAD

    def carry_out(self, row: Job, batch: Batch, upload: Fetch, timings: Timings) -> None:
        """Fetch, decode, compute, encode, store and finish a job; then make its pictures.

        Raises
        ------
        Rejected, Cancelled, Broken, OSError
            If the job cannot be finished, before its row is final.
        TooLong
            If its lane is for quicker jobs.
        """
        with ExitStack() as stack:
            decoder = stack.enter_context(self.decoders.checkout())
            with Heartbeat(self.table, row, self.settings.progress_seconds) as beat:
                upload.finish(row, timings, stack)
                source = upload.path
                inputs = fetch_inputs(self.storage, batch, source.parent, timings)
                is_streamed = upload.remote is not None
                header = decoder.read_header(source, row.name, is_streamed=is_streamed)
                timings.pixels = pixels_in(header, decoder.most_pixels(header))
                beat.check()
                spool = Path(self.settings.spool_dir)
                choice = choice_of(batch.read)
                options = RunOptions(
                    spool,
                    batch.depth,
                    batch.metadata,
                    inputs,
                    choice,
                    Output(batch.quality, **batch.write),
                    batch.across,
                )
                place = source, header, batch.steps, batch.format, spool
                store = scratch_of(self.settings.uploads_bucket, self.storage, row)
                look = functools.partial(self.check_waiting, beat)

                def make(engine: Engine) -> AnyFile:
                    return file_job(
                        engine, decoder, *place, options, upload.remote, look=look, store=store
                    )

                file = make(self.engine)
                stack.push(file)
                if row.lane == "interactive" and file.job.seconds_left() > INTERACTIVE_SECONDS_MAX:
                    raise TooLong
                timings.pixels += input_pixels(file)
                placed = self.group.place(row, file, make, stack) if self.group else Placed(file)
                file = placed.file
                file.read()
                timings.add("decode", decoder.take_spent())
                if not file.reads_file:
                    for path in (source, *inputs.values()):
                        path.unlink()
                beat.watch(file.job)
                note = functools.partial(self.note, file.job, beat)
                file.job.start(note, first=row.lane == "interactive")
                try:
                    self.wait(file.job)
                finally:
                    placed.release()
                    timings.add("compute", spent_on(file.job, self.engine.ranks))
                    timings.shares.extend(file.job.shares)
                beat.check()
                writer = ResultWriter(file, row, source.parent)
                self.store(row, writer, beat, decoder, timings)
                views = Views(file)
                self.finish(row, placed, writer, views, beat.tiles[1], timings)
            if views.needed:
                target: Path | str = writer.main_path
                if target in writer.tiles:
                    target = f"s3://{self.storage.results}/{writer.main.key}"
                self.pictures.show(row, views, decoder, target)

    def note(self, job: AnyJob, beat: Heartbeat, done: int, total: int) -> None:
        """Note the progress of a job; the planes of a stack may take as long as one image.

        Raises
        ------
        Rejected
            If the planes that are done took more processor time than all ranks may for an image,
            or their tables are too large.
        """
        beat.note(done, total)
        if isinstance(job, StackRun):
            check_tables(job)
        most = self.engine.ranks * self.settings.job_seconds_max
        if job.spent.cpu_seconds > most:
            raise Rejected(
                f"{done} of its {total} planes took {job.spent.cpu_seconds:,.0f} s of processor "
                f"time; at most {most:,.0f} s are allowed for a file, so send some planes as a file"
            )

    def check_waiting(self, beat: Heartbeat) -> None:
        """Raise Cancelled if a job that waits for memory is lost, or a drain's time is over."""
        beat.check()
        if self.draining.is_set() or time.monotonic() > self.ends:
            raise Cancelled

    def wait(self, job: AnyJob) -> None:
        """Wait until the ranks are done; cancel the job if a drain leaves too little time for it.

        Raises
        ------
        Cancelled
            If the job was cancelled, here or by the heartbeat.
        Rejected, Broken
            If the job failed.
        """
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
        writer: ResultWriter,
        beat: Heartbeat,
        decoder: Decoder,
        timings: Timings,
    ) -> None:
        """Write the results one after the other, and store each under a key of this attempt.

        Only the file of the last image stays: a picture may be made of it.

        Raises
        ------
        Rejected
            If a format cannot hold a result.
        Cancelled
            If the job was cancelled, or another attempt has claimed it.
        Broken, OSError
            If S3 does not answer, or a file cannot be written.
        """
        for path, result in writer.write(beat.check):
            timings.add("encode", decoder.take_spent())
            with timings.timed("s3"):
                given = result.key, result.type, result.name, row.kept_until
                tiles = writer.tiles.get(path)
                if tiles is None:
                    self.storage.upload(path, *given)
                else:
                    self.storage.join(path, tiles, *given, check=beat.check)
            if path != writer.main_path:
                path.unlink()
        beat.check()

    def finish(
        self,
        row: Job,
        placed: Placed,
        writer: ResultWriter,
        views: Views,
        tiles: int,
        timings: Timings,
    ) -> None:
        """Write into the row that the job is done, and what its results are.

        Raises
        ------
        Cancelled
            If the job was cancelled, or another attempt has claimed it.
        Broken
            If the table does not answer.
        """
        main, header, now = writer.main, placed.file.header, milliseconds()
        dtype, result_dtype = views.dtypes
        with timings.timed("table"):
            won = self.table.succeed(
                row,
                now,
                result_key=main.key,
                result_name=main.name,
                result_type=main.type,
                result_bytes=main.bytes,
                results=to_text(writer.results),
                notes=[*header.notes, *writer.notes],
                versions=versions(),
                hosts=placed.ranks(),
                rows=header.shape[0],
                columns=header.shape[1],
                result_rows=views.shapes["result"][0],
                result_columns=views.shapes["result"][1],
                dtype=dtype,
                result_dtype=result_dtype,
                # A short job ends before the heartbeat writes its progress for the first time.
                tiles_done=tiles,
                tiles_total=tiles,
                views_until=now + round(1000 * SECONDS_MAX) if views.needed else 0,
            )
        if not won:
            raise Cancelled

    def sentence(self, row: Job, error: Exception) -> str:
        """Return the reason of a failure as one sentence that begins with the file's name."""
        text = plainly(str(error), self.settings.uploads_bucket, row)
        return text if text.startswith(row.name) else f"{row.name}: {text}"
