"""The plan knows where the pixels of a result lie in the image, and what the image is then."""

import json

import numpy as np
import pytest

from cluster_worker.engine.steps import checked_steps
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.placement import Placement
from cluster_worker.plan.chain import plan
from cluster_worker.plan.kinds import reads_labels
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone

SHAPE = (60, 84)
# Chains that move pixels along straight lines; pixels near the border may be made of the border.
MOVES = [
    [{"operation": "crop", "top": 7, "left": 11, "bottom": 3}],
    [{"operation": "pad", "top": 9, "left": 5, "mode": "edge"}],
    *([{"operation": "flip", "axis": axis}] for axis in ("horizontal", "vertical", "both")),
    *([{"operation": "rot90", "k": k}] for k in (1, 2, 3)),
    [{"operation": "transpose"}],
    [{"operation": "resize", "rows": 30, "columns": 42, "order": 1}],
    [{"operation": "rescale", "scale": 2.0, "order": 1}],
    [{"operation": "downscale_local_mean", "factor": 3, "factor_columns": 4}],
    [{"operation": "resize_local_mean", "rows": 20, "columns": 21}],
    [{"operation": "pyramid_reduce"}],
    [{"operation": "pyramid_expand"}],
    [{"operation": "crop", "left": 12}, {"operation": "rot90"}, {"operation": "rescale"}],
    [{"operation": "gaussian", "sigma": 0.5}],
]


def planned(image, steps, **fields):
    header = header_of(image.shape, str(image.dtype))._replace(**fields)
    return plan(PlanRequest(header, checked_steps(steps)))


@pytest.mark.parametrize("steps", MOVES, ids=lambda steps: steps[0]["operation"])
def test_every_pixel_of_a_result_lies_where_the_plan_says(steps):
    rows, columns = np.indices(SHAPE, np.float64) + 0.5
    placement = planned(rows, steps).placement
    # Ramps of coordinates: what a pixel shows is where it comes from.
    y, x = (run_alone(planned(ramp / 100, steps), ramp / 100) * 100 for ramp in (rows, columns))
    middle = [slice(length // 2 - 3, length // 2 + 3) for length in y.shape]
    down, across = np.indices(y.shape) + 0.5
    expected_x, expected_y = placement.of(across, down)
    np.testing.assert_allclose(x[tuple(middle)], expected_x[tuple(middle)], atol=0.02)
    np.testing.assert_allclose(y[tuple(middle)], expected_y[tuple(middle)], atol=0.02)


@pytest.mark.parametrize("operation", ["rotate", "swirl", "warp_polar"])
def test_what_bends_or_turns_an_image_has_no_placement(operation):
    assert planned(np.zeros(SHAPE, np.uint8), [{"operation": operation}]).placement is None


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (["gaussian", "median", "rescale", "opening", "rot90"], True),
        (["rescale_intensity"], False),
        (["median", "sobel"], False),
        (["invert", "median"], False),
        (["threshold_otsu"], False),
    ],
)
def test_means_and_chosen_values_count_in_the_units_of_the_image(steps, kept):
    asked = [{"operation": each} for each in steps]
    assert planned(np.zeros(SHAPE, np.int16), asked).units_kept == kept


@pytest.mark.parametrize(
    "operation",
    [
        "area_opening",
        "closing",
        "dilation",
        "downscale_local_mean",
        "gaussian",
        "median",
        "rescale",
    ],
)
def test_twice_the_values_and_ten_more_come_out_as_twice_the_result_and_ten_more(operation):
    image = np.random.default_rng(6).integers(0, 1000, SHAPE).astype(np.int16)
    once, twice = (
        run_alone(planned(each, [{"operation": operation}], kind="intensity"), each)
        for each in (image, 2 * image + 10)
    )
    assert abs(twice.astype(float) - (2 * once.astype(float) + 10)).max() <= 2


def test_placements_follow_each_other_and_back():
    one, other = Placement(2, 0, 5, 0, -3, 7), Placement(0, 1, 1, -1, 0, 9)
    x, y = one.then(other).of(3.5, 4.25)
    assert (x, y) == one.of(*other.of(3.5, 4.25))
    assert one.inverse().of(*one.of(3.5, 4.25)) == pytest.approx((3.5, 4.25))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"operation": "crop", "top": 1}, {"operation": "flip"}], None),
        ([{"operation": "resize", "order": 0}], None),
        ([{"operation": "resize", "order": 1}], False),
        ([{"operation": "crop"}, {"operation": "label"}], True),
        ([{"operation": "gaussian"}, {"operation": "threshold_otsu"}], False),
        ([{"operation": "remove_small_objects"}], True),
    ],
)
def test_a_palette_is_for_indices_where_the_first_step_takes_labels(steps, expected):
    assert reads_labels(checked_steps(steps)) is expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_labels_are_cropped_turned_and_repeated_but_not_averaged(dtype):
    labels = np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype)
    steps = [{"operation": "crop", "top": 3}, {"operation": "rot90"}]
    found = planned(labels, steps, kind="labels")
    assert found.result_kind == "labels"
    np.testing.assert_array_equal(run_alone(found, labels), np.rot90(labels[3:]))
    if dtype != "uint32":
        smaller = planned(
            labels, [{"operation": "rescale", "scale": 0.5, "order": 0}], kind="labels"
        )
        assert smaller.result_dtype == dtype
        np.testing.assert_array_equal(run_alone(smaller, labels), labels[1::2, 1::2])
    with pytest.raises(Exception, match="takes a picture, got labels"):
        planned(labels, [{"operation": "gaussian"}], kind="labels")


def test_four_bands_are_filtered_each_by_itself():
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 4)).astype(np.uint8)
    steps = checked_steps([{"operation": "gaussian", "sigma": 2.0}])
    bands = ImageHeader(image.shape, "uint8", "yxs", "bands")
    found = run_alone(plan(PlanRequest(bands, steps)), image)
    for band in range(4):
        one = plan(PlanRequest(header_of(SHAPE, "uint8"), steps))
        alone = run_alone(one, np.ascontiguousarray(image[..., band]))
        np.testing.assert_allclose(found[..., band], alone, atol=1)
    assert plan(PlanRequest(bands, steps)).result_kind == "bands"
    assert json.loads(steps)[0]["operation"] == "gaussian"
