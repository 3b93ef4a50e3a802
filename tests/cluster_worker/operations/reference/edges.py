"""Edges, colour by colour."""

from functools import partial

from skimage import filters

from tests.cluster_worker.operations.reference.shared import per_colour


def each(function, image, **parameters):
    return per_colour(lambda x: function(x, **parameters), image)


REFERENCE = {
    "sobel": partial(each, filters.sobel),
    "sobel_h": partial(each, filters.sobel_h),
    "sobel_v": partial(each, filters.sobel_v),
    "scharr": partial(each, filters.scharr),
    "scharr_h": partial(each, filters.scharr_h),
    "scharr_v": partial(each, filters.scharr_v),
    "prewitt": partial(each, filters.prewitt),
    "prewitt_h": partial(each, filters.prewitt_h),
    "prewitt_v": partial(each, filters.prewitt_v),
    "farid": partial(each, filters.farid),
    "farid_h": partial(each, filters.farid_h),
    "farid_v": partial(each, filters.farid_v),
    "roberts": partial(each, filters.roberts),
    "roberts_pos_diag": partial(each, filters.roberts_pos_diag),
    "roberts_neg_diag": partial(each, filters.roberts_neg_diag),
    "laplace": partial(each, filters.laplace),
}
