"""The consumer on a real RabbitMQ."""

import contextlib
import select
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pika
import pytest
from chalicelib import queue

from cluster_worker.errors import Broken
from cluster_worker.node.consumer import (
    CONNECTION_ERRORS,
    REFUSED_ERRORS,
    Address,
    Consumer,
    Publisher,
    Verdict,
)
from config.contract import resources
from config.contract.job import Message
from infra.local.broker import server

pytestmark = pytest.mark.slow


@contextmanager
def connected(broker):
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        yield connection.channel()


@pytest.fixture(autouse=True)
def _empty_queues(broker):
    broker.declare_queues()
    with connected(broker) as channel:
        for queue in resources.QUEUES:
            channel.queue_purge(queue.name)


@pytest.fixture
def channel(broker):
    with connected(broker) as channel:
        yield channel


def publish(channel, *bodies, lane=resources.JOBS):
    for body in bodies:
        durable = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", lane.name, body, durable)


def waiting(channel, queue):
    return channel.queue_declare(queue.name, passive=True).method.message_count


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def consuming(
    broker,
    work,
    slots=2,
    drain_seconds=10.0,
    give_up=lambda: None,
    lanes=(resources.JOBS,),
    address=None,
):
    address = address or Address(broker.url)
    consumer = Consumer(address, {lane.name: slots for lane in lanes}, work)
    thread = threading.Thread(target=consumer.run, args=(drain_seconds, give_up))
    thread.start()
    try:
        yield consumer
    finally:
        consumer.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_a_done_message_is_gone_and_a_dead_one_lies_in_the_dead_letters(broker, channel):
    verdicts = {"good": Verdict.DONE, "bad": Verdict.DEAD}
    seen = []

    def work(message):
        seen.append(message.job)
        return verdicts[message.job]

    publish(channel, *(Message("b", job, 1).to_bytes() for job in verdicts))
    with consuming(broker, work):
        wait_for(lambda: waiting(channel, resources.DEAD_LETTERS) == 1)
    assert sorted(seen) == ["bad", "good"]
    assert waiting(channel, resources.JOBS) == 0


@pytest.mark.parametrize("first", [Verdict.HAND_BACK, Verdict.FAULT])
def test_a_message_that_is_handed_back_or_faulted_comes_again(broker, channel, first):
    seen = []

    def work(message):
        seen.append(message)
        return first if len(seen) == 1 else Verdict.DONE

    publish(channel, Message("b", "j", 1).to_bytes())
    with consuming(broker, work):
        wait_for(lambda: len(seen) == 2)
    assert waiting(channel, resources.JOBS) == 0


def test_copies_of_a_message_in_hand_are_settled_and_leave_the_slots_to_others(broker, channel):
    first, second = (Message("b", job, 1) for job in ("0", "1"))
    begun, may_end = [], threading.Event()

    def work(message):
        begun.append(message)
        if message == first:
            may_end.wait(30)
        return Verdict.DONE

    with consuming(broker, work, slots=2):
        publish(channel, *[first.to_bytes()] * 30, second.to_bytes())
        wait_for(lambda: second in begun)
        may_end.set()
    assert begun.count(first) == begun.count(second) == 1
    assert waiting(channel, resources.JOBS) == 0


class Cutting:
    """Forwards connections to a broker, and cuts each one once a message has gone through it.

    The broker has the message then, and its sender has no confirm.
    """

    def __init__(self, url, content):
        self.target, self.content = urlsplit(url), content
        self.listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = url.replace(self.target.netloc.rpartition("@")[2], address)
        self.thread = threading.Thread(target=self.accept)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(30)
        self.listener.close()

    def accept(self):
        """Accept one connection after the other, as a publisher opens them."""
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection((self.target.hostname, self.target.port))
                with near, far:
                    self.forward(near, far)

    def forward(self, near, far):
        seen = b""
        while self.content not in seen:
            (one, *_), _, _ = select.select([near, far], [], [])
            if not (content := one.recv(1 << 16)):
                return
            (far if one is near else near).sendall(content)
            seen = seen[-len(self.content) :] + content if one is near else seen
        near.shutdown(socket.SHUT_RDWR)
        # What comes now is the confirm: the broker has the message.
        far.settimeout(5)
        far.recv(1 << 16)


