"""Run operations as on a plainer processor, and print a digest of every result.

`python -m tests.cluster_worker.kernels.processors TARGET NAME …` pretends, before anything is
loaded, that the processor lacks the features that the target lacks. The libraries are told by
variables of the environment, which `environment` returns; numba is told by LLVM's own answers.
"""

import hashlib
import json
import os
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
from numpy._core import _multiarray_umath as numpy_c

from cluster_worker.engine.compiling import TOP, fingerprint

# Features that every processor with 64 bits has, and those of x86-64-v3, of the year 2013.
BASELINE = ("64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2")
AVX2 = (
    *BASELINE,
    *("cx16", "sahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"),
    *("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"),
)
# For each target: LLVM's name, the features, and the best kind that OpenBLAS has for it.
TARGETS = {
    "own": None,
    "avx2": ("haswell", AVX2, "Haswell"),
    "plain": ("x86-64", BASELINE, "Core2"),
}
# What the libraries choose code by, in their words: all that is beyond AVX2, then AVX2 and below.
NUMPY = (("X86_V4", "AVX512_ICL", "AVX512_SPR"), ("X86_V3",))
OPENCV = (("AVX512-SKX",), ("AVX2", "FMA3", "FP16", "AVX", "SSE4.2", "SSE4.1", "SSSE3"))
GLIBC = (("AVX512F", "AVX512VL"), ("AVX2", "FMA", "FMA4", "AVX"))
# Images on which results are compared, of those in `images.py`: each kind of pixel once.
COMPARED = ("photograph", "16 bit", "float", "float64", "mask", "classes", "labels")


def environment(target):
    """Return the variables with which a child computes as on a target.

    What numba compiles for it is kept in a folder of its own for later runs.
    """
    if TARGETS[target] is None:
        return dict(os.environ)
    without = slice(0, 1 if target == "avx2" else 2)
    known = {*numpy_c.__cpu_dispatch__} & {k for k, has in numpy_c.__cpu_features__.items() if has}
    disabled = [each for group in NUMPY[without] for each in group if each in known]
    glibc = ",".join(f"-{each}" for group in GLIBC[without] for each in group)
    folder = TOP / ".run" / "processors" / f"{target}-{fingerprint()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "NPY_DISABLE_CPU_FEATURES": " ".join(disabled),
        "OPENCV_CPU_DISABLE": ",".join(each for group in OPENCV[without] for each in group),
        "OPENBLAS_CORETYPE": TARGETS[target][2],
        "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={glibc}",
        "NUMBA_CACHE_DIR": str(folder),
    }


def digests_in_child(target, names, seconds):
    """Run operations as on a target; return a dictionary from each case to a digest."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster_worker.kernels.processors", target, *names],
        env=environment(target),
        cwd=TOP,
        stdout=subprocess.PIPE,
        timeout=seconds,
        check=True,
    )
    return json.loads(done.stdout)


def pretend(name, features):
    """Have LLVM tell another processor's name, and only those of the features that are given."""
    found = llvm.get_host_cpu_features()
    for each in found:
        found[each] = found[each] and each in features
    llvm.get_host_cpu_name = lambda: name
    llvm.get_host_cpu_features = lambda: found


def digests(names):
    """Return a digest of what every case of some operations gives, by the name of the case."""
    from cluster_worker.engine.warm import default_step, other_steps
    from cluster_worker.operations import OPERATIONS
    from tests.cluster_worker.operations.images import IMAGES
    from tests.cluster_worker.operations.reference import is_meant_for

    found = {}
    for name in names:
        operation = OPERATIONS[name]
        step = default_step(operation)
        others = [moved(operation, step), *other_steps(operation)]
        steps = [step, *(each for each in others if each != step)]
        for each in COMPARED:
            for depth in ("input", "native"):
                if not is_meant_for(name, IMAGES[each], depth):
                    continue
                for i, chosen in enumerate(steps):
                    case = f"{name} {i}, {each}, {depth}"
                    found[case] = digest(outcome(chosen, IMAGES[each], depth))
    return found


def moved(operation, step):
    """Return a step whose fractions are other ones: of an exponential, 0 and 1 tell little."""
    return step | {
        name: min(each["maximum"], 1.3 * each["default"] + 0.17)
        for name, each in operation.parameters.items()
        if each["type"] == "number" and isinstance(each["default"], float)
    }


def outcome(step, image, depth):
    """Return all arrays that a step makes of an image, or the sentence that refuses it."""
    from cluster_worker.errors import Rejected
    from cluster_worker.pixels.header import header_of
    from cluster_worker.plan.recipe import plan_recipe
    from cluster_worker.plan.request import RecipeRequest
    from cluster_worker.plan.run_recipe import run_recipe_alone

    header = header_of(image.shape, str(image.dtype))
    try:
        planned = plan_recipe(RecipeRequest(header, json.dumps([step]), depth=depth))
        images, tables = run_recipe_alone(planned, image, {})
    except Rejected as error:
        return [np.frombuffer(str(error).encode(), np.uint8)]
    columns = [np.asarray(c) for table in tables.values() for c in table.values()]
    return [*images, *columns]


def digest(arrays):
    """Return a digest of arrays: types, shapes and bits. All NaN are alike."""
    found = hashlib.sha256()
    for each in arrays:
        values = np.where(np.isnan(each), np.nan, each) if each.dtype.kind == "f" else each
        found.update(f"{each.dtype} {each.shape}".encode() + np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:16]


if __name__ == "__main__":
    if TARGETS[sys.argv[1]] is not None:
        pretend(*TARGETS[sys.argv[1]][:2])
    np.seterr(all="ignore")
    json.dump(digests(sys.argv[2:]), sys.stdout)
