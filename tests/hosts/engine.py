"""The engine's host of a test: runs what it is asked, one line of JSON for each job."""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cluster_worker import Engine
from cluster_worker.engine import file_plans
from cluster_worker.engine.hosts.group import Hosts
from cluster_worker.engine.results import Results
from cluster_worker.errors import Broken, Rejected
from cluster_worker.objects.store import open_store
from tests.hosts.lab import ADDRESSES, SECRET


def answer(question, folder):
    if "store" in question:
        open_store("s3://images").write_file("in.tif", Path(question["store"]))
        return {}
    names = [ADDRESSES[each] for each in question["hosts"]]
    (folder / "secret").write_text(question.get("secret", SECRET))
    hosts = Hosts.of(names, "s3://images/scratch", folder / "secret", question.get("ports", ""))
    with Engine(question["ranks"], warm=False, hosts=hosts) as engine:
        if "source" in question:
            began = time.monotonic()
            # As for a file that does not fit the memory.
            file_plans.MEMORY_BYTES_MAX = 0
            engine.run_file(question["source"], question["target"], question["steps"])
            return {"run seconds": time.monotonic() - began}
        kernels = engine.kernels.are_ready
        result = engine.run(np.load(question["image"]), question["steps"], progress=say_tiles)
    tables = {}
    if isinstance(result, Results):
        tables = {name: dict(table) for name, table in result.tables.items()}
        result = result.image
    np.savez(question["target"], image=result, **next(iter(tables.values()), {}))
    return {"kernels": kernels}


def say_tiles(done, total):
    sys.stderr.write(f"tiles {done} of {total}\n")
    sys.stderr.flush()


def main():
    with tempfile.TemporaryDirectory() as folder:
        print("ready", flush=True)  # noqa: T201 - the test reads it
        for line in sys.stdin:
            began = time.monotonic()
            try:
                found = answer(json.loads(line), Path(folder))
            except (Broken, Rejected) as error:
                found = {"error": f"{type(error).__name__}: {error}"}
            found["seconds"] = time.monotonic() - began
            print(json.dumps(found), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
