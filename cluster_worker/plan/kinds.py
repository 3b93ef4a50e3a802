"""What an image is after a step: a picture, numbers of an instrument, a mask or labels."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.pixels.header import Kind

# Whole numbers of pictures; all others are labels, unless the image says that it holds intensities.
PICTURE_NUMBERS = ("uint8", "uint16")


def is_wide(dtype: str) -> bool:
    """Return whether a dtype has whole numbers other than those of pictures."""
    return np.dtype(dtype).kind in "iu" and dtype not in PICTURE_NUMBERS


def keeps_values(operation: Operation, parameters: Mapping[str, Any]) -> bool:
    """Return whether an operation only moves pixels, or repeats or drops some of them."""
    step = {"operation": operation.name, **parameters}
    return operation.moves_pixels(step) and not operation.weighs(parameters)


def keeps_units(operation: Operation, parameters: Mapping[str, Any]) -> bool:
    """Return whether the result of an operation counts in the units of the image's values."""
    is_plain = operation.keeps_units or operation.mixes(parameters)
    return is_plain or keeps_values(operation, parameters)


def for_labels(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters for labels and masks, which have no mean: order 0 does not blur them."""
    blurs = parameters.get("order") == 0 and "anti_aliasing" in parameters
    return {**parameters, "anti_aliasing": False} if blurs else dict(parameters)


def kind_after(
    before: Kind,
    operation: Operation,
    parameters: Mapping[str, Any],
    dtypes: tuple[str, str],
    colours: int,
) -> Kind:
    """Return what an image is after an operation.

    Parameters
    ----------
    before : str
        What it is before.
    operation, parameters : Operation, mapping
        What is done.
    dtypes : tuple of str
        Of the image before and after.
    colours : int
        Channels of the result, without alpha.
    """
    given, result = dtypes
    if result == "bool":
        return "mask"
    if keeps_values(operation, parameters):
        return before
    regions = operation.takes != "picture"
    if is_wide(result):
        numbers = before in ("picture", "intensity", "bands") and not regions
        return before if numbers and result == given else "labels"
    if before == "labels" and regions and result == given:
        return "labels"
    if before in ("intensity", "bands"):
        return "intensity" if colours == 1 else before if colours != 3 else "bands"
    return "picture"


def reads_labels(steps: str) -> bool | None:
    """Return whether a chain is for the indices of a palette, not for its colours.

    Parameters
    ----------
    steps : str
        The steps as a JSON list, checked, with every parameter present.

    Returns
    -------
    bool or None
        True if the first step that does more than move pixels takes labels or a mask, False if it
        takes a picture. None if all steps move pixels: indices and colours give the same then.
    """
    for step in json.loads(steps):
        operation = OPERATIONS[step["operation"]]
        parameters = {name: value for name, value in step.items() if name != "operation"}
        if not keeps_values(operation, for_labels(parameters)):
            return operation.takes != "picture"
    return None
