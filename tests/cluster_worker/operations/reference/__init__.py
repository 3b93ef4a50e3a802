"""What scikit-image itself says: plain calls on the whole image, nothing of the engine's.

One file for each group of operations; each has a dictionary REFERENCE from an operation's name to
a function of the image and the parameters. The image has rows and columns, and a third axis of
three colours only if the operation is given colours.
"""

import importlib
import pkgutil

import numpy as np
from skimage import color, util

from cluster_worker.operations import OPERATIONS

REFERENCE = {}
for module in pkgutil.iter_modules(__path__):
    REFERENCE |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "REFERENCE", {})


def gray(image):
    """Weigh colours as scikit-image does, by plain sums: its matrix product rounds by place.

    What is shown to the last bit of a gray image, such as a corner of a flat one, needs the same.
    """
    if image.ndim == 2:
        return image
    image = image if image.dtype.kind == "f" else util.img_as_float64(image)
    return image[..., 0] * 0.2125 + image[..., 1] * 0.7154 + image[..., 2] * 0.0721


def is_labels(image):
    return image.dtype.kind in "iu" and image.dtype.itemsize > 2


def is_meant_for(name, image):
    """Whether an operation takes such an image: labels are no picture, and the other way round."""
    takes = OPERATIONS[name].takes
    if is_labels(image):
        return takes != "picture"
    return takes != "labels" or (image.ndim == 2 and image.dtype.kind != "f")


def prepared(operation, image, depth):
    """Convert as DESIGN's promise reads: floats from the first float step, gray, RGB, masks."""
    if is_labels(image):
        return image != 0 if operation.takes == "mask" and depth == "input" else image
    to_gray = operation.channels == "gray" and image.ndim == 3
    if (operation.floats or to_gray) and depth == "input" and image.dtype.kind != "f":
        image = util.img_as_float32(image)
    if to_gray:
        image = gray(image)
    if operation.channels == "rgb" and image.ndim == 2:
        image = color.gray2rgb(image)
    if operation.takes == "mask" and depth == "input" and image.dtype != bool:
        half = np.iinfo(image.dtype).max / 2 if image.dtype.kind == "u" else 0.5
        image = image > half
    return image


def run(image, steps, depth):
    """Run a chain as scikit-image would, and give the result before it is rounded, and alpha."""
    has_alpha = image.ndim == 3 and image.shape[2] in (2, 4)
    alpha = image[..., -1] if has_alpha else None
    result = image[..., :-1] if has_alpha else image
    result = result[..., 0] if result.ndim == 3 and result.shape[2] == 1 else result
    for step in steps:
        operation = OPERATIONS[step["operation"]]
        parameters = {key: value for key, value in step.items() if key != "operation"}
        function = REFERENCE[operation.name]
        if operation.consumes_alpha:
            result, alpha = function(result, alpha=alpha, **parameters), None
            continue
        result = function(prepared(operation, result, depth), **parameters)
        if alpha is not None and operation.moves_pixels(step):
            given = alpha
            if operation.floats and depth == "input" and alpha.dtype.kind != "f":
                given = util.img_as_float32(alpha)
            alpha = function(given, **parameters)
    return result, None if is_labels(result) else alpha
