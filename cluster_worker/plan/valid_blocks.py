"""Run stages on blocks in which some pixels have no data.

Such pixels are NaN in floats, and one value in other numbers (see `plan.nodata`).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Measure, Place, Stage
from cluster_worker.operations.support import clipping
from cluster_worker.operations.support.opacity import CLEAR
from cluster_worker.operations.support.valid_pixels import all_around
from cluster_worker.pixels.depths import to_depth
from cluster_worker.plan.alpha import opaque
from cluster_worker.plan.blocks import NOTHING, run_stage

# Shares of data that differ from all by rounding alone.
WHOLE = 1 - 1e-5
# Least share of data in a pixel that was made between others.
LEAST_SHARE = 0.5

# The value of pixels without data in numbers that have no NaN; None for NaN.
Value = np.generic | None


def has_data(image: Image, value: Value, together: bool = False) -> NDArray[np.bool_]:
    """Return which pixels of a block have data, in its shape.

    Parameters
    ----------
    image : ndarray
        The block.
    value : numpy number or None
        Of pixels without data.
    together : bool
        Whether a pixel without data has this value in all channels.
    """
    if value is None:
        return ~np.isnan(image)
    valid = np.asarray(image != value)
    if together and image.ndim == 3:
        valid = np.broadcast_to(valid.any(axis=2, keepdims=True), image.shape)
    return valid


def holds_data_only(image: Image, value: Value, together: bool = False) -> bool:
    """Return whether all pixels of a block have data; fast for floats, which mostly have it."""
    if value is None:
        return not np.isnan(image.min())
    return bool(has_data(image, value, together).all())


def zero_filled(image: Image, value: Value, together: bool = False) -> Image:
    """Return a block with 0 for pixels without data."""
    if holds_data_only(image, value, together):
        return image
    return np.where(has_data(image, value, together), image, image.dtype.type(0))


def as_nan(image: Image, value: Value) -> Image:
    """Return a block of floats with NaN for pixels without data; others stay as they are."""
    if value is None or image.dtype.kind != "f":
        return image
    return np.where(image == value, image.dtype.type(np.nan), image)


def restored(
    result: Image, valid: NDArray[np.bool_], value: Value, together: bool = False
) -> Image:
    """Return a result in which the pixels without data have none.

    Masks are false there, and floats NaN. Whole numbers of the value's dtype take the value: data
    that has it by chance becomes its neighbour. Other whole numbers become floats.
    """
    if result.dtype.kind == "b":
        mask: Image = result & valid
        return mask
    if result.dtype.kind != "f" and (value is None or result.dtype != value.dtype):
        result = to_depth(result, "float32")
    if result.dtype.kind == "f":
        return np.where(valid, result, result.dtype.type(np.nan))
    chance = result == value
    if together and result.ndim == 3:
        chance = np.broadcast_to(chance.all(axis=2, keepdims=True), result.shape)
    level = int(value or 0)
    beside = result.dtype.type(level - 1 if level == np.iinfo(result.dtype).max else level + 1)
    return np.where(valid, np.where(chance, beside, result), result.dtype.type(level))


@dataclass(frozen=True)
class Prepared:
    """A function whose block is prepared before; it asks for what the function asks for.

    Attributes
    ----------
    function : callable
        Takes a block first.
    prepare : callable
        From the block to the one that the function is given; it may refuse it.
    """

    function: Callable[..., Any]
    prepare: Callable[[Image], Image]

    @property
    def __signature__(self) -> inspect.Signature:
        """The function's own, by which the planner knows what it asks for."""
        return inspect.signature(self.function)

    def __call__(self, image: Image, *given: Any, **context: Any) -> Any:
        """Prepare the block and call the function."""
        return self.function(self.prepare(image), *given, **context)


