"""Transparent pixels have no colour: how operations that average weigh colours by their alpha.

For a filter F that averages, the colour of a pixel is F(colour · alpha) / F(alpha): clear pixels
count for nothing, so that what they hide does not bleed into what is seen. Where F(alpha) is 0 a
filter leaves the colour as it is. Alpha itself changes only where pixels move.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Place, Stage
from cluster_worker.operations.support.opacity import divide, weights_of
from cluster_worker.plan.blocks import run_stage


def by_weight(stage: Stage) -> Stage:
    """Return the stage that runs an averaging filter on colours weighted by alpha."""
    return replace(
        stage,
        function=partial(filtered, stage=stage),
        model=stage.model or replace(stage),
        dtype="float32",
    )


def filtered(
    image: Image,
    *,
    alpha: Image,
    place: Place,
    out: Image | None,  # noqa: ARG001 - says that the result is the core alone
    stage: Stage,
) -> Image:
    """Filter the colours of a block by weight.

    Parameters
    ----------
    image : ndarray
        The block, of floats.
    alpha : ndarray
        (rows, columns): the block's alpha.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Not used; a stage that takes it returns the core alone.
    stage : Stage
        The stage of the filter.
    """
    weights = weights_of(alpha, image)

    def core(block: Image, stage: Stage) -> Image:
        result = run_stage(stage, block, place)
        return result if stage.returns_core else result[place.inner]

    sums = core(image * weights, stage)
    # What lies beyond the border is opaque.
    share = core(np.ascontiguousarray(weights.reshape(weights.shape[:2])), opaque(stage))
    return divide(sums, share, image[place.inner])


def opaque(stage: Stage) -> Stage:
    """Return a filter's stage for alpha, with an opaque border if the border is constant."""
    function = stage.function
    if isinstance(function, partial) and "cval" in function.keywords:
        return replace(stage, function=partial(function, cval=1.0))
    return stage


def premultiplied() -> Stage:
    """Return the stage that multiplies colours by alpha."""
    return Stage(times_alpha, name="times_alpha")


def times_alpha(image: Image, *, alpha: Image) -> Image:
    """Multiply the colours of a block by its alpha."""
    result: Image = image * weights_of(alpha, image)
    return result


def divided() -> Stage:
    """Return the stage that divides colours by the alpha that moved with them."""
    return Stage(over_alpha, name="over_alpha")


def over_alpha(image: Image, *, alpha: Image) -> Image:
    """Divide the colours of a block by its alpha; clear pixels become black."""
    share: NDArray[Any] = weights_of(alpha, image).reshape(alpha.shape)
    return divide(image, share, np.zeros_like(image))
