"""Filters that weight the frequencies of an image, with the same bits as scikit-image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

Spectrum = NDArray[np.complexfloating[Any, Any]]

fft = lazily("scipy.fft")

# Frequencies that are weighted at a time: with intermediate arrays they stay in the cache.
STRIP_WAVES = 1 << 15


def inverse_of(spectrum: Spectrum, shape: tuple[int, int], factor: np.longdouble) -> Image:
    """Compute the inverse Fourier transform of a spectrum.

    Parameters
    ----------
    spectrum : ndarray of complex
        (rows, columns // 2 + 1); it is overwritten.
    shape : tuple of int
        (rows, columns) of the image.
    factor : longdouble
        Factor of the pixels; it is rounded once to their type.

    Returns
    -------
    ndarray
        (rows, columns), of floats.
    """
    columns = fft.ifft(spectrum, axis=0, norm="forward", overwrite_x=True)
    found: Image = fft.irfft(columns, shape[1], axis=1, norm="forward")
    found *= found.dtype.type(factor)
    return found


def butterworth(
    plane: Image,
    cutoff_frequency_ratio: float,
    high_pass: bool,
    order: float,
    squared_butterworth: bool,
    npad: int,
) -> Image:
    """Filter a plane as ``skimage.filters.butterworth`` does.

    Parameters
    ----------
    plane : ndarray
        (rows, columns) of float32 or float64.
    cutoff_frequency_ratio, high_pass, order, squared_butterworth, npad
        As in ``skimage.filters.butterworth``.

    Returns
    -------
    ndarray
        Same shape and type as the plane.
    """
    rows, columns = plane.shape
    framed = np.pad(plane, npad, mode="edge") if npad else plane
    down, across = (squared_waves(each, cutoff_frequency_ratio) for each in framed.shape)
    shape, size = framed.shape, framed.size
    spectrum = fft.rfft(framed, axis=1)
    # The padded plane may be many times as large as the plane.
    del framed
    spectrum = fft.fft(spectrum, axis=0, overwrite_x=True)
    across = across[: spectrum.shape[1]]
    height = max(STRIP_WAVES // len(across), 1)
    for top in range(0, len(spectrum), height):
        waves = np.add.outer(down[top : top + height], across).astype(plane.dtype)
        waves = np.power(waves, order)
        gains = 1 / (1 + waves)
        if high_pass:
            gains *= waves
        spectrum[top : top + height] *= gains if squared_butterworth else np.sqrt(gains)
    found = inverse_of(spectrum, shape, 1 / np.longdouble(size))
    return found[npad : npad + rows, npad : npad + columns]


def squared_waves(length: int, cutoff: float) -> NDArray[np.float64]:
    """Return the squared frequencies along an axis in scikit-image's order; the cutoff is 1.

    Parameters
    ----------
    length : int
        Pixels of the axis.
    cutoff : float
        Cutoff frequency, as a share of the sampling frequency.
    """
    centred = np.arange(-(length - 1) // 2, (length - 1) // 2 + 1) / (length * cutoff)
    found: NDArray[np.float64] = fft.ifftshift(centred**2)
    return found
