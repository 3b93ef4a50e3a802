"""Every other operation of the catalogue: two ranks beside serial scikit-image."""

from contextlib import ExitStack
from functools import partial

from cluster_worker import Engine
from cluster_worker.operations import OPERATIONS, catalogue
from config.contract import recipe
from tests.benchmarks.candidates import SERIAL, peers, run_held
from tests.benchmarks.cases import CASES
from tests.benchmarks.clock import interleave
from tests.benchmarks.images import put, suited

RANKS = 2
SHAPES = ((512, 512), (1024, 1024), (2048, 2048), (4000, 6000))
# An operation runs on the largest shape for which scikit-image is expected to take at most this.
SERIAL_SECONDS_MAX = 1.5
REPEATS = 3
SECONDS_MAX = 4.0
# An operation that takes scikit-image longer must gain `GAIN_MIN`; none may be below `LOSS_MIN`.
WORTH_SECONDS = 0.05
GAIN_MIN = 1.7
LOSS_MIN = 0.9


def run(folder, say, names=None, shapes=SHAPES):
    """Return one row for each operation.

    Parameters
    ----------
    folder : Path
        Folder in memory, for the images.
    say : callable
        Called with a line of text after each operation.
    names : sequence of str, optional
        Operations to run, instead of all that are not among `CASES`.
    """
    cased = {case.step["operation"] for case in CASES}
    names = [name for name in OPERATIONS if name not in cased] if names is None else names
    rows = []
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(RANKS, job_memory_bytes_max=12 << 30))
        [serial] = peers(stack, [(SERIAL, 1)])
        for name in names:
            rows.append(row(OPERATIONS[name], engine, serial, folder, shapes))
            say(f"{name}: {rows[-1]['seconds'][SERIAL] / rows[-1]['seconds']['resident']:.1f}×")
    return rows


def row(operation, engine, serial, folder, shapes):
    """Time one operation on the largest image that scikit-image processes in time."""
    steps = recipe.check([{"operation": operation.name}], catalogue(), 1)
    shapes = list(shapes)
    while True:
        shape = shapes.pop(0)
        image = suited(operation, *shape)
        question = {"steps": steps, **put(image, folder, "image")}
        seconds = serial.ask(question)
        grows = shapes[0][0] * shapes[0][1] / (shape[0] * shape[1]) if shapes else 0
        if not shapes or seconds * grows > SERIAL_SECONDS_MAX:
            break
        serial.ask(question, last=True)
    with engine.hold(image) as held:
        run_held(engine, held, steps)
        candidates = {
            SERIAL: partial(serial.ask, question),
            "resident": partial(run_held, engine, held, steps),
        }
        taken = interleave(candidates, REPEATS, SECONDS_MAX)
    serial.ask(question, last=True)
    (folder / "image").unlink()
    return {
        "operation": operation.name,
        "kind": operation.decomposition.name,
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "seconds": taken.seconds,
    }


def falls_short(row):
    """Return whether an operation gains too little, or loses."""
    serial = row["seconds"][SERIAL]
    gain = serial / row["seconds"]["resident"]
    return gain < LOSS_MIN or (serial > WORTH_SECONDS and gain < GAIN_MIN)
