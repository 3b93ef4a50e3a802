"""Properties of passes, shown with small operations that the tests declare."""

import json
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import filters

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.operations.declare import (
    Composed,
    Geometric,
    Image,
    Iterative,
    Local,
    Measure,
    Place,
    Pointwise,
    Rounds,
    Span,
    Stage,
    Statistical,
    entries,
    operation,
)
from cluster_worker.operations.support.statistics import exact_sum, rounded_sum
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array, read
from cluster_worker.plan.chain import finished_chain, plan
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run as run_plan
from cluster_worker.plan.run import run_alone
from config.contract import recipe
from tests.cluster_worker.operations.images import ALONE

IMAGE = np.random.default_rng(2).integers(0, 255, (37, 45), np.uint8)
CORE = (8, 11)


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch):
    """Remove after each test the operations that it declares."""
    monkeypatch.setattr(entries, "OPERATIONS", own := dict(OPERATIONS))
    monkeypatch.setattr("cluster_worker.plan.chain.OPERATIONS", own)
    forget_plans()
    yield
    forget_plans()


def forget_plans():
    plan.cache_clear()
    finished_chain.cache_clear()


def run(image, *names, core=CORE):
    steps = json.dumps([{"operation": name} for name in names])
    return run_alone(
        plan(PlanRequest(header_of(image.shape, str(image.dtype)), steps, "native", core)), image
    )


def planned(*names, shape=IMAGE.shape):
    steps = json.dumps([{"operation": name} for name in names])
    return plan(PlanRequest(header_of(shape, "uint8"), steps, "native", CORE))


def sum_of_neighbours(image: Image) -> Image:
    padded = np.pad(image.astype(np.int64), 1)
    return padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]


def declare_neighbours():
    @operation("N", "T", Local(lambda: 1), takes="labels")
    def neighbours(image: Image) -> Image:
        """Sum.

        References
        ----------
        none
        """
        return sum_of_neighbours(image)