@dataclass(frozen=True)
class Unmasked:
    """The function of a table that counts pixels with data alone, by its ``mask``.

    Attributes
    ----------
    function : callable
        Measures a block, within ``mask`` if one is given.
    value : numpy number or None
        Of pixels without data.
    together : bool
        Whether a pixel without data has none in all channels; else one is enough.
    """

    function: Callable[..., Any]
    value: Value
    together: bool

    @property
    def __signature__(self) -> inspect.Signature:
        """The function's own, by which the planner knows what it asks for."""
        return inspect.signature(self.function)

    def __call__(self, image: Image, *given: Any, mask: Image | None = None, **context: Any) -> Any:
        """Measure the pixels of a block that have data."""
        valid = has_data(image, self.value, self.together)
        valid = np.asarray(valid.all(axis=2)) if image.ndim == 3 else valid
        if not valid.all():
            mask = valid if mask is None else valid & (mask != 0)
            image = zero_filled(image, self.value)
        return self.function(image, *given, mask=mask, **context)


def below_bound(function: Callable[..., Any], wrap: Callable[[Callable[..., Any]], Any]) -> Any:
    """Return a function that is wrapped below what is bound to it by name.

    What is bound by position comes before the block, so that it is wrapped together with the
    function.
    """
    if not isinstance(function, partial):
        return wrap(function)
    if function.args:
        return partial(wrap(partial(function.func, *function.args)), **function.keywords)
    return partial(below_bound(function.func, wrap), **function.keywords)


def prepared(function: Callable[..., Any], prepare: Callable[[Image], Image]) -> Any:
    """Return a function whose block is prepared; what is bound to it stays bound."""
    return below_bound(function, lambda inner: Prepared(inner, prepare))


def unmasked(function: Callable[..., Any], value: Value, together: bool) -> Any:
    """Return a table's function that counts pixels with data alone; what is bound stays bound."""
    return below_bound(function, lambda inner: Unmasked(inner, value, together))


def prepared_stage(stage: Stage, prepare: Callable[[Image], Image]) -> Stage:
    """Return a stage all of whose functions of the image are given prepared blocks."""
    measures = tuple(replace(each, of=prepared(each.of, prepare)) for each in stage.measures)
    function = prepared(stage.function, prepare)
    return replace(stage, function=function, measures=measures, model=stage.model or stage)


def prepared_measures(
    measures: tuple[Measure, ...], prepare: Callable[[Image], Image]
) -> tuple[Measure, ...]:
    """Return measures that are given prepared blocks."""
    return tuple(replace(each, of=prepared(each.of, prepare)) for each in measures)


def refuse_nan(image: Image, remedy: str) -> Image:
    """Return a block unchanged.

    Raises
    ------
    Rejected
        If it holds NaN.
    """
    if image.dtype.kind == "f" and np.isnan(image.min()):
        raise Rejected(f"has no rule for pixels without data, and the image holds NaN; {remedy}")
    return image


By = Literal["valid", "alpha"]


def by_valid(
    image: Image,
    *,
    place: Place,
    out: Image | None,
    statistics: tuple[Any, ...] = (),
    mask: Image | None = None,
    stage: Stage,
    valid_stage: Stage,
    value: Value,
    together: bool,
    by: By,
) -> Image:
    """Run a filter whose function knows which pixels have data.

    Parameters
    ----------
    image, place, out, statistics
        Of the block.
    mask : ndarray, optional
        Block of the second image that says which pixels count, if the filter takes one.
    stage : Stage
        The filter as it is, which serves where all pixels of a neighbourhood have data: so such
        pixels do not depend on holes elsewhere.
    valid_stage : Stage
        The filter by the function that asks for ``valid``, or for ``alpha`` of one channel.
    value, together
        As of `has_data`.
    by : {"valid", "alpha"}
        What the function asks for.
    """
    inputs = NOTHING if mask is None else {"mask": mask}
    if holds_data_only(image, value, together):
        # Whole numbers may become another type below, which is that of `out` then.
        direct = out if value is None else None
        found = core_of(stage, image, place, statistics, inputs, direct)
        if found.dtype.kind in "bf":
            return found
        return restored(found, np.ones(found.shape, bool), value, together)
    valid = has_data(image, value, together)
    bare = np.where(valid, image, image.dtype.type(0))
    found = core_of_valid(valid_stage, bare, valid, place, statistics, by, inputs)
    reach = max(stage.halo, *(each.halo for each in stage.measures), 0)
    whole = all_around(valid, reach)
    inner = whole[place.inner] if found.ndim == image.ndim else whole[place.inner].all(axis=2)
    if inner.any():
        found = np.where(inner, core_of(stage, bare, place, statistics, inputs), found)
    there = valid[place.inner]
    there = there if found.ndim == there.ndim else np.asarray(there.all(axis=2))
    return restored(found, there, value, together)


