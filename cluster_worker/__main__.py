"""A worker node: `python -m cluster_worker`. Settings come from the environment and `.env`."""

import os
import signal
import socket
import sys
from types import FrameType

from cluster_worker.consumer import Consumer
from cluster_worker.decoder import Decoders
from cluster_worker.engine import Engine
from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node import Outside
from cluster_worker.rows import Rows
from cluster_worker.runner import Runner
from cluster_worker.storage import Storage, answering, client
from config.credentials import signed_in
from config.settings import SettingError, WorkerSettings, load

# Jobs in hand beyond the ranks, so that one is fetched or stored while others compute.
SPARE_SLOTS = 2


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
    slots = engine.ranks + SPARE_SLOTS
    worker = f"{socket.gethostname()}-{os.getpid()}"
    with engine, Decoders(slots, settings) as decoders:
        rows = Rows(settings)
        runner = Runner(settings, engine, decoders, rows, Storage(settings), worker)
        consumer = Consumer(broker, slots, runner.run)

        def ready() -> None:
            event("ready", worker=worker, ranks=engine.ranks, slots=slots, pids=engine.pids())

        def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
            consumer.stop()

        consumer.on_ready = ready
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        with Outside(settings, consumer, rows, worker):
            consumer.run(settings.drain_seconds, runner.draining.set)
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
