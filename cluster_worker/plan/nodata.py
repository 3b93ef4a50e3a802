"""Pixels without data are no pixels: what operations make of the value that stands for them.

The chain computes in floats, with NaN for pixels without data, and puts the value back at the end.
Statistics leave NaN out. A filter F that averages gives F(x · v) / F(v), where v is 1 for pixels
with data and 0 for others; pixels without data stay so. Where pixels move between others, a result
of less than half data has none. Erosion and dilation take the pixels with data.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Operation, Stage, Stages, takes_keyword
from cluster_worker.operations.support import clipping, statistics
from cluster_worker.pixels.depths import floats_for, to_depth
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan.blocks import run_stage, whole_place
from cluster_worker.plan.valid_blocks import (
    By,
    Value,
    as_nan,
    averaged,
    by_valid,
    filled,
    has_data,
    prepared_measures,
    prepared_stage,
    refuse_nan,
    restored,
    unmasked,
    zero_filled,
)

# What to do where an operation has no rule.
REMEDY = 'set nodata to "spread" to compute with them as scikit-image does'


class NoRule(Rejected):
    """An operation has no rule for pixels without data."""


def stands_apart(image: ImageHeader) -> bool:
    """Return whether pixels of an image may have no data: by its value for them, or by NaN.

    Labels have 0 for the background; another value becomes that.
    """
    if image.alpha or image.spreads or image.kind == "mask":
        return False
    if image.kind == "labels":
        return bool(stored_value(image))
    return np.dtype(image.dtype).kind == "f" or stored_value(image) is not None


def stored_value(image: ImageHeader) -> Value:
    """Return the value of pixels without data in the image's own numbers; None without one.

    NaN needs no value, and one that the numbers cannot hold is none.
    """
    given = np.dtype(image.dtype)
    if image.nodata is None or given.kind == "b":
        return None
    if given.kind == "f":
        return None if math.isnan(image.nodata) else given.type(image.nodata)
    limits = np.iinfo(given)
    whole = math.isfinite(image.nodata) and image.nodata == int(image.nodata)
    return given.type(image.nodata) if whole and limits.min <= image.nodata <= limits.max else None


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


@dataclass(frozen=True)
class Holes:
    """How an image before a step says which of its pixels have no data.

    Attributes
    ----------
    value : numpy number or None
        Their value in an image of whole numbers; None if they are NaN.
    together : bool
        Whether such a pixel has that value in all channels, as in pictures.
    is_stated : bool
        Whether the file or the request states it; else an image of floats may hold NaN.
    """

    value: Value = None
    together: bool = False
    is_stated: bool = True


def stages_for(
    operation: Operation,
    stages: Stages,
    plain: Stages,
    holes: Holes,
    *,
    averages: bool,
    keeps: bool,
) -> Stages:
    """Return an operation's stages for an image in which some pixels have no data.

    Parameters
    ----------
    operation : Operation
        What is done.
    stages : tuple of Stage
        Its stages.
    plain : tuple of Stage
        Its stages by its function, and those of `operation.weighted` if it has that.
    holes : Holes
        How the image says which pixels have no data.
    averages, keeps : bool
        Whether it averages pixels, and whether it only moves them.

    Raises
    ------
    NoRule
        If there is no rule for it.
    """
    if operation.gives == "table":
        return tuple(of_table(operation, each, holes) for each in stages)
    decomposition = operation.decomposition.name
    pointwise = decomposition == "pointwise" or (
        decomposition == "statistical" and not any(each.halo for each in stages)
    )
    if keeps or pointwise or operation.takes != "picture":
        return stages
    if operation.takes_valid or operation.weighted is not None:
        return by_function(operation, stages, plain, holes)
    if averages and not any(each.whole for each in stages):
        return tuple(each if clipping.is_bound(each) else by_data(each) for each in stages)
    if operation.without_data is not None:
        fill = operation.without_data
        return tuple(
            replace(each, function=partial(filled, stage=each, fill=fill), model=each.model or each)
            for each in stages
        )
    return without_rule(operation, stages, holes)


def without_rule(operation: Operation, stages: Stages, holes: Holes) -> Stages:
    """Return the stages of an operation that has no rule: they refuse NaN.

    Raises
    ------
    NoRule
        If the image states that some pixels have no data.
    """
    if holes.is_stated:
        raise NoRule(f"{operation.name}: has no rule for pixels without data; {REMEDY}")
    return tuple(prepared_stage(each, partial(refuse_nan, remedy=REMEDY)) for each in stages)


def by_function(operation: Operation, stages: Stages, plain: Stages, holes: Holes) -> Stages:
    """Return the stages of an operation whose function knows which pixels have data."""
    if operation.group == "Rank filters" and not holes.is_stated:
        # They refuse NaN themselves: whole numbers, which they give, have none.
        return stages
    by: By = "valid" if operation.takes_valid else "alpha"
    fill = partial(zero_filled, value=holes.value, together=holes.together)
    run = partial(by_valid, value=holes.value, together=holes.together, by=by)
    example = partial(of_example, value=holes.value, together=holes.together)
    return tuple(
        replace(
            stage,
            function=partial(run, stage=stage, valid_stage=other),
            measures=prepared_measures(stage.measures, fill),
            model=None,
            like=partial(example, stage=stage.model or stage),
        )
        for stage, other in zip(stages, plain, strict=True)
    )


def of_example(image: Image, stage: Stage, value: Value, together: bool) -> Image:
    """Return a small result of a filter, of the dtype that pixels without data need."""
    result = run_stage(stage, image, whole_place(image))
    return restored(result, np.ones(result.shape, bool), value, together)


def of_table(operation: Operation, stage: Stage, holes: Holes) -> Stage:
    """Return the stage of a table that counts the pixels with data.

    Raises
    ------
    NoRule
        If the table has no mask for the pixels that it counts, and some are stated to be none.
    """
    *before, measure = stage.measures
    if not takes_keyword(measure.of, "mask") or operation.takes != "picture":
        if holes.is_stated and operation.takes == "picture":
            raise NoRule(f"{operation.name}: has no rule for pixels without data; {REMEDY}")
        return stage
    if before:
        before = list(statistics.EXTENT_OF_NUMBERS)
        before = list(prepared_measures(tuple(before), partial(as_nan, value=holes.value)))
    counted = replace(measure, of=unmasked(measure.of, holes.value, holes.together))
    return replace(stage, measures=(*before, counted))


def as_values(image: Image, value: np.generic, dtype: str, together: bool) -> Image:
    """Convert a block to floats of the same numbers, with NaN where it has a value.

    `together` is as in `to_nan`.
    """
    return np.where(has_data(image, value, together), image, np.nan).astype(dtype, copy=False)


def to_background(image: Image, value: np.generic) -> Image:
    """Return labels with 0, the background, for pixels without data."""
    return np.where(image == value, image.dtype.type(0), image)


def by_data(stage: Stage) -> Stage:
    """Return the stage that runs a filter that averages on the pixels with data."""
    model = stage.model or replace(stage)
    return replace(stage, function=partial(averaged, stage=stage), model=model, dtype="float32")
