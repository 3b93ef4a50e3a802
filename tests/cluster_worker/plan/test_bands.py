"""Rounds on bands that each rank keeps, in ranks that are threads: equal to one tile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from threading import Barrier

import numpy as np
import pytest
from skimage import data

from cluster_worker.engine.steps import are_chain, checked_steps
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array
from cluster_worker.plan.bands import Bands, OwnBands, band_bytes, bands_fit, private_bytes
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run, run_alone
from cluster_worker.plan.run_recipe import Surfaces, run_recipe, run_recipe_alone

CHUNK = 16
GRAY = data.camera()[200:237, 90:135]
LOW = data.camera()[200:203, 90:190]
COLOUR = data.astronaut()[50:91, 100:140]
CLEAR = np.dstack([COLOUR, np.tile(np.arange(40, dtype=np.uint8), (41, 1))])
OTSU = {"operation": "threshold_otsu"}
TV = {"operation": "denoise_tv_chambolle", "max_num_iter": 6}
STEPS = {
    "total variation": [TV],
    "rounds that follow rounds": [TV, {"operation": "richardson_lucy", "num_iter": 3}, TV, OTSU],
    "a wide halo": [{"operation": "richardson_lucy", "num_iter": 4, "radius": 4}],
    "a flood": [{"operation": "reconstruction"}],
    "a flood of two images": [
        {"operation": "erosion", "id": "seed"},
        {"operation": "reconstruction", "image": "seed", "mask": "original"},
    ],
    "a statistic": [{"operation": "h_maxima"}],
    "a place": [{"operation": "local_minima"}],
    "a skeleton": [OTSU, {"operation": "skeletonize"}],
}


class Together:
    """One of several ranks that are threads of this process."""

    def __init__(self, rank, ranks, shared, barrier):
        self.rank, self.size, self.shared, self.barrier = rank, ranks, shared, barrier

    def combine(self, work, combine, *, on_first=False):
        self.shared[self.rank] = work()
        self.barrier.wait(60)
        values = [each for each in map(self.shared.get, range(self.size)) if each is not None]
        self.barrier.wait(60)
        return reduce(combine, values) if values else None

    def exchange(self, sent, received):
        for other, rows in sent.items():
            self.shared[self.rank, other] = rows.copy()
        self.barrier.wait(60)
        for other, rows in received.items():
            rows[...] = self.shared.pop((other, self.rank))
        self.barrier.wait(60)


class Chunked(Array):
    """An array as chunks in a store: it takes whole ones, each of them once."""

    def __init__(self, array):
        super().__init__(array)
        object.__setattr__(self, "written", np.zeros(array.shape[:2], int))

    def view(self, span):
        return None

    def write(self, span, block):
        rows, columns = self.shape[:2]
        assert span == span.aligned(CHUNK).clipped((rows, columns))
        self.written[span.slices] += 1
        super().write(span, block)


def request(image, steps, **options):
    checked, header = checked_steps(steps), header_of(image.shape, "uint8")
    kind = PlanRequest if are_chain(checked) else RecipeRequest
    return kind(header, checked, **options)


def as_it_is(planned):
    return planned


def wrapping(planned):
    """Return a plan whose first state is made of the opposite edge beyond the image's border."""
    passes = [
        replace(each, stages=(replace(each.stages[0], wraps=True), *each.stages[1:]))
        if each.stages[0].rounds
        else each
        for each in planned.passes
    ]
    return replace(planned, passes=tuple(passes))


def alone(image, steps, change=as_it_is):
    planned = change(plan_any(request(image, steps)))
    if hasattr(planned, "chains"):
        return run_recipe_alone(planned, image, {}).images[0]
    return run_alone(planned, image)


