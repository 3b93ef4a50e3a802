"""Convolution with weights: what is compiled for it."""

import numpy as np

from cluster_worker.kernels.correlation import convolved
from cluster_worker.kernels.loops import correlation
from cluster_worker.pixels.tiling import Place, Span


def test_one_weight_needs_no_compilation_of_its_own():
    image = np.ones((20, 20), np.float32)
    place = Place(Span(0, 20, 0, 20), Span(0, 20, 0, 20), (20, 20))
    for weights in (np.ones((3, 3)), np.diag([0.0, 1.0, 0.0])):
        convolved(image, weights, "reflect", 0.0, place)
    assert len(correlation.correlate.signatures) == 1
