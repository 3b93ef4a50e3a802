"""Run a part on a block of an image, and say in one sentence what it refuses. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Measure, Part, Place, asked
from cluster_worker.pixels.tiling import all_of

Image = NDArray[Any]


def whole_place(image: Image) -> Place:
    """Place of a block that is the whole image."""
    span = all_of(image.shape)
    return Place(span, span, span.shape)


def run_part(
    part: Part,
    block: Image,
    place: Place,
    alpha: Image | None = None,
    statistics: tuple[Any, ...] | None = None,
    out: Image | None = None,
) -> Image:
    """Run a part on a block, measuring the block itself where no statistics are given.

    `out` is an array for its core, which a part that asks for one may give back.

    Raises
    ------
    Rejected
        If the operation refuses the image.
    """
    extra: dict[str, Any] = {}
    if "alpha" in part.asks and alpha is not None:
        extra["alpha"] = alpha
    if "place" in part.asks:
        extra["place"] = place
    if "dtype" in part.asks:
        extra["dtype"] = part.dtype
    if "shows" in part.asks:
        extra["shows"] = part.shows
    if "target" in part.asks:
        extra["target"] = part.target
    if "model" in part.asks and part.model is not None:
        extra["model"] = part.model.function
    if "out" in part.asks:
        extra["out"] = out
    with refusals(part.name):
        if part.measures:
            extra["statistics"] = measured(part, block) if statistics is None else statistics
        result: Image = part.function(block, **extra)
    return result


@contextmanager
def refusals(name: str) -> Iterator[None]:
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


def measured(part: Part, image: Image) -> tuple[Any, ...]:
    """Measure all statistics of one array."""
    found: tuple[Any, ...] = ()
    for measure in part.measures:
        found += (take(measure, image, whole_place(image), found),)
    return found


def take(measure: Measure, block: Image, place: Place, earlier: tuple[Any, ...]) -> Any:
    """Measure one block."""
    extra = {"place": place} if "place" in asked(measure.of) else {}
    return measure.of(block, *earlier, **extra)
