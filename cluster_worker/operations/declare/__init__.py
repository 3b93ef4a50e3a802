"""How an operation is declared: one decorated function from which everything else derives.

The signature carries name, type, default, range and unit of each parameter; the docstring the
help; the decorator what the planner must know.

A function is given a *block*: a tile with its halo, clipped at the image border, rows × columns
or rows × columns × 3. It may ask for more by keyword-only parameters of these names:

``place``
    A `Place`: where the block lies in the whole image.
``statistics``
    What the operation's measures found in the whole image, in their order.
``alpha``
    The block's transparency.
``history``
    In the update of an iteration: what was measured in the rounds before.
``dtype``
    The type that its result is to have: float32, or that of the picture which a chain ends in, to
    which it then rounds by itself.
``shows``
    With such a type: which of its values become black and white.
``target``
    The type of picture that its result is to be rounded to, or that of labels, or None for its own
    type.
``model``
    Of a kernel: the operation's function, with its parameters.
``out``
    An array for the core of its result, or None; it returns the core alone.
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
    Whole,
)
from cluster_worker.operations.declare.entries import (
    OPERATIONS,
    Kernel,
    Operation,
    always,
    operation,
)
from cluster_worker.operations.declare.signatures import Number
from cluster_worker.operations.declare.stages import (
    Geometry,
    Measure,
    Rounds,
    Stage,
    context_of,
    either,
)
from cluster_worker.pixels.tiling import Place, Span

__all__ = [
    "OPERATIONS",
    "Composed",
    "Decomposition",
    "Geometric",
    "Geometry",
    "Image",
    "Iterative",
    "Kernel",
    "Local",
    "Measure",
    "Number",
    "Operation",
    "Place",
    "Pointwise",
    "Rounds",
    "Span",
    "Stage",
    "Stages",
    "Statistical",
    "Whole",
    "always",
    "channel_axis",
    "context_of",
    "each_channel",
    "either",
    "operation",
]
