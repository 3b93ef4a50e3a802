import numpy as np
import pytest

from cluster_worker.operations.support.quantiles import quantile_values, quantiles
from config.contract import recipe
from tests.cluster_worker.operations.test_catalogue import CATALOGUE, outcome

SHARES = (0.0, 0.013, 0.5, 0.9, 1.0)


def measured(pieces, shares):
    found = ()
    for measure in quantiles(shares):
        total = None
        for piece in pieces:
            counted = measure.of(piece, *found)
            total = counted if total is None else measure.combine(total, counted)
        found += (total,)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_quantiles_of_pieces_are_those_of_numpy_to_the_last_bit(dtype, size):
    values = np.random.default_rng(size).normal(size=size)
    values = (values * 20 if dtype.startswith("int") else values).astype(dtype)
    values[::3] = values[0]
    counted = measured(np.array_split(values, min(size, 3)), SHARES)
    found = quantile_values(counted, SHARES, values.dtype)
    np.testing.assert_array_equal(found, np.percentile(values, [100 * each for each in SHARES]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_percentiles_that_the_type_of_an_image_cannot_tell_apart_are_one_level(dtype):
    image = np.random.default_rng(3).random((20, 31)).astype(dtype) - 1
    step = {"operation": "rescale_intensity", "in_range": "percentiles"}
    step |= {"lower_percentile": 0.0, "upper_percentile": 1e-200 if dtype == "float32" else 0.0}
    found = outcome(image, recipe.check([step], CATALOGUE, 1), None, "native")
    np.testing.assert_array_equal(found, image.min())
