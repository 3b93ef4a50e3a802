"""The header that follows from the shape and dtype of an image."""

import pytest

from cluster_worker.pixels.header import ImageHeader, header_of


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "kind", "alpha"),
    [
        ((3, 4), "uint8", "yx", "picture", False),
        ((3, 4, 1), "uint16", "yxs", "picture", False),
        ((3, 4, 2), "uint8", "yxs", "picture", True),
        ((3, 4, 3), "float32", "yxs", "picture", False),
        ((3, 4, 4), "float64", "yxs", "picture", True),
        ((3, 4), "bool", "yx", "mask", False),
        ((3, 4), "uint32", "yx", "labels", False),
    ],
)
def test_shape_and_dtype_tell_axes_kind_and_alpha(shape, dtype, axes, kind, alpha):
    assert header_of(shape, dtype) == ImageHeader(shape, dtype, axes, kind, alpha)


def test_a_header_can_be_a_key():
    assert hash(header_of((3, 4), "uint8")) == hash(header_of([3, 4], "uint8"))
