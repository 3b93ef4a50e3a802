"""The node scripts and units, as far as they can be judged without a machine of their own."""

import json
import shutil
import subprocess
import sys

import pytest

from config.contract import resources
from config.contract.definitions import definitions
from config.contract.settings import TOP

CONFIG = TOP / "config"
PROGRAMS = ("worker-run", "host-schedules")
SCRIPTS = sorted([*CONFIG.glob("*.sh"), *(CONFIG / "systemd" / each for each in PROGRAMS)])
NODES = ("worker", "server", "broker", "host")
UNITS = ("docker-worker-compose", "docker-compose", "host-schedules")
OPTIONS = {
    "worker": ["--image", "dip-worker"],
    "host": ["--image", "dip-worker", "--env-file", "/dev/null", "--api", "/dev/null"],
}


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
    script = CONFIG / f"{node}-node-config.sh"
    found = run("bash", script, "--dry-run", *OPTIONS.get(node, ()), env=calm(tmp_path))
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert all(line.startswith(("would ", "this machine is ")) for line in lines[:-1]), lines
    assert any("/etc/systemd/system/" in line for line in lines)
    assert any(line.startswith("would run: systemctl enable") for line in lines)
    # Whatever it called beyond asking would have left a note.
    assert not (tmp_path / "called").exists()


def test_a_worker_of_a_group_gets_its_secret_and_lets_the_group_in(tmp_path):
    environment, secret = calm(tmp_path), tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    (tmp_path / "dip.env").write_text("HOSTS_MAX=2\nMPI_PORTS=31000:31099\n")
    given = ["--hosts-secret", secret, "--hosts-from", "10.0.0.0/24"]
    command = ["bash", CONFIG / "worker-node-config.sh", "--dry-run", "--image", "dip-worker"]
    command += ["--env-file", tmp_path / "dip.env", *given]

    def lines(name, content):
        (tmp_path / name).write_text(f"#!/bin/sh\n{content}\n")
        (tmp_path / name).chmod(0o755)
        return run(*command, env=environment).stdout.splitlines()

    rich = "rule family=ipv4 source address=10.0.0.0/24 port port=31000-31099 protocol=tcp accept"
    assert any(rich in line for line in lines("firewall-cmd", "exit 0"))
    found = lines("ufw", "echo Status: active")
    copied = f"would run: install -D --mode=400 --owner=dip-worker {secret} /etc/dip/hosts-secret"
    assert copied in found
    allowed = "ufw allow proto tcp from 10.0.0.0/24 to any port 7321,31000:31099"
    assert f"would run: {allowed}" in found


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


def test_the_folders_of_app_and_settings_may_be_chosen(tmp_path):
    chosen = calm(tmp_path) | {"INSTALL_DIR": "/srv/dip/", "CONFIG_DIR": "/srv/settings"}
    for node in ("server", "worker"):
        script = CONFIG / f"{node}-node-config.sh"
        image = ["--image", "dip-worker"] if node == "worker" else []
        text = run("bash", script, "--dry-run", *image, env=chosen).stdout
        assert "/srv/dip/" in text
        assert "/opt/dip" not in text + "/usr/local/lib/dip" * (node == "server")
    # What is installed names the chosen folders.
    for name, default in (
        ("docker-compose.service", "/opt/dip"),
        ("docker-worker-compose.service", "/usr/local/lib/dip"),
        ("worker-run", "/usr/local/lib/dip"),
        ("host-schedules.service", "/usr/local/lib/dip"),
        ("host-schedules", "/usr/local/lib/dip"),
    ):
        code = f". {CONFIG}/node.sh; put_adjusted {CONFIG}/systemd/{name} {tmp_path}/{name} 644"
        found = run("bash", "-c", code, env=chosen_for(default))
        assert found.returncode == 0, found.stderr
        text = (tmp_path / name).read_text()
        assert not [old for old in ("/etc/dip", default) if old in text]
        assert "/srv/settings/" in text or "ExecStart=/srv/dip/" in text


def chosen_for(default):
    return {
        "PATH": "/usr/bin:/bin",
        "INSTALL_DIR": "/srv/dip",
        "CONFIG_DIR": "/srv/settings",
        "default_install_dir": default,
    }


def test_a_folder_that_units_cannot_name_is_one_sentence():
    environment = {"PATH": "/usr/bin:/bin", "INSTALL_DIR": "my app"}
    found = run("bash", CONFIG / "server-node-config.sh", "--dry-run", env=environment)
    assert (found.returncode, found.stderr) == (
        1,
        "INSTALL_DIR: must be an absolute path of letters, digits and . _ / -, got my app\n",
    )