def declare_half():
    """Declare an operation that keeps every second pixel of every second row."""

    @operation(
        "H",
        "T",
        Geometric(
            lambda shape: (-(-shape[0] // 2), -(-shape[1] // 2)),
            lambda core, shape: Span(*(2 * edge for edge in core)).clipped(shape),
        ),
        takes="labels",
        pixels="scaled",
    )
    def half(image: Image, *, place: Place) -> Image:
        """Halve.

        References
        ----------
        none
        """
        assert image.shape[:2] == place.window.shape
        return image[::2, ::2]


def test_geometry_and_neighbourhoods_fuse_to_one_pass():
    declare_neighbours()
    declare_half()
    assert len(planned("neighbours", "half", "neighbours").passes) == 1
    expected = sum_of_neighbours(sum_of_neighbours(IMAGE)[::2, ::2])
    np.testing.assert_array_equal(run(IMAGE, "neighbours", "half", "neighbours"), expected)


def test_planning_a_pixel_made_from_a_gigapixel_tries_no_gigapixel():
    tried = []

    @operation(
        "B",
        "T",
        Geometric(lambda shape: (1, 1), lambda core, shape: Span(0, shape[0], 0, shape[1])),
    )
    def brightest(image: Image, *, place: Place) -> Image:
        """Brightest.

        References
        ----------
        none
        """
        assert image.shape == place.window.shape == place.shape
        tried.append(image.size)
        return image.max(keepdims=True)

    made = planned("brightest", shape=(1 << 15, 1 << 15))
    assert made.result_shape == (1, 1)
    assert max(tried) < 1 << 10


def test_the_resolution_follows_the_pixels():
    declare_half()

    @operation(
        "T",
        "T",
        Geometric(lambda shape: shape[::-1], lambda core, shape: Span(*core[2:], *core[:2])),
        pixels="turned",
    )
    def turned(image: Image, *, place: Place) -> Image:
        """Turn.

        References
        ----------
        none
        """
        return np.swapaxes(image, 0, 1)

    density = planned("half", "turned", "half", shape=(40, 80)).density
    assert density.of((100, 200)) == (50, 25)
    np.testing.assert_array_equal(run(IMAGE, "half", "turned"), IMAGE[::2, ::2].T)


def test_alpha_goes_with_the_pixels_that_a_step_moves():
    declare_half()
    image = np.random.default_rng(1).integers(0, 255, (20, 31, 4), np.uint8)
    np.testing.assert_array_equal(run(image, "half", "half"), image[::4, ::4])


def test_eight_bits_of_a_rank_filter_return_to_sixteen_and_alpha_to_eight():
    image = np.random.default_rng(4).integers(0, 65_535, (20, 31, 2), np.uint16)
    checked = recipe.check([{"operation": "sobel"}, {"operation": "rank_maximum"}], catalogue(), 2)
    found = {
        depth: run_alone(
            plan(PlanRequest(header_of(image.shape, "uint16"), json.dumps(checked), depth)), image
        )
        for depth in ("input", "native")
    }
    assert (str(found["input"].dtype), str(found["native"].dtype)) == ("uint16", "uint8")
    np.testing.assert_array_equal(found["input"][..., 0], found["native"][..., 0] * np.uint16(257))
    np.testing.assert_array_equal(found["input"][..., 1], image[..., 1])
    np.testing.assert_array_equal(found["native"][..., 1], image[..., 1] >> 8)


def test_a_function_is_told_its_place():
    @operation("R", "T", Pointwise())
    def row_number(image: Image, *, place: Place) -> Image:
        """Number the rows.

        References
        ----------
        none
        """
        rows = np.arange(place.window.top, place.window.bottom, dtype=np.uint8)
        return np.broadcast_to(rows[:, None], image.shape)

    np.testing.assert_array_equal(run(IMAGE, "row_number")[:, 0], np.arange(37))


def test_a_measure_may_read_around_its_core():
    def falls(image, *, place):
        """Count rows of the core that lie below a brighter pixel."""
        left, right = place.core.left - place.window.left, place.core.right - place.window.left
        above = image[:-1, left:right] > image[1:, left:right]
        first = 1 - (place.core.top - place.window.top)
        return int(above[: place.core.bottom - place.core.top - first].sum())

    @operation("F", "T", Statistical((Measure(falls, int.__add__, halo=1),)))
    def count_falls(image: Image, *, statistics: tuple[int]) -> Image:
        """Count.

        References
        ----------
        none
        """
        return np.full(image.shape, statistics[0], np.uint16)

    expected = (IMAGE[:-1] > IMAGE[1:]).sum()
    assert (run(IMAGE, "count_falls") == expected).all()


@pytest.mark.parametrize("before", [[], ["declared_invert"]])
def test_a_statistic_is_finished_once_from_what_all_tiles_have(before):
    finished = []

    def finish(total):
        finished.append(total)
        return total % 1000

    @operation("I", "T", Pointwise())
    def declared_invert(image: Image) -> Image:
        """Invert.

        References
        ----------
        none
        """
        return 255 - image

    @operation(
        "S", "T", Statistical((Measure(lambda image: int(image.sum()), int.__add__, 0, finish),))
    )
    def last_digits(image: Image, *, statistics: tuple[int]) -> Image:
        """Compute the last digits of the sum.

        References
        ----------
        none
        """
        return np.full(image.shape, statistics[0], np.uint16)

    image = 255 - IMAGE if before else IMAGE
    total = int(image.sum())
    assert (run(IMAGE, *before, "last_digits") == total % 1000).all()
    # The first was of the example from which the plan knows the result's type.
    assert finished[1:] == [total]


def spread(state, image):
    """Mark the bright pixels next to marked pixels."""
    return state | ((sum_of_neighbours(state) > 0) & (image > 60))


def first_corner(image: Image, *, place: Place) -> Image:
    mask = np.zeros(image.shape, bool)
    if place.window.top == place.window.left == 0:
        mask[0, 0] = True
    return mask


def declare_flood(**options):
    @operation("F", "T", Iterative(lambda: Rounds(spread, **options)))
    def flood_corner(image: Image, *, place: Place) -> Image:
        """Flood.

        References
        ----------
        none
        """
        return first_corner(image, place=place)


def test_rounds_go_on_across_tiles_until_nothing_changes():
    declare_flood()
    expected = np.zeros(IMAGE.shape, bool)
    expected[0, 0] = True
    while not np.array_equal(expected, grown := spread(expected, IMAGE)):
        expected = grown
    assert expected.sum() > 300
    for core in (CORE, (37, 45), (1, 45)):
        np.testing.assert_array_equal(run(IMAGE, "flood_corner", core=core), expected)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_rounds_end_when_their_rule_says_so_in_whichever_buffer(rounds):
    declare_flood(stop=lambda history: len(history) == rounds)
    expected = np.zeros(IMAGE.shape, bool)
    expected[0, 0] = True
    for _ in range(rounds):
        expected = spread(expected, IMAGE)
    np.testing.assert_array_equal(run(IMAGE, "flood_corner"), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("name", [n for n in ALONE if OPERATIONS[n].takes != "labels"])
def test_no_tile_is_so_much_work_that_a_cancel_would_wait_for_it(name, dtype):
    checked = recipe.check([{"operation": name}], catalogue(), 1)
    made = plan(PlanRequest(header_of((6000, 6000, 3), dtype), json.dumps(checked)))
    for each in made.passes:
        if not each.whole and each.stages[0].rounds is None:
            height, width = made.core_of(each, 2)
            read = (height + 2 * each.halo) * (width + 2 * each.halo)
            assert read * each.cost < 1 << 25


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_rounds_after_rounds_read_what_the_first_ones_left_while_slots_are_used_again(rounds):
    def mix(state, image):
        return (sum_of_neighbours(state) + image).astype(np.uint8)

    @operation(
        "M", "T", Iterative(lambda: Rounds(mix, stop=lambda history: len(history) == rounds))
    )
    def mixture(image: Image) -> Image:
        """Mix.

        References
        ----------
        none
        """
        return image

    names = ("mixture",) * 3
    made = planned(*names)
    slots = [np.empty(size, np.uint8) for size in made.slots()]
    scratch = [
        Array(slots[each.slot][: each.nbytes].view(each.dtype).reshape(each.shape))
        for each in made.buffers
    ]
    result = np.empty(made.result_shape, made.result_dtype)
    run_plan(made, Array(IMAGE), scratch, Array(result), SingleRank(), lambda tiles: None)
    np.testing.assert_array_equal(result, run(IMAGE, *names))


@pytest.mark.parametrize("rounds", [1, 9])
def test_progress_reaches_its_total_however_many_rounds_it_takes(rounds):
    declare_flood(stop=lambda history: len(history) == rounds, expected=4)

    @operation("M", "T", Statistical((Measure(np.max, max), Measure(lambda t, m: m, max))))
    def white(image: Image, *, statistics: tuple[int, int]) -> Image:
        """White.

        References
        ----------
        none
        """
        return image

    made = planned("white", "white", "flood_corner")
    seen = []
    scratch = [Array(np.empty(each.shape, each.dtype)) for each in made.buffers]
    result = np.empty(made.result_shape, made.result_dtype)
    run_plan(made, Array(IMAGE), scratch, Array(result), SingleRank(), seen.append)
    assert sum(seen) == made.tiles_total(1)


def test_what_a_stage_raises_is_a_sentence_that_names_its_operation():
    def refuse(image: Image) -> Image:
        if image.shape == (8, 9):
            raise ValueError("has a corner\nthat nobody likes")
        return image

    @operation("D", "T", Composed("local"))
    def dislike() -> tuple[Stage, ...]:
        """Refuse.

        References
        ----------
        none
        """
        return (Stage(partial(np.asarray)), Stage(refuse))

    with pytest.raises(Rejected, match=r"^dislike: has a corner$"):
        run(IMAGE[:16, :18], "dislike", core=(8, 9))


@given(
    start=st.tuples(st.integers(-90, 90), st.integers(-90, 90)),
    size=st.tuples(st.integers(1, 100), st.integers(1, 100)),
)
def test_beyond_the_border_the_opposite_edge_is_read(start, size):
    (top, left), (height, width) = start, size
    found = read(Array(IMAGE), Span(top, top + height, left, left + width))
    rows = np.arange(top, top + height) % IMAGE.shape[0]
    columns = np.arange(left, left + width) % IMAGE.shape[1]
    np.testing.assert_array_equal(found, IMAGE[np.ix_(rows, columns)])


@given(st.lists(st.floats(-1e300, 1e300), max_size=40), st.integers(0, 40))
def test_an_exact_sum_does_not_depend_on_how_it_is_split(values, cut):
    values = np.array(values, np.float64)
    total = exact_sum(values[:cut]) + exact_sum(values[cut:])
    assert total == exact_sum(values)
    assert rounded_sum(total) == math.fsum(values)


def test_a_plan_does_no_work_that_takes_seconds(monkeypatch):
    def search(*_, **__):
        raise AssertionError("levels were searched for")

    monkeypatch.setattr(filters, "threshold_multiotsu", search)
    forget_plans()
    steps = recipe.check([{"operation": "threshold_multiotsu", "classes": 5}], catalogue(), 1)
    for dtype in ("uint8", "float32"):
        planned = plan(PlanRequest(header_of((10, 10), dtype), json.dumps(steps)))
        assert planned.result_dtype == "uint32"
