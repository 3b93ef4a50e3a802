"""How an operation is cut into tiles: each decomposition makes stages from the parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cluster_worker.operations.declare.channels import Image
from cluster_worker.operations.declare.stages import Geometry, Measure, Rounds, Stage
from cluster_worker.pixels.tiling import Span

Stages = tuple[Stage, ...]
Halo = Callable[..., int]


@dataclass(frozen=True)
class Pointwise:
    """A pixel depends on that pixel alone, and on its place if the function asks for it.

    Attributes
    ----------
    grid : int
        Above 1, the last bit of a result depends on the place of a pixel in groups of this many
        columns, as in products of matrices. The function is then given whole groups, and one more
        on every side. Kernels are given pixels alone.
    """

    grid: int = 1
    name = "pointwise"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters."""
        halo = self.grid if self.grid > 1 else 0
        return (Stage(partial(function, **parameters), halo, grid=self.grid),)


@dataclass(frozen=True)
class Local:
    """A pixel depends on its neighbours up to `halo` pixels away.

    With a parameter ``mode="wrap"`` the neighbours beyond the border are those of the opposite
    edge.

    Attributes
    ----------
    halo : callable
        From the operation's parameters to pixels.
    grid : callable
        From the operation's parameters to the side of the cells that it works in, in pixels.
    like : callable, optional
        As of `Stage`, for a function that takes long on any image if its neighbourhood is wide.
    """

    halo: Halo
    grid: Halo = lambda **_: 1
    like: Callable[[Image], Image] | None = None
    name = "local"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters."""
        wraps = parameters.get("mode") == "wrap"
        halo, grid = self.halo(**parameters), self.grid(**parameters)
        given = partial(function, **parameters)
        return (Stage(given, halo, wraps=wraps, grid=grid, like=self.like),)


@dataclass(frozen=True)
class Statistical:
    """A pixel depends on its neighbours up to `halo` pixels away and on statistics of the whole.

    The function takes the combined statistics as the keyword argument ``statistics``.

    Attributes
    ----------
    measures : tuple of Measure, or callable
        The callable makes them from the operation's parameters.
    halo : callable
        From the operation's parameters to pixels.
    name : str
        "contextual" where the place in the whole matters as well.
    like : callable, optional
        As of `Stage`.
    """

    measures: tuple[Measure, ...] | Callable[..., tuple[Measure, ...]]
    halo: Halo = lambda **_: 0
    name: str = "statistical"
    like: Callable[[Image], Image] | None = None

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters."""
        measures = self.measures(**parameters) if callable(self.measures) else self.measures
        wraps = parameters.get("mode") == "wrap"
        halo = self.halo(**parameters)
        return (Stage(partial(function, **parameters), halo, measures, wraps, like=self.like),)


@dataclass(frozen=True)
class Geometric:
    """The result has other rows and columns, or pixels that come from elsewhere.

    The function asks for ``place``: it is given the window and returns the core.

    Attributes
    ----------
    shape : callable
        ``shape((rows, columns), **parameters)`` of the result.
    window : callable
        ``window(core, (rows, columns), **parameters)``, as in `Geometry`.
    """

    shape: Callable[..., tuple[int, int]]
    window: Callable[..., Span]
    name = "geometric"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters."""
        geometry = Geometry(partial(self.shape, **parameters), partial(self.window, **parameters))
        return (Stage(partial(function, **parameters), geometry=geometry),)


@dataclass(frozen=True)
class Composed:
    """Several stages, one after the other.

    The decorated function takes the parameters alone, and returns a tuple of `Stage`.

    Attributes
    ----------
    name : str
        The decomposition of the stage that is hardest to cut: "propagating", "iterative", ...
    """

    name: str

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stages that the function returns."""
        found: Stages = function(**parameters)
        return found


@dataclass(frozen=True)
class Iterative:
    """Rounds over a state until a rule says stop; the function makes the first state.

    Attributes
    ----------
    rounds : callable
        From the operation's parameters to `Rounds`.
    halo : callable
        Pixels that the first state reads, from the operation's parameters.
    """

    rounds: Callable[..., Rounds]
    halo: Halo = lambda **_: 0
    name: str = "iterative"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters."""
        rounds, halo = self.rounds(**parameters), self.halo(**parameters)
        return (Stage(partial(function, **parameters), halo, rounds=rounds),)


def unchanged(image: Image, *, statistics: Any = None) -> Image:  # noqa: ARG001
    """Return the image that was measured: the pass of a table may be run as any other."""
    return image


@dataclass(frozen=True)
class Table:
    """The result is a table: columns of numbers, one row for each region, peak, level, ...

    The function measures a block: ``function(block, *, place, **inputs, **parameters)`` returns
    what it found in the core, in a form that `combine` joins and that may be sent between ranks.

    Attributes
    ----------
    combine : callable
        Joins what was found in two tiles. Associative and exact, so that any tiling gives the same
        table.
    finish : callable
        ``finish(found, (rows, columns), **parameters)``: the columns by their names, arrays of one
        length. `found` is what was found in all tiles.
    halo : callable
        Pixels that are read around a core, from the operation's parameters.
    unit : callable
        ``unit(column, **parameters)``: the unit of a column, "" if it has none; see
        `support.column_units`.
    before : tuple of Measure
        What the function must know of the whole image; it asks for ``statistics``.
    needs_pixel_size : callable
        From the operation's parameters to whether `finish` needs the size of a pixel, in metres; it
        asks for ``pixel_size``.
    whole : str
        Why one rank must measure the whole image, as a sentence for users, if no exact way to join
        tiles is known.
    """

    combine: Callable[[Any, Any], Any]
    finish: Callable[..., Mapping[str, Any]]
    halo: Halo = lambda **_: 0
    unit: Callable[..., str] = lambda _, **__: ""
    before: tuple[Measure, ...] = ()
    needs_pixel_size: Callable[..., bool] = lambda **_: False
    whole: str = ""
    name = "table"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters, which measures and computes no pixels."""
        measure = Measure(partial(function, **parameters), self.combine, self.halo(**parameters))
        measures = (*self.before, measure)
        return (Stage(unchanged, measures=measures, like=np.asarray, whole=bool(self.whole)),)

    def columns(
        self,
        found: Any,
        shape: tuple[int, int],
        parameters: Mapping[str, Any],
        pixel_size: tuple[float, float] | None = None,
    ) -> Mapping[str, Any]:
        """Return the columns of the table of an image of (rows, columns)."""
        known = {"pixel_size": pixel_size} if self.needs_pixel_size(**parameters) else {}
        return self.finish(found, shape, **parameters, **known)


@dataclass(frozen=True)
class Whole:
    """No exact decomposition is known: one rank runs it on the whole image.

    Attributes
    ----------
    why : str
        The reason, as a sentence for users.
    like : callable, optional
        As of `Stage`, for a function of many rounds.
    """

    why: str
    like: Callable[[Image], Image] | None = None
    name = "whole"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Return the stage for one set of parameters."""
        return (Stage(partial(function, **parameters), whole=True, like=self.like),)


Decomposition = Pointwise | Local | Statistical | Geometric | Composed | Iterative | Table | Whole
