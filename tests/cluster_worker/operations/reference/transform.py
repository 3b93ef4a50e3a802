"""References of geometry: size, direction and position of the pixels."""

import warnings
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from skimage import transform, util

from tests.cluster_worker.operations.reference.shared import axis, per_colour, white


def quietly(function, *given, **parameters):
    """Call a function without its warnings of splines, borders and blurs before enlarging."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given, **parameters)


def sampled(function, image, order, mode, **parameters):
    """Call a function on a gray or colour image, colour by colour where that matters.

    For splines scikit-image filters along the axis of colours, too. That changes nothing, except
    that with symmetric borders scipy's filter has an error of 1e-4 on so short an axis.
    """
    if image.ndim == 3 and order is not None and order > 1 and mode == "symmetric":
        image = image if image.dtype.kind == "b" else util.img_as_float(image)
        found = per_colour(
            lambda x: quietly(function, x, order=order, mode=mode, clip=False, **parameters), image
        )
        return np.clip(found, image.min(), image.max())
    return quietly(function, image, order=order, mode=mode, **parameters)


def blur(image, sigma):
    """Return the blur for each axis; a single number would mix the colours, too."""
    return None if sigma is None else (sigma, sigma, 0)[: image.ndim]


def flip(image, axis):
    return np.flip(image, {"horizontal": 1, "vertical": 0, "both": (0, 1)}[axis])


def crop(image, top, bottom, left, right):
    widths = ((top, bottom), (left, right), (0, 0))[: image.ndim]
    result = util.crop(image, widths)
    if result.size == 0 or min(image.shape[0] - top - bottom, image.shape[1] - left - right) < 1:
        raise ValueError("nothing is left")  # an image must have pixels
    return result


def pad(image, top, bottom, left, right, mode, constant_values):
    widths = ((top, bottom), (left, right), (0, 0))[: image.ndim]
    if mode != "constant":
        return np.pad(image, widths, mode)
    level = constant_values * white(image)
    return np.pad(image, widths, constant_values=round(level) if image.dtype.kind == "u" else level)


def resize(image, rows, columns, anti_aliasing, anti_aliasing_sigma, **parameters):
    return sampled(
        lambda x, **given: transform.resize(
            x, (rows, columns), anti_aliasing_sigma=blur(x, anti_aliasing_sigma), **given
        ),
        image,
        anti_aliasing=None if anti_aliasing else False,
        **parameters,
    )


def resize_longest_side(image, longest_side, enlarge, **parameters):
    rows, columns = image.shape[:2]
    longest = max(rows, columns)
    if longest > longest_side or enlarge:
        # Halves are rounded up, as on paper.
        rows, columns = (
            max(
                1, int((Decimal(side * longest_side) / longest).quantize(Decimal(1), ROUND_HALF_UP))
            )
            for side in (rows, columns)
        )
    return resize(image, rows, columns, **parameters)


def rescale(image, scale, scale_columns, anti_aliasing, anti_aliasing_sigma, **parameters):
    return sampled(
        lambda x, **given: transform.rescale(
            x,
            scale if scale_columns is None else (scale, scale_columns),
            anti_aliasing_sigma=blur(x, anti_aliasing_sigma),
            channel_axis=axis(x),
            **given,
        ),
        image,
        anti_aliasing=None if anti_aliasing else False,
        **parameters,
    )


def center(middle, row, column):
    """Return the (row, column) of a centre; None if that is the middle, as scikit-image has it."""
    if row is None and column is None:
        return None
    return (middle[0] if row is None else row, middle[1] if column is None else column)


def turned(function, shift):
    """Return a reference that turns an image about a centre; scikit-image takes (column, row).

    The middle of an image is `shift` pixels from half its sides.
    """

    def reference(image, center_row, center_column, **parameters):
        middle = [side / 2 - shift for side in image.shape[:2]]
        found = center(middle, center_row, center_column)
        about = {"center": None if found is None else found[::-1]}
        return sampled(function, image, **about, **parameters)

    return reference


def warp_polar(image, center_row, center_column, **parameters):
    middle = [side / 2 - 0.5 for side in image.shape[:2]]
    about = center(middle, center_row, center_column)
    return sampled(
        lambda x, **given: transform.warp_polar(x, about, channel_axis=axis(x), **given),
        image,
        **parameters,
    )


def downscale_local_mean(image, factor, factor_columns, cval):
    factors = (factor, factor_columns or factor)
    return per_colour(lambda x: transform.downscale_local_mean(x, factors, cval), image)


def affine(
    image,
    scale,
    scale_rows,
    rotation,
    shear,
    translation,
    translation_rows,
    **parameters,
):
    mapping = transform.AffineTransform(
        scale=(scale, scale if scale_rows is None else scale_rows),
        rotation=rotation,
        shear=shear,
        translation=(translation, translation_rows),
    )
    return sampled(transform.warp, image, inverse_map=mapping.inverse, **parameters)


REFERENCE = {
    "flip": flip,
    "rot90": lambda image, k: np.rot90(image, k),
    "transpose": lambda image: np.swapaxes(image, 0, 1),
    "crop": crop,
    "pad": pad,
    "resize": resize,
    "resize_longest_side": resize_longest_side,
    "rescale": rescale,
    "pyramid_reduce": lambda image, **parameters: quietly(
        transform.pyramid_reduce, image, channel_axis=axis(image), **parameters
    ),
    "pyramid_expand": lambda image, **parameters: quietly(
        transform.pyramid_expand, image, channel_axis=axis(image), **parameters
    ),
    "downscale_local_mean": downscale_local_mean,
    "resize_local_mean": lambda image, rows, columns: transform.resize_local_mean(
        image, (rows, columns), channel_axis=axis(image)
    ),
    "rotate": turned(transform.rotate, 0.5),
    "affine": affine,
    "swirl": turned(transform.swirl, 0),
    "warp_polar": warp_polar,
}
