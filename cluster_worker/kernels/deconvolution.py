"""Wiener filters with a given or an estimated noise level, with the same bits as scikit-image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, waves
from cluster_worker.kernels.waves import STRIP_WAVES, Spectrum
from cluster_worker.lazy import lazily

fft = lazily("scipy.fft")
uft = lazily("skimage.restoration.uft")
loops = lazily("cluster_worker.kernels.loops.deconvolution")
normals = lazily("cluster_worker.kernels.loops.normals")

# scikit-image's Laplacian, which measures roughness.
LAPLACIAN = np.array([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])

# scikit-image's defaults: the rounds that the mean leaves out, the fewest and the most rounds, and
# the change of the mean below which the rounds end.
BURN_IN = 15
ROUNDS_MIN = 30
ROUNDS_MAX = 200
THRESHOLD = 1e-4


def transfer_of(spread: NDArray[np.floating], shape: tuple[int, int]) -> Spectrum:
    """Compute the transfer function of a spread, as ``skimage.restoration.uft.ir2tf`` does.

    Most rows of the padded spread are zero: only the others are transformed along axis 1.

    Parameters
    ----------
    spread : ndarray
        (rows, columns): the image of one pixel, which lies in the middle. Both sides are odd, and
        no longer than those of the image.
    shape : tuple of int
        (rows, columns) of the image.

    Returns
    -------
    ndarray of complex
        (rows, columns // 2 + 1).
    """
    down, across = (side // 2 for side in spread.shape)
    rows = np.zeros((len(spread), shape[1]), spread.dtype)
    rows[:, : spread.shape[1]] = spread
    lines = fft.rfft(np.roll(rows, -across, axis=1), axis=1)
    spectrum = np.zeros((shape[0], lines.shape[1]), lines.dtype)
    spectrum[: len(spread) - down] = lines[down:]
    spectrum[shape[0] - down :] = lines[:down]
    found: Spectrum = fft.fft(spectrum, axis=0, overwrite_x=True)
    return found


def inverse_of(spectrum: Spectrum, shape: tuple[int, int]) -> Image:
    """Transform back as ``skimage.restoration.uft.uirfftn`` does. The spectrum is overwritten."""
    return waves.inverse_of(spectrum, shape, 1 / np.sqrt(np.longdouble(shape[0] * shape[1])))


def wiener(plane: Image, spread: NDArray[np.float64], balance: float, *, clip: bool) -> Image:
    """Deconvolve a plane as ``skimage.restoration.wiener`` does.

    Parameters
    ----------
    plane : ndarray
        (rows, columns) of float32 or float64.
    spread : ndarray
        (rows, columns): the image of one pixel; smaller than the transform of the plane.
    balance, clip
        As in ``skimage.restoration.wiener``.

    Returns
    -------
    ndarray
        Same shape and type as the plane.
    """
    rough = transfer_of(LAPLACIAN, plane.shape).real.astype(plane.dtype)
    transfer = transfer_of(spread.astype(plane.dtype), plane.shape)
    height = max(STRIP_WAVES // transfer.shape[1], 1)
    for top in range(0, len(transfer), height):
        given = transfer[top : top + height]
        precision = np.abs(given) ** 2 + balance * np.abs(rough[top : top + height]) ** 2
        loops.divide_conjugates(floats(given), precision, plane.dtype.type(1), floats(given))
    # This expression must be written as in scikit-image. numpy stores a large product in the memory
    # of a temporary factor, and then multiplies in the other order, which changes the last bit.
    return clipped(inverse_of(transfer * uft.urfftn(plane), plane.shape), clip)


def unsupervised_wiener(
    plane: Image, spread: NDArray[np.float64], *, clip: bool, rng: int
) -> Image:
    """Deconvolve a plane as ``skimage.restoration.unsupervised_wiener`` does.

    It draws the same random numbers.

    Parameters
    ----------
    plane, spread, clip
        As in `wiener`.
    rng : int
        Seed of the random numbers.

    Returns
    -------
    ndarray
        Same shape and type as the plane.
    """
    scalar = plane.dtype.type
    rough = transfer_of(LAPLACIAN, plane.shape).real.astype(plane.dtype)
    transfer = transfer_of(spread.astype(plane.dtype), plane.shape)
    power, roughness = np.abs(transfer) ** 2, np.abs(rough) ** 2
    spectrum = uft.urfft2(plane)
    generator = np.random.default_rng(rng)
    total, before, sample, scratch = np.zeros((4, *spectrum.shape), spectrum.dtype)
    real, imaginary = np.empty((2, *spectrum.shape))
    noise, prior = 1.0, 1.0
    for i in range(ROUNDS_MAX):
        precision = noise * power + prior * roughness
        draw_normals(generator, real)
        draw_normals(generator, imaginary)
        loops.divide_conjugates(floats(transfer), precision, scalar(noise), floats(sample))
        np.multiply(sample, spectrum, out=sample)
        loops.scatter(precision, real, imaginary, floats(scratch))
        np.add(sample, scratch, out=sample)
        np.multiply(sample, transfer, out=scratch)
        np.subtract(spectrum, scratch, out=scratch)
        noise = generator.gamma(plane.size / 2, 2 / uft.image_quad_norm(scratch))
        np.multiply(sample, rough, out=scratch)
        prior = generator.gamma((plane.size - 1) / 2, 2 / uft.image_quad_norm(scratch))
        kept = i - BURN_IN
        if kept < 1:
            continue
        total, before = before, total
        np.add(before, sample, out=total)
        if kept == 1:
            continue
        shares = scalar(1) / scalar(kept), scalar(1) / scalar(kept - 1)
        loops.take_shares(floats(total), floats(before), *shares, floats(scratch))
        change = np.sum(np.abs(scratch)) / np.sum(np.abs(total)) / kept
        if i > ROUNDS_MIN and change < THRESHOLD:
            break
    return clipped(inverse_of(total / kept, plane.shape), clip)


def draw_normals(generator: np.random.Generator, result: NDArray[np.float64]) -> None:
    """Fill an array with the numbers that ``generator.standard_normal`` would return.

    The generator's state advances as it would there.

    Parameters
    ----------
    generator : Generator
        A generator made by `numpy.random.default_rng`, whose bit generator is PCG64.
    result : ndarray of float64
        A contiguous array.
    """
    known: Any = generator.bit_generator.state
    state, step = known["state"]["state"], known["state"]["inc"]
    halves = np.array([*divmod(state, 1 << 64), *divmod(step, 1 << 64)], np.uint64)
    normals.fill(halves, result.reshape(-1))
    high, low = map(int, halves[:2])
    generator.bit_generator.state = known | {"state": {"state": (high << 64) + low, "inc": step}}


def floats(spectrum: Spectrum) -> NDArray[Any]:
    """Return a view of complex numbers as pairs of floats."""
    return spectrum.view(spectrum.real.dtype)


def clipped(plane: Image, clip: bool) -> Image:
    """Clip a plane to -1…1, in place, if `clip` is set; NaN stays."""
    return np.clip(plane, -1, 1, out=plane) if clip else plane
