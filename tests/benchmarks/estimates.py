"""Compare the cost model's estimates with processor time, at both ends of every parameter.

`python -m tests.benchmarks.estimates [OPERATION …]` runs each operation on a picture of 512 × 512
pixels, with its defaults and with each parameter at both ends, or each of its options. It prints
the runs whose time and estimate differ by more than a factor of three.

The sweep ends by itself. A picture is smaller if its estimate is long, a run that is far beyond its
estimate is ended and counts as that long, and after `--seconds` no other operation begins.
"""

import argparse
import json
import math
import os
import pickle
import resource
import signal
import time
import warnings
from functools import partial

import numpy as np

from cluster_worker.engine.warm import warm_up
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

# Largest side of a picture, and least: one is halved while its estimate is longer than a run should
# be.
SIDE, SIDE_MIN = 512, 64
LONG_SECONDS = 2.0
# What differs by more than this factor is listed, if either of both is as long as a short job.
TIMES = 3.0
SHORT_SECONDS = 0.005
# A run is ended after `TIMES` times its estimate and some seconds more, at most after this many.
SECONDS_MAX = 40
SECONDS_MORE = 2
# What is shorter is repeated for about this long: a first run may be slower, and the clock of the
# processor may count hundredths of a second.
AGAIN_SECONDS = 0.3
RATES = MEASURED.compute_bound()
say = partial(print, flush=True)


def main(arguments=None):
    """Run the operations, print each run that is far from its estimate, and count them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.estimates")
    parser.add_argument("operations", nargs="*", help="instead of all")
    parser.add_argument("--seconds", type=float, default=1500, help="most seconds of the sweep")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    names, began = given.operations or list(OPERATIONS), time.monotonic()
    # Loops are loaded once, not in the child of each run.
    warm_up(names)
    runs, far, left = 0, 0, []
    for name in names:
        if time.monotonic() - began > given.seconds:
            left.append(name)
            continue
        found = [compare(OPERATIONS[name], each) for each in settings(OPERATIONS[name])]
        runs += len(found) - found.count(None)
        far += found.count(True)
    say(f"{far} of {runs} runs differ from their estimate by more than {TIMES:.0f} times")
    if left:
        say(f"not run after {given.seconds:.0f} s: {', '.join(left)}")


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
        return photograph(*image.shape[:2], colours=False) > 60
    if takes == "labels":
        return (rows // 9 * 57 + columns // 9).astype(np.uint32)
    return np.ascontiguousarray(image[::-1])


def compare(operation, parameters):
    """Run an operation; return whether it is far from its estimate, and None if it is refused."""
    side = SIDE
    try:
        while True:
            planned, image, inputs = prepared(operation, parameters, side)
            estimated = estimate(planned, 1, 1, RATES).seconds
            if estimated <= LONG_SECONDS or side == SIDE_MIN:
                break
            side //= 2
    except (Rejected, ValueError):
        return None
    most = min(math.ceil(TIMES * estimated) + SECONDS_MORE, SECONDS_MAX)
    seconds = in_child(lambda: run_recipe_alone(planned, image, inputs), most)
    if seconds is None:
        return None
    if far := is_far(seconds, estimated):
        words = " ".join(f"{key}={value}" for key, value in parameters.items())
        say(
            f"{operation.name} {words}: {seconds:.4f} s, estimated {estimated:.4f} s, "
            f"{seconds / estimated:.2f} times" + (f", side {side}" if side < SIDE else ""),
        )
    return far


def prepared(operation, parameters, side):
    """Return the plan of a run on a square image, the image and the second images."""
    image = suited(operation, side, side)
    needed = operation.required
    inputs = {each: second(operation.inputs[each]["takes"], image) for each in needed}
    step = {"operation": operation.name, **parameters, **{n: f"input:{n}" for n in needed}}
    headers = tuple((n, header_of(x.shape, str(x.dtype))) for n, x in inputs.items())
    steps = json.dumps(recipe.check([step], catalogue(), 20, tuple(inputs)))
    request = RecipeRequest(header_of(image.shape, str(image.dtype)), steps, headers)
    return plan_recipe(request), image, inputs


def in_child(work, seconds_max):
    """Call a function in a child; return its processor seconds, or None if it is refused.

    After `seconds_max` the child is ended, and these are returned.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds_max, used + seconds_max + 5))
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
    return pickle.loads(written) if written else float(seconds_max)  # noqa: S301 - own child


def seconds_of(work):
    """Return the processor seconds of a call, the mean of later ones if it is short."""
    began = time.process_time()
    work()
    if (first := time.process_time() - began) > AGAIN_SECONDS:
        return first
    count, began = 0, time.process_time()
    while (taken := time.process_time() - began) < AGAIN_SECONDS / 2:
        work()
        count += 1
    return taken / count


if __name__ == "__main__":
    main()
