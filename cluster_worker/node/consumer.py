"""Take messages from RabbitMQ, give each one to a worker thread, and settle it afterwards.

A connection of pika belongs to one thread, which also serves its heartbeats. So no job runs on that
thread, and worker threads use the connection only through `add_callback_threadsafe`.
"""

import contextlib
import heapq
import itertools
import math
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
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from cluster_worker.errors import Broken
from cluster_worker.log import event
from config.contract import resources
from config.contract.job import Message

# Publishes a message to a queue; returns when the broker has it.
Publish = Callable[[Message, resources.Queue], None]
# Work that a publisher does with such a function.
Work = Callable[[Publish], None]

# Errors that end a connection. An `AMQPConnectorException`, which is no `AMQPError`, is raised if a
# busy broker takes too long to greet.
CONNECTION_ERRORS = (pika.exceptions.AMQPError, AMQPConnectorException, OSError)
# Errors of a broker that does not take the password.
REFUSED_ERRORS = (
    pika.exceptions.ProbableAuthenticationError,
    pika.exceptions.ProbableAccessDeniedError,
)
BACKOFF_SECONDS_MAX = 30.0
# After a connection that lasted this long, the backoff starts at its shortest again.
STEADY_SECONDS = 60.0
TICK_SECONDS = 0.5
# Time between two looks at how many messages wait.
DEPTH_SECONDS = 5.0


class Verdict(Enum):
    """How a message is settled."""

    DONE = "acknowledged"
    HAND_BACK = "handed back"  # the job's attempts and faults are not changed
    FAULT = "faulted"  # queued again; the broker counts a delivery
    DEAD = "dead"  # to the dead letters, from which an operator can send it back


class Address:
    """The broker's address, which is read again when the broker refuses its password.

    So a password can change while nodes run: open connections stay, and new ones use the new one.

    Parameters
    ----------
    url : str
        With user and password.
    again : callable
        Reads the address again; raises Broken or ValueError if it cannot.
    """

    def __init__(self, url: str, again: Callable[[], str] | None = None) -> None:
        pika.URLParameters(url)  # one that is none ends the node at its start
        self.url = url
        self.again = again or (lambda: url)
        self.lock = threading.Lock()

    def connect(self) -> pika.BlockingConnection:
        """Open a connection; raises one of `CONNECTION_ERRORS`.

        If the broker refuses the password, the address is read again, and another one is tried.
        """
        used = self.url
        try:
            return pika.BlockingConnection(pika.URLParameters(used))
        except REFUSED_ERRORS:
            if not self.renew(used):
                raise
        return pika.BlockingConnection(pika.URLParameters(self.url))

    def renew(self, used: str) -> bool:
        """Read the address again unless another thread has; return whether it changed."""
        with self.lock:
            if self.url == used:
                try:
                    self.url = self.again()
                except (Broken, ValueError) as error:
                    event("broker's password not read", error=str(error))
            return self.url != used


def serve_with_reconnects(
    who: str,
    serve: Callable[[], None],
    stopped: Callable[[], bool],
    sleep: Callable[[float], object],
) -> None:
    """Serve connections until stopped; wait longer after each connection that failed.

    Parameters
    ----------
    who : str
        For the log.
    serve : callable
        Opens and serves one connection; raises one of `CONNECTION_ERRORS` when it is lost.
    stopped : callable
        Returns whether to end.
    sleep : callable
        Waits a number of seconds; returns early when stopped.
    """
    failures = 0
    while not stopped():
        began = time.monotonic()
        try:
            serve()
        except CONNECTION_ERRORS as error:
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            longest = min(2.0 ** (failures - 1), BACKOFF_SECONDS_MAX)
            # Random, so that not all nodes reconnect at the same time; not for secrets.
            seconds = longest * random.uniform(0.5, 1)  # noqa: S311
            event("broker lost", who=who, error=repr(error), again_in=round(seconds, 1))
            sleep(seconds)


@dataclass
class Delivery:
    """The channel and delivery tag that a message in hand must be settled with."""

    channel: Any
    tag: int


