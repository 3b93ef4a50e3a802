"""References of regions, floods and extrema."""

import warnings

import numpy as np
from scipy import ndimage
from skimage import feature, filters, morphology, segmentation

from tests.cluster_worker.operations.reference.shared import per_colour, white


def quiet(function, *given, **named):
    """Call a function without its warnings of a single label, of thin images and of lost bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given, **named)


def reconstruction(image, seed, h, radius, method, mask=None):
    if mask is not None:
        return morphology.reconstruction(image, mask, method)
    if seed == "shifted":
        start = image - h if method == "dilation" else image + h
    else:
        shrink = morphology.erosion if method == "dilation" else morphology.dilation
        start = shrink(image, morphology.disk(radius))
    return morphology.reconstruction(start, image, method)


def reconstructions(image, mask=None, **options):
    if mask is None or image.ndim == 2:
        more = options if mask is None else options | {"mask": mask}
        return per_colour(lambda x: reconstruction(x, **more), image)
    channels = range(image.shape[2])
    return np.stack(
        [reconstruction(image[..., i], **options, mask=mask[..., i]) for i in channels], axis=2
    )


def flood(image, seed_point, tolerance, connectivity):
    # For a seed outside the image scikit-image raises; the catalogue promises an empty mask.
    if len(seed_point) == 2 and (np.array(seed_point) >= image.shape).any():
        return np.zeros(image.shape, bool)
    return segmentation.flood(
        image, tuple(seed_point), tolerance=tolerance, connectivity=connectivity
    )


def watershed(image, on, markers, min_distance, connectivity, compactness, watershed_line):
    options = {
        "connectivity": connectivity,
        "compactness": compactness,
        "watershed_line": watershed_line,
    }
    if on == "image":
        return segmentation.watershed(image, markers, **options)
    if on == "gradient":
        return segmentation.watershed(filters.sobel(image), markers, **options)
    mask = image > white(image) / 2
    distance = ndimage.distance_transform_edt(mask)
    if markers is None or not mask.any():  # scikit-image cannot place markers in an empty mask
        points = feature.peak_local_max(
            distance, min_distance=min_distance, exclude_border=False, labels=mask.astype(int)
        )
        markers = np.zeros(mask.shape, np.int64)
        markers[tuple(points.T)] = range(1, len(points) + 1)
    return segmentation.watershed(-distance, markers, mask=mask, **options)


REFERENCE = {
    "remove_small_objects": lambda image, max_size, connectivity: quiet(
        morphology.remove_small_objects, image, max_size=max_size, connectivity=connectivity
    ),
    "remove_small_holes": lambda image, max_size, connectivity: quiet(
        morphology.remove_small_holes, image, max_size=max_size, connectivity=connectivity
    ),
    "reconstruction": reconstructions,
    "h_maxima": lambda image, h: quiet(morphology.h_maxima, image, h),
    "h_minima": lambda image, h: quiet(morphology.h_minima, image, h),
    "local_maxima": lambda image, **options: quiet(morphology.local_maxima, image, **options),
    "local_minima": lambda image, **options: quiet(morphology.local_minima, image, **options),
    "flood": flood,
    "watershed": watershed,
}
