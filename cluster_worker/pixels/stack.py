"""What a stack of planes is: its axes, and which of its planes are chosen."""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from cluster_worker.errors import Rejected

# Names of the axes of a stack, by their letters.
AXES = {"p": "page", "t": "time", "c": "channel", "z": "slice"}

# Most planes of a stack.
PLANES_MAX = 1 << 17


class Stack(NamedTuple):
    """The planes of a file, without their pixels. Frozen and hashable.

    Attributes
    ----------
    axes : str
        A letter for each axis of `shape`, the outermost first: t for times, c for channels, z for
        slices, p for pages that the file does not name.
    shape : tuple of int
        Planes along each axis.
    channels : tuple of str
        Names along c; empty if the file does not name them.
    step : float or None
        Metres between two slices, if the file states it.
    milliseconds : tuple of int
        How long each plane of an animation is shown; empty for other stacks.
    loops : int
        How often an animation is played; 0 for ever.
    """

    axes: str
    shape: tuple[int, ...]
    channels: tuple[str, ...] = ()
    step: float | None = None
    milliseconds: tuple[int, ...] = ()
    loops: int = 0

    @property
    def planes(self) -> int:
        """Number of planes."""
        return math.prod(self.shape)

    def place(self, plane: int) -> dict[str, int]:
        """Return the number of a plane along each axis; all numbers count from 0."""
        numbers = np.unravel_index(plane, self.shape)
        return dict(zip(self.axes, map(int, numbers), strict=True))

    def name(self, plane: int) -> str:
        """Return the name of a plane in a sentence, which counts from 1."""
        whole = f"plane {plane + 1} of {self.planes}"
        if len(self.axes) < 2:
            return whole
        place = ", ".join(f"{axis} {number + 1}" for axis, number in self.place(plane).items())
        return f"{whole} ({place})"


def check_count(planes: int, name: str) -> None:
    """Check that a file does not have too many planes.

    Raises
    ------
    Rejected
        If it has; `name` begins the sentence.
    """
    if planes > PLANES_MAX:
        raise Rejected(
            f"{name}: has {planes} planes; at most {PLANES_MAX} are read, so save it in several "
            "files"
        )


# The value of pixels without data; "spread" if they are computed with as any others.
Nodata = float | Literal["spread"] | None


class Choice(NamedTuple):
    """How a file is read: which planes and channels, and as what. By default as the file says.

    A text of planes or channels has numbers that count from 1, and ranges with both ends: "2",
    "1,3", "4..9"; an empty one means all of them.

    Attributes
    ----------
    page, t, z, channels : str
        Numbers of planes in the order of the file, of times, of slices, and of channels.
    kind : str
        What the image is: "picture", "intensity", "bands", "mask" or "labels".
    nodata : float or "spread" or None
        The value of pixels that hold no data; "spread" if they count as any others.
    incomplete : bool
        Whether a file that ends within its pixels is read as far as it goes.
    """

    page: str = ""
    t: str = ""
    z: str = ""
    channels: str = ""
    kind: str = ""
    nodata: Nodata = None
    incomplete: bool = False


ALL = Choice()


def choice_of(read: Mapping[str, Any]) -> Choice:
    """Return how a file is read, from the options of a batch or a preview, which were checked."""
    given = dict(read)
    if isinstance(given.get("nodata"), str):
        given["nodata"] = nodata_of(given["nodata"], "nodata")
    return Choice(**given)


def nodata_of(text: str, option: str) -> Nodata:
    """Read the value of pixels without data.

    Raises
    ------
    Rejected
        If it is no number and not "spread".
    """
    if text == "spread":
        return "spread"
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise Rejected(f"{option}: must be a number, nan or spread, got {text!r}")
    return value


def numbers_in(text: str, count: int, option: str) -> tuple[int, ...]:
    """Read the numbers of an option.

    Parameters
    ----------
    text : str
        As in `Choice`.
    count : int
        Greatest number.
    option : str
        Begins the error sentence.

    Returns
    -------
    tuple of int
        Counted from 0, in the order of the text.

    Raises
    ------
    Rejected
        If it is no such text, or a number is not there or is named twice.
    """
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,9})\s*(?:\.\.\s*(\d{1,9})\s*)?", part)
        if ends is None:
            raise Rejected(f"{option}: must be numbers such as 2, 1,3 or 4..9, got {text!r}")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not 1 <= first <= last <= count:
            raise Rejected(f"{option}: must lie between 1 and {count}, got {part.strip()}")
        found += range(first - 1, last)
    if len(set(found)) < len(found):
        raise Rejected(f"{option}: names a number twice: {text}")
    return tuple(found)


def chosen(stack: Stack, choice: Choice, name: str) -> tuple[Stack, tuple[int, ...]]:
    """Choose planes of a stack.

    Parameters
    ----------
    stack : Stack
        All planes of the file.
    choice : Choice
        The channels only count if the stack has the axis c.
    name : str
        Of the file; begins the error sentence.

    Returns
    -------
    Stack, tuple of int
        What the chosen planes are, and their numbers in the file, counted from 0. Planes that are
        chosen by page are pages, whatever the axes of the file are.

    Raises
    ------
    Rejected
        If the file has no such axis or plane.
    """
    by_axis = {"t": choice.t, "z": choice.z, "c": choice.channels if "c" in stack.axes else ""}
    by_axis = {axis: text for axis, text in by_axis.items() if text}
    if choice.page:
        if by_axis:
            raise Rejected("page: names planes by itself; leave out t, z and channels")
        planes = numbers_in(choice.page, stack.planes, "page")
        times = tuple(stack.milliseconds[plane] for plane in planes if stack.milliseconds)
        pages = stack.axes if len(stack.axes) == 1 else "p"
        return stack._replace(axes=pages, shape=(len(planes),), milliseconds=times), planes
    picked = [tuple(range(count)) for count in stack.shape]
    for axis, text in by_axis.items():
        if axis not in stack.axes:
            raise Rejected(
                f"{name}: has no axis {axis}, its axes are {stack.axes}yx; choose planes by page"
            )
        index = stack.axes.index(axis)
        picked[index] = numbers_in(text, stack.shape[index], option_of(axis))
    grid = np.arange(stack.planes).reshape(stack.shape)[np.ix_(*picked)]
    step = stack.step
    if step and "z" in stack.axes:
        step = step_of(picked[stack.axes.index("z")], step)
    names = stack.channels
    if names and "c" in stack.axes:
        names = tuple(names[number] for number in picked[stack.axes.index("c")])
    planes = tuple(grid.ravel().tolist())
    times = tuple(stack.milliseconds[plane] for plane in planes if stack.milliseconds)
    found = stack._replace(shape=grid.shape, channels=names, step=step, milliseconds=times)
    return found, planes


def step_of(slices: tuple[int, ...], step: float) -> float | None:
    """Return the distance of chosen slices; None if they are not at equal distances."""
    strides = {after - before for before, after in pairwise(slices)} or {1}
    return abs(step * strides.pop()) if len(strides) == 1 else None


def option_of(axis: str) -> str:
    """Return the name of the option that chooses along an axis."""
    return "channels" if axis == "c" else axis
