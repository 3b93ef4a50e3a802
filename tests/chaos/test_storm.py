"""A storm of ten minutes loses and doubles nothing; see `python -m tests.chaos --help`."""

import subprocess
import sys

import pytest

SECONDS = 600


@pytest.mark.long
@pytest.mark.timeout(3 * SECONDS)
def test_a_storm_of_strikes_loses_doubles_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.chaos", "--seed", "1", "--seconds", str(SECONDS)]
    subprocess.run([*command, "--folder", str(tmp_path)], check=True, timeout=3 * SECONDS)
