"""Openings and closings by the size of regions, in max-trees: trees of regions of all levels."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from cluster_worker.kernels import trees
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Kernel, Number, Whole, each_channel, operation
from cluster_worker.operations.support.footprints import Connectivity

morphology = lazily("skimage.morphology")

# Costs relative to a Gaussian of one pixel.
COST_AREA = 2.5
COST_DIAMETER = 3.0

MAX_TREE = Whole("Whether a region stays depends on its size, which may be that of the image.")
Area = Annotated[
    int,
    Number(1, 1_000_000, unit="px", slider=(1, 1000), step=1),
    "Regions of this many pixels or more stay.",
]
Diameter = Annotated[
    int,
    Number(1, 10_000, unit="px", slider=(1, 100), step=1),
    "Regions of this height or width, or more, stay.",
]


def simplified(
    function: Callable[..., Image], image: Image, threshold: int, connectivity: int
) -> Image:
    """Apply one of scikit-image's max-tree filters to every colour.

    Raises
    ------
    ValueError
        If the image is too thin for scikit-image to find neighbours in. With two columns it
        reads other memory.
    """
    if min(image.shape[:2]) < 3:
        raise ValueError(
            "needs an image of at least 3 rows and 3 columns, "
            f"got {image.shape[0]} × {image.shape[1]}"
        )
    return each_channel(lambda plane: function(plane, threshold, connectivity), image)


def by_area(
    image: Image, area_threshold: int, connectivity: int, function: Callable[..., Image]
) -> Image:
    """Apply a kernel that filters regions by their number of pixels to every colour."""
    by_pixels = partial(function, by_extent=False)
    return simplified(by_pixels, image, area_threshold, connectivity)


def by_diameter(
    image: Image, diameter_threshold: int, connectivity: int, function: Callable[..., Image]
) -> Image:
    """Apply a kernel that filters regions by their rows and columns to every colour."""
    by_extent = partial(function, by_extent=True)
    return simplified(by_extent, image, diameter_threshold, connectivity)


def by_tree(
    measured: Callable[..., Image], function: Callable[..., Image], *, arrays: int, cost: float
) -> Kernel:
    """Declare the kernel of a max-tree filter."""
    return Kernel(
        partial(measured, function=function),
        takes=("uint8", "uint16", "float32", "float64"),
        exact=True,
        arrays=arrays,
        cost=cost,
    )


@operation(
    "Opening by area",
    "Morphology",
    MAX_TREE,
    cost=100.0,
    arrays=14,
    kernels=(by_tree(by_area, trees.opened, arrays=6, cost=COST_AREA),),
    keeps_units=True,
)
def area_opening(image: Image, area_threshold: Area = 64, connectivity: Connectivity = 1) -> Image:
    """Remove bright regions with fewer pixels than a limit; all others keep their exact shape.

    References
    ----------
    skimage.morphology.area_opening
    """
    return simplified(morphology.area_opening, image, area_threshold, connectivity)


@operation(
    "Closing by area",
    "Morphology",
    MAX_TREE,
    cost=100.0,
    arrays=14,
    kernels=(by_tree(by_area, trees.closed, arrays=6, cost=COST_AREA),),
    keeps_units=True,
)
def area_closing(image: Image, area_threshold: Area = 64, connectivity: Connectivity = 1) -> Image:
    """Fill dark regions with fewer pixels than a limit; all others keep their exact shape.

    References
    ----------
    skimage.morphology.area_closing
    """
    return simplified(morphology.area_closing, image, area_threshold, connectivity)


@operation(
    "Opening by diameter",
    "Morphology",
    MAX_TREE,
    cost=150.0,
    arrays=28,
    kernels=(by_tree(by_diameter, trees.opened, arrays=10, cost=COST_DIAMETER),),
    keeps_units=True,
)
def diameter_opening(
    image: Image, diameter_threshold: Diameter = 8, connectivity: Connectivity = 1
) -> Image:
    """Remove bright regions whose height and width are below a limit; long thin regions stay.

    References
    ----------
    skimage.morphology.diameter_opening
    """
    return simplified(morphology.diameter_opening, image, diameter_threshold, connectivity)


@operation(
    "Closing by diameter",
    "Morphology",
    MAX_TREE,
    cost=150.0,
    arrays=28,
    kernels=(by_tree(by_diameter, trees.closed, arrays=10, cost=COST_DIAMETER),),
    keeps_units=True,
)
def diameter_closing(
    image: Image, diameter_threshold: Diameter = 8, connectivity: Connectivity = 1
) -> Image:
    """Fill dark regions whose height and width are below a limit; long thin regions stay.

    References
    ----------
    skimage.morphology.diameter_closing
    """
    return simplified(morphology.diameter_closing, image, diameter_threshold, connectivity)
