"""What a storm finds to strike, with real processes below a real guard."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from infra.local import guard
from tests.app.processes import command_of, parent_of
from tests.chaos.strikes import Storm
from tests.infra.processes import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

# The subshell ends at once, as a forkserver that was killed: what it has started lives on. The
# commands of the shells do not have the decoder's name.
WORKER = '(exec -a "$0 decoder" sleep 60 &); echo $$; exec sleep 60', "dip"


def test_a_process_whose_forkserver_was_killed_is_still_struck():
    command = [sys.executable, "-IS", guard.__file__, "0", "bash", "-c", *WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        worker = int(process.stdout.readline())
        storm = Storm(SimpleNamespace(pids=lambda: {"worker": worker}), seed=1)
        eventually(lambda: (found := storm.find("decoder")) and parent_of(found) == process.pid)
        orphan = storm.find("decoder")
        assert command_of(orphan).startswith("dip decoder")
        assert parent_of(orphan) == process.pid
        assert storm.find("seat") is None
        process.stdin.close()
