"""Lighthouse, Chrome's audit of pages, finds the empty page quick and accessible."""

import json
import os
import shutil
import subprocess

import pytest

from config.contract.settings import TOP
from tests.site.conftest import ARGUMENTS
from tests.site.pages import print_figure

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

PACKAGES = TOP / "tests" / "site" / "lighthouse"
TARGETS = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}
# The score of performance counts seconds, which differ on a machine with other work.
RUNS = 5


def lighthouse(url, folder):
    """Return the scores of a page on a desktop, from 0 to 100."""
    report = folder / "report.json"
    command = [
        PACKAGES / "node_modules" / ".bin" / "lighthouse",
        *(url, "--preset=desktop", "--quiet", "--output=json", f"--output-path={report}"),
        f"--chrome-flags={' '.join(('--headless', *ARGUMENTS))}",
    ]
    environment = os.environ | {"CHROME_PATH": shutil.which("chromium-headless-shell") or ""}
    subprocess.run(command, check=True, timeout=180, env=environment)
    categories = json.loads(report.read_text())["categories"]
    return {name: round(100 * each["score"]) for name, each in categories.items()}


def test_the_empty_page_reaches_the_scores_of_lighthouse(warm_app, tmp_path):
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PACKAGES, check=True, timeout=300)
    best = dict.fromkeys(TARGETS, 0)
    for _ in range(RUNS):
        found = lighthouse(warm_app.url, tmp_path)
        print_figure(f"lighthouse: {found}")
        best = {name: max(score, found[name]) for name, score in best.items()}
        if all(best[name] >= least for name, least in TARGETS.items()):
            break
    assert {name: max(0, least - best[name]) for name, least in TARGETS.items()} == dict.fromkeys(
        TARGETS, 0
    ), best
