"""Plan a chain of steps as passes over tiles. Pure: numbers in, values out.

The operation of a step has one or more *stages*. A pass runs neighbouring stages together on each
tile: going backwards from a core of the result, each stage states which span of its input it
reads. A stage begins a new pass if it needs a statistic of the whole image, the opposite edge,
rounds, or the whole image as one block: the stages before it must be finished on all tiles then.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
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
from cluster_worker.plan.blocks import operation_errors
from cluster_worker.plan.fusing import fuse, split_into_passes
from cluster_worker.plan.kinds import for_labels, is_wide, keeps_values, kind_after
from cluster_worker.plan.links import Chain, Link
from cluster_worker.plan.passes import TILE_PIXELS, Plan
from cluster_worker.plan.request import Depth, PlanRequest, check_image

Image = NDArray[Any]
# Most images of pixels in a block that wraps around a small image.
REPEATS_MAX = 4


@lru_cache(maxsize=256)
def plan(request: PlanRequest) -> Plan:
    """Plan a chain of steps on an image. Plans are cached.

    Raises
    ------
    Rejected
        If the image cannot be processed by these steps.
    """
    image = request.image
    check_image(image)
    steps = json.loads(request.steps)
    chain = build_chain(request, steps)
    if request.depth == "input" and chain.discrete:
        # A millionth decides ties: what leads to a mask or to labels has scikit-image's own bits.
        chain = build_chain(request, steps, exact=chain.discrete)
    last = chain.links[-1]
    # A label image is no picture and has no alpha.
    result_alpha = chain.alpha and chain.kind != "labels"
    alphas, links = move_alpha(request, chain, result_alpha)
    channels = last.channels
    if result_alpha:
        channels = ((channels or (1,))[0] + 1,)
    return Plan(
        passes=tuple(fuse(group) for group in split_into_passes(links)),
        shape=image.shape,
        dtype=image.dtype,
        result_shape=last.after + channels,
        result_dtype=last.dtype,
        result_kind=chain.kind,
        source_alpha=image.alpha,
        result_alpha=result_alpha,
        alphas=alphas,
        float_bytes=8 if floats_for(image.dtype) == "float64" or request.depth == "native" else 4,
        density=chain.density,
        placement=chain.placement,
        values_kept=chain.values_kept,
        core=request.core,
        grid=request.grid,
    )


def move_alpha(
    request: PlanRequest, chain: Chain, result_alpha: bool
) -> tuple[tuple[Plan, ...], list[Link]]:
    """Plan the steps that move pixels for alpha alone, as far as stages or the result need it.

    Returns
    -------
    alphas : tuple of Plan
        As in `Plan`.
    links : list of Link
        Those of the chain; a stage that asks for alpha has the index of its own in `alpha_index`.
    """
    needed = {link.stage.alpha_index for link in chain.links if "alpha" in link.stage.context}
    weights = max(needed, default=0)
    if result_alpha:
        needed.add(len(chain.moves))
    image = ImageHeader(request.image.shape[:2], request.image.dtype)
    plans: list[Plan] = []
    index = {0: 0}
    for before, after in pairwise(sorted({0, *needed})):
        steps = json.dumps(chain.moves[before:after])
        # What stages compute with is not rounded.
        alone = request._replace(image=image, steps=steps, grid=1, returns=after > weights)
        plans.append(plan(alone))
        image = ImageHeader(plans[-1].result_shape, plans[-1].result_dtype)
        index[after] = len(plans)
    links = [
        link._replace(stage=replace(link.stage, alpha_index=index[link.stage.alpha_index]))
        if "alpha" in link.stage.context
        else link
        for link in chain.links
    ]
    return tuple(plans), links


def build_chain(request: PlanRequest, steps: Sequence[Mapping[str, Any]], exact: int = 0) -> Chain:
    """Build the stages of all steps, with the conversions between them.

    The first `exact` steps use only kernels that give the bits of their functions.

    Raises
    ------
    Rejected
        If an operation cannot take the image that the steps before it give.
    """
    chain = Chain(request.image, request.kernels)
    marks = request.depth == "input" and nodata.stands_apart(request.image)
    if chain.dtype == "float16":
        # scikit-image computes in single precision, where it takes half precision at all.
        chain.add(chain.conversion("float32", "to_float"))
    stored = chain.dtype
    shows: Any = None
    for number, step in enumerate(steps):
        operation = OPERATIONS[step["operation"]]
        parameters = {name: value for name, value in step.items() if name != "operation"}
        if chain.is_labels or chain.dtype == "bool":
            parameters = for_labels(parameters)
        keeps = keeps_values(operation, parameters)
        check_kind(operation, request.depth, chain, keeps=keeps)
        if marks and not keeps and not chain.marked and chain.dtype == stored:
            chain.add(nodata.marked(request.image, chain.dtype))
            chain.marked = True
        weighs = chain.alpha and request.depth == "input" and operation.weighs(parameters)
        if weighs and (operation.floats or operation.weighted is None):
            to_float(request.depth, chain)
        numbers = chain.dtype
        kernel = prepare(operation, parameters, request.depth, chain, exact=number < exact)
        before, given = chain.shape, chain.dtype
        with operation_errors(operation.name):
            stages = operation.stages(parameters, kernel)
            if any(repeats(each, before) for each in stages):
                kernel, stages = None, unwrapped(operation.stages(parameters), before)
        moves = operation.moves_pixels(step)
        if weighs:
            kernel = None if operation.weighted else kernel
            stages = weighted(operation, parameters, kernel, moves)
        if chain.marked:
            averages = operation.weighs(parameters)
            stages = nodata.stages_for(operation, stages, averages=averages, keeps=keeps)
        for stage in stages:
            chain.add(
                stage if chain.alpha else without_alpha(stage),
                operation.arrays_of(kernel) + (4 if weighs else 0),
                0 if kernel else operation.table(**parameters),
                operation.cost_of(parameters, chain.dtype, kernel),
            )
        if moves and chain.alpha:
            chain.moves.append(step)
            if weighs:
                chain.add(alpha.divided())
        colours = (chain.channels or (1,))[0]
        dtypes = given, chain.dtype
        chain.kind = kind_after(chain.kind, operation, parameters, dtypes, colours)
        if chain.is_labels and np.dtype(chain.dtype).kind == "f":
            chain.add(chain.conversion(numbers, "to_labels"))
        chain.marked = chain.marked and chain.kind not in ("mask", "labels")
        marks = marks and chain.kind not in ("mask", "labels")
        if request.depth == "native" and operation.native_dtype not in (None, chain.dtype):
            chain.add(Stage(partial(np.asarray, dtype=operation.native_dtype)))
        chain.change_density(operation, parameters, before)
        chain.change_placement(operation, parameters, before)
        chain.note_levels(operation, parameters)
        if chain.dtype == "bool" or chain.is_labels:
            chain.discrete = number
        chain.alpha = chain.alpha and not operation.consumes_alpha
        # A step that moves pixels keeps their values, and so their meaning.
        if not moves:
            shows = operation.shows
    if request.depth == "input" and request.returns:
        return_to_depth(chain, request.image, shows)
    if chain.links[-1].stage.rounds:
        # Rounds end in either of two buffers. A last pass copies that buffer to the result.
        chain.add(Stage(same))
    return chain


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
) -> Kernel | None:
    """Add the conversions that an operation needs before it, and choose its kernel.

    Returns
    -------
    Kernel or None
        None if no kernel serves this image and these parameters.
    """
    if chain.is_labels:
        if operation.takes == "mask" and depth == "input":
            chain.add(Stage(regions))
        elif operation.floats:
            to_float(depth, chain)
        return chain.kernel_of(operation, parameters, depth, exact=exact)
    to_gray = operation.channels == "gray" and len(chain.channels) > 0
    if to_gray:
        gray = OPERATIONS["rgb2gray"]
        kernel = gray.kernel({}, chain.dtype, depth) if chain.kernels else None
        if kernel is None:
            to_float(depth, chain)
        for stage in gray.stages({}, kernel):
            chain.add(stage)
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
    kernel = chain.kernel_of(operation, parameters, depth, exact=exact)
    if kernel is None and operation.floats:
        to_float(depth, chain)
        kernel = chain.kernel_of(operation, parameters, depth, exact=exact)
    return kernel


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
    if chain.marked:
        if shows == "extent":
            measures = statistics.EXTENT_OF_NUMBERS
            chain.add(Stage(statistics.stretch, measures=measures, name="to_range"))
        elif shows is not None and np.dtype(image.dtype).kind != "f":
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
