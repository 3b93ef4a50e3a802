"""Processes that end by themselves, processes that are stopped, and their descendants."""

import os
import signal
import subprocess
import sys

import pytest

from config.contract.settings import TOP
from infra.local import supervisor as room
from infra.local.guard import list_descendants
from infra.local.process import LocalError, Process
from infra.local.supervisor import Supervisor, compute_delay
from tests.infra.processes import eventually, is_alive

# A process whose grandchild leaves its session and its process group, as epmd and mpiexec's ranks
# do. It writes the grandchild's pid into the file named in its first argument, then sleeps.
LEAVES_A_GRANDCHILD = """
import os, subprocess, sys, time
sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
name = sys.argv[1]
with open(name + ".new", "w") as file:
    file.write(str(sleeper.pid))
os.rename(name + ".new", name)
time.sleep(1000)
"""


def python(name, code, *arguments, **fields):
    return Process(name, (sys.executable, "-c", code, *arguments), **fields)


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    with Supervisor(tmp_path, said.append, first_delay=0.05) as supervisor:
        yield supervisor


def test_the_delay_doubles_to_half_a_minute_and_begins_anew_after_a_minute_well():
    delays = [0.0]
    for _ in range(7):
        delays.append(compute_delay(delays[-1], 5.0, 1))
    assert delays[1:] == [1, 2, 4, 8, 16, 30, 30]
    assert compute_delay(30.0, 60.0, 1) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_delay_does_not_grow_under_kills_from_outside(number):
    assert compute_delay(8.0, 5.0, -number) == 1
    assert compute_delay(8.0, 5.0, -signal.SIGSEGV) == 16


def test_a_process_that_dies_is_started_again_and_said(supervisor, said):
    supervisor.start(Process("worker", ("sleep", "1000")))
    supervisor.enable_restarts()
    for _ in range(3):
        killed = supervisor.pids()["worker"]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda killed=killed: supervisor.pids().get("worker", killed) != killed)
        assert said.pop() == "worker ended (signal 9); started again in 0.05 s"
    assert not said


def test_a_process_that_ends_by_itself_is_told_by_its_exit_code(supervisor, said):
    supervisor.start(python("api", "raise SystemExit(3)", loses="all is lost"))
    supervisor.enable_restarts()
    eventually(lambda: said)
    assert said[0] == "api ended (exit code 3); started again in 0.05 s; all is lost"


def test_a_process_that_dies_while_it_starts_is_one_sentence_and_not_started_again(
    supervisor, said, tmp_path
):
    supervisor.start(python("front", "raise SystemExit('no room at the inn')"))
    with pytest.raises(LocalError) as failure:
        supervisor.await_ready("front", lambda: False, 10)
    assert str(failure.value) == (
        f"front ended (exit code 1) before it was ready; its log is {tmp_path}/front.log,"
        " which ends: no room at the inn"
    )
    assert not said


def test_a_process_that_never_becomes_ready_is_given_up(supervisor):
    supervisor.start(Process("api", ("sleep", "1000")))
    with pytest.raises(LocalError, match=r"api was not ready and made no progress for 0\.1 s"):
        supervisor.await_ready("api", lambda: False, 0.1)


# They take longer to be ready than the test waits without progress.
WORKS = """
import time
while time.process_time() < 1.5:
    pass
print("ready", flush=True)
"""
TELLS = """
import time
for number in range(6):
    print(number, flush=True)
    time.sleep(0.3)
print("ready", flush=True)
"""


@pytest.mark.parametrize("program", [WORKS, TELLS], ids=["works", "tells"])
def test_a_process_that_makes_progress_is_waited_for(tmp_path, monkeypatch, program):
    monkeypatch.setattr(room, "PROGRESS_CPU_SECONDS", 0.01)
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(python("slow", program + "time.sleep(60)"))
        log = tmp_path / "slow.log"
        supervisor.await_ready("slow", lambda: "ready" in log.read_text(), 0.4)


def test_a_program_that_is_missing_ends_at_once(supervisor):
    supervisor.start(Process("broker", ("/no/such/program",)))
    with pytest.raises(LocalError, match="cannot run /no/such/program: No such file"):
        supervisor.await_ready("broker", lambda: False, 10)


def grandchild_of(name, tmp_path, supervisor):
    note = tmp_path / "grandchild"
    supervisor.start(python(name, LEAVES_A_GRANDCHILD, str(note), stop_seconds=5.0))
    eventually(note.exists)
    return int(note.read_text())


def test_grandchildren_end_with_the_app(tmp_path, said):
    with Supervisor(tmp_path, said.append) as supervisor:
        grandchild = grandchild_of("worker", tmp_path, supervisor)
        assert is_alive(grandchild)
    assert not is_alive(grandchild)


def test_grandchildren_end_when_their_process_is_killed(supervisor, tmp_path):
    grandchild = grandchild_of("worker", tmp_path, supervisor)
    os.kill(supervisor.pids()["worker"], signal.SIGKILL)
    eventually(lambda: not is_alive(grandchild))


def test_a_process_ends_when_its_guard_is_killed(supervisor):
    supervisor.start(Process("worker", ("sleep", "1000")))
    pid = supervisor.pids()["worker"]
    supervisor.processes["worker"].guard.kill()
    eventually(lambda: not is_alive(pid))


def test_nothing_is_left_when_the_supervisor_itself_is_killed(tmp_path):
    note = tmp_path / "grandchild"
    code = f"""
import sys, time
from pathlib import Path
from infra.local.process import Process
from infra.local.supervisor import Supervisor
supervisor = Supervisor(Path({str(tmp_path)!r}), print)
code = {LEAVES_A_GRANDCHILD!r}
supervisor.start(Process("worker", (sys.executable, "-c", code, {str(note)!r})))
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=TOP) as process:
        try:
            eventually(note.exists)
            left = list_descendants(process.pid)
            assert int(note.read_text()) in left
        finally:
            process.kill()
    eventually(lambda: not any(is_alive(pid) for pid in left))


def test_a_process_may_finish_what_it_holds_before_the_others_end(tmp_path, said):
    finished = tmp_path / "finished"
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.3)\n"
        "    open(sys.argv[1], 'w').close()\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)\n"
    )
    seen = tmp_path / "seen"
    other = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    open(sys.argv[2], 'w').write(str(os.path.exists(sys.argv[1])))\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)\n"
    )
    supervisor = Supervisor(tmp_path, said.append)
    supervisor.start(python("worker", code, str(finished)))
    supervisor.start(python("api", other, str(finished), str(seen)))
    for name in ("worker", "api"):
        log = tmp_path / f"{name}.log"
        supervisor.await_ready(name, lambda log=log: "ready" in log.read_text(), 10)
    supervisor.end(drained_first=["worker"])
    assert seen.read_text() == "True"


def test_a_process_that_will_not_stop_is_killed(tmp_path, said):
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)\n"
    )
    log = tmp_path / "worker.log"
    with Supervisor(tmp_path, said.append) as supervisor:
        supervisor.start(python("worker", code, stop_seconds=0.2))
        supervisor.await_ready("worker", lambda: "ready" in log.read_text(), 10)
        pid = supervisor.pids()["worker"]
    assert not is_alive(pid)
    assert not said
