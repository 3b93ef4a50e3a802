"""The entries of the catalogue, and the decorator that makes one of a function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cluster_worker.operations.declare.decompositions import (
    Composed,
    Decomposition,
    Stages,
    Statistical,
    Whole,
)
from cluster_worker.operations.declare.signatures import read_docstring, read_signature
from cluster_worker.operations.declare.stages import Measure, context_of


def always(**_: Any) -> bool:
    """Hold for all parameters."""
    return True


@dataclass(frozen=True)
class Kernel:
    """A faster way to the pixels of an operation, taken instead of its function where it holds.

    The catalogue test proves it as it proves the function: seamless bitwise, and faithful.

    Attributes
    ----------
    function : callable
        With the parameters of the operation's function. For floats it asks for ``dtype``.
    takes : tuple of str
        Types of the images that it takes as they are; what would be converted to floats for the
        function is not.
    when : callable
        From the parameters to whether it holds for them.
    gray : bool
        Whether it takes no colours.
    exact : bool
        Whether its result is the function's to the last bit. If not, it serves pictures alone:
        with depth "native" the function runs.
    measures : tuple of Measure, or callable, optional
        Of an image as the kernel takes it, if they are not those of the operation.
    arrays, cost, tolerance
        As in `Traits`, where they are not the operation's.
    """

    function: Callable[..., Any]
    takes: tuple[str, ...] = ("uint8", "uint16", "float32")
    when: Callable[..., bool] = always
    gray: bool = False
    exact: bool = False
    measures: tuple[Measure, ...] | Callable[..., tuple[Measure, ...]] | None = None
    arrays: int | None = None
    cost: float | Callable[..., float] | None = None
    tolerance: float = 0.0

    def stages(
        self, decomposition: Decomposition, parameters: Mapping[str, Any], models: Stages
    ) -> Stages:
        """Make the stages for one set of parameters; `models` are those of the function."""
        if isinstance(decomposition, Statistical) and self.measures is not None:
            decomposition = replace(decomposition, measures=self.measures)
        found = decomposition.stages(self.function, parameters)
        if isinstance(decomposition, Composed):
            return found
        return tuple(
            replace(stage, model=model) for stage, model in zip(found, models, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What an operation says of itself besides its decomposition.

    Attributes
    ----------
    channels : {"each", "gray", "rgb", "any"}
        Whether colours are treated one by one, are turned to gray first, are needed (gray is
        turned to RGB first), or are the operation's business.
    takes : {"picture", "mask", "labels"}
        What it is made for. With depth "input" a picture given to an operation on masks becomes
        one at half of white; labels are integers, one for each region, and a mask is a label
        image with one label.
    floats : bool
        Whether it computes in floating point whatever the image's type.
    shows : tuple of float or "extent", optional
        Least and greatest value of its result, which become black and white when a picture of
        whole numbers is made of it at the end; "extent" stands for those found in the image.
        None: black is 0 and white is 1.
    pixels : {"kept", "scaled", "turned", "lost"}
        What becomes of a pixel's physical size: it stays, changes with rows and columns, swaps
        height and width, or is no longer the same everywhere.
    arrays : int
        Arrays as large as its input, in floating point, that live while it runs.
    table : callable
        From the parameters to bytes that it takes besides, however small its input is.
    cost : float or callable
        Work for a pixel, the Gaussian of one pixel being about 1; the callable makes it from the
        parameters. Tiles of dear operations are smaller, so that a cancel is heard in time.
    cost_deep : float
        How many times as much work a pixel of 16 bits is.
    tolerance : float
        Largest difference from scikit-image, as a share of the range, before rounding.
    seam : float
        Largest difference between two tilings, as a share of the range.
    kernels : tuple of Kernel
        The first that holds is taken.
    fine : tuple of str
        Parameters that most leave as they are: a form shows them when it is asked to.
    """

    channels: Literal["each", "gray", "rgb", "any"] = "each"
    takes: Literal["picture", "mask", "labels"] = "picture"
    floats: bool = False
    shows: tuple[float, float] | Literal["extent"] | None = None
    pixels: Literal["kept", "scaled", "turned", "lost"] = "kept"
    arrays: int = 4
    table: Callable[..., int] = lambda **_: 0
    cost: float | Callable[..., float] = 1.0
    cost_deep: float = 1.0
    tolerance: float = 0.0
    seam: float = 0.0
    kernels: tuple[Kernel, ...] = ()
    fine: tuple[str, ...] = ("mode", "cval", "truncate")


