"""Pixels without data are no pixels: what operations make of the value that stands for them.

The chain computes in floats, with NaN for pixels without data, and puts the value back at the end.
Statistics leave NaN out. A filter F that averages gives F(x · v) / F(v), where v is 1 for pixels
with data and 0 for others; pixels without data stay so. Where pixels move between others, a result
of less than half data has none. Erosion and dilation take the pixels with data.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Operation, Place, Stage, Stages
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
    value = given.type(image.nodata)
    return Stage(
        partial(to_nan, value=value, dtype=floats),
        like=partial(np.asarray, dtype=floats),
        name="to_float",
    )


def to_nan(image: Image, value: np.generic, dtype: str) -> Image:
    """Convert a block to floats, with NaN where it has a value."""
    floats = to_depth(image, dtype)
    floats = floats.copy() if floats is image else floats
    floats[image == value] = np.nan
    return floats


def unmarked(image: ImageHeader) -> Stage:
    """Return the stage that converts floats to an image's dtype, with its value for NaN."""
    given = np.dtype(image.dtype)
    value = given.type(image.nodata)
    return Stage(
        partial(from_nan, value=value, dtype=image.dtype),
        like=partial(np.asarray, dtype=given),
        name="to_depth",
    )


def from_nan(image: Image, value: np.generic, dtype: str) -> Image:
    """Convert a block of floats to a dtype, with a value for NaN.

    Whole numbers that come out as this value by chance become its neighbour.
    """
    empty = np.isnan(image)
    result = to_depth(np.where(empty, 0, image), dtype)
    result = result.copy() if result is image else result
    if result.dtype.kind in "iu":
        number, limits = int(value), np.iinfo(result.dtype)
        result[result == value] = number + 1 if number < limits.max else number - 1
    result[empty] = value
    return result


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
        return tuple(by_data(each) for each in stages)
    if operation.without_data is not None:
        fill = operation.without_data
        return tuple(
            replace(each, function=partial(filled, stage=each, fill=fill), model=each.model or each)
            for each in stages
        )
    raise NoRule(f"{operation.name}: has no rule for pixels without data")


def by_data(stage: Stage) -> Stage:
    """Return the stage that runs a filter that averages on the pixels with data."""
    return replace(
        stage,
        function=partial(averaged, stage=stage),
        model=stage.model or replace(stage),
        dtype="float32",
    )


def core_of(stage: Stage, block: Image, place: Place) -> Image:
    """Run a stage on a block, and return the core of the result."""
    result = run_stage(stage, block, place)
    return result if stage.returns_core else result[place.inner]


def averaged(
    image: Image,
    *,
    place: Place,
    out: Image | None,  # noqa: ARG001 - says that the result is the core alone
    stage: Stage,
) -> Image:
    """Filter the pixels of a block that have data; `out` is not used."""
    valid = ~np.isnan(image)
    sums = core_of(stage, np.where(valid, image, 0), place)
    share = core_of(opaque(stage), valid.astype(image.dtype), place)
    # Where nothing is missing, the quotient would only round.
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Image = np.where(share >= WHOLE, sums, sums / np.maximum(share, CLEAR))
    there = share >= LEAST_SHARE if stage.geometry else valid[place.inner]
    result[~there] = np.nan
    return result


def filled(
    image: Image,
    *,
    place: Place,
    out: Image | None,  # noqa: ARG001 - says that the result is the core alone
    stage: Stage,
    fill: float,
) -> Image:
    """Run a stage with another value for pixels without data, which then stay so."""
    empty = np.isnan(image)
    result = core_of(stage, np.where(empty, image.dtype.type(fill), image), place)
    return np.where(empty[place.inner], np.nan, result).astype(result.dtype, copy=False)
