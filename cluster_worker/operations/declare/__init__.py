"""How an operation is declared: one decorated function from which everything else derives.

The signature has name, type, default, range and unit of each parameter; the docstring, or the type,
has the help; the decorator has what the planner must know.

A function is given a *block*: a tile with its halo, clipped at the image border, rows × columns
or rows × columns × 3. It may ask for more by keyword-only parameters of these names:

``place``
    A `Place`: where the block lies in the whole image.
``statistics``
    The combined results of the operation's measures over the whole image, in their order.
``alpha``
    The block's transparency.
``history``
    In the update of an iteration: what was measured in each round before.
``dtype``
    The type of its result: float32, or the type of the picture in which the chain ends. The
    function then rounds by itself.
``shows``
    With such a type: the values that become black and white.
``target``
    The type of picture to which its result is rounded, or the type of labels, or None for its own.
``model``
    Of a kernel: the operation's function with this step's parameters bound. `model(block)` returns
    the result of the whole block.
``valid``
    Which pixels of the block have data, or None if all have: such a function runs instead of the
    kernels. What it returns where `valid` is False does not matter. See `support/valid_pixels.py`.
``out``
    An array for the core of its result, or None. The function returns the core alone.

A parameter that is annotated with an `Input` is a second image, such as a mask. The function is
given the block of it that lies at the same place, or the default if the recipe gives no such image.
Measures and updates of rounds are given it as well if they have a parameter of that name.
"""

from cluster_worker.operations.declare.channels import Image, channel_axis, each_channel
from cluster_worker.operations.declare.decompositions import (
    Composed,
    Decomposition,
    Geometric,
    Iterative,
    Local,
    Pointwise,
    Stages,
    Statistical,
    Table,
    Whole,
)
from cluster_worker.operations.declare.entries import (
    OPERATIONS,
    Kernel,
    Operation,
    always,
    operation,
)
from cluster_worker.operations.declare.signatures import Input, Number, Options
from cluster_worker.operations.declare.stages import (
    Geometry,
    Measure,
    Rounds,
    Stage,
    context_of,
    either,
    takes_keyword,
)
from cluster_worker.pixels.tiling import Place, Span

__all__ = [
    "OPERATIONS",
    "Composed",
    "Decomposition",
    "Geometric",
    "Geometry",
    "Image",
    "Input",
    "Iterative",
    "Kernel",
    "Local",
    "Measure",
    "Number",
    "Operation",
    "Options",
    "Place",
    "Pointwise",
    "Rounds",
    "Span",
    "Stage",
    "Stages",
    "Statistical",
    "Table",
    "Whole",
    "always",
    "channel_axis",
    "context_of",
    "each_channel",
    "either",
    "operation",
    "takes_keyword",
]