@dataclass(frozen=True, kw_only=True)
class Operation(Traits):
    """An entry of the catalogue."""

    name: str
    title: str
    group: str
    decomposition: Decomposition
    function: Callable[..., Any]
    parameters: Mapping[str, Any]
    help: str
    source: str

    def stages(self, parameters: Mapping[str, Any], kernel: Kernel | None = None) -> Stages:
        """Give its stages for one set of parameters, by a kernel if one is given."""
        found = self.named(self.decomposition.stages(self.function, parameters))
        if kernel is None:
            return found
        return self.named(kernel.stages(self.decomposition, parameters, found))

    def named(self, stages: Stages) -> Stages:
        """Give stages whose errors begin with the operation's name."""
        return tuple(replace(stage, name=self.name) for stage in stages)

    def kernel(
        self,
        parameters: Mapping[str, Any],
        dtype: str,
        depth: str,
        channels: tuple[int, ...] = (),
    ) -> Kernel | None:
        """Find the kernel for an image of this type and these channels."""
        for each in self.kernels:
            fits = dtype in each.takes and not (each.gray and channels)
            if fits and (each.exact or depth == "input") and each.when(**parameters):
                return each
        return None

    @property
    def consumes_alpha(self) -> bool:
        """Whether it lays what is transparent over something."""
        return "alpha" in context_of(self.function)

    def moves_pixels(self, step: Mapping[str, Any]) -> bool:
        """Whether the pixels of its result come from elsewhere, so that alpha must go with them."""
        parameters = {name: value for name, value in step.items() if name != "operation"}
        return any(stage.geometry is not None for stage in self.stages(parameters))

    def cost_of(
        self, parameters: Mapping[str, Any], dtype: str = "uint8", kernel: Kernel | None = None
    ) -> float:
        """Work for a pixel of this type with these parameters."""
        cost = self.cost if kernel is None or kernel.cost is None else kernel.cost
        found = cost(**parameters) if callable(cost) else cost
        return found * self.cost_deep if dtype == "uint16" and kernel is None else found

    def arrays_of(self, kernel: Kernel | None) -> int:
        """Arrays that live while it runs."""
        return self.arrays if kernel is None or kernel.arrays is None else kernel.arrays

    def entry(self) -> dict[str, Any]:
        """Give its part of the exported catalogue."""
        found = {
            "name": self.name,
            "title": self.title,
            "group": self.group,
            "kind": self.decomposition.name,
            "help": self.help,
            "source": self.source,
            "channels": self.channels,
            "takes": self.takes,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict(self.parameters),
            },
        }
        if isinstance(self.decomposition, Whole):
            found["note"] = self.decomposition.why
        return found


OPERATIONS: dict[str, Operation] = {}


@dataclass(frozen=True)
class operation(Traits):  # noqa: N801 - a decorator
    """Enter a function into the catalogue and return it unchanged.

    The attributes are those of `Operation`; the rest is read from the function.
    """

    title: str = field(kw_only=False)
    group: str = field(kw_only=False)
    decomposition: Decomposition = field(kw_only=False)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Read signature and docstring."""
        try:
            summary, helps, source = read_docstring(function)
            parameters = read_signature(function, helps)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from error
        for name in self.fine:
            if name in parameters:
                parameters[name]["x-fine"] = True
        OPERATIONS[function.__name__] = Operation(
            name=function.__name__,
            parameters=parameters,
            function=function,
            help=summary,
            source=source,
            **vars(self),
        )
        return function
