"""The publisher: the only module of the API that talks to RabbitMQ.

One connection is kept between requests and guarded by a lock. Every call ends within its deadline,
also if the broker accepts connections but does not answer, is frozen, or blocks publishers because
it ran out of memory.
"""

import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ProbableAccessDeniedError, ProbableAuthenticationError

from config.contract import resources
from config.contract.job import Message

# Amazon's load balancers drop an idle connection after 350 s and tell neither side.
IDLE_SECONDS = 240.0

# After a call that ran into its deadline, further calls fail at once for this long, since they
# would probably wait as long. The sweep publishes what they did not.
SILENCE_SECONDS = 5.0

# Dead letters that one sweep looks at; a longer queue takes several sweeps.
DEAD_LETTERS_PER_LOOK = 100

OUT_OF_REACH = "the broker is on the worker's host, which alone reaches it"

# RabbitMQ's "direct reply-to": answers arrive on the connection that sent the question.
ANSWERS = "amq.rabbitmq.reply-to"

# Errors of connecting. Those of pika's connector are not AMQPErrors.
CONNECT_ERRORS = (AMQPError, AMQPConnectorException, OSError)

REFUSED_ERRORS = (ProbableAuthenticationError, ProbableAccessDeniedError)

Result = TypeVar("Result")


class BrokerError(Exception):
    """The broker did not do what was asked; the text is one sentence."""


class DeadlineError(Exception):
    """The broker did not answer before the deadline."""


class Connection(pika.BlockingConnection):
    """A blocking connection whose calls end at a deadline.

    Pika has a deadline for connecting and for a broker that reports that it is blocked, but none
    for a broker that does not answer, and it runs its public timers only between calls. The timer
    below runs on the loop that the calls themselves use, and ends the stream that they wait for.
    """

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """End the connection if the block takes longer; the block then raises `DeadlineError`."""
        timer = self._impl.ioloop.call_later(seconds, self._end_stream)
        try:
            yield
        finally:
            if self.is_open:
                self._impl.ioloop.remove_timeout(timer)

    def drop(self) -> None:
        """End the connection without closing it properly, since a silent peer would not answer."""
        if self.is_open:
            self._end_stream()
            with suppress(DeadlineError, AMQPError):
                self._flush_output(lambda: False)

    def _end_stream(self) -> None:
        self._impl._terminate_stream(DeadlineError())


@dataclass
class Link:
    """An open connection with its confirming channel, and when it was last used."""

    connection: Connection
    channel: BlockingChannel
    used: float


