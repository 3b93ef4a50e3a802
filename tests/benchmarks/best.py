"""Where other libraries are best: ours on one rank and two, beside peers on one thread and two."""

from contextlib import ExitStack
from functools import partial

from cluster_worker import Engine
from cluster_worker.operations import catalogue
from config.contract import recipe
from tests.benchmarks.candidates import ONE_THREAD, SERIAL, Resident, peers, run_held
from tests.benchmarks.cases import BEST
from tests.benchmarks.clock import interleave
from tests.benchmarks.images import pictured, put
from tests.benchmarks.operations import ours_off
from tests.benchmarks.pixels import Expected
from tests.benchmarks.specialists import PEERS

RANKS = (1, 2)
REPEATS = 7
SECONDS_MAX = 8.0
LIBRARIES = (
    (SERIAL, 1),
    *((name, n) for name in PEERS for n in ((1,) if name in ONE_THREAD else (1, 2))),
)


def run(folder, say, cases=BEST, libraries=LIBRARIES, shape=None):
    """Return one row for each case.

    Parameters
    ----------
    folder : Path
        Folder in memory, for the images.
    say : callable
        Called with a line of text after each case.
    shape : tuple of int, optional
        (rows, columns) of the images, instead of those of the cases.
    """
    rows = []
    with ExitStack() as stack:
        engines = {n: stack.enter_context(Engine(n, job_memory_bytes_max=12 << 30)) for n in RANKS}
        started = peers(stack, libraries, module="specialists")
        for case in cases:
            rows.append(row(case, shape or case.shape, engines, started, folder))
            taken = rows[-1]["seconds"]
            say(f"{case.name}: " + ", ".join(f"{key} {1e3 * taken[key]:.1f}" for key in taken))
    return rows


def row(case, shape, engines, started, folder):
    """Time one operation with every candidate that has it."""
    steps = recipe.check([case.step], catalogue(), 1)
    image = pictured(case.picture, *shape)
    question = {"case": case.name, "steps": steps, **put(image, folder, "image")}
    taking_part = [each for each in started if has(each, case)]
    serial, *others = [each.first(question, folder)[0] for each in taking_part]
    expected = Expected.of(serial)
    pixels = {SERIAL: 0.0}
    for each, found in zip(taking_part[1:], others, strict=True):
        pixels[each.name] = expected.share_of_others(found)
    candidates = {each.name: partial(each.ask, question) for each in taking_part}
    with ExitStack() as stack:
        for ranks, engine in engines.items():
            name = f"ours {ranks}"
            pixels[name] = ours_off(engine.run(image, steps), expected, image, steps)
            held = stack.enter_context(engine.hold(image))
            run_held(engine, held, steps)
            candidates[name] = Resident(engine, held, steps).run
        taken = interleave(candidates, REPEATS, SECONDS_MAX)
    for each in taking_part:
        each.ask(question, last=True)
    (folder / "image").unlink()
    return {
        "operation": case.name,
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "seconds": taken.seconds,
        "cold": taken.cold,
        "pixels": pixels,
    }


def has(peer, case):
    """Return whether a peer has such an operation; scikit-image has all."""
    return peer.name == SERIAL or case.name in PEERS[peer.library]
