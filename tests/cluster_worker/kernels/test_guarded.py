"""No kernel reads or writes outside the arrays that it was given.

Every kernel runs over the corners of its parameters, in memory where each array touches a protected
page: once with its last byte, once with its first. It runs in a process of its own. If that process
dies of a signal, the test names the kernel and its parameters.
"""

import faulthandler
import json
import mmap
import os
import resource
import signal
import sys
import traceback
import warnings
from itertools import product
from random import Random

import numpy as np
import pytest

from cluster_worker.errors import Rejected
from cluster_worker.kernels import basins, distances, footprints, morphology
from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array
from cluster_worker.plan.chain import plan
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import measure, run_alone
from tests.cluster_worker.kernels.guarded import functions_of, guarded, keep_no_mappings

WITH_KERNELS = [name for name, each in OPERATIONS.items() if each.kernels]
# (rows, columns) of an image, and of the cores that it is cut into. A row is longer than what a
# loop computes at a time.
SHAPES = (((19, 140), (9, 70)), ((9, 67), None), ((2, 3), None))
# Numbers are tried up to this one: no loop behaves otherwise for a neighbourhood that is larger
# than all images. Classes are fewer, because finding them takes seconds, in no loop.
MOST = 12
# The results of these grow with the square of a number.
MOST_OF = {"rescale": 3}
# Defaults are tried as well, up to this one: they may be the sides of an image, or rounds.
DEFAULT_MOST = 40
CLASSES = [2, 3]
# Sets of parameters that are tried for an operation with more, in the long test.
SETS = 1000
# Most seconds of a child's processor time. Others may use the cores as well, so a test waits longer
# for its child than that.
CPU_SECONDS_MAX = 1200


def corners(schema, most=MOST):
    """Return the values of a parameter at which a kernel may go wrong; numbers up to `most`."""
    if "enum" in schema:
        return schema["enum"]
    if schema["type"] == "boolean":
        return [False, True]
    if schema["type"] == "array":
        # Of a region all that is measured without a second image.
        names = schema["items"].get("enum", ())
        alone = [each for each in names if "intensity" not in each and "weighted" not in each]
        return [schema["default"], *([alone] if alone else [])]
    low, high = schema["minimum"], schema["maximum"]
    usual = min(schema["default"] or low, max(low, DEFAULT_MOST))
    found = {low, min(high, most), min(high, max(low, usual))}
    if "integer" in schema["type"]:
        found |= {min(high, low + 1), min(high, low + 2)}
    return [*sorted(found), *([None] if "null" in schema["type"] else [])]


def parameter_sets(operation, every):
    """Yield sets of parameters that one of the kernels serves, in the same order each time.

    Without `every` those are left out whose corners have all been in earlier ones.
    """
    names, most = list(operation.parameters), MOST_OF.get(operation.name, MOST)
    values = [
        CLASSES if name == "classes" else corners(operation.parameters[name], most)
        for name in names
    ]
    chosen, seen = list(product(*values)), set()
    # The same order each time; nothing here is secret.
    Random(operation.name).shuffle(chosen)  # noqa: S311
    for each in chosen[: SETS if every else None]:
        parameters = dict(zip(names, each, strict=True))
        new = {(name, str(value)) for name, value in parameters.items()} - seen
        if (every or new or not names) and any(k.when(**parameters) for k in operation.kernels):
            seen |= new
            yield parameters


def images_for(operation, shape):
    """Yield an image of each kind that a kernel of the operation takes as it is."""
    random = np.random.default_rng(1)
    types = dict.fromkeys(name for kernel in operation.kernels for name in kernel.takes)
    for dtype in types:
        levels = random.random(shape) ** 4
        if dtype == "bool":
            yield levels > 0.3
            continue
        white = 1 if dtype.startswith("float") else np.iinfo(dtype).max
        gray = (levels * white).astype(dtype)
        if operation.takes == "labels" or dtype in ("uint32", "int32", "int64"):
            yield gray
            continue
        yield gray
        yield np.stack([gray, gray[::-1], gray[:, ::-1]], axis=2)


