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
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.operations.declare import Stage
from cluster_worker.operations.support import masks
from cluster_worker.pixels.depths import floats_for
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan import alpha, nodata
from cluster_worker.plan.blocks import operation_errors
from cluster_worker.plan.conversions import (
    check_kind,
    prepare,
    regions,
    repeats,
    return_to_depth,
    same,
    to_float,
    to_gray,
    unwrapped,
    weighted,
    without_alpha,
)
from cluster_worker.plan.fusing import fuse, split_into_passes
from cluster_worker.plan.kinds import for_labels, keeps_values, kind_after
from cluster_worker.plan.links import Chain, Link
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.request import PlanRequest, check_image
from cluster_worker.plan.second_images import attach, numbers_for
from cluster_worker.plan.states import State

Steps = Sequence[Mapping[str, Any]]


class Branch(NamedTuple):
    """What a chain of a recipe has that a chain alone has not.

    Attributes
    ----------
    start : State
        What it begins with.
    target : ImageHeader
        The image to whose dtype the result is converted.
    inputs : tuple of mapping
        For each step, from the names of its second images to the numbers of their surfaces.
    states : sequence of State
        What each surface holds.
    mask_for : str
        If the chain makes a mask of its image for an operation, the name for its errors.
    """

    start: State
    target: ImageHeader
    inputs: tuple[Mapping[str, int], ...] = ()
    states: Sequence[State] = ()
    mask_for: str = ""


@lru_cache(maxsize=256)
def plan(request: PlanRequest) -> Plan:
    """Plan a chain of steps on an image. Plans are cached.

    Raises
    ------
    Rejected
        If the image cannot be processed by these steps.
    """
    check_image(request.image)
    # Stages do not depend on core, grid, chunk and streamed: plans that differ in these share them.
    chain = finished_chain(request._replace(core=None, grid=1, chunk=1, streamed=False))
    return plan_of_chain(request, chain)


@lru_cache(maxsize=256)
def finished_chain(request: PlanRequest) -> Chain:
    """Build the stages of a chain of steps, which nothing may change afterwards. Cached.

    Raises
    ------
    Rejected
        As `build_chain`.
    """
    steps, branch = json.loads(request.steps), alone(request)
    chain = build_chain(request, steps, branch)
    if request.depth == "input" and chain.discrete:
        # A millionth decides ties: what leads to a mask or to labels has scikit-image's own bits.
        chain = build_chain(request, steps, branch, exact=chain.discrete)
    return chain


def alone(request: PlanRequest) -> Branch:
    """Return the branch of a chain that is no part of a recipe."""
    marks = request.depth == "input"
    return Branch(state_of(request.image, marks=marks), request.image)


def state_of(image: ImageHeader, *, marks: bool) -> State:
    """Return what a chain begins with for an image as it is given.

    `marks` says whether pixels without data are told from others at all.
    """
    return State(
        image,
        marks=marks and nodata.stands_apart(image),
        stated=image.nodata is not None,
        is_mask=image.kind == "mask" and image.dtype != "bool",
    )


def plan_of_chain(request: PlanRequest, chain: Chain) -> Plan:
    """Return the plan of a chain that is complete."""
    image, last = request.image, chain.links[-1]
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
        units_kept=chain.units_kept,
        core=request.core,
        grid=request.grid,
        chunk=request.chunk,
        streamed=request.streamed,
        seconds=tuple(chain.seconds),
        gives_table=chain.gives_table,
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
        alone = request._replace(
            image=image, steps=steps, grid=1, returns=after > weights and request.returns
        )
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


def build_chain(request: PlanRequest, steps: Steps, branch: Branch, exact: int = 0) -> Chain:
    """Build the stages of all steps, with the conversions between them.

    The first `exact` steps use only kernels that give the bits of their functions.

    Raises
    ------
    Rejected
        If an operation cannot take the image that the steps before it give.
    """
    chain = Chain(branch.start, request.kernels)
    if chain.dtype == "float16":
        # scikit-image computes in single precision, where it takes half precision at all.
        chain.add(chain.conversion("float32", "to_float"))
        chain.stored = chain.dtype
    if branch.start.is_mask:
        chain.add(Stage(regions, name="to_mask"))
    for number, step in enumerate(steps):
        inputs = branch.inputs[number] if branch.inputs else {}
        add_step(request, chain, step, branch, inputs, exact=number < exact)
        if not chain.gives_table and (chain.dtype == "bool" or chain.is_labels):
            chain.discrete = number
    end_chain(request, chain, branch)
    return chain


