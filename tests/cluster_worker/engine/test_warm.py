"""A process that is warmed up compiles no loop during a job."""

import subprocess
import sys

import pytest

# Prints which loops are still compiled after the warm-up, by chains that put each operation between
# two blurs, and by each choice of its parameters.
CODE = """
import sys, warnings
from numba import config
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from cluster_worker.engine import warm
from cluster_worker.operations import OPERATIONS

def compiled():
    return {
        (module, name): len(each.overloads)
        for module in [m for m in sys.modules if m.startswith("cluster_worker.kernels.loops.")]
        for name, each in vars(sys.modules[module]).items()
        if isinstance(each, Dispatcher)
    }

warnings.simplefilter("ignore")
warm.warm_up()
before = compiled()
assert before
assert cpu_target.target_context.codegen().magic_tuple()[-1] == config.CPU_FEATURES

def between(operation):
    pictures = [*warm.ALL, warm.MASK]
    blur, step = warm.default_step(OPERATIONS["gaussian"]), warm.default_step(operation)
    yield [blur, step, blur], pictures
    for name, each in operation.parameters.items():
        for option in each.get("enum", ()):
            yield [{**step, name: option}], pictures

warm.chains = between
warm.warm_up()
for loop, count in compiled().items():
    if count > before.get(loop, 0):
        print(*loop)
"""


@pytest.mark.slow
def test_a_job_compiles_nothing_once_the_process_is_warm():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=240)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