def test_copies_that_cut_connections_have_made_take_no_slot_of_any_lane(broker, channel):
    lanes = (resources.JOBS, resources.BULK)
    first, second = (Message("b", job, 1) for job in ("0", "1"))
    begun, may_end = Counter(), threading.Event()

    def work(message):
        begun[message] += 1
        if message == first:
            may_end.wait(60)
        return Verdict.DONE

    for lane in lanes:
        with Cutting(broker.url, first.to_bytes()) as cutting:
            for _ in range(15):
                # It cannot know that the broker has the message: the sweep publishes it again.
                with (
                    contextlib.closing(queue.Publisher(cutting.url, 10.0)) as publisher,
                    pytest.raises(queue.BrokerError),
                ):
                    publisher.publish(first, lane)
        wait_for(lambda lane=lane: waiting(channel, lane) >= 15)
        publish(channel, second.to_bytes(), lane=lane)
    with consuming(broker, work, lanes=lanes):
        wait_for(lambda: begun[second] == len(lanes))
        assert begun[first] == 1
        may_end.set()
    assert [waiting(channel, lane) for lane in lanes] == [0, 0]


def test_what_is_not_due_when_a_publisher_ends_is_published_before(broker, channel):
    publisher = Publisher(Address(broker.url))
    message = Message("b", "j", 2)
    publisher.request(lambda publish: publish(message, resources.JOBS), time.monotonic() + 1000)
    thread = threading.Thread(target=publisher.run)
    thread.start()
    wait_for(lambda: publisher.later)
    assert waiting(channel, resources.JOBS) == 0
    publisher.stopping.set()
    thread.join(30)
    assert waiting(channel, resources.JOBS) == 1


def test_work_that_raises_is_a_fault_and_the_consumer_goes_on(broker, channel):
    seen = []

    def work(message):
        seen.append(message)
        if len(seen) == 1:
            raise RuntimeError("a defect")
        return Verdict.DONE

    publish(channel, Message("b", "j", 1).to_bytes())
    with consuming(broker, work):
        wait_for(lambda: len(seen) == 2)
    assert waiting(channel, resources.JOBS) == 0


def test_a_strange_message_goes_to_the_dead_letters(broker, channel):
    publish(channel, b"no job")
    with consuming(broker, lambda _: Verdict.DONE):
        wait_for(lambda: waiting(channel, resources.DEAD_LETTERS) == 1)


def test_a_drain_finishes_what_is_in_hand_and_leaves_the_rest(broker, channel):
    begun, may_end = threading.Event(), threading.Event()
    finished = []

    def work(message):
        begun.set()
        may_end.wait(30)
        finished.append(message.job)
        return Verdict.DONE

    publish(channel, *(Message("b", str(i), 1).to_bytes() for i in range(3)))
    with consuming(broker, work, slots=1) as consumer:
        assert begun.wait(30)
        consumer.stop()
        may_end.set()
    assert finished == ["0"]
    wait_for(lambda: waiting(channel, resources.JOBS) == 2)


def test_a_drain_whose_time_is_over_gives_the_job_up(broker, channel):
    begun, gave_up = threading.Event(), threading.Event()

    def work(_):
        begun.set()
        return Verdict.HAND_BACK if gave_up.wait(30) else Verdict.DONE

    publish(channel, Message("b", "j", 1).to_bytes())
    with consuming(broker, work, drain_seconds=0.0, give_up=gave_up.set) as consumer:
        assert begun.wait(30)
        consumer.stop()
    wait_for(lambda: waiting(channel, resources.JOBS) == 1)


