"""Plan a recipe whose steps name images: chains that run one after the other. Pure.

Steps that only read the step before them run as one chain, as `chain.py` plans it. A result that
something else reads lies on a *surface* until its last reader is done. It keeps the dtype in which
the chain computes. What is returned is converted once, at the end, to the dtype of the original.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.declare import Table
from cluster_worker.pixels.header import ImageHeader, Kind
from cluster_worker.pixels.placement import Density, Placement
from cluster_worker.plan.chain import Branch, build_chain, plan, plan_of_chain, state_of
from cluster_worker.plan.links import Chain
from cluster_worker.plan.passes import Buffer, Pass, Plan
from cluster_worker.plan.request import PlanRequest, RecipeRequest, Request, check_image
from cluster_worker.plan.second_images import needs_mask
from cluster_worker.plan.slots import slots_for
from cluster_worker.plan.states import State
from cluster_worker.plan.wiring import Wiring, wire, without_names

Columns = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class PlannedChain:
    """One chain of a recipe.

    Attributes
    ----------
    plan : Plan
        Its passes.
    source : int
        Number of the surface that it reads.
    surface : int or None
        Number of the surface on which it leaves its result for other chains.
    result : int or None
        Number of the result that it writes, among the images of the recipe; 0 is the last image.
    name : str
        What users call the image that it leaves or writes.
    table : str
        Name of the table that it gives, if it gives one.
    finish : callable or None
        ``finish(found, (rows, columns))``: the columns of the table.
    pixel_size : tuple of float or None
        Height and width in metres of the pixels that a table measures, if they are known.
    """

    plan: Plan
    source: int
    surface: int | None = None
    result: int | None = None
    name: str = ""
    table: str = ""
    finish: Callable[[Any, tuple[int, int]], Columns] | None = None
    pixel_size: tuple[float, float] | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """Numbers of the surfaces that it reads."""
        return (self.source, *(each.surface for each in self.plan.seconds))

    @property
    def pixels(self) -> Buffer:
        """The image that it leaves for other chains, without a slot."""
        return Buffer(-1, self.plan.result_shape, self.plan.result_dtype)


@dataclass(frozen=True)
class RecipePlan:
    """All chains of a recipe over one image, in the order in which they run.

    Attributes
    ----------
    chains : tuple of PlannedChain
        The order is that of the steps.
    inputs : tuple of (str, ImageHeader)
        The other images that are given, by their names.
    kept : tuple of (str, int)
        Ids of the kept images, and the numbers of their results. The last image is result 0.
    """

    chains: tuple[PlannedChain, ...]
    image: ImageHeader
    inputs: tuple[tuple[str, ImageHeader], ...]
    kept: tuple[tuple[str, int], ...]

    @cached_property
    def results(self) -> tuple[Plan, ...]:
        """The plans that write a result, in the order of the results' numbers."""
        found = [each for each in self.chains if each.result is not None]
        return tuple(each.plan for each in sorted(found, key=lambda each: each.result or 0))

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables, in the order in which they are found."""
        return tuple(each.table for each in self.chains if each.table)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes of all chains."""
        return tuple(step for each in self.chains for step in each.plan.passes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the original, alpha included."""
        return self.image.shape

    @property
    def dtype(self) -> str:
        """Dtype of the original."""
        return self.image.dtype

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the last image, alpha included."""
        return self.results[0].result_shape

    @property
    def result_dtype(self) -> str:
        """Dtype of the last image."""
        return self.results[0].result_dtype

    @property
    def result_kind(self) -> Kind:
        """What the last image is."""
        return self.results[0].result_kind

    @property
    def source_alpha(self) -> bool:
        """Whether the last channel of the original is alpha."""
        return self.image.alpha

    @property
    def result_alpha(self) -> bool:
        """Whether the last channel of the last image is alpha."""
        return self.results[0].result_alpha

    @property
    def density(self) -> Density | None:
        """Resolution of the last image relative to the original."""
        return self.results[0].density

    @property
    def placement(self) -> Placement | None:
        """Where the pixels of the last image lie in the original."""
        return self.results[0].placement

    @property
    def values_kept(self) -> bool:
        """Whether all steps that lead to the last image only move pixels."""
        return self.results[0].values_kept

    @property
    def units_kept(self) -> bool:
        """Whether the values of the last image count in the units of the original."""
        return self.results[0].units_kept

    @property
    def margin(self) -> int | None:
        """How far from a cut of the original the last image changes; None if everywhere."""
        margins = [each.plan.margin for each in self.chains]
        known = [each for each in margins if each is not None]
        return sum(known) if len(known) == len(margins) else None

    @property
    def synchronizes(self) -> bool:
        """Whether the ranks synchronize at all."""
        return len(self.chains) > 1 or any(each.plan.synchronizes for each in self.chains)

    @property
    def names(self) -> tuple[str, ...]:
        """What users call the image on each surface."""
        left = (each.name for each in self.chains if each.surface is not None)
        return ("original", *(f"input:{name}" for name, _ in self.inputs), *left)

    @cached_property
    def surfaces(self) -> tuple[Buffer, ...]:
        """The images that chains leave for others, in their order."""
        return self.placed[0]

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """All images between passes: the surfaces, then those of the passes of each chain."""
        surfaces, between = self.placed
        return (*surfaces, *(each for found in between for each in found))

    @cached_property
    def placed(self) -> tuple[tuple[Buffer, ...], tuple[tuple[Buffer, ...], ...]]:
        """The surfaces, and for each chain the images between its passes, each with its slot.

        Images share a slot if they are never needed at the same time.
        """
        sources = 1 + len(self.inputs)
        last_reader = {surface: i for i, each in enumerate(self.chains) for surface in each.reads}
        needed: list[tuple[int, int, int]] = []
        left = [(i, each) for i, each in enumerate(self.chains) if each.surface is not None]
        for count, (i, each) in enumerate(left):
            needed.append((i, last_reader.get(sources + count, i), each.pixels.nbytes))
        for i, each in enumerate(self.chains):
            needed += [(i, i, size) for size in each.plan.slots()]
        slots = iter(slots_for(needed))
        surfaces = tuple(each.pixels._replace(slot=next(slots)) for _, each in left)
        between = []
        for each in self.chains:
            own = [next(slots) for _ in each.plan.slots()]
            between.append(tuple(one._replace(slot=own[one.slot]) for one in each.plan.buffers))
        return surfaces, tuple(between)

    def slots(self) -> list[int]:
        """Return the size of each slot in bytes: that of its largest image."""
        sizes: dict[int, int] = {}
        for each in self.buffers:
            sizes[each.slot] = max(sizes.get(each.slot, 0), each.nbytes)
        return [sizes[slot] for slot in sorted(sizes)]

    def is_cut(self, ranks: int) -> bool:
        """Return whether a pass has tiles for more than one rank."""
        return any(each.plan.is_cut(ranks) for each in self.chains)

    def tiles_total(self, ranks: int) -> int:
        """Return the number of tiles of all passes."""
        return sum(each.plan.tiles_total(ranks) for each in self.chains)

    def rank_bytes(self, ranks: int) -> int:
        """Return an upper estimate of the private bytes that the busiest rank will need."""
        return max(each.plan.rank_bytes(ranks) for each in self.chains)


def plan_any(request: Request) -> Plan | RecipePlan:
    """Plan a chain or a recipe, as its request says.

    Raises
    ------
    Rejected
        If an image cannot be processed by these steps.
    """
    return plan(request) if isinstance(request, PlanRequest) else plan_recipe(request)


@lru_cache(maxsize=64)
def plan_recipe(request: RecipeRequest) -> RecipePlan:
    """Plan a recipe on an image and its inputs. Plans are cached.

    Raises
    ------
    Rejected
        If an image cannot be processed by these steps.
    """
    for image in (request.image, *(image for _, image in request.inputs)):
        check_image(image)
    # A millionth decides ties: what leads to a mask, to labels or to a table has scikit-image's own
    # bits. The first draft shows which chains do.
    draft = Draft(request, frozenset())
    exact = draft.exact()
    return (Draft(request, exact) if exact else draft).plan


class Draft:
    """The plan of a recipe in the making.

    Parameters
    ----------
    request : RecipeRequest
        What is asked for.
    exact : frozenset of int
        The groups of steps that use only kernels with the bits of their functions.
    """

    def __init__(self, request: RecipeRequest, exact: frozenset[int]) -> None:
        self.request = request
        self.steps = json.loads(request.steps)
        self.wiring: Wiring = wire(self.steps, [name for name, _ in request.inputs])
        given = (request.image, *(image for _, image in request.inputs))
        marks = request.depth == "input"
        # What each surface holds, and the number of the surface that each image lies on.
        self.states = [state_of(each, marks=marks) for each in given]
        self.surface_of = {image: image for image in range(len(given))}
        self.masks: dict[int, int] = {}
        self.chains: list[PlannedChain] = []
        # For each chain, whether a mask, labels or a table are made in it, and its group of steps.
        self.decides: list[bool] = []
        self.group_of: list[int] = []
        self.results: dict[int, int] = {self.wiring.last: 0}
        for _, image in self.wiring.kept:
            self.results.setdefault(image, len(self.results))
        self.groups = self.wiring.groups()
        for number, group in enumerate(self.groups):
            self.add_group(number, group, exact=number in exact)
        if self.wiring.last < self.wiring.sources:
            # Only tables are made: the image comes back as it is.
            self.add_chain(-1, self.wiring.last, [], result=0)

    @property
    def plan(self) -> RecipePlan:
        """The finished plan."""
        kept = tuple((name, self.results[image]) for name, image in self.wiring.kept)
        return RecipePlan(tuple(self.chains), self.request.image, self.request.inputs, kept)

    def exact(self) -> frozenset[int]:
        """Return the groups of steps whose result decides about masks, labels or tables."""
        needed: set[int] = set()
        found: set[int] = set()
        for each, decides, group in reversed(
            list(zip(self.chains, self.decides, self.group_of, strict=True))
        ):
            if decides or each.surface in needed:
                needed.update(each.reads)
                found.add(group)
        return frozenset(found) if self.request.depth == "input" else frozenset()

    def add_group(self, number: int, group: list[int], *, exact: bool) -> None:
        """Add the chain of a group of steps, and what its result needs."""
        first, last = group[0], group[-1]
        source, image = self.wiring.reads[first], self.wiring.sources + last
        if OPERATIONS[self.steps[last]["operation"]].gives == "table":
            self.add_chain(number, source, group, exact=exact)
            return
        read = [*self.wiring.reads, *(i for each in self.wiring.seconds for i in each.values())]
        if image not in read:
            self.add_chain(number, source, group, result=self.results[image], exact=exact)
            return
        self.add_chain(number, source, group, image=image, exact=exact)
        if image in self.results:
            self.add_chain(-1, image, [], result=self.results[image])

    def add_chain(
        self,
        number: int,
        source: int,
        group: list[int],
        *,
        image: int | None = None,
        result: int | None = None,
        exact: bool = False,
    ) -> None:
        """Add a chain of steps on an image; it leaves an image, writes a result or gives a table.

        Parameters
        ----------
        number : int
            Of the group of steps; -1 for a chain without steps.
        source : int
            The image that it reads.
        group : list of int
            Its steps.
        image, result : int, optional
            The image that it leaves for other chains, or the number of the result that it writes.
        exact : bool
            Whether only kernels with the bits of their functions serve it.
        """
        steps = [without_names(self.steps[step]) for step in group]
        inputs = tuple(self.surfaces_of(step) for step in group)
        surface = self.surface_of[source]
        branch = Branch(self.states[surface], self.request.image, inputs, self.states)
        request = self.request_of(surface, result)
        chain = build_chain(request, steps, branch, exact=len(steps) if exact else 0)
        planned = plan_of_chain(request, chain)
        decides = chain.discrete is not None or chain.gives_table
        name = self.name_of(source if not group else self.wiring.sources + group[-1])
        made = PlannedChain(planned, surface, result=result, name=name)
        if chain.gives_table:
            made = self.table(planned, surface, group[-1], steps[-1])
        elif image is not None:
            self.surface_of[image] = len(self.states)
            made = PlannedChain(planned, surface, surface=len(self.states), name=name)
            self.states.append(state_after(chain, planned, self.states[surface]))
        self.note(made, decides, number)

    def name_of(self, image: int) -> str:
        """Return what users call an image."""
        if image < self.wiring.sources:
            return ("original", *(name for name, _ in self.request.inputs))[image]
        number = image - self.wiring.sources
        return str(self.steps[number].get("id", f"step {number + 1}"))

    def note(self, chain: PlannedChain, decides: bool, number: int) -> None:
        """Append a chain."""
        self.chains.append(chain)
        self.decides.append(decides)
        self.group_of.append(number)

    def request_of(self, surface: int, result: int | None = None) -> PlanRequest:
        """Return the request of a chain on a surface; a result is converted at its end."""
        asked = self.request
        returns = result is not None
        image = self.states[surface].image
        grid = asked.grid if returns else 1
        options = asked.depth, asked.core, grid, returns, asked.kernels, asked.chunk, asked.streamed
        return PlanRequest(image, "", *options)

    def table(
        self, planned: Plan, surface: int, number: int, step: Mapping[str, Any]
    ) -> PlannedChain:
        """Return the chain that gives the table of a step.

        Raises
        ------
        Rejected
            If it needs the size of a pixel, which is not known.
        """
        operation = OPERATIONS[step["operation"]]
        decomposition = operation.decomposition
        assert isinstance(decomposition, Table)  # noqa: S101 - its chain gives a table
        parameters = {name: value for name, value in step.items() if name != "operation"}
        size = pixel_size(self.request.image, planned.density)
        if size is None and decomposition.needs_pixel_size(**parameters):
            raise Rejected(
                f"{operation.name}.unit: the size of a pixel is not known here; set spacing instead"
            )
        finish = partial(decomposition.columns, parameters=parameters, pixel_size=size)
        name = self.steps[number].get("id", operation.name)
        return PlannedChain(planned, surface, table=name, finish=finish, pixel_size=size)

    def surfaces_of(self, step: int) -> dict[str, int]:
        """Return the surfaces of a step's second images, with masks made where levels are one."""
        found = {}
        operation = OPERATIONS[self.steps[step]["operation"]]
        for name, image in self.wiring.seconds[step].items():
            surface = self.surface_of[image]
            if operation.inputs[name]["takes"] == "mask":
                surface = self.mask_of(surface, f"{operation.name}.{name}")
            found[name] = surface
        return found

    def mask_of(self, surface: int, where: str) -> int:
        """Return the surface of the mask of an image, which is made if there is none yet.

        Raises
        ------
        Rejected
            If its levels were mixed, so that it is no mask.
        """
        state = self.states[surface]
        if not needs_mask(state, self.request.depth):
            return surface
        if state.averaged_by:
            raise Rejected(
                f"{where}: takes a mask, which {state.averaged_by} does not give; "
                "put threshold or threshold_otsu between them"
            )
        if surface not in self.masks:
            branch = Branch(state, self.request.image, mask_for=where)
            request = self.request_of(surface)
            chain = build_chain(request, [], branch)
            planned = plan_of_chain(request, chain)
            self.masks[surface] = len(self.states)
            made = PlannedChain(planned, surface, surface=len(self.states), name=where)
            self.note(made, True, -1)
            self.states.append(state_after(chain, planned, state))
        return self.masks[surface]


def pixel_size(original: ImageHeader, density: Density | None) -> tuple[float, float] | None:
    """Return (height, width) of a pixel in metres, at a density; None if it is not known."""
    if original.pixel_size is None or density is None:
        return None
    height, width = original.pixel_size
    across, down = density.of((1 / width, 1 / height))
    return 1 / down, 1 / across


def state_after(chain: Chain, planned: Plan, before: State) -> State:
    """Return what a chain leaves on its surface, for those that begin with it."""
    kept = planned.result_shape[2:] == before.image.shape[2:]
    is_mask = chain.kind == "mask" and planned.result_dtype != "bool"
    image = before.image._replace(
        shape=planned.result_shape,
        dtype=planned.result_dtype,
        axes="yxs"[: len(planned.result_shape)],
        kind=chain.kind,
        alpha=planned.result_alpha,
        channels=before.image.channels if kept else (),
    )
    return State(
        image,
        chain.marks and not chain.marked,
        chain.marked,
        chain.averaged_by,
        chain.shows,
        is_mask,
        chain.density,
        chain.placement,
        chain.values_kept,
        chain.units_kept,
        chain.stated,
    )
