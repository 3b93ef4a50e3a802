"""The second images of a step: check that they fit, and convert their blocks for its stages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations import Operation
from cluster_worker.operations.color import rgb2gray
from cluster_worker.operations.declare import Stage, Stages
from cluster_worker.pixels.depths import to_depth
from cluster_worker.plan import nodata
from cluster_worker.plan.conversions import regions
from cluster_worker.plan.kinds import is_wide
from cluster_worker.plan.links import Chain
from cluster_worker.plan.request import Depth
from cluster_worker.plan.seconds import Convert, Second
from cluster_worker.plan.states import State

Image = NDArray[Any]


def numbers_for(
    operation: Operation, inputs: Mapping[str, int], states: Sequence[State], dtype: str
) -> bool:
    """Return whether an image of whole numbers must become floats, as a second picture is."""
    pictures = [
        states[surface]
        for name, surface in inputs.items()
        if operation.inputs[name]["takes"] == "picture"
    ]
    return np.dtype(dtype).kind != "f" and any(
        np.dtype(each.image.dtype).kind == "f"
        or each.image.dtype != dtype
        or becomes_gray(operation, each)
        for each in pictures
    )


def becomes_gray(operation: Operation, state: State) -> bool:
    """Return whether a second picture has colours, and its operation computes with gray ones."""
    return operation.channels == "gray" and state.channels == (3,)


def in_gray(image: Image, convert: Convert | None) -> Image:
    """Convert a block of colours, then turn it to gray as the operation's own image is."""
    gray: Image = rgb2gray(convert(image) if convert else image)
    return gray


def attach(
    operation: Operation,
    stages: Stages,
    inputs: Mapping[str, int],
    states: Sequence[State],
    chain: Chain,
    depth: Depth,
) -> Stages:
    """Return stages that are given the second images of their operation.

    Parameters
    ----------
    operation, stages : Operation, tuple of Stage
        What is done.
    inputs : mapping
        From the names of the second images to the numbers of their surfaces.
    states : sequence of State
        What each surface holds.
    chain : Chain
        The chain so far, whose image the stages are given as their own.
    depth : {"input", "native"}
        Of the recipe.

    Raises
    ------
    Rejected
        If a second image does not fit.
    """
    numbers, skips = {}, False
    for name, surface in inputs.items():
        reading = Reading(f"{operation.name}.{name}", surface, states[surface], chain, depth)
        reading.check_shape()
        if operation.inputs[name]["takes"] == "values" and operation.skips_nan:
            second, skips = reading.measured(), reading.has_holes
        elif operation.inputs[name]["takes"] == "picture":
            second = reading.picture(gray=becomes_gray(operation, reading.state))
        else:
            second = reading.second(operation.inputs[name]["takes"])
        zeros = operation.inputs[name].get("beyond") == "nothing"
        chain.seconds.append(second._replace(zeros_beyond=zeros))
        numbers[name] = len(chain.seconds) - 1
    stages = tuple(map(skipping, stages)) if skips else stages
    return tuple(
        replace(stage, inputs=found) if (found := named(stage, numbers)) else stage
        for stage in stages
    )


def skipping(stage: Stage) -> Stage:
    """Return the stage of a table whose last measure leaves out what is NaN in a second image."""
    *before, last = stage.measures
    measure = replace(last, of=partial(last.of, skips_nan=True))
    return replace(stage, measures=(*before, measure))


