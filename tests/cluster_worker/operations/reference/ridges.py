"""Ridges, of gray images."""

from functools import partial

from skimage import filters


def plain(function, image, **parameters):
    return function(image, **parameters)


REFERENCE = {
    "sato": partial(plain, filters.sato),
    "meijering": partial(plain, filters.meijering),
    "frangi": partial(plain, filters.frangi),
    "hessian": partial(plain, filters.hessian),
}
