"""The time estimate: pure arithmetic on plans."""

import json
from dataclasses import replace

import pytest

from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.cost import Rates, estimate, is_worth_cutting, typical_core
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.request import PlanRequest
from config.contract import recipe
from tests.cluster_worker.operations.images import ALONE

GAUSSIAN = {"operation": "gaussian", "sigma": 2.0}
OTSU = {"operation": "threshold_otsu"}
# A unit of any work takes one second; nothing else takes time.
WORK = Rates("", 0.0, 0.0, 0.0, 0.0, float("inf"), 0.0, dict.fromkeys(OPERATIONS, (1.0, 1.0)))


def planned(*steps, shape=(4000, 6000), dtype="uint8", core=None):
    checked = json.dumps(recipe.check(steps, catalogue(), 20))
    return plan(PlanRequest(header_of(shape, dtype), checked, core=core))


def seconds(chain, ranks=1, cores=64, rates=MEASURED):
    return estimate(chain, ranks, cores, rates).seconds


def work_of(chain):
    """Return the work per pixel of a chain of one pass."""
    [only] = chain.passes
    return sum(load.work for load in only.loads)


def test_work_is_shared_among_ranks_and_cores():
    chain = planned({"operation": "invert"})
    alone = seconds(chain, 1, rates=WORK)
    assert alone == pytest.approx(4000 * 6000 * work_of(chain), rel=0.01)
    assert seconds(chain, 4, rates=WORK) == pytest.approx(alone / 4, rel=0.1)
    assert seconds(chain, 4, cores=2, rates=WORK) == pytest.approx(alone / 2, rel=0.1)


def test_a_pass_takes_as_long_as_its_busiest_rank():
    chain = planned({"operation": "invert"}, shape=(50, 10), core=(10, 10))
    assert seconds(chain, 2, rates=WORK) == pytest.approx(300 * work_of(chain))
    assert seconds(chain, 8, rates=WORK) == pytest.approx(100 * work_of(chain))


def test_halos_are_worked_on_again():
    whole = planned(GAUSSIAN, shape=(90, 90), core=(90, 90))
    tiled = planned(GAUSSIAN, shape=(90, 90), core=(30, 30))
    assert seconds(tiled, rates=WORK) > 2 * seconds(whole, rates=WORK)


def test_a_measure_and_a_round_synchronize_the_ranks():
    only = replace(WORK, operations={}, synchronization=1.0)
    assert seconds(planned({"operation": "invert"}), 2, rates=only) == 0
    # Otsu counts the pixels of each level, then applies the threshold.
    assert seconds(planned(OTSU), 2, rates=only) == 1
    assert seconds(planned(OTSU), 8, rates=only) == 3
    assert seconds(planned(OTSU), 1, rates=only) == 0
    rounds = planned({"operation": "denoise_tv_chambolle"})
    assert seconds(rounds, 2, rates=only) > len(rounds.passes) - 1


def test_every_rank_beside_the_first_adds_its_overhead():
    only = replace(WORK, operations={}, job=5.0, extra_rank=1.0)
    assert [seconds(planned(OTSU), ranks, rates=only) for ranks in (1, 2, 8)] == [5, 6, 12]


def test_no_pass_is_faster_than_the_memory():
    slow = replace(WORK, operations={}, bytes_per_second=1e6)
    assert seconds(planned({"operation": "invert"}), 64, rates=slow) == pytest.approx(48, rel=0.01)


def test_what_moves_alpha_is_counted():
    turned = {"operation": "rotate"}
    opaque, clear = (planned(turned, shape=(500, 500, n)) for n in (3, 4))
    assert seconds(clear, rates=WORK) > seconds(opaque, rates=WORK)


def test_what_an_operation_adds_around_a_small_image_is_counted():
    alone, framed = (
        planned({"operation": "butterworth", "npad": npad}, shape=(100, 50)) for npad in (0, 50)
    )
    assert seconds(framed, rates=WORK) == pytest.approx(6 * seconds(alone, rates=WORK))
    assert framed.rank_bytes(1) > 4 * alone.rank_bytes(1)


