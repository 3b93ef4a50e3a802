"""References of restoration, which removes noise, blur and uneven background."""

import warnings

import numpy as np
from skimage import morphology, restoration, util

from tests.cluster_worker.operations.reference.shared import axis, per_colour


def point_spread(psf, radius):
    along = np.arange(-radius, radius + 1)
    square = np.ones((2 * radius + 1, 2 * radius + 1))
    gaussian = np.exp(-(along**2 + along[:, np.newaxis] ** 2) / (2 * (radius / 2) ** 2))
    found = {"disk": morphology.disk(radius), "box": square, "gaussian": gaussian}[psf]
    return found / found.sum()


def bregman(image, weight, max_num_iter, eps, isotropic):
    if 1 in image.shape[:2]:
        raise ValueError("scikit-image reads beyond the image")
    return restoration.denoise_tv_bregman(
        image, weight, max_num_iter, eps, isotropic, channel_axis=axis(image)
    )


def last_axis(image):
    return -1 if image.ndim == 3 else None


# Both drop axes of length one, and then can move the colours back to axis -1 only.
def bilateral(image, **parameters):
    found = restoration.denoise_bilateral(image, channel_axis=last_axis(image), **parameters)
    # It returns a constant image in its own type, and NaN where all weights are zero.
    found, pixels = util.img_as_float(found.reshape(image.shape)), util.img_as_float(image)
    return np.where(np.isnan(found), pixels, found)


def nl_means(image, **parameters):
    found = restoration.denoise_nl_means(image, channel_axis=last_axis(image), **parameters)
    return found.reshape(image.shape)


def wavelet(image, sigma, wavelet, mode, wavelet_levels, method):
    if image.dtype == bool:  # masks cannot be subtracted
        image = util.img_as_float(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = restoration.denoise_wavelet(
            image, sigma, wavelet, mode, wavelet_levels, method=method, channel_axis=axis(image)
        )
    # It gives NaN where there is no detail to estimate the noise from.
    unknown = np.isnan(found).any(axis=(0, 1)) & np.isfinite(image).all()
    return np.where(unknown, util.img_as_float(image), found)


def lucy(image, psf, radius, num_iter, clip, filter_epsilon):
    # In double precision: in single, the rounding of its Fourier transforms exceeds 1e-6. Negative
    # values are clipped, since they make its result depend on rounding.
    dtype = np.float32 if image.dtype == np.float32 else np.float64
    spread = point_spread(psf, radius)
    return per_colour(
        lambda x: restoration.richardson_lucy(
            np.maximum(x, 0).astype(np.float64), spread, num_iter, clip, filter_epsilon
        ).astype(dtype),
        image,
    )


REFERENCE = {
    "denoise_tv_bregman": bregman,
    "denoise_bilateral": bilateral,
    "denoise_nl_means": nl_means,
    "denoise_wavelet": wavelet,
    "richardson_lucy": lucy,
    "wiener": lambda image, psf, radius, balance, clip: per_colour(
        lambda x: restoration.wiener(x, point_spread(psf, radius), balance, clip=clip), image
    ),
    "unsupervised_wiener": lambda image, psf, radius, clip, rng: per_colour(
        lambda x: restoration.unsupervised_wiener(x, point_spread(psf, radius), clip=clip, rng=rng)[
            0
        ],
        image,
    ),
    "rolling_ball": lambda image, radius: per_colour(
        lambda x: restoration.rolling_ball(x, radius=radius, workers=1), image
    ),
}
