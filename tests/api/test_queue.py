import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from chalicelib import queue
from chalicelib.queue import BrokerError, Publisher

from config.contract import resources
from config.contract.job import Message

MESSAGE = Message("0" * 32, "1" * 16, 1)
SECONDS = 1.0


@pytest.fixture
def publisher(broker, queues):
    made = Publisher(broker.url, SECONDS)
    yield made
    made.close()


@contextmanager
def must_end_in_time():
    """The block fails with a broker's error, and not long after the deadline."""
    started = time.monotonic()
    with pytest.raises(BrokerError) as caught:
        yield caught
    assert time.monotonic() - started < SECONDS + 0.5


@pytest.fixture
def silent_peer():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def freeze(broker):
    """Freeze the broker in the midst of its work."""

    def stop():
        os.kill(broker.running.pid, signal.SIGSTOP)

    yield stop
    os.kill(broker.running.pid, signal.SIGCONT)


def test_a_message_is_persistent_and_tells_no_batch_id_but_in_its_body(publisher, queues):
    publisher.publish(MESSAGE)
    _, properties, body = queues.channel.basic_get(resources.JOBS.name, auto_ack=True)
    assert Message.from_bytes(body) == MESSAGE
    assert properties.delivery_mode == 2
    assert properties.message_id == f"{resources.public_name('0' * 32)}-{'1' * 16}-1"


def test_one_connection_is_kept_for_all_messages(publisher, queues):
    publisher.publish(MESSAGE)
    link = publisher._link
    for _ in range(20):
        publisher.publish(MESSAGE)
    assert publisher._link is link
    assert len(queues.take()) == 21


def test_threads_share_the_connection_without_harm(publisher, queues):
    def publish():
        for _ in range(25):
            publisher.publish(MESSAGE)

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(queues.take()) == 200


def test_a_stale_connection_is_replaced_within_the_same_call(publisher, queues):
    publisher.publish(MESSAGE)
    # As after a freeze of Lambda: the stream is gone and pika does not know it yet.
    transport = publisher._link.connection._impl._transport
    transport._sock.shutdown(socket.SHUT_RDWR)
    publisher.publish(MESSAGE)
    assert len(queues.take()) == 2


def test_a_connection_that_was_idle_for_long_is_not_trusted(publisher, queues):
    publisher.publish(MESSAGE)
    link = publisher._link
    link.used -= queue.IDLE_SECONDS + 1
    publisher.publish(MESSAGE)
    assert publisher._link is not link
    assert link.connection.is_closed


def test_a_queue_that_was_deleted_is_made_again(publisher, queues):
    publisher.publish(MESSAGE)
    queues.channel.queue_delete(resources.JOBS.name)
    publisher.publish(MESSAGE)
    assert len(queues.take()) == 1


def test_a_refused_connection_is_told_at_once():
    started = time.monotonic()
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1 refused"):
        Publisher("amqp://dip:secret@127.0.0.1:1/", 10).publish(MESSAGE)
    assert time.monotonic() - started < 2


def test_a_password_is_never_told(broker):
    with pytest.raises(BrokerError) as caught:
        Publisher(broker.url.replace("dip:", "dip:wrong-secret"), 10).publish(MESSAGE)
    assert "secret" not in str(caught.value)


def test_a_peer_that_is_silent_while_connecting_ends_at_the_deadline(silent_peer):
    with must_end_in_time() as caught:
        Publisher(f"amqp://dip:x@127.0.0.1:{silent_peer}/", SECONDS).publish(MESSAGE)
    assert str(caught.value).endswith(f":{silent_peer} did not answer within 1 s")


def test_a_broker_that_falls_silent_ends_at_the_deadline(publisher, freeze):
    publisher.publish(MESSAGE)
    freeze()
    with must_end_in_time():
        publisher.publish(MESSAGE)


def test_a_silent_broker_is_not_waited_for_by_every_caller(publisher, freeze):
    publisher.publish(MESSAGE)
    freeze()
    started = time.monotonic()
    failed = []

    def publish():
        try:
            publisher.publish(MESSAGE)
        except BrokerError as error:
            failed.append(error)

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(failed) == 8
    assert time.monotonic() - started < 2 * SECONDS + 0.5


def test_a_broker_whose_memory_ran_out_ends_at_the_deadline(publisher, broker, queues):
    publisher.publish(MESSAGE)
    set_memory(broker, "0.0000001")
    try:
        with must_end_in_time():
            publisher.publish(MESSAGE)
    finally:
        set_memory(broker, "0.4")


def set_memory(broker, share):
    environment = broker.process.environment
    command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", environment["RABBITMQ_NODENAME"]]
    subprocess.run(
        [*command, "set_vm_memory_high_watermark", share],
        env={**environment, "RABBITMQ_SERVER_START_ARGS": ""},
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_what_waits_is_counted(publisher):
    assert publisher.waiting() == 0
    publisher.publish(MESSAGE)
    assert publisher.waiting() == 1


def test_dead_letters_are_looked_at_and_left(publisher, queues):
    letters = [Message("0" * 32, f"{i:016x}", 1) for i in range(5)]
    for letter in letters:
        queues.put(letter)
    for _ in range(30):
        assert publisher.dead_letters() == letters
    assert queues.take(resources.DEAD_LETTERS) == letters


def test_a_long_queue_of_dead_letters_is_seen_over_several_looks(publisher, queues):
    letters = [Message("0" * 32, f"{i:016x}", 1) for i in range(5)]
    for letter in letters:
        queues.put(letter)
    assert publisher.dead_letters(3) == letters[:3]
    assert publisher.dead_letters(3) == [*letters[3:], letters[0]]


def test_a_dead_letter_that_is_no_message_is_left_for_the_operator(publisher, queues):
    queues.put(b"what is this")
    assert publisher.dead_letters() == []
    _, _, body = queues.channel.basic_get(resources.DEAD_LETTERS.name, auto_ack=True)
    assert body == b"what is this"