def in_bands(image, steps, ranks, core=None, change=as_it_is):
    """Run steps on threads; check that each pixel between passes was written once."""
    planned = change(plan_any(request(image, steps, chunk=CHUNK, core=core)))
    scratch = [Chunked(np.zeros(each.shape, each.dtype)) for each in planned.buffers]
    result = np.zeros(planned.results[0].result_shape, planned.results[0].result_dtype)
    shared, barrier = {}, Barrier(ranks)

    def rank(number):
        given = Together(number, ranks, shared, barrier), lambda tiles: None
        if hasattr(planned, "chains"):
            surfaces = Surfaces([Array(image)], scratch, [Array(result)])
            run_recipe(planned, surfaces, None, *given)
        else:
            run(planned, Array(image), scratch, Array(result), *given)

    with ThreadPoolExecutor(ranks) as pool:
        list(pool.map(rank, range(ranks)))
    assert all((each.written == 1).all() for each in scratch)
    return result


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_bands_give_what_one_tile_gives(name, ranks):
    expected = alone(GRAY, STEPS[name])
    np.testing.assert_array_equal(in_bands(GRAY, STEPS[name], ranks), expected)


@pytest.mark.parametrize("name", ["total variation", "a wide halo", "a flood"])
@pytest.mark.parametrize("image", [LOW, COLOUR, CLEAR], ids=["low", "colour", "alpha"])
def test_images_of_few_rows_and_of_channels_have_bands(name, image):
    expected = alone(image, STEPS[name])
    np.testing.assert_array_equal(in_bands(image, STEPS[name], 5), expected)


@pytest.mark.parametrize("name", ["a wide halo", "a skeleton", "a flood of two images"])
def test_a_rank_receives_rows_of_several_others(name):
    # Bands of two rows, with halos of up to 32.
    expected = alone(GRAY, STEPS[name])
    np.testing.assert_array_equal(in_bands(GRAY, STEPS[name], 7, core=(2, 17)), expected)


@pytest.mark.parametrize("ranks", [2, 5])
def test_a_first_state_may_be_made_of_the_opposite_edge(ranks):
    steps = [{"operation": "reconstruction", "seed": "eroded", "radius": 4}]
    expected = alone(GRAY, steps, wrapping)
    assert not np.array_equal(expected, alone(GRAY, steps))
    np.testing.assert_array_equal(in_bands(GRAY, steps, ranks, change=wrapping), expected)


def test_a_cancel_is_heard_while_bands_are_read_and_written():
    planned = plan_any(request(GRAY, [TV], chunk=CHUNK))
    each = next(each for each in planned.passes if each.stages[0].rounds)
    reports = []
    own = OwnBands(Bands(planned, each, 1), SingleRank(), np.empty, reports.append)
    own.make(Array(np.zeros(GRAY.shape, "float32")))
    assert reports == [0, 0, 0]
    own.write(own.states[0], Array(np.zeros((*GRAY.shape, 4), "float32")))
    assert reports == [0] * 6


def test_every_row_is_owned_by_one_rank_and_written_by_one():
    planned = plan_any(request(np.zeros((1000, 300)), [TV], chunk=512))
    each = next(each for each in planned.passes if each.stages[0].rounds)
    bands = Bands(planned, each, 3)
    assert [tuple(own[:2]) for own in bands.owned] == [(0, 333), (333, 666), (666, 1000)]
    assert [tuple(own[:2]) for own in bands.written] == [(0, 512), (512, 1000), (1000, 1000)]
    assert bands.received(1, bands.updated) == {0: (332, 333, 0, 300), 2: (666, 667, 0, 300)}
    assert bands.received(0, bands.written) == {1: (333, 512, 0, 300)}
    # Four edges of a row in each round, and at the end 179 and 334 rows.
    assert bands.exchanged_pixels(20) == 300 * (20 * 4 + 179 + 334)


def test_bands_count_as_memory_where_they_fit():
    planned = plan_any(request(np.zeros((1024, 1000)), [TV], chunk=512))
    # Of 513 rows: the image, and twice a state of four planes, all of float32.
    assert band_bytes(planned, 2) == 513 * 1000 * 4 + 2 * 513 * 1000 * 16
    need = planned.rank_bytes(2) + band_bytes(planned, 2)
    assert bands_fit(planned, 2, need)
    assert private_bytes(planned, 2, need) == need
    assert private_bytes(planned, 2, need - 1) == planned.rank_bytes(2)
    # Ranks of one host share what lies between passes.
    assert band_bytes(plan_any(request(np.zeros((1024, 1000)), [TV])), 2) == 0
