"""Which pictures operations on masks take, whatever the tiling."""

import numpy as np
import pytest

from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.operations.images import classes
from tests.cluster_worker.operations.test_catalogue import CORES, default, outcome, run

ON_MASKS = [n for n, o in OPERATIONS.items() if o.takes in ("mask", "classes")]


@pytest.mark.parametrize("name", ON_MASKS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("core", [None, (20, 40), (20, 20), CORES["tiny"]])
def test_many_levels_are_refused_though_half_of_the_image_is_black(name, dtype, core):
    image = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(dtype)
    image[20:] = 0
    assert outcome(image, default(name), core) == (
        f"{name}: takes a mask, got a picture of more than 32 levels; "
        "put threshold or threshold_otsu before it"
    )


def test_the_sentence_counts_the_levels_of_the_whole_image():
    image = np.repeat(np.arange(1, 9, dtype=np.uint8), 5)[:, np.newaxis].repeat(40, axis=1)
    for core in (None, (5, 40), (7, 9)):
        assert "got a picture of 8 levels" in outcome(image, default("thin"), core)


@pytest.mark.parametrize("before", ["gaussian", "sobel", "resize"])
def test_what_mixes_levels_is_refused_before_the_work(before):
    steps = [*default("threshold_otsu"), *default(before), *default("label")]
    image = np.zeros((40, 50), np.uint8)
    image[10:30, 10:30] = 255
    sentence = outcome(image, steps)
    assert sentence == (
        f"label: takes a mask, which {before} does not give; "
        "put threshold or threshold_otsu between them"
    )


def test_an_order_of_0_keeps_a_mask_a_mask():
    [resized] = default("resize")
    steps = [*default("threshold_otsu"), resized | {"order": 0}, *default("label")]
    image = np.zeros((40, 50), np.uint8)
    image[10:20, 10:20], image[25:35, 30:40] = 255, 255
    assert run(image, steps).max() == 2


def test_class_numbers_from_a_step_are_labelled_as_those_of_a_file():
    image = classes(np.uint8)
    numbers = run(image, default("threshold_multiotsu"))
    chained = run(image, [*default("threshold_multiotsu"), *default("label")])
    np.testing.assert_array_equal(chained, run(numbers.astype(np.uint8), default("label")))


@pytest.mark.parametrize("scale", ["resize", "rescale", "pyramid_reduce", "resize_local_mean"])
@pytest.mark.parametrize("after", ["unsharp_mask", "wiener", "rank_mean"])
def test_white_stays_white_enough_for_the_next_step(scale, after):
    image = np.full((60, 70), 255, np.uint8)
    assert not isinstance(outcome(image, [*default(scale), *default(after)]), str)


def test_one_nan_does_not_hide_floats_that_would_be_cut_off():
    image = np.linspace(0, 500, 600, dtype=np.float32).reshape(20, 30)
    image[0, 0] = np.nan
    assert "cuts off values beyond -1 and 1" in outcome(image, default("unsharp_mask"))
