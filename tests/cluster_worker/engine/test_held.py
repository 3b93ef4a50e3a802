"""Images that stay in the engine's memory between runs."""

import threading

import numpy as np
import pytest

from cluster_worker import Engine, Rejected
from tests.cluster_worker.operations.images import IMAGES

pytestmark = pytest.mark.slow

BIG = np.random.default_rng(1).integers(0, 255, (1500, 1500), np.uint8)
BLUR = [{"operation": "gaussian", "sigma": 1.5}]
OTSU = [{"operation": "threshold_otsu"}]
# About a second, so that it still runs when its image is released.
SLOW = [{"operation": "denoise_bilateral", "sigma_spatial": 4.0}]


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as engine:
        yield engine


@pytest.mark.parametrize("image", [BIG, IMAGES["photograph"], IMAGES["transparent"]])
def test_a_held_image_gives_the_same_pixels_and_its_result_can_be_the_next_image(engine, image):
    blurred = engine.run(image, BLUR)
    with (
        engine.hold(image) as held,
        engine.run(held, BLUR) as held_blurred,
        engine.run(held_blurred, OTSU) as mask,
    ):
        np.testing.assert_array_equal(held.array, image)
        np.testing.assert_array_equal(held_blurred.array, blurred)
        np.testing.assert_array_equal(mask.array, engine.run(blurred, OTSU))
    assert engine.segments.held == engine.segments.taken == 0


def test_pixels_written_into_a_held_image_are_what_the_next_run_reads(engine):
    with engine.hold(np.zeros_like(BIG)) as held:
        held.array[...] = BIG
        with engine.run(held, [{"operation": "invert"}]) as negative:
            np.testing.assert_array_equal(negative.array, 255 - BIG)


def test_an_image_released_in_a_run_keeps_its_pixels_until_the_run_is_over(engine):
    held = engine.hold(BIG)
    started = threading.Event()
    with engine.prepare_held(held, SLOW) as job:
        job.start(lambda done, total: started.set())
        assert started.wait(60)
        held.release()
        assert engine.segments.held == BIG.nbytes
        job.wait(60)
        found = job.result.copy()
    np.testing.assert_array_equal(found, engine.run(BIG, SLOW))
    assert engine.segments.held == engine.segments.taken == 0


def test_a_released_image_is_refused_with_a_sentence(engine):
    held = engine.hold(BIG)
    held.release()
    held.release()
    with pytest.raises(Rejected, match="image: was released; hold it again"):
        engine.run(held, BLUR)
    assert engine.segments.held == engine.segments.taken == 0


def test_a_refused_run_leaves_its_image_held(engine):
    with engine.hold(BIG) as held:
        with pytest.raises(Rejected, match=r"^steps\[0\]\.sigma: must lie between"):
            engine.run(held, [{"operation": "gaussian", "sigma": 1e9}])
        with pytest.raises(Rejected, match="label2rgb: takes labels or a mask"):
            engine.run(held, [{"operation": "gray2rgb"}, {"operation": "label2rgb"}])
        assert held.readers == 0
        np.testing.assert_array_equal(held.array, BIG)


def test_an_image_without_room_beside_held_ones_is_refused_with_the_numbers(engine, monkeypatch):
    monkeypatch.setattr(engine.segments, "limit", 3 * BIG.nbytes)
    with engine.hold(BIG), engine.hold(BIG) as second:
        with pytest.raises(Rejected, match="images that are held leave 2 MiB; release some"):
            engine.run(BIG, BLUR)
        with engine.run(second, BLUR) as blurred:
            assert blurred.array.shape == BIG.shape


def test_an_image_that_no_operation_takes_is_not_held(engine):
    with pytest.raises(Rejected, match="image: must be of bool, uint8"):
        engine.hold(BIG.astype(np.complex64))
