"""Transparent pixels have no colour, and four channels need not have alpha."""

import json

import numpy as np
import pytest

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from tests.cluster_worker.operations.test_catalogue import (
    assert_faithful,
    assert_seamless,
    default,
    largest_difference,
    named,
    run,
)

COLOUR = np.array([250, 200, 30])
AVERAGING = [n for n, o in OPERATIONS.items() if o.averages or o.weighted]
# Its range is that of all channels together, so that one channel alone differs.
SHARED_RANGE = ("butterworth", "rank_entropy")


def disk(dtype):
    """Return a disk of one colour on clear black, with a soft edge."""
    rows, columns = np.mgrid[:64, :64]
    distance = np.hypot(rows - 32, columns - 32)
    opacity = np.clip(22 - distance, 0, 2) / 2
    image = np.dstack([np.where(opacity[..., np.newaxis] > 0, COLOUR / 255, 0), opacity])
    scale = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    return (image * scale).astype(dtype)


@pytest.mark.parametrize("name", AVERAGING)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_disk_of_one_colour_keeps_that_colour(name, dtype):
    image = disk(dtype)
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    found = run(image, default(name)) / white
    seen = found[..., 3] > 0.01
    assert seen.any()
    assert not seen.all()
    # Rank filters work on 8 bits, and cut off what is less than a level.
    levels = 2 if name == "rank_mean" else 1
    np.testing.assert_allclose(
        found[seen][:, :3] * 255, np.broadcast_to(COLOUR, (seen.sum(), 3)), atol=levels
    )


def outcome(image, steps, depth):
    """Run a chain on an image without alpha."""
    header = header_of(image.shape, str(image.dtype), alpha=False)
    try:
        return run_alone(plan(PlanRequest(header, json.dumps(steps), depth)), image)
    except Rejected as error:
        return str(error)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, each in OPERATIONS.items()
        if each.stands_alone
        and each.channels == "each"
        and each.takes == "picture"
        and name not in SHARED_RANGE
    ],
)
@pytest.mark.parametrize("channels", [2, 4])
def test_bands_without_alpha_are_processed_one_by_one(name, channels):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (30, 71, channels), np.uint8)
    for depth in ("input", "native"):
        with named(depth):
            whole = outcome(image, default(name), depth)
            bands = [
                outcome(np.ascontiguousarray(image[..., i]), default(name), depth)
                for i in range(channels)
            ]
            if isinstance(whole, str):
                assert whole == bands[0]
                continue
            allowed = 1 if depth == "input" and whole.dtype.kind == "u" else 0
            assert largest_difference(whole, np.stack(bands, axis=2)) <= allowed


@pytest.mark.parametrize("name", ["rgb2gray", "rgb2hsv", "canny"])
def test_four_channels_without_alpha_are_no_colours(name):
    image = np.zeros((20, 31, 4), np.uint8)
    assert outcome(image, default(name), "native") == (
        f"{name}: takes gray or RGB images, got 4 channels without alpha (with depth native no "
        "channel is alpha); choose one or three by channels, as 1..3, or use depth input"
    )


def test_one_channel_has_no_alpha():
    header = header_of((20, 31), "uint8", alpha=True)
    with pytest.raises(Rejected, match="image: must have 2 or more channels for the last one to"):
        plan(PlanRequest(header, json.dumps(default("invert"))))


def modes_of(name):
    return OPERATIONS[name].parameters.get("mode", {"enum": [None]})["enum"]


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name in AVERAGING for mode in modes_of(name)]
)
def test_every_border_mode_takes_transparent_images(name, mode):
    image = np.random.default_rng(0).integers(0, 256, (40, 51, 4), np.uint8)
    [step] = default(name)
    step |= {} if mode is None else {"mode": mode}
    step |= {"cval": 0.5} if "cval" in step else {}
    assert_seamless(image, [step], (23, 19), "input")
    assert_faithful(image, [step])


@pytest.mark.parametrize("name", ["gaussian", "unsharp_mask", "rank_mean"])
@pytest.mark.parametrize("cval", [0.0, 0.5, 1.0])
def test_an_opaque_image_is_filtered_as_one_without_alpha(name, cval):
    colours = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    image = np.dstack([colours, np.full(colours.shape[:2], 255, np.uint8)])
    [step] = default(name)
    step |= {"mode": "constant", "cval": cval} if "cval" in step else {}
    with_alpha, without = run(image, [step]), run(colours, [step])
    assert largest_difference(with_alpha[..., :3], without) <= 1
    assert (with_alpha[..., 3] == 255).all()


def test_beyond_the_border_colour_and_alpha_have_one_level():
    image = np.zeros((40, 40, 4), np.uint8)
    image[..., 3] = 255
    for order in (0, 1):
        [step] = default("rotate")
        found = run(image, [step | {"angle": 45.0, "cval": 0.5, "order": order}])
        assert (abs(found[0, 0].astype(int) - 128) <= 1).all()