class Publisher:
    """Sends messages to the broker, and counts what waits there.

    Parameters
    ----------
    url : str or callable or None
        ``amqp://user:password@host:port/`` or ``amqps://…``. A callable is called before the first
        connection, and again when the broker refuses the password. None if the broker cannot be
        reached from here; then every call raises `BrokerError`.
    seconds : float
        Longest time that any call may take.

    Attributes
    ----------
    in_reach : bool
        Whether there is an address.
    """

    def __init__(self, url: str | Callable[[], str] | None, seconds: float) -> None:
        self.in_reach = url is not None
        self._url = url if callable(url) else lambda: url or ""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._silent_until = 0.0

    @cached_property
    def _parameters(self) -> pika.URLParameters:
        parameters = pika.URLParameters(self._url())
        parameters.heartbeat = 0  # Lambda freezes between requests and would miss beats
        parameters.connection_attempts = 1
        return parameters

    @property
    def address(self) -> str:
        """Host and port of the broker, for sentences."""
        return f"{self._parameters.host}:{self._parameters.port}"

    def publish(self, message: Message, queue: resources.Queue = resources.JOBS) -> None:
        """Send a message and wait until the broker confirms that it is on disk.

        Raises
        ------
        BrokerError
            If the broker did not confirm. The message may have arrived all the same.
        """
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent.value,
            message_id=f"{resources.public_name(message.batch)}-{message.job}-{message.publish}",
        )

        def send(channel: BlockingChannel) -> None:
            channel.basic_publish("", queue.name, message.to_bytes(), properties, mandatory=True)

        self._run(send)

    def ask(self, question: bytes, queue: resources.Queue) -> bytes:
        """Send a question and wait for its answer.

        Raises
        ------
        BrokerError
            If nobody consumes the questions, or no answer came in time.
        """
        return self._run(lambda channel: exchange(channel, queue, question))

    def waiting(self) -> int:
        """Count the messages that wait in the queues of jobs, without those delivered to workers.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        return self._run(waiting_in)

    def dead_letters(self, limit: int = DEAD_LETTERS_PER_LOOK) -> list[Message]:
        """Read dead letters and leave them for the operator.

        Each letter is sent to the end of its queue before it is acknowledged at the front. If it
        were rejected instead, this would count as a delivery, and a quorum queue of RabbitMQ 4
        drops a message after twenty of them; also every look would read the same letters. If a
        look is interrupted, one letter may be in the queue twice, which does no harm.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        return self._run(lambda channel: list(look_through(channel, limit)))

    def counts(self) -> tuple[int, int]:
        """Count the messages that wait, and the dead letters.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        return self._run(
            lambda channel: (waiting_in(channel), count(channel, resources.DEAD_LETTERS))
        )

    def drop_dead_letters(self, settled: Collection[Message]) -> None:
        """Remove the dead letters that an operator has settled; the others stay.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        if settled:
            self._run(lambda channel: list(look_through(channel, sys.maxsize, settled)))

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        with self._lock:
            self._drop()

    def _run(self, work: Callable[[BlockingChannel], Result]) -> Result:
        """Run `work` on the kept channel, and if that fails again on a new one."""
        if not self.in_reach:
            raise BrokerError(OUT_OF_REACH)
        until = time.monotonic() + self._seconds
        if not self._lock.acquire(timeout=self._seconds):
            raise BrokerError(f"the broker at {self.address} kept others waiting too long")
        try:
            if time.monotonic() < self._silent_until:
                raise BrokerError(f"the broker at {self.address} was silent a moment ago")
            if self._link and time.time() - self._link.used > IDLE_SECONDS:
                self._drop()
            if self._link:
                # The kept connection may be dead without a sign, so its failure is no error yet.
                with suppress(AMQPError):
                    return self._attempt(self._link, until, work)
            self._link = self._sign_in(until)
            return self._attempt(self._link, until, work)
        except DeadlineError as error:
            self._silent_until = time.monotonic() + SILENCE_SECONDS
            raise BrokerError(
                f"the broker at {self.address} did not answer within {self._seconds:g} s"
            ) from error
        except CONNECT_ERRORS as error:
            raise BrokerError(f"the broker at {self.address} refused: {error!r}") from error
        finally:
            self._lock.release()

    def _attempt(
        self, link: Link, until: float, work: Callable[[BlockingChannel], Result]
    ) -> Result:
        try:
            with link.connection.deadline(remaining(until)):
                result = work(link.channel)
        except BaseException:
            self._drop()
            raise
        link.used = time.time()
        return result

    def _sign_in(self, until: float) -> Link:
        """Connect; if the broker refuses the password, read it again and try once more."""
        try:
            return self._connect(until)
        except REFUSED_ERRORS:
            before = self._parameters.credentials
            del self._parameters
            if self._parameters.credentials == before:
                raise
            return self._connect(until)

    def _connect(self, until: float) -> Link:
        """Connect and declare the queues; queues that exist are not changed."""
        found = socket.getaddrinfo(
            self._parameters.host, self._parameters.port, type=socket.SOCK_STREAM
        )
        # Pika tries the broker's addresses one after the other, each for this long.
        each = remaining(until) / len(found)
        self._parameters.socket_timeout = self._parameters.stack_timeout = each
        try:
            connection = Connection(self._parameters)
        except (AMQPError, AMQPConnectorException) as error:
            if time.monotonic() > until - 0.1 * self._seconds:
                raise DeadlineError from error
            raise
        try:
            with connection.deadline(remaining(until)):
                channel = connection.channel()
                channel.confirm_delivery()
                for queue in resources.QUEUES:
                    channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
        except BaseException:
            connection.drop()
            raise
        return Link(connection, channel, time.time())

    def _drop(self) -> None:
        if self._link:
            self._link.connection.drop()
            self._link = None


def remaining(until: float) -> float:
    """Return the seconds left until a time on the monotonic clock; raises when none are."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise DeadlineError
    return seconds


def count(channel: BlockingChannel, queue: resources.Queue) -> int:
    """Count the messages ready in a queue."""
    answer = channel.queue_declare(queue.name, passive=True)
    return int(answer.method.message_count)


def waiting_in(channel: BlockingChannel) -> int:
    """Count the jobs' messages ready in all lanes."""
    return sum(count(channel, queue) for queue in resources.LANES.values())


def exchange(channel: BlockingChannel, queue: resources.Queue, question: bytes) -> bytes:
    """Send a question and wait for its answer on the pseudo-queue `ANSWERS`."""
    if channel.queue_declare(queue.name, passive=True).method.consumer_count == 0:
        raise BrokerError(f"{queue.name}: no consumer listens")
    key = secrets.token_hex(8)
    answers: list[bytes] = []

    def take(_channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        # An answer to an earlier question whose caller gave up is dropped.
        if properties.correlation_id == key:
            answers.append(body)

    tag = channel.basic_consume(ANSWERS, take, auto_ack=True)
    properties = pika.BasicProperties(reply_to=ANSWERS, correlation_id=key)
    channel.basic_publish("", queue.name, question, properties, mandatory=True)
    while not answers:
        channel.connection.process_data_events(time_limit=None)
    channel.basic_cancel(tag)
    return answers[0]


def look_through(
    channel: BlockingChannel, limit: int, settled: Collection[Message] = ()
) -> Iterator[Message]:
    """Send each dead letter from the front of its queue to the end, and yield its message.

    Letters in `settled` are removed instead.
    """
    dead = resources.DEAD_LETTERS
    for _ in range(min(limit, count(channel, dead))):
        method, properties, body = channel.basic_get(dead.name)
        if method is None or body is None:
            return
        # A letter that is not a message of this app stays for the operator.
        message = None
        with suppress(ValueError):
            message = Message.from_bytes(body)
        if message is None or message not in settled:
            channel.basic_publish("", dead.name, body, properties, mandatory=True)
        channel.basic_ack(method.delivery_tag)
        if message is not None:
            yield message
