"""Measure, and write the figures to docs/bench.

`python -m tests.benchmarks [PART …]` runs the benchmarks of these names, or without a name all of
them, each in a process of its own. Earlier figures of the other benchmarks are kept.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.benchmarks import (
    best,
    files,
    latency,
    operations,
    others,
    rates,
    regions,
    report,
    scaling,
)
from tests.benchmarks.machine import machine, today

APART_SECONDS = 1800
# On large images, where one run takes a minute, only these libraries are measured.
LARGE = (("scikit-image", 1), ("OpenCV", 2), ("libvips", 2), ("dask", 2))


def apart(name, _folder, say):
    """Measure in a process of its own, `tests.benchmarks.NAME`; return its figures."""
    say("in a process of its own")
    command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=APART_SECONDS, check=True)
    return json.loads(done.stdout)


def neighbours(folder, say):
    """Measure what jobs cost their neighbours, in one engine and through the app."""
    return apart("neighbours", folder, say) | {"app": apart("crowd", folder, say)}


PARTS = {
    "operations": operations.run,
    "large": partial(operations.run, size="100 MP", libraries=LARGE),
    "best": best.run,
    "regions": regions.run,
    "others": others.run,
    "files": files.run,
    "latency": latency.run,
    "rates": rates.run,
    "scaling": scaling.run,
    "neighbours": neighbours,
    "jobs": partial(apart, "jobs"),
}
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "bench"


def main(arguments=None):
    """Run benchmarks one after the other, and write the page after each."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; instead of all")
    names = parser.parse_args(arguments).parts
    for name in names:
        if name not in PARTS:
            parser.error(f"{name}: no part has that name; there are {', '.join(PARTS)}")
    # Raise KeyboardInterrupt on SIGTERM, so that processes are ended and pixel files removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if len(names) == 1:
        measure(names[0], FOLDER)
        return
    for name in names or PARTS:
        subprocess.run([sys.executable, "-m", "tests.benchmarks", name], check=True)


def measure(name, folder, **options):
    """Run one benchmark and write the page."""
    print(f"{name} on {machine()}", flush=True)
    say = partial(print, " ", flush=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as pixels:
        keep(folder, name, PARTS[name](Path(pixels), say, **options))
    report.write(folder)


def keep(folder, name, rows):
    """Write the figures of a benchmark beside those of the others."""
    path = folder / "measured.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    found[name] = {
        "machine": machine(),
        "date": today(),
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
