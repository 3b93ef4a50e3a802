"""The conversions before and after the operations of a chain, and the checks of what they take."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.operations.color import channels_refusal, gray2rgb
from cluster_worker.operations.declare import Kernel, Stage, Stages
from cluster_worker.operations.support import masks, statistics
from cluster_worker.operations.support.histograms import levels_from_zero
from cluster_worker.pixels.depths import floats_for
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan import alpha, nodata
from cluster_worker.plan.kinds import is_wide
from cluster_worker.plan.links import Chain
from cluster_worker.plan.passes import TILE_PIXELS
from cluster_worker.plan.request import Depth

Image = NDArray[Any]
# Most images of pixels in a block that wraps around a small image.
REPEATS_MAX = 4


def weighted(
    operation: Operation, parameters: Mapping[str, Any], kernel: Kernel | None, moves: bool
) -> Stages:
    """Return the stages of an operation that averages, for colours that count by their alpha.

    What moves pixels must be followed by `alpha.divided`, which needs the alpha after the step.
    """
    if operation.weighted is not None:
        return operation.weighted_stages(parameters)
    if moves:
        # Beyond the border colour and alpha have the same level, so that their product is its
        # square.
        level = {"cval": parameters["cval"] ** 2} if "cval" in parameters else {}
        return alpha.premultiplied(), *operation.stages({**parameters, **level}, kernel)
    return tuple(alpha.by_weight(stage) for stage in operation.stages(parameters, kernel))


def without_alpha(stage: Stage) -> Stage:
    """Return the stage with ``alpha=None`` for its function, if that takes alpha."""
    if "alpha" not in stage.context:
        return stage
    return replace(stage, function=partial(stage.function, alpha=None))


def same(image: Image) -> Image:
    """Return the image unchanged."""
    return image


def check_kind(operation: Operation, depth: Depth, chain: Chain, *, keeps: bool) -> None:
    """Check that an operation for pictures gets no labels, and one for labels no picture.

    What only moves pixels (`keeps`) takes labels as well, unless it would round them as floats.

    Raises
    ------
    Rejected
        If it does.
    """
    moves_exactly = keeps and not (operation.floats and is_wide(chain.dtype))
    if chain.is_labels and operation.takes == "picture" and not moves_exactly:
        raise Rejected(
            f"{operation.name}: takes a picture, got labels; colour them with label2rgb first"
        )
    if operation.channels in ("gray", "rgb") and chain.channels not in ((), (3,)):
        raise Rejected(f"{operation.name}: {channels_refusal(chain.channels[0])}")
    if operation.takes in ("mask", "classes") and chain.averaged_by and depth == "input":
        raise Rejected(
            f"{operation.name}: takes a mask, which {chain.averaged_by} does not give; "
            "put threshold or threshold_otsu between them"
        )
    clear = chain.alpha and chain.dtype != "bool" and not chain.is_labels
    picture = np.dtype(chain.dtype).kind == "f" or chain.channels or clear
    if operation.takes == "labels" and picture and depth == "input":
        raise Rejected(
            f"{operation.name}: takes labels or a mask, got a picture; "
            "put a threshold and label before it"
        )


def prepare(
    operation: Operation,
    parameters: Mapping[str, Any],
    depth: Depth,
    chain: Chain,
    *,
    exact: bool,
    inputs: Collection[str] = (),
) -> Kernel | None:
    """Add the conversions that an operation needs before it, and choose its kernel.

    Returns
    -------
    Kernel or None
        None if no kernel serves this image and these parameters.
    """
    kernel_of = partial(chain.kernel_of, operation, parameters, depth, exact=exact, inputs=inputs)
    if chain.is_labels:
        if operation.takes == "mask" and depth == "input":
            chain.add(Stage(regions))
        elif operation.floats:
            to_float(depth, chain)
        return kernel_of()
    if operation.channels == "gray":
        to_gray(depth, chain)
    if operation.channels == "rgb" and not chain.channels:
        chain.add(Stage(partial(gray2rgb, alpha=None), name="gray2rgb"))
    if operation.takes in ("mask", "classes") and depth == "input" and chain.dtype != "bool":
        whole_numbers = np.dtype(chain.dtype).kind == "u"
        keeps = operation.takes == "classes" and whole_numbers
        chain.add(masks.as_classes(operation.name) if keeps else masks.as_mask(operation.name))
    shift = levels_from_zero(chain.dtype, operation.name) if operation.counts_levels else None
    if shift is not None:
        chain.add(shift)
    if depth == "input" and np.dtype(chain.dtype).kind == "f" and operation.cuts_off(parameters):
        chain.add(check_floats(operation))
    kernel = kernel_of()
    if kernel is None and operation.floats:
        to_float(depth, chain)
        kernel = kernel_of()
    return kernel


def to_gray(depth: Depth, chain: Chain) -> None:
    """Add the conversion of colours to gray, if the image has colours."""
    if not chain.channels:
        return
    gray = OPERATIONS["rgb2gray"]
    kernel = gray.kernel({}, chain.dtype, depth) if chain.kernels else None
    if kernel is None:
        to_float(depth, chain)
    for stage in gray.stages({}, kernel):
        chain.add(stage)


def check_floats(operation: Operation) -> Stage:
    """Return the stage that refuses floats which an operation would cut off."""
    remedy = " and ".join(
        f"set {name} to {json.dumps(v)}" for name, v in operation.unclipped_by.items()
    )
    function = partial(statistics.within_one, remedy=remedy)
    measures = statistics.EXTENT_OF_NUMBERS
    return Stage(function, measures=measures, like=np.asarray, name=operation.name)


def repeats(stage: Stage, shape: tuple[int, int]) -> bool:
    """Return whether a block of a stage that wraps would repeat a small image many times."""
    halo = max(stage.halo, *(measure.halo for measure in stage.measures), 0)
    rows, columns = shape
    block = (rows + 2 * halo) * (columns + 2 * halo)
    return stage.wraps and rows * columns <= TILE_PIXELS and block > REPEATS_MAX * rows * columns


def unwrapped(stages: Stages, shape: tuple[int, int]) -> Stages:
    """Let functions lay out the opposite edge themselves where blocks would repeat the image."""
    return tuple(
        replace(each, wraps=False, halo=0, whole=True) if repeats(each, shape) else each
        for each in stages
    )


def to_float(depth: Depth, chain: Chain) -> None:
    """Add a conversion to floats, if the image has none and the depth is "input".

    With depth "native" each operation converts as scikit-image does.
    """
    if depth == "input" and np.dtype(chain.dtype).kind != "f":
        chain.add(chain.conversion(floats_for(chain.dtype), "to_float"))


def regions(labels: Image) -> Image:
    """Return the mask of all pixels that have a label."""
    mask: Image = labels != 0
    return mask


def return_to_depth(chain: Chain, image: ImageHeader, shows: Any) -> None:
    """Add the conversions of the result to the dtype of the image; new labels become uint32.

    `shows` are the values that become black and white: a pair, "extent" for the least and greatest
    value of the image, or None for 0 and 1.
    """
    if chain.is_labels and is_wide(chain.dtype):
        if chain.dtype != "uint32" and not chain.convert_in_last_stage("uint32"):
            chain.add(Stage(partial(np.asarray, dtype=np.uint32), name="to_labels"))
        return
    floats = np.dtype(image.dtype).kind == "f"
    if chain.marked and nodata.stored_value(image) is None:
        if not floats:
            # Another image of the recipe has pixels without data, and this one no value for them.
            chain.add(Stage(nodata.without_nan, name="to_depth"))
        chain.marked = False
    if chain.marked:
        if shows == "extent" and not floats:
            measures = statistics.EXTENT_OF_NUMBERS
            chain.add(Stage(statistics.stretch, measures=measures, name="to_range"))
        elif shows not in (None, "extent") and not floats:
            low, high = shows
            chain.add(Stage(partial(statistics.scale, low=low, high=high), name="to_range"))
        chain.add(nodata.unmarked(image))
        return
    # A picture made of labels has 8 bits.
    target = "uint8" if image.kind == "labels" and is_wide(image.dtype) else image.dtype
    if np.dtype(chain.dtype).kind == "f" and np.dtype(target).kind != "f":
        if shows == "extent":
            chain.add(Stage(statistics.stretch, measures=statistics.EXTENT, name="to_range"))
        elif not chain.round_in_last_stage(target, shows or (0, 1)) and shows is not None:
            low, high = shows
            chain.add(Stage(partial(statistics.scale, low=low, high=high), name="to_range"))
    if chain.dtype != target and not chain.round_in_last_stage(target):
        chain.add(chain.conversion(target, "to_depth"))
