"""Run or measure one stage on one block, with its errors as one sentence each. Pure."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Measure, Place, Stage, context_of, takes_keyword
from cluster_worker.pixels.tiling import all_of

Image = NDArray[Any]
NOTHING: Mapping[str, Image] = MappingProxyType({})


def whole_place(image: Image) -> Place:
    """Return the place of a block that is the whole image."""
    span = all_of(image.shape)
    return Place(span, span, span.shape)


def run_stage(
    stage: Stage,
    block: Image,
    place: Place,
    alpha: Image | None = None,
    statistics: tuple[Any, ...] | None = None,
    out: Image | None = None,
    inputs: Mapping[str, Image] = NOTHING,
) -> Image:
    """Run a stage on a block.

    Parameters
    ----------
    stage : Stage
        Its function receives the block, and those of the following that `stage.context` names.
    block : ndarray
        (rows, columns) or (rows, columns, channels), halo included.
    place : Place
        Where the block lies in the image.
    alpha : ndarray, optional
        (rows, columns): the block's alpha.
    statistics : tuple, optional
        One for each of the stage's measures. If None, they are measured on the block itself.
    out : ndarray, optional
        For the core of the result. The stage may fill and return it, or return another array.
    inputs : mapping of str to ndarray
        The blocks of second images that `stage.inputs` names.

    Returns
    -------
    ndarray
        The core if `stage.returns_core`, else the whole block.

    Raises
    ------
    Rejected
        If the operation refuses the image.
    """
    context: dict[str, Any] = {}
    if "alpha" in stage.context and alpha is not None:
        context["alpha"] = alpha
    if "place" in stage.context:
        context["place"] = place
    if "dtype" in stage.context:
        context["dtype"] = stage.dtype
    if "shows" in stage.context:
        context["shows"] = stage.shows
    if "target" in stage.context:
        context["target"] = stage.target
    if "model" in stage.context and stage.model is not None:
        context["model"] = stage.model.function
    if "out" in stage.context:
        context["out"] = out
    if inputs:
        context |= taken(stage.function, inputs)
    with operation_errors(stage.name):
        if stage.measures:
            context["statistics"] = (
                measure_whole(stage, block, inputs) if statistics is None else statistics
            )
        result: Image = stage.function(block, **context)
    return result


@contextmanager
def operation_errors(name: str) -> Iterator[None]:
    """Turn a ValueError in a ``with`` block into `Rejected` with the operation's name in front.

    Raises
    ------
    Rejected
        With the first line of the error.
    """
    try:
        yield
    except ValueError as error:
        raise Rejected(f"{name}: {(str(error) or type(error).__name__).splitlines()[0]}") from error


def taken(function: Callable[..., Any], inputs: Mapping[str, Image]) -> dict[str, Image]:
    """Return the blocks of second images that a function has parameters for."""
    return {name: each for name, each in inputs.items() if takes_keyword(function, name)}


def measure_whole(stage: Stage, image: Image, inputs: Mapping[str, Image]) -> tuple[Any, ...]:
    """Measure all statistics of a stage on one array that is the whole image."""
    statistics: tuple[Any, ...] = ()
    for measure in stage.measures:
        found = measure_block(measure, image, whole_place(image), statistics, inputs)
        statistics += (measure.finish(found) if measure.finish else found,)
    return statistics


def measure_block(
    measure: Measure,
    block: Image,
    place: Place,
    earlier: tuple[Any, ...],
    inputs: Mapping[str, Image] = NOTHING,
) -> Any:
    """Measure one statistic of one block; `earlier` are the statistics measured before it."""
    names = context_of(measure.of)
    context: dict[str, Any] = {"place": place} if "place" in names else {}
    if "statistics" in names:
        # The function of a table takes them by name, as the functions of other operations do.
        context["statistics"], earlier = earlier, ()
    if inputs:
        context |= taken(measure.of, inputs)
    return measure.of(block, *earlier, **context)
