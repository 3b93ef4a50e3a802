"""What lies beyond the image's border, as parameters of operations."""

from typing import Annotated, Literal

from cluster_worker.operations.declare import Number

# scipy.ndimage's names of the modes. Families that offer them in another order have a text of their
# own: Literals that differ in order alone are equal, so that with an equal text `Annotated` would
# return the one that was made first.
Border = Annotated[
    Literal["nearest", "reflect", "mirror", "constant", "wrap"],
    "What lies beyond the image's border: its last pixel (nearest), its mirror image with the last "
    "pixel twice (reflect) or once (mirror), one level (constant), or its opposite edge (wrap).",
]

Fill = Annotated[
    float,
    Number(0, 1, step=0.01),
    "Level beyond the border if the mode is constant, as a share of white.",
]
# A picture's floats lie in 0…1, a measurement's need not.
FloatFill = Annotated[
    float,
    Number(-65535, 65535, slider=(0, 1), step=0.01),
    "Value beyond the border if the mode is constant; 0 is black, 1 is white.",
]