def named(stage: Stage, numbers: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return the second images that a stage has parameters for, with their numbers."""
    return tuple((name, number) for name, number in numbers.items() if stage.takes(name))


class Reading(NamedTuple):
    """How a step of a chain reads one second image.

    Attributes
    ----------
    where : str
        Names operation and parameter; begins the errors.
    surface, state : int, State
        Number of its surface, and what that holds.
    chain, depth : Chain, str
        The chain so far, and the depth of the recipe.
    """

    where: str
    surface: int
    state: State
    chain: Chain
    depth: Depth

    def check_shape(self) -> None:
        """Check that the second image has the rows and columns of the chain's image.

        Raises
        ------
        Rejected
            If it has others.
        """
        rows, columns = self.state.image.shape[:2]
        if (rows, columns) != self.chain.shape:
            raise Rejected(
                f"{self.where}: is {rows} × {columns} pixels, and the image there is "
                f"{self.chain.shape[0]} × {self.chain.shape[1]}; give both one size, by resize or "
                "crop for example"
            )

    def second(self, takes: str) -> Second:
        """Return how it is read as what its parameter takes, if that is no picture."""
        if takes == "mask":
            return self.mask()
        return self.labels() if takes == "labels" else self.values()

    def made(self, convert: Convert | None, dtype: str) -> Second:
        """Return how it is read, with a conversion of each block to a dtype."""
        return Second(self.surface, self.state.image.alpha, convert, dtype, self.state.channels)

    def mask(self) -> Second:
        """Read a mask: at depth "input" a picture of levels was made one before."""
        if self.state.channels:
            count = self.state.channels[0]
            raise Rejected(f"{self.where}: takes a mask of one channel, got {count}")
        return self.made(None if self.state.image.dtype == "bool" else regions, "bool")

    def picture(self, *, gray: bool) -> Second:
        """Read a picture in the numbers of the chain's own; natively in its own numbers.

        With `gray` its colours are then turned to gray.
        """
        if not gray:
            return self.coloured(self.chain.channels)
        second = self.coloured(self.state.channels)
        convert = partial(in_gray, convert=second.convert)
        found = rgb2gray(second.example)
        return second._replace(convert=convert, dtype=str(found.dtype), channels=())

    def coloured(self, channels: tuple[int, ...]) -> Second:
        """Read a picture that is gray or has these channels."""
        image, dtype = self.state.image, self.chain.dtype
        if self.state.channels not in ((), channels):
            raise Rejected(
                f"{self.where}: has {self.state.channels[0]} channels, and the image there has "
                f"{(channels or (1,))[0]}; convert one of them, by rgb2gray for example"
            )
        if self.depth == "native":
            return self.made(None, image.dtype)
        if image.kind == "labels":
            raise Rejected(
                f"{self.where}: takes a picture, got labels; colour them with label2rgb first"
            )
        floats = np.dtype(dtype).kind == "f"
        stated = self.state.stated
        if self.state.marked and stated:
            self.chain.marked = self.chain.stated = True
        if self.state.is_mask:
            return self.made(partial(mask_to_depth, dtype=dtype), dtype)
        if self.state.marks and stated and floats:
            self.chain.marked = self.chain.stated = True
        value = nodata.stored_value(image)
        if self.state.marks and value is not None and floats:
            together = image.kind == "picture"
            to_nan = partial(nodata.to_nan, value=value, dtype=dtype, together=together)
            return self.made(to_nan, dtype)
        return self.made(partial(to_depth, dtype=dtype) if image.dtype != dtype else None, dtype)

    def labels(self) -> Second:
        """Read labels; a mask has the labels 0 and 1."""
        if self.state.is_mask:
            return self.made(regions, "bool")
        if np.dtype(self.state.image.dtype).kind == "f" or self.state.channels:
            raise Rejected(
                f"{self.where}: takes labels or a mask, got a picture; put a threshold and label "
                "before it"
            )
        image, dtype = self.state.image, self.state.image.dtype
        value = nodata.stored_value(image)
        if value is None or not self.state.marks:
            return self.made(None, dtype)
        return self.made(partial(nodata.to_background, value=value), dtype)

    def values(self) -> Second:
        """Read the numbers as they are."""
        if self.state.is_mask:
            return self.made(regions, "bool")
        return self.made(None, self.state.image.dtype)

    @property
    def has_holes(self) -> bool:
        """Whether some of its pixels may have no data, which `measured` reads as NaN."""
        return self.state.marks or self.state.marked

    def measured(self) -> Second:
        """Read the numbers as floats, with NaN for pixels without data, if there may be any."""
        image = self.state.image
        value = nodata.stored_value(image)
        if value is None or not self.state.marks or self.state.marked:
            return self.values()
        dtype = image.dtype if np.dtype(image.dtype).kind == "f" else "float64"
        together = image.kind == "picture"
        as_values = partial(nodata.as_values, value=value, dtype=dtype, together=together)
        return self.made(as_values, dtype)


def mask_to_depth(image: Image, dtype: str) -> Image:
    """Convert a mask in any dtype to black and white of another."""
    return to_depth(regions(image), dtype)


def needs_mask(state: State, depth: Depth) -> bool:
    """Return whether the levels of an image must be looked at before it can be read as a mask."""
    image = state.image
    is_mask = image.dtype == "bool" or state.is_mask or is_wide(image.dtype)
    return depth == "input" and not (is_mask and not state.channels)