def test_a_broker_that_comes_back_finds_the_consumer_and_its_job_is_not_begun_twice(broker):
    may_end = threading.Event()
    seen = []

    def work(message):
        seen.append(message.job)
        if message.job == "long":
            may_end.wait(60)
        return Verdict.DONE

    with consuming(broker, work, slots=2):
        with connected(broker) as channel:
            channel.confirm_delivery()
            publish(channel, Message("b", "long", 1).to_bytes())
        wait_for(lambda: seen == ["long"])
        broker.restart()
        with connected(broker) as channel:
            publish(channel, Message("b", "next", 1).to_bytes())
            wait_for(lambda: "next" in seen, 60)
            may_end.set()
            wait_for(lambda: waiting(channel, resources.JOBS) == 0)
    assert seen == ["long", "next"]


def test_a_message_finished_while_its_connection_dies_is_not_kept_in_hand(
    broker, channel, monkeypatch
):
    # A connection may end before it makes a call that was handed to it; then the call is lost.
    connection = pika.BlockingConnection
    monkeypatch.setattr(connection, "add_callback_threadsafe", lambda *_: None)
    publish(channel, Message("b", "j", 1).to_bytes())
    with consuming(broker, lambda _: Verdict.DONE) as consumer:
        wait_for(lambda: consumer.connection)
        wait_for(lambda: not consumer.in_hand and not waiting(channel, resources.JOBS))
        time.sleep(1)
        assert not consumer.in_hand


def test_messages_are_settled_as_soon_as_their_work_is_done(broker, channel):
    publish(channel, *(Message("b", str(i), 1).to_bytes() for i in range(20)))
    seen = []

    def work(message):
        seen.append(message.job)
        return Verdict.DONE

    with consuming(broker, work, slots=1):
        wait_for(lambda: seen)
        began = time.monotonic()
        wait_for(lambda: len(seen) == 20)
        assert time.monotonic() - began < 5


@pytest.fixture
def change_password(broker):
    """Change the password of the broker's user, and close all connections; returns the function."""
    url = urlsplit(broker.url)

    def change(password):
        code = (
            f'rabbit_auth_backend_internal:change_password(<<"dip">>, <<"{password}">>, <<"t">>), '
            '[rabbit_networking:close_connection(Pid, "rotated") '
            "|| Pid <- rabbit_networking:connections()]."
        )
        command = [Path(server()).with_name("rabbitmqctl"), "eval", code]
        environment = broker.process.environment
        subprocess.run(command, env=environment, check=True, timeout=60, capture_output=True)
        return url._replace(netloc=f"dip:{password}@{url.hostname}:{url.port}").geturl()

    yield change
    change(url.password)


def test_a_password_that_changes_while_messages_are_consumed_is_read_again(broker, change_password):
    seen, now = [], [broker.url]

    def work(message):
        seen.append(message.job)
        return Verdict.DONE

    address = Address(broker.url, lambda: now[-1])
    with connected(broker) as channel:
        publish(channel, Message("b", "before", 1).to_bytes())
    with consuming(broker, work, address=address) as consumer:
        wait_for(lambda: seen == ["before"])
        now.append(change_password("another-password"))
        wait_for(consumer.is_idle)
        with pika.BlockingConnection(pika.URLParameters(now[-1])) as connection:
            publish(connection.channel(), Message("b", "after", 1).to_bytes())
        wait_for(lambda: seen == ["before", "after"])
    assert address.url == now[-1]


def test_a_password_that_is_wrong_and_stays_so_is_an_error_of_the_connection(broker, capfd):
    def never():
        raise Broken("Secrets Manager does not answer")

    address = Address(broker.url.replace("dip:", "dip:wrong"), never)
    with pytest.raises(REFUSED_ERRORS):
        address.connect()
    assert "Secrets Manager does not answer" in capfd.readouterr().err
    assert issubclass(REFUSED_ERRORS[0], CONNECTION_ERRORS)


def test_a_broker_that_accepts_but_does_not_greet_is_an_error_of_the_connection():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = Address(f"amqp://a:b@127.0.0.1:{port}/?stack_timeout=0.5&connection_attempts=1")
        with pytest.raises(CONNECTION_ERRORS):
            address.connect()
