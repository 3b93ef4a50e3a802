"""The entries of the catalogue, and the decorator that makes one of a function."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cluster_worker.operations.declare.decompositions import (
    Composed,
    Decomposition,
    Geometric,
    Pointwise,
    Stages,
    Statistical,
    Table,
    Whole,
)
from cluster_worker.operations.declare.signatures import (
    read_docstring,
    read_inputs,
    read_signature,
)
from cluster_worker.operations.declare.stages import Measure, context_of, takes_keyword
from cluster_worker.pixels.placement import Placement


def always(**_: Any) -> bool:
    """Return True: a kernel holds for all parameters."""
    return True


@dataclass(frozen=True)
class Kernel:
    """A faster way to the pixels of an operation, which replaces its function where it holds.

    The tests of the catalogue hold it to the same claims as the function: seamless to the last bit,
    and faithful.

    Attributes
    ----------
    function : callable
        It has the parameters of the operation's function. For floats it asks for ``dtype``.
    takes : tuple of str
        Types of the images that it accepts without a conversion to floats.
    when : callable
        From the parameters to whether it holds for them.
    gray : bool
        Whether it accepts no colours.
    exact : bool
        Whether its result equals the function's to the last bit. If not, it serves depth "input"
        alone; with depth "native" the function runs.
    measures : tuple of Measure, or callable, optional
        Of the image that the kernel is given, if they differ from those of the operation.
    arrays, cost, tolerance
        As in `Traits`, if they differ from those of the operation.
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
        """Return the stages for one set of parameters; `models` are those of the function."""
        if isinstance(decomposition, Statistical) and self.measures is not None:
            decomposition = replace(decomposition, measures=self.measures)
        if isinstance(decomposition, Pointwise):
            decomposition = Pointwise()
        found = decomposition.stages(self.function, parameters)
        if isinstance(decomposition, Composed):
            return found
        return tuple(
            replace(stage, model=model) for stage, model in zip(found, models, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the planner must know of an operation besides its decomposition.

    Attributes
    ----------
    channels : {"each", "gray", "rgb", "any"}
        Whether colours are treated one by one (each), are turned to gray first (gray), are needed,
        so that gray is turned to RGB first (rgb), or are left to the operation (any).
    takes : {"picture", "mask", "classes", "labels"}
        The kind of image that it is made for. With depth "input" an operation on masks refuses a
        picture that is neither a mask nor class numbers (see `support.masks`); for "mask" the
        pixels that are not 0 are set, for "classes" the numbers are kept. Labels are integers, one
        for each region; a mask is a label image with one label.
    floats : bool
        Whether it computes in floating point whatever the image's type.
    shows : tuple of float or "extent", optional
        Least and greatest value of its result, which become black and white when a picture of
        whole numbers is made of it at the end; "extent" stands for those found in the image.
        None: black is 0 and white is 1.
    pixels : {"kept", "scaled", "turned", "lost"}
        The physical size of a pixel in the result: the same (kept), changed with rows and columns
        (scaled), with height and width swapped (turned), or not the same everywhere (lost).
    maps : callable, optional
        ``maps(before, after, **parameters)``: from (rows, columns) before and after to the
        `Placement` of its result, if it moves pixels along straight lines. Where pixels are
        "scaled", the default stretches the corners of the image to those of the result.
    arrays : int
        Number of arrays as large as its input, in floating point, that exist while it runs.
    table : callable
        From the parameters to the bytes that it needs besides, even for a small input.
    cost : float or callable
        Work for a pixel; a Gaussian with a sigma of one pixel is about 1. The callable computes it
        from the parameters. Expensive operations use smaller tiles, so that a rank checks for a
        cancel often enough.
    cost_deep : float
        Factor of the work for a pixel of 16 bits.
    cost_larger : float
        Factor of the work for a pixel where the result has more pixels than the image. Otherwise
        the pixels of the image count.
    cost_once : callable
        From the parameters and the image's ``dtype`` to the work that does not grow with the image,
        in the same units. Every rank does it.
    extends : callable
        From the parameters to the pixels by which it extends an image on every side while it
        computes. Work and memory grow as much, which matters for a small image.
    counts_levels : bool
        Whether it counts the pixels of each value. Whole numbers other than those of pictures are
        then shifted to start at 0, which does not change its result.
    averages : bool, or callable
        Whether it averages pixels, so that colours count by their alpha at depth "input"; the
        callable tells from the parameters.
    keeps_units : bool
        Whether its result counts in the units of the image's values, whatever these are, although
        it averages nothing: if all values are doubled, or raised by one, so is the result.
    weighted : callable, optional
        Its function for colours that count by their alpha, which asks for ``alpha``, if that is not
        the quotient of two calls of its own function.
    without_data : float, optional
        For an operation whose function does not ask for ``valid`` (which pixels have data): what
        the others count as, so that they do not change its result. Infinity for a
        minimum, minus infinity for a maximum.
    unclipped_by : dict
        Parameters with which it keeps floats beyond -1…1, which it cuts off otherwise. At depth
        "input" an image of such floats is then refused.
    native_dtype : str, optional
        Type that scikit-image gives its result, if the function gives another: so a mask that it
        calls uint8 is shown white at depth "input".
    exponential : bool
        Whether it computes exponentials, logarithms, powers or angles although `floats` does not
        hold.
    differs : str
        What differs from scikit-image natively, and why, as a clause for users; "" if its result is
        scikit-image's to the last bit.
    tolerance : float
        Largest difference from scikit-image, as a share of the range, before rounding.
    seam : float
        Largest difference between two tilings, as a share of the range.
    kernels : tuple of Kernel
        The first that holds is taken.
    fine : tuple of str
        Parameters that most users leave as they are. A form shows them on request.
    """

    channels: Literal["each", "gray", "rgb", "any"] = "each"
    takes: Literal["picture", "mask", "classes", "labels"] = "picture"
    floats: bool = False
    shows: tuple[float, float] | Literal["extent"] | None = None
    pixels: Literal["kept", "scaled", "turned", "lost"] = "kept"
    maps: Callable[..., Placement] | None = None
    arrays: int = 4
    table: Callable[..., int] = lambda **_: 0
    cost: float | Callable[..., float] = 1.0
    cost_deep: float = 1.0
    cost_larger: float = 1.0
    cost_once: Callable[..., float] = lambda **_: 0.0
    extends: Callable[..., int] = lambda **_: 0
    counts_levels: bool = False
    averages: bool | Callable[..., bool] = False
    keeps_units: bool = False
    weighted: Callable[..., Any] | None = None
    without_data: float | None = None
    unclipped_by: Mapping[str, Any] = field(default_factory=dict)
    native_dtype: str | None = None
    exponential: bool = False
    differs: str = ""
    tolerance: float = 0.0
    seam: float = 0.0
    kernels: tuple[Kernel, ...] = ()
    fine: tuple[str, ...] = (
        "mode",
        "cval",
        "truncate",
        "sigma_columns",
        "center_row",
        "center_column",
    )


@dataclass(frozen=True, kw_only=True)
class Operation(Traits):
    """An entry of the catalogue."""

    name: str
    title: str
    group: str
    decomposition: Decomposition
    function: Callable[..., Any]
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Any]
    help: str
    source: str

    def stages(
        self,
        parameters: Mapping[str, Any],
        kernel: Kernel | None = None,
        inputs: Collection[str] = (),
    ) -> Stages:
        """Return its stages for one set of parameters, by a kernel if one is given.

        `inputs` are the second images that are given. The function of a composed operation is told
        for each of its inputs whether it is.
        """
        if isinstance(self.decomposition, Composed) and self.inputs:
            parameters = {**parameters, **{name: name in inputs for name in self.inputs}}
        found = self.named(self.decomposition.stages(self.function, parameters))
        if kernel is None:
            return found
        return self.named(kernel.stages(self.decomposition, parameters, found))

    def named(self, stages: Stages) -> Stages:
        """Return stages whose errors begin with the operation's name."""
        return tuple(replace(stage, name=self.name) for stage in stages)

    def kernel(
        self,
        parameters: Mapping[str, Any],
        dtype: str,
        depth: str,
        channels: tuple[int, ...] = (),
        *,
        exact: bool = False,
        inputs: Collection[str] = (),
    ) -> Kernel | None:
        """Return the first kernel that fits an image of this type and these channels, if any.

        Kernels know gray images and three colours. With `exact`, and at depth "native", only
        kernels serve that give the bits of the function. A kernel must take the second images that
        are given.
        """
        for each in self.kernels:
            fits = dtype in each.takes and (channels == () or (channels == (3,) and not each.gray))
            fits = fits and all(takes_keyword(each.function, name) for name in inputs)
            if (
                fits
                and (each.exact or (depth == "input" and not exact))
                and each.when(**parameters)
            ):
                return each
        return None

    def weighs(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether it averages pixels with these parameters."""
        return self.mixes(parameters) or self.weighted is not None

    def mixes(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether its result is an average of pixels with these parameters."""
        return self.averages(**parameters) if callable(self.averages) else self.averages

    def weighted_stages(self, parameters: Mapping[str, Any]) -> Stages:
        """Return its stages by `weighted`, for one set of parameters."""
        return self.named(self.decomposition.stages(self.weighted or self.function, parameters))

    def plain_stages(self, parameters: Mapping[str, Any], inputs: Collection[str] = ()) -> Stages:
        """Return its stages by the function that knows which pixels count, without a kernel."""
        if self.weighted is not None and not self.takes_valid:
            return self.weighted_stages(parameters)
        return self.stages(parameters, None, inputs)

    def cuts_off(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether it cuts off floats beyond -1…1 with these parameters."""
        return any(parameters[name] != value for name, value in self.unclipped_by.items())

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the second images that it cannot do without."""
        return tuple(name for name, each in self.inputs.items() if each["required"])

    @property
    def stands_alone(self) -> bool:
        """Whether it makes an image of one image, so that it may be a step of a plain chain."""
        return self.gives == "image" and not self.required

    @property
    def gives(self) -> Literal["image", "table"]:
        """What it gives. A table leaves the image as it is for the next step."""
        return "table" if isinstance(self.decomposition, Table) else "image"

    @property
    def follows_processor(self) -> bool:
        """Whether the last bits of its result may depend on the features of the processor.

        What computes in floats calls exponentials, powers or matrix products of numpy, scipy and
        OpenCV, or adds products without rounding. They choose their code by the vectors that the
        processor has, so scikit-image's own results depend on it too. What computes in whole
        numbers, or compares, counts and moves pixels, has the same bits everywhere. Natively that
        holds for gray images: a colour is turned to gray by a matrix product.
        """
        return self.floats or self.exponential

    @property
    def takes_valid(self) -> bool:
        """Whether its function asks which pixels have data, if some have none."""
        return "valid" in context_of(self.function)

    @property
    def skips_nan(self) -> bool:
        """Whether it is a table that can leave out what is NaN in a second image."""
        return "skips_nan" in context_of(self.function)

    @property
    def consumes_alpha(self) -> bool:
        """Whether it lays transparent pixels over a background, so that no alpha is left."""
        return "alpha" in context_of(self.function)

    def moves_pixels(self, step: Mapping[str, Any]) -> bool:
        """Return whether its pixels come from other places, so that alpha must move with them."""
        # Only these have stages with a geometry; those of others may take long to make.
        if not isinstance(self.decomposition, Geometric | Composed):
            return False
        parameters = {name: value for name, value in step.items() if name in self.parameters}
        return any(stage.geometry is not None for stage in self.stages(parameters))

    def placement(
        self, parameters: Mapping[str, Any], before: tuple[int, int], after: tuple[int, int]
    ) -> Placement | None:
        """Return where the pixels of its result lie in its image; None if that is not affine.

        Parameters
        ----------
        parameters : mapping
            Of the step.
        before, after : tuple of int
            (rows, columns) of the image and of the result.
        """
        if self.maps is not None:
            return self.maps(before, after, **parameters)
        if self.pixels == "scaled":
            return Placement.scaled(before, after)
        moves = self.moves_pixels({"operation": self.name, **parameters})
        return None if moves or self.pixels == "lost" else Placement()

    def cost_of(
        self, parameters: Mapping[str, Any], dtype: str = "uint8", kernel: Kernel | None = None
    ) -> float:
        """Return the work for a pixel of this type with these parameters."""
        cost = self.cost if kernel is None or kernel.cost is None else kernel.cost
        found = cost(**parameters) if callable(cost) else cost
        return found * self.cost_deep if dtype == "uint16" and kernel is None else found

    def extension(self, parameters: Mapping[str, Any], shape: tuple[int, int]) -> float:
        """Return how many times as many pixels as an image of (rows, columns) has it works on."""
        more = 2 * self.extends(**parameters)
        return (shape[0] + more) * (shape[1] + more) / (shape[0] * shape[1])

    def arrays_of(self, kernel: Kernel | None) -> int:
        """Return the number of arrays that exist while it runs."""
        return self.arrays if kernel is None or kernel.arrays is None else kernel.arrays

    def entry(self) -> dict[str, Any]:
        """Return its entry in the exported catalogue."""
        found = {
            "name": self.name,
            "title": self.title,
            "group": self.group,
            "kind": self.decomposition.name,
            "help": self.help,
            "source": self.source,
            "channels": self.channels,
            "takes": self.takes,
            "gives": self.gives,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict(self.parameters),
            },
        }
        if isinstance(self.decomposition, Whole):
            found["note"] = self.decomposition.why
        elif isinstance(self.decomposition, Table) and self.decomposition.whole:
            found["note"] = self.decomposition.whole
        if self.inputs:
            found["inputs"] = dict(self.inputs)
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
            inputs = read_inputs(function, helps)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from error
        for name in self.fine:
            if name in parameters:
                parameters[name]["x-fine"] = True
        OPERATIONS[function.__name__] = Operation(
            name=function.__name__,
            parameters=parameters,
            inputs=inputs,
            function=function,
            help=summary,
            source=source,
            **vars(self),
        )
        return function
