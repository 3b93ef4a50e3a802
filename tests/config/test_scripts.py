"""The node scripts and units, as far as they can be judged without a machine of their own."""

import json
import shutil
import subprocess

import pytest

from config.contract import resources
from config.contract.definitions import definitions
from config.contract.settings import TOP

CONFIG = TOP / "config"
SCRIPTS = sorted([*CONFIG.glob("*.sh"), CONFIG / "systemd" / "worker-run"])
NODES = ("worker", "server", "broker")


def run(*command, **options):
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=60, **options
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script):
    assert shutil.which("shellcheck"), "run: apt-get install shellcheck"
    found = run("shellcheck", "--external-sources", script, cwd=TOP)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("node", NODES)
def test_a_dry_run_tells_what_it_would_do_and_does_nothing(node, tmp_path):
    image = ["--image", "dip-worker"] if node == "worker" else []
    script = CONFIG / f"{node}-node-config.sh"
    found = run("bash", script, "--dry-run", *image, env=calm(tmp_path))
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert all(line.startswith("would ") for line in lines[:-1]), lines
    assert any("/etc/systemd/system/" in line for line in lines)
    assert any(line.startswith("would run: systemctl enable") for line in lines)
    # Whatever it called beyond asking would have left a note.
    assert not (tmp_path / "called").exists()


def calm(folder):
    """Put commands in the way that would change this machine, and note when they are called."""
    for name in ("apt-get", "dnf", "install", "systemctl", "docker", "useradd", "cp", "mkdir"):
        command = folder / name
        # What only asks may be asked.
        asks = 'case "$*" in "image inspect"*|"is-active"*) exit 1 ;; esac'
        command.write_text(f'#!/bin/sh\n{asks}\necho "{name} $*" >> {folder}/called\n')
        command.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin:/usr/sbin:/sbin"}


def test_a_server_is_given_all_folders_that_its_site_is_built_from(tmp_path):
    script = CONFIG / "server-node-config.sh"
    lines = run("bash", script, "--dry-run", env=calm(tmp_path)).stdout.splitlines()
    for folder in ("api", "cluster_worker", "config", "docs", "frontend"):
        assert any(line.endswith(f" /opt/dip/{folder}") for line in lines), lines


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--colour"], "unknown option: --colour"),
        (["--only"], None),
        (["--only", "stop"], None),
        (["--env-file", "/nowhere"], None),
    ],
)
def test_a_wrong_option_is_one_sentence(node, arguments, sentence):
    found = run("bash", CONFIG / f"{node}-node-config.sh", *arguments)
    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 1
    if sentence:
        assert found.stderr.startswith(sentence)


@pytest.mark.parametrize(("name", "part"), [("configure", "would write"), ("daemonize", "start")])
@pytest.mark.parametrize("node", ["worker", "server"])
def test_the_names_people_know_are_parts_of_the_same_script(node, name, part, tmp_path):
    image = ["--image", "dip-worker"] if node == "worker" else []
    script = CONFIG / f"{name}_{node}.sh"
    found = run("bash", script, "--dry-run", *image, env=calm(tmp_path))
    assert found.returncode == 0, found.stderr
    assert part in found.stdout
    assert ("systemctl enable --quiet docker-" in found.stdout) is (name == "daemonize")
    assert len(script.read_text().splitlines()) == 3


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in ("docker-worker-compose", "docker-compose"):
        shutil.copy(CONFIG / "systemd" / f"{unit}.service", units)
    (units / "docker.service").write_text("[Service]\nExecStart=/usr/bin/dockerd\n")
    for path in (
        "usr/bin/dockerd",
        "usr/local/lib/dip/worker-run",
        "opt/dip/.venv/bin/python",
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o755)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    found = run(
        "systemd-analyze",
        "verify",
        "--man=no",
        "--recursive-errors=no",
        f"--root={tmp_path}",
        "docker-worker-compose.service",
        "docker-compose.service",
    )
    ours = [line for line in found.stderr.splitlines() if "compose" in line]
    assert (found.returncode, ours) == (0, [])


def test_the_brokers_definitions_hold_the_apps_queues_with_their_limits():
    made = definitions("dip", "secret", b"salt")
    queues = {each["name"]: each for each in made["queues"]}
    assert set(queues) == {queue.name for queue in resources.QUEUES}
    jobs = queues[resources.JOBS.name]
    assert jobs["arguments"] == resources.JOBS.arguments
    assert jobs["durable"]
    assert "secret" not in json.dumps(made)


def test_the_worker_image_installs_what_the_tests_ran_with():
    whole, part = (
        {line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line}
        for path in (TOP / "requirements.lock", TOP / "cluster_worker" / "requirements.lock")
    )
    assert part
    assert part <= whole
