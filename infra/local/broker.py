"""A private RabbitMQ with its own name, ports, cookie, user and files, for `make run` and tests."""

import os
import secrets
import shutil
import time
from pathlib import Path

import pika
import pika.exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from config.contract import resources
from infra.local.ports import HOST, answers, free_ports
from infra.local.process import LocalError, Process, Running, last_line

# Not Debian's wrappers in /usr/sbin: they change to the user rabbitmq and its folders.
SERVERS = (
    Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
    Path("/usr/local/lib/rabbitmq/sbin/rabbitmq-server"),
)

READY_SECONDS = 60.0
# Longest wait until RabbitMQ has written the names of queues to disk; normally one second.
NAMES_WRITTEN_SECONDS = 5.0

# disk_free_limit: with less free disk than this the broker blocks all publishers. 50 MB is the
#   default; it is repeated here because some packages set a limit relative to the memory size.
# consumer_timeout: in ms; must exceed the longest job, or its late acknowledgement fails.
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

# Erlang looks for itself as localhost; a fresh Debian may have no /etc/hosts.
INETRC = '{lookup, [file, native]}.\n{host, {127, 0, 0, 1}, ["localhost"]}.\n'

# +S: two schedulers are enough. +sbwt: idle schedulers sleep at once instead of spinning.
# inet_dist_use_interface: RabbitMQ always opens a port for other Erlang nodes; keep it on the
# loopback interface.
ERLANG_FLAGS = (
    "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)


class Broker:
    """A private RabbitMQ server whose files are in one folder.

    Tests use it as a context manager, which starts and stops the server. `make run` passes
    `process` to its supervisor instead.

    Parameters
    ----------
    folder : Path
        Folder of its files and logs. Messages stay there over `kill` and `restart`.

    Raises
    ------
    LocalError
        If RabbitMQ is not installed.

    Attributes
    ----------
    url : str
        AMQP URL with user and password.
    process : Process
        How to start the server.
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
        (home / "inetrc").write_text(INETRC)
        self.process = Process(
            name="broker",
            command=(str(server()),),
            environment=environment(home, self.port, distribution, epmd),
            # Nothing on its disk is needed after `make run`, and SIGKILL loses no confirmed
            # message. So there is no reason to wait for a clean shutdown.
            stop_seconds=0.0,
        )
        self.running: Running | None = None
        self.declared: list[str] = []

    def is_ready(self) -> bool:
        """Return whether the server accepts connections with its user and password."""
        if not answers(self.port):
            return False
        try:
            connect(self.url).close()
        except (pika.exceptions.AMQPError, AMQPConnectorException, OSError):
            # The second, which is no `AMQPError`: a busy server takes too long to greet.
            return False
        return True

    def declare_queues(self) -> None:
        """Declare the queues of the app."""
        connection = connect(self.url)
        channel = connection.channel()
        for queue in resources.QUEUES:
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            self.declared.append(queue.name)
        connection.close()

    def start(self) -> None:
        """Start the server and wait until it is ready.

        Raises
        ------
        LocalError
            If the server ends, or is not ready within a minute.
        """
        running = self.running = Running(self.process, self.folder)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline or running.wait(0.05):
                self.end()
                raise LocalError(f"RabbitMQ did not start{last_line(running.log)}")

    def kill(self) -> None:
        """Kill the server, as a power cut would, once its queues are on disk.

        RabbitMQ answers a declaration up to a second before it writes which files belong to a
        quorum queue (names.dets, saved once a second). If it is killed in between, the messages of
        the queue are lost, and the queue may stay without a leader for ever (seen with 3.10.8).
        """
        deadline = time.monotonic() + NAMES_WRITTEN_SECONDS
        while not self._names_are_written() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.end()

    def end(self) -> None:
        """Kill the server at once; its messages may be lost."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()

    def restart(self) -> None:
        """Kill the server and start it again; confirmed messages are kept."""
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
    """Return the path of RabbitMQ's own start script.

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
    """Build the environment of a server that shares nothing with other servers on the machine.

    Parameters
    ----------
    home : Path
        Folder of its files.
    port, distribution, epmd : int
        Ports for AMQP, for other Erlang nodes, and for Erlang's port mapper.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),  # Erlang creates its cookie here
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_INETRC": str(home / "inetrc"),
        # Do not read the machine's own configuration of RabbitMQ.
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
        # With this the start script executes the server in its own process, so that the pid of
        # the process is the server's. It also opens stdin; -noinput stops Erlang's shell from
        # reading it.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
    }


def connect(url: str) -> pika.BlockingConnection:
    """Connect to a broker on this machine, with short timeouts."""
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = 5
    parameters.blocked_connection_timeout = 10
    return pika.BlockingConnection(parameters)
