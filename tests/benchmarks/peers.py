"""Peers: the same work in other libraries, each as its own users would write it."""

import cv2
import dask
import dask.array
import numpy as np
import pyvips
from dask_image import ndfilters
from PIL import Image, ImageFilter, ImageOps
from skimage import color, exposure, feature, filters, morphology, restoration, transform, util

CHUNK = 2048
SQUARE = np.ones((5, 5), np.uint8)
# One kernel of scikit-image's Sobel sums to four, and two directions are averaged.
SOBEL_SCALE = 1 / (4 * 255 * np.sqrt(2))
BLOCK = 35


def opencv_gaussian(sigma):
    side = 2 * int(4 * sigma + 0.5) + 1
    return lambda image: cv2.GaussianBlur(
        image, (side, side), sigma, borderType=cv2.BORDER_REPLICATE
    )


def opencv_sobel(image):
    across, down = (
        cv2.Sobel(image, cv2.CV_32F, *way, scale=SOBEL_SCALE, borderType=cv2.BORDER_REFLECT)
        for way in ((1, 0), (0, 1))
    )
    return cv2.magnitude(across, down)


def opencv_unsharp(image):
    return cv2.addWeighted(image, 2, opencv_gaussian(1.0)(image), -1, 0)


def opencv_canny(image):
    # Its gradients are four times scikit-image's, on levels of 0 to 255.
    low, high = (share * 255 * 4 for share in (0.1, 0.2))
    return cv2.Canny(opencv_gaussian(1.0)(image), low, high, L2gradient=True)


OPENCV = {
    "gaussian σ=2 RGB": opencv_gaussian(2.0),
    "gaussian σ=5 RGB": opencv_gaussian(5.0),
    "median 3×3": lambda image: cv2.medianBlur(image, 3),
    "median 5×5": lambda image: cv2.medianBlur(image, 5),
    "sobel": opencv_sobel,
    "erosion 5×5": lambda image: cv2.erode(image, SQUARE),
    "dilation 5×5": lambda image: cv2.dilate(image, SQUARE),
    "otsu": lambda image: cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1],
    "unsharp RGB": opencv_unsharp,
    "equalize_hist": cv2.equalizeHist,
    "CLAHE": lambda image: cv2.createCLAHE(2.0, (8, 8)).apply(image),
    "canny": opencv_canny,
    "resize ½": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "nl_means": lambda image: cv2.fastNlMeansDenoising(image, None, 25.5, 5, 13),
    "threshold_local": lambda image: cv2.adaptiveThreshold(
        image, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, BLOCK, 0
    ),
    "rgb2gray": lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
    "invert": cv2.bitwise_not,
}


def vips(work):
    """Return a function that passes arrays in memory to libvips and back."""

    def run(image):
        result = work(pyvips.Image.new_from_array(image))
        return result.numpy()

    return run


VIPS = {
    "gaussian σ=2 RGB": vips(lambda image: image.gaussblur(2.0)),
    "gaussian σ=5 RGB": vips(lambda image: image.gaussblur(5.0)),
    "median 3×3": vips(lambda image: image.median(3)),
    "median 5×5": vips(lambda image: image.median(5)),
    "sobel": vips(lambda image: image.sobel()),
    "erosion 5×5": vips(lambda image: image.rank(5, 5, 0)),
    "dilation 5×5": vips(lambda image: image.rank(5, 5, 24)),
    "unsharp RGB": vips(lambda image: (image * 2 - image.gaussblur(1.0)).cast("uchar")),
    "equalize_hist": vips(lambda image: image.hist_equal()),
    "canny": vips(lambda image: image.canny(sigma=1.0)),
    "resize ½": vips(lambda image: image.resize(0.5)),
    "threshold_local": vips(lambda image: image > image.gaussblur((BLOCK - 1) / 6)),
    "rgb2gray": vips(lambda image: image.colourspace("b-w")),
    "invert": vips(lambda image: image.invert()),
}


def chunks(image):
    return dask.array.from_array(image, (CHUNK, CHUNK, *image.shape[2:]))


def overlapped(function, depth, **options):
    """Run a function of scikit-image over chunks that overlap."""

    def run(image):
        axes = (depth, depth, 0)[: image.ndim]
        return (
            chunks(image)
            .map_overlap(function, depth=axes, boundary="nearest", **options)
            .compute(scheduler="threads")
        )

    return run


def mapped(function, **options):
    return lambda image: chunks(image).map_blocks(function, **options).compute(scheduler="threads")


def dask_otsu(image):
    lazy = chunks(image)
    counts, _ = dask.array.histogram(lazy, bins=256, range=(0, 256))
    threshold = filters.threshold_otsu(hist=(counts.compute(scheduler="threads"), np.arange(256)))
    return (lazy > threshold).compute(scheduler="threads")


