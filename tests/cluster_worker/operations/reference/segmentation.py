"""References of regions, floods and extrema."""

import warnings
from heapq import heappop, heappush
from itertools import count, cycle

import numpy as np
from scipy import ndimage
from skimage import feature, filters, morphology, segmentation
from skimage.morphology._util import _offsets_to_raveled_neighbors
from skimage.segmentation import morphsnakes

from tests.cluster_worker.operations.reference.shared import per_colour, reflected, white


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
        start = reflected(
            lambda plane: shrink(plane, morphology.disk(radius)), image, radius, "reflect"
        )
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


def flooded_by_position(relief, markers, connectivity, mask=None):
    """Flood as scikit-image does, with the age i - n for marker i of n."""
    inside = np.pad(np.ones(relief.shape, bool) if mask is None else mask, 1).ravel()
    values = np.pad(relief, 1).ravel()
    labels = np.pad(markers, 1)
    near = ndimage.generate_binary_structure(2, connectivity)
    steps = _offsets_to_raveled_neighbors(labels.shape, near, (1, 1))
    shape, labels = labels.shape, labels.ravel() * inside
    given = np.flatnonzero(labels)
    heap = []
    for i, marker in enumerate(given):
        heappush(heap, (values[marker], i - given.size, marker))
    ages = count(1)
    while heap:
        level, _, pixel = heappop(heap)
        for step in steps:
            other = pixel + step
            if inside[other] and labels[other] == 0:
                labels[other] = labels[pixel]
                heappush(heap, (max(level, values[other]), next(ages), other))
    return labels.reshape(shape)[1:-1, 1:-1]


def labels_of(markers):
    """Return markers as labels of 32 bits or more, which a mask and small numbers become."""
    return markers if markers.dtype.itemsize >= 4 else markers.astype(np.int32)


def upside_down(image):
    """Return the negative image; all types that occur fit into floats of 64 bits."""
    return -image.astype(np.float64)


def watershed(
    image,
    on,
    markers,
    min_distance,
    connectivity,
    compactness,
    watershed_line,
    ties,
    marker_image=None,
    mask=None,
):
    if marker_image is not None:
        markers = labels_of(marker_image)
    relief = {"gradient": filters.sobel, "inverted": upside_down}.get(on, np.asarray)(image)
    if on == "distance":
        mask = image > white(image) / 2 if mask is None else mask
        distance = ndimage.distance_transform_edt(mask)
        if markers is None or not mask.any():  # scikit-image cannot place markers in an empty mask
            points = feature.peak_local_max(
                distance, min_distance=min_distance, exclude_border=False, labels=mask.astype(int)
            )
            markers = np.zeros(mask.shape, np.int64)
            markers[tuple(points.T)] = range(1, len(points) + 1)
        relief = -distance
    if ties == "position":
        if marker_image is None or compactness or watershed_line or on == "distance":
            raise ValueError("not by position")
        return flooded_by_position(relief, markers, connectivity, mask)
    return segmentation.watershed(
        relief,
        markers,
        connectivity=connectivity,
        mask=mask,
        compactness=compactness,
        watershed_line=watershed_line,
    )


def remove_objects_by_distance(image, min_distance, chessboard):
    """Remove objects that are too near; scikit-image takes no mask, which is one object."""
    if image.dtype == bool:
        return image
    p_norm = np.inf if chessboard else 2
    return morphology.remove_objects_by_distance(image, min_distance, p_norm=p_norm)


def snake(function):
    """Call a snake in a state as after the import: the module keeps which smoothing comes next."""

    def run(image, *given, **parameters):
        curvop = morphsnakes._curvop
        steps = [morphsnakes.sup_inf, morphsnakes.inf_sup]
        curvop.funcs = cycle([lambda u: steps[0](steps[1](u)), lambda u: steps[1](steps[0](u))])
        return function(image, *given, **parameters)

    return run


def geodesic(image, threshold, **parameters):
    threshold = "auto" if threshold is None else threshold
    return snake(segmentation.morphological_geodesic_active_contour)(
        image, threshold=threshold, **parameters
    )


REFERENCE = {
    "morphological_chan_vese": snake(segmentation.morphological_chan_vese),
    "morphological_geodesic_active_contour": geodesic,
    "remove_objects_by_distance": remove_objects_by_distance,
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
