"""Hosts made of namespaces: each with its own network, processes, memory files and /tmp.

A switch joins the engine's host, the store's host and those of the agents. Only root may make them.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# Of the store, the engine, and the hosts a, b and c.
ADDRESSES = {name: f"10.98.7.{i}" for i, name in enumerate("sxabc", start=1)}
STORE_PORT = 5555
MPI_PORTS = "31000:31099"
SECRET = "a secret of the hosts of this test"
START_SECONDS = 60
MADE_BY_WORLDS = ("dip rank", "hydra_pmi_prox", "mpiexec", "sh", "rank_client")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": f"http://{ADDRESSES['s']}:{STORE_PORT}",
    "PYTHONPATH": str(TOP),
}


def missing():
    """Say what this machine lacks for namespaces; None if nothing."""
    if os.getuid() != 0:
        return "namespaces need root"
    if any(shutil.which(each) is None for each in ("ip", "unshare", "nsenter")):
        return "namespaces need ip, unshare and nsenter"
    trial = ["unshare", "--net", "--mount", "--ipc", "--uts", "--pid", "--fork", "true"]
    found = subprocess.run(trial, capture_output=True, timeout=20, check=False)
    return f"namespaces: {found.stderr.decode()}" if found.returncode else None


def run(*words):
    subprocess.run(words, check=True, timeout=20, capture_output=True)


class Lab:
    """Some hosts with agents, an engine's host and a store. Use it in a ``with`` block.

    Attributes
    ----------
    hosts : str
        Names of the hosts, one letter each.
    agents : dict
        The process that holds the namespaces of each host.
    """

    def __init__(self, hosts, folder):
        self.hosts, self.folder = hosts, folder
        self.tag = f"dip{os.getpid()}"
        self.agents, self.logs = {}, {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.add_network()
            self.store = self.begin("s", "store", sys.executable, "-m", "tests.hosts.store")
            self.begin_engine()
            for name in self.hosts:
                self.begin_agent(name)
            for process in (self.store, self.engine, *self.agents.values()):
                self.wait_until_ready(process)
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def namespace(self, name):
        return f"{self.tag}{name}"

    def add_network(self):
        for name in ("w", *ADDRESSES):
            run("ip", "netns", "add", self.namespace(name))
            self.stack.callback(run, "ip", "netns", "del", self.namespace(name))
        inside = ("ip", "-n", self.namespace("w"))
        run(*inside, "link", "add", "switch", "type", "bridge")
        run(*inside, "link", "set", "switch", "up")
        for name, address in ADDRESSES.items():
            own = ("ip", "-n", self.namespace(name))
            peer = ("peer", "name", "net0", "netns", self.namespace(name))
            run(*inside, "link", "add", f"to-{name}", "type", "veth", *peer)
            run(*inside, "link", "set", f"to-{name}", "master", "switch", "up")
            run(*own, "address", "add", f"{address}/24", "dev", "net0")
            run(*own, "link", "set", "net0", "up")
            run(*own, "link", "set", "lo", "up")

    def begin(self, name, log, *words, **environment):
        """Start a process in the network of a host; it says when it is ready."""
        self.logs[name] = self.folder / f"{log}.log"
        with self.logs[name].open("ab") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace(name), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=os.environ | ENVIRONMENT | environment,
                cwd=TOP,
                text=True,
            )
        self.stack.callback(end, process)
        return process

    def wait_until_ready(self, process):
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        assert ready, f"{process.args} is not ready"
        logs = (each.read_text() for each in self.logs.values())
        assert process.stdout.readline().startswith("ready"), "\n".join(logs)

    def begin_engine(self):
        """Start the process that runs what `ask` asks."""
        self.engine = self.begin("x", "engine", sys.executable, "-m", "tests.hosts.engine")

    def start_engine(self):
        """Start it, and wait until it is ready."""
        self.begin_engine()
        self.wait_until_ready(self.engine)

    def start_agent(self, name):
        """Start a host's agent, and wait until it is ready."""
        self.begin_agent(name)
        self.wait_until_ready(self.agents[name])

    def begin_agent(self, name):
        """Start a host's agent in namespaces of its own, with its own memory files and /tmp."""
        script = (
            "mount -t tmpfs none /dev/shm && mount -t tmpfs none /tmp && hostname host-$HOST && "
            'printf %s "$SECRET" >/tmp/secret && exec "$PYTHON" -m cluster_worker.cli agent '
            f"--secret /tmp/secret --cold --mpi-ports {MPI_PORTS}"
        )
        own = ("--mount", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        words = ("unshare", *own, "sh", "-c", script)
        given = {"HOST": name, "SECRET": SECRET, "PYTHON": sys.executable}
        self.agents[name] = self.begin(name, f"agent-{name}", *words, **given)

    def processes(self, name):
        """Return the processes of a host: name by process id, as this test sees them."""
        space = self.inside(name)
        found = {}
        for each in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str((each / "ns/pid").readlink()) == space:
                    found[int(each.name)] = (each / "comm").read_text().strip()
        return found

    def inside(self, name):
        """Return the namespace of a host's process ids."""
        with contextlib.suppress(OSError):
            return str(Path(f"/proc/{self.agents[name].pid}/ns/pid_for_children").readlink())
        return None

    def worlds_processes(self, name):
        """Return the processes of a host that only a world makes."""
        found = self.processes(name)
        return {pid: comm for pid, comm in found.items() if comm.startswith(MADE_BY_WORLDS)}

    def ranks(self, name):
        """Return the process ids of the ranks of a host."""
        return [pid for pid, comm in self.processes(name).items() if comm.startswith("dip rank")]

    def end_agent(self, name):
        """End a host's agent, and with it all of the host's processes."""
        end(self.agents.pop(name))

    def agent_pid(self, name):
        """Return the process id of a host's agent, which is 1 in its own namespace."""
        for pid in self.processes(name):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            if next(line for line in status if line.startswith("NSpid")).split()[-1] == "1":
                return pid
        raise AssertionError(f"host {name} has no agent")

    def cut(self, name):
        """Cut a host's network."""
        run("ip", "-n", self.namespace("w"), "link", "set", f"to-{name}", "down")

    def mend(self, name):
        """Join a host's network again."""
        run("ip", "-n", self.namespace("w"), "link", "set", f"to-{name}", "up")

    def lose_packets(self, name, share):
        """Replace a host's link by one that loses a share of the packets."""
        # The other hosts remember the address of its network card for some seconds.
        card = self.link(name)["address"]
        run("ip", "-n", self.namespace("w"), "link", "del", f"to-{name}")
        address, switch = f"{ADDRESSES[name]}/24", self.namespace("w")
        words = (sys.executable, "-m", "tests.hosts.lossy", card, address, switch, f"to-{name}")
        self.wait_until_ready(self.begin(name, f"link-{name}", *words, str(share)))

    def signal_all(self, name, number):
        """Send a signal to all processes of a host."""
        for pid in self.processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def received_bytes(self, name):
        """Return the bytes that a host has received and sent on its link."""
        found = self.link(name)["stats64"]
        return found["rx"]["bytes"], found["tx"]["bytes"]

    def link(self, name):
        """Return what the system says about a host's link."""
        words = ["ip", "-n", self.namespace(name), "-json", "-s", "link", "show", "net0"]
        return json.loads(subprocess.check_output(words, timeout=20))[0]

    def ask(self, **question):
        """Send the engine's host a question, without waiting for the answer."""
        self.engine.stdin.write(json.dumps(question) + "\n")
        self.engine.stdin.flush()

    def answer(self, seconds=60):
        """Wait for the engine's answer."""
        ready, _, _ = select.select([self.engine.stdout], [], [], seconds)
        assert ready, f"no answer: {self.logs['x'].read_text()[-2000:]}"
        return json.loads(self.engine.stdout.readline())

    def listening(self, name):
        """Return the ports that processes on a host's network listen at."""
        words = ["ip", "netns", "exec", self.namespace(name), "ss", "-tlnH"]
        lines = subprocess.check_output(words, timeout=20, text=True).splitlines()
        return {int(line.split()[3].rpartition(":")[2]) for line in lines}

    def clear(self):
        """Delete all objects, which an engine that was killed has left."""
        self.ask_store("clear")

    def files_bytes(self, name):
        """Return the bytes of all files in a host's own /tmp and /dev/shm."""
        total = 0
        for folder in ("tmp", "dev/shm"):
            with contextlib.suppress(OSError):
                found = os.statvfs(f"/proc/{self.agent_pid(name)}/root/{folder}")
                total += (found.f_blocks - found.f_bfree) * found.f_frsize
        return total

    def put(self, path):
        """Put a file into the store; return its address."""
        self.ask(store=str(path))
        assert "error" not in self.answer()
        return "s3://images/in.tif"

    def objects(self):
        """Return the keys of all objects in the store."""
        return self.ask_store("list")

    def ask_store(self, command):
        """Send the store's process a command, and return its answer."""
        self.store.stdin.write(f"{command}\n")
        self.store.stdin.flush()
        return json.loads(self.store.stdout.readline())


def end(process):
    """End a process and, if it holds a namespace, all processes there."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close()


def until(is_so, seconds=15):
    """Wait until something is so."""
    by = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < by, "it did not happen in time"
        time.sleep(0.05)


STOP, GO, KILL = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL
