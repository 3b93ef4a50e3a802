"""The sixteen operations on photographs, beside every peer, resident and end to end."""

from contextlib import ExitStack
from functools import partial
from statistics import median

from cluster_worker import Engine
from cluster_worker.operations import catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan import cost
from cluster_worker.plan.chain import plan
from config.contract import recipe
from tests.benchmarks.candidates import (
    LIBRARIES,
    SERIAL,
    Resident,
    cool,
    peers,
    processes_of,
    run_whole,
)
from tests.benchmarks.cases import CASES
from tests.benchmarks.clock import interleave, peak_of
from tests.benchmarks.images import SHAPES, pictured, put
from tests.benchmarks.peers import PEERS
from tests.benchmarks.pixels import Expected
from tests.benchmarks.rates import memory_speed
from tests.cluster_worker.operations import reference

RANKS = 2
REPEATS = {"24 MP": 7, "100 MP": 2}
SECONDS_MAX = {"24 MP": 15.0, "100 MP": 40.0}


def run(folder, say, size="24 MP", cases=CASES, libraries=LIBRARIES):
    """Return one row for each operation.

    Parameters
    ----------
    folder : Path
        Folder in memory, for the images.
    say : callable
        Called with a line of text after each operation.
    size : str
        Key of `SHAPES`.
    """
    rows = []
    bytes_per_second = memory_speed()
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(RANKS, job_memory_bytes_max=12 << 30))
        started = peers(stack, libraries)
        for case in cases:
            found = row(case, size, engine, started, folder)
            rows.append(found | {"bytes_per_second": bytes_per_second})
            seconds = rows[-1]["seconds"]
            say(f"{case.name}: {seconds[SERIAL] / seconds['resident']:.1f}×")
    return rows


def shape_of(case, size):
    """Return the rows and columns that a case runs on."""
    rows, columns = SHAPES[size]
    side = case.share**0.5
    return int(rows / side), int(columns / side)


def row(case, size, engine, started, folder):
    """Time one operation on one image, with every candidate that has it."""
    steps = recipe.check([case.step], catalogue(), 1)
    shape = shape_of(case, size)
    image = pictured(case.picture, *shape)
    taking_part = [each for each in started if each.name == SERIAL or has(each, case)]
    warm_up(engine, taking_part, case, steps, folder)
    planned = plan(engine.plan_request(header_of(image.shape, image.dtype.name), steps))
    question = {"case": case.name, "steps": steps, **put(image, folder, "image")}
    peaks, pixels, candidates = {}, {}, {}
    expected = None
    for each in taking_part:
        found, peaks[each.name] = each.first(question, folder)
        expected = Expected.of(found) if each.name == SERIAL else expected
        pixels[each.name] = expected.share_of_others(found)
        candidates[each.name] = partial(each.ask, question)
    cool(engine)
    with peak_of(processes_of(engine)) as peak:
        found = engine.run(image, steps)
    pixels["resident"] = ours_off(found, expected, image, steps)
    peaks["resident"] = peak.bytes
    with engine.hold(image) as held:
        resident = Resident(engine, held, steps)
        candidates["resident"] = resident.run
        candidates["end to end"] = partial(run_whole, engine, image, steps)
        taken = interleave(candidates, REPEATS.get(size, 2), SECONDS_MAX.get(size, 2.0))
    for each in taking_part:
        each.ask(question, last=True)
    (folder / "image").unlink()
    return {
        "operation": case.name,
        "size": size,
        "shape": list(image.shape),
        "target": case.target,
        "seconds": taken.seconds,
        "cold": taken.cold,
        "in_ranks": median(resident.in_ranks),
        "moved": sum(cost.moved_bytes(planned, each, RANKS) for each in planned.passes),
        "pixels": pixels,
        "memory": {name: each / image.nbytes for name, each in peaks.items()},
    }


def ours_off(found, expected, image, steps):
    """Return the share of our pixels that differ from scikit-image's.

    Parameters
    ----------
    found : ndarray
        Our result.
    expected : Expected
        scikit-image's.
    image, steps : ndarray, list of dict
        What both have processed.
    """
    share = expected.share_of_others(found)
    if share:
        # For pictures this app promises scikit-image's result in single precision.
        single, _ = reference.run(image, steps, "input")
        share = Expected.of(single).share_of_others(found)
    return share


def has(peer, case):
    """Return whether a peer has such an operation."""
    return case.name in PEERS.get(peer.library, {})


def warm_up(engine, taking_part, case, steps, folder):
    """Run every candidate once on a small image, so that no timed run imports anything."""
    image = pictured(case.picture, *SHAPES["tiny"])
    question = {"case": case.name, "steps": steps, **put(image, folder, "warm")}
    for each in taking_part:
        each.ask(question, last=True)
    engine.run(image, steps)
    (folder / "warm").unlink()
