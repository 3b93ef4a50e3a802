"""A real broker node: the script on a booted Debian, with RabbitMQ as Debian packages it."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time

import pika
import pytest

from config.contract import resources
from config.contract.settings import TOP
from tests.machines.machine import Machine, base, copy_from_host, copy_of, copy_sources

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

UNIT = "rabbitmq-server.service"
SCRIPT = ("/opt/app/config/broker-node-config.sh", "--host", "localhost")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    root = copy_of(base("bookworm"), tmp_path_factory.mktemp("machines") / "broker")
    copy_from_host(root, "/etc/resolv.conf", "/etc/apt/apt.conf.d")
    # Debian's installer writes this, and RabbitMQ looks the machine up by its name.
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {os.uname().nodename}\n")
    (root / "opt/app").mkdir(parents=True)
    copy_sources(root / "opt/app")
    with Machine(root) as machine:
        machine.do(*SCRIPT)
        yield machine
    shutil.rmtree(root)


@pytest.fixture
def url(machine):
    text = (machine.root / "etc/dip/broker.env").read_text()
    return text.strip().removeprefix("BROKER_URL=")


@pytest.fixture
def trusting(machine, monkeypatch):
    """Trust the broker's authority, like the units that `--broker-authority` sets up."""
    monkeypatch.setenv("SSL_CERT_FILE", str(machine.root / "etc/dip/broker-ca.pem"))


def connected(url):
    return pika.BlockingConnection(pika.URLParameters(url))


def wait_for_broker(url, seconds=120):
    until = time.monotonic() + seconds
    while True:
        try:
            return connected(url)
        except (pika.exceptions.AMQPError, OSError):
            assert time.monotonic() < until
            time.sleep(0.2)


def test_tls_works_with_the_user_that_the_script_made(url, trusting):
    assert url.startswith("amqps://dip:")
    connected(url).close()


def test_the_api_finds_the_broker_by_its_address(url, trusting):
    code = (
        "import sys; from chalicelib.queue import Publisher;"
        " print(Publisher(sys.argv[1], 10).counts())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, url],
        env=os.environ | {"PYTHONPATH": f"{TOP}:{TOP / 'api'}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout == "(0, 0)\n", found.stderr


def test_a_broker_whose_authority_is_not_known_is_not_trusted(url):
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(url)


def test_a_plain_connection_is_refused(url):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 5672), 5)
    with pytest.raises(pika.exceptions.AMQPError):
        connected(url.replace("amqps:", "amqp:"))


def test_guest_is_gone(url, trusting, machine):
    assert "guest" not in machine.do("rabbitmqctl", "--quiet", "list_users")
    with pytest.raises(pika.exceptions.AMQPError):
        connected("amqps://guest:guest@localhost:5671/")


def test_the_queues_are_there_with_their_limits(url, trusting, machine):
    said = machine.do("rabbitmqctl", "--quiet", "list_queues", "name", "type", "arguments")
    for queue in resources.QUEUES:
        (line,) = [line for line in said.splitlines() if line.startswith(queue.name)]
        assert f"\t{queue.arguments['x-queue-type']}\t" in line
    assert f'"x-delivery-limit",{resources.DELIVERY_LIMIT}' in said.replace(" ", "")
    connection = connected(url)
    for queue in resources.QUEUES:
        # RabbitMQ would refuse arguments that differ from those of the existing queue.
        connection.channel().queue_declare(queue.name, durable=True, arguments=queue.arguments)
    connection.close()


def test_a_job_may_take_three_hours(machine):
    said = machine.do("rabbitmqctl", "environment")
    assert "{consumer_timeout,10800000}" in said


def test_the_script_run_again_changes_nothing(machine, url):
    before = machine.property(UNIT, "MainPID")
    assert "wrote" not in machine.do(*SCRIPT)
    assert machine.property(UNIT, "MainPID") == before
    assert url == (machine.root / "etc/dip/broker.env").read_text().strip()[len("BROKER_URL=") :]


def test_only_root_may_read_the_password(machine):
    assert (machine.root / "etc/dip/broker.env").stat().st_mode & 0o777 == 0o600


def test_what_was_confirmed_outlives_a_kill_and_a_boot(url, trusting, machine):
    connection = connected(url)
    channel = connection.channel()
    channel.confirm_delivery()
    durable = pika.BasicProperties(delivery_mode=2)
    channel.basic_publish("", resources.DEAD_LETTERS.name, b"kept", durable, mandatory=True)
    connection.close()
    # RabbitMQ records a second later which files belong to a queue; see infra/local/broker.py.
    time.sleep(5)
    began = time.monotonic()
    machine.do("systemctl", "kill", "--signal=KILL", UNIT)
    connection = wait_for_broker(url)
    sys.stdout.write(f"the broker is back {time.monotonic() - began:.1f} s after a kill\n")
    assert waiting(connection) == 1
    connection.close()
    machine.power_off()
    began = time.monotonic()
    machine.boot()
    connection = wait_for_broker(url)
    sys.stdout.write(f"the broker is back {time.monotonic() - began:.1f} s after power on\n")
    assert waiting(connection) == 1
    connection.close()


def waiting(connection, seconds=60):
    """Return the number of dead letters, once the queue has a leader again."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = connection.channel().queue_declare(resources.DEAD_LETTERS.name, passive=True)
            return found.method.message_count
        except pika.exceptions.AMQPError:
            assert time.monotonic() < until
            time.sleep(0.5)
