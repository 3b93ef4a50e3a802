"""Machines for the tests: Debian from its own archive, booted by a real systemd as PID 1.

A machine is a folder that systemd-nspawn boots. It shares this machine's network, so that a worker
in it reaches a broker and moto outside. Folders that take minutes to make are kept in
`.run/machines`.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from config.contract.settings import TOP

STORE = TOP / ".run" / "machines"

BASE = ("ca-certificates", "openssl", "procps", "python3", "python3-venv")
BOOT_SECONDS = 60.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Docker without a bridge of its own, since the network is this machine's, and with cgroups that
# Docker itself writes, not systemd.
DOCKER = {
    "bridge": "none",
    "iptables": False,
    # In a container this setting of the kernel can only be read.
    "ip-forward": False,
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
}
# In a container, cgroups of version 1 are mounted read-only, but Docker must write them.
WRITABLE = """\
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for each in /sys/fs/cgroup/*; do mount -o remount,bind,rw $each || true; done'
[Install]
WantedBy=sysinit.target
"""


def call(*command, timeout=600, **options):
    """Run a command and return its output; if it fails, the error has the end of the output."""
    found = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        **options,
    )
    assert found.returncode == 0, f"{command}: {found.stdout[-3000:]}"
    return found.stdout


def made(name, make):
    """Return a folder of the store; make it if it is not there yet."""
    root = STORE / name
    if not root.is_dir():
        STORE.mkdir(parents=True, exist_ok=True)
        making = STORE / f"{name}.making"
        shutil.rmtree(making, ignore_errors=True)
        make(making)
        making.rename(root)
    return root


def base(suite):
    """Return the folder of a Debian with Python, made from its archive."""

    def make(root):
        wanted = ",".join(("systemd", "systemd-sysv", "dbus", *BASE))
        call("debootstrap", "--variant=minbase", f"--include={wanted}", suite, root)
        # It trusts the same certificates as this machine.
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs")
        trust = "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"
        (root / "etc/pip.conf").write_text(trust)

    return made(suite, make)


def debian(suite, package, prepare=lambda root: None, more=""):
    """Return the folder of a Debian with some more packages, installed but not started.

    Parameters
    ----------
    suite : str
        Of Debian, such as ``"bookworm"``.
    package : str
        The package that the folder is called after.
    prepare : callable
        Called with the folder at the end.
    more : str
        Further packages; with them the folder must be the only one for this package.
    """

    def make(root):
        call("cp", "--archive", "--reflink=auto", base(suite), root)
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        copy_from_host(root, "/etc/resolv.conf", "/etc/apt/apt.conf.d")
        install = (
            f"apt-get update -qq && apt-get install -yqq --no-install-recommends {package} {more}"
        )
        environment = {"DEBIAN_FRONTEND": "noninteractive", "PATH": PATH}
        call("chroot", root, "sh", "-c", install, env=environment)
        policy.unlink()
        prepare(root)

    return made(f"{suite}-{package}", make)


def copy_from_host(root, *paths):
    """Copy some of this machine's files and folders into a machine's folder."""
    for path in paths:
        target = root / path.lstrip("/")
        if Path(path).is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            target.unlink(missing_ok=True)
            shutil.copy(path, target)


def prepare_docker(root):
    """Set Docker up for a machine in a container."""
    (root / "etc/docker").mkdir(exist_ok=True)
    (root / "etc/docker/daemon.json").write_text(json.dumps(DOCKER))
    unit = root / "etc/systemd/system/writable-cgroups.service"
    unit.write_text(WRITABLE)
    wanted = root / "etc/systemd/system/sysinit.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / unit.name).symlink_to(f"/etc/systemd/system/{unit.name}")


class Machine:
    """A folder booted by systemd.

    Parameters
    ----------
    root : Path
        The folder; the machine writes to it.
    binds : dict of str to Path
        Folders of this machine that are mounted into it, by their paths inside.
    """

    def __init__(self, root, binds=None):
        self.root = root
        self.binds = binds or {}
        self.process = None
        self.leader = 0
        self.log = root.parent / f"{root.name}.log"

    def boot(self):
        """Boot, and wait until all units are up."""
        binds = " ".join(f"--bind={source}:{target}" for target, source in self.binds.items())
        script = (
            "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd && exec systemd-nspawn"
            f" --directory={self.root} --boot --register=no --keep-unit --console=pipe"
            " --capability=all --system-call-filter='@keyring bpf perf_event_open'"
            f" --resolv-conf=copy-host {binds}"
        )
        command = ["unshare", "--mount", "--propagation", "private", "--cgroup", "sh", "-c", script]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + BOOT_SECONDS
        while not self.is_up():
            assert time.monotonic() < until, self.log.read_text(errors="replace")[-3000:]
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)

    def is_up(self):
        """Return whether systemd reports that the machine runs."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = children.read_text().split()
        if not found:
            return False
        self.leader = int(found[0])
        state = self.ask("systemctl", "is-system-running")
        return state in ("running", "degraded")

    def inside(self, *command):
        """Return the command that runs another one in the machine."""
        spaces = ("--mount", "--uts", "--ipc", "--pid", "--cgroup", "--net")
        return ["nsenter", "--target", str(self.leader), *spaces, *map(str, command)]

    def ask(self, *command, timeout=60):
        """Run a command in the machine and return its output, whether it fails or not."""
        found = subprocess.run(
            self.inside(*command), capture_output=True, text=True, timeout=timeout
        )
        return (found.stdout or found.stderr).strip()

    def do(self, *command, timeout=600, **options):
        """Run a command in the machine that must not fail; return its output."""
        return call(*self.inside(*command), timeout=timeout, env={"PATH": PATH}, **options)

    def property(self, unit, name):
        """Return a property of a unit."""
        return self.ask("systemctl", "show", "--value", "--property", name, unit)

    def journal(self, unit):
        """Return the log of a unit."""
        return self.ask("journalctl", "--no-pager", "--output=cat", "--unit", unit)

    def power_off(self, seconds=120):
        """Shut the machine down, as its power button does."""
        if self.process and self.process.poll() is None and self.leader:
            os.kill(self.leader, signal.SIGRTMIN + 4)
            self.process.wait(seconds)
        self.process = None

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *_):
        try:
            self.power_off()
        finally:
            if self.process and self.process.poll() is None:
                # All processes of the machine end with its PID 1.
                os.kill(self.leader or self.process.pid, signal.SIGKILL)
                self.process.wait(30)


def copy_of(root, target):
    """Copy a machine's folder, so that a test may write to it."""
    call("cp", "--archive", "--reflink=auto", root, target)
    return target


def copy_sources(target):
    """Copy the files of the app that the node scripts need."""
    for name in ("config", "cluster_worker", ".dockerignore"):
        call("cp", "--recursive", TOP / name, target / name)


def copy_checkout(target, *more):
    """Copy what a fresh checkout of the app has, and some files more."""
    tracked = call("git", "-C", TOP, "ls-files", "--cached", "--others", "--exclude-standard")
    for name in (*tracked.splitlines(), *more):
        if (TOP / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, target / name)
