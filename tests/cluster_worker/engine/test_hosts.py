"""What an engine and the agent of a host say to each other; the worlds are in tests/hosts."""

import contextlib
import pickle
import socket
import threading
from types import SimpleNamespace

import pytest

from cluster_worker import Broken, Rejected
from cluster_worker.cli import parse
from cluster_worker.cli_hosts import hosts_of
from cluster_worker.engine.hosts import channel as channels
from cluster_worker.engine.hosts.channel import Channel, Lost, Secret, accept, connect
from cluster_worker.engine.hosts.dispatch import HostDispatcher
from cluster_worker.engine.hosts.group import Hosts, name_of
from cluster_worker.engine.hosts.identity import check_alike, identity
from cluster_worker.engine.hosts.messages import (
    error_from_json,
    error_to_json,
    from_json,
    task_from_json,
    to_json,
)
from cluster_worker.engine.hosts.session import PROXY_WORD
from cluster_worker.engine.hosts.world import HostWorld
from cluster_worker.engine.wire import Task
from cluster_worker.errors import RankDied
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.streams import FileImage
from cluster_worker.objects.chunks import Chunks
from cluster_worker.objects.images import ObjectImage
from cluster_worker.objects.spools import ObjectSpool
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.checkpoints import START
from cluster_worker.plan.request import PlanRequest, RecipeRequest

