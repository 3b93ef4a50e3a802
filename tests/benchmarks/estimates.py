"""Compare the cost model's estimates with processor time, at both ends of every parameter.

`python -m tests.benchmarks.estimates [OPERATION …]` runs each operation on a picture of 512 × 512
pixels, with its defaults and with each parameter at both ends, or each of its options. It prints
the runs whose time and estimate differ by more than a factor of three. A run that takes longer than
`SECONDS_MAX` seconds of processor time is ended, and counts as that long.
"""

import argparse
import json
import os
import pickle
import resource
import signal
import time
import warnings
from functools import partial

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.cost import estimate
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.benchmarks.images import photograph, suited

SIDE = 512
# What differs by more than this factor is listed, if either of both is as long as a short job.
TIMES = 3.0
SHORT_SECONDS = 0.005
SECONDS_MAX = 40
# What is shorter runs a second time: a first run may load compiled loops.
AGAIN_SECONDS = 3.0
RATES = MEASURED.compute_bound()
say = partial(print, flush=True)


def main(arguments=None):
    """Run the operations, print each run that is far from its estimate, and count them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.estimates")
    parser.add_argument("operations", nargs="*", help="instead of all")
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    runs, far = 0, 0
    for name in parser.parse_args(arguments).operations or OPERATIONS:
        for parameters in settings(OPERATIONS[name]):
            found = compare(OPERATIONS[name], parameters)
            if found is None:
                continue
            runs += 1
            seconds, estimated = found
            if is_far(seconds, estimated):
                far += 1
                words = " ".join(f"{key}={value}" for key, value in parameters.items())
                say(
                    f"{name} {words}: {seconds:.3f} s, estimated {estimated:.3f} s, "
                    f"{seconds / estimated:.2f} times",
                )
    say(f"{far} of {runs} runs differ from their estimate by more than {TIMES:.0f} times")


def settings(operation):
    """Yield the defaults, and each parameter at its ends or with each of its options."""
    yield {}
    for name, schema in operation.parameters.items():
        if "enum" in schema:
            values = schema["enum"]
        elif schema["type"] == "boolean":
            values = [False, True]
        elif schema["type"] == "array" or "minimum" not in schema:
            values = []
        else:
            values = [schema["minimum"], schema["maximum"]]
        for value in values:
            if value != schema["default"]:
                yield {name: value}


def is_far(seconds, estimated):
    """Return whether a run that is worth it took much longer or shorter than its estimate."""
    return max(seconds, estimated) >= SHORT_SECONDS and not (
        1 / TIMES <= seconds / estimated <= TIMES
    )


def second(takes, image):
    """Make a second image of a kind, with the rows and columns of an image."""
    rows, columns = np.indices(image.shape[:2])
    if takes == "mask":
        return photograph(SIDE, SIDE, colours=False) > 60
    if takes == "labels":
        return (rows // 9 * 57 + columns // 9).astype(np.uint32)
    return np.ascontiguousarray(image[::-1])


def compare(operation, parameters):
    """Return the processor seconds of a run and the estimate; None if it is refused."""
    image = suited(operation, SIDE, SIDE)
    needed = operation.required
    inputs = {each: second(operation.inputs[each]["takes"], image) for each in needed}
    step = {"operation": operation.name, **parameters, **{n: f"input:{n}" for n in needed}}
    headers = tuple((n, header_of(x.shape, str(x.dtype))) for n, x in inputs.items())
    try:
        steps = json.dumps(recipe.check([step], catalogue(), 20, tuple(inputs)))
        request = RecipeRequest(header_of(image.shape, str(image.dtype)), steps, headers)
        planned = plan_recipe(request)
    except (Rejected, ValueError):
        return None
    estimated = estimate(planned, 1, 1, RATES).seconds
    seconds = in_child(lambda: run_recipe_alone(planned, image, inputs))
    return None if seconds is None else (seconds, estimated)


def in_child(work):
    """Call a function in a child; return its processor seconds, or None if it is refused."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + SECONDS_MAX, used + SECONDS_MAX + 5))
        try:
            found = seconds_of(work)
        except Rejected:
            found = None
        os.write(writing, pickle.dumps(found))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        written = answer.read()
    os.waitpid(pid, 0)
    return pickle.loads(written) if written else float(SECONDS_MAX)  # noqa: S301 - own child


def seconds_of(work):
    """Return the processor seconds of a call, or of a second one if it is short."""
    taken = []
    while not taken or (len(taken) < 2 and taken[0] < AGAIN_SECONDS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


if __name__ == "__main__":
    main()
