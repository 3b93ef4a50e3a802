import numpy as np
import pytest

from cluster_worker.operations.support.quantiles import quantile_values, quantiles

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
