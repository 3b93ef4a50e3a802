"""Compiled loops that weigh the colours of a pixel.

Without products that are added before they are rounded: each pixel is what numpy makes of it.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

compiled = njit(cache=True, error_model="numpy")


@compiled
def grays_of_row(values, weights, scale, white, rounds, result):
    """Weigh the three colours of each pixel of a row."""
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
    """Weigh the three colours of each pixel.

    `rows` are (rows, columns × 3) of any type, which `scale` makes floats of; the result is
    (rows, columns), and `rounds` to whole numbers up to `white`.
    """
    for y in range(result.shape[0]):
        grays_of_row(rows[y], weights, scale, white, rounds, result[y])


@compiled
def mixtures_of_row(values, weights, scale, result):
    """Weigh the three colours of each pixel of a row in three ways."""
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
    """Weigh the three colours of each pixel in three ways, by a matrix of nine weights.

    `rows` are (rows, columns × 3) of any type, which `scale` makes floats of, as is the result.
    """
    for y in range(result.shape[0]):
        mixtures_of_row(rows[y], weights, scale, result[y])


@compiled
def weighed_row(values, table, weights, result):
    """Weigh what the three colours of each pixel of a row stand for, where that is above 0."""
    red, green, blue = weights[0], weights[1], weights[2]
    place = np.uint64(0)
    for x in range(result.size):
        total = table[values[place]] * red
        total += table[values[place + np.uint64(1)]] * green
        total += table[values[place + np.uint64(2)]] * blue
        result[x] = max(total, 0.0)
        place += np.uint64(3)


@compiled
def weighed_three(values, table, weights, result):
    """Weigh what the three colours of each pixel of a row stand for in three ways."""
    a, b, c = weights[0, 0], weights[0, 1], weights[0, 2]
    d, e, f = weights[1, 0], weights[1, 1], weights[1, 2]
    g, h, i = weights[2, 0], weights[2, 1], weights[2, 2]
    place = np.uint64(0)
    for _ in range(result.size // 3):
        red = table[values[place]]
        green = table[values[place + np.uint64(1)]]
        blue = table[values[place + np.uint64(2)]]
        result[place] = max(red * a + green * b + blue * c, 0.0)
        result[place + np.uint64(1)] = max(red * d + green * e + blue * f, 0.0)
        result[place + np.uint64(2)] = max(red * g + green * h + blue * i, 0.0)
        place += np.uint64(3)


@compiled
def weighed(rows, table, weights, result):
    """Weigh what the levels of each pixel's colours stand for in one way or in three.

    `rows` are (rows, columns × 3) of whole numbers, which the table makes floats of.
    """
    for y in range(result.shape[0]):
        if weights.shape[0] == 1:
            weighed_row(rows[y], table, weights[0], result[y])
        else:
            weighed_three(rows[y], table, weights, result[y])


@compiled
def stained_row(values, table, amounts, colours, result):
    """Give the logarithms of the colours that the stains of each pixel of a row have."""
    a, b, c = amounts[0, 0], amounts[0, 1], amounts[0, 2]
    d, e, f = amounts[1, 0], amounts[1, 1], amounts[1, 2]
    g, h, i = amounts[2, 0], amounts[2, 1], amounts[2, 2]
    place = np.uint64(0)
    for _ in range(result.size // 3):
        red = table[values[place]]
        green = table[values[place + np.uint64(1)]]
        blue = table[values[place + np.uint64(2)]]
        first = max(red * a + green * b + blue * c, 0.0)
        second = max(red * d + green * e + blue * f, 0.0)
        third = max(red * g + green * h + blue * i, 0.0)
        for k in range(3):
            total = first * colours[k, 0] + second * colours[k, 1] + third * colours[k, 2]
            result[place] = total
            place += np.uint64(1)


@compiled
def stained_by_one(values, table, amounts, colours, result):
    """Give the logarithms of the colours that one stain of each pixel of a row has."""
    a, b, c = amounts[0, 0], amounts[0, 1], amounts[0, 2]
    p, q, r = colours[0, 0], colours[1, 0], colours[2, 0]
    place = np.uint64(0)
    for _ in range(result.size // 3):
        red = table[values[place]]
        green = table[values[place + np.uint64(1)]]
        blue = table[values[place + np.uint64(2)]]
        amount = max(red * a + green * b + blue * c, 0.0)
        result[place] = amount * p
        result[place + np.uint64(1)] = amount * q
        result[place + np.uint64(2)] = amount * r
        place += np.uint64(3)


@compiled
def stained(rows, table, amounts, colours, result):
    """Give the logarithms of the colours that one stain of each pixel has, or three together.

    `rows` are (rows, columns × 3) of whole numbers, which the table makes floats of; `amounts` are
    (stains, 3), of which sums below 0 become 0; `colours` are (3, stains).
    """
    for y in range(result.shape[0]):
        if amounts.shape[0] == 1:
            stained_by_one(rows[y], table, amounts, colours, result[y])
        else:
            stained_row(rows[y], table, amounts, colours, result[y])
