"""One candidate in a process of its own, which reads what to run from standard input.

`python -m tests.benchmarks.peer LIBRARY THREADS MODULE`, where the module of this folder has the
library's functions.
"""

import ctypes
import importlib
import json
import sys
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np

from cluster_worker.pixels.shared_memory import Pixels
from tests.cluster_worker.operations import reference


@cache
def mapped(path, shape, dtype):
    """Map an image and read all of it; the mapping is kept for the next call."""
    image = Pixels(path, shape, dtype).map(writable=True)
    image.sum()
    return image


def work_of(library, module, question):
    """Return the function of the image that a question asks for."""
    if library == "scikit-image":
        return lambda image: own(image, reference.run(image, question["steps"], "native")[0])
    return module.PEERS[library][question["case"]]


def own(image, result):
    """Return the result, copied if it is a view of the image."""
    return result.copy() if np.may_share_memory(image, result) else result


def return_memory():
    """Return the memory that the allocator keeps to the system."""
    ctypes.CDLL(None).malloc_trim(0)


def answer(value):
    """Write one line of JSON to standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main():
    """Answer one question per line until standard input ends."""
    warnings.simplefilter("ignore")
    library, threads = sys.argv[1], int(sys.argv[2])
    module = importlib.import_module(f"tests.benchmarks.{sys.argv[3]}")
    module.limit_threads(threads)
    answer("ready")
    for line in sys.stdin:
        question = json.loads(line)
        shape = tuple(question["shape"])
        image = mapped(question["path"], shape, question["dtype"])
        work = work_of(library, module, question)
        if question["cold"]:
            return_memory()
        began = time.perf_counter()
        result = work(image)
        seconds = time.perf_counter() - began
        if question["save"]:
            np.save(Path(question["save"]), result)
        del result
        if question["last"]:
            mapped.cache_clear()
            del image
            # Memory that the allocator keeps would hide how much the next row needs.
            return_memory()
        answer(seconds)


if __name__ == "__main__":
    main()