def add_step(
    request: PlanRequest,
    chain: Chain,
    step: Mapping[str, Any],
    branch: Branch,
    inputs: Mapping[str, int],
    *,
    exact: bool,
) -> None:
    """Add the stages of one step to a chain, with the conversions before and after it.

    `inputs` are the surfaces of its second images; with `exact` only kernels serve that give the
    bits of their functions.
    """
    operation = OPERATIONS[step["operation"]]
    parameters = {name: value for name, value in step.items() if name != "operation"}
    if chain.is_labels or chain.dtype == "bool":
        parameters = for_labels(parameters)
    keeps = keeps_values(operation, parameters)
    check_kind(operation, request.depth, chain, keeps=keeps)
    if not keeps:
        mark(chain, operation, branch.start.image)
    weighs = chain.alpha and request.depth == "input" and operation.weighs(parameters)
    if weighs and (operation.floats or operation.weighted is None):
        to_float(request.depth, chain)
    if inputs and numbers_for(operation, inputs, branch.states, chain.dtype):
        to_float(request.depth, chain)
    numbers = chain.dtype
    kernel = prepare(operation, parameters, request.depth, chain, exact=exact, inputs=inputs)
    before, given = chain.shape, chain.dtype
    with operation_errors(operation.name):
        stages = operation.stages(parameters, kernel, inputs)
        if any(repeats(each, before) for each in stages):
            kernel, stages = None, unwrapped(operation.stages(parameters, None, inputs), before)
    moves = operation.moves_pixels(step)
    if weighs:
        kernel = None if operation.weighted else kernel
        stages = weighted(operation, parameters, kernel, moves)
    if inputs:
        stages = attach(operation, stages, inputs, branch.states, chain, request.depth)
    holes = holes_of(chain, branch.start.image)
    if holes is not None:
        averages = operation.weighs(parameters)
        plain = operation.plain_stages(parameters, inputs)
        stages = nodata.stages_for(operation, stages, plain, holes, averages=averages, keeps=keeps)
    extension = operation.extension(parameters, before)
    cost = operation.cost_of(parameters, chain.dtype, kernel) * extension
    once = operation.cost_once(**parameters, dtype=chain.dtype)
    for stage in stages:
        arrays = operation.arrays_of(kernel) + (4 if weighs else 0) + len(stage.inputs)
        chain.add(
            stage if chain.alpha else without_alpha(stage),
            ceil(arrays * extension),
            0 if kernel else operation.table(**parameters),
            cost * (operation.cost_larger if is_larger(stage, chain.shape) else 1),
            once,
        )
        once = 0.0
    if operation.gives == "table":
        chain.gives_table = True
        return
    if holes is not None and np.dtype(chain.dtype).kind == "f":
        chain.marked = True
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
    chain.marks = chain.marks and chain.kind not in ("mask", "labels")
    if request.depth == "native" and operation.native_dtype not in (None, chain.dtype):
        chain.add(Stage(partial(np.asarray, dtype=operation.native_dtype)))
    chain.change_density(operation, parameters, before)
    chain.change_placement(operation, parameters, before)
    chain.note_levels(operation, parameters)
    chain.alpha = chain.alpha and not operation.consumes_alpha
    # A step that moves pixels keeps their values, and so their meaning.
    if not moves:
        chain.shows = operation.shows


def is_larger(stage: Stage, shape: tuple[int, int]) -> bool:
    """Return whether a stage's result has more pixels than its image of (rows, columns)."""
    return prod(stage.shape_after(shape)) > prod(shape)


def mark(chain: Chain, operation: Operation, image: ImageHeader) -> None:
    """Turn pixels without data into what an operation's rule for them needs: NaN in most cases.

    Whole numbers stay as they are for an operation that asks which pixels have data, and for
    tables; for an operation on labels such pixels are background.
    """
    if not chain.marks or chain.marked or chain.dtype != chain.stored:
        return
    value = nodata.stored_value(image)
    if value is None:
        chain.marked = True
        return
    dissolved = operation.floats or (operation.channels == "gray" and chain.channels)
    whole = np.dtype(chain.dtype).kind != "f"
    if chain.is_labels or operation.takes == "labels":
        chain.add(Stage(partial(nodata.to_background, value=value), name="to_background"))
        chain.marks = False
        return
    if operation.gives == "table" or (operation.takes_valid and whole and not dissolved):
        return
    chain.add(nodata.marked(image, chain.dtype))
    chain.marked = True


def holes_of(chain: Chain, image: ImageHeader) -> nodata.Holes | None:
    """Return how the pixels without data of an image are known now; None if it has none."""
    together = image.kind == "picture"
    if chain.is_labels:
        return None
    if chain.marked:
        return nodata.Holes(None, together, chain.stated)
    if not chain.marks or chain.dtype != chain.stored:
        return None
    value = nodata.stored_value(image)
    return None if value is None else nodata.Holes(value, together, chain.stated)


def end_chain(request: PlanRequest, chain: Chain, branch: Branch) -> None:
    """Add the stages that end a chain: those that make its result what others expect."""
    if chain.gives_table:
        return
    if branch.mask_for:
        if nodata.stored_value(branch.start.image) is not None and chain.marks and not chain.marked:
            chain.add(nodata.marked(branch.start.image, chain.dtype))
        to_gray(request.depth, chain)
        chain.add(masks.as_mask(branch.mask_for))
        chain.kind, chain.alpha, chain.marked, chain.marks = "mask", False, False, False
    elif request.depth == "input" and request.returns:
        return_to_depth(chain, branch.target, chain.shows)
    elif request.depth == "input" and chain.alpha and chain.dtype == "bool":
        # Its alpha has more than two levels.
        chain.add(chain.conversion(request.image.dtype, "to_depth"))
    if not chain.links or chain.links[-1].stage.rounds:
        # Rounds end in either of two buffers. A last pass copies that buffer to the result.
        chain.add(Stage(same))