def core_of_valid(
    stage: Stage,
    image: Image,
    valid: NDArray[np.bool_],
    place: Place,
    statistics: tuple[Any, ...],
    by: By,
    inputs: Mapping[str, Image] = NOTHING,
) -> Image:
    """Run a stage on a block, and return the core; it is told which pixels have data."""

    def core(block: Image, given: Image) -> Image:
        bound = replace(stage, function=partial(stage.function, **{by: given}))
        return core_of(bound, block, place, statistics, inputs)

    if by == "valid" or image.ndim == 2:
        return core(image, valid)
    return np.stack([core(image[..., i], valid[..., i]) for i in range(image.shape[2])], axis=2)


def core_of(
    stage: Stage,
    block: Image,
    place: Place,
    statistics: tuple[Any, ...] | None = None,
    inputs: Mapping[str, Image] = NOTHING,
    out: Image | None = None,
) -> Image:
    """Run a stage on a block, and return the core of the result, which may lie in `out`."""
    result = run_stage(stage, block, place, statistics=statistics, out=out, inputs=inputs)
    return result if stage.returns_core else result[place.inner]


def averaged(
    image: Image,
    *,
    place: Place,
    out: Image | None,
    statistics: tuple[Any, ...] = (),
    stage: Stage,
) -> Image:
    """Filter the pixels of a block that have data.

    Where nothing is missing near a pixel, it is that of the filter itself, clipped as there.
    """
    found = core_of(stage, zero_filled(image, None), place, statistics, out=out)
    if holds_data_only(image, None):
        return found
    valid = ~np.isnan(image)
    bare, whole, sums, bound = replace(stage, measures=()), found, found, None
    if stage.geometry and statistics:
        # The sums of a part of the pixels have another range: their quotient is clipped instead.
        sums = core_of(bare, np.where(valid, image, 0), place, statistics)
        if found.shape != sums.shape:
            # A spline has one channel more, with the bound of `clipping.with_bound`.
            whole, bound = found[..., :-1].reshape(sums.shape), found[..., -1:]
    share = core_of(replace(opaque(stage), measures=()), valid.astype(image.dtype), place)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Image = sums / np.maximum(share, CLEAR)
    if stage.geometry and statistics:
        result = clipped(result, stage, statistics)
    # Where nothing is missing, the quotient would only round.
    result = np.where(share >= WHOLE, whole, result)
    there = share >= LEAST_SHARE if stage.geometry else valid[place.inner]
    result[~there] = np.nan
    return result if bound is None else np.dstack([result, bound])


def clipped(image: Image, stage: Stage, statistics: tuple[Any, ...]) -> Image:
    """Clip a resampled image to the range of its source."""
    low, high = clipping.range_with_fill(statistics[0], stage)
    return np.clip(image, low, high, out=image if image.flags.writeable else None)


def filled(
    image: Image,
    *,
    place: Place,
    out: Image | None,
    statistics: tuple[Any, ...] = (),
    stage: Stage,
    fill: float,
) -> Image:
    """Run a stage with another value for pixels without data, which then stay so."""
    if holds_data_only(image, None):
        return core_of(stage, image, place, statistics, out=out)
    empty = np.isnan(image)
    result = core_of(stage, np.where(empty, image.dtype.type(fill), image), place, statistics)
    return np.where(empty[place.inner], np.nan, result).astype(result.dtype, copy=False)
