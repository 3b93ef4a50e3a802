"""A worker node: `python -m cluster_worker`. Settings come from the environment and `.env`."""

import os
import signal
import socket
import sys
import threading
from types import FrameType

from cluster_worker.engine.engine import Engine
from cluster_worker.errors import Broken
from cluster_worker.imagefiles.decoder import Decoders
from cluster_worker.log import event
from cluster_worker.node.consumer import Answerer, Consumer, Publish, Sender
from cluster_worker.node.lifecycle import Outside
from cluster_worker.node.previews import Previewer
from cluster_worker.node.runner import Runner, milliseconds
from cluster_worker.node.storage import Storage, answering, client
from cluster_worker.node.table import job_table
from config.contract import resources
from config.contract.credentials import signed_in
from config.contract.job import Job
from config.contract.settings import SettingError, WorkerSettings, load
from config.contract.table import JobTable

# Jobs in hand beyond the ranks, so that one is fetched or stored while others compute.
SPARE_SLOTS = 2


class Previews(threading.Thread):
    """Previews beside the jobs: a world, a connection and a thread of their own."""

    def __init__(self, settings: WorkerSettings, broker: str) -> None:
        super().__init__(name="previews")
        self.settings = settings
        self.answerer = Answerer(broker, resources.PREVIEWS, self.answer)
        self.previewer: Previewer | None = None

    def answer(self, question: bytes) -> bytes:
        """Answer a question."""
        assert self.previewer is not None  # noqa: S101 - run() has made it before it asks
        return self.previewer.answer(question)

    def run(self) -> None:
        """Serve until stopped; a node whose small world does not start has no previews."""
        try:
            with Previewer(self.settings.scratch_dir) as self.previewer:
                event("previews ready")
                self.answerer.run()
        except Broken as error:
            event("previews broken", error=str(error))

    def stop(self) -> None:
        """Begin to end; safe in a signal handler."""
        self.answerer.stopping.set()


class Releases(threading.Thread):
    """Lets held jobs of large batches go when messages of these are taken."""

    def __init__(self, table: JobTable, broker: str) -> None:
        super().__init__(name="releases")
        self.table = table
        self.sender = Sender(broker, self.release)

    def ask(self, row: Job) -> None:
        """Note that a message was taken; returns at once."""
        if row.lane == "bulk":
            self.sender.asked.put(row)

    def release(self, row: Job, publish: Publish) -> None:
        """Publish what there is room for now."""
        try:
            for released in self.table.release(row, milliseconds, self.table.lapse):
                publish(released.message, resources.BULK)
                self.table.mark_published(released.message, milliseconds())
        except Broken as error:
            event("waiting jobs not released", error=str(error))

    def run(self) -> None:
        """Serve until stopped."""
        self.sender.run()

    def stop(self) -> None:
        """Begin to end; safe in a signal handler."""
        self.sender.stopping.set()


def main() -> int:
    """Run a node until it is told to stop; 2 for bad settings, 1 if its world does not start."""
    try:
        settings = load(WorkerSettings, "cluster_worker")
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        broker = broker_url(settings)
        engine = Engine(
            settings.ranks,
            job_seconds_max=settings.job_seconds_max,
            job_memory_bytes_max=settings.job_memory_bytes_max,
            scratch_dir=settings.scratch_dir,
        )
    except Broken as error:
        event("not started", error=str(error))
        return 1
    # In each lane, since either may be alone; in the engine the jobs of a small batch go first.
    lanes = dict.fromkeys((resources.JOBS.name, resources.BULK.name), engine.ranks + SPARE_SLOTS)
    slots = sum(lanes.values())
    worker = f"{socket.gethostname()}-{os.getpid()}"
    limits = settings.pixels_max, settings.job_memory_bytes_max, settings.decode_seconds_max
    with engine, Decoders(slots, *limits) as decoders:
        table = job_table(settings)
        runner = Runner(settings, engine, decoders, table, Storage(settings), worker)
        consumer = Consumer(broker, lanes, runner.run)
        previews, releases = Previews(settings, broker), Releases(table, broker)
        runner.on_taken = releases.ask

        def ready() -> None:
            threads = {releases.name: releases.native_id}
            event(
                "ready",
                worker=worker,
                ranks=engine.ranks,
                slots=slots,
                pids=engine.pids(),
                threads=threads,
            )

        def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
            consumer.stop()
            previews.stop()

        consumer.on_ready = ready
        consumer.on_drain = runner.drain
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        previews.start()
        releases.start()
        with Outside(settings, consumer, table, worker):
            consumer.run(settings.drain_seconds, runner.draining.set)
        # Told by a signal already, or the drain came from outside.
        for each in (previews, releases):
            each.stop()
            each.join()
    event("drained", worker=worker)
    return 0


def broker_url(settings: WorkerSettings) -> str:
    """Give the broker's address, with user and password from its secret if there is one."""
    if not settings.broker_secret:
        return settings.broker_url
    secrets = client("secretsmanager", "", settings.aws_region)
    with answering("Secrets Manager"):
        found = secrets.get_secret_value(SecretId=settings.broker_secret)
    return signed_in(settings.broker_url, found["SecretString"])


if __name__ == "__main__":
    sys.exit(main())
