"""Take messages from RabbitMQ, hand each to a worker thread, and settle it when that is done.

pika's connection lives on one thread and serves its heartbeats there, so no work is done on it;
worker threads reach it only through `add_callback_threadsafe`.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import pika
import pika.exceptions

from cluster_worker.log import event
from config.contract import resources
from config.contract.job import Job, Message

Publish = Callable[[Message, resources.Queue], None]

# Errors that end a connection; some of those made while connecting are no AMQPError.
CONNECTION_ERRORS = (pika.exceptions.AMQPError, OSError)
BACKOFF_SECONDS_MAX = 30.0
# A connection that lived so long starts its backoff anew.
STEADY_SECONDS = 60.0
TICK_SECONDS = 0.5


class Verdict(Enum):
    """What becomes of a message."""

    DONE = "acknowledged"
    HAND_BACK = "handed back"  # the job's attempts and faults are not touched
    FAULT = "faulted"  # queued again, and counted by the broker as a delivery
    DEAD = "dead"  # to the dead letters, from where an operator can send it back


def serve_again(
    who: str,
    serve: Callable[[], None],
    stopped: Callable[[], bool],
    sleep: Callable[[float], object],
) -> None:
    """Serve until stopped; a lost connection is made again, with more and more patience.

    Parameters
    ----------
    who : str
        For the log.
    serve : callable
        Serves one connection; raises one of `CONNECTION_ERRORS` when that is lost.
    stopped : callable
        Whether it is over.
    sleep : callable
        Waits so many seconds, but not past a stop.
    """
    failures = 0
    while not stopped():
        began = time.monotonic()
        try:
            serve()
        except CONNECTION_ERRORS as error:
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            longest = min(2.0 ** (failures - 1), BACKOFF_SECONDS_MAX)
            # Not all at once: chance spreads the nodes, and keeps no secret.
            seconds = longest * random.uniform(0.5, 1)  # noqa: S311
            event("broker lost", who=who, error=repr(error), again_in=round(seconds, 1))
            sleep(seconds)


@dataclass
class Delivery:
    """A message in hand: the channel and tag that it must be settled with."""

    channel: Any
    tag: int


class Consumer:
    """The worker's side of the queue.

    Parameters
    ----------
    url : str
        Of the broker.
    slots : mapping
        Messages worked on at a time, for each queue.
    work : callable
        From a message to a verdict; called on worker threads.
    """

    def __init__(
        self, url: str, slots: Mapping[str, int], work: Callable[[Message], Verdict]
    ) -> None:
        self.parameters = pika.URLParameters(url)
        self.slots = slots
        self.work = work
        self.pool = ThreadPoolExecutor(sum(slots.values()), thread_name_prefix="job")
        # Kept over reconnects: a message that comes again while it is in hand gets a new tag only.
        self.in_hand: dict[Message, Delivery] = {}
        self.futures: dict[Message, Future[Verdict]] = {}
        self.stopping = False
        # Time for the jobs in hand, where whoever stopped this knows it better than `run`.
        self.seconds_left: float | None = None
        # When the connection's thread last came round, on the monotonic clock.
        self.came_round = time.monotonic()
        self.connection: Any = None
        self.on_ready: Callable[[], None] = lambda: None
        # Told when a drain begins, and when its time is over on the monotonic clock.
        self.on_drain: Callable[[float], None] = lambda until: None

    def stop(self, seconds: float | None = None) -> None:
        """Begin to drain, within so many seconds if given; safe in a signal handler."""
        if seconds is not None:
            self.seconds_left = seconds
        self.stopping = True

    def run(self, drain_seconds: float, give_up: Callable[[], None]) -> None:
        """Consume until stopped, then drain.

        Parameters
        ----------
        drain_seconds : float
            Time for the jobs in hand.
        give_up : callable
            Called once that time is over; makes the jobs still in hand return soon.
        """
        consume = partial(self.consume, drain_seconds, give_up)
        serve_again("jobs", consume, lambda: self.stopping, self.sleep)
        give_up()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def sleep(self, seconds: float) -> None:
        """Wait, but not past a stop."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            self.came_round = time.monotonic()
            time.sleep(0.1)

    def consume(self, drain_seconds: float, give_up: Callable[[], None]) -> None:
        """Serve one connection until it ends or the drain is over."""
        self.connection = pika.BlockingConnection(self.parameters)
        try:
            channel = self.connection.channel()
            for queue in resources.QUEUES:
                channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            tags = []
            for name, slots in self.slots.items():
                # Holds for the consumers that begin after it.
                channel.basic_qos(prefetch_count=slots)
                tags.append(channel.basic_consume(name, self.receive))
            self.on_ready()
            while not self.stopping:
                self.serve()
            for tag in tags:
                channel.basic_cancel(tag)
            self.drain(drain_seconds, give_up)
        finally:
            connection, self.connection = self.connection, None
            if connection.is_open:
                connection.close()

    def drain(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Finish what is in hand, as long as time is left; the rest is handed back."""
        seconds = seconds if self.seconds_left is None else min(seconds, self.seconds_left)
        event("drain", in_hand=len(self.in_hand), seconds=seconds)
        for message, future in list(self.futures.items()):
            if future.cancel():
                self.settle(message, Verdict.HAND_BACK)
        until = time.monotonic() + seconds
        self.on_drain(until)
        while self.in_hand:
            if time.monotonic() > until:
                give_up()
                until = float("inf")
            self.serve()

    def serve(self) -> None:
        """Hear the broker for a while, and settle what is finished.

        What is finished is looked up here, not sent here: a call sent to a connection that ends
        before it is served would be lost, and its message would stay in hand for ever.
        """
        self.came_round = time.monotonic()
        self.connection.process_data_events(TICK_SECONDS)
        for message, future in list(self.futures.items()):
            if future.done():
                self.settle(message, verdict_of(message, future))

    def receive(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:  # noqa: ARG002
        """Take a message in; called by pika on its thread."""
        try:
            message = Message.from_bytes(body)
        except ValueError as error:
            event("message refused", error=str(error))
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        if self.stopping:
            channel.basic_nack(method.delivery_tag, requeue=True)
            return
        known = message in self.in_hand
        self.in_hand[message] = Delivery(channel, method.delivery_tag)
        if not known:
            future = self.pool.submit(self.work, message)
            self.futures[message] = future
            future.add_done_callback(lambda _: self.wake())

    def wake(self) -> None:
        """Have the connection's thread look at once; called on a job's thread."""
        connection = self.connection
        if connection is not None:
            # Without a connection nobody waits on one; the next one's thread will look.
            with contextlib.suppress(pika.exceptions.ConnectionWrongStateError):
                connection.add_callback_threadsafe(lambda: None)

    def settle(self, message: Message, verdict: Verdict) -> None:
        """Let go of a message and tell the broker; called on the connection's thread."""
        del self.futures[message]
        delivery = self.in_hand.pop(message)
        if not delivery.channel.is_open:
            # The broker will deliver the message again, to whoever is there, and its row says
            # whether it is final.
            return
        if verdict is Verdict.DONE:
            delivery.channel.basic_ack(delivery.tag)
        elif verdict is Verdict.HAND_BACK:
            delivery.channel.basic_nack(delivery.tag, requeue=True)
        else:
            delivery.channel.basic_reject(delivery.tag, requeue=verdict is Verdict.FAULT)


def verdict_of(message: Message, future: "Future[Verdict]") -> Verdict:
    """Read what a finished job says of its message; one that raised is a fault."""
    error = future.exception()
    if error is None:
        return future.result()
    event("job crashed", job=message.job, error=repr(error))
    return Verdict.FAULT


class Sender:
    """Publishes what the work in hand asks for, on a thread and a connection of its own.

    Parameters
    ----------
    url : str
        Of the broker.
    work : callable
        From a row that was put into `asked`, and a function that publishes a message to a queue
        and returns when the broker has it; must not raise but what that function does.
    """

    def __init__(self, url: str, work: Callable[[Job, Publish], None]) -> None:
        self.parameters = pika.URLParameters(url)
        self.work = work
        self.asked: SimpleQueue[Job] = SimpleQueue()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Send until stopped; a lost connection is made again."""
        serve_again("releases", self.serve, self.stopping.is_set, self.stopping.wait)

    def serve(self) -> None:
        """Serve one connection."""
        with contextlib.closing(pika.BlockingConnection(self.parameters)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            durable = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)

            def publish(message: Message, queue: resources.Queue) -> None:
                channel.basic_publish("", queue.name, message.to_bytes(), durable, mandatory=True)

            while not self.stopping.is_set():
                connection.process_data_events(0)
                with contextlib.suppress(Empty):
                    self.work(self.asked.get(timeout=TICK_SECONDS), publish)


class Answerer:
    """Answers questions one after the other, on a thread and a connection of its own.

    For what takes a fraction of a second and must not wait behind jobs.

    Parameters
    ----------
    url : str
        Of the broker.
    queue : Queue
        Where questions come.
    work : callable
        From a question's body to its answer's; must not raise.
    """

    def __init__(self, url: str, queue: resources.Queue, work: Callable[[bytes], bytes]) -> None:
        self.parameters = pika.URLParameters(url)
        self.queue = queue
        self.work = work
        self.stopping = threading.Event()

    def run(self) -> None:
        """Answer until stopped; a lost connection is made again."""
        serve_again("previews", self.serve, self.stopping.is_set, self.stopping.wait)

    def serve(self) -> None:
        """Serve one connection."""
        with contextlib.closing(pika.BlockingConnection(self.parameters)) as connection:
            channel = connection.channel()
            channel.queue_declare(self.queue.name, durable=True, arguments=self.queue.arguments)
            channel.basic_qos(prefetch_count=1)
            for method, properties, body in channel.consume(
                self.queue.name, inactivity_timeout=TICK_SECONDS
            ):
                if self.stopping.is_set():
                    return
                if method is None:
                    continue
                answer = self.work(body)
                to, key = properties.reply_to, properties.correlation_id
                # Nobody waits any more where the answer's queue is gone; it is dropped then.
                channel.basic_publish("", to, answer, pika.BasicProperties(correlation_id=key))
                channel.basic_ack(method.delivery_tag)