SECRET = b"a secret of sixteen bytes or more"


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def joined(listener, secret=SECRET, known=None):
    """Return the channels of both sides; None for a side that refused the other."""
    found = {}

    def serve():
        sock, _ = listener.accept()
        try:
            found["agent"] = accept(sock, "engine", known or Secret(SECRET))
        except OSError as error:
            sock.close()
            found["error"] = str(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        found["engine"] = connect("127.0.0.1", listener.getsockname()[1], secret)
    except (Rejected, Lost) as error:
        found["refused"] = str(error)
    thread.join()
    return found


def test_both_sides_that_know_the_secret_hear_each_other(listener):
    found = joined(listener)
    engine, agent = found["engine"], found["agent"]
    with engine, agent:
        engine.send("task", task=[1, 2])
        agent.send("ready")
        assert agent.wait(5) == [{"kind": "task", "task": [1, 2]}]
        assert engine.wait(5) == [{"kind": "ready"}]


def test_who_does_not_know_the_secret_is_refused_by_both(listener):
    found = joined(listener, b"another secret of sixteen bytes")
    assert "has another secret" in found["refused"]
    assert found["error"] == "who has connected does not know the secret"


def test_an_agent_reads_its_secret_again_when_an_engine_has_another_one(listener):
    new, reads = b"another secret of sixteen bytes", []
    known = Secret(SECRET, lambda: reads.append(1) or new)
    found = joined(listener, new, known)
    with found["engine"], found["agent"]:
        found["engine"].send("task", task=[1])
        assert found["agent"].wait(5) == [{"kind": "task", "task": [1]}]
    # Strangers that try secrets do not make it read again and again.
    for _ in range(3):
        assert "has another secret" in joined(listener, b"a stranger's secret", known)["refused"]
    assert len(reads) == 1


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1\r\n\r\n", pickle.dumps(print), b""])
def test_an_agent_reads_nothing_of_a_stranger(listener, content, monkeypatch):
    monkeypatch.setattr(channels, "CONNECT_SECONDS", 0.3)
    with socket.create_connection(listener.getsockname()) as stranger:
        sock, _ = listener.accept()
        stranger.sendall(content.ljust(64, b"\0") if content else b"")
        with sock, pytest.raises(OSError, match=r"does not know the secret|timed out"):
            accept(sock, "stranger", Secret(SECRET))


def test_a_stranger_that_sends_byte_by_byte_does_not_stay(listener, monkeypatch):
    monkeypatch.setattr(channels, "CONNECT_SECONDS", 0.3)
    with socket.create_connection(listener.getsockname()) as stranger:
        sock, _ = listener.accept()
        left = threading.Event()

        def drip():
            with contextlib.suppress(OSError):
                while not left.wait(0.05):
                    stranger.sendall(b"\0")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with sock, pytest.raises(OSError, match="no proof came within"):
                accept(sock, "stranger", Secret(SECRET))
        finally:
            left.set()
            thread.join()


class Wire:
    """What a channel sends, in the place of its socket."""

    def __init__(self):
        self.frames = []

    def settimeout(self, seconds):
        pass

    def sendall(self, frame):
        self.frames.append(frame)


def frames(count):
    """Return the frames of some messages, and a channel that expects them."""
    sender = Channel(Wire(), "engine", b"key", b"")
    for number in range(count):
        sender.send("progress", tiles=number)
    return sender.sock.frames, Channel(Wire(), "engine", b"", b"key")


def test_a_frame_that_was_changed_repeated_or_left_out_ends_the_connection():
    for change in ("changed", "repeated", "left out"):
        (first, second), receiver = frames(2)
        wrong = {
            "changed": first[:-1] + b"]",
            "repeated": first + first,
            "left out": second,
        }[change]
        receiver.buffer += wrong
        with pytest.raises(Lost, match="was changed on its way"):
            receiver.messages()


def test_a_frame_may_come_in_pieces():
    (first, second), receiver = frames(2)
    receiver.buffer += first[:9]
    assert receiver.messages() == []
    receiver.buffer += first[9:] + second
    assert [each["tiles"] for each in receiver.messages()] == [0, 1]


def test_a_frame_of_too_many_bytes_is_not_waited_for():
    _, receiver = frames(0)
    receiver.buffer += channels.LENGTH.pack(channels.FRAME_BYTES_MAX + 1) + bytes(32)
    with pytest.raises(Lost, match="sent a message of 67108865 bytes"):
        receiver.messages()


def test_a_message_of_too_many_bytes_is_refused_where_it_is_sent(listener, monkeypatch):
    monkeypatch.setattr(channels, "FRAME_BYTES_MAX", 1 << 20)
    found = joined(listener)
    with found["engine"] as engine, found["agent"] as agent:
        sentence = (
            r"^host 127\.0\.0\.1:\d+: takes messages of at most 1 MiB, and the task would have"
        )
        with pytest.raises(Rejected, match=sentence):
            engine.send("task", task=[0] * (1 << 20))
        # The connection goes on.
        engine.send("cancel")
        assert agent.wait(5) == [{"kind": "cancel"}]


def test_a_silent_side_is_lost(listener, monkeypatch):
    found = joined(listener)
    monkeypatch.setattr(channels, "SILENT_SECONDS", 0.1)
    with found["engine"] as engine, found["agent"]:
        engine.heard_at -= 0.2
        with pytest.raises(Lost, match="no sign of life for 0 s; it is frozen"):
            engine.keep_alive()


def test_a_world_is_left_only_when_its_ranks_have_ended(listener, tmp_path):
    found = joined(listener)
    agent, world = found["agent"], HostWorld(Hosts((), "", SECRET), tmp_path)
    world.channels["agent"] = found["engine"]
    leaving = threading.Thread(target=world.close)
    leaving.start()
    with agent:
        with pytest.raises(Lost, match="has closed the connection"):
            agent.wait(5)
        leaving.join(0.2)
        assert leaving.is_alive()
    leaving.join(5)
    assert not leaving.is_alive()


def test_a_world_does_not_wait_for_a_host_that_is_silent(listener, tmp_path):
    found = joined(listener)
    world = HostWorld(Hosts((), "", SECRET), tmp_path)
    world.channels["agent"] = found["engine"]
    found["engine"].heard_at -= channels.SILENT_SECONDS
    with found["agent"]:
        world.close()


CHUNKS = Chunks("s3://images/scratch", "job/pass-0", (700, 900, 3), "float32")
HEADER = Header("in.tif", "tiff", header_of((700, 900, 3), "uint8"), block=(128, 128))
OBJECT = ObjectImage("s3://images/in.tif", '"tag"', 12345, HEADER, ((0, 16), (8192, 400)))
SPOOL = ObjectSpool("s3://images/scratch", "job/result-0", (7, 9), "uint8", "tiff", "in.tif", "")


@pytest.mark.parametrize(
    "request_",
    [
        PlanRequest(HEADER.image, "[]", core=(512, 512), chunk=512),
        RecipeRequest(HEADER.image._replace(nodata=0.5), "[]", (("flat", HEADER.image),)),
    ],
)
def test_a_task_is_the_same_on_the_other_side(request_):
    tables = ("s3://images/scratch/job/table-0",)
    task = Task(7, request_, OBJECT, (CHUNKS,), SPOOL, True, (CHUNKS,), (CHUNKS,), tables)
    assert task_from_json(to_json(task)) == task


def test_a_task_may_not_name_files_of_another_host():
    request = PlanRequest(HEADER.image, "[]")
    task = Task(7, request, FileImage("/etc/shadow", HEADER), (), CHUNKS, True)
    with pytest.raises(TypeError, match="FileImage: not for other hosts"):
        to_json(task)
    given = to_json(task._replace(source=CHUNKS))
    with pytest.raises(ValueError, match="no part of a task"):
        from_json({"FileImage": ["/etc/shadow", None]})
    with pytest.raises(ValueError, match="must be addresses"):
        task_from_json(to_json(task._replace(source=CHUNKS, tables=("/etc/cron.d/table",))))
    with pytest.raises(TypeError, match="must be a task"):
        task_from_json(given["Task"][1])


def test_errors_keep_their_family_and_sentence():
    for error in (
        Rejected("too large"),
        Broken("no room"),
        RankDied("a rank died"),
        Lost("a:7321", "gone"),
    ):
        back = error_from_json(error_to_json(error))
        assert str(back) == str(error)
        assert isinstance(back, Broken) == isinstance(error, Broken)
    assert error_from_json(error_to_json(None)) is None


def test_hosts_that_would_compute_other_pixels_are_refused():
    own = identity()
    check_alike({"a:7321": own, "b:7321": own})
    with pytest.raises(Rejected, match="host b:7321: has another version of this app"):
        check_alike({"a:7321": own, "b:7321": own | {"code": "older"}})
    with pytest.raises(Rejected, match="host b:7321: its processor has other features"):
        check_alike({"a:7321": own, "b:7321": own | {"processor": "newer"}})


def test_hosts_are_named_with_or_without_a_port(tmp_path):
    assert name_of("a") == ("a", 7321)
    assert name_of(" b:99 ") == ("b", 99)
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET + b"\n")
    hosts = Hosts.of(["a", "b"], f"file://{tmp_path}/", secret)
    assert (hosts.secret, hosts.store) == (SECRET, f"file://{tmp_path}")
    assert hosts.without("a:7321").names == (("b", 7321),)
    for names, sentence in ((["a", "a"], "different ones"), (["a:x"], "NAME or NAME:PORT")):
        with pytest.raises(Rejected, match=sentence):
            Hosts.of(names, f"file://{tmp_path}", secret)
    secret.write_bytes(b"short\n")
    with pytest.raises(Rejected, match="at least 16 characters, got 5"):
        Hosts.of(["a"], f"file://{tmp_path}", secret)


