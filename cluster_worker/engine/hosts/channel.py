"""Messages between an engine and the agent of a host, over TCP.

Both sides prove that they know the group's secret before either reads a message. Every frame is
signed with a key of its own connection and direction, and counted, so that nobody on the network
can send, change, repeat or leave out one. Messages are JSON: nothing from the network is unpickled.
They are not encrypted: a group's hosts share a private network.
"""

import contextlib
import hashlib
import hmac
import json
import math
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from cluster_worker.errors import Broken, Rejected
from cluster_worker.log import event

NONCE_BYTES = 32
SIGNATURE_BYTES = hashlib.sha256().digest_size
SECRET_BYTES_MIN = 16
LENGTH = struct.Struct(">I")
COUNT = struct.Struct(">Q")
# Most bytes of a message. The directories of a file of millions of tiles are the largest.
FRAME_BYTES_MAX = 64 << 20
READ_BYTES = 1 << 20
# Time for a host to answer at all, and for the proof.
CONNECT_SECONDS = 4.0
# A side that has nothing to say sends a sign of life at this interval. One that was silent for
# longer than SILENT_SECONDS is gone: it is frozen, or the network is cut.
PING_SECONDS = 1.0
SILENT_SECONDS = 5.0
PING = "ping"
# Shortest time between two reads of the secret.
RENEW_SECONDS = 10.0

Message = dict[str, Any]


class Lost(Broken):
    """The other side has gone, or is silent.

    Parameters
    ----------
    host : str
        Name of the other side.
    problem : str
        The rest of the sentence.
    """

    def __init__(self, host: str, problem: str) -> None:
        super().__init__(f"host {host}: {problem}")
        self.host = host


class OtherSecret(Rejected):
    """A host that answers has another secret."""


class Secret:
    """The secret of a group; it is read again when another host seems to have another one.

    So it can change while hosts run. During the change, hosts that have the new one and hosts that
    have the old one do not work together.

    Parameters
    ----------
    value : bytes
        As in `check_secret`.
    again : callable
        Reads it again; raises Rejected, Broken or ValueError if it cannot.
    """

    def __init__(self, value: bytes, again: Callable[[], bytes] | None = None) -> None:
        self.value = value
        self.again = again
        self.lock = threading.Lock()
        self.read_at = -math.inf

    def renew(self) -> bool:
        """Read it again, unless that was done a moment ago; return whether it changed."""
        with self.lock:
            former, now = self.value, time.monotonic()
            # A stranger that tries secrets must not make this host ask all the time.
            if self.again is not None and now > self.read_at + RENEW_SECONDS:
                self.read_at = now
                try:
                    self.value = self.again()
                except (Rejected, Broken, ValueError) as error:
                    event("hosts' secret not read", error=str(error))
            return self.value != former