def run_guarded(operation, every, current):
    """Run all cases of an operation, and write each into `current` before it starts.

    At the end `current` holds how many there were.
    """
    sets = runs = 0
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    if every:
        # The long test also finds what is used after it was freed.
        keep_no_mappings()
    for i, parameters in enumerate(parameter_sets(operation, every)):
        sets += 1
        steps = json.dumps([{"operation": operation.name, **parameters}])
        for shape, core in SHAPES if every else [SHAPES[i % len(SHAPES)]]:
            for image in images_for(operation, shape):
                case = f"{operation.name} {parameters}, {image.dtype} {image.shape}"
                note(current, case)
                results = [result_of(image, steps, core, front) for front in (False, True)]
                runs += len(results)
                assert same(*results), f"{case}: the result depends on where the image lies"
    note(current, f"{operation.name}: {sets} sets of parameters, {runs} runs")


def note(current, line):
    """Write a line into the memory that a child shares with its parent."""
    current.seek(0)
    current.write(line.encode().ljust(len(current)))


def result_of(image, steps, core, front):
    """Return the result of a chain in guarded memory, or the sentence that refuses the image."""
    try:
        planned = plan(PlanRequest(header_of(image.shape, str(image.dtype)), steps, "input", core))
        with guarded(front):
            if planned.gives_table:
                return measured(planned, image.copy())
            return run_alone(planned, image.copy())
    except Rejected as error:
        return str(error)


def measured(planned, image):
    """Return what a table is made of, as one array."""
    scratch = [Array(np.empty(each.shape, each.dtype)) for each in planned.buffers]
    found = measure(planned, Array(image), scratch, SingleRank(), lambda tiles: None)
    return np.concatenate([np.ravel(each).astype(np.float64) for each in found.values()])


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def outcome_of(name, every=False):
    """Run all cases of an operation in a process of its own; return "" or what went wrong."""
    return outcome_in_child(lambda current: run_guarded(OPERATIONS[name], every, current))


def outcome_in_child(work):
    """Call a function, which writes what it does into memory that it is given, as `outcome_of`."""
    with mmap.mmap(-1, 1 << 16) as current, mmap.mmap(-1, 1 << 16) as failed:
        # Compiled here, once for all operations.
        functions_of(True), functions_of(False)
        pid = os.fork()
        if pid == 0:
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
            try:
                work(current)
            except BaseException:  # noqa: BLE001 - shown by the parent
                failed.write(traceback.format_exc()[-60_000:].encode())
            finally:
                os._exit(0)
        try:
            _, status = os.waitpid(pid, 0)
        except BaseException:
            # The test's own time is over.
            os.kill(pid, signal.SIGKILL)
            raise
        if os.WIFSIGNALED(status):
            return f"{signal.Signals(os.WTERMSIG(status)).name}: {current[:].decode().strip()}"
        sys.stdout.write(current[:].decode().strip() + "\n")
        return failed[:].rstrip(b"\0").decode()


@pytest.mark.parametrize("name", WITH_KERNELS)
def test_a_kernel_stays_within_its_arrays(name):
    assert not outcome_of(name)


def distances_of(mask):
    return distances.along_rows(distances.along_columns(mask), 3)


def basins_of(mask):
    relief = np.indices(mask.shape).sum(axis=0) % 5
    markers = (np.arange(mask.size) % 7 == 0).reshape(mask.shape).astype(np.int32)
    connected = [basins.watershed_by_position(relief, markers, i, mask) for i in (1, 2)]
    return np.stack(connected)


@pytest.mark.parametrize("function", [distances_of, basins_of])
def test_a_loop_that_a_function_calls_stays_within_its_arrays(function):
    def run(current):
        for shape in ((1, 1), (1, 67), (9, 1), (19, 140)):
            for share in (0, 0.4, 1):
                note(current, f"{function.__name__} {shape} {share}")
                mask = np.random.default_rng(1).random(shape) < share
                results = []
                for front in (False, True):
                    with guarded(front):
                        results.append(function(mask.copy()))
                np.testing.assert_array_equal(*results)

    function(np.ones((2, 2), bool))
    assert not outcome_in_child(run)


@pytest.mark.long
@pytest.mark.timeout(12 * CPU_SECONDS_MAX)
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_a_kernel_stays_within_its_arrays_at_every_corner(name):
    assert not outcome_of(name, every=True)


def test_a_reach_that_is_one_too_small_is_found_out(monkeypatch):
    """Show that the tests above would fail if a kernel were told too small a reach."""
    monkeypatch.setattr(
        morphology, "footprint_reach", lambda *given: footprints.footprint_reach(*given) - 1
    )
    assert outcome_of("dilation").startswith("SIGSEGV: dilation {'footprint'")