def test_dip_says_what_a_run_over_hosts_needs(tmp_path):
    words = ["run", "in.tif", "out.tif", "gaussian", "--hosts", "a,b"]
    with pytest.raises(Rejected, match="--hosts: needs --store too"):
        hosts_of(parse(words))
    words += ["--store", f"file://{tmp_path}", "--secret", str(tmp_path / "secret")]
    with pytest.raises(Rejected, match="secret: cannot be read: No such file"):
        hosts_of(parse(words))
    (tmp_path / "secret").write_bytes(SECRET)
    hosts = hosts_of(parse([*words, "--mpi-ports", "30000:30100"]))
    assert hosts.names == (("a", 7321), ("b", 7321))
    assert hosts.ports == "30000:30100"
    with pytest.raises(SystemExit):
        parse([*words, "--mpi-ports", "30100:30000"])


def test_an_agent_runs_only_words_that_mpiexec_prints():
    printed = ["--control-port", "10.0.0.1:41161", "--rmk", "user", "--usize", "-1"]
    assert all(map(PROXY_WORD.fullmatch, printed))
    for word in ("$(reboot)", "a;b", "/etc/passwd", "a b", ""):
        assert not PROXY_WORD.fullmatch(word)


@pytest.mark.parametrize(
    ("ends", "raised"),
    [
        ([RankDied("a rank died"), RankDied("again")], RankDied),
        ([Broken("mpiexec ended"), RankDied("a rank died")], Broken),
        ([RankDied("a rank died"), Lost("a:1", "silent"), Broken("mpiexec ended")], Broken),
        ([Lost("a:1", "silent"), Lost("b:1", "silent")], Lost),
    ],
)
def test_a_job_over_hosts_is_at_fault_only_if_ranks_died_each_time(ends, raised):
    job = SimpleNamespace(task=SimpleNamespace(job=1), losses=[])
    moved = SimpleNamespace(begin=START, drop=lambda: None)
    left = iter(ends)

    def run_attempt(*_):
        raise next(left)

    hosts = Hosts((("a", 1), ("b", 1)), "file:///store", SECRET)
    own = SimpleNamespace(hosts=hosts, must_stop=lambda job: False, run_attempt=run_attempt)
    with pytest.raises(Broken) as caught:
        HostDispatcher.run_attempts(own, job, moved)
    assert type(caught.value) is raised
    assert next(left, None) is None
