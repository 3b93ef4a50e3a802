"""Run a stage on a block of an image, and say in one sentence what it refuses. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Measure, Place, Stage, context_of
from cluster_worker.pixels.tiling import all_of

Image = NDArray[Any]


def whole_place(image: Image) -> Place:
    """Place of a block that is the whole image."""
    span = all_of(image.shape)
    return Place(span, span, span.shape)


def run_stage(
    stage: Stage,
    block: Image,
    place: Place,
    alpha: Image | None = None,
    statistics: tuple[Any, ...] | None = None,
    out: Image | None = None,
) -> Image:
    """Run a stage on a block, measuring the block itself where no statistics are given.

    `out` is an array for its core, which a stage that asks for one may give back.

    Raises
    ------
    Rejected
        If the operation refuses the image.
    """
    extra: dict[str, Any] = {}
    if "alpha" in stage.context and alpha is not None:
        extra["alpha"] = alpha
    if "place" in stage.context:
        extra["place"] = place
    if "dtype" in stage.context:
        extra["dtype"] = stage.dtype
    if "shows" in stage.context:
        extra["shows"] = stage.shows
    if "target" in stage.context:
        extra["target"] = stage.target
    if "model" in stage.context and stage.model is not None:
        extra["model"] = stage.model.function
    if "out" in stage.context:
        extra["out"] = out
    with operation_errors(stage.name):
        if stage.measures:
            extra["statistics"] = measure_whole(stage, block) if statistics is None else statistics
        result: Image = stage.function(block, **extra)
    return result


@contextmanager
def operation_errors(name: str) -> Iterator[None]:
    """Put what an operation raises into one sentence that names it.

    Raises
    ------
    Rejected
        If it refuses the image.
    """
    try:
        yield
    except ValueError as error:
        raise Rejected(f"{name}: {(str(error) or type(error).__name__).splitlines()[0]}") from error


def measure_whole(stage: Stage, image: Image) -> tuple[Any, ...]:
    """Measure all statistics of one array."""
    found: tuple[Any, ...] = ()
    for measure in stage.measures:
        found += (measure_block(measure, image, whole_place(image), found),)
    return found


def measure_block(measure: Measure, block: Image, place: Place, earlier: tuple[Any, ...]) -> Any:
    """Measure one block."""
    extra = {"place": place} if "place" in context_of(measure.of) else {}
    return measure.of(block, *earlier, **extra)
