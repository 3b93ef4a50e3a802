"""The local app: which processes it has, their environments, and how they start and stop."""

import fcntl
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from config.contract.settings import TOP
from infra.local.broker import Broker
from infra.local.hosts import IsolatedHosts, check_count
from infra.local.ports import HOST, answers, free_ports, is_free
from infra.local.process import LocalError, Process
from infra.local.supervisor import Supervisor

SITE = TOP / "frontend" / "dist"

# Longest time without progress of a process that starts: a few seconds suffice on a quiet machine.
READY_SECONDS = 60.0
# Short, because the jobs are lost anyway when the local app ends: a user must not wait a minute.
DRAIN_SECONDS = 8.0
# A drained worker needs 4 s more to end its MPI world and itself.
WORKER_STOP_SECONDS = DRAIN_SECONDS + 4.0


# Hosts on one machine save nothing, as they share its cores. What counts is the estimate: an image
# that would take some seconds more on one real host is shown over all of them.
HOSTS_SAVE_SECONDS = "1.0"

# Settings of the quotas of a day.
QUOTAS = tuple(
    f"{who}_DAY_{what}_MAX"
    for who in ("VISITOR", "TOTAL")
    for what in ("BYTES", "PIXELS", "CPU_SECONDS")
)


class LocalApp:
    """The whole app: a context manager that starts it on entry and stops it on exit.

    Parameters
    ----------
    folder : Path
        Folder of logs and run-time files; it is emptied on entry.
    port : int
        Port of the site; 0 chooses a free one.
    ranks : int
        Number of MPI ranks of the worker; 0 means one per core.
    sweep_seconds : float
        Time between two sweeps, in seconds.
    say : callable
        Called with each line for the user.
    worker : bool
        Whether to start a worker; False if one runs elsewhere.
    host : str
        Address that site and S3 listen on.
    s3_port : int
        Port of S3; 0 chooses a free one.
    hosts : int
        Number of workers; several are isolated from each other as hosts are, and share images.
    trace : bool
        Whether to record traces, and to show them on a page.
    **settings : str
        Further settings of API and worker, such as ``KEPT_SECONDS="60"``.

    Attributes
    ----------
    url : str
        Origin of the site.
    traces_url : str
        Page of the traces; empty if none are recorded.
    environment : dict of str to str
        Environment variables of API and worker, read there by `config.contract.settings.load`.
    supervisor : Supervisor
        Starts, restarts and stops the processes; exists from entry on.

    Raises
    ------
    LocalError
        On entry, if a program is missing, a process does not start, or the port is taken.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        ranks: int = 0,
        sweep_seconds: float = 5.0,
        say: Callable[[str], None] = lambda _: None,
        worker: bool = True,
        host: str = HOST,
        s3_port: int = 0,
        hosts: int = 1,
        trace: bool = False,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.port = port or free_ports(1)[0]
        self.url = f"http://{HOST}:{self.port}"
        self.ranks = ranks
        self.sweep_seconds = sweep_seconds
        self.say = say
        self.worker = worker
        self.host = host
        self.s3_port = s3_port
        check_count(hosts)
        self.hosts = IsolatedHosts(hosts, f"dip{self.port}") if hosts > 1 and worker else None
        self.traces_url = f"http://{HOST}:{free_ports(1)[0]}" if trace else ""
        self.settings = settings
        self.environment: dict[str, str] = {}
        self._closing = ExitStack()

    def pids(self) -> dict[str, int]:
        """Return the pids of those of broker, aws, api, worker and front that run, by name.

        Of several workers, each has the name of its host: worker-host-a, worker-host-b, …
        """
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
        """Kill all processes at once, without their time to stop; the context closes as usual."""
        supervisor = getattr(self, "supervisor", None)
        if supervisor is not None:  # otherwise no process has been started
            supervisor.kill()

    def _start(self) -> None:
        if not (SITE / "index.html").is_file():
            raise LocalError("the site is not built; run: make run, or npm run build in frontend")
        self._closing.enter_context(claim_folder(self.folder, self.port))
        broker = Broker(self.folder)
        aws, api = free_ports(2)
        aws = self.s3_port or aws
        self.environment = self._environment(broker.url, aws)
        if self.hosts:
            self._closing.enter_context(self.hosts)
        workers = self._workers() if self.worker else []
        names = [each.name for each in workers]
        self.supervisor = Supervisor(self.folder, self.say)
        self._closing.callback(self.supervisor.end, drained_first=names)
        hosts, doors_to = self.hosts, [broker.port, aws]
        viewer = [self._traces()] if self.traces_url else []
        if self.traces_url:
            doors_to.append(int(self.traces_url.rpartition(":")[2]))
        doors = [hosts.door(each, doors_to) for each in hosts.names] if hosts else []
        for process in (broker.process, self._aws(aws), *doors, *viewer):
            self.supervisor.start(process)
        # The worker starts its MPI world while the broker starts, and retries its connection to
        # the broker until that succeeds.
        for process in (*workers, self._api(api), self._front(api)):
            self.supervisor.start(process)
        self.supervisor.await_ready("broker", broker.is_ready, READY_SECONDS)
        broker.declare_queues()
        ready: dict[str, Callable[[], bool]] = {
            "aws": lambda: (self.folder / "aws.log").read_text().startswith("ready"),
            "api": lambda: answers(api),
            "front": lambda: answers(self.port),
            **{name: partial(has_event, self.folder / f"{name}.log", "ready") for name in names},
        }
        for name, is_ready in ready.items():
            if name in self.supervisor.processes:
                self.supervisor.await_ready(name, is_ready, READY_SECONDS)
        self.supervisor.enable_restarts()

    def _environment(self, broker_url: str, aws_port: int) -> dict[str, str]:
        endpoint = f"http://{HOST}:{aws_port}"
        return {
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            # The keys that S3 and DynamoDB of this machine know.
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TABLE": "dip-jobs",
            "UPLOADS_BUCKET": "dip-uploads",
            "RESULTS_BUCKET": "dip-results",
            "BROKER_URL": broker_url,
            # For clients whose endpoint has no setting of its own, such as that of the metrics.
            "AWS_ENDPOINT_URL": endpoint,
            "S3_ENDPOINT": endpoint,
            "S3_PUBLIC_ENDPOINT": endpoint,
            "DYNAMODB_ENDPOINT": endpoint,
            "RANKS": str(self.ranks),
            # MPI ranks listen for ranks on other machines. There are none here, so they must
            # listen on the loopback interface only (first: MPICH with UCX; second: libfabric).
            "UCX_NET_DEVICES": "lo",
            "FI_TCP_IFACE": "lo",
            "DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
            "ORIGIN_KEY": secrets.token_hex(16),
            "TRACE_COLLECTOR": self.traces_url,
            # The only visitor of this machine may use all of it.
            **dict.fromkeys(QUOTAS, "0"),
        } | self.settings

    def _aws(self, port: int) -> Process:
        process = Process.python(
            "aws",
            "infra.local.aws",
            f"--host={self.host}",
            f"--port={port}",
            f"--origin={self.url}",
            f"--folder={self.folder / 'store'}",
            **self.environment,
        )
        return replace(process, stop_seconds=0.0)

    def _traces(self) -> Process:
        port = self.traces_url.rpartition(":")[2]
        process = Process.python("traces", "infra.local.traces", f"--port={port}")
        return replace(process, stop_seconds=0.0, loses="the traces so far are lost")

    def _api(self, port: int) -> Process:
        return Process.python(
            "api",
            "infra.local.api",
            f"--port={port}",
            f"--sweep-seconds={self.sweep_seconds}",
            **self.environment,
        )

    def _workers(self) -> list[Process]:
        """Return the processes of the workers, each on its own host if there are several."""
        process = Process.python("worker", "cluster_worker", **self.environment)
        process = replace(process, stop_seconds=WORKER_STOP_SECONDS)
        if self.hosts is None:
            return [process]
        secret = self.folder / "hosts-secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32))
        group = {
            "HOSTS_MAX": str(len(self.hosts.names)),
            "HOSTS_SAVE_SECONDS": HOSTS_SAVE_SECONDS,
            "HOSTS_SECRET_FILE": str(secret),
            "HOSTS_ZONE": "local",
        }
        process = replace(process, environment=group | dict(process.environment) | self.settings)
        return [
            self.hosts.worker(name, replace(process, name=f"worker-{name}"))
            for name in self.hosts.names
        ]

    def _front(self, api: int) -> Process:
        return Process.python(
            "front",
            "infra.local.front",
            f"--host={self.host}",
            f"--port={self.port}",
            f"--api=http://{HOST}:{api}",
            f"--site={SITE}",
            **self.environment,
        )


@contextmanager
def claim_folder(folder: Path, port: int) -> Iterator[None]:
    """Lock a folder for one copy of the app, and empty it.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    port : int
        Port of the site, which must be free.

    Raises
    ------
    LocalError
        If another copy of the app runs in the folder, or the port is taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    other = f"choose another: make run PORT={port + 1}"
    with (folder / "lock").open("w") as lock:
        try:
            # The kernel releases this lock when the process ends, however it ends.
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
    """Return whether a log of JSON lines holds an event of this name."""
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{") and f'"{name}"' in line:
            try:
                if json.loads(line).get("event") == name:
                    return True
            except ValueError:
                continue  # the line is not complete yet
    return False
