"""`pip install .` in a fresh Debian, as one who only wants `dip` and `Engine` does."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from config.contract.settings import TOP
from tests.app import pictures
from tests.machines.machine import PATH, base, call, copy_from_host, copy_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

# Processes and shared memory of its own, and this machine's network and devices.
ENTER = (
    'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev"'
    ' && mount -t tmpfs tmpfs "$0/dev/shm" && exec chroot "$0" "$@"'
)
SPACES = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
# Debian 12 and 13, and the Python that each of them has.
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}


class Installed:
    """A Debian with an environment that has the package alone.

    Parameters
    ----------
    root : Path
        The folder of the Debian.
    """

    def __init__(self, root):
        self.root = root
        self.folder = root / "root"

    def run(self, command, *arguments, timeout=400):
        """Run a command in the environment, or by its path; return its output."""
        path = command if command.startswith("/") else f"/root/venv/bin/{command}"
        inside = ("env", "--chdir", "/root", path, *arguments)
        environment = {"PATH": PATH, "HOME": "/root"}
        entered = ("unshare", *SPACES, "sh", "-c", ENTER, self.root, *inside)
        return call(*entered, timeout=timeout, env=environment)


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request, tmp_path_factory):
    root = copy_of(base(request.param), tmp_path_factory.mktemp("installed") / request.param)
    copy_from_host(root, "/etc/resolv.conf")
    source = root / "root/source"
    source.mkdir()
    shutil.copy(TOP / "pyproject.toml", source)
    for name in ("cluster_worker", "config"):
        ignored = shutil.ignore_patterns("__pycache__", ".env")
        shutil.copytree(TOP / name, source / name, ignore=ignored)
    made = Installed(root)
    made.run("/usr/bin/python3", "-m", "venv", "/root/venv")
    assert made.run("python", "--version").startswith(f"Python {PYTHONS[request.param]}.")
    made.run("pip", "install", "--quiet", "--no-compile", "/root/source", timeout=1200)
    yield made
    shutil.rmtree(root)


def test_the_example_of_the_readme_works(installed):
    (example,) = re.findall(r"```python\n(from cluster_worker.*?)```", readme(), re.DOTALL)
    body = "\n".join(f"    {line}" for line in example.replace("ranks=4", "ranks=2").splitlines())
    (installed.folder / "example.py").write_text(
        "if __name__ == '__main__':\n    from skimage import data\n    image = data.astronaut()\n"
        f"{body}\n    print(mask.shape, mask.dtype, sorted(set(mask.ravel().tolist())))\n"
    )
    found = installed.run("python", "example.py")
    assert found == "(512, 512) uint8 [0, 255]\n"


def readme():
    return (TOP / "README.md").read_text()


def test_the_shell_command_works(installed):
    image = pictures.small(0)
    (installed.folder / "in.png").write_bytes(pictures.png(image))
    steps = ("gaussian", "sigma=2", "--ranks", "2")
    installed.run("dip", "run", "in.png", "out.png", *steps)
    pictures.assert_blurred(np.asarray(Image.open(installed.folder / "out.png")), image)
    assert "sigma" in installed.run("dip", "operations", "gaussian")


def test_what_only_a_node_needs_is_not_installed(installed):
    listed = installed.run("pip", "list").lower()
    assert "scikit-image" in listed
    assert not [name for name in ("pika", "boto3", "chalice", "moto") if name in listed]
