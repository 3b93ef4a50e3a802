"""The private RabbitMQ."""

import subprocess
import sys

import pika
import pika.exceptions
import pytest
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from config.contract import resources
from config.contract.settings import TOP
from infra.local import broker as room
from infra.local.broker import Broker, connect
from infra.local.guard import list_descendants
from infra.local.ports import HOST, answers
from infra.local.process import LocalError
from tests.infra.processes import (
    THIS_MACHINE,
    addresses_listened_on,
    is_alive,
    name_of,
    sockets_of,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def queue(broker):
    broker.declare_queues()
    connection = connect(broker.url)
    connection.channel().queue_purge(resources.JOBS.name)
    connection.close()
    return resources.JOBS.name


def test_confirmed_messages_outlive_a_kill_of_the_broker(broker, queue):
    publishing = connect(broker.url)
    channel = publishing.channel()
    channel.confirm_delivery()
    for number in range(5):
        channel.basic_publish(
            "", queue, str(number).encode(), pika.BasicProperties(delivery_mode=2)
        )
    broker.restart()
    with pytest.raises(pika.exceptions.AMQPError):
        publishing.close()
    connection = connect(broker.url)
    channel = connection.channel()
    kept = [channel.basic_get(queue, auto_ack=True)[2] for _ in range(5)]
    connection.close()
    assert kept == [b"0", b"1", b"2", b"3", b"4"]


def test_queues_can_be_declared_again(broker):
    broker.declare_queues()
    broker.declare_queues()


def test_a_stranger_is_refused(broker):
    for stranger in ("guest:guest", "dip:wrong"):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            connect(f"amqp://{stranger}@{HOST}:{broker.port}/")


def test_nothing_of_the_broker_listens_beyond_this_machine(broker):
    pids = {broker.running.guard.pid, *list_descendants(broker.running.guard.pid)}
    listening = addresses_listened_on(set().union(*map(sockets_of, pids)))
    assert listening
    assert listening <= THIS_MACHINE


def test_two_brokers_run_side_by_side_and_leave_nothing(broker, tmp_path):
    with Broker(tmp_path) as second:
        pids = [second.running.guard.pid, *list_descendants(second.running.guard.pid)]
        assert any(name_of(pid) == "epmd" for pid in pids)
        assert second.is_ready()
        assert broker.is_ready()
    assert not any(is_alive(pid) for pid in pids)
    assert not answers(second.port)
    assert broker.is_ready()


def test_a_machine_without_rabbitmq_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "SERVERS", (tmp_path / "rabbitmq-server",))
    with pytest.raises(LocalError, match="apt-get install rabbitmq-server"):
        Broker(tmp_path)


def test_a_broker_that_does_not_greet_yet_is_not_ready(broker, monkeypatch):
    def slow(_):
        raise AMQPConnectorStackTimeout("Timeout during AMQP handshake")

    monkeypatch.setattr(room, "connect", slow)
    assert not broker.is_ready()


def test_the_broker_starts_where_localhost_has_no_address(tmp_path):
    """As in a fresh Debian without /etc/hosts, and here without a name server that knows it."""
    program = (
        "from pathlib import Path; from infra.local.broker import Broker; import sys\n"
        "with Broker(Path(sys.argv[1])) as broker: print(broker.is_ready())"
    )
    hidden = "for each in hosts resolv.conf; do mount --bind /dev/null /etc/$each; done"
    entered = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
    found = subprocess.run(
        [*entered, f'{hidden}; exec "$0" "$@"', sys.executable, "-c", program, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=TOP,
        check=False,
    )
    assert found.stdout == "True\n", found.stderr
