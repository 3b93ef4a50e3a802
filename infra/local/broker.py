"""A private RabbitMQ: its own name, ports, cookie, user and files; for `make run` and for tests."""

import os
import secrets
import shutil
import time
from pathlib import Path

import pika
import pika.exceptions

from config.contract import resources
from infra.local.ports import HOST, answers, free_ports
from infra.local.process import LocalError, Process, Running, last_line

# Debian's wrappers in /usr/sbin change to the user rabbitmq and its folders: pass them by.
SERVERS = (
    Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
    Path("/usr/local/lib/rabbitmq/sbin/rabbitmq-server"),
)

READY_SECONDS = 60.0
# Longest wait for the names of queues to be written, which takes one second.
NAMES_WRITTEN_SECONDS = 5.0

# disk_free_limit: below it the broker blocks all publishers; the default of 50 MB is kept, said
#   here because a free share of the memory's size is what some packages set.
# consumer_timeout: must exceed the longest job, else its late ack fails; in ms.
CONFIGURATION = """\
listeners.tcp.default = {host}:{port}
default_user = dip
default_pass = {password}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.relative = 0.4
consumer_timeout = 10800000
log.console = true
log.console.level = info
log.file = false
"""

# +S: two schedulers are plenty. +sbwt: idle schedulers sleep at once instead of spinning.
# The last: the port for other Erlang nodes, which RabbitMQ always opens, on this machine only.
ERLANG_FLAGS = (
    "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)


class Broker:
    """A RabbitMQ server of its own in a folder.

    As a context it runs by itself, for tests; `make run` gives `part` to its supervisor.

    Parameters
    ----------
    folder : Path
        For its files, logs included. Messages stay there over `kill` and `restart`.

    Raises
    ------
    LocalError
        If there is no RabbitMQ on this machine.

    Attributes
    ----------
    url : str
        For pika and the settings.
    part : Process
        How it is started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        home = self.folder / "rabbitmq"
        home.mkdir(parents=True, exist_ok=True)
        self.port, distribution, epmd = free_ports(3)
        password = secrets.token_urlsafe(24)
        self.url = f"amqp://dip:{password}@{HOST}:{self.port}/"
        configuration = home / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(CONFIGURATION.format(host=HOST, port=self.port, password=password))
        (home / "enabled_plugins").write_text("[].\n")
        self.part = Process(
            name="broker",
            command=(str(server()),),
            environment=environment(home, self.port, distribution, epmd),
            # Nothing on its disk is needed after the end of `make run`, and a SIGKILL loses no
            # confirmed message, so there is no reason to wait for a tidy end.
            stop_seconds=0.0,
        )
        self.running: Running | None = None
        self.declared: list[str] = []

    def is_ready(self) -> bool:
        """Whether it takes connections with its user and password."""
        if not answers(self.port):
            return False
        try:
            connect(self.url).close()
        except pika.exceptions.AMQPError:
            return False
        return True

    def declare_queues(self) -> None:
        """Make the app's queues."""
        connection = connect(self.url)
        channel = connection.channel()
        for queue in resources.QUEUES:
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            self.declared.append(queue.name)
        connection.close()

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises
        ------
        LocalError
            If it is not ready within a minute.
        """
        running = self.running = Running(self.part, self.folder)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline or running.wait(0.05):
                self.end()
                raise LocalError(f"RabbitMQ did not start{last_line(running.log)}")

    def kill(self) -> None:
        """Kill it, as a power cut would, once the queues declared here are on its disk.

        RabbitMQ answers a declaration a second before it writes which files are a quorum queue's
        (names.dets, saved once a second). Killed in between, it loses the queue's messages and,
        seen with 3.10.8, leaves the queue without a leader for good.
        """
        deadline = time.monotonic() + NAMES_WRITTEN_SECONDS
        while not self._names_are_written() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.end()

    def end(self) -> None:
        """Kill it at once; its messages are not needed any more."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()

    def restart(self) -> None:
        """Kill it and start it again with the messages that it had confirmed."""
        self.kill()
        self.start()

    def _names_are_written(self) -> bool:
        files = (self.folder / "rabbitmq" / "mnesia").glob("*/quorum/*/names.dets")
        names = b"".join(file.read_bytes() for file in files)
        return all(name.encode() in names for name in self.declared)

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def server() -> Path:
    """Find RabbitMQ's own start script.

    Raises
    ------
    LocalError
        If RabbitMQ is not installed.
    """
    for path in SERVERS:
        if path.is_file() and shutil.which("erl"):
            return path
    raise LocalError("rabbitmq-server is not installed; run: apt-get install rabbitmq-server")


def environment(home: Path, port: int, distribution: int, epmd: int) -> dict[str, str]:
    """Build the environment in which a server shares nothing with any other on the machine."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),  # Erlang's cookie is made here
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": HOST,
        # The machine's own configuration of RabbitMQ is not for this server.
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_NODENAME": f"dip-{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_FLAGS,
        # With this the start script becomes the server, so that the part's pid is the server's;
        # -noinput keeps Erlang's shell from reading the stdin that this would open for it.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
    }


def connect(url: str) -> pika.BlockingConnection:
    """Connect with short timeouts, since the server is on this machine."""
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = 5
    parameters.blocked_connection_timeout = 10
    return pika.BlockingConnection(parameters)