@pytest.mark.parametrize(
    ("operation", "parameter", "times"),
    [
        ("corner_harris", "sigma", 20),
        ("corner_shi_tomasi", "sigma", 20),
        ("corner_foerstner", "sigma", 20),
        ("shape_index", "sigma", 10),
        ("unsharp_mask", "radius", 10),
    ],
)
def test_wide_blurs_take_longer_in_the_estimate(operation, parameter, times):
    narrow, wide = (
        seconds(planned({"operation": operation, parameter: each}, shape=(500, 500)))
        for each in (1.0, 100.0)
    )
    assert wide > times * narrow


@pytest.mark.parametrize(
    ("step", "less", "more", "times"),
    [
        ("rank_minimum", {"radius": 3}, {"radius": 50}, 20),
        ("rank_modal", {"radius": 3}, {"radius": 50}, 6),
        ("rank_mean_percentile", {"radius": 3}, {"radius": 50}, 2),
        ("richardson_lucy", {"num_iter": 1}, {"num_iter": 500}, 100),
        ("denoise_tv_chambolle", {"eps": 0.1}, {"eps": 1e-7}, 20),
        ("denoise_tv_bregman", {"eps": 1e-3}, {"eps": 1e-7}, 10),
        ("slic", {"max_num_iter": 1}, {"max_num_iter": 100}, 15),
        ("slic", {}, {"n_segments": 100_000}, 3),
        ("skeletonize", {}, {"method": "lee"}, 10),
        ("rescale", {"scale": 1.0}, {"scale": 20.0}, 1500),
        ("rescale", {}, {"order": 3}, 8),
        ("resize", {"columns": 500}, {"columns": 100_000}, 500),
        ("resize", {}, {"anti_aliasing_sigma": 100.0}, 50),
        ("warp_polar", {}, {"radius": 100_000}, 250),
        ("warp_polar", {"order": 0}, {"order": 3}, 2.5),
        ("denoise_bilateral", {}, {"sigma_color": 0.001}, 4),
        ("denoise_bilateral", {"sigma_spatial": 0.5}, {"sigma_spatial": 0.1}, 3),
        ("denoise_bilateral", {"win_size": 11}, {"win_size": 31}, 20),
        ("corner_fast", {}, {"threshold": 0.0}, 8),
        ("corner_fast", {}, {"threshold": 0.02}, 4),
        ("flood", {}, {"tolerance": 0.1}, 10),
        ("flood", {"tolerance": 0.1}, {"tolerance": 65_535}, 8),
        ("chan_vese", {"tol": 0.1}, {"tol": 1e-3}, 50),
        ("chan_vese", {"init_level_set": "disk"}, {}, 20),
        ("chan_vese", {"init_level_set": "small disk"}, {"lambda1": 2.0}, 20),
        ("blob_log", {}, {"min_sigma": 200.0}, 3),
        ("blob_dog", {}, {"sigma_ratio": 1.05}, 5),
        ("blob_log", {}, {"threshold": 0.0}, 1.5),
        ("blob_dog", {}, {"threshold": -1.0}, 2),
        ("blob_doh", {}, {"threshold": None}, 5),
        ("corner_peaks", {"min_distance": 50}, {"min_distance": 1}, 3),
        ("hough_circle_peaks", {"radii": 1}, {"radii": 20}, 15),
        ("graycoprops", {"levels": 8}, {"levels": 1024}, 50),
    ],
)
def test_parameters_that_make_more_work_count(step, less, more, times):
    few, many = (
        seconds(planned({"operation": step} | each, shape=(500, 500)), rates=WORK)
        for each in (less, more)
    )
    assert many > times * few


