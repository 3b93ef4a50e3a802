"""Filters that weigh the waves which an image is made of, to scikit-image's last bit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cluster_worker.kernels import Image

Spectrum = NDArray[np.complexfloating[Any, Any]]

# Waves that are worked on at a time, so that what is made of them stays in the cache.
STRIP_WAVES = 1 << 15


def inverse_of(spectrum: Spectrum, shape: tuple[int, int], factor: np.longdouble) -> Image:
    """Transform back.

    Parameters
    ----------
    spectrum : ndarray
        (rows, columns // 2 + 1); it is lost.
    shape : tuple of int
        (rows, columns) of the image.
    factor : longdouble
        What pixels are multiplied with; it is rounded once.

    Returns
    -------
    ndarray
        Of that shape.
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
    """Do what ``skimage.filters.butterworth`` does.

    Parameters
    ----------
    plane : ndarray
        (rows, columns) of float32 or float64.
    cutoff_frequency_ratio, high_pass, order, squared_butterworth, npad
        As there.

    Returns
    -------
    ndarray
        Of the plane's shape and type.
    """
    rows, columns = plane.shape
    framed = np.pad(plane, npad, mode="edge") if npad else plane
    down, across = (squared_waves(each, cutoff_frequency_ratio) for each in framed.shape)
    shape, size = framed.shape, framed.size
    spectrum = fft.rfft(framed, axis=1)
    # What is framed may be many times the plane.
    del framed
    spectrum = fft.fft(spectrum, axis=0, overwrite_x=True)
    across = across[: spectrum.shape[1]]
    many = max(STRIP_WAVES // len(across), 1)
    for top in range(0, len(spectrum), many):
        waves = np.add.outer(down[top : top + many], across).astype(plane.dtype)
        waves = np.power(waves, order)
        gains = 1 / (1 + waves)
        if high_pass:
            gains *= waves
        spectrum[top : top + many] *= gains if squared_butterworth else np.sqrt(gains)
    found = inverse_of(spectrum, shape, 1 / np.longdouble(size))
    return found[npad : npad + rows, npad : npad + columns]


def squared_waves(length: int, cutoff: float) -> NDArray[np.float64]:
    """Give the squared frequencies along an axis, that of the cutoff being 1, as scikit-image."""
    centred = np.arange(-(length - 1) // 2, (length - 1) // 2 + 1) / (length * cutoff)
    found: NDArray[np.float64] = fft.ifftshift(centred**2)
    return found
