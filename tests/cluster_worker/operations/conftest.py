"""The seed of the random cases, which every run of these tests prints."""

import os
import secrets

# Set here, so that the processes that share a run inherit it.
SEED = int(os.environ.setdefault("SEED", str(secrets.randbelow(1 << 32))))


def pytest_report_header():
    return f"random cases: SEED={SEED} draws the same again"
