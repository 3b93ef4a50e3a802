"""The stages of a chain while it is built, and what an image is after the last of them. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels import depths
from cluster_worker.operations import Operation
from cluster_worker.operations.declare import Kernel, Place, Stage
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.header import Kind
from cluster_worker.pixels.placement import Density, Placement
from cluster_worker.pixels.tiling import Span
from cluster_worker.plan.blocks import operation_errors, run_stage, whole_place
from cluster_worker.plan.kinds import keeps_units, keeps_values
from cluster_worker.plan.request import Depth
from cluster_worker.plan.seconds import EXAMPLE_SIDE, Second, example_of
from cluster_worker.plan.states import State

Image = NDArray[Any]

# Decompositions of operations in floating point that may leave a mask a mask.
KEEPS_LEVELS = ("pointwise", "geometric", "statistical")

# Dtypes of pictures to which kernels can round their own result.
ROUNDED = ("uint8", "uint16")

# Most pixels of the window that the planner makes for one pixel of a geometric stage's result.
EXAMPLE_WINDOW_MAX = 1 << 16


class Link(NamedTuple):
    """A stage of the chain, and what the planner found by running it on the example.

    Attributes
    ----------
    before, after : tuple of int
        (rows, columns) of the image before and after the stage.
    channels, dtype : tuple of int, str
        Of the stage's result; channels are () or (channels,), without alpha.
    arrays, table, cost
        As in `Pass`.
    once : float
        As in `Load`.
    input_dtype : str
        Dtype of the stage's input.
    """

    stage: Stage
    before: tuple[int, int]
    after: tuple[int, int]
    channels: tuple[int, ...]
    dtype: str
    arrays: int
    table: int
    cost: float
    once: float
    input_dtype: str


class Chain:
    """The stages so far, and what an image is after the last one.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns).
    channels : tuple of int
        () or (channels,), without alpha.
    dtype : str
    kernels : bool
        Whether kernels may serve the steps.
    seconds : list of Second
        The second images that its stages read.
    density : Density or None
        Resolution relative to that of the source; None if it differs between pixels.
    placement : Placement or None
        Where the pixels lie in the source; None if that is not affine.
    values_kept : bool
        Whether all steps so far only moved pixels.
    units_kept : bool
        Whether all steps so far kept the units of the values.
    alpha : bool
        Whether the image has alpha, which is kept apart.
    moves : list of mapping
        The steps so far that move pixels, and so alpha.
    kind : {"picture", "intensity", "bands", "mask", "labels"}
        What the image is before it is converted to the input's depth.
    marked : bool
        Whether pixels without data are NaN now.
    marks : bool
        Whether pixels may have no data, by a value or by NaN.
    stated : bool
        Whether the file or the request states that some have none.
    stored : str
        Dtype in which it does.
    shows : tuple of float or "extent" or None
        The values that become black and white in a picture of whole numbers; None for 0 and 1.
    discrete : int or None
        Number of the last step, from 0, whose result is a mask or labels.
    gives_table : bool
        Whether the last step gives a table.
    averaged_by : str
        The last operation that mixes the levels of a picture, so that it is no mask any more; ""
        if there is none, or a mask or labels came after it.
    """

    def __init__(self, start: State, kernels: bool) -> None:
        image = start.image
        rows, columns = image.shape[:2]
        self.links: list[Link] = []
        self.seconds: list[Second] = []
        self.alpha = image.alpha
        self.moves: list[Mapping[str, Any]] = []
        self.shape = rows, columns
        self.channels: tuple[int, ...] = (image.colours,) if image.colours > 1 else ()
        self.dtype = image.dtype
        self.kernels = kernels
        self.density = start.density
        self.placement = start.placement
        self.values_kept = start.values_kept
        self.units_kept = start.units_kept
        self.averaged_by = start.averaged_by
        self.marked = start.marked
        self.marks = start.marks
        self.stated = start.stated
        self.stored = self.dtype
        self.shows = start.shows
        self.discrete: int | None = None
        self.gives_table = False
        self.kind: Kind = image.kind

    @property
    def is_labels(self) -> bool:
        """Whether the image holds numbers of regions."""
        return self.kind == "labels"

    def kernel_of(
        self,
        operation: Operation,
        parameters: Mapping[str, Any],
        depth: Depth,
        *,
        exact: bool = False,
        inputs: Collection[str] = (),
    ) -> Kernel | None:
        """Return the kernel that serves an operation on the current image; None without one."""
        if not self.kernels:
            return None
        return operation.kernel(
            parameters, self.dtype, depth, self.channels, exact=exact, inputs=inputs
        )

    def conversion(self, target: str, name: str) -> Stage:
        """Return the stage that converts to another dtype, by a kernel if there is one."""
        stage = Stage(partial(to_depth, dtype=target), name=name)
        if not self.kernels or not depths.converts(self.dtype, target):
            return stage
        return Stage(partial(depths.to_depth, dtype=target), model=stage, name=name)

    @property
    def example(self) -> Image:
        """A small image of the current dtype and channels."""
        return example_of(self.channels, self.dtype)

    def add(
        self, stage: Stage, arrays: int = 2, table: int = 0, cost: float = 0.1, once: float = 0.0
    ) -> None:
        """Append a stage, and run it on the example to find its result's dtype and channels.

        Raises
        ------
        Rejected
            If it refuses the example.
        """
        if "alpha" in stage.context:
            stage = replace(stage, alpha_index=len(self.moves))
        before, after, input_dtype = self.shape, stage.shape_after(self.shape), self.dtype
        beside = {name: self.seconds[i].example for name, i in stage.inputs}
        result = try_stage(stage, self.example, before, beside)
        if result.ndim > 3:
            raise Rejected(
                f"{stage.name}: takes gray or RGB images, got {self.channels[0]} channels"
            )
        self.shape, self.channels, self.dtype = after, result.shape[2:], str(result.dtype)
        link = Link(
            stage, before, after, self.channels, self.dtype, arrays, table, cost, once, input_dtype
        )
        self.links.append(link)

    def round_in_last_stage(self, dtype: str, shows: tuple[float, float] = (0, 1)) -> bool:
        """Have the last stage scale and round its result to a dtype; return whether it can.

        `shows` are the values of the result that become black and white.
        """
        if not self.links or dtype not in ROUNDED:
            return False
        last = self.links[-1]
        if shows != (0, 1) and "shows" not in last.stage.context:
            return False
        if "dtype" not in last.stage.context or np.dtype(self.dtype).kind != "f":
            return self.convert_in_last_stage(dtype)
        stage = replace(last.stage, dtype=dtype, shows=shows)
        self.links[-1] = last._replace(stage=stage, dtype=dtype)
        self.dtype = dtype
        return True

    def convert_in_last_stage(self, dtype: str) -> bool:
        """Have the last stage return its result in another dtype; return whether it can."""
        if not self.links or "target" not in self.links[-1].stage.context:
            return False
        last = self.links[-1]
        self.links[-1] = last._replace(stage=replace(last.stage, target=dtype), dtype=dtype)
        self.dtype = dtype
        return True

    def note_levels(self, operation: Operation, parameters: Mapping[str, Any]) -> None:
        """Note whether the image may be a mask after an operation."""
        if self.dtype == "bool" or self.is_labels:
            self.averaged_by = ""
        elif operation.weighs(parameters) or (
            operation.floats and operation.decomposition.name not in KEEPS_LEVELS
        ):
            self.averaged_by = operation.name

    def change_placement(
        self, operation: Operation, parameters: Mapping[str, Any], before: tuple[int, int]
    ) -> None:
        """Update the placement after an operation; `before` are the (rows, columns) before it."""
        step = operation.placement(parameters, before, self.shape)
        if self.placement is not None:
            self.placement = self.placement.then(step) if step is not None else None
        self.values_kept = self.values_kept and keeps_values(operation, parameters)
        self.units_kept = self.units_kept and keeps_units(operation, parameters)

    def change_density(
        self, operation: Operation, parameters: Mapping[str, Any], before: tuple[int, int]
    ) -> None:
        """Update the density after an operation; `before` are the (rows, columns) before it."""
        if self.density is None or operation.pixels == "lost":
            self.density = None
        elif operation.pixels == "turned":
            across, down, turned = self.density
            self.density = Density(down, across, not turned)
        elif operation.pixels == "scaled":
            across, down, turned = self.density
            step = operation.placement(parameters, before, self.shape)
            # A block at the border may be filled up: sizes alone do not tell how wide a pixel is.
            scaled = step if step is not None else Placement.scaled(before, self.shape)
            rows, columns = 1 / scaled.yy, 1 / scaled.xx
            self.density = Density(across * columns, down * rows, turned)


def try_stage(
    stage: Stage, example: Image, shape: tuple[int, int], inputs: Mapping[str, Image]
) -> Image:
    """Run a stage on the example to find its result's dtype and channels.

    A geometric stage computes one pixel only, from a block of zeros. `shape` are the (rows,
    columns) of the real image, `inputs` examples of the second images.
    """
    if stage.like is not None:
        with operation_errors(stage.name):
            return stage.like(example)
    if stage.model is not None:
        floats = "dtype" in stage.context
        example = to_depth(example, "float32") if floats else example
        found = try_stage(stage.model, example, shape, inputs)
        return found.astype(stage.dtype) if floats else found
    if stage.geometry is None:
        alpha = np.ones(example.shape[:2], example.dtype) if "alpha" in stage.context else None
        return run_stage(stage, example, whole_place(example), alpha, inputs=inputs)
    corner = Span(0, 1, 0, 1)
    window = stage.geometry.window(corner, shape)
    if window.pixels > EXAMPLE_WINDOW_MAX:
        # One pixel may be computed from a gigapixel. A small image gives the same dtype.
        shape = min(shape[0], EXAMPLE_SIDE), min(shape[1], EXAMPLE_SIDE)
        window = stage.geometry.window(corner, shape)
    block = np.zeros(window.shape + example.shape[2:], example.dtype)
    return run_stage(stage, block, Place(window, corner, shape))
