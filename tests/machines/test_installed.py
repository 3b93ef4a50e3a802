"""`pip install .` into an empty environment, as one who only wants `dip` and `Engine` does."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from config.contract.settings import TOP
from tests.app import pictures

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def run(*command, timeout=120, **options):
    found = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout, **options
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    return found.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the folder of the commands of an environment that has the package alone."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    shutil.copy(TOP / "pyproject.toml", source)
    for name in ("cluster_worker", "config"):
        ignored = shutil.ignore_patterns("__pycache__", ".env")
        shutil.copytree(TOP / name, source / name, ignore=ignored)
    run(f"{sys.base_prefix}/bin/python3", "-m", "venv", folder / "venv")
    pip = (folder / "venv/bin/pip", "install", "--quiet", "--no-compile")
    run(*pip, source, timeout=800)
    return folder / "venv" / "bin"


def test_the_example_of_the_readme_works(installed, tmp_path):
    (example,) = re.findall(r"```python\n(from cluster_worker.*?)```", readme(), re.DOTALL)
    script = tmp_path / "example.py"
    body = "\n".join(f"    {line}" for line in example.replace("ranks=4", "ranks=2").splitlines())
    script.write_text(
        "if __name__ == '__main__':\n    from skimage import data\n    image = data.astronaut()\n"
        f"{body}\n    print(mask.shape, mask.dtype, sorted(set(mask.ravel().tolist())))\n"
    )
    found = run(installed / "python", script, cwd=tmp_path)
    assert found == "(512, 512) uint8 [0, 255]\n"


def readme():
    return (TOP / "README.md").read_text()


def test_the_shell_command_works(installed, tmp_path):
    image = pictures.small(0)
    (tmp_path / "in.png").write_bytes(pictures.png(image))
    steps = ("gaussian", "sigma=2", "--ranks", "2")
    run(installed / "dip", "run", "in.png", "out.png", *steps, cwd=tmp_path)
    pictures.assert_blurred(np.asarray(Image.open(tmp_path / "out.png")), image)
    assert "sigma" in run(installed / "dip", "operations", "gaussian", cwd=tmp_path)


def test_what_only_a_node_needs_is_not_installed(installed):
    listed = run(installed / "pip", "list").lower()
    assert "scikit-image" in listed
    assert not [name for name in ("pika", "boto3", "chalice", "moto") if name in listed]
