"""Compiled loops that thin a mask, and look again only at pixels whose neighbours have changed."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

SIGNATURE = "void(uint8[::1], int64, uint8[:, ::1], int64, int32[::1], int32[::1], uint8[::1])"


@njit(cache=True, error_model="numpy")
def edge_pixels(mask, width, found, changed):
    """List the pixels of a framed mask that have a neighbour outside it, and return their number.

    Their indices are written to `found`, and 1 to `changed`.
    """
    count = 0
    inner = np.empty(width - 2, np.uint8)
    for y in range(1, mask.size // width - 1):
        p = y * width
        inner[:] = 1
        for below in (p - width, p, p + width):
            for q in (below, below + 1, below + 2):
                line = mask[q : q + inner.size]
                for x in range(inner.size):
                    inner[x] &= line[x]
        line = mask[p + 1 : p + 1 + inner.size]
        for x in range(inner.size):
            if line[x] > inner[x]:
                found[count] = p + 1 + x
                changed[p + 1 + x] = 1
                count += 1
    return count


@njit(SIGNATURE, cache=True, error_model="numpy")
def thin(mask, width, tables, iterations, looked_at, gone, changed):
    """Thin a mask by a number of iterations of two halves, or until an iteration changes nothing.

    Parameters
    ----------
    mask : ndarray of uint8
        (rows + 2) × (columns + 2) pixels, 0 or 1, with a frame of zeros. It is changed.
    width : int
        Columns + 2.
    tables : ndarray of uint8
        (2, 256): for each half, whether a pixel stays, for each code of its neighbours. The bits of
        a code, lowest first, are the three neighbours above, the three below, the left and the
        right one. A pixel with all eight neighbours stays.
    iterations : int
        At most 100.
    looked_at, gone : ndarray of int32
        (pixels,): scratch memory.
    changed : ndarray of uint8
        (pixels,): zeros. For a pixel in the list, the first half, counted from 1, that sees its
        neighbours as they are now.
    """
    count = edge_pixels(mask, width, looked_at, changed)
    for half in range(1, 2 * iterations + 1):
        table = tables[(half - 1) % 2]
        leaving, listed = 0, 0
        for i in range(count):
            p = np.int64(looked_at[i])
            if mask[p] == 0:
                continue
            code = mask[p - width - 1] | mask[p - width] << 1 | mask[p - width + 1] << 2
            code |= mask[p + width - 1] << 3 | mask[p + width] << 4 | mask[p + width + 1] << 5
            code |= mask[p - 1] << 6 | mask[p + 1] << 7
            if table[code] == 0:
                gone[leaving] = p
                leaving += 1
            elif changed[p] >= half:
                # The other half has not looked at it yet with its present neighbours.
                looked_at[listed] = p
                listed += 1
            else:
                changed[p] = 0
        count = listed
        for i in range(leaving):
            mask[gone[i]] = 0
        for i in range(leaving):
            p = np.int64(gone[i])
            for above in (p - width, p, p + width):
                for q in range(above - 1, above + 2):
                    if mask[q] == 0:
                        continue
                    if changed[q] == 0:
                        looked_at[count] = q
                        count += 1
                    changed[q] = half + 1
        if count == 0:
            return
