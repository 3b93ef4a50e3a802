"""References: scikit-image itself, called on the whole image, without the engine.

Most operations are compared with the function that their References name, called with their
parameters. Where the call differs, a module of this folder has a dictionary REFERENCE from the
operation's name to a function of the image and the parameters. The image has rows and columns, and
a third axis of three colours only if the operation is given colours.
"""

import importlib
import inspect
import pkgutil
from functools import partial

import numpy as np
from scipy import ndimage
from skimage import color, util
from skimage.filters import gaussian

from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.operations.reference.shared import FOOTPRINTS, axis, per_colour

# Operations that only move pixels, of any kind.
MOVES = ("crop", "flip", "pad", "rot90", "transpose")

REFERENCE = {}
for module in pkgutil.iter_modules(__path__):
    REFERENCE |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "REFERENCE", {})


def reference_of(operation):
    """Return the function of the image and the parameters that an operation is compared with."""
    return REFERENCE.get(operation.name) or plain_call(operation)


def plain_call(operation):
    """Return a call, colour by colour if need be, of the function that the References name.

    Raises
    ------
    LookupError
        If there is no such function, or it does not take the operation's parameters.
    """
    module, _, name = operation.source.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name)
        takes = inspect.signature(function).parameters
    except (ImportError, AttributeError, ValueError):
        takes = {}
    if not takes or not operation.parameters.keys() <= takes.keys():
        raise LookupError(
            f"{operation.name}: {operation.source} cannot be called with the parameters "
            f"{', '.join(operation.parameters)}; add a function to {__name__.replace('.', '/')}"
        )
    if "channel_axis" in takes:
        return lambda image, **given: function(image, channel_axis=axis(image), **given)
    if operation.channels == "each":
        return lambda image, **given: per_colour(lambda x: function(x, **given), image)
    return function


def result_of(operation, image, parameters):
    """Return what the reference of an operation makes of an image."""
    return reference_of(operation)(image, **parameters)


def gray(image):
    """Weigh colours as scikit-image does, but by plain sums.

    The rounding of scikit-image's matrix product depends on a pixel's position. Results that are
    compared to the last bit, such as a corner in a flat gray image, need equal rounding everywhere.
    """
    if image.ndim == 2:
        return image
    image = image if image.dtype.kind == "f" else util.img_as_float64(image)
    return image[..., 0] * 0.2125 + image[..., 1] * 0.7154 + image[..., 2] * 0.0721


def is_labels(image):
    return image.dtype.kind in "iu" and image.dtype.itemsize > 2


def is_mask(image):
    """Return whether a picture is a mask: one level, or 0 and one other."""
    colours = image.ndim == 3 and image.shape[2] == 3
    levels = np.unique(gray(image) if colours else image)
    return levels.size == 1 or (levels.size == 2 and 0 in levels)


def is_meant_for(name, image, depth="input"):
    """Return whether an operation takes such an image: labels are no picture, and vice versa.

    At depth "input" only masks, class numbers and labels are taken by operations on them.
    """
    takes = OPERATIONS[name].takes
    if is_labels(image):
        return takes != "picture" or name in MOVES
    if takes in ("mask", "classes") and depth == "input":
        return is_classes(image) or is_mask(image[..., :-1] if has_alpha(image) else image)
    return takes != "labels" or (image.ndim == 2 and image.dtype.kind != "f")


def is_classes(image):
    """Return whether a picture holds class numbers: few whole numbers, 0 among them."""
    levels = np.unique(image)
    few = levels.size <= 32 and 16 * levels.size <= image.size
    return image.ndim == 2 and image.dtype.kind == "u" and 0 in levels and few


def has_alpha(image):
    return image.ndim == 3 and image.shape[2] in (2, 4)


def prepared(operation, image, depth):
    """Convert as the app does: to floats from the first float step on, gray, RGB or masks."""
    if is_labels(image):
        return image != 0 if operation.takes == "mask" and depth == "input" else image
    to_gray = operation.channels == "gray" and image.ndim == 3
    if (operation.floats or to_gray) and depth == "input" and image.dtype.kind != "f":
        image = util.img_as_float32(image)
    if to_gray:
        image = color.rgb2gray(image) if depth == "native" else gray(image)
    if operation.channels == "rgb" and image.ndim == 2:
        image = color.gray2rgb(image)
    if operation.takes in ("mask", "classes") and depth == "input":
        if not is_mask(image) and not is_classes(image):
            raise ValueError("a picture of many levels is no mask")
        if operation.takes == "mask" or image.dtype.kind == "f":
            image = image != 0
    return image


