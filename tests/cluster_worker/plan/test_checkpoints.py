"""An attempt that begins at a checkpoint gives what the whole run gives, for every checkpoint."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import reduce
from itertools import pairwise
from threading import Barrier

import numpy as np
import pytest
from skimage import data

from cluster_worker.engine.steps import are_chain, checked_steps
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array
from cluster_worker.plan import passes
from cluster_worker.plan.chain import plan
from cluster_worker.plan.checkpoints import START, Checkpoint, finished, tiles_done
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import plan_any, plan_recipe
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run
from cluster_worker.plan.run_recipe import Surfaces, run_recipe

GRAY = data.camera()[100:260, 80:290]
CLEAR = np.dstack([data.astronaut()[:90, :120], np.tile(np.arange(120, dtype=np.uint8), (90, 1))])
TV = {"operation": "denoise_tv_chambolle", "max_num_iter": 5}
OTSU, LABEL = {"operation": "threshold_otsu"}, {"operation": "label"}
CHAINS = {
    "statistics": (GRAY, [{"operation": "gaussian"}, OTSU, LABEL]),
    "rounds that follow rounds": (GRAY, [TV, {"operation": "median"}, TV, TV, OTSU]),
    "edges": (GRAY, [{"operation": "canny"}, {"operation": "invert"}, LABEL]),
    "alpha that moves": (
        CLEAR,
        [{"operation": "rotate", "angle": 9}, {"operation": "rescale_intensity"}],
    ),
    "recipe": (
        GRAY,
        [
            {"operation": "gaussian", "id": "smooth", "keep": True},
            OTSU,
            {"operation": "binary_fill_holes", "id": "mask"},
            LABEL,
            {"operation": "regionprops_table", "intensity": "original"},
            {"operation": "subtract", "image": "smooth", "other": "original"},
            {"operation": "equalize_hist", "mask": "mask"},
        ],
    ),
}


class Lost(Exception):
    """Ends an attempt."""


class Attempts:
    """Attempts at one job, whose surfaces stay."""

    def __init__(self, image, steps, core=(48, 64)):
        checked, header = checked_steps(steps), header_of(image.shape, str(image.dtype))
        if are_chain(checked):
            self.plan = plan(PlanRequest(header, checked, core=core))
        else:
            self.plan = plan_any(RecipeRequest(header, checked, core=core))
        self.image = image
        self.results = [
            np.zeros(each.result_shape, each.result_dtype) for each in self.plan.results
        ]
        # Buffers of one slot share its memory, as in an engine.
        slots = [np.full(size, 77, np.uint8) for size in self.plan.slots()]
        self.buffers = [
            slots[each.slot][: each.nbytes].view(each.dtype).reshape(each.shape)
            for each in self.plan.buffers
        ]
        self.tables = {}

    def attempt(self, begin=START, lost_at=None):
        """Run from a checkpoint; return the checkpoints, and stop after the one that is lost."""
        found, tiles = [], []

        def reached(checkpoint):
            found.append(checkpoint)
            if checkpoint == lost_at:
                raise Lost

        surfaces = Surfaces(
            [Array(self.image)],
            [Array(each) for each in self.buffers],
            [Array(each) for each in self.results],
        )
        between = {"begin": begin, "reached": reached}
        try:
            if isinstance(self.plan, Plan):
                (source,), scratch, (result,) = surfaces
                run(self.plan, source, scratch, result, SingleRank(), tiles.append, **between)
            else:
                write = self.tables.__setitem__
                run_recipe(self.plan, surfaces, write, SingleRank(), tiles.append, **between)
        except Lost:
            pass
        return found, sum(tiles)

    def spoil(self, checkpoint):
        """Overwrite all that the attempt after this checkpoint must not need."""
        kept = finished(self.plan, checkpoint)
        slots = {self.plan.buffers[i].slot for i in kept.buffers}
        for each, buffer in zip(self.plan.buffers, self.buffers, strict=True):
            if each.slot not in slots:
                buffer[...] = 1
        for i, result in enumerate(self.results):
            if i not in kept.results:
                result[...] = 1


@pytest.mark.parametrize("name", CHAINS)
def test_an_attempt_goes_on_from_every_checkpoint(name):
    whole = Attempts(*CHAINS[name])
    checkpoints, tiles = whole.attempt()
    assert checkpoints
    assert tiles == whole.plan.tiles_total(1)
    for checkpoint in checkpoints:
        again = Attempts(*CHAINS[name])
        again.attempt(lost_at=checkpoint)
        again.spoil(checkpoint)
        rest, done = again.attempt(checkpoint)
        assert rest == checkpoints[checkpoints.index(checkpoint) + 1 :]
        for found, expected in zip(again.results, whole.results, strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=str(checkpoint))
        for table, columns in whole.tables.items():
            for column, values in columns.items():
                np.testing.assert_array_equal(again.tables[table][column], values)
        # It does what is left, and measures again what was measured early.
        left = tiles - tiles_done(again.plan, checkpoint, 1)
        assert left <= done <= tiles


REGIONS = {
    "label": [OTSU, LABEL],
    "seats": [OTSU, {"operation": "clear_border"}, {"operation": "binary_fill_holes"}],
    "codes": [
        OTSU,
        {"operation": "remove_small_objects", "max_size": 300},
        {"operation": "invert"},
    ],
    "edges": [{"operation": "canny", "sigma": 2.0}, {"operation": "median"}, LABEL],
}


@pytest.mark.parametrize("name", REGIONS)
def test_an_attempt_does_not_begin_with_regions_of_other_tiles(name, monkeypatch):
    # Without a given core, measures run on other tiles than the pass before has made.
    for limit, value in (("LIGHT_TILE_BYTES", 1 << 14), ("TILE_PIXELS", 1 << 12)):
        monkeypatch.setattr(passes, limit, value)
    monkeypatch.setattr(passes, "TILE_PIXELS_MIN", 1 << 10)
    whole = Attempts(GRAY, REGIONS[name], None)
    made = [
        (whole.plan.tiles(one, 1), whole.plan.measure_tiles(other, 1))
        for one, other in pairwise(whole.plan.passes)
    ]
    assert any(one != other for one, other in made)
    checkpoints, _ = whole.attempt()
    assert checkpoints
    for checkpoint in checkpoints:
        again = Attempts(GRAY, REGIONS[name], None)
        again.attempt(lost_at=checkpoint)
        again.spoil(checkpoint)
        again.attempt(checkpoint)
        np.testing.assert_array_equal(again.results[0], whole.results[0], err_msg=str(checkpoint))


class Together:
    """One of several ranks that are threads of this process."""

    def __init__(self, rank, shared, barrier):
        self.rank, self.size, self.shared, self.barrier = rank, len(shared), shared, barrier

    def combine(self, work, combine, *, on_first=False):
        self.shared[self.rank] = work()
        self.barrier.wait(60)
        values = [each for each in self.shared if each is not None]
        self.barrier.wait(60)
        return reduce(combine, values) if values else None


@pytest.mark.parametrize("ranks", [3, 4])
def test_another_number_of_ranks_goes_on(ranks):
    whole = Attempts(GRAY, REGIONS["label"], None)
    whole.attempt()
    again = Attempts(GRAY, REGIONS["label"], None)
    first, second = again.plan.passes
    assert again.plan.tiles(first, ranks) != again.plan.measure_tiles(second, 1)
    shared, barrier, found = [None] * ranks, Barrier(ranks), []

    def reached(checkpoint):
        found.append(checkpoint)
        raise Lost

    def attempt(rank):
        given = Array(GRAY), [Array(each) for each in again.buffers], Array(again.results[0])
        group = Together(rank, shared, barrier)
        with suppress(Lost):
            run(again.plan, *given, group, lambda tiles: None, reached=reached)

    with ThreadPoolExecutor(ranks) as pool:
        list(pool.map(attempt, range(ranks)))
    assert found == [Checkpoint(passes=1, buffer=0, ranks=ranks)] * ranks
    again.spoil(found[0])
    again.attempt(found[0])
    np.testing.assert_array_equal(again.results[0], whole.results[0])


def test_a_recipe_keeps_what_its_finished_chains_have_left():
    image, steps = CHAINS["recipe"]
    header = header_of(image.shape, "uint8")
    planned = plan_recipe(RecipeRequest(header, checked_steps(steps)))
    assert finished(planned, START) == (frozenset(), frozenset(), frozenset())
    all_done = finished(planned, Checkpoint(chains=len(planned.chains)))
    assert all_done.buffers == set(range(len(planned.surfaces)))
    assert all_done.results == set(range(len(planned.results)))
    assert all_done.tables == {0}
