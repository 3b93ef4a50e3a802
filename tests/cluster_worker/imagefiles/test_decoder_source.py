"""Decoders are forks of one warm process, and have given up all rights that they do not need."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cluster_worker.errors import Broken
from cluster_worker.imagefiles import confinement, decoder_source
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_source import DecoderSource
from config.contract.settings import TOP
from tests.app.processes import below, name_of
from tests.infra.processes import eventually, is_alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def source():
    with DecoderSource() as source:
        yield source


@pytest.fixture(scope="module")
def cat(tmp_path_factory):
    path = tmp_path_factory.mktemp("cat") / "cat.png"
    Image.fromarray(np.zeros((12, 9), np.uint8)).save(path)
    return path


def reads(decoder, cat):
    return decoder.read_header(cat, "cat.png").shape == (12, 9)


def test_nothing_is_started_before_a_decoder_asks_for_a_child(cat):
    with DecoderSource() as source:
        assert source.process is None
        with Decoder(address=source.address) as decoder:
            assert reads(decoder, cat)
            assert name_of(source.process.pid) == "dip decoders"
            assert name_of(decoder.child.pid) == "dip decoder"
            assert decoder.child.pid in below(source.process.pid)
            pids = below(source.process.pid)
    assert not any(is_alive(pid) for pid in pids)
    assert not source.address.exists()


def test_the_death_of_the_forkserver_costs_no_child_and_a_new_one_is_made_when_needed(source, cat):
    with Decoder(address=source.address) as old, Decoder(address=source.address) as new:
        assert reads(old, cat)
        child, forkserver = old.child.pid, source.process.pid
        new.close()
        os.kill(forkserver, signal.SIGKILL)
        assert reads(old, cat)
        assert old.child.pid == child
        new.address = source.address
        assert reads(new, cat)
        assert source.process.pid != forkserver
    eventually(lambda: not is_alive(child))


def test_a_forkserver_that_hangs_is_replaced(cat, monkeypatch):
    monkeypatch.setattr(decoder_source, "PING_SECONDS", 0.1)
    monkeypatch.setattr(decoder_source, "ANSWER_SECONDS", 1.0)
    with DecoderSource() as source:
        with Decoder(address=source.address) as decoder:
            assert reads(decoder, cat)
        os.kill(source.process.pid, signal.SIGSTOP)
        with Decoder(address=source.address) as decoder:
            assert reads(decoder, cat)


def test_a_child_whose_forkserver_does_not_start_is_refused_at_once(cat, monkeypatch):
    with DecoderSource() as source, monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        with Decoder(address=source.address) as decoder:
            for _ in range(2):
                with pytest.raises(Broken, match=r"the decoder does not start \(exit status 1\)"):
                    decoder.read_header(cat, "cat.png")
            broken.undo()
            assert reads(decoder, cat)


def test_a_child_does_not_outlive_the_process_that_asked_for_it(source):
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from cluster_worker.imagefiles.decoder import Decoder\n"
        "decoder = Decoder(address=Path(sys.argv[1]))\n"
        "print(decoder.running().pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(source.address)]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        # At work, as far as anybody can tell: it does not look at its socket.
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
    eventually(lambda: not is_alive(pid))


def test_many_threads_get_children_at_the_same_time(source, cat):
    right = []

    def read():
        with Decoder(address=source.address) as decoder:
            right.append(reads(decoder, cat))

    threads = [threading.Thread(target=read) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert right == [True] * 12


# What a file that has taken over its decoder would try. Prints what succeeded.
ATTACK = """
import ctypes, json, os, pathlib, signal, socket, sys
from cluster_worker.imagefiles.confinement import confine
ours, theirs = (pathlib.Path(each) for each in sys.argv[1:])
kept = (ours / "image").open("rb")
parent = os.getppid()
confine([str(ours)])
attempts = {
    "read an open file": lambda: kept.read(),
    "read its folder": lambda: (ours / "image").read_bytes(),
    "write its folder": lambda: (ours / "result").write_bytes(b"1"),
    "load a module": lambda: __import__("wave"),
    "read elsewhere": lambda: theirs.read_text(),
    "write elsewhere": lambda: theirs.write_text("2"),
    "make elsewhere": lambda: theirs.with_name("new").write_text("2"),
    "read the keys of its parent": lambda: pathlib.Path(f"/proc/{parent}/environ").read_bytes(),
    "open a network socket": lambda: socket.socket(socket.AF_INET),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "kill its parent": lambda: os.kill(parent, signal.SIGCONT),
}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    done.append(name)
print(json.dumps(done))
"""


def test_a_file_that_takes_over_its_decoder_reaches_nothing_but_its_folder(tmp_path):
    version = confinement.LIBC.syscall(confinement.CREATE_RULESET, None, 0, confinement.ASK_VERSION)
    if version < 6:
        pytest.skip(f"the kernel's Landlock has version {version}; signals need 6")
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "image").write_bytes(b"0")
    secret = tmp_path / "secret"
    secret.write_text("1")
    command = [sys.executable, "-c", ATTACK, str(ours), str(secret)]
    found = subprocess.run(command, cwd=TOP, capture_output=True, timeout=60, check=True)
    assert json.loads(found.stdout) == [
        "read an open file",
        "read its folder",
        "write its folder",
        "load a module",
    ]
    assert secret.read_text() == "1"


def test_a_child_has_no_descriptors_but_its_socket_and_no_new_privileges(source, cat):
    with Decoder(address=source.address) as decoder:
        assert reads(decoder, cat)
        process = Path(f"/proc/{decoder.child.pid}")
        opened = {each.name: str(each.readlink()) for each in (process / "fd").iterdir()}
        assert opened.pop("3").startswith("socket:")
        assert opened == dict.fromkeys("012", "/dev/null")
        status = dict(
            line.split(":\t", 1) for line in (process / "status").read_text().splitlines()
        )
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
