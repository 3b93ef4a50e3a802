"""A worker node: `python -m cluster_worker`. Settings come from the environment and `.env`."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType

from cluster_worker.engine.compiling import are_compiled
from cluster_worker.engine.engine import Engine
from cluster_worker.engine.prebuilt import count_compiled, use_prebuilt
from cluster_worker.errors import Broken
from cluster_worker.imagefiles.decoder_pool import Decoders
from cluster_worker.log import event
from cluster_worker.node.consumer import Address, Consumer
from cluster_worker.node.group import GroupSettings, group_settings, tell_ranks_of_store
from cluster_worker.node.hosts import HostGroup
from cluster_worker.node.lifecycle import LifeSigns
from cluster_worker.node.metrics import Figures, NodeCollector, gauges, serve
from cluster_worker.node.own_spool import own_spool
from cluster_worker.node.previews import PreviewThread
from cluster_worker.node.releases import ReleaseThread
from cluster_worker.node.runner import Runner
from cluster_worker.node.storage import Storage, aws_errors_as_broken, client
from cluster_worker.node.table import job_table
from cluster_worker.node.tracing import Attempt
from cluster_worker.operations import OPERATIONS
from config.contract import resources
from config.contract.credentials import signed_in
from config.contract.otlp import Spans
from config.contract.settings import SettingError, WorkerSettings, load

# Jobs in hand beyond one for each rank: they are downloaded or stored while others compute.
SPARE_SLOTS = 2
# Waits between attempts to start the engine. A rank may be killed while its first world starts, or
# memory be full for a moment.
ENGINE_WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)


def main() -> int:
    """Run a node until it is stopped.

    Returns
    -------
    int
        Exit status: 0 after a drain, 1 if the engine does not start, 2 if a setting is wrong.
    """
    try:
        settings = load(WorkerSettings, "cluster_worker")
        group = group_settings(settings)
        use_prebuilt(settings.kernels_dir)
        tell_ranks_of_store(settings)
        broker = Address(broker_url(settings), read_broker_url)
        with own_spool(Path(settings.spool_dir)) as spool:
            settings = replace(settings, spool_dir=str(spool))
            # Where ranks keep what does not fit their memory; /tmp lies in memory on a node.
            os.environ["TMPDIR"] = str(spool)
            run_node(settings, broker, start_engine(settings), group)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except Broken as error:
        event("not started", error=str(error))
        return 1
    return 0


def start_engine(settings: WorkerSettings) -> Engine:
    """Start the engine, with some attempts.

    Raises
    ------
    Broken
        If the last attempt fails.
    """
    for wait_seconds in (*ENGINE_WAITS_SECONDS, None):
        try:
            return Engine(
                settings.ranks,
                job_seconds_max=settings.job_seconds_max,
                job_memory_bytes_max=settings.job_memory_bytes_max,
                scratch_dir=settings.scratch_dir,
                warm=warm_operations(settings),
                confined_to=[Path(each) for each in (settings.scratch_dir, settings.spool_dir)],
            )
        except (Broken, OSError) as error:
            if wait_seconds is None:
                raise Broken(str(error)) from error
            event("engine not started", error=str(error), again_in_seconds=wait_seconds)
            time.sleep(wait_seconds)
    raise AssertionError  # the last attempt returns or raises


def warm_operations(settings: WorkerSettings) -> bool | list[str]:
    """Return what the engine's ranks load at the start: the operations named, or True for all.

    All as long as kernels are not compiled: an engine compiles them in the background only then.

    Raises
    ------
    SettingError
        If there is no operation of a name.
    """
    names = [each for word in settings.warm_operations.split(",") if (each := word.strip())]
    for each in names:
        if each not in OPERATIONS:
            raise SettingError(
                f"WARM_OPERATIONS: there is no operation {each!r}; `dip operations` lists them"
            )
    return names if names and are_compiled() else True


def run_node(
    settings: WorkerSettings, broker: Address, engine: Engine, group: GroupSettings | None = None
) -> None:
    """Consume jobs until a signal or a termination notice, then drain.

    Parameters
    ----------
    settings : WorkerSettings
        Of the node.
    broker : Address
        Of the broker.
    engine : Engine
        Runs the jobs; ended at the end.
    group : GroupSettings, optional
        Of the group of hosts that the node joins.
    """
    # Each lane gets this number of slots, as the other one may be empty. The engine runs the jobs
    # of the interactive lane first.
    lanes = dict.fromkeys((resources.JOBS.name, resources.BULK.name), engine.ranks + SPARE_SLOTS)
    slots = sum(lanes.values())
    worker = f"{socket.gethostname()}-{os.getpid()}"
    limits = (
        settings.pixels_max,
        settings.job_memory_bytes_max,
        settings.decode_seconds_max,
        settings.streamed_pixels_max,
    )
    with (
        ExitStack() as stack,
        engine,
        Decoders(slots, engine.decoder_source.address, *limits) as decoders,
    ):
        table = job_table(settings)
        runner = Runner(settings, engine, decoders, table, Storage(settings), worker)
        consumer = Consumer(broker, lanes, runner.run)
        previews, releases = PreviewThread(settings, broker, engine), ReleaseThread(table, broker)
        runner.on_taken, runner.on_moved = releases.on_taken, releases.on_moved
        runner.on_put_off = releases.on_put_off
        stack.callback(observe(settings, runner, engine, consumer))

        def ready() -> None:
            # With the kernels of an image, this stays 0.
            compiled = count_compiled()
            threads = {releases.name: releases.native_id}
            event(
                "ready",
                worker=worker,
                ranks=engine.ranks,
                slots=slots,
                pids=engine.pids(),
                threads=threads,
                compiled=compiled,
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
        try:
            signs = LifeSigns(
                *(settings, consumer, table, worker, runner.charges),
                lends=lambda: engine.dispatcher.lent_bytes > 0,
            )
            with signs, ExitStack() as grouped:
                if group is not None:
                    runner.group = grouped.enter_context(
                        HostGroup(settings, group, engine, table, worker, consumer.is_idle)
                    )
                consumer.run(settings.drain_seconds, runner.draining.set)
        finally:
            # A signal has stopped the previews already, but a termination notice has not.
            for each in (previews, releases):
                each.stop()
                each.join()
    event("drained", worker=worker)


def observe(
    settings: WorkerSettings, runner: Runner, engine: Engine, consumer: Consumer
) -> Callable[[], None]:
    """Send spans and serve metrics of the jobs, as the settings say; return what ends that.

    Raises
    ------
    SettingError
        If an address of the settings cannot be used.
    """
    spans = Spans(settings.trace_collector, lambda error: event("spans lost", error=error))
    figures, server = None, None
    if settings.metrics_address:
        figures, consumer.watches_depths = Figures(), True
        collector = NodeCollector(figures, gauges(engine, consumer, os.getpid()))
        server = serve(settings.metrics_address, collector)

    def on_ended(attempt: Attempt) -> None:
        if figures is not None:
            figures.add(attempt)
        spans.send(attempt.spans())

    def end() -> None:
        spans.flush()
        if server is not None:
            server.shutdown()
            server.server_close()

    if spans or figures is not None:
        runner.on_ended = on_ended
    return end


def read_broker_url() -> str:
    """Read the settings anew, as a file of them may have changed; return and raise as below."""
    return broker_url(load(WorkerSettings, "cluster_worker"))


def broker_url(settings: WorkerSettings) -> str:
    """Return the broker's URL, with user and password from the secret if there is one.

    Raises
    ------
    Broken
        If Secrets Manager does not answer.
    """
    if not settings.broker_secret:
        return settings.broker_url
    secrets = client("secretsmanager", "", settings.aws_region)
    with aws_errors_as_broken("Secrets Manager"):
        found = secrets.get_secret_value(SecretId=settings.broker_secret)
    return signed_in(settings.broker_url, found["SecretString"])


if __name__ == "__main__":
    sys.exit(main())
