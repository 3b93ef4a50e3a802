"""Compiled loops that compute weighted sums of the colours of a pixel.

Products are rounded before they are added, so that each pixel has the same bits as with numpy.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

compiled = njit(cache=True, error_model="numpy")


@compiled
def grays_of_row(values, weights, scale, white, rounds, result):
    """Compute the weighted sum of the three colours of each pixel of a row."""
    red, green, blue = weights[0], weights[1], weights[2]
    for x in range(result.size):
        gray = np.float32(values[3 * x]) * scale * red
        gray += np.float32(values[3 * x + 1]) * scale * green
        gray += np.float32(values[3 * x + 2]) * scale * blue
        if rounds:
            gray = np.rint(min(max(gray, np.float32(0)), np.float32(1)) * white)
        result[x] = gray


@compiled
def grays(rows, weights, scale, white, rounds, result):
    """Compute the weighted sum of the three colours of each pixel.

    `rows` is (rows, columns × 3) of any type; its values times `scale` are floats in 0…1. `result`
    is (rows, columns). If `rounds` is set, it gets integers from 0 to `white`.
    """
    for y in range(result.shape[0]):
        grays_of_row(rows[y], weights, scale, white, rounds, result[y])


@compiled
def mixtures_of_row(values, weights, scale, result):
    """Compute three weighted sums of the three colours of each pixel of a row."""
    a, b, c = weights[0], weights[1], weights[2]
    d, e, f = weights[3], weights[4], weights[5]
    g, h, i = weights[6], weights[7], weights[8]
    for x in range(result.size // 3):
        red = np.float32(values[3 * x]) * scale
        green = np.float32(values[3 * x + 1]) * scale
        blue = np.float32(values[3 * x + 2]) * scale
        result[3 * x] = red * a + green * b + blue * c
        result[3 * x + 1] = red * d + green * e + blue * f
        result[3 * x + 2] = red * g + green * h + blue * i


@compiled
def mixtures(rows, weights, scale, result):
    """Multiply the three colours of each pixel by a matrix, given as nine weights in row order.

    `rows` is (rows, columns × 3) of any type; its values times `scale` are floats in 0…1. `result`
    is (rows, columns × 3) of float32.
    """
    for y in range(result.shape[0]):
        mixtures_of_row(rows[y], weights, scale, result[y])


@compiled
def weighed_row(values, table, weights, result):
    """Compute the weighted sum of the table values of each pixel of a row; at least 0."""
    red, green, blue = weights[0], weights[1], weights[2]
    index = np.uint64(0)
    for x in range(result.size):
        total = table[values[index]] * red
        total += table[values[index + np.uint64(1)]] * green
        total += table[values[index + np.uint64(2)]] * blue
        result[x] = max(total, 0.0)
        index += np.uint64(3)


@compiled
def weighed_three(values, table, weights, result):
    """Compute three weighted sums of the table values of each pixel of a row; at least 0."""
    a, b, c = weights[0, 0], weights[0, 1], weights[0, 2]
    d, e, f = weights[1, 0], weights[1, 1], weights[1, 2]
    g, h, i = weights[2, 0], weights[2, 1], weights[2, 2]
    index = np.uint64(0)
    for _ in range(result.size // 3):
        red = table[values[index]]
        green = table[values[index + np.uint64(1)]]
        blue = table[values[index + np.uint64(2)]]
        result[index] = max(red * a + green * b + blue * c, 0.0)
        result[index + np.uint64(1)] = max(red * d + green * e + blue * f, 0.0)
        result[index + np.uint64(2)] = max(red * g + green * h + blue * i, 0.0)
        index += np.uint64(3)


@compiled
def weighed(rows, table, weights, result):
    """Compute one or three weighted sums of the table values of each pixel's colours.

    `rows` is (rows, columns × 3) of unsigned integers, which are looked up in `table`. `weights` is
    (1, 3) or (3, 3). Negative sums become 0.
    """
    for y in range(result.shape[0]):
        if weights.shape[0] == 1:
            weighed_row(rows[y], table, weights[0], result[y])
        else:
            weighed_three(rows[y], table, weights, result[y])


@compiled
def stained_row(values, table, amounts, colours, result):
    """Compute the logarithms of the colours that three stains give each pixel of a row."""
    a, b, c = amounts[0, 0], amounts[0, 1], amounts[0, 2]
    d, e, f = amounts[1, 0], amounts[1, 1], amounts[1, 2]
    g, h, i = amounts[2, 0], amounts[2, 1], amounts[2, 2]
    index = np.uint64(0)
    for _ in range(result.size // 3):
        red = table[values[index]]
        green = table[values[index + np.uint64(1)]]
        blue = table[values[index + np.uint64(2)]]
        first = max(red * a + green * b + blue * c, 0.0)
        second = max(red * d + green * e + blue * f, 0.0)
        third = max(red * g + green * h + blue * i, 0.0)
        for k in range(3):
            total = first * colours[k, 0] + second * colours[k, 1] + third * colours[k, 2]
            result[index] = total
            index += np.uint64(1)


@compiled
def stained_by_one(values, table, amounts, colours, result):
    """Compute the logarithms of the colours that one stain gives each pixel of a row."""
    a, b, c = amounts[0, 0], amounts[0, 1], amounts[0, 2]
    p, q, r = colours[0, 0], colours[1, 0], colours[2, 0]
    index = np.uint64(0)
    for _ in range(result.size // 3):
        red = table[values[index]]
        green = table[values[index + np.uint64(1)]]
        blue = table[values[index + np.uint64(2)]]
        amount = max(red * a + green * b + blue * c, 0.0)
        result[index] = amount * p
        result[index + np.uint64(1)] = amount * q
        result[index + np.uint64(2)] = amount * r
        index += np.uint64(3)


@compiled
def stained(rows, table, amounts, colours, result):
    """Compute the logarithms of the colours that one stain, or three together, give each pixel.

    `rows` is (rows, columns × 3) of unsigned integers, which are looked up in `table`. `amounts` is
    (stains, 3): the weights for the amount of each stain, of which negative sums become 0.
    `colours` is (3, stains).
    """
    for y in range(result.shape[0]):
        if amounts.shape[0] == 1:
            stained_by_one(rows[y], table, amounts, colours, result[y])
        else:
            stained_row(rows[y], table, amounts, colours, result[y])