def halved(image):
    return transform.rescale(image, 0.5, anti_aliasing=True)


def halves(image):
    lazy = chunks(image)
    sizes = tuple(tuple(-(-each // 2) for each in axis) for axis in lazy.chunks)
    return lazy.map_blocks(halved, chunks=sizes, dtype=float).compute(scheduler="threads")


DASK = {
    "gaussian σ=2 RGB": overlapped(filters.gaussian, 8, sigma=2.0, channel_axis=2),
    "gaussian σ=5 RGB": overlapped(filters.gaussian, 20, sigma=5.0, channel_axis=2),
    "median 3×3": overlapped(filters.median, 1, footprint=np.ones((3, 3))),
    "median 5×5": overlapped(filters.median, 2, footprint=np.ones((5, 5))),
    "sobel": overlapped(filters.sobel, 1),
    "erosion 5×5": overlapped(morphology.erosion, 2, footprint=SQUARE),
    "dilation 5×5": overlapped(morphology.dilation, 2, footprint=SQUARE),
    "otsu": dask_otsu,
    "unsharp RGB": overlapped(filters.unsharp_mask, 4, radius=1.0, channel_axis=2),
    "CLAHE": mapped(exposure.equalize_adapthist, dtype=float),
    "canny": overlapped(feature.canny, 8),
    "resize ½": halves,
    "nl_means": overlapped(restoration.denoise_nl_means, 8, patch_size=5, patch_distance=6),
    "threshold_local": overlapped(
        lambda image: image > filters.threshold_local(image, BLOCK), BLOCK, dtype=bool
    ),
    "rgb2gray": mapped(color.rgb2gray, drop_axis=2, dtype=float),
    "invert": mapped(util.invert),
}


def dask_image(work):
    return lambda image: work(chunks(image)).compute(scheduler="threads")


def dask_image_sobel(lazy):
    floats = lazy.astype(np.float32) / 255
    return np.hypot(ndfilters.sobel(floats, axis=0), ndfilters.sobel(floats, axis=1)) / np.sqrt(32)


DASK_IMAGE = {
    "gaussian σ=2 RGB": dask_image(lambda lazy: ndfilters.gaussian_filter(lazy, (2, 2, 0))),
    "gaussian σ=5 RGB": dask_image(lambda lazy: ndfilters.gaussian_filter(lazy, (5, 5, 0))),
    "median 3×3": dask_image(lambda lazy: ndfilters.median_filter(lazy, 3)),
    "median 5×5": dask_image(lambda lazy: ndfilters.median_filter(lazy, 5)),
    "sobel": dask_image(dask_image_sobel),
    "erosion 5×5": dask_image(lambda lazy: ndfilters.minimum_filter(lazy, 5)),
    "dilation 5×5": dask_image(lambda lazy: ndfilters.maximum_filter(lazy, 5)),
    "threshold_local": dask_image(
        lambda lazy: lazy > ndfilters.threshold_local(lazy, (BLOCK, BLOCK))
    ),
}


def pillow(work):
    return lambda image: np.asarray(work(Image.fromarray(image)))


PILLOW = {
    "gaussian σ=2 RGB": pillow(lambda image: image.filter(ImageFilter.GaussianBlur(2))),
    "gaussian σ=5 RGB": pillow(lambda image: image.filter(ImageFilter.GaussianBlur(5))),
    "median 3×3": pillow(lambda image: image.filter(ImageFilter.MedianFilter(3))),
    "median 5×5": pillow(lambda image: image.filter(ImageFilter.MedianFilter(5))),
    "erosion 5×5": pillow(lambda image: image.filter(ImageFilter.MinFilter(5))),
    "dilation 5×5": pillow(lambda image: image.filter(ImageFilter.MaxFilter(5))),
    "unsharp RGB": pillow(lambda image: image.filter(ImageFilter.UnsharpMask(1, 100, 0))),
    "equalize_hist": pillow(ImageOps.equalize),
    "resize ½": pillow(lambda image: image.reduce(2)),
    "rgb2gray": pillow(lambda image: image.convert("L")),
    "invert": pillow(ImageOps.invert),
}

PEERS = {
    "OpenCV": OPENCV,
    "libvips": VIPS,
    "dask": DASK,
    "dask-image": DASK_IMAGE,
    "Pillow": PILLOW,
}


def limit_threads(threads):
    """Limit every library to `threads` threads; libvips reads its number from the environment."""
    cv2.setNumThreads(threads)
    dask.config.set(num_workers=threads)