@pytest.mark.parametrize(
    ("tool", "version", "sentence"),
    [
        ("python3", "3.9.2", "Python 3.11 or newer is needed, got Python 3.9.2"),
        ("node", "v18.19.0", "Node 20 or newer is needed to build the site, got v18.19.0"),
    ],
)
def test_a_server_looks_at_python_and_node_before_anything_long(tool, version, sentence, tmp_path):
    """Debian 12 has Node 18: the packages of its npm would be installed in vain."""
    checkout, commands = tmp_path / "checkout", tmp_path / "commands"
    shutil.copytree(CONFIG, checkout / "config")
    commands.mkdir()
    environment = calm(commands)
    old = {
        "python3": f'case $1 in --version) echo "Python {version}" ;; *) exit 1 ;; esac',
        "node": f"case $1 in --version) echo {version} ;; *) exit 1 ;; esac",
    }
    for name in ("python3.13", "python3.12", "python3.11"):
        stub(commands / name, "exit 1")
    stub(commands / "apt-cache", 'echo "  Candidate: 18.20.4+dfsg-1~deb12u1"')
    stub(commands / tool, old[tool])
    found = run("bash", checkout / "config" / "server-node-config.sh", env=environment)
    assert found.returncode == 1
    assert found.stderr.startswith(sentence)
    called = commands / "called"
    assert not called.exists() or "npm" not in called.read_text()


def stub(path, code):
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)


def test_without_root_all_other_steps_run_and_the_command_that_needs_it_is_printed(tmp_path):
    checkout, commands = tmp_path / "checkout", tmp_path / "commands"
    for folder in ("infra/local", "frontend/dist", "config/contract", ".venv/bin", ".run"):
        (checkout / folder).mkdir(parents=True)
    for folder in ("cluster_worker/operations", "cluster_worker/kernels", "api/chalicelib"):
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "a.py").touch()
    (checkout / "cluster_worker/table_pictures.py").touch()
    (checkout / "docs/operations/pictures").mkdir(parents=True)
    names = "requirements.lock", "pyproject.toml", "frontend/package-lock.json"
    for name in (*names, "config/contract/presets.json", "config/contract/formats.json"):
        (checkout / name).touch()
    shutil.copy(TOP / "infra/local/setup.sh", checkout / "infra/local")
    commands.mkdir()
    for name in ("npm", ".venv"):
        target = commands / "npm" if name == "npm" else checkout / ".venv/bin/python"
        stub(target, f'echo "{name} $*" >> {commands}/called')
    stub(checkout / ".venv/bin/pip", f'echo "pip $*" >> {commands}/called')
    (checkout / "frontend/node_modules").mkdir()
    stub(commands / "node", "exit 0")
    stub(commands / "id", "echo 1000")
    stub(commands / "apt-get", f"echo apt-get >> {commands}/called")
    # This machine may have the packages; `vips` is not on the path.
    environment = {"PATH": f"{commands}:{tools(tmp_path)}", "HOME": str(tmp_path)}
    found = run("bash", checkout / "infra/local/setup.sh", "bench", env=environment)
    assert found.returncode == 1, found.stderr
    last = found.stdout.splitlines()[-1]
    assert last.startswith("missing: ")
    assert last.endswith("libvips-tools; run: sudo infra/local/setup.sh bench packages")
    called = (commands / "called").read_text()
    for step in ("npm --prefix frontend ci", "pip install", "npm --prefix frontend run build"):
        assert step in called
    assert "apt-get" not in called


def tools(folder):
    """Make a folder of the machine's commands that the script needs, without others."""
    found = folder / "tools"
    found.mkdir()
    for name in (
        *("bash", "sh", "cat", "cut", "dirname", "find", "flock", "mkdir", "mv", "rm"),
        *("sha256sum", "sort", "tail", "xargs", "env"),
    ):
        (found / name).symlink_to(shutil.which(name))
    (found / "python3").symlink_to(f"{sys.base_prefix}/bin/python3")
    return found


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
    ours = [f"{each}.service" for each in UNITS]
    for unit in ours:
        shutil.copy(CONFIG / "systemd" / unit, units)
    (units / "docker.service").write_text("[Service]\nExecStart=/usr/bin/dockerd\n")
    for path in (
        "usr/bin/dockerd",
        "usr/bin/docker",
        "usr/local/lib/dip/worker-run",
        "usr/local/lib/dip/host-schedules",
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
        *ours,
    )
    about_ours = [line for line in found.stderr.splitlines() if any(each in line for each in UNITS)]
    assert (found.returncode, about_ours) == (0, [])


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