def run(image, steps, depth, result_of=result_of):
    """Run a chain as scikit-image would; return the result before it is rounded, and alpha.

    At depth "input" colours count by their alpha in what averages: F(colour · alpha) / F(alpha).
    Each step is computed by `result_of(operation, image, parameters)`.
    """
    transparent = has_alpha(image)
    alpha = image[..., -1] if transparent else None
    result = image[..., :-1] if transparent else image
    result = result[..., 0] if result.ndim == 3 and result.shape[2] == 1 else result
    for step in steps:
        operation = OPERATIONS[step["operation"]]
        parameters = {key: value for key, value in step.items() if key != "operation"}
        function = reference_of(operation)
        if operation.consumes_alpha:
            result, alpha = function(result, alpha=alpha, **parameters), None
            continue
        given = prepared(operation, result, depth)
        if depth == "input" and operation.cuts_off(parameters) and is_cut_off(given):
            raise ValueError("values beyond -1 and 1 would be cut off")
        if alpha is not None and depth == "input" and step["operation"] in BY_WEIGHT:
            result = BY_WEIGHT[step["operation"]](function, given, alpha, **parameters)
        else:
            result = result_of(operation, given, parameters)
        if operation.native_dtype in ("uint8", "int8") and depth == "input":
            # A mask of 0 and 1 in 8 bits would be shown as black.
            result = result.astype(bool)
        if alpha is not None and operation.moves_pixels(step):
            if operation.floats and depth == "input" and alpha.dtype.kind != "f":
                alpha = util.img_as_float32(alpha)
            alpha = function(alpha, **parameters)
    return result, None if is_labels(result) else alpha


def is_cut_off(image):
    """Return whether floats lie beyond -1 to 1, the range that scikit-image clips to."""
    return image.dtype.kind == "f" and bool((abs(image) > 1).any())


def by_weight(function, image, alpha, **parameters):
    """Average colours that count by their alpha, where pixels stay; they are kept if that is 0.

    What lies beyond the border is opaque.
    """
    beyond = {"cval": 1.0} if "cval" in parameters else {}
    sums, share = weighted(function, image, alpha, parameters, {**parameters, **beyond})
    return np.where(share > 5e-6, sums / np.where(share > 5e-6, share, 1), image)


def moved_by_weight(function, image, alpha, **parameters):
    """Move colours that count by their alpha; clear ones are black.

    What lies beyond the border has one level in colour and alpha.
    """
    beyond = {"cval": parameters["cval"] ** 2} if "cval" in parameters else {}
    sums, share = weighted(function, image, alpha, {**parameters, **beyond}, parameters)
    return np.where(share > 5e-6, sums / np.where(share > 5e-6, share, 1), 0)


def weighted(function, image, alpha, of_colours, of_alpha):
    image, alpha = util.img_as_float32(image), util.img_as_float32(alpha)
    weights = alpha[..., np.newaxis] if image.ndim == 3 else alpha
    sums, share = function(image * weights, **of_colours), function(alpha, **of_alpha)
    return sums, share[..., np.newaxis] if sums.ndim == 3 else share


def between_pixels(function, image, alpha, order, **parameters):
    if order == 0 and not parameters.get("anti_aliasing"):
        return function(image, order=order, **parameters)
    return moved_by_weight(function, image, alpha, order=order, **parameters)


def sharpened(_, image, alpha, radius, amount, preserve_range):
    image = util.img_as_float32(image)
    blurred = by_weight(
        lambda x: gaussian(x, radius, mode="reflect", channel_axis=axis(x)), image, alpha
    )
    found = image + (image - blurred) * amount
    return found if preserve_range else np.clip(found, -1 if (image < 0).any() else 0, 1)


def mean(_, image, alpha, footprint, radius, half_width, mask=None):
    image = util.img_as_ubyte(image) if image.dtype.kind == "f" else image
    weights = rounded_weights(alpha, image.dtype)
    weights = weights if mask is None else weights * mask
    near = FOOTPRINTS[footprint](radius, half_width)
    total = partial(ndimage.correlate, weights=near, mode="constant", output=np.float64)
    share = total(weights)

    def of(plane):
        sums = total(plane.astype(np.float64) * weights)
        return np.where(share > 0, sums // np.maximum(share, 1), plane).astype(image.dtype)

    return per_colour(of, image)


def rounded_weights(alpha, dtype):
    return {"uint8": util.img_as_ubyte, "uint16": util.img_as_uint}[str(dtype)](alpha).astype(
        np.float64
    )


BY_WEIGHT = {
    "gaussian": by_weight,
    "unsharp_mask": sharpened,
    "rank_mean": mean,
    "pyramid_reduce": moved_by_weight,
    "pyramid_expand": moved_by_weight,
    "downscale_local_mean": moved_by_weight,
    "resize_local_mean": moved_by_weight,
    **dict.fromkeys(
        ("resize", "resize_longest_side", "rescale", "rotate", "affine", "swirl", "warp_polar"),
        between_pixels,
    ),
}