class Consumer:
    """Consumes job messages from the broker and runs them on worker threads.

    Parameters
    ----------
    address : Address
        Of the broker.
    slots : mapping
        Number of messages in hand at a time, by name of the queue.
    work : callable
        From a message to a verdict; called on worker threads.

    Attributes
    ----------
    alive_at : float
        When the connection's thread last ran its loop, on the monotonic clock.
    moved_at : float
        When a message was last taken or settled, or nothing was in hand, on that clock.
    depths : dict of str to int
        How many messages waited in each queue when it was last looked at, which is only done if
        `watches_depths`.
    on_ready : callable
        Called whenever consuming begins, on the connection's thread.
    on_drain : callable
        Called when a drain begins, with the time on the monotonic clock at which it must end.
    """

    def __init__(
        self, address: Address, slots: Mapping[str, int], work: Callable[[Message], Verdict]
    ) -> None:
        self.address = address
        self.slots = slots
        self.work = work
        self.pool = ThreadPoolExecutor(sum(slots.values()), thread_name_prefix="job")
        # Kept over reconnects: if a message in hand is delivered again, only its tag is replaced.
        self.in_hand: dict[Message, Delivery] = {}
        self.futures: dict[Message, Future[Verdict]] = {}
        self.stopping = False
        # Time for the drain that `stop` was given, if any; it may shorten the time given to `run`.
        self.seconds_left: float | None = None
        self.alive_at = self.moved_at = time.monotonic()
        self.connection: Any = None
        self.watches_depths = False
        self.depths: dict[str, int] = {}
        self.depths_at = -math.inf
        self.on_ready: Callable[[], None] = lambda: None
        self.on_drain: Callable[[float], None] = lambda until: None

    def is_idle(self) -> bool:
        """Return whether nothing is in hand, and the next message would be taken."""
        return not self.in_hand and not self.stopping and self.connection is not None

    def stop(self, seconds: float | None = None) -> None:
        """Begin to drain; safe in a signal handler.

        Parameters
        ----------
        seconds : float, optional
            Time for the jobs in hand, if it is shorter than that given to `run`.
        """
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
            Called when that time is over; makes the jobs still in hand return soon.
        """
        consume = partial(self.consume, drain_seconds, give_up)
        serve_with_reconnects("jobs", consume, lambda: self.stopping, self.sleep)
        give_up()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def sleep(self, seconds: float) -> None:
        """Wait; return early when stopped."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            self.alive_at = time.monotonic()
            time.sleep(0.1)

    def consume(self, drain_seconds: float, give_up: Callable[[], None]) -> None:
        """Open a connection, consume until stopped, then drain.

        Raises
        ------
        AMQPError, OSError
            If the connection is lost.
        """
        self.connection = self.address.connect()
        try:
            channel = self.connection.channel()
            for queue in resources.QUEUES:
                channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            tags = []
            for name, slots in self.slots.items():
                # The prefetch count applies to each consumer that begins after this call.
                channel.basic_qos(prefetch_count=slots)
                tags.append(channel.basic_consume(name, self.receive))
            self.on_ready()
            while not self.stopping:
                self.serve()
                if self.watches_depths:
                    self.look_at_depths(channel)
            for tag in tags:
                channel.basic_cancel(tag)
            self.drain(drain_seconds, give_up)
        finally:
            connection, self.connection = self.connection, None
            if connection.is_open:
                connection.close()

    def drain(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Wait for the jobs in hand while time is left, then have them given up.

        Messages whose job has not begun are handed back at once.
        """
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
        """Process events of the broker for up to `TICK_SECONDS`, and settle finished messages.

        It looks at all futures and needs no callback from a job's thread. If the connection ended
        before such a callback ran, the message would never be settled.
        """
        self.alive_at = time.monotonic()
        if not self.in_hand:
            self.moved_at = self.alive_at
        self.connection.process_data_events(TICK_SECONDS)
        for message, future in list(self.futures.items()):
            if future.done():
                self.settle(message, verdict_of(message, future))

    def look_at_depths(self, channel: Any) -> None:
        """Ask the broker now and then how many messages wait; on the connection's thread."""
        now = time.monotonic()
        if now < self.depths_at + DEPTH_SECONDS:
            return
        self.depths_at = now
        for queue in resources.QUEUES:
            found = channel.queue_declare(queue.name, passive=True)
            self.depths[queue.name] = found.method.message_count

    def receive(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:  # noqa: ARG002
        """Start the job of a message; called by pika on the connection's thread."""
        try:
            message = Message.from_bytes(body)
        except ValueError as error:
            event("message refused", error=str(error))
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        if self.stopping:
            channel.basic_nack(method.delivery_tag, requeue=True)
            return
        former = self.in_hand.get(message)
        if former is not None and former.channel is channel:
            # A copy of a message in hand: it would take a slot for as long as the job runs.
            channel.basic_ack(method.delivery_tag)
            return
        self.in_hand[message] = Delivery(channel, method.delivery_tag)
        self.moved_at = time.monotonic()
        if former is None:
            future = self.pool.submit(self.work, message)
            self.futures[message] = future
            future.add_done_callback(lambda _: self.wake())

    def wake(self) -> None:
        """Wake the connection's thread, so that it settles at once; called on a job's thread."""
        connection = self.connection
        if connection is not None:
            # If the connection is closed, no thread waits on it. `serve` of the next connection
            # settles the message.
            with contextlib.suppress(pika.exceptions.ConnectionWrongStateError):
                connection.add_callback_threadsafe(lambda: None)

    def settle(self, message: Message, verdict: Verdict) -> None:
        """Acknowledge or reject a message; called on the connection's thread."""
        del self.futures[message]
        delivery = self.in_hand.pop(message)
        self.moved_at = time.monotonic()
        if not delivery.channel.is_open:
            # The broker will deliver the message again, to any node, and the job's row states
            # whether the job is final.
            return
        if verdict is Verdict.DONE:
            delivery.channel.basic_ack(delivery.tag)
        elif verdict is Verdict.HAND_BACK:
            delivery.channel.basic_nack(delivery.tag, requeue=True)
        else:
            delivery.channel.basic_reject(delivery.tag, requeue=verdict is Verdict.FAULT)


def verdict_of(message: Message, future: "Future[Verdict]") -> Verdict:
    """Return the verdict of a finished job; a job that raised an error is a fault."""
    error = future.exception()
    if error is None:
        return future.result()
    event("job crashed", job=message.job, error=repr(error))
    return Verdict.FAULT


class Publisher:
    """Publishes messages on a thread and a connection of its own, as other threads request.

    Parameters
    ----------
    address : Address
        Of the broker.

    Attributes
    ----------
    stopping : Event
        Set to end `run`.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.requests: SimpleQueue[tuple[float, Work]] = SimpleQueue()
        # Requests that are not due yet, the next one first.
        self.later: list[tuple[float, int, Work]] = []
        self.numbers = itertools.count()
        self.stopping = threading.Event()

    def request(self, work: Work, at: float) -> None:
        """Request work at a time on the monotonic clock; called on any thread.

        It is called with a function that publishes a message to a queue, and must raise only what
        that function raises. If the connection is lost meanwhile, it is called again with the next.
        """
        self.requests.put((at, work))

    def next_due(self) -> Work | None:
        """Wait up to `TICK_SECONDS` for a request that is due."""
        wait = self.later[0][0] - time.monotonic() if self.later else TICK_SECONDS
        with contextlib.suppress(Empty):
            at, work = self.requests.get(timeout=min(max(wait, 0.0), TICK_SECONDS))
            heapq.heappush(self.later, (at, next(self.numbers), work))
        if self.later and self.later[0][0] <= time.monotonic():
            return heapq.heappop(self.later)[2]
        return None

    def run(self) -> None:
        """Serve until stopped; reconnect when the connection is lost."""
        serve_with_reconnects("releases", self.serve, self.stopping.is_set, self.stopping.wait)

    def serve(self) -> None:
        """Open a connection, and carry out requests until stopped."""
        with contextlib.closing(self.address.connect()) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            durable = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)

            def publish(message: Message, queue: resources.Queue) -> None:
                channel.basic_publish("", queue.name, message.to_bytes(), durable, mandatory=True)

            while not self.stopping.is_set():
                connection.process_data_events(0)
                work = self.next_due()
                if work is not None:
                    self.carry_out(work, publish)
            # What is not due yet is done early: this node cannot do it later.
            while self.later:
                self.carry_out(heapq.heappop(self.later)[2], publish)

    def carry_out(self, work: Work, publish: Publish) -> None:
        """Call requested work; request it again if the connection is lost while it publishes."""
        try:
            work(publish)
        except pika.exceptions.AMQPConnectionError:
            self.request(work, time.monotonic())
            raise


class RpcServer:
    """Answers questions one after the other, on a thread and a connection of its own.

    It is for questions that take a fraction of a second and must not wait behind jobs. Answers go
    to the reply queue that a question names.

    Parameters
    ----------
    address : Address
        Of the broker.
    queue : Queue
        The queue of the questions.
    work : callable
        From the body of a question to the body of its answer; must not raise.

    Attributes
    ----------
    stopping : Event
        Set to end `run`.
    """

    def __init__(
        self, address: Address, queue: resources.Queue, work: Callable[[bytes], bytes]
    ) -> None:
        self.address = address
        self.queue = queue
        self.work = work
        self.stopping = threading.Event()

    def run(self) -> None:
        """Answer until stopped; reconnect when the connection is lost."""
        serve_with_reconnects("previews", self.serve, self.stopping.is_set, self.stopping.wait)

    def serve(self) -> None:
        """Open a connection, and answer questions until stopped."""
        with contextlib.closing(self.address.connect()) as connection:
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
                # If the reply queue is gone, the broker drops the answer.
                channel.basic_publish("", to, answer, pika.BasicProperties(correlation_id=key))
                channel.basic_ack(method.delivery_tag)
