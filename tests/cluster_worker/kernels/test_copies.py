"""Copies are right for any memory layout of image and copy, and change nothing around the copy."""

import numpy as np
import pytest

from cluster_worker.kernels import copies

SHAPES = ((1, 1), (5, 7), (3, 63), (3, 64), (4, 200), (33, 70, 3), (40, 1000))


def images(dtype):
    """Yield images of every layout: cut out of a larger one, whole, transposed and mirrored."""
    random = np.random.default_rng(1)
    for rows, columns, *channels in SHAPES:
        larger = random.integers(0, 256, (rows + 2, columns + 3, *channels)).astype(dtype)
        cut = larger[1:-1, 2:-1]
        yield from (cut, cut.copy(), cut.swapaxes(0, 1), cut[::-1], cut[:, ::-1])


def targets(image):
    """Yield pairs of an array of ones and a view of it that the copy is written to."""
    for before, behind in ((0, 0), (1, 2), (17, 64)):
        shape = (image.shape[0] + 2, before + image.shape[1] + behind, *image.shape[2:])
        around = np.ones(shape, image.dtype)
        yield around, around[1:-1, before : before + image.shape[1]]
    around = np.ones((2 * image.shape[0], 2 * image.shape[1], *image.shape[2:]), image.dtype)
    for target in (around[: image.shape[0], : image.shape[1]][::-1], around[::2, ::-2]):
        yield target, target


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float32", "float64"])
def test_copies_and_inverts(dtype, streams, monkeypatch):
    monkeypatch.setattr(copies, "STREAMED_BYTES", 0 if streams else 1 << 40)
    ways = [(copies.copy, np.copy)]
    if dtype.startswith("uint"):
        ways.append((copies.invert, np.invert))
    for image in images(dtype):
        for way, expected in ways:
            for around, target in targets(image):
                way(image, target)
                np.testing.assert_array_equal(target, expected(image))
                target[...] = 1
                assert (around == 1).all()


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("dtype", "target"),
    [("uint8", "bool"), ("uint8", "uint8"), ("uint16", "uint16"), ("uint16", "bool")],
)
def test_cuts_at_a_level(dtype, target, streams, monkeypatch):
    monkeypatch.setattr(copies, "STREAMED_BYTES", 0 if streams else 1 << 40)
    target = dtype if target == "same" else target
    white = 1 if target == "bool" else np.iinfo(target).max - 1
    for image in images(dtype):
        for level in (0, 127, 254):
            expected = np.where(image > level, white, 0)
            for around, out in targets(image.astype(target)):
                copies.threshold(
                    image if image.flags.c_contiguous else image.copy(), out, level, white
                )
                np.testing.assert_array_equal(out, expected)
                out[...] = 1
                assert (around == 1).all()


@pytest.mark.parametrize("dtype", ["bool", "uint16", "float64"])
def test_clears(dtype):
    for image in images(dtype):
        for around, target in targets(image):
            copies.clear(target)
            assert not target.any()
            target[...] = 1
            assert (around == 1).all()


def test_in_place():
    image = np.random.default_rng(2).integers(0, 256, (1100, 1000), np.uint8)
    assert image.nbytes > copies.STREAMED_BYTES
    inverted = image.copy()
    copies.invert(inverted, inverted)
    np.testing.assert_array_equal(inverted, np.invert(image))
    copies.copy(image[:-1], image[1:])
    np.testing.assert_array_equal(image[1:], np.invert(inverted[:-1]))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "uint32", "float32", "float64"])
def test_gray_in_each_colour(dtype):
    for image in images(dtype):
        shape = (*image.shape[:2], 3)
        wider = np.zeros((*shape[:1], shape[1] + 3, 3), dtype)
        for target in (np.zeros(shape, dtype), wider[:, :-3], wider[::-1, 3:], wider[:, :2:-1]):
            copies.copy_colours(image, target)
            expected = image if image.ndim == 3 else np.stack([image] * 3, axis=2)
            np.testing.assert_array_equal(target, expected)
