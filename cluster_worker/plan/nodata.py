"""Pixels without data are no pixels: what operations make of the value that stands for them.

The chain computes in floats, with NaN for pixels without data, and puts the value back at the end.
Statistics leave NaN out. A filter F that averages gives F(x · v) / F(v), where v is 1 for pixels
with data and 0 for others; pixels without data stay so. Where pixels move between others, a result
of less than half data has none. Erosion and dilation take the pixels with data.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Operation, Place, Stage, Stages
from cluster_worker.operations.support import clipping
from cluster_worker.operations.support.opacity import CLEAR
from cluster_worker.pixels.depths import floats_for, to_depth
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan.alpha import opaque
from cluster_worker.plan.blocks import run_stage

# Shares of data that differ from all by rounding alone.
WHOLE = 1 - 1e-5
# Least share of data in a pixel that was made between others.
LEAST_SHARE = 0.5


class NoRule(Rejected):
    """An operation has no rule for pixels without data."""


def stands_apart(image: ImageHeader) -> bool:
    """Return whether a value of an image stands for pixels without data."""
    if image.nodata is None or image.alpha or image.kind in ("mask", "labels"):
        return False
    kind = np.dtype(image.dtype).kind
    if kind == "f":
        return True
    limits = np.iinfo(image.dtype)
    whole = math.isfinite(image.nodata) and image.nodata == int(image.nodata)
    return whole and limits.min <= image.nodata <= limits.max


def marked(image: ImageHeader, dtype: str) -> Stage:
    """Return the stage that converts an image to floats, with NaN for pixels without data."""
    given = np.dtype(dtype)
    floats = dtype if given.kind == "f" else floats_for(dtype)
    # A half float rounds the value as it rounded the pixels.
    value = np.dtype(image.dtype).type(image.nodata)
    return Stage(
        partial(to_nan, value=value, dtype=floats, together=image.kind == "picture"),
        like=partial(np.asarray, dtype=floats),
        name="to_float",
    )


def to_nan(image: Image, value: np.generic, dtype: str, together: bool) -> Image:
    """Convert a block to floats, with NaN where it has a value.

    `together` says that a pixel without data has that value in all channels: a picture's red of 0
    is a colour, while each band of an instrument may miss pixels of its own.
    """
    floats = to_depth(image, dtype)
    floats = floats.copy() if floats is image else floats
    missing = image == value
    if together and image.ndim == 3:
        missing = missing.all(axis=2)
    floats[missing] = np.nan
    return floats


def unmarked(image: ImageHeader) -> Stage:
    """Return the stage that converts floats to an image's dtype, with its value for NaN."""
    given = np.dtype(image.dtype)
    value = given.type(image.nodata)
    return Stage(
        partial(from_nan, value=value, dtype=image.dtype, together=image.kind == "picture"),
        like=partial(np.asarray, dtype=given),
        name="to_depth",
    )


def from_nan(image: Image, value: np.generic, dtype: str, together: bool) -> Image:
    """Convert a block of floats to a dtype, with a value for NaN.

    Whole numbers that come out as this value by chance become its neighbour; `together` is as in
    `to_nan`.
    """
    empty = np.isnan(image)
    result = to_depth(np.where(empty, 0, image), dtype)
    result = result.copy() if result is image else result
    if result.dtype.kind in "iu":
        number, limits = int(value), np.iinfo(result.dtype)
        chance = result == value
        if together and image.ndim == 3:
            chance = chance.all(axis=2)
        result[chance] = number + 1 if number < limits.max else number - 1
    result[empty] = value
    return result


def without_nan(image: Image) -> Image:
    """Return floats with 0 for NaN."""
    return np.where(np.isnan(image), image.dtype.type(0), image)


def stages_for(operation: Operation, stages: Stages, *, averages: bool, keeps: bool) -> Stages:
    """Return an operation's stages for an image with NaN for pixels without data.

    Parameters
    ----------
    operation : Operation
        What is done.
    stages : tuple of Stage
        Its stages.
    averages, keeps : bool
        Whether it averages pixels, and whether it only moves them.

    Raises
    ------
    NoRule
        If there is no rule for it.
    """
    decomposition = operation.decomposition.name
    plain = decomposition == "pointwise" or (
        decomposition == "statistical" and not any(each.halo for each in stages)
    )
    if keeps or plain:
        return stages
    if averages and operation.weighted is None and not any(each.whole for each in stages):
        return tuple(by_data(each) for each in stages if not clipping.is_bound(each))
    if operation.without_data is not None:
        fill = operation.without_data
        return tuple(
            replace(each, function=partial(filled, stage=each, fill=fill), model=each.model or each)
            for each in stages
        )
    raise NoRule(f"{operation.name}: has no rule for pixels without data")


def by_data(stage: Stage) -> Stage:
    """Return the stage that runs a filter that averages on the pixels with data."""
    model = stage.model or replace(stage)
    bare = stage
    if stage.geometry:
        # The sums of a part of the pixels have another range: their quotient is clipped instead.
        model, bare = replace(model, measures=()), replace(stage, measures=())
    return replace(stage, function=partial(averaged, stage=bare), model=model, dtype="float32")


def core_of(
    stage: Stage, block: Image, place: Place, statistics: tuple[Any, ...] | None = None
) -> Image:
    """Run a stage on a block, and return the core of the result."""
    result = run_stage(stage, block, place, statistics=statistics)
    return result if stage.returns_core else result[place.inner]


def averaged(
    image: Image,
    *,
    place: Place,
    out: Image | None,  # noqa: ARG001 - says that the result is the core alone
    statistics: tuple[Any, ...] = (),
    stage: Stage,
) -> Image:
    """Filter the pixels of a block that have data; `out` is not used."""
    valid = ~np.isnan(image)
    sums = core_of(stage, np.where(valid, image, 0), place, statistics)
    weight = replace(opaque(stage), measures=())
    share = core_of(weight, valid.astype(image.dtype), place)
    # Where nothing is missing, the quotient would only round.
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Image = np.where(share >= WHOLE, sums, sums / np.maximum(share, CLEAR))
    if stage.geometry and statistics:
        low, high = clipping.range_with_fill(statistics[0], stage)
        np.clip(result, low, high, out=result)
    there = share >= LEAST_SHARE if stage.geometry else valid[place.inner]
    result[~there] = np.nan
    return result


def filled(
    image: Image,
    *,
    place: Place,
    out: Image | None,  # noqa: ARG001 - says that the result is the core alone
    statistics: tuple[Any, ...] = (),
    stage: Stage,
    fill: float,
) -> Image:
    """Run a stage with another value for pixels without data, which then stay so."""
    empty = np.isnan(image)
    result = core_of(stage, np.where(empty, image.dtype.type(fill), image), place, statistics)
    return np.where(empty[place.inner], np.nan, result).astype(result.dtype, copy=False)