def test_rows_and_columns_of_an_unrolled_image_count_and_not_the_area_of_the_image():
    small, large = (
        seconds(planned({"operation": "warp_polar"}, shape=(side, side)), rates=WORK)
        for side in (500, 2000)
    )
    assert small == pytest.approx(360 * 354, rel=0.01)
    assert large == pytest.approx(4 * small, rel=0.1)


def test_work_that_does_not_grow_with_the_image_is_done_by_every_rank():
    levels = {"operation": "threshold_multiotsu", "classes": 5}
    two, five = (
        planned(levels | {"classes": classes}, shape=(300, 300), core=(30, 300))
        for classes in (2, 5)
    )
    tried = 255 * 254 * 253 * 252 / 24
    for ranks in (1, 2):
        assert seconds(five, ranks, rates=WORK) == pytest.approx(
            seconds(two, ranks, rates=WORK) - 255 + tried, rel=0.01
        )


def test_an_operation_that_was_not_measured_takes_as_long_as_most_do():
    others = {name: rate for name, rate in MEASURED.operations.items() if name != "gaussian"}
    unmeasured = replace(MEASURED, operations=others)
    assert unmeasured.typical == pytest.approx((1e-8, 1.5e-8), rel=0.5)
    known, guessed = (seconds(planned(GAUSSIAN), rates=each) for each in (MEASURED, unmeasured))
    assert known / 5 < guessed < known * 5


def test_what_was_measured_is_in_the_catalogue_and_more_pixels_take_longer():
    assert set(MEASURED.operations) <= set(OPERATIONS)
    for name in ALONE:
        dtype = "bool" if OPERATIONS[name].takes != "picture" else "uint8"
        small, large = (
            seconds(planned({"operation": name}, shape=(side, side), dtype=dtype))
            for side in (1024, 4096)
        )
        assert 0 < small < large or name == "resize"


@pytest.mark.parametrize(
    ("alone", "shared", "is_cut"),
    [
        (1.0, 0.5, True),
        (0.0045, 0.0023, True),
        (0.002, 0.001, True),
        (0.001, 0.0006, False),  # the gain is lost while the ranks start
        (0.1, 0.098, False),  # limited by memory, which all ranks share
        (0.1, 0.2, False),
    ],
)
def test_an_image_is_cut_where_that_saves_time_worth_the_trouble(alone, shared, is_cut):
    assert is_worth_cutting(alone, shared) is is_cut


@pytest.mark.parametrize(
    ("step", "shape", "is_cut"),
    [
        ({"operation": "invert"}, (512, 512), False),
        (GAUSSIAN, (512, 512), False),
        (GAUSSIAN, (4000, 6000, 3), True),
        ({"operation": "median"}, (4000, 6000), True),
        ({"operation": "denoise_nl_means"}, (512, 512), True),
    ],
)
def test_work_decides_whether_an_image_is_cut_and_not_its_pixels_alone(step, shape, is_cut):
    chain = planned(step, shape=shape)
    assert is_worth_cutting(*(seconds(chain, ranks, cores=2) for ranks in (1, 2))) is is_cut


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_tile_is_estimated_where_a_cell_begins(ranks):
    chain = planned({"operation": "denoise_nl_means"}, shape=(1500, 700))
    [each] = chain.passes
    grid = chain.grid_of(each)
    core = typical_core(chain, each, ranks)
    assert grid > 1
    assert core.top % grid == core.left % grid == 0
    assert chain.tile_count(each, ranks) > 1


def tiles_of(chain, ranks):
    [each] = chain.passes
    return chain.tile_count(each, ranks)


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_quick_work_is_a_tile_for_each_rank_and_longer_work_two(ranks):
    assert tiles_of(planned({"operation": "invert"}, shape=(2000, 2000)), ranks) == ranks
    longer = planned({"operation": "gaussian", "sigma": 20.0}, shape=(4000, 4000, 3))
    assert tiles_of(longer, ranks) >= 2 * ranks
    assert tiles_of(longer, ranks) % ranks == 0
