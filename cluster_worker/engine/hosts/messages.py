"""Tasks and errors as JSON, for the way from an engine to the ranks of other hosts and back."""

from collections.abc import Mapping
from typing import Any

from cluster_worker.engine.wire import Task
from cluster_worker.errors import Broken, Cancelled, RankDied, Rejected
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.decoder_messages import header_from_json, header_to_json
from cluster_worker.objects.chunks import Chunks
from cluster_worker.objects.images import ObjectImage
from cluster_worker.objects.spools import ObjectSpool
from cluster_worker.objects.store import is_address
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan.checkpoints import Checkpoint
from cluster_worker.plan.request import PlanRequest, RecipeRequest

# All that a task consists of. Paths of files are not among it: an engine cannot make the ranks of
# another host read or write a file there.
VALUES: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(Task, PlanRequest, RecipeRequest, ImageHeader, Checkpoint),
        *(Chunks, ObjectImage, ObjectSpool),
    )
}
ERRORS: dict[str, type[Exception]] = {
    each.__name__: each for each in (Rejected, Broken, RankDied, Cancelled)
}
HEADER, TUPLE = "Header", "tuple"


def to_json(value: Any) -> Any:
    """Convert a task, or a part of one, to values that JSON can hold.

    Raises
    ------
    TypeError
        If it is none of `VALUES`.
    """
    if isinstance(value, Header):
        return {HEADER: header_to_json(value)}
    name = type(value).__name__
    if VALUES.get(name) is type(value):
        return {name: [to_json(each) for each in value]}
    if type(value) is tuple:
        return {TUPLE: [to_json(each) for each in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: not for other hosts")


def from_json(given: Any) -> Any:
    """Read what `to_json` has made.

    Raises
    ------
    ValueError, TypeError
        If it is something else.
    """
    if not isinstance(given, dict):
        if isinstance(given, list):
            raise ValueError("a list where none is expected")
        return given
    ((name, content),) = given.items()
    if name == HEADER:
        return header_from_json(content, str(content["name"]))
    values = [from_json(each) for each in content]
    if name == TUPLE:
        return tuple(values)
    if name not in VALUES:
        raise ValueError(f"{name}: no part of a task")
    return VALUES[name](*values)


def task_from_json(given: Any) -> Task:
    """Read a task.

    Raises
    ------
    ValueError, TypeError
        If it is none, or names a file of this host.
    """
    task = from_json(given)
    if not isinstance(task, Task):
        raise TypeError(f"{type(task).__name__}: must be a task")
    if not all(map(is_address, task.tables)):
        raise ValueError("tables: must be addresses of objects")
    return task


def error_to_json(error: Exception | None) -> Any:
    """Convert an error of one of the families to its name and its sentence."""
    if error is None:
        return None
    family = next((name for name in ERRORS if type(error).__name__ == name), None)
    if family is None:
        family = "Rejected" if isinstance(error, Rejected) else "Broken"
    return {"family": family, "sentence": str(error)}


def error_from_json(given: Mapping[str, str] | None) -> Exception | None:
    """Read an error; one of an unknown family is `Broken`."""
    if given is None:
        return None
    return ERRORS.get(given["family"], Broken)(given["sentence"])
