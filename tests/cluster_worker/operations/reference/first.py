"""References of the operations that the app had from the start."""

import numpy as np
from skimage import color, util


def on_background(image, background, alpha):
    rgb = color.gray2rgb(image) if image.ndim == 2 else image
    if alpha is None:
        return rgb
    convert = util.img_as_float32 if rgb.dtype == np.float32 else util.img_as_float64
    behind = (1, 1, 1) if background == "white" else (0, 0, 0)
    return color.rgba2rgb(np.dstack([convert(rgb), convert(alpha)]), behind)


REFERENCE = {
    "rgb2gray": lambda image: color.rgb2gray(image) if image.ndim == 3 else image,
    "gray2rgb": on_background,
}
