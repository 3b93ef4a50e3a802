"""The parts, put together: what each is told, in what order they start and end."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from config.contract.settings import TOP
from infra.local.broker import Broker
from infra.local.ports import HOST, answers, free_ports, is_free
from infra.local.process import LocalError, Process
from infra.local.supervisor import Supervisor

SITE = TOP / "frontend" / "dist"

# Each part on its own is up in a few seconds; the rest is for a machine that is busy.
READY_SECONDS = 60.0
# On one's own machine nobody wants to wait a minute for jobs that are about to be dropped.
DRAIN_SECONDS = 8.0
# What a drained worker needs beyond that to end its world and itself.
WORKER_STOP_SECONDS = DRAIN_SECONDS + 4.0


class LocalApp:
    """The whole app, running while the context lasts.

    Parameters
    ----------
    folder : Path
        For logs and run-time files; emptied.
    port : int
        Of the site; 0 chooses a free one.
    ranks : int
        MPI ranks of the worker's world; 0 means one per core.
    sweep_seconds : float
        Time between two sweeps.
    say : callable
        Takes each line that is for the user.
    worker : bool
        Whether to run a worker; False when one runs elsewhere.
    **settings : str
        Further settings for API and worker, such as ``KEPT_SECONDS="60"``.

    Attributes
    ----------
    url : str
        Origin of the site.
    environment : dict
        What API and worker are told, for `config.contract.settings.load`.
    supervisor : Supervisor
        Watches the parts while the app runs.

    Raises
    ------
    LocalError
        If a part is missing or does not start, or the port is taken.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        ranks: int = 0,
        sweep_seconds: float = 5.0,
        say: Callable[[str], None] = lambda _: None,
        worker: bool = True,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.port = port or free_ports(1)[0]
        self.url = f"http://{HOST}:{self.port}"
        self.ranks = ranks
        self.sweep_seconds = sweep_seconds
        self.say = say
        self.worker = worker
        self.settings = settings
        self.environment: dict[str, str] = {}
        self._closing = ExitStack()

    def pids(self) -> dict[str, int]:
        """Pids of broker, aws, api, worker and front, as far as they run."""
        return self.supervisor.pids()

    def __enter__(self) -> "LocalApp":
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def kill(self) -> None:
        """End all at once, with no time for a part to stop; the context still closes as usual."""
        supervisor = getattr(self, "supervisor", None)
        if supervisor is not None:  # else nothing has started
            supervisor.kill()

    def _start(self) -> None:
        if not (SITE / "index.html").is_file():
            raise LocalError("the site is not built; run: make run, or npm run build in frontend")
        self._closing.enter_context(own(self.folder, self.port))
        broker = Broker(self.folder)
        aws, api = free_ports(2)
        self.environment = self._environment(broker.url, aws)
        self.supervisor = Supervisor(self.folder, self.say)
        self._closing.callback(self.supervisor.end, drained_first=["worker"])
        for part in (broker.part, self._aws(aws)):
            self.supervisor.start(part)
        # The worker's world warms up while the broker starts; it tries again until that is there.
        parts = [self._api(api), self._front(api)]
        for part in [self._worker(), *parts] if self.worker else parts:
            self.supervisor.start(part)
        self.supervisor.await_ready("broker", broker.is_ready, READY_SECONDS)
        broker.declare_queues()
        ready: dict[str, Callable[[], bool]] = {
            "aws": lambda: (self.folder / "aws.log").read_text().startswith("ready"),
            "api": lambda: answers(api),
            "front": lambda: answers(self.port),
            "worker": lambda: has_event(self.folder / "worker.log", "ready"),
        }
        for name, is_ready in ready.items():
            if name in self.supervisor.parts:
                self.supervisor.await_ready(name, is_ready, READY_SECONDS)
        self.supervisor.keep()

    def _environment(self, broker_url: str, aws_port: int) -> dict[str, str]:
        endpoint = f"http://{HOST}:{aws_port}"
        return {
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            # moto asks for a signature and does not check it.
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TABLE": "dip-jobs",
            "UPLOADS_BUCKET": "dip-uploads",
            "RESULTS_BUCKET": "dip-results",
            "BROKER_URL": broker_url,
            # For what has no setting of its own, such as the app's figures.
            "AWS_ENDPOINT_URL": endpoint,
            "S3_ENDPOINT": endpoint,
            "S3_PUBLIC_ENDPOINT": endpoint,
            "DYNAMODB_ENDPOINT": endpoint,
            "RANKS": str(self.ranks),
            # The ranks listen for ranks of other machines, of which there are none: on this one
            # alone, then. (The first for MPICH with UCX, the second for MPICH with libfabric.)
            "UCX_NET_DEVICES": "lo",
            "FI_TCP_IFACE": "lo",
            "DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
        } | self.settings

    def _aws(self, port: int) -> Process:
        part = Process.python(
            "aws",
            "infra.local.aws",
            f"--port={port}",
            f"--origin={self.url}",
            **self.environment,
        )
        return replace(part, stop_seconds=0.0, loses="all batches and files are lost")

    def _api(self, port: int) -> Process:
        return Process.python(
            "api",
            "infra.local.api",
            f"--port={port}",
            f"--sweep-seconds={self.sweep_seconds}",
            **self.environment,
        )

    def _worker(self) -> Process:
        part = Process.python("worker", "cluster_worker", **self.environment)
        return replace(part, stop_seconds=WORKER_STOP_SECONDS)

    def _front(self, api: int) -> Process:
        return Process.python(
            "front",
            "infra.local.front",
            f"--port={self.port}",
            f"--api=http://{HOST}:{api}",
            f"--site={SITE}",
            **self.environment,
        )


@contextmanager
def own(folder: Path, port: int) -> Iterator[None]:
    """Take a folder for one copy of the app, and empty it.

    Raises
    ------
    LocalError
        If another copy runs in it, or something else has the port.
    """
    folder.mkdir(parents=True, exist_ok=True)
    other = f"choose another: make run PORT={port + 1}"
    with (folder / "lock").open("w") as lock:
        try:
            # Held by this process alone, and so let go however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(
                f"the app already runs on port {port}, its files in {folder}; stop it or {other}"
            ) from error
        if not is_free(port):
            raise LocalError(f"port {port} of {HOST} is taken; free it or {other}")
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()
        yield


def has_event(log: Path, name: str) -> bool:
    """Whether a log of JSON lines holds an event."""
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{") and f'"{name}"' in line:
            try:
                if json.loads(line).get("event") == name:
                    return True
            except ValueError:
                continue  # half a line, as yet
    return False