class Channel:
    """A connection whose two sides know the secret; used by one thread.

    Parameters
    ----------
    sock : socket
        Connected.
    name : str
        Of the other side, for error sentences.
    send_key, receive_key : bytes
        Of the two directions.

    Attributes
    ----------
    heard_at, sent_at : float
        When the last bytes came and went, on the monotonic clock.
    """

    def __init__(self, sock: socket.socket, name: str, send_key: bytes, receive_key: bytes) -> None:
        self.sock, self.name = sock, name
        self.send_key, self.receive_key = send_key, receive_key
        self.sent = self.received = 0
        self.buffer = bytearray()
        self.heard_at = self.sent_at = time.monotonic()
        sock.settimeout(SILENT_SECONDS)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self.sock.fileno()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message.

        Raises
        ------
        Rejected
            If it has more bytes than the other side takes; nothing is sent then.
        Lost
            If the other side has gone, or takes nothing for SILENT_SECONDS.
        """
        body = json.dumps({"kind": kind, **fields}).encode()
        if len(body) > FRAME_BYTES_MAX:
            raise Rejected(
                f"host {self.name}: takes messages of at most {FRAME_BYTES_MAX >> 20} MiB, and the "
                f"{kind} would have {len(body) / 2**20:,.1f} MiB; save the image with larger "
                "tiles, whose places are most of it"
            )
        frame = LENGTH.pack(len(body)) + signature(self.send_key, self.sent, body) + body
        try:
            self.sock.sendall(frame)
        except OSError as error:
            raise Lost(self.name, f"the connection is lost: {error}") from error
        self.sent += 1
        self.sent_at = time.monotonic()

    def receive(self) -> list[Message]:
        """Return the messages that are there, without signs of life; do not wait for others.

        Raises
        ------
        Lost
            If the other side has closed the connection, or a frame has no true signature.
        """
        try:
            content = self.sock.recv(READ_BYTES)
        except OSError as error:
            raise Lost(self.name, f"the connection is lost: {error}") from error
        if not content:
            raise Lost(self.name, "its agent has closed the connection or was ended")
        self.heard_at = time.monotonic()
        self.buffer += content
        return [each for each in self.messages() if each["kind"] != PING]

    def messages(self) -> list[Message]:
        """Take all complete messages from the buffer; raises as `receive` does."""
        found = []
        head = LENGTH.size + SIGNATURE_BYTES
        while len(self.buffer) >= head:
            (count,) = LENGTH.unpack_from(self.buffer)
            if count > FRAME_BYTES_MAX:
                raise Lost(self.name, f"sent a message of {count} bytes")
            if len(self.buffer) < head + count:
                break
            given = bytes(self.buffer[LENGTH.size : head])
            body = bytes(self.buffer[head : head + count])
            del self.buffer[: head + count]
            if not hmac.compare_digest(given, signature(self.receive_key, self.received, body)):
                raise Lost(self.name, "a message was changed on its way")
            self.received += 1
            found.append(json.loads(body))
        return found

    def wait(self, seconds: float) -> list[Message]:
        """Wait for messages for some seconds, and return those that came; raises as `receive`."""
        ready, _, _ = select.select([self], [], [], seconds)
        return self.receive() if ready else []

    def keep_alive(self) -> None:
        """Send a sign of life if it is time; check that the other side gave one.

        Raises
        ------
        Lost
            If it was silent for SILENT_SECONDS.
        """
        now = time.monotonic()
        if now - self.sent_at >= PING_SECONDS:
            self.send(PING)
        if now - self.heard_at > SILENT_SECONDS:
            # What came while this side was busy counts.
            ready, _, _ = select.select([self], [], [], 0)
            if not ready:
                raise Lost(
                    self.name,
                    f"no sign of life for {now - self.heard_at:.0f} s; it is frozen, or the "
                    "network is cut",
                )

    def leave(self) -> None:
        """Tell the other side that this one has gone, but hear it until it has gone as well."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def wait_for_end(self) -> None:
        """Wait until the other side has closed the connection, or is silent for too long."""
        until = self.heard_at + SILENT_SECONDS
        with contextlib.suppress(Lost):
            while (left := until - time.monotonic()) > 0:
                self.wait(left)

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()

    def __enter__(self) -> Self:
        """Return the channel itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()


def connect(host: str, port: int, secret: bytes) -> Channel:
    """Connect to the agent of a host, and prove to each other that both know the secret.

    Raises
    ------
    Lost
        If it does not answer in CONNECT_SECONDS.
    OtherSecret
        If it has another secret.
    """
    name = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), CONNECT_SECONDS)
    except OSError as error:
        raise Lost(name, f"no agent answers ({error}); start one: dip agent") from error
    try:
        tune(sock)
        theirs = read_exactly(sock, NONCE_BYTES)
        ours = os.urandom(NONCE_BYTES)
        sock.sendall(ours + proof(secret, b"engine", theirs + ours))
        answer = sock.recv(1, socket.MSG_PEEK)
        if not answer or not is_true(
            read_exactly(sock, SIGNATURE_BYTES), proof(secret, b"agent", theirs + ours)
        ):
            raise OtherSecret(f"host {name}: its agent has another secret; give all the same file")
    except OSError as error:
        sock.close()
        raise Lost(name, f"what listens there does not answer: {error}") from error
    except BaseException:
        sock.close()
        raise
    keys = (proof(secret, each, theirs + ours) for each in (b"to agent", b"to engine"))
    return Channel(sock, name, *keys)


def accept(sock: socket.socket, name: str, known: Secret) -> Channel:
    """Let an engine prove that it knows the secret, and prove the same to it.

    If it seems to know another one, the secret is read again: it may have changed.

    Raises
    ------
    OSError
        If it does not know it, or does not answer in CONNECT_SECONDS.
    """
    tune(sock)
    sock.settimeout(CONNECT_SECONDS)
    ours = os.urandom(NONCE_BYTES)
    sock.sendall(ours)
    content = read_exactly(sock, NONCE_BYTES + SIGNATURE_BYTES)
    theirs, given = content[:NONCE_BYTES], content[NONCE_BYTES:]
    secret = known.value
    if not is_true(given, proof(secret, b"engine", ours + theirs)):
        known.renew()
        secret = known.value
        if not is_true(given, proof(secret, b"engine", ours + theirs)):
            raise OSError("who has connected does not know the secret")
    sock.sendall(proof(secret, b"agent", ours + theirs))
    keys = (proof(secret, each, ours + theirs) for each in (b"to engine", b"to agent"))
    return Channel(sock, name, *keys)


def tune(sock: socket.socket) -> None:
    """Send small messages at once, and give up bytes that nobody acknowledges."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    milliseconds = int(1000 * SILENT_SECONDS)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read some bytes of a proof.

    Raises
    ------
    OSError
        If the other side closes the connection before, or takes longer than CONNECT_SECONDS.
    """
    content, deadline = b"", time.monotonic() + CONNECT_SECONDS
    while len(content) < count:
        if time.monotonic() > deadline:
            # A stranger that sends one byte after the other must not keep a place of a guest.
            raise OSError(f"no proof came within {CONNECT_SECONDS:.0f} s")
        more = sock.recv(count - len(content))
        if not more:
            raise OSError("the connection was closed")
        content += more
    return content


def proof(secret: bytes, role: bytes, nonces: bytes) -> bytes:
    """Return what only who knows the secret can compute, for a role and the nonces of both."""
    return hmac.digest(secret, role + b"\0" + nonces, "sha256")


def is_true(given: bytes, wanted: bytes) -> bool:
    """Compare two proofs in a time that tells nothing about them."""
    return hmac.compare_digest(given, wanted)


def signature(key: bytes, number: int, body: bytes) -> bytes:
    """Return the signature of a frame."""
    return hmac.digest(key, COUNT.pack(number) + body, "sha256")


def check_secret(secret: bytes) -> bytes:
    """Return a secret without white space around it.

    Raises
    ------
    Rejected
        If it is too short to be one.
    """
    secret = secret.strip()
    if len(secret) < SECRET_BYTES_MIN:
        raise Rejected(
            f"the secret of the hosts: must have at least {SECRET_BYTES_MIN} characters, got "
            f"{len(secret)}; make one: openssl rand -hex 32"
        )
    return secret
